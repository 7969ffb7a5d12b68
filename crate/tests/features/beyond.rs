//! What is measured beyond counting, against plain runs with edits: `--writes`, `--stories`, `--states`.

use std::path::{Path, PathBuf};

use serde_json::{json, Value};
use topk_lm::checkpoint::FolderSource;
use topk_lm::config::Norm;
use topk_lm::exec::cpu::Branches;
use topk_lm::offline::OfflineModel;
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, Model, RunOptions};
use topk_lm::{Edit, Positions};

use crate::common::{json, load, root, words};
use crate::{analyze, fails, folder, golden, record, succeeds};

fn run(model: &Model, ids: &[u32], edits: Vec<Edit>) -> Vec<f32> {
    let options = RunOptions {
        edits,
        ..RunOptions::default()
    };
    let output = pollster::block_on(model.run(ids, &options, &Cancel::default())).unwrap();
    output.logits.data
}

fn at_last(edit: Edit, ids: &[u32]) -> Edit {
    edit.positions(Positions::Range {
        from: ids.len() - 1,
        to: ids.len(),
    })
}

/// A neuron of the last block that outgrows all others is alone in the final norm, which a mean that is taken away makes e_i − 1/d: of the
/// logits at v and at −v, half the difference is then the direct effect over that vector's root mean square.
#[test]
fn promoted_tokens_are_those_that_a_neuron_lifts_through_the_final_norm() {
    for name in ["llama-abs", "gpt2-relu", "neox-dense-bf16"] {
        let model = load(&golden(name), BackendChoice::Cpu).unwrap();
        let (ids, config) = ([0, 5, 9, 33, 7, 60], model.config());
        let (d, layer) = (config.d_model as f64, config.n_layers - 1);
        let rms = match config.norm {
            Norm::Rms => (1.0 / d).sqrt(),
            Norm::Layer => (1.0 / d * (1.0 - 1.0 / d)).sqrt(),
        };
        let out = folder(&format!("promoted-{name}"));
        succeeds(analyze(&golden(name), &out, &["--threads", "1"]));
        for index in [0, 7, config.d_model - 1] {
            let last = |value| {
                let logits = run(&model, &ids, vec![at_last(Edit::clamp(layer, index, value), &ids)]);
                logits[logits.len() - config.d_vocab..].to_vec()
            };
            let lifted: Vec<f64> = last(1e7)
                .iter()
                .zip(last(-1e7))
                .map(|(up, down)| f64::from(up - down) / 2.0 * rms)
                .collect();
            let mut order: Vec<usize> = (0..lifted.len()).collect();
            order.sort_by(|a, b| lifted[*b].total_cmp(&lifted[*a]));
            let near = |found: &Value, tokens: &[usize]| {
                for (pair, token) in found.as_array().unwrap().iter().zip(tokens) {
                    let (id, effect) = (pair[0].as_u64().unwrap() as usize, pair[1].as_f64().unwrap());
                    assert!(
                        (effect - lifted[id]).abs() < 1e-3,
                        "{name} {index}: {pair}, {}",
                        lifted[id]
                    );
                    assert!(
                        (effect - lifted[*token]).abs() < 1e-3,
                        "{name} {index}: {pair}, not {token}"
                    );
                }
            };
            let record = record(&out, layer, index);
            near(&record["promoted"], &order[..10]);
            order.reverse();
            near(&record["suppressed"], &order[..10]);
        }
    }
}

