//! What the tests of the tokenizer share: files of two kinds, and streams.

mod random;
mod reference;
mod refused;
mod text;

use std::rc::Rc;

use serde_json::{json, Value};

use super::*;

fn added(id: u32, content: &str) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        "special": true})
}

/// Byte-level BPE with BOS in front, as the shipped models have it; `ab`, ` a`, and all single bytes.
fn byte_level_bpe() -> Value {
    let alphabet = (0u32..=255).map(|byte| {
        let printable = matches!(byte, 33..=126 | 0xa1..=0xac | 0xae..=0xff);
        let others = (0u32..byte)
            .filter(|b| !matches!(b, 33..=126 | 0xa1..=0xac | 0xae..=0xff))
            .count() as u32;
        char::from_u32(if printable { byte } else { 256 + others })
            .unwrap()
            .to_string()
    });
    let tokens = ["<s>".to_string()]
        .into_iter()
        .chain(alphabet)
        .chain(["ab".into(), "Ġa".into(), "âĤ".into()]);
    let vocab: serde_json::Map<_, _> = tokens
        .zip(0..)
        .map(|(token, id): (String, u32)| (token, id.into()))
        .collect();
    let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [added(0, "<s>")], "normalizer": null,
        "pre_tokenizer": level, "decoder": level,
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab,
            "merges": [["a", "b"], ["Ġ", "a"], ["â", "Ĥ"]]}})
}

/// Sentencepiece's way in the dress of transformers: ▁ for a space, bytes for what is unknown.
fn sentencepiece_bpe() -> Value {
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).to_vec();
    tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    tokens.extend(["▁", "a", "b", "▁a", "ab", "é", "▁▁"].map(String::from));
    let vocab: serde_json::Map<_, _> = tokens
        .into_iter()
        .zip(0u32..)
        .map(|(token, id)| (token, id.into()))
        .collect();
    json!({"version": "1.0", "added_tokens": [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null, "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab,
            "merges": ["▁ a", "a b", "▁ ▁"]}})
}

fn with(mut file: Value, pointer: &str, value: Value) -> Value {
    *file.pointer_mut(pointer).unwrap() = value;
    file
}

fn read(file: &Value, d_vocab: usize) -> Result<Tokenizer> {
    Tokenizer::from_bytes(file.to_string().as_bytes(), d_vocab)
}

/// Pieces of the stream, the last from the flush.
fn streamed(tokenizer: &Rc<Tokenizer>, ids: &[u32], skip_special: bool) -> Vec<String> {
    pieces(StreamDecoder::new(tokenizer.clone(), skip_special), ids)
}

/// The same of ids that come after others.
fn streamed_after(tokenizer: &Rc<Tokenizer>, before: &[u32], ids: &[u32], skip_special: bool) -> Vec<String> {
    pieces(StreamDecoder::after(tokenizer.clone(), skip_special, before).unwrap(), ids)
}

fn pieces(mut stream: StreamDecoder, ids: &[u32]) -> Vec<String> {
    let mut pieces: Vec<String> = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
    pieces.push(stream.flush());
    assert_eq!(stream.flush(), "");
    pieces
}
