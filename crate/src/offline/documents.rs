//! The documents that a command reads. `.jsonl` (or `.ndjson`) has one per line, `{"ids": […]}` or `{"text": "…"}`; any other file is text with
//! `<|endoftext|>` lines between documents. Ids are used as they are. Text is encoded as tokenizer.json says, and the model's
//! BOS is put in front unless the encoding already begins with it.

use std::borrow::Cow;
#[cfg(feature = "cli")]
use std::path::Path;

use serde::Deserialize;

#[cfg(feature = "cli")]
use super::files;
use crate::config::Config;
use crate::error::{fail, Code, Error, Result};
use crate::tokenizer::Tokenizer;

/// Largest file we read.
#[cfg(feature = "cli")]
const MAX_BYTES: u64 = 4 << 30;
/// The line between the documents of a text file.
pub const SEPARATOR: &str = "<|endoftext|>";

/// Token ids of one document, at least one.
pub type Document = Vec<u32>;

#[derive(Deserialize)]
struct Line {
    ids: Option<Vec<u32>>,
    text: Option<String>,
}

/// One document as its file has it.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub text: &'a str,
    /// In a `.jsonl` file, the number of the line, from 1.
    pub line: Option<usize>,
}

impl Part<'_> {
    /// Its ids; `name` is that of the file, for errors.
    pub fn ids(&self, name: &str, config: &Config, tokenizer: Option<&Tokenizer>) -> Result<Document> {
        match self.line {
            Some(number) => from_line(self.text, config, tokenizer, &|| format!("{name} line {number}")),
            None => encode(self.text, config, tokenizer, &|| name.to_owned()),
        }
    }
}

/// The documents of a file of that name, in order.
pub fn parts<'a>(name: &str, text: &'a str) -> Vec<Part<'a>> {
    if !is_lines(name) {
        return split(text).map(|text| Part { text, line: None }).collect();
    }
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    lines
        .map(|(text, number)| Part {
            text,
            line: Some(number),
        })
        .collect()
}

/// Whether a file of that name has a document on each line, as JSON.
pub fn is_lines(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".jsonl", ".ndjson"].iter().any(|end| name.ends_with(end))
}

/// All documents of the files, in order, except empty ones.
#[cfg(feature = "cli")]
pub fn read(paths: &[impl AsRef<Path>], config: &Config, tokenizer: Option<&Tokenizer>) -> Result<Vec<Document>> {
    read_heard(paths, config, tokenizer, &mut |_| ())
}

/// The same; `heard` gets the bytes of each file, which is read once: it may be a pipe.
#[cfg(feature = "cli")]
pub fn read_heard(
    paths: &[impl AsRef<Path>],
    config: &Config,
    tokenizer: Option<&Tokenizer>,
    heard: &mut dyn FnMut(&[u8]),
) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let bytes = files::read_whole(path, MAX_BYTES)?;
        heard(&bytes);
        let (text, name) = (utf8(path, bytes)?, path.display().to_string());
        refuse_json(&name, &text)?;
        for part in parts(&name, &text) {
            documents.push(part.ids(&name, config, tokenizer)?);
        }
    }
    documents.retain(|document| !document.is_empty());
    Ok(documents)
}

/// JSON lines under another name would be read as prose, braces and all.
pub fn refuse_json(name: &str, text: &str) -> Result<()> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if !is_lines(name)
        && serde_json::from_str::<Line>(first).is_ok_and(|line| line.ids.is_some() || line.text.is_some())
    {
        fail!(
            Argument,
            "{name} begins with a line of JSON that holds a document; files of such lines must end in .jsonl"
        );
    }
    Ok(())
}

/// The documents of a text file, as texts.
#[cfg(feature = "cli")]
pub fn texts(path: &Path) -> Result<Vec<String>> {
    Ok(split(&text_of(path)?).map(str::to_owned).collect())
}

/// The text of a file.
#[cfg(feature = "cli")]
pub fn text_of(path: &Path) -> Result<String> {
    utf8(path, files::read_whole(path, MAX_BYTES)?)
}

#[cfg(feature = "cli")]
fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String> {
    let Ok(text) = String::from_utf8(bytes) else {
        fail!(Io, "{} is not UTF-8 text", path.display())
    };
    let other = match plain(&text) {
        Cow::Borrowed(same) if same.len() == text.len() => None,
        other => Some(other.into_owned()),
    };
    Ok(other.unwrap_or(text))
}

