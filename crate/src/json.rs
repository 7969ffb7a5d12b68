//! JSON objects of files, with more care than serde takes.

use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::error::{quoted, Code, Error};

/// What the JSON object in `file` says. A list, which serde takes for an object's values, is none.
pub fn object<T: DeserializeOwned>(file: &str, bytes: &[u8], code: Code) -> Result<T, Error> {
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Error::new(code, format!("{file} must hold a JSON object")));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let what = if error.is_data() { "valid" } else { "valid JSON" };
        Error::new(code, format!("{file} is not {what}: {error}"))
    })
}

/// An object in which no key comes twice; `__metadata__`, which safetensors files have, is left out.
pub struct Entries<T>(pub BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys(PhantomData)).map(Entries)
    }
}

struct Keys<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Keys<T> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            match entries.entry(key) {
                Entry::Vacant(place) => place.insert(map.next_value()?),
                Entry::Occupied(first) => return Err(A::Error::custom(format_args!("{} comes twice", quoted(first.key())))),
            };
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_no_object_is_told_from_one_that_is_broken_or_wrong() {
        let read = |text: &str| object::<BTreeMap<String, u32>>("a.json", text.as_bytes(), Code::Config);
        assert_eq!(read(" \n{\"x\": 1}").unwrap()["x"], 1);
        for (text, expected) in [
            ("", "a.json must hold a JSON object"),
            ("[[\"x\", 1]]", "a.json must hold a JSON object"),
            ("<html>", "a.json must hold a JSON object"),
            ("{", "a.json is not valid JSON: EOF"),
            ("{\"x\": 1} 2", "a.json is not valid JSON: trailing"),
            ("{\"x\": \"1\"}", "a.json is not valid: invalid type"),
        ] {
            let error = read(text).unwrap_err();
            assert!(
                error.code() == Code::Config && error.to_string().starts_with(expected),
                "{error}"
            );
        }
    }
}
