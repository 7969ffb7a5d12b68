//! Files that the `tokenizers` crate would panic on.

use serde_json::{json, Value};

use super::*;
use crate::error::Code;

fn split(pattern: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
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

/// What is small in the file and large, or slow, in what the crate makes of it.
#[test]
fn what_would_grow_without_bound_is_refused() {
    let (level, piece) = (byte_level_bpe, sentencepiece_bpe);
    let long = "a".repeat(100_000);
    let unigram = json!({"type": "Unigram", "unk_id": 0, "vocab": [[long, 0.0]]});
    let mut untyped = unigram.clone();
    untyped.as_object_mut().unwrap().remove("type");
    untyped["merges"] = json!([]);
    let mut unknown = level();
    (unknown["model"]["unk_token"], unknown["model"]["vocab"][&long]) = (json!(long), json!(260));
    let sequence = json!({"Sequence": {"id": "A", "type_id": 0}});
    let special = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
    let many = |part: Value| json!({"type": "Sequence", "pretokenizers": vec![part; 300]});
    // Each doubles what is beyond ASCII.
    let levels = |list: &str, count: usize| json!({"type": "Sequence", list: vec![json!({"type": "ByteLevel", "add_prefix_space": false,
        "trim_offsets": true, "use_regex": false}); count]});
    let bert = json!({"type": "BertNormalizer", "clean_text": false, "handle_chinese_chars": true, "strip_accents": false, "lowercase": false});
    let both = with(level(), "/normalizer", json!({"type": "Prepend", "prepend": "a".repeat(99)}));
    let metaspace = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
    let by_text = json!({"type": "Split", "pattern": {"String": long}, "behavior": "Isolated", "invert": false});
    let word_piece = json!({"type": "WordPiece", "unk_token": "u", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100_000, "vocab": {"u": 0}});
    let mut taken_for_bpe = word_piece.clone();
    taken_for_bpe.as_object_mut().unwrap().remove("type");
    taken_for_bpe["merges"] = json!(1);
    let once = "name the text once, and put at most 4096 bytes";
    let patterns = "has more than 256 parts, or patterns of more than 1024 characters";
    let cases = [
        (with(level(), "/model", unigram), "has more than 1024 bytes"),
        (with(level(), "/model", untyped), "has more than 1024 bytes"),
        (unknown, "has more than 1024 bytes"),
        (with(level(), "/added_tokens/0", added(0, &long)), "has more than 1024 bytes"),
        (with(level(), "/model/continuing_subword_prefix", json!("a".repeat(17))), "has more than 16 bytes"),
        (with(level(), "/model/end_of_word_suffix", json!("a".repeat(17))), "has more than 16 bytes"),
        (with(level(), "/model", word_piece), "max_input_chars_per_word must be at most 1024"),
        (with(level(), "/model", taken_for_bpe), "max_input_chars_per_word must be at most 1024"),
        (with(level(), "/post_processor/single", json!(vec![sequence; 2])), once),
        (with(level(), "/post_processor/single", json!(vec![special; 2000])), once),
        (with(level(), "/normalizer", json!({"type": "Prepend", "prepend": long})), "Prepend makes more than 4096 bytes of one"),
        (with(piece(), "/normalizer/normalizers/0/prepend", json!("a".repeat(2000))), "Replace makes more than 4096 bytes of one"),
        (with(level(), "/normalizer", levels("normalizers", 24)), "normalizer: ByteLevel makes more than 4096 bytes of one"),
        (with(level(), "/pre_tokenizer", levels("pretokenizers", 24)), "pre_tokenizer: ByteLevel makes more than 4096 bytes of one"),
        (with(both, "/pre_tokenizer", levels("pretokenizers", 4)), "pre_tokenizer: ByteLevel makes more than 4096 bytes of one"),
        (with(level(), "/normalizer", json!({"type": "Sequence", "normalizers": vec![bert; 20]})), "BertNormalizer makes more than 4096 bytes of one"),
        (with(level(), "/pre_tokenizer", many(metaspace)), "Metaspace makes more than 4096 bytes of one"),
        (with(piece(), "/decoder/decoders/0/content", json!("a".repeat(17))), "decoder: Replace makes more than 16 bytes of one"),
        (with(level(), "/pre_tokenizer", by_text), patterns),
        (with(level(), "/pre_tokenizer", many(json!({"type": "Digits", "individual_digits": true}))), patterns),
        (with(level(), "/pre_tokenizer", many(split("\\w{5}"))), patterns),
        (with(level(), "/pre_tokenizer", split("(?:(?:ab){30}|c{1,9}){40}")), patterns),
        (with(level(), "/pre_tokenizer", split(&"(?=\\w{100})".repeat(20))), patterns),
        (with(level(), "/pre_tokenizer", split(&format!("[{}]{{400}}", "a-z".repeat(50)))), patterns),
        (with(level(), "/pre_tokenizer", split("a|(?:\\p{N}{1,3}+)b")), "has a pattern with {n,m}+"),
    ];
    for (file, expected) in cases {
        let message = read(&file, 300).map(|_| ()).unwrap_err().to_string();
        assert!(message.starts_with("tokenizer.json") && message.contains(expected), "{expected}: {message}");
    }
    read(&with(level(), "/pre_tokenizer", split("\\p{N}{1,3}(?=(?:\\d{3})*\\b)|\\s+(?!\\S)|a{2,}|\\w{900}")), 300).unwrap();
}

/// The crate reads a key that comes twice twice: what was not looked at would be made, too.
#[test]
fn a_key_that_comes_twice_is_refused() {
    let file = byte_level_bpe().to_string();
    for key in ["model", "normalizer", "added_tokens"] {
        let twice = file.replacen('{', &format!("{{\"{key}\": null,"), 1);
        let message = Tokenizer::from_bytes(twice.as_bytes(), 300).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(&format!("\"{key}\" comes twice")), "{message}");
    }
}

