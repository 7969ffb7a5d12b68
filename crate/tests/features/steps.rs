//! Checkpoints, the dense twin's clusters, and the export's keys.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::json;
use crate::{analyze, fails, files, folder, golden, record, succeeds};

/// A copy of a golden model with `training_step` in its config.
fn copy(name: &str, to: &Path) -> PathBuf {
    std::fs::create_dir_all(to).unwrap();
    let mut config = json(&golden(name).join("config.json"));
    config["training_step"] = 9.into();
    std::fs::write(to.join("config.json"), config.to_string()).unwrap();
    weights(name, to);
    to.to_owned()
}

fn weights(name: &str, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::copy(golden(name).join("model.safetensors"), to.join("model.safetensors")).unwrap();
}

/// The weights of a golden model with every f32 tensor of two dimensions upside down.
fn other_weights(name: &str, to: &Path) {
    use topk_lm::checkpoint::{safetensors_bytes, OutputTensor};
    let tensors = crate::common::Tensors::open(&golden(name).join("model.safetensors")).all();
    let turned: Vec<(String, Vec<usize>, Vec<f32>)> = tensors
        .into_iter()
        .map(|(name, (shape, mut data))| {
            if shape.len() == 2 {
                data.reverse();
            }
            (name, shape, data)
        })
        .collect();
    let tensors: Vec<OutputTensor> = turned
        .iter()
        .map(|(name, shape, data)| OutputTensor::f32(name, shape, data))
        .collect();
    std::fs::create_dir_all(to).unwrap();
    std::fs::write(to.join("model.safetensors"), safetensors_bytes(&tensors).unwrap()).unwrap();
}

#[test]
fn checkpoints_are_compared_with_the_final_weights() {
    let folder = folder("features-steps");
    let model = copy("llama-gqa", &folder.join("model"));
    other_weights("llama-gqa", &model.join("step2"));
    weights("llama-gqa", &model.join("step5"));
    let out = folder.join("out");
    succeeds(analyze(&model, &out, &["--checkpoints"]));
    let index = json(&out.join("index.json"));
    assert_eq!(index["step"], 9);
    assert_eq!(index["steps"], serde_json::json!([2, 5, 9]));
    let columns = json(&out.join("steps/columns.json"));
    assert_eq!(columns["steps"], index["steps"]);
    let of = |name: &str, step: usize| columns["columns"][name][step].as_array().unwrap().clone();
    // Step 5 has the final weights; step 2 has others.
    for name in ["density", "max", "n", "token_entropy", "js_to_final"] {
        assert_eq!(of(name, 1), of(name, 2), "{name}");
    }
    assert!(of("js_to_final", 1).iter().all(|distance| *distance == 0));
    assert_ne!(of("density", 0), of("density", 2));
    assert!(of("semantic_entropy", 2).iter().all(Value::is_null));
    for name in ["density", "max", "n", "token_entropy"] {
        assert_eq!(of(name, 2), *index["columns"][name].as_array().unwrap(), "{name}");
    }
    let emergence = index["columns"]["emergence"].as_array().unwrap();
    let n = index["columns"]["n"].as_array().unwrap();
    for ((emergence, n), distance) in emergence.iter().zip(n).zip(of("js_to_final", 0)) {
        let expected = match (n.as_u64().unwrap() < 20, distance.as_f64().unwrap() <= 0.5) {
            (true, _) => Value::Null,
            (false, true) => 2.into(),
            (false, false) => 5.into(),
        };
        assert_eq!(*emergence, expected);
    }
    let tokens = json(&out.join("steps/layer1/16.json"))["neurons"][3].clone();
    let whole = record(&out, 1, 19);
    assert_eq!(tokens["index"], 19);
    let ten: Vec<Value> = whole["tokens"].as_array().unwrap().iter().take(10).cloned().collect();
    assert_eq!(*tokens["tokens"][2].as_array().unwrap(), ten);
    assert_eq!(tokens["tokens"][1], tokens["tokens"][2]);
    let place = index["d_model"].as_u64().unwrap() as usize + 19;
    for name in [
        "density",
        "max",
        "n",
        "token_entropy",
        "semantic_entropy",
        "js_to_final",
    ] {
        let column: Vec<Value> = (0..3).map(|step| of(name, step)[place].clone()).collect();
        assert_eq!(*tokens[name].as_array().unwrap(), column, "{name}");
    }

    // In shards, byte for byte.
    let shards: Vec<PathBuf> = (1..=3)
        .map(|i| {
            let shard = folder.join(format!("shard{i}"));
            succeeds(analyze(
                &model,
                &shard,
                &["--checkpoints", "--shard", &format!("{i}/3")],
            ));
            shard
        })
        .collect();
    let mut merge = std::process::Command::new(env!("CARGO_BIN_EXE_topk-lm"));
    merge.args(["merge", "--out"]).arg(folder.join("merged")).args(&shards);
    succeeds(merge);
    assert!(files(&folder.join("merged")) == files(&out));
}

