use std::path::PathBuf;
use std::rc::Rc;

use proptest::prelude::*;
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

fn read(file: &Value, d_vocab: usize) -> Result<Tokenizer> {
    Tokenizer::from_bytes(file.to_string().as_bytes(), d_vocab)
}

/// Pieces of the stream, the last from the flush.
fn streamed(tokenizer: &Rc<Tokenizer>, ids: &[u32], skip_special: bool) -> Vec<String> {
    let mut stream = StreamDecoder::new(tokenizer.clone(), skip_special);
    let mut pieces: Vec<String> = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
    pieces.push(stream.flush());
    assert_eq!(stream.flush(), "");
    pieces
}

#[test]
fn byte_level() {
    let tokenizer = Rc::new(read(&byte_level_bpe(), 300).unwrap());
    let ids = tokenizer.encode("ab a€").unwrap();
    assert_eq!(ids[..3], [0, 257, 258]);
    assert_eq!(ids[3], 259);
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "ab a€");
    assert_eq!(tokenizer.decode(&ids, false).unwrap(), "<s>ab a€");
    assert_eq!(
        tokenizer.tokens(&ids).unwrap(),
        ["<s>", "ab", " a", "\u{fffd}", "\u{fffd}"]
    );
    assert_eq!(streamed(&tokenizer, &ids, true), ["", "ab", " a", "", "€", ""]);
    // A character that never ends, and one that is broken off.
    assert_eq!(streamed(&tokenizer, &[259], true), ["", "\u{fffd}"]);
    assert_eq!(streamed(&tokenizer, &[259, 257], true), ["", "\u{fffd}ab", ""]);
    assert_eq!(tokenizer.encode("").unwrap(), [0]);
    assert_eq!(tokenizer.decode(&[], true).unwrap(), "");
    assert_eq!(tokenizer.len(), 260);
}

#[test]
fn sentencepiece() {
    let tokenizer = Rc::new(read(&sentencepiece_bpe(), 266).unwrap());
    let (space, a, under_a) = (259, 260, 262);
    assert_eq!(tokenizer.encode("a a").unwrap(), [under_a, under_a]);
    assert_eq!(tokenizer.decode(&[1, under_a, under_a], true).unwrap(), "a a");
    assert_eq!(
        tokenizer.tokens(&[1, under_a, a, 3 + 0xe2]).unwrap(),
        ["<s>", " a", "a", "\u{fffd}"]
    );
    assert_eq!(streamed(&tokenizer, &[1, under_a, under_a], true), ["", "a", " a", ""]);
    assert_eq!(
        streamed(&tokenizer, &[space, space, under_a, 2], true),
        ["", " ", " a", "", ""]
    );
    let euro = [3 + 0xe2, 3 + 0x82, 3 + 0xac].map(|id: u32| id);
    assert_eq!(
        streamed(&tokenizer, &[&euro[..], &[a]].concat(), true),
        ["", "", "", "€a", ""]
    );
    assert_eq!(streamed(&tokenizer, &euro, true), ["", "", "", "€"]);
}

#[test]
fn ids_beyond_the_vocabulary() {
    let tokenizer = Rc::new(read(&byte_level_bpe(), 258).unwrap());
    assert_eq!(
        tokenizer.encode("ab a").unwrap_err().to_string(),
        "tokenizer.json gives \"Ġa\" the id 258, but the model has 258 tokens"
    );
    for error in [
        tokenizer.decode(&[258], true).unwrap_err(),
        tokenizer.tokens(&[0, 258]).unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "token id 258 is beyond the model's 258 tokens");
    }
    assert!(StreamDecoder::new(tokenizer, true).push(258).is_err());
    // The model may have more tokens than the tokenizer: such ids have no text.
    let tokenizer = Rc::new(read(&byte_level_bpe(), 300).unwrap());
    assert_eq!(tokenizer.decode(&[257, 299, 257], true).unwrap(), "abab");
    assert_eq!(tokenizer.tokens(&[299]).unwrap(), [""]);
    assert_eq!(streamed(&tokenizer, &[257, 299], true), ["ab", "", ""]);
}

