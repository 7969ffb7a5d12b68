//! `manifest.json`: what a static site offers. Here it is read, and `offline/manifest.rs` writes it; downloads are verified where they happen, in `js/`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::is_inside;
use crate::error::{fail, quoted, Code, Result};
use crate::json;

/// One file of the model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ManifestFile {
    /// Relative to the model folder.
    pub path: String,
    pub bytes: u64,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

/// The file, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub files: Vec<ManifestFile>,
    /// Training checkpoints, ascending: `step{N}/` for each.
    pub steps: Vec<u64>,
    /// Where the dense base lies, as the manifest says it.
    pub dense_twin: Option<String>,
    /// Where the feature files lie.
    pub features: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    format: u64,
    files: Vec<ManifestFile>,
    #[serde(default)]
    steps: Option<Vec<u64>>,
    #[serde(default)]
    dense_twin: Option<Value>,
    #[serde(default)]
    features: Option<Value>,
}

impl Manifest {
    pub fn from_json(bytes: &[u8]) -> Result<Manifest> {
        let raw: Raw = json::object("manifest.json", bytes, Code::Checkpoint)?;
        if raw.format != 1 {
            fail!(Checkpoint, "manifest.json: format must be 1, not {}", raw.format);
        }
        let mut paths = BTreeSet::new();
        for file in &raw.files {
            if !is_inside(&file.path) {
                fail!(
                    Checkpoint,
                    "manifest.json: files: {} is not a path inside the model folder",
                    quoted(&file.path)
                );
            }
            if file.sha256.len() != 64 || !file.sha256.bytes().all(|c| c.is_ascii_hexdigit()) {
                fail!(
                    Checkpoint,
                    "manifest.json: files: sha256 of {} must be 64 hexadecimal digits",
                    quoted(&file.path)
                );
            }
            if !paths.insert(&file.path) {
                fail!(Checkpoint, "manifest.json: files: {} comes twice", quoted(&file.path));
            }
        }
        let mut steps = raw.steps.unwrap_or_default();
        steps.sort_unstable();
        if let Some(twice) = steps.windows(2).find(|pair| pair[0] == pair[1]) {
            fail!(Checkpoint, "manifest.json: steps: {} comes twice", twice[0]);
        }
        let (dense_twin, features) = (name("dense_twin", raw.dense_twin)?, name("features", raw.features)?);
        Ok(Manifest {
            files: raw.files,
            steps,
            dense_twin,
            features,
        })
    }
}

/// A name; `false` and `null` are none.
fn name(key: &str, value: Option<Value>) -> Result<Option<String>> {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(Value::String(name)) => Ok(Some(name)),
        Some(Value::Bool(true)) => Ok(Some(key.to_string())),
        Some(_) => fail!(Checkpoint, "manifest.json: {key} must be a string or null"),
    }
}
