//! A `tokenizer.json` of valid parts, in combinations that nobody may have thought of.

use serde_json::{json, Value};

use crate::mutate::Rng;

fn level() -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})
}

fn token(id: usize, content: &str, flags: usize) -> Value {
    json!({"id": id, "content": content, "single_word": flags & 1 > 0, "lstrip": flags & 2 > 0, "rstrip": flags & 4 > 0,
        "normalized": flags & 8 > 0, "special": flags & 16 > 0})
}

pub const PIECES: [&str; 28] = [
    "<s>", "</s>", "<unk>", "a", "b", "c", "ab", "▁", "▁a", "▁▁", "##b", "a</w>", "Ġ", "Ġa", "<0xE2>", "<0x82>",
    "<0xAC>", "<0x41>", "é", "Ã", "©", ".", "'t", "1", "don", "日", " ", "A",
];
pub const PATTERNS: [&str; 24] = [
    " ",
    "▁",
    "a",
    "a*",
    "$",
    "^",
    "\\b",
    "\\s+",
    " {2,}",
    "(?=a)",
    "(?<=a)b",
    "a|",
    "[^a]",
    ".",
    "(a|b)\\1",
    "\\p{L}",
    "é",
    "a{0,1000}",
    "(?i)A",
    "a+?",
    "\\Ka",
    "<",
    "(?!a)",
    "[▁ ]",
];
fn pattern(rng: &mut Rng) -> Value {
    let text = *rng.of(&PATTERNS);
    if rng.one_in(2) {
        json!({"String": text})
    } else {
        json!({"Regex": text})
    }
}

fn content(rng: &mut Rng) -> &'static str {
    rng.of::<&str>(&["", " ", "▁", "<s>", "é", "a", "aa", "<0xE2>", "日本"])
}

fn normalizer(rng: &mut Rng) -> Value {
    let (a, b) = (rng.one_in(2), rng.one_in(2));
    match rng.below(13) {
        0 => {
            json!({"type": "BertNormalizer", "clean_text": a, "handle_chinese_chars": b, "strip_accents": null, "lowercase": a})
        }
        1 => json!({"type": "ByteLevel"}),
        2 => json!({"type": "Lowercase"}),
        3 => json!({"type": *rng.of(&["NFC", "NFD", "NFKC", "NFKD"])}),
        4 => json!({"type": "Nmt"}),
        5 | 6 => json!({"type": "Prepend", "prepend": content(rng)}),
        7 => json!({"type": "Strip", "strip_left": a, "strip_right": b}),
        8 => json!({"type": "StripAccents"}),
        _ => json!({"type": "Replace", "pattern": pattern(rng), "content": content(rng)}),
    }
}

fn scheme(rng: &mut Rng) -> &'static str {
    rng.of::<&str>(&["always", "never", "first"])
}

fn metaspace(rng: &mut Rng) -> Value {
    json!({"type": "Metaspace", "replacement": *rng.of(&["▁", "a", "é"]), "prepend_scheme": scheme(rng), "split": rng.one_in(2)})
}

fn pre_tokenizer(rng: &mut Rng) -> Value {
    let behavior = *rng.of(&[
        "Removed",
        "Isolated",
        "MergedWithPrevious",
        "MergedWithNext",
        "Contiguous",
    ]);
    match rng.below(11) {
        0 => json!({"type": "BertPreTokenizer"}),
        1 => {
            json!({"type": "ByteLevel", "add_prefix_space": rng.one_in(2), "trim_offsets": rng.one_in(2), "use_regex": rng.one_in(2)})
        }
        2 => json!({"type": "CharDelimiterSplit", "delimiter": *rng.of(&[" ", "a", "▁"])}),
        3 => json!({"type": "Digits", "individual_digits": rng.one_in(2)}),
        4 => json!({"type": "FixedLength", "length": rng.below(4)}),
        5 => metaspace(rng),
        6 => json!({"type": "Punctuation", "behavior": behavior}),
        7 => json!({"type": "Split", "pattern": pattern(rng), "behavior": behavior, "invert": rng.one_in(2)}),
        8 => json!({"type": "UnicodeScripts"}),
        9 => json!({"type": "Whitespace"}),
        _ => json!({"type": "WhitespaceSplit"}),
    }
}