/// Edited rows that begin behind a block are what a run with the edit gives, bit for bit; also in the last block, with a dense one behind, and
/// where the active list grows by the edit.
#[test]
fn branches_equal_runs_with_edits() {
    for name in ["llama-gqa", "gpt2", "qwen3", "llama-i8"] {
        let model = load(&golden(name), BackendChoice::Cpu).unwrap();
        let offline = OfflineModel::load(FolderSource::new(golden(name)).unwrap(), "").unwrap();
        let (ids, d) = ([0, 5, 9, 33, 7, 60], offline.config.d_model);
        let mut scratch = Branches::default();
        let mut prefix = pollster::block_on(offline.engine.prefix(&ids, &mut scratch)).unwrap();
        assert_eq!(prefix.logits, run(&model, &ids, vec![]), "{name}");
        for layer in (0..offline.config.n_layers).filter(|layer| offline.config.is_topk_block(*layer)) {
            let edits: Vec<(usize, f32)> = vec![(0, 3.5), (d - 1, -1.25), (d / 2, 0.0)];
            let mut rows = Vec::new();
            for (index, value) in &edits {
                let mut row = prefix.hidden[layer].clone();
                row[*index] = *value;
                rows.extend(row);
            }
            let branches = offline.engine.branches(&mut scratch, &mut prefix, layer, &rows);
            let logits = pollster::block_on(branches).unwrap().to_vec();
            for ((index, value), logits) in edits.iter().zip(logits.chunks_exact(offline.config.d_vocab)) {
                let edit = at_last(Edit::clamp(layer, *index, f64::from(*value)), &ids);
                assert_eq!(logits, run(&model, &ids, vec![edit]), "{name} {layer} {index}");
            }
        }
    }
}

/// Five stories of one sentence over and over, and their states: a boy is the subject of every sentence up to its last word.
fn stories(folder: &Path) -> (PathBuf, PathBuf) {
    let sentence = "Tom saw the dog.";
    let text = [sentence; 11].join(" ");
    let (mut words, mut subject, mut mentions) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..11 {
        let (start, first) = (number * (sentence.len() + 1), number * 4);
        words.extend([
            (start, start + 3),
            (start + 4, start + 7),
            (start + 8, start + 11),
            (start + 12, start + 15),
        ]);
        subject.extend([json!([first, "a"]), json!([first + 3, null])]);
        mentions.push(json!([first, first + 1, "a", "name", 0]));
    }
    let story = json!({
        "world": "w", "seed": 1, "tense": "past", "words": words, "quote": [[0, 0]], "speaker": [[0, null]], "subject": subject,
        "cast": { "a": { "type": "character", "noun": "boy", "name": "Tom", "number": "singular", "gender": "masculine" } },
        "mentions": mentions, "verbs": [], "tracks": { "place": {}, "feeling": {}, "holder": {}, "knows": {}, "weather": {}, "time": {} },
    });
    let (stories, states) = (folder.join("stories.txt"), folder.join("states.jsonl"));
    std::fs::write(&stories, vec![text; 5].join("\n<|endoftext|>\n")).unwrap();
    std::fs::write(&states, vec![story.to_string(); 5].join("\n")).unwrap();
    (stories, states)
}

