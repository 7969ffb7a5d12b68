//! What a `tokenizer.json` must look like before the `tokenizers` crate sees it: only components that language models use, and none of
//! the settings that make the crate (0.22) panic, grow text without bound, or give a different result each time.

use std::collections::BTreeMap;

use fancy_regex::Expr;
use serde_json::{Map, Value};

use super::patterns::{counts_and_keeps, may_be_empty, size, steps, MAX_STEPS};
use crate::error::{fail, quoted, Code, Error, Result};
use crate::json::Entries;

/// Most bytes that a tokenizer's normalizers and pre-tokenizers may turn one byte into, and that its template may put around a text.
const MAX_GROWTH: usize = 4096;
/// The same of its decoders, which get pieces of [`MAX_PIECE`].
const MAX_DECODED: usize = 16;
/// Longest token, in bytes: the depth of the crate's tree of a Unigram's pieces, and what one id of a text may come to.
pub(crate) const MAX_PIECE: usize = 1024;
/// Longest prefix or suffix of a piece of a word, in bytes; the crate writes it for every character, with `byte_fallback` as tokens.
const MAX_AFFIX: usize = 16;
/// Longest word that WordPiece cuts, in characters: it looks up every end of every beginning.
const MAX_WORD: u64 = 1024;
/// Most normalizers, pre-tokenizers or decoders; each goes over the text.
const MAX_COMPONENTS: usize = 256;
/// Most characters and classes of their patterns, repetitions counted out; a compiled class like `\w` takes 60 KB.
const MAX_PATTERN: usize = 1024;

const NORMALIZERS: &[&str] = &[
    "BertNormalizer",
    "ByteLevel",
    "Lowercase",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Nmt",
    "Prepend",
    "Replace",
    "Strip",
    "StripAccents",
];
const PRE_TOKENIZERS: &[&str] = &[
    "BertPreTokenizer",
    "ByteLevel",
    "CharDelimiterSplit",
    "Digits",
    "FixedLength",
    "Metaspace",
    "Punctuation",
    "Split",
    "UnicodeScripts",
    "Whitespace",
    "WhitespaceSplit",
];
const POST_PROCESSORS: &[&str] = &["BertProcessing", "ByteLevel", "RobertaProcessing", "TemplateProcessing"];
const DECODERS: &[&str] = &[
    "BPEDecoder",
    "ByteFallback",
    "ByteLevel",
    "Fuse",
    "Metaspace",
    "Replace",
    "Strip",
    "WordPiece",
];

type Object = Map<String, Value>;
/// The file itself.
type File = BTreeMap<String, Value>;

