//! A shard of an analysis.

use std::cell::OnceCell;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};
use topk_lm::features::shard::{Shard, Whole};

use super::{words_of, wrong, Target};
use crate::common::tiny::{self, safetensors};
use crate::mutate;

const SHARD: [&str; 3] = ["facts.json", "documents.bin", "final.bin"];

/// A shard of an analysis of the tiny model, made by the command.
fn shard() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-shard-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.json"), tiny::config().to_string()).unwrap();
    std::fs::write(folder.join("model.safetensors"), safetensors(&tiny::SHAPES)).unwrap();
    std::fs::write(folder.join("corpus.jsonl"), "{\"ids\": [3, 4, 5]}\n{\"ids\": [5, 3]}\n").unwrap();
    let mut analyze = Command::new(env!("CARGO_BIN_EXE_topk-lm"));
    analyze
        .args(["analyze", "--threads", "1", "--shard", "1/1", "--model"])
        .arg(&folder)
        .arg("--corpus")
        .arg(folder.join("corpus.jsonl"));
    let output = analyze.arg("--out").arg(folder.join("out")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = SHARD
        .map(|name| (name.to_owned(), std::fs::read(folder.join("out").join(name)).unwrap()))
        .to_vec();
    let _ = std::fs::remove_dir_all(&folder);
    files
}

/// The files of an analysis' shard; those with a hash get the right one, or nothing behind it would be read.
pub fn target() -> Target {
    let seed: OnceCell<Vec<(String, Vec<u8>)>> = OnceCell::new();
    // In memory where there is such a place: each run writes three files.
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() {
        memory
    } else {
        Path::new(env!("CARGO_TARGET_TMPDIR"))
    };
    let folder = place.join(format!("topk-lm-fuzz-{}", std::process::id()));
    Target {
        name: "features",
        make: Box::new(move |rng| {
            let mut input = seed.get_or_init(shard).clone();
            let changed = rng.below(3);
            let bytes = &mut input[changed].1;
            if changed == 0 {
                let value: Value = serde_json::from_slice(bytes).unwrap();
                let words = words_of([&value]);
                *bytes = wrong(rng, &[value], &words);
            } else {
                bytes.truncate(bytes.len() - 32);
                mutate::bytes(rng, bytes);
                if !rng.one_in(20) {
                    let hash = Sha256::digest(&*bytes);
                    bytes.extend_from_slice(&hash);
                }
            }
            input
        }),
        run: Box::new(move |input| {
            std::fs::create_dir_all(&folder).unwrap();
            for (name, bytes) in input {
                std::fs::write(folder.join(name), bytes).unwrap();
            }
            let whole = Whole::read(&[Shard { folder: folder.clone() }]).map(|_| ());
            let _ = std::fs::remove_dir_all(&folder);
            Ok(whole?)
        }),
    }
}