#[test]
fn what_neurons_write_and_mark() {
    let model = words::model(&folder("beyond-model"));
    let (text, states) = stories(&folder("beyond-stories"));
    let (text, states) = (text.to_str().unwrap(), states.to_str().unwrap());
    let out = folder("beyond-features");
    succeeds(analyze(
        &model,
        &out,
        &["--writes", "--stories", text, "--states", states, "--threads", "2"],
    ));
    // Threads change no byte.
    let again = folder("beyond-features-again");
    succeeds(analyze(
        &model,
        &again,
        &["--writes", "--stories", text, "--states", states, "--threads", "1"],
    ));
    assert_eq!(crate::files(&out), crate::files(&again));

    let (index, contrasts) = (json(&out.join("index.json")), json(&out.join("contrasts.json")));
    assert_eq!(index["format"], 2);
    let neurons = index["columns"]["label"].as_array().unwrap().len();
    for column in [
        "reads",
        "writes",
        "writes_up",
        "steer",
        "strong",
        "state",
        "clusters",
        "share_entropy",
    ] {
        assert_eq!(index["columns"][column].as_array().unwrap().len(), neurons, "{column}");
    }
    let names: Vec<&str> = contrasts["contrasts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|c| c["name"].as_str())
        .collect();
    assert!(names.contains(&"was / were") && names.contains(&"he / she") && !names.contains(&"red / blue"));
    assert_eq!(contrasts["prompts"], 3 * names.len());

    // One neuron's effects on its contrasts, recomputed by runs with edits.
    let plain = load(&model, BackendChoice::Cpu).unwrap();
    let vocabulary = json(&model.join("tokenizer.json"))["model"]["vocab"].clone();
    let written: Value = json(&root().join("crate/src/features/measure/contrasts.json"));
    let place = (0..neurons)
        .find(|n| !index["columns"]["strong"][*n].is_null())
        .unwrap();
    let d_model = index["d_model"].as_u64().unwrap() as usize;
    let (layer, i) = (
        index["layers"][place / d_model].as_u64().unwrap() as usize,
        place % d_model,
    );
    let neuron = record(&out, layer, i);
    let value = neuron["writes"]["value"].as_f64().unwrap();
    for effect in neuron["writes"]["contrasts"].as_array().unwrap() {
        let contrast = &contrasts["contrasts"][effect[0].as_u64().unwrap() as usize];
        let side = |name: &str| -> Vec<usize> {
            let texts = contrast[name].as_array().unwrap().iter().filter_map(Value::as_str);
            texts
                .map(|text| vocabulary[text.replace(' ', "Ġ")].as_u64().unwrap() as usize)
                .collect()
        };
        let sides = [side("a"), side("b")];
        let odds = |logits: &[f32]| {
            let mass = |ids: &[usize]| ids.iter().map(|id| f64::from(logits[*id]).exp()).sum::<f64>();
            (mass(&sides[0]) / mass(&sides[1])).ln()
        };
        let all = written["contrasts"].as_array().unwrap();
        let prompts = all.iter().find(|c| c["name"] == contrast["name"]).unwrap()["prompts"]
            .as_array()
            .unwrap();
        let changes: Vec<f64> = prompts
            .iter()
            .map(|prompt| {
                let mut ids = plain.encode_prompt(prompt.as_str().unwrap()).unwrap();
                if ids[0] != 0 {
                    ids.insert(0, 0);
                }
                let edit = at_last(Edit::clamp(layer, i, value), &ids);
                odds(&run(&plain, &ids, vec![edit])) - odds(&run(&plain, &ids, vec![]))
            })
            .collect();
        let expected = changes.iter().sum::<f64>() / 3.0;
        let found = effect[1].as_f64().unwrap();
        // The value is rounded to four digits in the file.
        assert!(
            (found - expected).abs() < 2e-3 * expected.abs().max(1.0),
            "{effect} {expected}"
        );
    }

    let states = json(&out.join("states.json"));
    let found: Vec<&str> = states["states"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|state| state["name"].as_str())
        .collect();
    assert_eq!(found, ["subject: masculine", "subject: singular", "tense: past"]);
    assert_eq!(states["tokens"], 5 * 44);
    // Its few neurons are all among the random ones: each is compared with the others.
    let switches = json(&out.join("switches.json"));
    let switches = switches["switches"].as_array().unwrap();
    assert!(!switches.is_empty());
    for switch in switches {
        let of = |name: &str| switch[name].as_f64().unwrap();
        assert!(of("effect").abs() >= 1.5 * of("control"), "{switch}");
        assert!(
            (of("times") - of("effect").abs() / of("control")).abs() < 2e-3 * of("times"),
            "{switch}"
        );
    }
}

#[test]
fn what_is_missing_is_named() {
    let out = folder("beyond-missing");
    fails(analyze(&golden("llama-gqa"), &out, &["--writes"]), "tokenizer.json");
    fails(
        analyze(&golden("llama-gqa"), &out, &["--checkpoints"]),
        "has no folder step{N}/",
    );
    // Before anything is counted.
    assert!(!out.join("analysis.part").exists());
    let model = words::model(&folder("beyond-missing-model"));
    let (text, states) = stories(&folder("beyond-missing-stories"));
    std::fs::write(&text, "Tom saw the dog.").unwrap();
    let (text, states) = (text.to_str().unwrap(), states.to_str().unwrap());
    let given = ["--stories", text, "--states", states];
    fails(analyze(&model, &folder("beyond-missing-1"), &given), "has 1 stories");
    std::fs::write(states, "{}").unwrap();
    fails(
        analyze(&model, &folder("beyond-missing-2"), &given),
        "states.jsonl line 1",
    );
}
