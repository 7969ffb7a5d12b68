//! The one error type of the engine. A message is one sentence that names the file, field or argument
//! and says what would be right; `code` is what a program branches on (`TopKError.code` in JavaScript).

use std::fmt;

/// What kind of thing went wrong; the string form is part of the public API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// An error with a code and its sentence. Line breaks in it (from parsers below us) become spaces.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message: String = message.into();
        let message = if message.contains(['\n', '\r']) {
            message.split_whitespace().collect::<Vec<_>>().join(" ")
        } else {
            message
        };
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
            format!("{place}; the weights or the edits up to there are too large"),
        )
    }

    pub fn code(&self) -> Code {
        self.code
    }
}

/// Result of everything that can fail in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// `Err(Error::new(code, format!(...)))` in one word.
macro_rules! fail {
    ($code:ident, $($arg:tt)+) => {
        return Err($crate::error::Error::new($crate::error::Code::$code, format!($($arg)+)))
    };
}
pub(crate) use fail;
