//! A byte-level BPE: GGUF has its merges, and a name for how text is cut before them. The cuts are those that the models' own files have.

use serde_json::{json, Value as Json};

use super::{first_token, Tokens};
use crate::checkpoint::gguf::header::Header;
use crate::error::{fail, quoted, Result};

/// How Llama 3 and Qwen cut text; the first with up to three digits, the second with one.
const WORDS: [&str; 2] = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// `tokenizer.json`, or why it cannot be made.
pub fn written(header: &Header, tokens: &Tokens) -> Result<std::result::Result<Json, String>> {
    let bytes = |use_regex: bool| {
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex })
    };
    let split = |pattern: &str| {
        json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false })
    };
    let sequence = |first: Json, then: Json| json!({ "type": "Sequence", "pretokenizers": [first, then] });
    let pre = header.text("tokenizer.ggml.pre")?.unwrap_or("gpt-2");
    let cut = match pre {
        "gpt-2" | "default" => bytes(true),
        "smollm" => sequence(json!({ "type": "Digits", "individual_digits": true }), bytes(true)),
        "llama-bpe" | "llama3" | "llama-v3" => sequence(split(WORDS[0]), bytes(false)),
        "qwen2" => sequence(split(WORDS[1]), bytes(false)),
        other => return Ok(Err(format!("how its tokenizer cuts text, {}, is not known", quoted(other)))),
    };
    let merges = header.texts("tokenizer.ggml.merges")?;
    let mut pairs = Vec::with_capacity(merges.len());
    for merge in merges {
        match merge.split_once(' ') {
            Some((first, second)) => pairs.push(json!([first, second])),
            None => fail!(Checkpoint, "tokenizer.ggml.merges has {}, which is no pair", quoted(merge)),
        }
    }
    Ok(Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": tokens.added(),
        "normalizer": if pre == "qwen2" { json!({ "type": "NFC" }) } else { Json::Null },
        "pre_tokenizer": cut,
        "post_processor": first_token(header, tokens, false)?,
        "decoder": bytes(true),
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": pre.starts_with("llama"), "vocab": tokens.vocab(), "merges": pairs,
        },
    })))
}
