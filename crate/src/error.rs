//! The one error type of the engine. A message is one sentence that names the file, field or argument
//! and says what would be right; `code` is what a program branches on (`TopKError.code` in JavaScript).

use std::fmt;

/// What kind of thing went wrong; the string form is part of the public API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// `config.json` or `generation_config.json` cannot be used.
    Config,
    /// Weights are missing, misshapen, truncated or inconsistent.
    Checkpoint,
    /// `tokenizer.json` cannot be used, or there is none where one is needed.
    Tokenizer,
    /// An argument of a call is out of range.
    Argument,
    /// An edit does not fit the model.
    Edit,
    /// A hook that does not exist there.
    Hook,
    /// The context of the model is full.
    Context,
    /// A file cannot be read or written.
    Io,
    /// No adapter, or the adapter lacks something the engine needs.
    Device,
    /// The device was lost while in use; the engine has to be loaded again.
    DeviceLost,
    /// The device or the host has no memory left for this.
    OutOfMemory,
    /// Activations became infinite or NaN.
    NonFinite,
    /// The caller aborted.
    Aborted,
    /// The object was disposed.
    Disposed,
}

impl Code {
    /// The name that callers in other languages see.
    pub fn name(self) -> &'static str {
        match self {
            Code::Config => "config",
            Code::Checkpoint => "checkpoint",
            Code::Tokenizer => "tokenizer",
            Code::Argument => "argument",
            Code::Edit => "edit",
            Code::Hook => "hook",
            Code::Context => "context",
            Code::Io => "io",
            Code::Device => "device",
            Code::DeviceLost => "device-lost",
            Code::OutOfMemory => "out-of-memory",
            Code::NonFinite => "non-finite",
            Code::Aborted => "aborted",
            Code::Disposed => "disposed",
        }
    }
}

/// An error: a code and one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    code: Code,
    message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error {
    /// Whether another device might do it.
    pub(crate) fn is_of_device(&self) -> bool {
        matches!(self.code, Code::Config | Code::Device | Code::DeviceLost | Code::OutOfMemory)
    }

    /// An error with a code and its sentence. Line breaks in it (from parsers below us) become spaces, and what would make it longer
    /// than 300 UTF-16 units is left out of its middle: the beginning names the file or argument, the end what would be right.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message: String = message.into();
        let message = if message.contains(['\n', '\r']) {
            message.split_whitespace().collect::<Vec<_>>().join(" ")
        } else {
            message
        };
        let message = within(message);
        Error { code, message }
    }

    /// Activations that became infinite or NaN: the first such layer, `None` for the logits after the last.
    pub fn non_finite(layer: Option<usize>) -> Self {
        let place = match layer {
            Some(layer) => format!("the activations became infinite or NaN in layer {layer}"),
            None => "the logits became infinite or NaN after the last layer".to_owned(),
        };
        Error::new(
            Code::NonFinite,
            format!("{place}; the weights or the edits up to there are too large, or not finite"),
        )
    }

    /// The same of a part of what was asked for, which `place` names.
    pub fn at(self, place: impl fmt::Display) -> Self {
        Error::new(self.code, format!("{place}: {self}"))
    }

    /// What a program branches on.
    pub fn code(&self) -> Code {
        self.code
    }
}

/// Longest message, in UTF-16 units: what JavaScript calls its length.
pub const MESSAGE: usize = 300;
/// Longest piece of a file or argument in a message, in the same units.
const PIECE: usize = 60;
/// What stands for text that is left out.
const CUT: char = '…';

/// `message`, without its middle where it is too long.
pub fn within(message: String) -> String {
    if message.encode_utf16().count() <= MESSAGE {
        return message;
    }
    let tail = MESSAGE / 3;
    let head = start_of(message.chars(), MESSAGE - tail - CUT.len_utf16());
    let end: Vec<char> = start_of(message.chars().rev(), tail).chars().collect();
    head.chars().chain([CUT]).chain(end.into_iter().rev()).collect()
}

/// As many of `chars` as `units` of UTF-16 hold.
fn start_of(chars: impl Iterator<Item = char>, units: usize) -> String {
    let mut left = units;
    let fits = |c: char| {
        left = left.checked_sub(c.len_utf16())?;
        Some(c)
    };
    chars.map_while(fits).collect()
}

/// Text from a file or argument for a message: control characters escaped, and cut where it is long.
pub fn shortened(text: &str) -> String {
    let mut shown = String::new();
    let mut left = PIECE;
    for c in text.chars() {
        let escaped = c.escape_debug();
        let Some(rest) = left.checked_sub(escaped.clone().map(char::len_utf16).sum()) else {
            shown.push(CUT);
            break;
        };
        left = rest;
        shown.extend(escaped);
    }
    shown
}

/// The same in quotation marks.
pub fn quoted(text: impl AsRef<str>) -> String {
    format!("\"{}\"", shortened(text.as_ref()))
}

/// Result of everything that can fail in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// For `fail!`.
#[cold]
#[inline(never)]
pub(crate) fn failure(code: Code, message: fmt::Arguments<'_>) -> Error {
    Error::new(code, message.to_string())
}

/// `return Err(Error::new(code, format!(...)))` in one word, and in one call where it stands.
macro_rules! fail {
    ($code:ident, $($arg:tt)+) => {
        return Err($crate::error::failure($crate::error::Code::$code, format_args!($($arg)+)))
    };
}
pub(crate) use fail;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_message_is_longer_than_300(parts in prop::collection::vec((".{0,9}", 0usize..200), 0..9)) {
            let text: String = parts.iter().map(|(part, times)| part.repeat(*times)).collect();
            let message = Error::new(Code::Io, text.clone()).to_string();
            prop_assert!(message.encode_utf16().count() <= MESSAGE, "{}", message);
            let plain = !text.contains(['\n', '\r']);
            prop_assert!(!plain || message == text || (message.contains(CUT) && text.encode_utf16().count() > MESSAGE));
            for piece in [quoted(&text), shortened(&text)] {
                prop_assert!(piece.encode_utf16().count() <= PIECE + 3, "{}", piece);
                prop_assert!(!piece.contains(char::is_control));
            }
        }
    }

    #[test]
    fn what_is_left_out_is_the_middle() {
        let message = Error::new(Code::Config, format!("config.json: {} must be 1", "🐈".repeat(1000))).to_string();
        assert!(message.starts_with("config.json: 🐈") && message.ends_with("🐈 must be 1") && message.contains('…'));
        assert_eq!(quoted("a\"b\n"), "\"a\\\"b\\n\"");
        assert_eq!(quoted("x".repeat(61)), format!("\"{}…\"", "x".repeat(60)));
    }
}
