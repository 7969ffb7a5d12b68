//! A text without separator lines: all of it is read, in windows of the context.

use std::process::Command;

use crate::common::{json, root};
use crate::folder;
use serde_json::Value;
use topk_lm::{BackendChoice, Model};

#[test]
fn a_long_text_is_cut_into_windows() {
    let model_folder = root().join("models/Llama-TopK-Stories-16M");
    let text = "The dog ran to the park. Lily saw a big red ball, and she was happy.\n\n".repeat(40);
    let folder = folder("windows");
    let (corpus, out) = (folder.join("mine.txt"), folder.join("features"));
    std::fs::write(&corpus, &text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_topk-lm"))
        .args(["analyze", "--json", "--model"])
        .arg(&model_folder)
        .arg("--corpus")
        .arg(&corpus)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();

    let model = Model::open_on(&model_folder, BackendChoice::Cpu).unwrap();
    let (n_ctx, bos) = (model.config().n_ctx, model.config().bos_token_id.unwrap());
    let mut ids = model.encode_prompt(text.trim()).unwrap();
    ids.retain(|id| *id != bos);
    let windows = ids.len().div_ceil(n_ctx - 1);
    assert!(windows > 1);
    assert_eq!(said["cut"], 1);
    assert_eq!(said["windows"], windows);
    assert_eq!(said["documents"], windows);
    assert_eq!(said["tokens"], ids.len() + windows); // every token once, and a BOS for each window
    let notices = said["notices"].to_string();
    assert!(notices.contains(&format!("1 into {windows}")), "{notices}");
    let index = json(&out.join("index.json"));
    assert_eq!(index["corpus"]["documents"], windows);
    assert_eq!(index["corpus"]["positions"], ids.len());
}