#[test]
fn truncation_and_padding_are_left_out() {
    let truncation = json!({"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 5});
    let padding = json!({"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
        "pad_type_id": 0, "pad_token": "<s>"});
    let file = with(with(byte_level_bpe(), "/truncation", truncation), "/padding", padding);
    assert_eq!(read(&file, 300).unwrap().encode("abab").unwrap(), [0, 257, 257]);
}

#[test]
fn what_the_crate_would_panic_on_is_refused() {
    let (level, piece) = (byte_level_bpe, sentencepiece_bpe);
    let strip = |stop: u32| json!({"type": "Strip", "content": " ", "start": 0, "stop": stop});
    let replace = |content: &str| json!({"type": "Replace", "pattern": {"String": "a"}, "content": content});
    let mut swallowing = json!([added(0, "<s>"), added(260, " ")]);
    (swallowing[0]["rstrip"], swallowing[1]["lstrip"]) = (true.into(), true.into());
    let mut vanishing = added(260, "  ");
    vanishing["normalized"] = true.into();
    let stripping = json!({"type": "Strip", "strip_left": true, "strip_right": true});
    let cases = [
        (
            with(level(), "/post_processor/special_tokens", json!({})),
            "post_processor: \"<s>\" is not among special_tokens",
        ),
        (
            with(level(), "/post_processor/special_tokens/<s>/ids", json!([0, 0])),
            "must have as many ids as tokens",
        ),
        (
            with(level(), "/post_processor/single/1/Sequence/id", json!("B")),
            "single must not name a second sequence",
        ),
        (
            with(
                level(),
                "/post_processor",
                json!({"type": "Sequence", "processors": [level()["post_processor"], level()["post_processor"]]}),
            ),
            "only one TemplateProcessing",
        ),
        (
            with(piece(), "/decoder/decoders/3", strip(1)),
            "stop of Strip must be 0",
        ),
        (
            with(
                level(),
                "/decoder",
                json!({"type": "CTC", "pad_token": "", "word_delimiter_token": "", "cleanup": true}),
            ),
            "type \"CTC\"",
        ),
        (with(level(), "/decoder", json!([1])), "decoder must be an object"),
        (
            with(
                level(),
                "/normalizer",
                json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
            ),
            "type \"Precompiled\"",
        ),
        (
            with(level(), "/normalizer", json!({"precompiled_charsmap": "AAAA"})),
            "normalizer: type \"\"",
        ),
        (
            with(piece(), "/normalizer/normalizers", Value::Null),
            "normalizers of Sequence must be a list",
        ),
        (
            with(piece(), "/normalizer/normalizers/1/pattern", json!({"String": ""})),
            "matches one character or more",
        ),
        (
            with(level(), "/normalizer", json!({"type": "Prepend", "prepend": ""})),
            "prepend of Prepend must not be empty",
        ),
        (
            with(piece(), "/decoder/decoders/1", json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true})),
            "decoder: ByteLevel must come first",
        ),
        (
            with(piece(), "/decoder/decoders/3", json!({"type": "WordPiece", "prefix": "##", "cleanup": true})),
            "decoder: WordPiece must come before Fuse",
        ),
        (
            with(piece(), "/decoder/decoders/3", json!({"type": "ByteFallback"})),
            "decoder: ByteFallback must come first",
        ),
        (
            with(piece(), "/decoder/decoders/3", json!({"type": "Replace", "pattern": {"String": "ab"}, "content": "c"})),
            "decoder: Replace of more than one character must come before Fuse",
        ),
        (
            with(
                level(),
                "/normalizer",
                json!({"type": "Sequence", "normalizers": [replace(&"a".repeat(99)), replace(&"a".repeat(99))]}),
            ),
            "more than 4096 bytes of one",
        ),
        (
            with(level(), "/pre_tokenizer", json!({"type": "FixedLength", "length": 0})),
            "length of FixedLength",
        ),
        (with(level(), "/model/dropout", json!(0.1)), "dropout must be null or 0"),
        (
            with(level(), "/model/continuing_subword_prefix", json!("##")),
            "shorter than the prefix",
        ),
        (
            with(level(), "/model/type", json!("Neural")),
            "type \"Neural\" is not supported",
        ),
        (with(level(), "/model", Value::Null), "model is missing"),
        (
            with(level(), "/decoder", json!({"type": "BPEDecoder", "suffix": ""})),
            "must be the only decoder and have a suffix",
        ),
        (
            with(level(), "/decoder", json!({"type": "BPEDecoder", "suffix": "s"})),
            "\"<s>\" has the suffix \"s\" inside",
        ),
        (with(level(), "/model/merges/0", json!(["a", "zzz"])), "is not valid"),
        (with(level(), "/version", json!("2.0")), "is not valid"),
        (
            with(level(), "/added_tokens/0", added(7, "<s>")),
            "\"<s>\" cannot have the id 7",
        ),
        (with(level(), "/added_tokens", swallowing), "must not have lstrip"),
        (
            with(
                with(level(), "/added_tokens", json!([added(0, "<s>"), vanishing])),
                "/normalizer",
                stripping,
            ),
            "normalized to nothing",
        ),
    ];
    for (file, expected) in cases {
        let error = read(&file, 300).map(|_| ()).unwrap_err();
        assert_eq!(error.code(), Code::Tokenizer);
        let message = error.to_string();
        assert!(
            message.starts_with("tokenizer.json") && message.contains(expected),
            "{expected}: {message}"
        );
    }
    for empty in ["a*", "", "$", "\\b", "a{0,1000}", "(?=a)", "(?<!a)", "a|", "(a?)b?", "(?>a*)", "(a)?\\1", "a\\K", "(?:a\\K)", "^", "\\G"] {
        for key in ["/normalizer", "/decoder"] {
            let replace = json!({"type": "Replace", "pattern": {"Regex": empty}, "content": "<s>"});
            let message = read(&with(level(), key, replace), 300).map(|_| ()).unwrap_err().to_string();
            assert!(message.contains("matches one character or more"), "{empty}: {message}");
        }
    }
    for some in [" {2,}", "\\s+", "a(?=b)", "(?<=a) ", "[^a]", "(a|b)\\1", "\\p{L}", "."] {
        let replace = json!({"type": "Replace", "pattern": {"Regex": some}, "content": "_"});
        read(&with(level(), "/normalizer", replace), 300).unwrap();
    }
    let long = json!({"type": "Unigram", "unk_id": 0, "vocab": [["a".repeat(100_000), 0.0]]});
    assert!(read(&with(level(), "/model", long), 300)
        .map(|_| ())
        .unwrap_err()
        .to_string()
        .contains("has more than 1024 bytes"));
    for bytes in [
        &b""[..],
        b"{",
        b"[]",
        b"{\"decoder\": {\"type\": \"ByteLevel\", \"x\": 1e999}}",
        b"{\"decoder\": {",
    ] {
        assert!(Tokenizer::from_bytes(bytes, 9).is_err());
    }
}

