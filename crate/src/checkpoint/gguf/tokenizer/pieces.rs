//! SentencePiece's BPE, as Llama 2 and Mistral have it: pieces with scores, "▁" for a space, bytes for what is in no piece. It joins the two
//! neighbours whose piece has the highest score; a BPE joins the first pair of a list: all pairs that make a piece, best pieces first.
//! <https://github.com/google/sentencepiece>

use std::collections::HashSet;

use serde_json::{json, Value as Json};

use super::{first_token, Tokens, ADDED, BYTE, NORMAL, UNKNOWN};
use crate::checkpoint::gguf::header::{Header, Value};
use crate::checkpoint::MAX_TOKENIZER;
use crate::error::{fail, Result};

const SPACE: &str = "▁";

/// `tokenizer.json`, or why it cannot be made.
pub fn written(header: &Header, tokens: &Tokens) -> Result<std::result::Result<Json, String>> {
    let prefix = header.boolean("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let because = |why: &str| Ok(Err(format!("its tokenizer {why} and was not converted")));
    if header.values.contains_key("tokenizer.ggml.precompiled_charsmap") {
        return because("changes characters by a table");
    }
    if header.boolean("tokenizer.ggml.remove_extra_whitespaces")?.unwrap_or(false) {
        return because("leaves spaces out");
    }
    if tokens.of_kind(ADDED).any(|(_, text)| text.contains(SPACE)) {
        return because("has added tokens with spaces");
    }
    let scores = scores(header, tokens)?;
    let pieces = pieces(tokens);
    if has_ties(tokens, &pieces, &scores) {
        // The leftmost of such pairs comes first, whichever it is.
        return because("has pieces of equal score");
    }
    let Some(merges) = merges(tokens, &pieces, &scores, MAX_TOKENIZER as usize) else {
        return because("has more ways to cut its pieces in two than a tokenizer.json holds");
    };
    let unknown = tokens.of_kind(UNKNOWN).next().map(|(_, text)| text);
    let (mut before, mut after) = (Vec::new(), vec![json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " })]);
    after.extend([json!({ "type": "ByteFallback" }), json!({ "type": "Fuse" })]);
    if prefix {
        before.push(json!({ "type": "Prepend", "prepend": SPACE }));
        after.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    before.push(json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE }));
    Ok(Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": tokens.added(),
        "normalizer": { "type": "Sequence", "normalizers": before },
        "pre_tokenizer": null,
        "post_processor": first_token(header, tokens, true)?,
        "decoder": { "type": "Sequence", "decoders": after },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": true, "byte_fallback": tokens.of_kind(BYTE).next().is_some(), "ignore_merges": false, "vocab": tokens.vocab(),
            "merges": merges,
        },
    })))
}

/// A score for each token.
fn scores(header: &Header, tokens: &Tokens) -> Result<Vec<f64>> {
    let listed = match header.values.get("tokenizer.ggml.scores") {
        Some(Value::List(scores)) if scores.len() == tokens.texts.len() => scores,
        _ => fail!(Checkpoint, "tokenizer.ggml.scores must be a list with a score for each of the {} tokens", tokens.texts.len()),
    };
    let score = |value: &Value| match value {
        Value::Float(score) if !score.is_nan() => Some(*score),
        Value::Int(score) => Some(*score as f64),
        _ => None,
    };
    match listed.iter().map(score).collect() {
        Some(scores) => Ok(scores),
        None => fail!(Checkpoint, "tokenizer.ggml.scores must be a list of numbers"),
    }
}

/// What may be joined, and what joining may give.
fn pieces<'a>(tokens: &Tokens<'a>) -> HashSet<&'a str> {
    tokens.of_kind(NORMAL).map(|(_, text)| text).collect()
}

/// The ways to cut `text` into two of `pieces`.
fn cuts<'a>(text: &'a str, pieces: &'a HashSet<&str>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let cuts = text.char_indices().skip(1).map(move |(at, _)| text.split_at(at));
    cuts.filter(|(first, second)| pieces.contains(first) && pieces.contains(second))
}

/// Whether two pieces that are made of others have one score.
fn has_ties(tokens: &Tokens, pieces: &HashSet<&str>, scores: &[f64]) -> bool {
    let made = tokens.of_kind(NORMAL).filter(|(_, text)| cuts(text, pieces).next().is_some());
    let mut made: Vec<f64> = made.map(|(id, _)| scores[id]).collect();
    made.sort_by(f64::total_cmp);
    made.windows(2).any(|pair| pair[0] == pair[1])
}