#[test]
fn eight_bit_checkpoints_are_read() {
    let folder = folder("features-steps-i8");
    let model = copy("llama-i8", &folder.join("model"));
    weights("llama-i8", &model.join("step3"));
    let out = folder.join("out");
    succeeds(analyze(&model, &out, &["--checkpoints"]));
    let columns = json(&out.join("steps/columns.json"));
    assert_eq!(columns["columns"]["max"][0], columns["columns"]["max"][1]);
    std::fs::write(
        model.join("config.json"),
        std::fs::read(golden("llama-i8").join("config.json")).unwrap(),
    )
    .unwrap();
    fails(
        analyze(&model, &folder.join("without"), &["--checkpoints"]),
        "training_step",
    );
}

#[test]
fn clusters_come_from_the_twin_and_from_a_dense_model_itself() {
    let folder = folder("features-clusters");
    let (out, alone) = (folder.join("out"), folder.join("alone"));
    let twin = golden("llama-dense-bias");
    let same_vocabulary = json(&twin.join("config.json"))["vocab_size"]
        == json(&golden("llama-abs-relu").join("config.json"))["vocab_size"];
    assert!(same_vocabulary, "the goldens changed: choose another twin");
    succeeds(analyze(
        &golden("llama-abs-relu"),
        &out,
        &["--twin", twin.to_str().unwrap()],
    ));
    let index = json(&out.join("index.json"));
    assert_eq!(index["clusters"]["source"], "../llama-dense-bias");
    let clusters = json(&out.join("clusters.json"));
    assert_eq!(clusters["linkage"], "average");
    let cluster: Vec<u64> = clusters["cluster"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_u64)
        .collect();
    assert_eq!(cluster.len(), 96);
    assert_eq!(
        index["clusters"]["count"].as_u64(),
        cluster.iter().max().map(|last| last + 1)
    );
    for (semantic, token) in columns(&index, "semantic_entropy")
        .iter()
        .zip(columns(&index, "token_entropy"))
    {
        assert!(
            semantic.as_f64() <= token.as_f64().map(|bits| bits + 1e-3),
            "{semantic} {token}"
        );
    }
    succeeds(analyze(&golden("llama-abs-relu"), &alone, &[]));
    let index = json(&alone.join("index.json"));
    assert!(index["clusters"].is_null() && columns(&index, "semantic_entropy").iter().all(Value::is_null));
    let own = folder.join("own");
    succeeds(analyze(&twin, &own, &[]));
    assert_eq!(json(&own.join("index.json"))["clusters"]["source"], ".");
    assert_eq!(json(&own.join("clusters.json"))["cluster"], clusters["cluster"]);
    fails(
        analyze(&golden("llama-abs-relu"), &folder.join("no"), &["--twin", "/nowhere"]),
        "/nowhere",
    );
}

/// What config.json or manifest.json names is read without a question, and its name is published.
#[test]
fn a_twin_that_a_file_names_lies_beside_the_model() {
    let folder = folder("features-twin");
    let model = copy("llama-abs-relu", &folder.join("model"));
    let twin = copy("llama-dense-bias", &folder.join("twin"));
    let name = |twin: &str| {
        let mut config = json(&model.join("config.json"));
        config["dense_twin"] = twin.into();
        std::fs::write(model.join("config.json"), config.to_string()).unwrap();
    };
    let manifest = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_topk-lm"));
        command.arg("manifest").arg(&model);
        command
    };
    for elsewhere in [
        twin.to_str().unwrap(),
        "../../features-twin/twin",
        "../model/../twin",
        "..",
        "twin",
    ] {
        name(elsewhere);
        fails(analyze(&model, &folder.join("no"), &[]), "choose another with --twin");
        fails(manifest(), "it must be ../NAME");
    }
    // The one that is chosen comes first.
    succeeds(analyze(
        &model,
        &folder.join("chosen"),
        &["--twin", twin.to_str().unwrap()],
    ));
    name("../twin");
    succeeds(manifest());
    let out = folder.join("out");
    succeeds(analyze(&model, &out, &[]));
    assert_eq!(json(&out.join("index.json"))["clusters"]["source"], "../twin");
}

fn columns(index: &Value, name: &str) -> Vec<Value> {
    index["columns"][name].as_array().unwrap().clone()
}
