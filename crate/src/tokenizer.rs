//! `tokenizer.json`: text to ids exactly as its post-processor says, and back, also as a stream.
//!
//! The `tokenizers` crate does the work. Some malformed files make it panic, and some could make it use memory without bound;
//! `check.rs` refuses those first, because a panic ends the wasm module.

mod check;
mod patterns;
mod stream;

use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use tokenizers::tokenizer::normalizer::Range;
use tokenizers::tokenizer::{NormalizedString, Normalizer};
use tokenizers::{DecoderWrapper, NormalizerWrapper};

use crate::error::{fail, quoted, Code, Error, Result};
use crate::memory::reserve;

/// What the library takes for each byte of a text, about; twice that where each is a token.
const TEXT_BYTES: usize = 50;
/// As many bytes the tokenizers of known models may make of one, which few are.
const USUAL_GROWTH: usize = 16;

#[cfg(feature = "cli")]
pub(crate) use check::MAX_PIECE;
pub use stream::StreamDecoder;

/// A tokenizer that fits a model of `d_vocab` tokens.
pub struct Tokenizer {
    /// Written for the time of [`Tokenizer::encode_split`] alone.
    inner: RwLock<tokenizers::Tokenizer>,
    d_vocab: usize,
    /// How many bytes one of a text may become.
    growth: usize,
    /// A token of plain text, put in front of another to see how that one reads when it is not the first.
    anchor: Option<u32>,
    how: Decoding,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// What streaming needs to know about the decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Decoding {
    /// The decoder is byte-level BPE's and nothing else: tokens are consecutive bytes.
    bytes: bool,
    /// Tokens like `<0xE2>` are bytes, and a run of them is decoded as one.
    byte_fallback: bool,
    /// Byte-level is one part of the decoder.
    byte_level: bool,
}

impl Tokenizer {
    /// Reads `tokenizer.json`, except truncation and padding, which are for training batches.
    pub fn from_bytes(bytes: &[u8], d_vocab: usize) -> Result<Tokenizer> {
        let (added, growth) = check::check(bytes)?;
        // `parse` rather than the generic `from_bytes`: the former is compiled with its own crate, for size in the web build.
        let text = std::str::from_utf8(bytes).map_err(invalid)?;
        let mut inner: tokenizers::Tokenizer = guarded("is not valid", || text.parse().map_err(invalid))?;
        inner.with_truncation(None).map_err(invalid)?.with_padding(None);
        let mut tokenizer = Tokenizer {
            how: decoding(inner.get_decoder()),
            inner: RwLock::new(inner),
            d_vocab,
            growth,
            anchor: None,
        };
        tokenizer.check_tokens(&added)?;
        tokenizer.anchor = tokenizer.find_anchor();
        Ok(tokenizer)
    }

    fn inner(&self) -> RwLockReadGuard<'_, tokenizers::Tokenizer> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of tokens, including added ones.
    pub fn len(&self) -> usize {
        self.inner().get_vocab_size(true)
    }

