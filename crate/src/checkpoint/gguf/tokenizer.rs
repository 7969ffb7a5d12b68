//! The `tokenizer.json` of a byte-level BPE: GGUF has its tokens and merges, and a name for how text is cut before them. The cuts are those that
//! the models' own files have.

use serde_json::{json, Map, Value as Json};

use super::header::{Header, Value};
use crate::error::{fail, quoted, Result};

/// Kinds of tokens: of control, and added by those who made the model.
const CONTROL: i64 = 3;
const ADDED: i64 = 4;

/// How Llama 3 and Qwen cut text; the first with up to three digits, the second with one.
const WORDS: [&str; 2] = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// `tokenizer.json`, or why it cannot be made.
pub fn written(header: &Header) -> Result<std::result::Result<Json, String>> {
    let model = header.text("tokenizer.ggml.model")?;
    if model != Some("gpt2") {
        let model = model.map_or("without a name".to_owned(), |name| format!("of the kind {}", quoted(name)));
        return Ok(Err(format!("its tokenizer, {model}, is no byte-level BPE and was not converted")));
    }
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
    let tokens = header.texts("tokenizer.ggml.tokens")?;
    let merges = header.texts("tokenizer.ggml.merges")?;
    let kinds = match header.values.get("tokenizer.ggml.token_type") {
        None => &[][..],
        Some(Value::List(kinds)) => kinds,
        Some(_) => fail!(Checkpoint, "tokenizer.ggml.token_type must be a list"),
    };
    let kind = |id: usize| match kinds.get(id) {
        Some(Value::Int(kind)) => *kind,
        _ => 1,
    };
    let mut pairs = Vec::with_capacity(merges.len());
    for merge in merges {
        match merge.split_once(' ') {
            Some((first, second)) => pairs.push(json!([first, second])),
            None => fail!(Checkpoint, "tokenizer.ggml.merges has {}, which is no pair", quoted(merge)),
        }
    }
    let added = tokens.iter().enumerate().filter(|(id, _)| [CONTROL, ADDED].contains(&kind(*id)));
    let added = added.map(|(id, content)| {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": kind(id) == CONTROL,
        })
    });
    let added: Vec<Json> = added.collect();
    let vocab: Map<String, Json> = tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id.into())).collect();
    Ok(Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": if pre == "qwen2" { json!({ "type": "NFC" }) } else { Json::Null },
        "pre_tokenizer": cut,
        "post_processor": first_token(header, &tokens)?,
        "decoder": bytes(true),
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": pre.starts_with("llama"), "vocab": vocab, "merges": pairs,
        },
    })))
}

/// What puts the first token before a text, where the file says so.
fn first_token(header: &Header, tokens: &[&str]) -> Result<Json> {
    let bos = header.integer("tokenizer.ggml.bos_token_id")?.and_then(|id| usize::try_from(id).ok());
    let token = bos.and_then(|id| Some((id, *tokens.get(id)?)));
    let (Some((id, token)), Some(true)) = (token, header.boolean("tokenizer.ggml.add_bos_token")?) else {
        return Ok(Json::Null);
    };
    let first = json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let text = |name: &str, kind: u8| json!({ "Sequence": { "id": name, "type_id": kind } });
    let mut special = Map::new();
    special.insert(token.to_owned(), json!({ "id": token, "ids": [id], "tokens": [token] }));
    Ok(json!({
        "type": "TemplateProcessing",
        "single": [first, text("A", 0)],
        "pair": [first, text("A", 0), first, text("B", 1)],
        "special_tokens": special,
    }))
}
