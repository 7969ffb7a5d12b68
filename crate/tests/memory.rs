//! A model that says its context is enormous takes memory for the text it reads, not for the context; and where memory ends, that is
//! the error `out-of-memory`, not the end of the process.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A tiny model with a context of 4,194,304.
fn model() -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens/models/llama-gqa");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("memory");
    std::fs::create_dir_all(&folder).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["max_position_embeddings"] = 4_194_304.into();
    std::fs::write(path, config.to_string()).unwrap();
    folder
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
    // Each position has a row as long as the context for each head.
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("memory.safetensors");
    let pattern = ["--hook", "blocks.0.attn.hook_pattern", "--out", out.to_str().unwrap()];
    let output = limited(300_000, &[&["run"], &common[..], &pattern].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.starts_with("error: there is no memory for") && stderr.lines().count() == 1,
        "{stderr}"
    );
}
