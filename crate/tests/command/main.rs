//! The command as a shell sees it: exit codes, the one line on stderr, the JSON on the last line, the files that it writes.

mod arguments;
#[path = "../common/mod.rs"]
mod common;
mod convert;
mod files;
mod info;
mod results;
mod steer;
mod topk;
mod turn;
mod write;

use std::process::{Command, Output};

fn topk_lm(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_topk-lm"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Fails with this code, and with one line on stderr that has `word` in it; nothing on stdout.
fn fails(arguments: &[&str], code: i32, word: &str) {
    let output = topk_lm(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    assert!(stderr.contains(word), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty());
}

/// `generate` on the CPU behind two ids, past an end of text.
fn generate(folder: &str, more: &[&str]) -> Output {
    let base = [
        "generate",
        "--model",
        folder,
        "--ids",
        "0,4",
        "--backend",
        "cpu",
        "--ignore-eos",
    ];
    topk_lm(&[&base[..], more].concat())
}
