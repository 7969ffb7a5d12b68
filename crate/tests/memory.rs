//! A model that says its context is enormous takes memory for the text it reads, not for the context; and where memory ends, that is
//! the error `out-of-memory`, not the end of the process.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A copy of a tiny model.
fn copied(name: &str) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens/models/llama-gqa");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    folder
}

/// One with a context of 4,194,304.
fn model() -> PathBuf {
    let folder = copied("memory");
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["max_position_embeddings"] = 4_194_304.into();
    std::fs::write(path, config.to_string()).unwrap();
    folder
}

/// A tokenizer that makes 4,096 bytes, and as many tokens, of each "a".
#[test]
fn a_text_that_its_tokenizer_makes_huge_is_an_error() {
    let folder = copied("growing");
    let tokenizer = serde_json::json!({
        "added_tokens": [],
        "normalizer": {"type": "Replace", "pattern": {"String": "a"}, "content": "b".repeat(4096)},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
    });
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let text = "a".repeat(10_000);
    let common = [
        "generate",
        "--backend",
        "cpu",
        "--model",
        folder.to_str().unwrap(),
        "--prompt",
    ];
    let output = limited(2_000_000, &[&common[..], &[&text]].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.starts_with("error: there is no memory for") && stderr.lines().count() == 1,
        "{stderr}"
    );
    let short = limited(2_000_000, &[&common[..], &["aa"]].concat());
    assert_eq!(
        String::from_utf8_lossy(&short.stderr),
        "error: the prompt has 8192 tokens, but the model's context holds 64\n"
    );
}

/// The command, where a process may have so many KiB.
fn limited(kib: usize, args: &[&str]) -> Output {
    let script = format!("ulimit -v {kib}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_topk-lm")]).args(args);
    command.output().unwrap()
}

#[test]
fn memory_is_for_the_text_and_not_for_the_context() {
    let folder = model();
    let folder = folder.to_str().unwrap();
    let common = ["--model", folder, "--backend", "cpu", "--ids", "3,1,4"];
    let output = limited(
        300_000,
        &[&["generate", "--temperature", "0", "--max-tokens", "100"], &common[..]].concat(),
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Each position has a row as long as the text for each head.
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("memory.safetensors");
    let pattern = ["--hook", "blocks.0.attn.hook_pattern", "--out", out.to_str().unwrap()];
    let output = limited(300_000, &[&["run"], &common[..], &pattern].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let long = vec!["1"; 4000].join(",");
    let output = limited(300_000, &[&["run"], &common[..5], &[&long], &pattern].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.starts_with("error: there is no memory for") && stderr.lines().count() == 1,
        "{stderr}"
    );
}
