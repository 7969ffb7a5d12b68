//! Text to ids and back, at once and as a stream.

use std::rc::Rc;

use serde_json::json;

use super::*;

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
fn special_tokens_in_a_text() {
    for (file, special) in [(byte_level_bpe(), "<s>"), (sentencepiece_bpe(), "</s>")] {
        let tokenizer = read(&file, 266).unwrap();
        let id = *tokenizer.encode(special).unwrap().last().unwrap();
        assert!(tokenizer.special_ids().contains(&id));
        let text = format!("a{special}b");
        let count = |ids: Vec<u32>| ids.iter().filter(|found| **found == id).count();
        let in_front = count(tokenizer.encode("ab").unwrap());
        assert_eq!(count(tokenizer.encode(&text).unwrap()), in_front + 1);
        let split = tokenizer.encode_split(&text).unwrap();
        assert_eq!(tokenizer.decode(&split, true).unwrap(), text);
        assert_eq!(count(split), in_front);
        // One call's choice is not the next one's.
        assert_eq!(count(tokenizer.encode(&text).unwrap()), in_front + 1);
        assert_eq!(tokenizer.encode_split("ab a").unwrap(), tokenizer.encode("ab a").unwrap());
    }
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

/// A prompt is the beginning of the text, so what comes after it keeps its space.
#[test]
fn sentencepiece_after_a_prompt() {
    let tokenizer = Rc::new(read(&sentencepiece_bpe(), 266).unwrap());
    let (bos, space, a, under_a) = (1, 259, 260, 262);
    let euro = [3 + 0xe2, 3 + 0x82, 3 + 0xac];
    let first = |before: &[u32], id: u32| streamed_after(&tokenizer, before, &[id], true).concat();
    assert_eq!(first(&[], under_a), "a");
    assert_eq!(first(&[bos], under_a), "a");
    assert_eq!(first(&[bos, under_a], under_a), " a");
    assert_eq!(first(&[under_a, space, bos], under_a), " a");
    assert_eq!(first(&[under_a, space], a), "a");
    assert_eq!(first(&[&[a], &euro[..]].concat(), under_a), " a");
    assert_eq!(first(&euro, under_a), " a");
    assert_eq!(first(&[&[a][..], &euro.repeat(22)].concat(), under_a), " a");
    // Characters that a prompt breaks off stay broken.
    assert_eq!(first(&[a, euro[0]], under_a), " a");
    assert_eq!(first(&[a, euro[0], euro[1]], euro[2]), "\u{fffd}");
    // Of what the decoder takes off nothing was given out: what comes behind decides.
    let (space_byte, lone) = (3 + 0x20, 3 + 0x80);
    assert_eq!(first(&[space_byte], lone), "\u{fffd}\u{fffd}");
    assert_eq!(first(&[space_byte], under_a), " a");
    assert_eq!(streamed_after(&tokenizer, &[a], &euro, true).concat(), "€");
    // Bytes behind spaces are text, however many spaces a beginning loses.
    let strip = json!({"type": "Strip", "content": " ", "start": 3, "stop": 0});
    let three = Rc::new(read(&with(sentencepiece_bpe(), "/decoder/decoders/3", strip), 266).unwrap());
    let behind = |before: &[u32], id: u32| streamed_after(&three, before, &[id], true).concat();
    assert_eq!(behind(&[&[space, space], &euro[..]].concat(), under_a), " a");
    assert_eq!(behind(&[space, space_byte], under_a), "a");
    let bytes = Rc::new(read(&byte_level_bpe(), 300).unwrap());
    assert_eq!(streamed_after(&bytes, &[0, 257], &[258], true).concat(), " a");
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
