//! A small model that reads words.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::root;

/// Makes a golden model with a tokenizer of whole words, among them some that contrasts tell apart.
pub fn model(folder: &Path) -> PathBuf {
    let (model, golden) = (folder.to_owned(), root().join("tests/goldens/models/llama-gqa"));
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(golden.join(file), model.join(file)).unwrap();
    }
    let words = " was were is are he she The They the a Tom Mia saw boy girl dog cat happy sad . , !";
    let mut vocabulary = json!({ "<s>": 0, "<unk>": 1 });
    for (id, word) in (2..).zip(words.split_whitespace()) {
        let letters = word.starts_with(char::is_alphabetic);
        vocabulary[if letters { format!("Ġ{word}") } else { word.to_owned() }] = id.into();
    }
    for id in vocabulary.as_object().unwrap().len()..128 {
        vocabulary[format!("Ġx{id}")] = id.into();
    }
    let special = json!({ "id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true });
    let bytes = json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [special], "normalizer": null, "pre_tokenizer": bytes,
        "post_processor": null, "decoder": bytes, "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>" },
    });
    std::fs::write(model.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    model
}