/// Refuses an unusable file; otherwise gives the added tokens with the ids that the file wants for them, and how many bytes one may become.
pub(super) fn check(bytes: &[u8]) -> Result<(Vec<(String, u64)>, usize)> {
    // Of a key that comes twice the crate would also make the first, which nothing here has looked at.
    let Entries(file) = serde_json::from_slice(bytes)
        .map_err(|error| Error::new(Code::Tokenizer, format!("tokenizer.json is not valid: {error}")))?;
    let mut growth = 1;
    components(&file, "normalizer", "normalizers", NORMALIZERS, &mut growth, MAX_GROWTH)?;
    let pre_tokenizers = components(&file, "pre_tokenizer", "pretokenizers", PRE_TOKENIZERS, &mut growth, MAX_GROWTH)?;
    if pre_tokenizers
        .iter()
        .any(|part| name(part) == "FixedLength" && part.get("length") == Some(&Value::from(0)))
    {
        fail!(
            Tokenizer,
            "tokenizer.json: pre_tokenizer: length of FixedLength must be 1 or more"
        );
    }
    post_processor(&components(&file, "post_processor", "processors", POST_PROCESSORS, &mut 1, MAX_GROWTH)?)?;
    let decoders = components(&file, "decoder", "decoders", DECODERS, &mut 1, MAX_DECODED)?;
    let in_sequence = file.get("decoder").and_then(Value::as_object).map(name) == Some("Sequence");
    // From here on there is one text in place of tokens; only what does not look beyond a character can be streamed.
    let mut joined = None;
    for (at, part) in decoders.iter().enumerate() {
        match name(part) {
            // It takes its characters for bytes, so nothing may have written text before it.
            "ByteLevel" if at > 0 => {
                fail!(Tokenizer, "tokenizer.json: decoder: ByteLevel must come first")
            }
            "ByteFallback" if !decoders[..at].iter().all(|part| makes_no_byte(part)) => {
                fail!(
                    Tokenizer,
                    "tokenizer.json: decoder: ByteFallback must come first, or after Replace by what is no part of <0x00> to <0xFF>"
                )
            }
            kind @ "WordPiece" if joined.is_some() => {
                fail!(
                    Tokenizer,
                    "tokenizer.json: decoder: {kind} must come before {}, which joins the tokens",
                    joined.unwrap_or_default()
                )
            }
            "Replace" if joined.is_some() && !replaces_one_character(part) => {
                fail!(
                    Tokenizer,
                    "tokenizer.json: decoder: Replace of more than one character must come before {}, which joins the tokens",
                    joined.unwrap_or_default()
                )
            }
            "Strip" if part.get("stop") != Some(&Value::from(0)) => {
                fail!(Tokenizer, "tokenizer.json: decoder: stop of Strip must be 0")
            }
            // It reads the last token in its own way, so no other decoder can come before or after it.
            "BPEDecoder" if in_sequence || part.get("suffix") == Some(&Value::from("")) => {
                fail!(
                    Tokenizer,
                    "tokenizer.json: decoder: BPEDecoder must be the only decoder and have a suffix"
                )
            }
            _ => {}
        }
        if let kind @ ("ByteLevel" | "Fuse") = name(part) {
            joined = Some(kind);
        }
    }
    model(&file)?;
    Ok((added_tokens(&file)?, growth))
}

/// The text under `pattern` of a component that is of the kind `kind`: String or Regex.
fn pattern<'a>(part: &'a Object, kind: &str) -> Option<&'a str> {
    part.get("pattern").and_then(|pattern| pattern.get(kind)).and_then(Value::as_str)
}

fn replaces_one_character(part: &Object) -> bool {
    pattern(part, "String").is_some_and(|text| text.chars().count() == 1)
}

/// Whether no token that `part` changes becomes one that stands for a byte, like `<0xE2>`.
fn makes_no_byte(part: &Object) -> bool {
    let of_byte = |c: char| c.is_ascii_hexdigit() || "<x>".contains(c);
    let content = part.get("content").and_then(Value::as_str).unwrap_or_default();
    name(part) == "Replace" && content.chars().any(|c| !of_byte(c))
}

/// Whether what `part` replaces may be nothing. Of a pattern that cannot be read the crate will say what is wrong.
fn matches_nothing(part: &Object) -> bool {
    // What \K leaves of a match may be nothing, too.
    let expression =
        |text: &str| text.contains("\\K") || Expr::parse_tree(text).is_ok_and(|tree| may_be_empty(&tree.expr));
    pattern(part, "String") == Some("") || pattern(part, "Regex").is_some_and(expression)
}