fn decoder_part(rng: &mut Rng) -> Value {
    match rng.below(10) {
        0 => json!({"type": "BPEDecoder", "suffix": *rng.of(&["</w>", "a", "b"])}),
        1 | 2 => json!({"type": "ByteFallback"}),
        3 => level(),
        4 => json!({"type": "Fuse"}),
        5 => metaspace(rng),
        6 => {
            json!({"type": "Strip", "content": *rng.of(&[" ", "a", "▁"]), "start": rng.below(4), "stop": rng.below(8) / 7})
        }
        7 => json!({"type": "WordPiece", "prefix": *rng.of(&["##", "", "a"]), "cleanup": rng.one_in(2)}),
        _ => json!({"type": "Replace", "pattern": pattern(rng), "content": content(rng)}),
    }
}

/// A part, several in a sequence (also within each other), or none.
fn some(rng: &mut Rng, list: &str, part: fn(&mut Rng) -> Value) -> Value {
    match rng.below(6) {
        0 => Value::Null,
        1 | 2 => part(rng),
        _ => {
            let mut parts: Vec<Value> = (0..rng.below(5)).map(|_| part(rng)).collect();
            if rng.one_in(8) {
                parts.push(some(rng, list, part));
            }
            // What doubles a text does so each time.
            if rng.one_in(16) {
                parts = vec![parts; 1 + rng.below(40)].concat();
            }
            let mut sequence = json!({"type": "Sequence"});
            sequence[list] = parts.into();
            sequence
        }
    }
}

fn post_processor(rng: &mut Rng) -> Value {
    match rng.below(5) {
        0 => json!({"type": "BertProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0]}),
        1 => {
            json!({"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0], "trim_offsets": rng.one_in(2), "add_prefix_space": rng.one_in(2)})
        }
        2 => level(),
        _ => json!({"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}}),
    }
}

pub fn tokenizer(rng: &mut Rng) -> Value {
    let mut pieces: Vec<&str> = PIECES.to_vec();
    let extra = rng.below(3);
    pieces.truncate(PIECES.len() - 3 * extra);
    let vocab: serde_json::Map<String, Value> = pieces
        .iter()
        .zip(0..)
        .map(|(piece, id): (_, usize)| (piece.to_string(), id.into()))
        .collect();
    let model = match rng.below(4) {
        0 => {
            json!({"type": "BPE", "unk_token": if rng.one_in(2) { json!("<unk>") } else { Value::Null }, "fuse_unk": rng.one_in(2),
            "byte_fallback": rng.one_in(2), "ignore_merges": rng.one_in(2), "vocab": vocab, "merges": [["a", "b"], ["▁", "a"], ["▁", "▁"], ["Ġ", "a"]]})
        }
        1 => json!({"type": "Unigram", "unk_id": 2, "byte_fallback": rng.one_in(2),
            "vocab": pieces.iter().zip(0..).map(|(piece, n): (_, usize)| json!([piece, -(n as f64) / 7.0])).collect::<Vec<_>>()}),
        2 => json!({"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}),
        _ => {
            json!({"type": "WordPiece", "vocab": vocab, "unk_token": "<unk>", "continuing_subword_prefix": *rng.of(&["##", "", "é"]),
            "max_input_chars_per_word": *rng.of(&[100, 1, 0])})
        }
    };
    let added: Vec<Value> = (0..rng.below(4))
        .map(|_| {
            let id = rng.below(pieces.len());
            token(id, pieces[id], rng.below(32))
        })
        .collect();
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": some(rng, "normalizers", normalizer),
        "pre_tokenizer": some(rng, "pretokenizers", pre_tokenizer), "post_processor": if rng.one_in(2) { Value::Null } else { post_processor(rng) },
        "decoder": some(rng, "decoders", decoder_part), "model": model})
}
