//! Typed access to the keys of a JSON object; every error names the file, the key and what would be right.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::error::{fail, quoted, shortened, Result};

/// An object in a file. `null` counts as absent everywhere but in [`Fields::raw`].
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    /// Name in messages: `config.json: ` or `config.json: rope_scaling.`
    prefix: String,
}

impl<'a> Fields<'a> {
    pub fn new(file: &str, map: &'a Map<String, Value>) -> Self {
        Fields {
            map,
            prefix: format!("{file}: "),
        }
    }

    /// The value as it stands, `null` included.
    pub fn raw(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key)
    }

    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// The object under `key`, with its path in messages. An empty one counts as absent, as in transformers.
    pub fn object(&self, key: &str) -> Result<Option<Fields<'a>>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) if map.is_empty() => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Fields {
                map,
                prefix: format!("{}{key}.", self.prefix),
            })),
            Some(other) => self.wrong(key, "an object", other),
        }
    }

    /// A whole number from `min` to `max`.
    pub fn integer(&self, key: &str, min: usize, max: usize) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) if (min..=max).contains(&n) => Ok(Some(n)),
            _ => self.wrong(key, &format!("a whole number from {min} to {max}"), value),
        }
    }

    /// A number that is finite also in f32.
    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_f64() {
            Some(x) if (x as f32).is_finite() => Ok(Some(x)),
            _ => self.wrong(key, "a finite number", value),
        }
    }

    /// A finite number above 0 (also as f32).
    pub fn positive(&self, key: &str) -> Result<Option<f64>> {
        match self.number(key)? {
            Some(x) if (x as f32) <= 0.0 => self.wrong(key, "a number above 0", &Value::from(x)),
            x => Ok(x),
        }
    }

    pub fn boolean(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(b)) => Ok(Some(*b)),
            Some(other) => self.wrong(key, "true or false", other),
        }
    }

    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(s)) => Ok(Some(s)),
            Some(other) => self.wrong(key, "a string", other),
        }
    }

    /// A switch this engine has in one position only.
    pub fn only(&self, key: &str, supported: bool) -> Result<()> {
        match self.boolean(key)? {
            Some(b) if b != supported => {
                fail!(
                    Config,
                    "{}{key} = {b} is not supported; only {supported} is",
                    self.prefix
                )
            }
            _ => Ok(()),
        }
    }

    /// A number that may be 1 only.
    pub fn only_one(&self, key: &str) -> Result<()> {
        match self.number(key)? {
            Some(x) if x != 1.0 => self.refuse(key, format!("= {x} is not supported; only 1 is")),
            _ => Ok(()),
        }
    }

    /// The value of the first of `keys` that is there; others of them must say the same.
    pub fn agreed<T: PartialEq + std::fmt::Display>(
        &self,
        keys: &'static [&'static str],
        read: impl Fn(&str) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let mut found: Option<(&str, T)> = None;
        for &key in keys {
            match (read(key)?, &found) {
                (Some(other), Some((first, value))) if other != *value => {
                    return self.refuse(first, format!("is {value}, but {key} is {other}; keep one of them"))
                }
                (Some(value), None) => found = Some((key, value)),
                _ => {}
            }
        }
        Ok(found.map(|(_, value)| value))
    }

    /// A token id or a list of them; `None` where the key is absent, an empty list for `null`. Ids that no token can
    /// have (−1, or beyond the vocabulary) are dropped: transformers accepts them, and they never occur.
    pub fn ids(&self, key: &str, d_vocab: usize) -> Result<Option<Vec<u32>>> {
        const EXPECTED: &str = "a token id, a list of token ids or null";
        let (mut ids, mut seen) = (Vec::new(), BTreeSet::new());
        let values = match self.raw(key) {
            None => return Ok(None),
            Some(Value::Null) => return Ok(Some(ids)),
            Some(Value::Array(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
        };
        for value in values {
            if value.as_i64().is_none() && value.as_u64().is_none() {
                return self.wrong(key, EXPECTED, value);
            }
            let id = value
                .as_u64()
                .filter(|&id| id < d_vocab as u64)
                .and_then(|id| u32::try_from(id).ok());
            ids.extend(id.filter(|&id| seen.insert(id)));
        }
        Ok(Some(ids))
    }

    /// Fails: `key` must be `expected`.
    pub fn wrong<T>(&self, key: &str, expected: &str, found: &Value) -> Result<T> {
        fail!(Config, "{}{key} must be {expected}, not {}", self.prefix, shown(found))
    }

    /// Fails with a sentence that begins with the key.
    pub fn refuse<T>(&self, key: &str, sentence: impl std::fmt::Display) -> Result<T> {
        fail!(Config, "{}{key} {sentence}", self.prefix)
    }
}

/// A value for a message: JSON, cut where it is long.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_string(),
        Value::Object(_) => "an object".to_string(),
        Value::String(text) => quoted(text),
        other => shortened(&other.to_string()),
    }
}
