//! Whatever the ids, the text, or the file.

use std::rc::Rc;

use proptest::prelude::*;
use serde_json::{json, Value};

use super::*;

/// Every kind of decoder that is supported.
fn kinds() -> Vec<Value> {
    let words =
        json!({"[UNK]": 0, "a": 1, "##b": 2, "ab</w>": 3, "a</w>": 4, "▁a": 5, "▁": 6, ".": 7, "don": 8, "'t": 9});
    let word_level = json!({"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"});
    let word_piece = json!({"type": "WordPiece", "vocab": words, "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100});
    let unigram = json!({"type": "Unigram", "unk_id": 0, "byte_fallback": false,
        "vocab": [["<unk>", 0.0], ["▁", -1.0], ["a", -1.5], ["▁a", -2.0], ["b", -3.0], ["▁▁", -2.5]]});
    let metaspace = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
    let file = |model: &Value, pre: Value, decoder: Value| {
        json!({"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": pre, "post_processor": null,
            "decoder": decoder, "model": model})
    };
    let whitespace = json!({"type": "Whitespace"});
    let level = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
    let two =
        json!({"type": "Sequence", "decoders": [level, {"type": "Strip", "content": " ", "start": 2, "stop": 0}]});
    let strip = json!([{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
        {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 3, "stop": 0}]);
    vec![
        byte_level_bpe(),
        sentencepiece_bpe(),
        with(sentencepiece_bpe(), "/decoder/decoders", strip),
        with(sentencepiece_bpe(), "/decoder", json!({"type": "ByteFallback"})),
        with(byte_level_bpe(), "/decoder", two),
        file(&word_level, whitespace.clone(), Value::Null),
        file(
            &word_piece,
            whitespace.clone(),
            json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
        ),
        file(&word_level, whitespace, json!({"type": "BPEDecoder", "suffix": "</w>"})),
        file(&unigram, metaspace.clone(), metaspace.clone()),
        file(
            &word_level,
            json!({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}]}),
            metaspace,
        ),
    ]
}

proptest! {
    /// Whatever the ids: the stream gives what decoding at once gives, never U+FFFD for a character that is merely cut.
    #[test]
    fn a_stream_equals_decoding_at_once(kind in 0usize..10, raw in prop::collection::vec(any::<u32>(), 0..40), skip in any::<bool>()) {
        let tokenizer = Rc::new(read(&kinds()[kind], 280).unwrap());
        // Mostly ids that exist; small vocabularies are hit often.
        let bound = if tokenizer.len() < 30 { tokenizer.len() as u32 + 2 } else { 280 };
        let ids: Vec<u32> = raw.iter().map(|id| id % bound).collect();
        prop_assert_eq!(streamed(&tokenizer, &ids, skip).concat(), tokenizer.decode(&ids, skip).unwrap());
    }

    /// Text and what a stream makes of the ids after it are the text of all ids, unless those change the text.
    #[test]
    fn a_stream_goes_on_after_a_text(kind in 0usize..10, raw in prop::collection::vec(any::<u32>(), 1..20), at in any::<prop::sample::Index>()) {
        let tokenizer = Rc::new(read(&kinds()[kind], 280).unwrap());
        let bound = if tokenizer.len() < 30 { tokenizer.len() as u32 + 2 } else { 280 };
        let ids: Vec<u32> = raw.iter().map(|id| id % bound).collect();
        let (before, behind) = ids.split_at(at.index(ids.len()));
        let (text, all) = (tokenizer.decode(before, true).unwrap(), tokenizer.decode(&ids, true).unwrap());
        let settled = text.trim_start().is_empty() == text.is_empty() && !text.ends_with('\u{fffd}');
        if let Some(rest) = all.strip_prefix(&text).filter(|_| settled) {
            prop_assert_eq!(streamed_after(&tokenizer, before, behind, true).concat(), rest);
        }
    }

    #[test]
    fn text_comes_back_from_byte_level_ids(text in any::<String>()) {
        let tokenizer = Rc::new(read(&byte_level_bpe(), 260).unwrap());
        let ids = tokenizer.encode(&text).unwrap();
        prop_assert_eq!(streamed(&tokenizer, &ids, true).concat(), text);
    }

    /// A file with values replaced or bytes changed is read or refused; nothing panics, whatever is done with it.
    #[test]
    fn mutated_files(
        kind in 0usize..10,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0usize..16), 1..4),
        bytes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = kinds().swap_remove(kind);
        for (place, value) in changes {
            let pointers = pointers(&file);
            if let Some(target) = file.pointer_mut(&pointers[place.index(pointers.len())]) {
                *target = [json!(null), json!(0), json!(-1), json!(1), json!(u64::MAX), json!(1e300), json!(""), json!(" "), json!("a"),
                    json!("▁"), json!([]), json!({}), json!(true), json!(false), json!(["a", "b"]), json!("(a|a)*")][value].clone();
            }
        }
        let mut text = file.to_string().into_bytes();
        exercise(&text);
        for (place, byte) in bytes {
            let at = place.index(text.len());
            text[at] = byte;
        }
        exercise(&text);
        exercise(&text[..cut.index(text.len())]);
    }
}

/// Paths of all values but those of the vocabulary, which would drown the others.
fn pointers(file: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), file)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(map) if map.len() < 50 => {
                open.extend(map.iter().map(|(key, value)| (format!("{path}/{key}"), value)))
            }
            Value::Array(list) => open.extend(list.iter().enumerate().map(|(i, value)| (format!("{path}/{i}"), value))),
            _ => {}
        }
        if !path.is_empty() {
            found.push(path);
        }
    }
    found
}

fn exercise(bytes: &[u8]) {
    let Ok(tokenizer) = Tokenizer::from_bytes(bytes, 280) else {
        return;
    };
    let tokenizer = Rc::new(tokenizer);
    for text in [
        "",
        " ",
        "ab a  €<s> é</s>\u{0}",
        "▁▁ a##b",
        "aaaaaaaaaaaaaaaaaaaaaaaaab don't.",
    ] {
        if let Ok(ids) = tokenizer.encode(text) {
            let _ = tokenizer.tokens(&ids).unwrap();
        }
    }
    let ids: Vec<u32> = (0..280).collect();
    assert_eq!(
        streamed(&tokenizer, &ids, true).concat(),
        tokenizer.decode(&ids, true).unwrap()
    );
}
