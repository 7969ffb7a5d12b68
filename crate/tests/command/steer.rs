//! `topk-lm steer`: the effect of neurons against runs with edits, the edits against what is predicted of them, and the command.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::{folder, golden, json, load, words};
use serde_json::Value;
use topk_lm::checkpoint::FolderSource;
use topk_lm::offline::OfflineModel;
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, Model, RunOptions};
use topk_lm::steer::{choice, default_layer, Effect};
use topk_lm::{Edit, LogitRows};

/// Texts of several lengths.
fn contexts() -> Vec<Vec<u32>> {
    let text = |number: u32, length: u32| (0..length).map(|i| (i * (7 + number) + number * i * i) % 60).collect();
    vec![text(0, 32), text(1, 23), text(2, 9)]
}

/// Probabilities at every fourth position from the fifth on, in f64, and the logits.
fn outcomes(model: &Model, edits: &[Edit]) -> Vec<(Vec<f64>, Vec<f32>)> {
    let options = RunOptions {
        edits: edits.to_vec(),
        logits: LogitRows::All,
        ..RunOptions::default()
    };
    let mut all = Vec::new();
    for ids in contexts() {
        let output = pollster::block_on(model.run(&ids, &options, &Cancel::default())).unwrap();
        let rows: Vec<&[f32]> = output.logits.data.chunks_exact(model.config().d_vocab).collect();
        for row in rows.iter().skip(5).step_by(4) {
            let masses: Vec<f64> = row.iter().map(|x| f64::from(*x).exp()).collect();
            let sum: f64 = masses.iter().sum();
            all.push((masses.iter().map(|mass| mass / sum).collect(), row.to_vec()));
        }
    }
    all
}

/// The values of each neuron behind a block, ascending, over all contexts.
fn values(model: &Model, layer: usize) -> Vec<Vec<f32>> {
    let d = model.config().d_model;
    let hook = format!("blocks.{layer}.hook_resid_post");
    let mut all = vec![Vec::new(); d];
    for ids in contexts() {
        let options = RunOptions {
            hooks: vec![hook.clone()],
            ..RunOptions::default()
        };
        let output = pollster::block_on(model.run(&ids, &options, &Cancel::default())).unwrap();
        for (place, value) in output.hooks[&hook].data.iter().enumerate() {
            all[place % d].push(*value);
        }
    }
    all.iter_mut().for_each(|of| of.sort_by(f32::total_cmp));
    all
}

/// What is added to a neuron of these values.
fn step(values: &[f32]) -> f32 {
    let positive: Vec<f64> = values.iter().filter(|x| **x > 0.0).map(|x| f64::from(*x)).collect();
    if let [.., last] = positive.as_slice() {
        let at = 0.9 * (positive.len() - 1) as f64;
        let (below, share) = (positive[at as usize], at.fract());
        let above = positive.get(at as usize + 1).unwrap_or(last);
        return (0.2 * (below * (1.0 - share) + above * share)) as f32;
    }
    let n = values.len() as f64;
    let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum();
    (0.2 * (squares / (n - 1.0)).sqrt()) as f32
}

fn measured(name: &str, layer: usize, tokens: &[u32]) -> Effect {
    let model = OfflineModel::load(FolderSource::new(golden(name)).unwrap(), "").unwrap();
    Effect::measure(&model.engine, &contexts(), layer, tokens, 2, &|_, _| {}).unwrap()
}

const TOKENS: [u32; 3] = [4, 9, 40];