#[test]
fn every_normalizer_is_taken() {
    for normalizer in [
        json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true}),
        json!({"type": "ByteLevel"}),
        json!({"type": "Lowercase"}),
        json!({"type": "NFC"}),
        json!({"type": "NFD"}),
        json!({"type": "NFKC"}),
        json!({"type": "NFKD"}),
        json!({"type": "Nmt"}),
        json!({"type": "Prepend", "prepend": "▁"}),
        json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"}),
        json!({"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": ""}),
        json!({"type": "Strip", "strip_left": true, "strip_right": true}),
        json!({"type": "StripAccents"}),
    ] {
        for sequence in [json!([normalizer]), json!([normalizer, {"type": "NFD"}, {"type": "StripAccents"}, normalizer])] {
            let all = json!({"type": "Sequence", "normalizers": sequence});
            let tokenizer = Rc::new(read(&with(byte_level_bpe(), "/normalizer", all), 300).unwrap());
            for text in PROBES {
                tokenizer.encode(text).unwrap();
            }
        }
    }
}

#[test]
fn files_older_than_the_type_of_a_model() {
    let mut file = byte_level_bpe();
    file["model"].as_object_mut().unwrap().remove("type");
    assert_eq!(read(&file, 300).unwrap().encode("ab").unwrap(), [0, 257]);
}

/// Files that are not part of the repository; the test says so where they are missing.
fn shared(path: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared")
        .join(path);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        println!("skipped: {} is not there", path.display());
    }
    bytes
}

#[test]
fn reference_ids() {
    let Some(file) = shared("reference/stories260K/tokenizer.json") else {
        return;
    };
    let Some(cases) = shared("reference/stories260K/ref_tokenizer.json") else {
        return;
    };
    let tokenizer = Rc::new(Tokenizer::from_bytes(&file, 512).unwrap());
    let cases: Vec<Value> = serde_json::from_slice(&cases).unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        assert_eq!(tokenizer.encode(text).unwrap(), ids, "{text:?}");
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), text);
        assert_eq!(streamed(&tokenizer, &ids, true).concat(), text);
    }
}

#[test]
fn prototype() {
    let Some(file) = shared("prototype/tokenizer.json") else {
        return;
    };
    let tokenizer = Rc::new(Tokenizer::from_bytes(&file, 4096).unwrap());
    let text = "One day, Zoë's 3 cats saw a  €5 note — 日本 🐈‍⬛!\n\n\"Ok\"";
    let ids = tokenizer.encode(text).unwrap();
    assert_eq!(ids[0], 0);
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), text);
    assert_eq!(streamed(&tokenizer, &ids, true).concat(), text);
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