/// What a file says, as training reads it: without the byte order mark that some editors, and PowerShell, begin a text with, and with `\n` where
/// Windows has `\r\n`.
pub fn plain(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text.contains("\r\n") {
        true => text.replace("\r\n", "\n").into(),
        false => text.into(),
    }
}

/// The texts between separator lines, trimmed, except empty ones.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut from = 0;
        for line in text.split_inclusive('\n') {
            if line.trim() == SEPARATOR {
                rest = Some(&text[from + line.len()..]);
                return Some(text[..from].trim());
            }
            from += line.len();
        }
        rest = None;
        Some(text.trim())
    })
    .filter(|text| !text.is_empty())
}

fn from_line(
    line: &str,
    config: &Config,
    tokenizer: Option<&Tokenizer>,
    source: &dyn Fn() -> String,
) -> Result<Document> {
    let line: Line = serde_json::from_str(line).map_err(|error| {
        let source = source();
        Error::new(
            Code::Argument,
            format!("{source} is not a JSON object with ids or text: {error}"),
        )
    })?;
    let ids = match (line.ids, line.text) {
        (Some(ids), _) => ids,
        (None, Some(text)) => encode(&text, config, tokenizer, source)?,
        (None, None) => fail!(Argument, "{} must have \"ids\" or \"text\"", source()),
    };
    if let Some(id) = ids.iter().find(|id| **id as usize >= config.d_vocab) {
        fail!(
            Argument,
            "{}: ids holds {id}, but the model's tokens are 0 to {}",
            source(),
            config.d_vocab - 1
        );
    }
    Ok(ids)
}

/// The ids of a text, the model's BOS in front; `source` says where the text is from.
pub fn encode(
    text: &str,
    config: &Config,
    tokenizer: Option<&Tokenizer>,
    source: &dyn Fn() -> String,
) -> Result<Document> {
    let Some(tokenizer) = tokenizer else {
        fail!(
            Tokenizer,
            "{} contains text, but the model has no tokenizer.json; use a .jsonl file with {{\"ids\": […]}} lines",
            source()
        );
    };
    let mut ids = tokenizer.encode(text)?;
    if let Some(bos) = config.bos_token_id.filter(|bos| ids.first() != Some(bos)) {
        ids.insert(0, bos);
    }
    Ok(ids)
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::{parts, plain, refuse_json, split};

    #[test]
    fn json_lines_are_known_by_their_name() {
        let text = "{\"text\": \"One.\"}\n\n{\"ids\": [1]}\n";
        for name in ["a.jsonl", "a.JSONL", "a.ndjson"] {
            let lines: Vec<Option<usize>> = parts(name, text).iter().map(|part| part.line).collect();
            assert_eq!(lines, [Some(1), Some(3)], "{name}");
            assert!(refuse_json(name, text).is_ok());
        }
        assert!(refuse_json("a.txt", text)
            .unwrap_err()
            .to_string()
            .contains("must end in .jsonl"));
        for prose in ["{\"key\": 1}", "", "{ she said"] {
            assert!(refuse_json("a.txt", prose).is_ok(), "{prose}");
        }
    }

    #[test]
    fn texts_stand_between_separator_lines() {
        let text = plain("\u{feff}One.\r\nTwo <|endoftext|> inside.\n<|endoftext|>\r\n\n <|endoftext|> \nThree.");
        let parts: Vec<&str> = split(&text).collect();
        assert_eq!(parts, ["One.\nTwo <|endoftext|> inside.", "Three."]);
        assert_eq!(split("\n<|endoftext|>\n").count(), 0);
        // U+001C to U+001F are no white space: the vector of training/tests/test_refusals.py.
        let text = "\u{1f}One.\n\u{1c}<|endoftext|>\nTwo.\n\u{2003}<|endoftext|>\u{b}\u{3000}\nThree.\u{1e}\u{85}";
        let parts: Vec<&str> = split(text).collect();
        assert_eq!(parts, ["\u{1f}One.\n\u{1c}<|endoftext|>\nTwo.", "Three.\u{1e}"]);
    }
}
