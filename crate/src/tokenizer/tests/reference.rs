//! Ids that other implementations gave.

use std::path::PathBuf;
use std::rc::Rc;

use serde_json::Value;

use super::*;

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