fn name(component: &Object) -> &str {
    component.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// The components under `key`, with sequences unrolled; each must be one of `known`. `growth`: how many bytes those before make of one, and then
/// these, too; `most` is the limit.
fn components<'a>(file: &'a File, key: &str, list: &str, known: &[&str], growth: &mut usize, most: usize) -> Result<Vec<&'a Object>> {
    let mut found = Vec::new();
    let (mut patterns, mut tries) = (0usize, 0.0);
    let mut open: Vec<&Value> = file.get(key).filter(|value| !value.is_null()).into_iter().collect();
    while let Some(value) = open.pop() {
        let Some(part) = value.as_object() else {
            fail!(Tokenizer, "tokenizer.json: {key} must be an object")
        };
        let kind = name(part);
        if kind == "Sequence" {
            let Some(parts) = part.get(list).and_then(Value::as_array) else {
                fail!(Tokenizer, "tokenizer.json: {key}: {list} of Sequence must be a list");
            };
            open.extend(parts.iter().rev());
            continue;
        }
        if !known.contains(&kind) {
            let known = known.join(", ");
            fail!(
                Tokenizer,
                "tokenizer.json: {key}: type {kind} is not supported; Sequence, {known} are", kind = quoted(kind));
        }
        // Of a pattern that cannot be read the crate will say what is wrong.
        let expression = pattern(part, "Regex").and_then(|text| Expr::parse_tree(text).ok());
        let length = pattern(part, "String").map_or(0, str::len);
        patterns = patterns.saturating_add(expression.as_ref().map_or(length, |tree| size(&tree.expr)));
        if patterns > MAX_PATTERN || found.len() == MAX_COMPONENTS {
            fail!(
                Tokenizer,
                "tokenizer.json: {key} has more than {MAX_COMPONENTS} parts, or patterns of more than {MAX_PATTERN} characters with what they repeat"
            );
        }
        if expression.as_ref().is_some_and(|tree| counts_and_keeps(&tree.expr)) {
            fail!(
                Tokenizer,
                "tokenizer.json: {key} has a pattern with {{n,m}}+, which Python's tokenizers read otherwise: write (?:…{{n,m}})+"
            );
        }
        tries += expression.map_or(0.0, |tree| steps(&tree.expr));
        if tries > MAX_STEPS {
            fail!(
                Tokenizer,
                "tokenizer.json: {key} has patterns that take more than {MAX_STEPS} steps at one place of a text"
            );
        }
        let text = |key: &str| part.get(key).and_then(Value::as_str).unwrap_or_default();
        if kind == "Prepend" && text("prepend").is_empty() {
            fail!(Tokenizer, "tokenizer.json: {key}: prepend of Prepend must not be empty");
        }
        if kind == "Replace" && matches_nothing(part) {
            fail!(
                Tokenizer,
                "tokenizer.json: {key}: Replace must have a pattern that matches one character or more"
            );
        }
        *growth = growth.saturating_mul(match kind {
            // Added tokens and splits cut a text into pieces, each of which gets it.
            "Prepend" => 1 + text("prepend").len(),
            "Replace" => text("content").len().max(1),
            _ if key == "decoder" => 1,
            // A character of up to four bytes for a space, and before each piece.
            "Metaspace" => 5,
            // A character of two bytes for one, each of which the next of the kind takes for one, and a space before each piece.
            "ByteLevel" => 3,
            // Two spaces around a character of three bytes.
            "BertNormalizer" => 2,
            _ => 1,
        });
        if *growth > most {
            fail!(Tokenizer, "tokenizer.json: {key}: {kind} makes more than {most} bytes of one");
        }
        found.push(part);
    }
    Ok(found)
}

/// A template may name one sequence, once, and only special tokens that are listed beside it.
fn post_processor(parts: &[&Object]) -> Result<()> {
    let templates: Vec<_> = parts.iter().filter(|part| name(part) == "TemplateProcessing").collect();
    if templates.len() > 1 {
        fail!(
            Tokenizer,
            "tokenizer.json: post_processor: only one TemplateProcessing is supported"
        );
    }
    for template in templates {
        let special = template.get("special_tokens");
        let (mut sequences, mut bytes) = (0, 0usize);
        for piece in template.get("single").and_then(Value::as_array).into_iter().flatten() {
            if piece.pointer("/Sequence/id").is_some_and(|id| id != "A") {
                fail!(
                    Tokenizer,
                    "tokenizer.json: post_processor: single must not name a second sequence"
                );
            }
            sequences += usize::from(piece.get("Sequence").is_some());
            let Some(id) = piece.pointer("/SpecialToken/id").and_then(Value::as_str) else {
                continue;
            };
            let length = |list: &str| special.and_then(|s| s.get(id)?.get(list)?.as_array()).map(Vec::len);
            match (length("ids"), length("tokens")) {
                (Some(ids), Some(tokens)) if ids == tokens => {}
                (Some(_), Some(_)) => {
                    fail!(
                        Tokenizer,
                        "tokenizer.json: post_processor: {id} must have as many ids as tokens", id = quoted(id))
                }
                _ => fail!(
                    Tokenizer,
                    "tokenizer.json: post_processor: {id} is not among special_tokens", id = quoted(id)),
            }
            let tokens = special.and_then(|s| s.get(id)?.get("tokens")?.as_array()).into_iter().flatten();
            bytes += tokens.map(|token| 1 + token.as_str().map_or(0, str::len)).sum::<usize>();
        }
        if sequences > 1 || bytes > MAX_GROWTH {
            fail!(
                Tokenizer,
                "tokenizer.json: post_processor: single must name the text once, and put at most {MAX_GROWTH} bytes of tokens around it"
            );
        }
    }
    Ok(())
}

