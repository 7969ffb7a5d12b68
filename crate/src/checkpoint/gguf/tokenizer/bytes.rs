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
    let Some(pre) = header.text("tokenizer.ggml.pre")? else {
        return Ok(Err("tokenizer.ggml.pre, how its tokenizer cuts text, is missing".into()));
    };
    let cut = match pre {
        "gpt-2" => bytes(true),
        "smollm" => sequence(json!({ "type": "Digits", "individual_digits": true }), bytes(true)),
        "llama-bpe" | "llama3" | "llama-v3" => sequence(split(WORDS[0]), bytes(false)),
        "qwen2" | "deepseek-r1-qwen" => sequence(split(WORDS[1]), bytes(false)),
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
        "post_processor": first_token(header, tokens, pre.starts_with("llama"))?,
        "decoder": bytes(true),
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": pre.starts_with("llama"), "vocab": tokens.vocab(), "merges": pairs,
        },
    })))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::checkpoint::gguf::header::{Header, Value};
    use crate::checkpoint::gguf::tokenizer::{self, written_out, written_out::texts};

    fn header(more: &[(&str, Value)]) -> Header {
        let keys = [
            ("model", Value::Text("gpt2".into())),
            ("tokens", texts(&["a", "b", "ab", "<|begin|>", "<|eot_id|>", "<|im_end|>"])),
            ("token_type", Value::List([1, 1, 1, 3, 3, 1].map(Value::Int).to_vec())),
            ("merges", texts(&["a b"])),
            ("bos_token_id", Value::Int(3)),
        ];
        written_out::header(&keys, more)
    }

    /// As in llama.cpp, which looks at the name first.
    #[test]
    fn llama_3_begins_with_its_first_token_unless_the_file_says_otherwise() {
        let first = |more: &[(&str, Value)]| {
            let made = tokenizer::written(&header(more)).unwrap().unwrap();
            made["post_processor"]["special_tokens"]["<|begin|>"]["ids"].clone()
        };
        let pre = |name: &str| ("pre", Value::Text(name.into()));
        for name in ["llama-bpe", "llama3", "llama-v3"] {
            assert_eq!(first(&[pre(name)]), json!([3]));
            assert_eq!(first(&[pre(name), ("add_bos_token", Value::Bool(false))]), json!(null));
        }
        assert_eq!(first(&[pre("qwen2")]), json!(null));
        assert_eq!(first(&[pre("qwen2"), ("add_bos_token", Value::Bool(true))]), json!([3]));
    }

    /// As in llama.cpp.
    #[test]
    fn deepseeks_qwen_cuts_as_qwen() {
        let made = |pre: &str| tokenizer::written(&header(&[("pre", Value::Text(pre.into()))])).unwrap().unwrap();
        assert_eq!(made("deepseek-r1-qwen")["pre_tokenizer"], made("qwen2")["pre_tokenizer"]);
        assert_eq!(made("deepseek-r1-qwen")["normalizer"], json!(null));
    }

    /// Llama 3 and Qwen cut otherwise than GPT-2; the files from before the key do not say which they are.
    #[test]
    fn how_text_is_cut_is_not_guessed() {
        for (more, word) in [
            (vec![], "tokenizer.ggml.pre"),
            (vec![("pre", Value::Text("default".into()))], "\"default\", is not known"),
            (
                vec![("pre", Value::Text("gpt-2".into())), ("add_eos_token", Value::Bool(true))],
                "behind each text",
            ),
        ] {
            let why = tokenizer::written(&header(&more)).unwrap().unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }

    /// By its text, whatever the file says that it is, and it is no part of the text.
    #[test]
    fn a_turn_ends_a_text() {
        assert_eq!(tokenizer::ends(&header(&[])).unwrap(), [4, 5]);
        let made = tokenizer::written(&header(&[("pre", Value::Text("qwen2".into()))])).unwrap().unwrap();
        let added = made["added_tokens"].as_array().unwrap();
        let special: Vec<_> = added.iter().map(|token| (token["id"].clone(), token["special"].clone())).collect();
        assert_eq!(special, [3, 4, 5].map(|id| (json!(id), json!(true))));
        assert_eq!(tokenizer::id_of(&header(&[]), "eos").unwrap(), None);
        let of_deepseek = header(&[("tokens", texts(&["a", "b", "ab", "<｜end▁of▁sentence｜>"]))]);
        assert_eq!(tokenizer::ends(&of_deepseek).unwrap(), [3]);
    }

    #[test]
    fn control_tokens_of_phi_3_swallow_the_spaces_behind_them() {
        let strips = |name: &str| {
            let mut header = header(&[("pre", Value::Text("qwen2".into())), ("tokens", texts(&["a", "b", "ab", "<s>", "<|user|>", "c"]))]);
            header.values.insert("general.name".into(), Value::Text(name.into()));
            let made = tokenizer::written(&header).unwrap().unwrap();
            let added = made["added_tokens"].as_array().unwrap();
            added.iter().map(|token| token["rstrip"] == true).collect::<Vec<_>>()
        };
        assert_eq!(strips("Phi-3-mini-4k-instruct"), [false, true]);
        assert_eq!(strips("Llama"), [false, false]);
    }
}