    /// Whether it has no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ids of `text`, including what the post-processor adds. An id that the model does not have is an error that names it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_with(&self.inner(), text, true)
    }

    /// The same without what the post-processor adds.
    #[cfg(feature = "cli")]
    pub fn encode_alone(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_with(&self.inner(), text, false)
    }

    /// [`Tokenizer::encode`], but a special token that is written out in the text is text like any other, as `split_special_tokens` of transformers
    /// has it: for texts from people who must not write such tokens. Its id can still come where it is a piece of the vocabulary's own as well, as
    /// Unigram models may have it.
    pub fn encode_split(&self, text: &str) -> Result<Vec<u32>> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.set_encode_special_tokens(true);
        let ids = self.encode_with(&inner, text, true);
        inner.set_encode_special_tokens(false);
        ids
    }

    fn encode_with(&self, inner: &tokenizers::Tokenizer, text: &str, special: bool) -> Result<Vec<u32>> {
        let what = "cannot encode this text";
        // The library asks for it in pieces, and does not survive where there is none.
        let growth = if self.growth > USUAL_GROWTH { 2 * self.growth } else { 1 };
        reserve(&mut Vec::<[u8; TEXT_BYTES]>::new(), text.len().saturating_mul(growth), "the tokens of a text")?;
        let encoding = guarded(what, || {
            inner.encode(text, special).map_err(|error| unusable(what, error))
        })?;
        for (&id, token) in encoding.get_ids().iter().zip(encoding.get_tokens()) {
            if id as usize >= self.d_vocab {
                let d_vocab = self.d_vocab;
                fail!(
                    Tokenizer,
                    "tokenizer.json gives {token} the id {id}, but the model has {d_vocab} tokens", token = quoted(token));
            }
        }
        Ok(encoding.get_ids().to_vec())
    }

    /// Text of `ids`. Ids that the model has but the tokenizer does not are left out, as in transformers.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        ids.iter().try_for_each(|&id| self.check_id(id))?;
        let visible: Vec<u32> = ids
            .iter()
            .copied()
            .filter(|&id| self.is_visible(id, skip_special))
            .collect();
        if visible.is_empty() {
            return Ok(String::new());
        }
        let what = "cannot decode these ids";
        guarded(what, || {
            self.inner()
                .decode(&visible, false)
                .map_err(|error| unusable(what, error))
        })
    }

    /// Each id as text in the middle of a sentence, special tokens by their names; U+FFFD for a token that is part of a
    /// character, nothing for an id that the tokenizer does not have.
    pub fn tokens(&self, ids: &[u32]) -> Result<Vec<String>> {
        let before: Vec<u32> = self.anchor.into_iter().collect();
        let skipped = self.decode(&before, false)?;
        let token = |&id: &u32| {
            self.check_id(id)?;
            let text = self.decode(&[before.as_slice(), &[id]].concat(), false)?;
            match text.strip_prefix(&skipped) {
                Some(text) => Ok(text.to_owned()),
                None => self.decode(&[id], false),
            }
        };
        ids.iter().map(token).collect()
    }

    /// The token as it is in the vocabulary.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner().id_to_token(id)
    }

    /// The id of a special token by its text; `None` for other texts.
    pub fn special_id(&self, text: &str) -> Option<u32> {
        let inner = self.inner();
        let is_special = inner.get_added_vocabulary().is_special_token(text);
        inner.token_to_id(text).filter(|_| is_special)
    }

    /// Ids of the special tokens, ascending.
    pub fn special_ids(&self) -> Vec<u32> {
        let inner = self.inner();
        let tokens = inner.get_added_tokens_decoder();
        let mut ids: Vec<u32> = tokens
            .iter()
            .filter(|(_, token)| token.special)
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        ids
    }

    fn check_id(&self, id: u32) -> Result<()> {
        if id as usize >= self.d_vocab {
            fail!(Argument, "token id {id} is beyond the model's {} tokens", self.d_vocab);
        }
        Ok(())
    }

    fn is_visible(&self, id: u32, skip_special: bool) -> bool {
        let inner = self.inner();
        let special = |token: &str| inner.get_added_vocabulary().is_special_token(token);
        inner
            .id_to_token(id)
            .is_some_and(|token| !(skip_special && special(&token)))
    }

    /// The crate gives added tokens the next free ids, whatever the file says; and a token that normalizes to nothing
    /// would match everywhere, even inside characters.
    fn check_tokens(&self, wanted: &[(String, u64)]) -> Result<()> {
        let inner = self.inner();
        for (content, id) in wanted.iter().filter(|(content, _)| !content.is_empty()) {
            if inner.token_to_id(content).map(u64::from) != Some(*id) {
                fail!(
                    Tokenizer,
                    "tokenizer.json: added_tokens: {content} cannot have the id {id}", content = quoted(content));
            }
        }
        // The crate keeps one entry of a token listed twice, and looks for both: what is checked below would not be what it uses.
        let mut contents: Vec<&str> = wanted.iter().map(|(content, _)| content.as_str()).collect();
        contents.sort_unstable();
        if let Some(pair) = contents.windows(2).find(|pair| pair[0] == pair[1]) {
            fail!(Tokenizer, "tokenizer.json: added_tokens: {} is listed twice", quoted(pair[0]));
        }
        // A stream can tell the suffix from other text only at the end of a token.
        if let Some(DecoderWrapper::BPE(decoder)) = inner.get_decoder() {
            let suffix = &decoder.suffix;
            let inside = |token: &String| token.strip_suffix(suffix).unwrap_or(token).contains(suffix);
            if let Some(token) = inner.get_vocab(true).keys().find(|token| inside(token)) {
                fail!(
                    Tokenizer,
                    "tokenizer.json: decoder: {token} has the suffix {suffix} inside", token = quoted(token), suffix = quoted(suffix));
            }
        }
        let Some(normalizer) = inner.get_normalizer() else {
            return Ok(());
        };
        keeps_alignment(normalizer)?;
        let swallows = inner.get_added_tokens_decoder().values().any(|token| token.rstrip);
        for token in inner
            .get_added_tokens_decoder()
            .values()
            .filter(|token| token.normalized)
        {
            let mut content = NormalizedString::from(token.content.as_str());
            normalizer.normalize(&mut content).map_err(invalid)?;
            if content.get().is_empty() {
                fail!(
                    Tokenizer,
                    "tokenizer.json: added_tokens: {} is normalized to nothing",
                    quoted(&token.content)
                );
            }
            if swallows && token.lstrip && content.get().trim().is_empty() {
                fail!(
                    Tokenizer,
                    "tokenizer.json: added_tokens: {}, normalized to space, must not have lstrip where others have rstrip",
                    quoted(&token.content)
                );
            }
        }
        Ok(())
    }

    fn find_anchor(&self) -> Option<u32> {
        let inner = self.inner();
        let encoding = inner.encode("a", false).ok()?;
        let id = *encoding.get_ids().last()?;
        let plain = (id as usize) < self.d_vocab && inner.decode(&[id], false).ok()?.ends_with('a');
        plain.then_some(id)
    }
}