#[test]
fn the_effect_is_that_of_runs_with_edits() {
    for name in ["llama-gqa", "gpt2", "llama-dense-bias"] {
        let model = load(&golden(name), BackendChoice::Cpu).unwrap();
        let (d, layer) = (model.config().d_model, default_layer(model.config()));
        let effect = measured(name, layer, &TOKENS);
        let before = outcomes(&model, &[]);
        let values = values(&model, layer);
        // J of every token, by place, then neuron.
        let mut jacobian = vec![vec![vec![0.0f64; model.config().d_vocab]; d]; before.len()];
        for (index, values) in values.iter().enumerate() {
            let step = step(values);
            if step <= 0.0 {
                continue;
            }
            let after = outcomes(&model, &[Edit::add(layer, index, f64::from(step))]);
            for ((of, (_, before)), (_, after)) in jacobian.iter_mut().zip(&before).zip(after) {
                let slopes = before
                    .iter()
                    .zip(after)
                    .map(|(b, a)| f64::from(a - b) / f64::from(step));
                of[index] = slopes.collect();
            }
        }
        let count = before.len() as f64;
        let mean = |p: &[f64], row: &[f64]| p.iter().zip(row).map(|(p, j)| p * j).sum::<f64>();
        let mut fisher = vec![vec![0.0; d]; d];
        let (mut gain, mut weights) = (vec![0.0; d], 0.0);
        for (of, (p, _)) in jacobian.iter().zip(&before) {
            let means: Vec<f64> = of.iter().map(|row| mean(p, row)).collect();
            for i in 0..d {
                for k in 0..d {
                    let product: f64 = p.iter().zip(&of[i]).zip(&of[k]).map(|((p, a), b)| p * a * b).sum();
                    fisher[i][k] += (product - means[i] * means[k]) / count;
                }
            }
            let mass: f64 = TOKENS.iter().map(|id| p[*id as usize]).sum();
            weights += mass.powf(0.75);
            for i in 0..d {
                let of_tokens: f64 = TOKENS.iter().map(|id| p[*id as usize] * of[i][*id as usize]).sum();
                gain[i] += mass.powf(0.75) * (of_tokens / mass - means[i]);
            }
        }
        let size = (0..d).map(|i| fisher[i][i]).sum::<f64>() / d as f64;
        assert!(size > 0.0);
        fisher.iter_mut().enumerate().for_each(|(i, row)| row[i] += 1e-3 * size);
        // The step, computed twice, may differ in its last bit.
        let near = |a: f64, b: f64, size: f64| assert!((a - b).abs() <= 1e-3 * (a.abs() + size), "{name}: {a} {b}");
        for (i, row) in fisher.iter().enumerate() {
            near(effect.diagonal()[i], row[i], size);
            for (a, b) in effect.column(i).iter().zip(row) {
                near(*a, *b, size);
            }
        }
        let found = effect.gain(&TOKENS).unwrap();
        let largest = gain.iter().fold(0.0f64, |most, x| most.max(x.abs())) / weights;
        for (a, b) in found.iter().zip(&gain) {
            near(*a, b / weights, largest);
        }
        // A list of one is the best of all.
        let choice = choice::greedy(effect.diagonal(), &|i| effect.column(i), &found, 1);
        let score = |i: &usize| gain[*i] * gain[*i] / fisher[*i][*i];
        let best = (0..d).max_by(|a, b| score(a).total_cmp(&score(b))).unwrap();
        assert!(score(&choice.indices[0]) >= 0.99 * score(&best), "{name}");
    }
}

#[test]
fn small_edits_do_what_is_predicted() {
    let name = "llama-gqa";
    let model = load(&golden(name), BackendChoice::Cpu).unwrap();
    let layer = default_layer(model.config());
    let effect = measured(name, layer, &TOKENS);
    let gain = effect.gain(&TOKENS).unwrap();
    let choice = choice::greedy(effect.diagonal(), &|i| effect.column(i), &gain, 8);
    let strength = 0.05;
    let amounts = choice.amounts(8);
    let edits: Vec<Edit> = choice
        .indices
        .iter()
        .zip(&amounts)
        .map(|(index, amount)| Edit::add(layer, *index, strength * amount))
        .collect();
    let (before, after) = (outcomes(&model, &[]), outcomes(&model, &edits));
    let mass = |p: &[f64]| TOKENS.iter().map(|id| p[*id as usize]).sum::<f64>();
    let (mut rise, mut weights, mut divergence) = (0.0, 0.0, 0.0);
    for ((p, _), (q, _)) in before.iter().zip(&after) {
        weights += mass(p).powf(0.75);
        rise += mass(p).powf(0.75) * (mass(q) / mass(p)).ln();
        divergence += p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum::<f64>();
    }
    let predicted: f64 = choice
        .indices
        .iter()
        .zip(&amounts)
        .map(|(i, a)| gain[*i] * a * strength)
        .sum();
    let ratio = rise / weights / predicted;
    assert!(predicted > 0.0 && (0.7..1.4).contains(&ratio), "{ratio} of {predicted}");
    let nats = divergence / before.len() as f64 / (strength * strength);
    assert!((0.5..1.6).contains(&nats), "{nats}");
}