/// Pre-tokenizers of known models.
const KNOWN: [(&str, &[&str]); 15] = [
    ("GPT-2", &[r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"]),
    ("GPT-4", &[r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"]),
    (
        "Llama 3",
        &[r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    ),
    (
        "Qwen 2 and 3",
        &[r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    ),
    ("GPT-4o, Phi-4", &[O200K]),
    (
        "Mistral NeMo",
        &[r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    ),
    (
        "DeepSeek 3",
        &[
            r"\p{N}{1,3}",
            r"[一-龥぀-ゟ゠-ヿ]+",
            r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
        ],
    ),
    ("DeepSeek Coder", &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}"]),
    ("DeepSeek LLM", &[r"[\r\n]", r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿ]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", r"[一-龥ࠀ-一가-퟿]+"]),
    ("Falcon, StarCoder", &[r"[0-9][0-9][0-9]", r"\p{N}{1}"]),
    ("BLOOM", &[r" ?[^(\s|[.,!?…。，、।۔،])]+"]),
    ("Kimi K2", &[KIMI]),
    ("SuperBPE", &[r"\p{N}+", r"(?=(\d{3})+(?!\d))"]),
    ("digits from the right", &[r"\p{N}{1,3}(?=(?:\d{3})*\b)", O200K]),
    ("Gemma, GPT-NeoX, SmolLM, CodeLlama, CLIP", &[r" ", r"\s+", r"\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"]),
];
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const KIMI: &str = r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The crate takes back one step of a pattern after another: what is short in the file may take hours over a page of text.
#[test]
fn patterns_that_take_too_long_are_refused() {
    let sequence = |patterns: &[&str]| {
        let parts: Vec<Value> = patterns.iter().map(|pattern| split(pattern)).collect();
        let file = with(byte_level_bpe(), "/pre_tokenizer", json!({"type": "Sequence", "pretokenizers": parts}));
        read(&file, 300).map(|_| ()).map_err(|error| error.to_string())
    };
    let slow = r"[\s\S]*(?:(?=[\s\S]*\x01)b)";
    let look = r"(?=[\s\S]*\x01)b";
    let ahead = [look; 16].join("|");
    for patterns in [
        &[slow; 80][..],
        &[slow],
        &[look; 16],
        &[&ahead],
        &[r"(?:a|a)*b(?!c)"],
        &[r"(?:a+)+b(?!c)"],
        &[r"\s*\s*\s*x(?!y)"],
        &[r"\w{0,900}\w{0,100}x(?!y)"],
        &[r"(?(a*)a*a*|b)c"],
        &[r"b(?:a*a*c)?"],
    ] {
        let error = sequence(patterns).unwrap_err();
        assert!(error.contains("pre_tokenizer has patterns that take more than 16384 steps"), "{patterns:?}: {error}");
    }
    for (model, patterns) in KNOWN {
        sequence(patterns).unwrap_or_else(|error| panic!("{model}: {error}"));
    }
}
