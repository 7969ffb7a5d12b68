//! `topk-lm info` and the manners of the command: exit codes, one line on stderr.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{folder, golden, root, tiny};
use serde_json::{json, Value};
use topk_lm::checkpoint::{self, FolderSource};
use topk_lm::ops::weights::CpuWeights;

fn command(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_topk-lm")).args(args).output().unwrap()
}

/// `topk-lm … | head -3`, when head has gone.
fn unread(args: &[impl AsRef<std::ffi::OsStr>]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Command::new(env!("CARGO_BIN_EXE_topk-lm"))
        .args(args)
        .stdout(writer)
        .output()
        .unwrap()
}

#[test]
fn a_reader_that_has_gone_ends_the_command_quietly() {
    let folder = model("gone");
    let folder = folder.to_str().unwrap();
    let generate = [
        "generate",
        "--model",
        folder,
        "--backend",
        "cpu",
        "--ids",
        "3",
        "--max-tokens",
        "2",
    ];
    for args in [
        &["info", "--model", folder][..],
        &["info", "--model", folder, "--json"],
        &generate,
        &["--help"],
    ] {
        let output = unread(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

/// What is asked for is there, whoever reads what is said of it.
#[test]
fn files_are_written_though_the_reader_has_gone() {
    let models = ["gone-first", "gone-second"].map(model);
    let out = folder("gone-run").join("run.safetensors");
    let (golden, sae) = (golden("gpt2"), root().join("tests/goldens/saes/topk-resid-pre"));
    let manifest = ["manifest".as_ref(), models[0].as_os_str(), models[1].as_os_str()];
    let run = [
        "run".as_ref(),
        "--model".as_ref(),
        golden.as_os_str(),
        "--sae".as_ref(),
        sae.as_os_str(),
        "--ids".as_ref(),
        "1,2,3".as_ref(),
        "--backend".as_ref(),
        "cpu".as_ref(),
        "--out".as_ref(),
        out.as_os_str(),
    ];
    for args in [&manifest[..], &run[..]] {
        let output = unread(args);
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        assert_eq!(output.status.code(), Some(0));
    }
    for file in models
        .map(|folder| folder.join("manifest.json"))
        .into_iter()
        .chain([out])
    {
        assert!(file.is_file(), "{}", file.display());
    }
}

#[test]
fn a_message_is_never_long() {
    let folder = model("long");
    let folder = folder.to_str().unwrap();
    let long = "x".repeat(5000);
    let run = ["run", "--model", folder, "--ids", "3", "--backend", "cpu", "--out", "x"];
    for extra in [["--edit", &long], ["--hook", &long], ["--backend", &long]] {
        let output = command(&[&run[..], &extra].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && stderr.len() < 320 && stderr.lines().count() == 1,
            "{stderr}"
        );
    }
    std::fs::write(
        Path::new(folder).join("config.json"),
        format!("{{\"model_type\": \"{long}\"}}"),
    )
    .unwrap();
    assert!(failure(&["info", "--model", folder], 1).len() < 320);
}

/// The one line on stderr of a run that fails with `code`.
fn failure(args: &[&str], code: i32) -> String {
    let output = command(args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    assert!(stderr.starts_with("error: ") && stderr.ends_with('\n'), "{stderr}");
    stderr
}

/// The tiny model, with one training checkpoint.
fn model(name: &str) -> PathBuf {
    let folder = folder(name);
    std::fs::create_dir_all(folder.join("step7")).unwrap();
    std::fs::create_dir_all(folder.join("step07")).unwrap();
    std::fs::write(folder.join("config.json"), tiny::config().to_string()).unwrap();
    std::fs::write(
        folder.join("generation_config.json"),
        r#"{"temperature": 0.7, "top_p": 0.9}"#,
    )
    .unwrap();
    let bytes = tiny::safetensors(&tiny::SHAPES);
    std::fs::write(folder.join("model.safetensors"), &bytes).unwrap();
    std::fs::write(folder.join("step7/model.safetensors"), &bytes).unwrap();
    std::fs::write(folder.join("step07/model.safetensors"), &bytes).unwrap();
    folder
}

#[test]
fn info_of_a_small_model() {
    let folder = model("info-small");
    let output = command(&[
        "info",
        "--json",
        "--backend",
        "cpu",
        "--model",
        folder.to_str().unwrap(),
    ]);
    assert!(output.status.success() && output.stderr.is_empty());
    let info: Value = serde_json::from_slice(&output.stdout).unwrap();
    let numbers = 6 * 4 + 3 * 4 + 4 * 4 + 4 * 12 + 12 + 16 + 4 + 20 + 5 + 20 + 4 + 8;
    assert_eq!(info["parameters"], numbers);
    assert_eq!(
        info["tensors"],
        json!({"count": 16, "files": 1, "bytes": numbers * 4, "dtypes": {"F32": 16}})
    );
    // Rows of an odd number are one longer; beside the weights lie two sums of each column of q, k, v.
    let padded = numbers + (4 + 1) + 2 * 12;
    assert_eq!(
        info["memory"],
        json!({"weights_on_cpu": 4 * padded, "weights_on_gpu": 4 * padded, "keys_and_values_per_token": 32, "keys_and_values": 96})
    );
    assert_eq!(info["config"]["architecture"], "GPT2LMHeadModel");
    assert_eq!(info["config"]["topk_k"], 2);
    assert_eq!(info["config"]["eos_token_ids"], json!([1, 2]));
    assert_eq!(info["config"]["norm_eps"], 1e-5);
    assert_eq!(info["generation"]["temperature"], 0.7);
    assert_eq!(info["tokenizer"], Value::Null);
    assert_eq!(info["checkpoints"][0]["step"], 7);
    assert_eq!(info["checkpoints"].as_array().map(Vec::len), Some(1));

    let output = command(&["info", "--model", folder.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("\n  topk_k: 2\n") && text.contains(&format!("\nparameters: {numbers}\n")),
        "{text}"
    );
}

/// What `info` says of the memory is what a loaded model takes: 2 bytes a number of f16, 1 of 8 bits, a half of 4 beside its scales.
#[test]
fn weights_stay_as_stored() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let shipped = root.join("models/Llama-TopK-Stories-16M");
    let golden = |name: &str| root.join("tests/goldens/models").join(name);
    let step = format!("step{}/", FolderSource::new(&shipped).unwrap().steps().unwrap()[0]);
    for (folder, prefix) in [
        (shipped.clone(), ""),
        (shipped.clone(), step.as_str()),
        (golden("gpt2-odd-f16"), ""),
        (golden("llama-i8"), ""),
        (golden("llama-gptq"), ""),
    ] {
        let source = FolderSource::new(&folder).unwrap();
        let config = pollster::block_on(checkpoint::read_config(&source)).unwrap();
        let summary = pollster::block_on(checkpoint::summarize(&source, prefix, &config)).unwrap();
        let mut weights = CpuWeights::default();
        let mut progress = |_, _| ();
        let loading = checkpoint::load_weights(
            &source,
            prefix,
            &config,
            topk_lm::weights::KeptAs::Stored,
            &mut weights,
            &mut progress,
        );
        pollster::block_on(loading).unwrap();
        assert_eq!(weights.bytes() as u64, summary.cpu_bytes, "{}", folder.display());
        if folder == shipped {
            // Vectors are kept in f32.
            let (held, stored) = (summary.cpu_bytes as f64, summary.bytes as f64);
            assert!(held < 1.01 * stored && held > 0.99 * stored, "{held} {stored}");
        }
    }
}

#[test]
fn failures_are_one_line_and_name_the_file() {
    let folder = model("info-broken");
    let path = folder.to_str().unwrap();
    std::fs::write(folder.join("step7/model.safetensors"), [0; 30]).unwrap();
    assert!(failure(&["info", "--model", path], 1).contains("step7/model.safetensors"));
    std::fs::write(folder.join("tokenizer.json"), "{").unwrap();
    assert!(failure(&["info", "--model", path], 1).contains("tokenizer.json is not valid"));
    std::fs::write(folder.join("config.json"), "{\n\n").unwrap();
    assert!(failure(&["info", "--json", "--model", path], 1).contains("config.json is not valid JSON"));
    std::fs::remove_file(folder.join("config.json")).unwrap();
    let missing = format!("error: {path}: config.json is missing");
    for args in [
        &["info", "--model", path][..],
        &["manifest", path],
        &["generate", "--model", path, "--ids", "1", "--backend", "cpu"],
        &[
            "write",
            "--model",
            path,
            "--documents",
            "1",
            "--seed",
            "1",
            "--out",
            "x.jsonl",
        ],
    ] {
        assert!(failure(args, 1).starts_with(&missing));
    }
    assert!(failure(&["info", "--model", "no/such/folder"], 1).contains("no/such/folder is not a folder"));
    let gguf = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/goldens/gguf/qwen2.gguf");
    let said = failure(&["info", "--model", gguf], 1);
    assert!(
        said.contains("qwen2.gguf is a GGUF file; topk-lm convert makes a model folder of it"),
        "{said}"
    );
}

#[test]
fn command_lines_that_cannot_be_parsed() {
    for args in [
        &[][..],
        &["frobnicate"],
        &["info"],
        &["info", "--model"],
        &["info", "--model", "x", "--frobnicate"],
        &["info", "--model", "x", "--backend", "tpu"],
        &["info", "--model", "x", "y"],
        &["generate", "--model", "x"],
        &["generate", "--model", "x", "--prompt", "a", "--ids", "1"],
        &["generate", "--model", "x", "--ids", "1,b"],
        &["generate", "--model", "x", "--prompt", "a", "--edit", "layer=1"],
        &["run", "--model", "x", "--prompt", "a"],
    ] {
        failure(args, 2);
    }
    for args in [&["--help"][..], &["info", "--help"], &["--version"]] {
        let output = command(args);
        assert!(
            output.status.success() && output.stderr.is_empty() && !output.stdout.is_empty(),
            "{args:?}"
        );
    }
}

/// The weights that are used as examples during development; skipped where they are missing.
#[test]
fn info_of_real_models() {
    for (path, tensors, tokens) in [("prototype", 56, 4096), ("reference/stories260K", 47, 512)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(path);
        if !folder.join("config.json").exists() {
            println!("skipped: {} is not there", folder.display());
            continue;
        }
        let output = command(&["info", "--json", "--model", folder.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let info: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(info["tensors"]["count"], tensors);
        assert_eq!(info["tokenizer"]["tokens"], tokens);
    }
}
