//! `topk-lm convert` and `topk-lm manifest`: the same model in other files, and what a site offers of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{golden, golden_models, json, root, Tensors};
use serde_json::Value;
use topk_lm::checkpoint::{safetensors_bytes, OutputTensor};
use topk_lm::{BackendChoice, LogitRows, Model, RunOptions};

/// An empty folder of this name.
fn folder(name: &str) -> PathBuf {
    crate::common::folder(&format!("convert/{name}"))
}

fn topk_lm(command: &str, folders: &[&Path], more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_topk-lm"))
        .arg(command)
        .args(folders)
        .args(more)
        .output()
        .unwrap()
}

fn convert(from: &Path, to: &Path, more: &[&str]) -> Value {
    let output = topk_lm("convert", &[from, to], &[more, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Fails with code 1 and one line on stderr that has `word` in it.
fn fails(output: &Output, word: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.lines().count() == 1 && stderr.contains(word), "{stderr}");
}

fn logits(folder: &Path) -> Vec<f32> {
    let model = Model::open_on(folder, BackendChoice::Cpu).unwrap();
    let options = RunOptions {
        logits: LogitRows::All,
        ..RunOptions::default()
    };
    model.run_now(&[3, 1, 4, 1, 5, 9, 2, 6], &options).unwrap().logits.data
}

/// Copies the files of a model.
fn copy(from: &Path, name: &str) -> PathBuf {
    let to = folder(name);
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
    to
}

#[test]
fn autoencoders_that_are_left_out_are_named() {
    let from = copy(&golden("llama-gqa"), "with-saes");
    std::fs::create_dir(from.join("saes")).unwrap();
    let said = convert(&from, &folder("without-saes"), &[]);
    assert!(said["notices"][0].as_str().unwrap().contains("saes/ was left out"));
}

#[test]
fn a_model_in_shards_is_the_same_model() {
    for model in golden_models() {
        let name = model.file_name().unwrap().to_string_lossy().into_owned();
        let to = folder(&format!("shards-{name}"));
        let said = convert(&model, &to, &["--shard-size", "16KiB"]);
        let files = said["files"].as_u64().unwrap() as usize;
        assert!(files > 1, "{name}");
        let index = json(&to.join("model.safetensors.index.json"));
        assert_eq!(index["metadata"]["total_size"], said["bytes"]);
        assert!(to.join(format!("model-{files:05}-of-{files:05}.safetensors")).exists());
        assert_eq!(logits(&to), logits(&model), "{name}");
        // And back into one file.
        let whole = folder(&format!("whole-{name}"));
        assert_eq!(convert(&to, &whole, &[])["files"], 1);
        assert_eq!(logits(&whole), logits(&model), "{name}");
    }
}

#[test]
fn numbers_are_stored_in_16_8_and_4_bits() {
    for model in golden_models() {
        let name = model.file_name().unwrap().to_string_lossy().into_owned();
        let full = logits(&model);
        let largest = full.iter().fold(0f32, |most, logit| most.max(logit.abs()));
        for (dtype, off) in [("f16", 0.02), ("int8", 0.2), ("int4", 0.35)] {
            let to = folder(&format!("{dtype}-{name}"));
            let said = convert(&model, &to, &["--dtype", dtype]);
            // A random TopK model amplifies: another neuron may win. Most logits stay near.
            let mut differences: Vec<f32> = logits(&to).iter().zip(&full).map(|(a, b)| (a - b).abs()).collect();
            differences.sort_by(f32::total_cmp);
            let median = differences[differences.len() / 2];
            assert!(median <= off * largest, "{name} {dtype}: {median} of {largest}");
            let again = folder(&format!("{dtype}-again-{name}"));
            assert_eq!(convert(&to, &again, &["--dtype", dtype])["bytes"], said["bytes"]);
            let bytes = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
            assert!(bytes(&again) == bytes(&to), "{name} {dtype}");
        }
    }
}

/// q · scale is at most half a step off, and the largest magnitude of a row is ±127: of a Linear its outputs, of GPT-2's Conv1D its columns.
#[test]
fn eight_bits_are_by_output() {
    for (name, tensor, by_column) in [
        ("llama-gqa", "model.layers.1.mlp.down_proj.weight", false),
        ("gpt2", "transformer.h.1.mlp.c_proj.weight", true),
    ] {
        let model = root().join("tests/goldens/models").join(name);
        let to = folder(&format!("rule-{name}"));
        convert(&model, &to, &["--dtype", "int8"]);
        let before = Tensors::open(&model.join("model.safetensors")).all();
        let key = [tensor, tensor.strip_prefix("transformer.").unwrap_or(tensor)]
            .into_iter()
            .find(|key| before.contains_key(*key))
            .unwrap();
        let (shape, numbers) = &before[key];
        let bytes = std::fs::read(to.join("model.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let (eight, scale) = (file.tensor(key).unwrap(), file.tensor(&format!("{key}.scale")).unwrap());
        assert_eq!(
            (eight.dtype(), scale.dtype()),
            (safetensors::Dtype::I8, safetensors::Dtype::F32)
        );
        let scales: Vec<f32> = scale
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        let mut reached = vec![0u8; scales.len()];
        for (at, (&q, &x)) in eight.data().iter().zip(numbers).enumerate() {
            let output = if by_column { at % shape[1] } else { at / shape[1] };
            let q = q as i8;
            reached[output] = reached[output].max(q.unsigned_abs());
            assert!(
                (f32::from(q) * scales[output] - x).abs() <= scales[output] * 0.5001,
                "{name} at {at}"
            );
        }
        assert!(reached.iter().all(|most| *most == 127));
    }
}

#[test]
fn checkpoints_come_along_and_statistics_do_not() {
    let to = folder("shipped");
    let said = convert(
        &root().join("models/Llama-TopK-Stories-16M"),
        &to,
        &["--shard-size", "5MB"],
    );
    assert!(said["files"].as_u64().unwrap() >= 2);
    assert!(!said["steps"].as_array().unwrap().is_empty());
    assert!(said["notices"][0].as_str().unwrap().contains("features/"));
    assert!(!to.join("features").exists());
    assert!(to.join("tokenizer.json").exists());
    let model = Model::open_on(&to, BackendChoice::Cpu).unwrap();
    let options = topk_lm::GenerateOptions {
        max_tokens: Some(8),
        sampling: topk_lm::SamplingOptions::at(0.0),
        ..Default::default()
    };
    let text = model.write("Once upon a time", &options).unwrap();
    assert!(text.starts_with(", there was a little girl"), "{text}");

    // Its manifest names every shard and every step: those that have weights, in folders named as the number is written.
    std::fs::create_dir(to.join("step9")).unwrap();
    std::fs::copy(to.join("config.json"), to.join("step9/config.json")).unwrap();
    std::fs::create_dir(to.join("step07")).unwrap();
    std::fs::copy(
        to.join("model.safetensors.index.json"),
        to.join("step07/model.safetensors.index.json"),
    )
    .unwrap();
    assert!(topk_lm("manifest", &[&to], &[]).status.success());
    let manifest = json(&to.join("manifest.json"));
    assert_eq!(manifest["steps"], said["steps"]);
    let paths: Vec<&str> = manifest["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert!(
        paths.contains(&"model.safetensors.index.json") && !paths.contains(&"README.md"),
        "{paths:?}"
    );
    assert!(!paths.iter().any(|path| path.starts_with("step07/")), "{paths:?}");
    assert!(topk_lm("manifest", &[&to], &["--check"]).status.success());
    // Links that lead in circles, on 2^40 ways.
    #[cfg(unix)]
    for link in ["a", "b"] {
        std::os::unix::fs::symlink(".", to.join(link)).unwrap();
    }
    assert!(topk_lm("manifest", &[&to], &["--check"]).status.success());
    std::fs::write(to.join("recipes.json"), "[]").unwrap();
    fails(
        &topk_lm("manifest", &[&to], &["--check"]),
        "is out of date: run topk-lm manifest",
    );
}

/// A copy shows what a link leads to; those of Hugging Face's cache lead to its own blobs.
#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_not_followed() {
    use std::os::unix::fs::symlink;
    let cache = folder("cache");
    let (blobs, snapshot) = (cache.join("blobs"), cache.join("snapshots/4f1e"));
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir(&blobs).unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(
            root().join("tests/goldens/models/llama-gqa").join(name),
            blobs.join(name),
        )
        .unwrap();
        symlink(Path::new("../../blobs").join(name), snapshot.join(name)).unwrap();
    }
    std::fs::write(blobs.join("card"), "a card").unwrap();
    symlink("../../blobs/card", snapshot.join("README.md")).unwrap();
    let to = folder("from-cache");
    convert(&snapshot, &to, &[]);
    assert_eq!(std::fs::read(to.join("README.md")).unwrap(), b"a card");
    std::fs::write(cache.join("secret"), "a secret").unwrap();
    for target in [Path::new("../../secret"), &cache.join("secret")] {
        std::fs::remove_file(snapshot.join("README.md")).unwrap();
        symlink(target, snapshot.join("README.md")).unwrap();
        let to = folder("from-elsewhere");
        fails(
            &topk_lm("convert", &[&snapshot, &to], &[]),
            "README.md is a link that leads out of the folder",
        );
        assert!(std::fs::read_dir(&to).unwrap().next().is_none());
    }
    // Elsewhere a folder of that name is like any other.
    let model = copy(&root().join("tests/goldens/models/llama-gqa"), "beside-blobs/model");
    symlink(blobs.join("card"), model.join("LICENSE")).unwrap();
    fails(
        &topk_lm("convert", &[&model, &folder("from-beside")], &[]),
        "LICENSE is a link that leads out of the folder",
    );
}

/// A manifest lists, and its file takes the place of, what the folder itself has.
#[cfg(unix)]
#[test]
fn a_manifest_stays_in_its_folder() {
    use std::os::unix::fs::symlink;
    let outside = folder("manifest-outside");
    let (victim, secret) = (outside.join("victim"), outside.join("secret.json"));
    for file in [&victim, &secret] {
        std::fs::write(file, "untouched").unwrap();
    }
    let model = copy(&root().join("tests/goldens/models/llama-gqa"), "manifest-links");
    let manifest = model.join("manifest.json");
    // Nothing of it is offered: nobody looks there.
    symlink("/", model.join("elsewhere")).unwrap();
    for draft in [false, true] {
        let link = if draft {
            model.join("manifest.json.draft")
        } else {
            manifest.clone()
        };
        let _ = std::fs::remove_file(&manifest);
        symlink(&victim, &link).unwrap();
        let output = topk_lm("manifest", &[&model], &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!link.is_symlink() && manifest.is_file());
        assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
    }
    let of_files = std::fs::read(&manifest).unwrap();
    std::fs::create_dir(model.join("features")).unwrap();
    for (target, name) in [
        (&secret, "features/secret.json"),
        (&outside, "features/layer0"),
        (&outside, "step1"),
        (&secret, "recipes.json"),
    ] {
        symlink(target, model.join(name)).unwrap();
        fails(
            &topk_lm("manifest", &[&model], &[]),
            &format!("{name} is a link that leads out of the folder"),
        );
        std::fs::remove_file(model.join(name)).unwrap();
    }
    std::fs::remove_file(&manifest).unwrap();
    symlink("/dev/zero", &manifest).unwrap();
    fails(&topk_lm("manifest", &[&model], &["--check"]), "is out of date");
    assert!(topk_lm("manifest", &[&model], &[]).status.success());
    assert_eq!(std::fs::read(&manifest).unwrap(), of_files);
}

/// What the npm package would not read.
#[test]
fn a_manifest_lists_4096_checkpoints_at_most() {
    let model = copy(&root().join("tests/goldens/models/llama-gqa"), "many-steps");
    for step in 0..4097 {
        let folder = model.join(format!("step{step}"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("model.safetensors"), "").unwrap();
    }
    let many = format!(
        "error: {} has 4097 training checkpoints; a manifest may list 4096",
        model.display()
    );
    fails(&topk_lm("manifest", &[&model], &[]), &many);
    assert!(!model.join("manifest.json").exists());
    std::fs::remove_dir_all(model.join("step7")).unwrap();
    assert!(topk_lm("manifest", &[&model], &[]).status.success());
}

#[test]
fn what_cannot_be_converted_is_named() {
    let model = root().join("tests/goldens/models/llama-gqa");
    // What comes along is small.
    let card = copy(&model, "large-card");
    std::fs::File::create(card.join("README.md"))
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    fails(
        &topk_lm("convert", &[&card, &folder("large-card-converted")], &[]),
        "README.md is larger than the limit of 268435456 bytes",
    );
    let full = folder("full");
    std::fs::write(full.join("something"), "").unwrap();
    fails(&topk_lm("convert", &[&model, &full], &[]), "is not an empty folder");
    let within_a_file = full.join("something/new");
    fails(
        &topk_lm("convert", &[&model, &within_a_file], &[]),
        &format!("error: {} cannot be made", within_a_file.display()),
    );
    fails(
        &topk_lm("convert", &[&root().join("docs"), &folder("none")], &[]),
        "config.json is missing",
    );
    fails(
        &topk_lm("manifest", &[&root().join("docs")], &[]),
        "config.json is missing",
    );
    let before = Tensors::open(&model.join("model.safetensors")).all();
    for (name, value, dtype, word) in [
        ("large", 1e6f32, "f16", "does not fit into f16"),
        ("nan", f32::NAN, "int8", "infinite or NaN"),
    ] {
        let broken = copy(&model, name);
        let mut tensors = before.clone();
        tensors.get_mut("model.layers.0.mlp.up_proj.weight").unwrap().1[7] = value;
        let outputs: Vec<OutputTensor> = tensors
            .iter()
            .map(|(name, (shape, data))| OutputTensor::f32(name, shape, data))
            .collect();
        // In a training step: the model's own weights are written by then, and do not stay.
        let step = broken.join("step3");
        std::fs::create_dir_all(&step).unwrap();
        std::fs::write(step.join("model.safetensors"), safetensors_bytes(&outputs).unwrap()).unwrap();
        let (empty, new) = (folder("out"), folder("out").join("new"));
        for to in [&empty, &new] {
            let output = topk_lm("convert", &[&broken, to], &["--dtype", dtype]);
            fails(&output, "model.layers.0.mlp.up_proj.weight");
            fails(&output, word);
        }
        assert!(std::fs::read_dir(&empty).unwrap().next().is_none());
    }
    let output = topk_lm("convert", &[&model, &folder("out")], &["--shard-size", "big"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("must be a size like 20MB"));
}
