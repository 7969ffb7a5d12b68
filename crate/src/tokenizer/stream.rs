//! Streams text while ids are still arriving: only whole characters, and in the end exactly what decoding all ids at once gives.

use std::rc::Rc;

use super::Tokenizer;
use crate::error::Result;

/// How many ids in front of a stream are looked at for one that alone makes visible text.
const LOOK_BACK: usize = 64;

/// Turns ids into pieces of text, one at a time. The pieces, with that of [`StreamDecoder::flush`] at the end, are
/// `tokenizer.decode(all ids)`.
pub struct StreamDecoder {
    tokenizer: Rc<Tokenizer>,
    skip_special: bool,
    /// Byte-level: bytes of an incomplete character.
    bytes: Vec<u8>,
    /// Other decoders: ids whose text has been given out, enough of them that what follows is decoded as in the middle…
    before: Vec<u32>,
    /// …and ids whose text may still change.
    pending: Vec<u32>,
    /// The current text of `pending`.
    held: String,
}

impl StreamDecoder {
    pub fn new(tokenizer: Rc<Tokenizer>, skip_special: bool) -> StreamDecoder {
        let (bytes, before, pending, held) = Default::default();
        StreamDecoder {
            tokenizer,
            skip_special,
            bytes,
            before,
            pending,
            held,
        }
    }

    /// A stream that goes on after `ids`: decoders write the first token of a text, and only that one, without its space.
    pub fn after(tokenizer: Rc<Tokenizer>, skip_special: bool, ids: &[u32]) -> Result<StreamDecoder> {
        let mut stream = StreamDecoder::new(tokenizer, skip_special);
        let tokenizer = &stream.tokenizer;
        let visible = ids.iter().rev().filter(|&&id| tokenizer.is_visible(id, skip_special));
        let mut bytes = Vec::new();
        for &id in visible.take(LOOK_BACK) {
            stream.before.insert(0, id);
            let text = tokenizer.decode(&stream.before, false)?;
            if stream.before.len() == 1 && tokenizer.may_change(id, &text) {
                bytes.append(&mut stream.before);
            } else if !text.trim_start().is_empty() {
                return Ok(stream);
            }
        }
        // Nothing but spaces and, behind them, bytes. Where a decoder takes all of that off, it may take more.
        if !bytes.is_empty() {
            bytes.reverse();
            let all = [stream.before.as_slice(), &bytes].concat();
            if tokenizer.decode(&all, false)?.is_empty() {
                stream.before = all;
            } else if let Some(anchor) = tokenizer.anchor {
                // Any token that ends in a letter stands for them.
                stream.before = vec![anchor];
            }
        }
        Ok(stream)
    }

    /// The text that `id` makes certain; often empty inside a character.
    pub fn push(&mut self, id: u32) -> Result<String> {
        self.tokenizer.check_id(id)?;
        if !self.tokenizer.is_visible(id, self.skip_special) {
            return Ok(String::new());
        }
        let Some(token) = self.tokenizer.id_to_token(id) else {
            return Ok(String::new());
        };
        if self.tokenizer.how.bytes {
            self.bytes
                .extend(byte_level(&token).unwrap_or_else(|| token.into_bytes()));
            return Ok(take_characters(&mut self.bytes));
        }
        self.pending.push(id);
        let both = [self.before.as_slice(), &self.pending].concat();
        let given = self.tokenizer.decode(&self.before, false)?;
        let text = self.tokenizer.decode(&both, false)?;
        text.strip_prefix(&given).unwrap_or_default().clone_into(&mut self.held);
        if self.tokenizer.may_change(id, &self.held) {
            return Ok(String::new());
        }
        // Decoders treat the beginning of a text specially: keep ids until they alone make visible text.
        if self.tokenizer.decode(&self.pending, false)?.trim_start().is_empty() {
            self.before = both;
        } else {
            self.before.clone_from(&self.pending);
        }
        self.pending.clear();
        Ok(std::mem::take(&mut self.held))
    }

    /// The remaining text, once there are no more ids.
    pub fn flush(&mut self) -> String {
        self.pending.clear();
        let rest = String::from_utf8_lossy(&std::mem::take(&mut self.bytes)).into_owned();
        std::mem::take(&mut self.held) + &rest
    }
}

impl Tokenizer {
    /// Whether more tokens may change `text`, which ends with the token `id`: it may end inside a character.
    fn may_change(&self, id: u32, text: &str) -> bool {
        let byte = || self.id_to_token(id).is_some_and(|token| is_byte(&token));
        (self.how.byte_fallback && byte()) || (self.how.byte_level && text.ends_with(char::REPLACEMENT_CHARACTER))
    }
}

/// Whether a token stands for one byte, as byte fallback writes it.
fn is_byte(token: &str) -> bool {
    token.len() == 6 && token.starts_with("<0x") && token.ends_with('>')
}

/// The bytes of a token of byte-level BPE, which writes each byte as one printable character: those that are printable
/// Latin-1 as they are, the others in order from U+0100 on. `None` for a token (an added one) with any other character.
fn byte_level(token: &str) -> Option<Vec<u8>> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let byte = |c: char| match u8::try_from(u32::from(c)) {
        Ok(byte) => printable(byte).then_some(byte),
        Err(_) => (0..=255)
            .filter(|&byte| !printable(byte))
            .nth((u32::from(c) - 0x100) as usize),
    };
    token.chars().map(byte).collect()
}

/// Takes all bytes except those that may begin a character; bytes that cannot be UTF-8 become U+FFFD, as in
/// `String::from_utf8_lossy`.
fn take_characters(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut used = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        used += chunk.valid().len();
        let invalid = chunk.invalid();
        let unfinished = used + invalid.len() == bytes.len()
            && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
        if !invalid.is_empty() && !unfinished {
            text.push(char::REPLACEMENT_CHARACTER);
            used += invalid.len();
        }
    }
    bytes.drain(..used);
    text
}