fn steer(model: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_topk-lm"));
    command
        .args(["steer", "--model"])
        .arg(model)
        .args(more)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn list(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_command_gives_edits_that_work() {
    let model = words::model(&folder("steer-model"));
    let arguments = [
        "--words",
        "boy,girl,Mia,ocean",
        "--words",
        "pets=dog,cat",
        "--size",
        "4",
    ];
    let output = steer(&model, &arguments);
    let recipes = list(&output);
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("no token of their own: ocean") && stderr.contains("pets: 4 neurons"),
        "{stderr}"
    );
    assert_eq!(recipes.as_array().unwrap().len(), 2);
    for (recipe, name) in recipes.as_array().unwrap().iter().zip(["boy", "pets"]) {
        assert_eq!(recipe["concept"], name);
        assert_eq!(
            (&recipe["tokens"], recipe["prompts"].as_array().unwrap().len()),
            (&60.into(), 12)
        );
        assert_eq!(recipe["judge"], "steer-model");
        assert_eq!(
            (&recipe["texts"], &recipe["temperature"], &recipe["seed"]),
            (&48.into(), &0.8.into(), &2.into())
        );
        let rate = |key: &str| recipe[key].as_f64().unwrap();
        assert!(rate("steered_rate") > 2.0 * rate("base_rate"), "{recipe}");
        assert!((0.0..=1.0).contains(&rate("success")) && rate("nll_ratio") > 0.5);
        let edits: Vec<Edit> = serde_json::from_value(recipe["edits"].clone()).unwrap();
        assert_eq!(edits.len(), 4);
        assert!(edits.iter().all(|edit| edit.layer == 2 && edit.value.unwrap() != 0.0));
        // As `generate` takes them.
        let mut command = Command::new(env!("CARGO_BIN_EXE_topk-lm"));
        command.args([
            "generate",
            "--backend",
            "cpu",
            "--prompt",
            "The boy",
            "--max-tokens",
            "5",
            "--model",
        ]);
        command.arg(&model);
        for edit in &edits {
            let value = edit.value.unwrap();
            command.args([
                "--edit",
                &format!("layer=2,index={},action=add,value={value}", edit.index),
            ]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    // Threads change no byte, nor do other concepts beside it.
    let alone = steer(&model, &["--words", "pets=dog,cat", "--size", "4", "--threads", "1"]);
    assert_eq!(list(&alone)[0], recipes[1]);
}

#[test]
fn a_list_is_kept_but_for_the_same_concept() {
    let model = words::model(&folder("steer-list-model"));
    let file = folder("steer-list").join("recipes.json");
    let kept = r#"[{"concept":"pets","words":["dog"],"edits":[]},{"concept":"other","note":1},{"concept":"pets"}]"#;
    std::fs::write(&file, kept).unwrap();
    let more = [
        "--out",
        file.to_str().unwrap(),
        "--size",
        "2",
        "--prompt",
        "The dog",
        "--prompt",
        "A boy",
        "--curve",
    ];
    let output = steer(&model, &[&["--words", "pets=dog,cat"][..], &more].concat());
    assert!(
        output.status.success() && output.stdout.is_empty(),
        "{}",
        text(&output.stderr)
    );
    assert!(
        text(&output.stderr).contains("16 neurons: "),
        "{}",
        text(&output.stderr)
    );
    let list = json(&file);
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[0]["edits"].as_array().unwrap().len(), 2);
    assert_eq!(list[0]["prompts"], serde_json::json!(["The dog", "A boy"]));
    assert_eq!(list[1], serde_json::json!({ "concept": "other", "note": 1 }));
    // A pipe is written, not read.
    #[cfg(unix)]
    {
        let more = [
            "--words",
            "dog",
            "--size",
            "1",
            "--prompt",
            "A boy",
            "--out",
            "/dev/stdout",
        ];
        assert_eq!(self::list(&steer(&model, &more))[0]["concept"], "dog");
    }
}

#[test]
fn what_cannot_be_steered_is_refused_in_one_line() {
    let model = words::model(&folder("steer-refused-model"));
    let file = folder("steer-refused").join("list.json");
    std::fs::write(&file, "{}").unwrap();
    let bare = golden("llama-gqa");
    let (path, other) = (file.to_str().unwrap(), bare.to_str().unwrap());
    let none = folder("steer-refused-prompts").join("none.txt");
    std::fs::write(&none, "").unwrap();
    let none = none.to_str().unwrap();
    let long = "The dog. ".repeat(200);
    let cases: [(&[&str], i32, &str); 14] = [
        (
            &["--words", "boy", "--prompts", none],
            1,
            "--prompts: there are 0 prompts",
        ),
        (&["--words", "boy", "--prompt", &long], 1, "--prompt: a prompt has"),
        (&["--words", "ocean,sea"], 1, "no token"),
        (&["--words", "boy,,girl"], 2, "commas"),
        (&[], 2, "--words"),
        (&["--words", "boy", "--words", "boy,girl"], 1, "two groups named boy"),
        (&["--words", "boy", "--size", "53"], 1, "--size is 53"),
        (&["--words", "boy", "--size", "0"], 1, "--size is 0"),
        (&["--words", "boy", "--layer", "4"], 1, "--layer is 4"),
        (&["--words", "boy", "--surprise", "1"], 1, "--surprise is 1"),
        (&["--words", "boy", "--judge", other], 1, "--judge"),
        (&["--words", "boy", "--out", path], 1, "list.json is not a JSON list"),
        (&["--words", "boy", "--prompts", "/nowhere.txt"], 1, "/nowhere.txt"),
        (&["--words", "boy", "--prompt", "a", "--prompts", "b"], 2, "--prompt"),
    ];
    for (arguments, code, word) in cases {
        let output = steer(&model, arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(
            stderr.lines().count() == 1 && stderr.contains(word),
            "{arguments:?}: {stderr}"
        );
        assert!(output.stdout.is_empty());
    }
    let output = steer(&bare, &["--words", "boy"]);
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("tokenizer.json"));
}
