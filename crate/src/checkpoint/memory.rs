//! Files as bytes in memory.

use std::collections::BTreeMap;

use super::check_range;
use crate::error::Result;
use crate::source::{LocalFuture, Source};

/// Files by their path in the model folder.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    /// As `config.json` or `step254/model.safetensors`.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl MemorySource {
    /// From pairs of path and bytes.
    pub fn new<P: Into<String>>(files: impl IntoIterator<Item = (P, Vec<u8>)>) -> MemorySource {
        MemorySource {
            files: files.into_iter().map(|(path, bytes)| (path.into(), bytes)).collect(),
        }
    }
}

impl Source for MemorySource {
    fn size(&self, path: &str) -> Option<u64> {
        self.files.get(path).map(|bytes| bytes.len() as u64)
    }

    fn read<'a>(&'a self, path: &'a str, offset: u64, length: usize) -> LocalFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            check_range(path, self.size(path), offset, length)?;
            // In range, so the offset fits the address space.
            let start = offset as usize;
            Ok(self
                .files
                .get(path)
                .map(|bytes| bytes[start..start + length].to_vec())
                .unwrap_or_default())
        })
    }
}