/// Texts with everything that normalizers treat specially.
const PROBES: [&str; 4] = [
    "a",
    "  Ab  c\t\n",
    "\u{301}e\u{301}\u{fb01} \u{1f408}\u{200d}\u{2b1b}",
    "\u{2581}don't \u{130}\u{65e5}\u{672c}\u{0}.",
];

/// Refuses a normalizer behind which the crate does not know what came from where: what it does next would go beyond the text.
fn keeps_alignment(normalizer: &NormalizerWrapper) -> Result<()> {
    let parts = match normalizer {
        NormalizerWrapper::Sequence(sequence) => sequence.as_ref(),
        one => std::slice::from_ref(one),
    };
    for probe in PROBES {
        let mut text = NormalizedString::from(probe);
        for part in parts {
            part.normalize(&mut text).map_err(invalid)?;
            let all = text.convert_offsets(Range::Original(0..text.len_original()));
            if all != Some(0..text.len()) && !text.is_empty() {
                fail!(Tokenizer, "tokenizer.json: normalizer: {} loses what came from where in {}", quoted(format!("{part:?}")), quoted(probe));
            }
        }
    }
    Ok(())
}

/// A panic of the crate as an error, where panics can be caught: `check.rs` refuses all files known to cause one.
fn guarded<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    if cfg!(target_arch = "wasm32") {
        return work();
    }
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(unusable(what, "a bug in the tokenizers crate")))
}

fn invalid(error: impl fmt::Display) -> Error {
    Error::new(Code::Tokenizer, format!("tokenizer.json is not valid: {error}"))
}

fn unusable(what: &str, error: impl fmt::Display) -> Error {
    Error::new(Code::Tokenizer, format!("tokenizer.json {what}: {error}"))
}

fn decoding(decoder: Option<&DecoderWrapper>) -> Decoding {
    match decoder {
        Some(DecoderWrapper::ByteLevel(_)) => Decoding {
            bytes: true,
            byte_level: true,
            ..Decoding::default()
        },
        Some(DecoderWrapper::ByteFallback(_)) => Decoding {
            byte_fallback: true,
            ..Decoding::default()
        },
        Some(DecoderWrapper::Sequence(parts)) => {
            let parts: Vec<_> = parts.get_decoders().iter().map(|part| decoding(Some(part))).collect();
            Decoding {
                bytes: matches!(parts.as_slice(), [only] if only.bytes),
                byte_fallback: parts.iter().any(|part| part.byte_fallback),
                byte_level: parts.iter().any(|part| part.byte_level),
            }
        }
        _ => Decoding::default(),
    }
}

#[cfg(test)]
mod tests;