fn model(file: &File) -> Result<()> {
    let Some(model) = file.get("model").and_then(Value::as_object) else {
        fail!(Tokenizer, "tokenizer.json: model is missing");
    };
    let vocab = model.get("vocab");
    // Files from before this key existed hold BPE.
    let untyped = if model.contains_key("merges") { "BPE" } else { "" };
    let kind = if model.contains_key("type") {
        name(model)
    } else {
        untyped
    };
    // Whatever the kind: of one that is not said, the crate takes the first that fits.
    let pieces = vocab.and_then(Value::as_array).into_iter().flatten();
    let words = vocab.and_then(Value::as_object).into_iter().flat_map(Map::keys);
    pieces.filter_map(|piece| piece.get(0)?.as_str()).chain(words.map(String::as_str)).try_for_each(|piece| short(piece, MAX_PIECE))?;
    if model.get("max_input_chars_per_word").and_then(Value::as_u64) > Some(MAX_WORD) {
        fail!(Tokenizer, "tokenizer.json: model: max_input_chars_per_word must be at most {MAX_WORD}");
    }
    for affix in ["continuing_subword_prefix", "end_of_word_suffix"] {
        short(model.get(affix).and_then(Value::as_str).unwrap_or_default(), MAX_AFFIX)?;
    }
    match kind {
        "BPE" => bpe(model),
        "WordLevel" | "WordPiece" | "Unigram" => Ok(()),
        _ => fail!(
            Tokenizer,
            "tokenizer.json: model: type {kind} is not supported; BPE, Unigram, WordLevel and WordPiece are", kind = quoted(kind)),
    }
}

/// Refuses a token, or what is put before or behind one, of more than `most` bytes.
fn short(piece: &str, most: usize) -> Result<()> {
    if piece.len() > most {
        fail!(Tokenizer, "tokenizer.json: {piece} has more than {most} bytes", piece = quoted(piece));
    }
    Ok(())
}

fn bpe(model: &Object) -> Result<()> {
    if model
        .get("dropout")
        .is_some_and(|dropout| !dropout.is_null() && dropout.as_f64() != Some(0.0))
    {
        fail!(Tokenizer, "tokenizer.json: model: dropout must be null or 0");
    }
    let prefix = model
        .get("continuing_subword_prefix")
        .and_then(Value::as_str)
        .unwrap_or_default();
    for merge in model.get("merges").and_then(Value::as_array).into_iter().flatten() {
        let second = match merge {
            Value::String(pair) => pair.split(' ').nth(1),
            _ => merge.get(1).and_then(Value::as_str),
        };
        if let Some(second) = second.filter(|second| second.get(prefix.len()..).is_none()) {
            fail!(
                Tokenizer,
                "tokenizer.json: model: merge with {} is shorter than the prefix {}",
                quoted(second),
                quoted(prefix)
            );
        }
    }
    Ok(())
}

fn added_tokens(file: &File) -> Result<Vec<(String, u64)>> {
    let tokens: Vec<&Value> = file
        .get("added_tokens")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .collect();
    let is = |token: &Value, key: &str| token.get(key) == Some(&Value::Bool(true));
    let swallows = tokens.iter().any(|token| is(token, "rstrip"));
    let mut wanted = Vec::new();
    for token in tokens {
        let content = token.get("content").and_then(Value::as_str).unwrap_or_default();
        short(content, MAX_PIECE)?;
        if swallows && is(token, "lstrip") && content.trim().is_empty() {
            fail!(
                Tokenizer,
                "tokenizer.json: added_tokens: {content} must not have lstrip where others have rstrip", content = quoted(content));
        }
        wanted.extend(
            token
                .get("id")
                .and_then(Value::as_u64)
                .map(|id| (content.to_owned(), id)),
        );
    }
    Ok(wanted)
}
