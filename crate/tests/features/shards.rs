//! Shards, threads and interruptions.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{analyze, fails, files, folder, golden, succeeds};

fn merge(out: &Path, shards: &[PathBuf]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_topk-lm"));
    command.args(["merge", "--out"]).arg(out).args(shards);
    command
}

fn shards(model: &str, folder: &Path, count: usize) -> Vec<PathBuf> {
    (1..=count)
        .map(|i| {
            let out = folder.join(format!("shard{i}of{count}"));
            let threads = (i % 3 + 1).to_string();
            let part = format!("{i}/{count}");
            succeeds(analyze(
                &golden(model),
                &out,
                &["--shard", &part, "--threads", &threads, "--part", "3"],
            ));
            out
        })
        .collect()
}

#[test]
fn merged_shards_equal_one_pass_byte_for_byte() {
    for model in ["llama-gqa", "llama-dense-bias"] {
        let folder = folder(&format!("features-shards-{model}"));
        let whole = folder.join("whole");
        succeeds(analyze(&golden(model), &whole, &["--threads", "1"]));
        // 37 documents in 2 parts are uneven; in 40 some parts are empty.
        for count in [1, 2, 5, 40] {
            let mut parts = shards(model, &folder, count);
            parts.reverse();
            let merged = folder.join(format!("merged{count}"));
            succeeds(merge(&merged, &parts));
            assert!(files(&merged) == files(&whole), "{model}: {count} shards");
        }
    }
}

#[test]
fn what_is_no_whole_is_refused() {
    let folder = folder("features-refused");
    let parts = shards("llama-gqa", &folder, 3);
    let out = folder.join("out");
    // As many documents as an interrupted run can count at once; and as it would be with another tokenizer.json.
    let again = ["--shard", "2/3", "--part", &usize::MAX.to_string()];
    let statistics = parts[1].join("final.bin");
    let counted = std::fs::read(&statistics).unwrap();
    std::fs::remove_file(&statistics).unwrap();
    succeeds(analyze(&golden("llama-gqa"), &parts[1], &again));
    assert!(std::fs::read(&statistics).unwrap() == counted);
    let documents = [&parts[1], &parts[2]].map(|part| std::fs::read(part.join("documents.bin")).unwrap());
    std::fs::write(parts[1].join("documents.bin"), &documents[1]).unwrap();
    fails(
        analyze(&golden("llama-gqa"), &parts[1], &again),
        "documents.bin belongs to another run",
    );
    std::fs::write(parts[1].join("documents.bin"), &documents[0]).unwrap();
    fails(merge(&out, &parts[..2]), "end at document");
    fails(merge(&out, &parts[1..]), "begins with document");
    fails(
        merge(&out, &[parts[0].clone(), parts[0].clone()]),
        "begins with document",
    );
    fails(merge(&out, &[folder.join("nothing")]), "facts.json");
    let foreign = shards("llama-sharded", &folder.join("other"), 1);
    fails(
        merge(&out, &[parts[0].clone(), foreign[0].clone()]),
        "different analyses",
    );
    // Facts that speak of more than the files hold: room for it would be more than there is.
    let told = folder.join("told");
    std::fs::create_dir_all(&told).unwrap();
    for name in ["facts.json", "final.bin", "documents.bin"] {
        std::fs::copy(parts[0].join(name), told.join(name)).unwrap();
    }
    let path = told.join("facts.json");
    let mut facts: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let none = serde_json::json!(vec![[0; 0]; 1_000_000]);
    (facts["d_model"], facts["promoted"], facts["suppressed"]) = (1_000_000.into(), none.clone(), none);
    facts["layers"] = (0..4096).collect();
    std::fs::write(&path, facts.to_string()).unwrap();
    fails(
        merge(&out, std::slice::from_ref(&told)),
        "final.bin is too small for the 4096000000 neurons",
    );
    (facts["d_vocab"], facts["texts"], facts["clusters"]) = (1_000_000_000_000u64.into(), ().into(), ().into());
    std::fs::write(&path, facts.to_string()).unwrap();
    fails(merge(&out, &[told]), "is not what a run of analyze writes");
    for part in ["0/3", "4/3", "1", "1/0", "a/b"] {
        let output = analyze(&golden("llama-gqa"), &out, &["--shard", part])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{part}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
    }
    // An autoencoder's statistics are of a whole corpus.
    let output = analyze(&golden("llama-gqa"), &out, &["--shard", "1/3", "--sae", "somewhere"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("--sae"));
    assert_eq!(output.status.code(), Some(2));
    // A damaged byte, a cut file.
    let damaged = parts[2].join("final.bin");
    let whole = std::fs::read(&damaged).unwrap();
    for broken in [
        &whole[..whole.len() / 2],
        &[&whole[..99], &[whole[99] ^ 1], &whole[100..]].concat()[..],
        &[][..],
    ] {
        std::fs::write(&damaged, broken).unwrap();
        fails(merge(&out, &parts), "final.bin");
    }
    assert!(!out.join("index.json").exists());
    // Another corpus in a folder that has begun with this one.
    let mut other = Command::new(env!("CARGO_BIN_EXE_topk-lm"));
    let text = folder.join("other.jsonl");
    std::fs::write(&text, "{\"ids\":[0,1,2]}\n").unwrap();
    other
        .args(["analyze", "--shard", "1/3", "--model"])
        .arg(golden("llama-gqa"));
    other.arg("--corpus").arg(&text).arg("--out").arg(&parts[0]);
    fails(other, "another run");
}

/// Nothing of what is counted says so, and it would be found only behind the last document.
#[test]
fn an_infinite_head_is_told_at_once() {
    let model = folder("features-infinite");
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(golden("llama-gqa").join(name), model.join(name)).unwrap();
    }
    let path = model.join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..data]).unwrap();
    let head = data + header["lm_head.weight"]["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[head..head + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let out = folder("features-infinite-out");
    fails(analyze(&model, &out, &[]), "token 0 in the head");
    assert!(!out.join("analysis.part").exists());
}

#[test]
fn a_killed_run_goes_on_and_ends_the_same() {
    let folder = folder("features-resume");
    let (whole, broken) = (folder.join("whole"), folder.join("broken"));
    let model = golden("llama-gqa");
    succeeds(analyze(&model, &whole, &[]));
    let state = broken.join("analysis.part/final.bin");
    for _ in 0..4 {
        let mut run = analyze(&model, &broken, &["--part", "1", "--threads", "1"]);
        let mut child = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let before = std::fs::read(&state).ok();
        while std::fs::read(&state).ok() == before && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = succeeds(analyze(&model, &broken, &["--part", "1", "--json"]));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("{} documents were there from before", report["resumed"]);
    assert!(files(&broken) == files(&whole));
}
