//! `tokenizer.json` and the texts that go through it.

use std::rc::Rc;

use serde_json::Value;
use topk_lm::tokenizer::{StreamDecoder, Tokenizer};

use super::{file, generated, Outcome, Refusal, Target};
use crate::mutate::{self, Rng};

const TEXTS: [&str; 9] = [
    "",
    " ",
    "a",
    "hello",
    "ab a  €<s> é</s>\u{0}",
    "▁▁ a##b",
    "aaaaaaaaab don't. A1 日",
    "  \u{301}\u{fb01}\t\n",
    "<0x41> Ab  c",
];

/// Texts to ids, tokens of them, and back; as a stream, too.
fn exercise(bytes: &[u8], texts: &[&str]) -> Outcome {
    let tokenizer = Rc::new(Tokenizer::from_bytes(bytes, 40)?);
    let mut outcome = Ok(());
    for text in texts {
        match tokenizer.encode(text) {
            Ok(ids) => drop(tokenizer.tokens(&ids)?),
            Err(error) => outcome = Err(error.into()),
        }
    }
    // Ids in an order that depends on the file, and those that follow each other.
    let mut rng = Rng(bytes.len() as u64);
    let ids: Vec<u32> = (0..30).chain((0..30).map(|_| rng.below(30) as u32)).collect();
    for skip in [true, false] {
        let mut stream = StreamDecoder::new(tokenizer.clone(), skip);
        let mut streamed = String::new();
        for id in &ids {
            streamed += &stream.push(*id)?;
        }
        streamed += &stream.flush();
        let whole = tokenizer.decode(&ids, skip)?;
        if streamed != whole {
            return Err(Refusal::Wrong(format!("streamed {streamed:?}, decoded {whole:?}")));
        }
    }
    outcome
}

/// `tokenizer.json` out of valid parts and made wrong, and the texts that go through it.
pub fn target() -> Target {
    let words: Vec<String> = generated::PIECES
        .iter()
        .chain(&generated::PATTERNS)
        .map(|word| word.to_string())
        .collect();
    Target {
        name: "tokenizer",
        make: Box::new(move |rng| {
            let mut value = generated::tokenizer(rng);
            if rng.one_in(2) {
                mutate::json(rng, &mut value, &words);
            }
            let mut bytes = mutate::written(rng, &value);
            if rng.one_in(12) {
                mutate::bytes(rng, &mut bytes);
            }
            vec![("tokenizer.json".into(), bytes)]
        }),
        run: Box::new(|input| exercise(file(input, "tokenizer.json"), &TEXTS)),
    }
}

/// Decoders alone, all of valid parts: a stream gives what decoding at once gives.
pub fn decoder() -> Target {
    Target {
        name: "decoder",
        make: Box::new(|rng| {
            let mut value = generated::tokenizer(rng);
            value["normalizer"] = Value::Null;
            value["pre_tokenizer"] = Value::Null;
            vec![("tokenizer.json".into(), value.to_string().into_bytes())]
        }),
        run: Box::new(|input| exercise(file(input, "tokenizer.json"), &["ab"])),
    }
}
