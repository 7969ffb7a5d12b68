//! `topk-lm analyze` and `merge`: the counters against a recomputation from hooks; shards, threads and interruptions change no byte.

mod beyond;
#[path = "../common/mod.rs"]
mod common;
mod counters;
mod gpu;
mod live;
mod reader;
mod shards;
mod steps;
mod windows;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub use common::{folder, golden};
use common::{json, root};
use serde_json::Value;

/// 37 short documents over tokens that all golden models have; one is longer than the contexts of 64, one has special tokens inside.
pub fn corpus() -> PathBuf {
    root().join("tests/features_corpus.jsonl")
}

/// The ids of each document, in windows of the context; each begins with BOS, which is 0 in all golden models.
pub fn documents(n_ctx: usize) -> Vec<Vec<u32>> {
    let text = std::fs::read_to_string(corpus()).unwrap();
    let mut all = Vec::new();
    for line in text.lines() {
        let mut ids = common::ids(&serde_json::from_str::<Value>(line).unwrap()["ids"]);
        while ids.len() > n_ctx {
            let rest = ids.split_off(n_ctx);
            let bos = (ids[0] == 0).then_some(0);
            all.push(std::mem::replace(&mut ids, bos.into_iter().chain(rest).collect()));
        }
        all.push(ids);
    }
    all
}

pub fn analyze(model: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_topk-lm"));
    command
        .args(["analyze", "--model"])
        .arg(model)
        .arg("--corpus")
        .arg(corpus());
    command.arg("--out").arg(out).args(more);
    command
}

pub fn succeeds(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Fails with code 1 and one line on stderr that has `word` in it.
pub fn fails(mut command: Command, word: &str) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.lines().count() == 1 && stderr.contains(word), "{stderr}");
}

/// Every file below a folder with its bytes, by path.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((
                    path.strip_prefix(folder).unwrap().to_owned(),
                    std::fs::read(&path).unwrap(),
                ));
            }
        }
    }
    found.sort();
    found
}

/// The record of a neuron.
pub fn record(features: &Path, layer: usize, index: usize) -> Value {
    let start = index - index % 16;
    json(&features.join(format!("layer{layer}/{start}.json")))["neurons"][index - start].clone()
}

/// The layers that are analysed: those with a cut, all of a dense model.
pub fn layers(name: &str) -> Vec<usize> {
    let model = common::load(&golden(name), topk_lm::session::BackendChoice::Cpu).unwrap();
    let config = model.config();
    let all = 0..config.n_layers;
    all.filter(|layer| config.topk.is_none() || config.is_topk_block(*layer))
        .collect()
}