/// The pairs of pieces that make a piece, those of the highest score first; `None` where they have more bytes than `left`.
fn merges(tokens: &Tokens, pieces: &HashSet<&str>, scores: &[f64], mut left: usize) -> Option<Vec<[String; 2]>> {
    let mut whole: Vec<(usize, &str)> = tokens.of_kind(NORMAL).collect();
    whole.sort_by(|a, b| scores[b.0].total_cmp(&scores[a.0]).then(a.0.cmp(&b.0)));
    let pairs = whole.into_iter().flat_map(|(_, text)| cuts(text, pieces));
    let pairs = pairs.map(|(first, second)| {
        left = left.checked_sub(first.len() + second.len())?;
        Some([first.to_owned(), second.to_owned()])
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::gguf::tokenizer::{self, written_out, written_out::texts};

    fn header(more: &[(&str, Value)]) -> Header {
        let pieces = ["<unk>", "<s>", "a", "b", "c", "ab", "bc", "abc", "x▁"];
        let kinds = [2, 3, 1, 1, 1, 1, 1, 1, 4].map(Value::Int);
        let scores = [0., 0., -9., -9., -9., -2., -1., -3., 0.].map(Value::Float);
        let keys = [
            ("model", Value::Text("llama".into())),
            ("tokens", texts(&pieces[..8])),
            ("token_type", Value::List(kinds.to_vec())),
            ("scores", Value::List(scores[..8].to_vec())),
            ("bos_token_id", Value::Int(1)),
        ];
        written_out::header(&keys, more)
    }

    #[test]
    fn the_best_piece_comes_first_and_any_pair_makes_it() {
        let made = tokenizer::written(&header(&[])).unwrap().unwrap();
        assert_eq!(made["model"]["merges"], json!([["b", "c"], ["a", "b"], ["a", "bc"], ["ab", "c"]]));
        assert_eq!(made["model"]["byte_fallback"], false);
        assert_eq!(made["post_processor"]["special_tokens"]["<s>"]["ids"], json!([1]));
        assert_eq!(made["normalizer"]["normalizers"].as_array().unwrap().len(), 2);
        let bare = [("add_space_prefix", Value::Bool(false)), ("add_bos_token", Value::Bool(false))];
        let made = tokenizer::written(&header(&bare)).unwrap().unwrap();
        assert_eq!(made["normalizer"]["normalizers"].as_array().unwrap().len(), 1);
        assert_eq!(made["post_processor"], Json::Null);
    }

    /// As SentencePiece numbers them.
    #[test]
    fn first_and_last_token_are_1_and_2_where_the_file_does_not_say() {
        let mut header = header(&[]);
        header.values.remove("tokenizer.ggml.bos_token_id");
        assert_eq!(["bos", "eos", "eot"].map(|name| tokenizer::id_of(&header, name).unwrap()), [Some(1), Some(2), None]);
        let made = tokenizer::written(&header).unwrap().unwrap();
        assert_eq!(made["post_processor"]["special_tokens"]["<s>"]["ids"], json!([1]));
    }

    /// A piece of n characters may have n − 1 cuts: of all pieces of one letter there are far more bytes than in the file.
    #[test]
    fn merges_are_no_more_than_is_read_again() {
        let letters = "a".repeat(40);
        let texts = (1..=40).map(|n| &letters[..n]).collect();
        let tokens = Tokens { texts, kinds: vec![NORMAL; 40], strips: false };
        let bytes = (1..=40).map(|n| n * (n - 1)).sum();
        assert_eq!(merges(&tokens, &pieces(&tokens), &[0.0; 40], bytes).unwrap().len(), 780);
        assert_eq!(merges(&tokens, &pieces(&tokens), &[0.0; 40], bytes - 1), None);
    }

    #[test]
    fn what_cannot_be_said_in_the_file_is_not_converted() {
        let spaces = ["<unk>", "<s>", "a", "b", "c", "ab", "bc", "abc", "x▁"];
        let scores = Value::List(vec![Value::Float(0.0); 9]);
        for (more, word) in [
            (vec![("precompiled_charsmap", Value::List(Vec::new()))], "by a table"),
            (vec![("remove_extra_whitespaces", Value::Bool(true))], "leaves spaces out"),
            (vec![("tokens", texts(&spaces)), ("scores", scores)], "added tokens with spaces"),
            (vec![("scores", Value::List(vec![Value::Float(-1.0); 8]))], "pieces of equal score"),
            (vec![("model", Value::Text("t5".into()))], "\"t5\""),
        ] {
            let why = tokenizer::written(&header(&more)).unwrap().unwrap_err();
            assert!(why.contains(word), "{why}");
        }
        let long = "a".repeat(1025);
        let error = tokenizer::written(&header(&[("tokens", texts(&[&long]))])).unwrap_err();
        assert!(error.to_string().contains("of more than 1024 bytes"), "{error}");
        for scores in [Value::Int(1), Value::List(vec![Value::Bool(true); 8]), Value::List(vec![Value::Float(f64::NAN); 8])] {
            let error = tokenizer::written(&header(&[("scores", scores)])).unwrap_err();
            assert!(error.to_string().contains("tokenizer.ggml.scores"), "{error}");
        }
    }
}
