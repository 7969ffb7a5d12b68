//! Neurons that turn one word into another: the same as on the site (tests/turn_vectors.json), with effects that edits have, and what is wrong said.

use std::process::{Command, Output};

use crate::common::{folder, golden, json, load_on, root};
use serde_json::Value;
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, RunOptions};
use topk_lm::turn::{self, RANDOM};
use topk_lm::{Edit, Positions};

const MODEL: &str = "models/Llama-TopK-Stories-16M";

fn topk_lm(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_topk-lm"));
    command
        .current_dir(root())
        .arg("turn")
        .args(arguments)
        .output()
        .unwrap()
}

/// A text may end with a token beyond the context.
#[test]
fn a_prompt_may_fill_the_context() {
    let model = load_on(&golden("llama-gqa"), BackendChoice::Cpu).unwrap();
    let n_ctx = model.config().n_ctx;
    for length in [n_ctx - 3, n_ctx] {
        let prompt: Vec<u32> = (0..length as u32).map(|i| i * i % 61 + 1).collect();
        let places = turn::places(&model, &prompt, &[vec![5], vec![6]], 4).unwrap();
        assert!(places.iter().all(|ids| ids.len() <= n_ctx), "{places:?}");
        assert_eq!(places.len() > 1, length < n_ctx);
    }
    let sides = [vec![5], vec![6]];
    let error = turn::places(&model, &[1], &sides, 9).unwrap_err().to_string();
    assert!(error.contains("--places is 9"), "{error}");
    // After its end a text goes nowhere.
    for first in 1..20 {
        let places = turn::places(&model, &[first], &sides, 8).unwrap();
        let is_end = |ids: &Vec<u32>| model.eos_token_ids().contains(&ids[ids.len() - 1]);
        assert!(places.len() > 1 && !places.iter().any(is_end), "{places:?}");
    }
}

#[test]
fn the_site_finds_the_same_and_edits_do_it() {
    let Some(model) = load_on(&root().join(MODEL), BackendChoice::Cpu) else {
        return;
    };
    let vectors = json(&root().join("tests/turn_vectors.json"));
    let neurons = turn::settable(&root().join(MODEL).join("features"), &model).unwrap();
    assert!(neurons.len() > 4 * RANDOM);
    let ids: Vec<u32> = (0..model.config().d_vocab as u32).collect();
    let vocabulary = model.tokenizer().unwrap().tokens(&ids).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let text = |name: &str| case[name].as_str().unwrap();
        let sides = turn::sides(&vocabulary, text("from"), text("to")).unwrap();
        let prompt = model.encode_prompt(text("prompt")).unwrap();
        let places = turn::places(&model, &prompt, &sides, 4).unwrap();
        let decoded = places
            .iter()
            .map(|ids| model.tokenizer().unwrap().decode(ids, true).unwrap());
        assert_eq!(Value::from(decoded.collect::<Vec<_>>()), case["places"]);
        let mut heard = Vec::new();
        let found = turn::turning(&model, &neurons, &places, &sides, &mut |done, total| {
            heard.push((done, total))
        })
        .unwrap();
        let total = sides.concat().len() * places.len() * neurons.len();
        assert_eq!((heard[0], heard.last()), ((0, total), Some(&(total, total))));
        assert_eq!(case["found"], found.len());
        for (one, expected) in found.iter().zip(case["turning"].as_array().unwrap()) {
            assert_eq!(
                (&expected[0], &expected[1]),
                (&one.neuron.layer.into(), &one.neuron.index.into())
            );
            assert!((one.effect - expected[2].as_f64().unwrap()).abs() < 1e-3, "{one:?}");
            assert!(
                (one.times - expected[3].as_f64().unwrap()).abs() < 1e-3 && one.times > 1.0,
                "{one:?}"
            );
        }

        let first = found[0];
        let turned = places.iter().map(|ids| {
            let last = Positions::Range {
                from: ids.len() - 1,
                to: ids.len(),
            };
            let value = f64::from(first.neuron.value);
            let edit = Edit::clamp(first.neuron.layer, first.neuron.index, value).positions(last);
            let [with, without] = [vec![edit], vec![]].map(|edits| {
                let options = RunOptions {
                    edits,
                    ..RunOptions::default()
                };
                let logits = pollster::block_on(model.run(ids, &options, &Cancel::default()))
                    .unwrap()
                    .logits
                    .data;
                let [from, to] = sides.each_ref().map(|ids| {
                    let parts = ids.iter().map(|id| f64::from(logits[*id as usize]).exp());
                    parts.sum::<f64>().ln()
                });
                to - from
            });
            with - without
        });
        let mean = turned.sum::<f64>() / places.len() as f64;
        assert!((mean - first.effect).abs() < 1e-4, "{mean} {first:?}");
    }
}

#[test]
fn the_command_prints_edits_and_says_what_is_wrong() {
    let base = [
        "--model",
        MODEL,
        "--backend",
        "cpu",
        "--prompt",
        "They had a little",
        "--places",
        "0",
        "--most",
        "3",
    ];
    let output = topk_lm(&[&base[..], &["--from", "dog", "--to", "cat"]].concat());
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(
        output.status.success() && stderr.contains("turn “dog” into “cat” after the prompt"),
        "{stderr}"
    );
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&found["from"], &found["to"]), (&" dog".into(), &" cat".into()));
    let turning = found["turning"].as_array().unwrap();
    assert!(
        turning.len() == 3
            && found["found"].as_u64() >= Some(3)
            && found["places"] == serde_json::json!(["They had a little"])
    );
    let as_edit = turning[0].as_object().unwrap();
    assert!(["layer", "index", "action", "value", "effect", "times"]
        .iter()
        .all(|field| as_edit.contains_key(*field)));

    // No byte of it takes room.
    let (large, other) = (folder("turn-large"), folder("turn-other"));
    let sparse = std::fs::File::create(large.join("index.json")).unwrap();
    sparse.set_len((1 << 30) + 1).unwrap();
    std::fs::write(other.join("index.json"), "{}").unwrap();
    let [large, other] = [&large, &other].map(|path| path.to_str().unwrap());
    for (more, said) in [
        (
            &["--from", "qwxyz", "--to", "cat"][..],
            "--from: “qwxyz” is not one token",
        ),
        (&["--from", "dog", "--to", "dog"], "“dog” is on both sides"),
        (
            &["--from", "dog", "--to", "cat", "--features", "docs"],
            "error: docs/index.json cannot be read: ",
        ),
        (
            &["--from", "dog", "--to", "cat", "--features", large],
            "index.json is larger than the limit of 1073741824 bytes",
        ),
        (
            &["--from", "dog", "--to", "cat", "--features", other],
            "index.json is not valid: missing field `layers`",
        ),
    ] {
        let output = topk_lm(&[&base[..], more].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
    drop(sparse);
    std::fs::remove_dir_all(large).unwrap();
    let other = golden("llama-gqa");
    let features = root().join(MODEL).join("features");
    let [model, features] = [&other, &features].map(|path| path.to_str().unwrap());
    let wrong = [
        "--model",
        model,
        "--features",
        features,
        "--prompt",
        "a",
        "--from",
        "a",
        "--to",
        "b",
        "--backend",
        "cpu",
    ];
    let stderr = String::from_utf8(topk_lm(&wrong).stderr).unwrap();
    assert!(
        stderr.contains("these are not the statistics of this model"),
        "{stderr}"
    );
}
