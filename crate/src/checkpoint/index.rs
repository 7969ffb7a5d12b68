//! The tensors of one checkpoint, in one file or in shards.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::header::{read_header, TensorInfo};
use super::{is_inside, read_file};
use crate::error::{fail, quoted, Code, Result};
use crate::json::{self, Entries};
use crate::pace::all;
use crate::source::{LocalFuture, Source};

/// The file of a checkpoint that is in one.
pub(super) const SINGLE: &str = "model.safetensors";
/// Names the file of each tensor where there are several.
pub(super) const INDEX: &str = "model.safetensors.index.json";
const MAX_INDEX: u64 = 100_000_000;

/// All tensors of a checkpoint and where they lie.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// Paths of the safetensors files.
    pub files: Vec<String>,
    /// By name: index into `files`, and the place in that file.
    pub tensors: BTreeMap<String, (usize, TensorInfo)>,
}

#[derive(Deserialize)]
struct ShardIndex {
    weight_map: Entries<String>,
}

impl Checkpoint {
    /// Reads the headers of `{prefix}model.safetensors`, or of the shards that `{prefix}model.safetensors.index.json` names.
    /// `prefix` is `""` or a checkpoint's folder with a slash, `"step254/"`.
    pub async fn open(source: &dyn Source, prefix: &str) -> Result<Checkpoint> {
        let (single, index) = (format!("{prefix}{SINGLE}"), format!("{prefix}{INDEX}"));
        if source.size(&single).is_some() {
            return Checkpoint::of_file(source, &single).await;
        }
        if source.size(&index).is_none() {
            fail!(
                Checkpoint,
                "{single} is missing from the model folder, and there is no {INDEX} either"
            );
        }
        let bytes = read_file(source, &index, MAX_INDEX, Code::Checkpoint).await?;
        let ShardIndex { weight_map } = json::object(&index, &bytes, Code::Checkpoint)?;
        let mut checkpoint = Checkpoint::default();
        let mut shards = BTreeSet::new();
        for shard in weight_map.0.values() {
            shards.insert(shard.clone());
        }
        for shard in &shards {
            if !is_inside(shard) {
                fail!(
                    Checkpoint,
                    "{index} names the shard {shard}, which is not a file inside the model folder", shard = quoted(shard));
            }
        }
        // All are asked for at once: on the web each is a way to the server and back.
        let paths: Vec<String> = shards.iter().map(|shard| format!("{prefix}{shard}")).collect();
        let mut headers: Vec<LocalFuture<'_, Result<_>>> = Vec::new();
        for path in &paths {
            headers.push(Box::pin(read_header(source, path)));
        }
        let headers = all(headers).await?;
        for (path, header) in paths.into_iter().zip(headers) {
            checkpoint.add_file(path, header)?;
        }
        for (name, shard) in &weight_map.0 {
            match checkpoint.tensors.get(name) {
                None => fail!(
                    Checkpoint,
                    "{prefix}{shard}: tensor {name}, which {index} puts there, is missing", name = quoted(name)),
                Some((file, _)) if checkpoint.files[*file] != format!("{prefix}{shard}") => {
                    let found = &checkpoint.files[*file];
                    fail!(
                        Checkpoint,
                        "{index} puts tensor {name} into {shard}, but it is in {found}", name = quoted(name))
                }
                Some(_) => {}
            }
        }
        Ok(checkpoint)
    }

    /// The tensors of one file.
    pub async fn of_file(source: &dyn Source, path: &str) -> Result<Checkpoint> {
        let mut checkpoint = Checkpoint::default();
        checkpoint.add_file(path.to_owned(), read_header(source, path).await?)?;
        Ok(checkpoint)
    }

    fn add_file(&mut self, path: String, header: BTreeMap<String, TensorInfo>) -> Result<()> {
        let file = self.files.len();
        for (name, info) in header {
            if let Some((first, _)) = self.tensors.get(&name) {
                fail!(
                    Checkpoint,
                    "{path}: tensor {name} is also in {}",
                    self.files[*first], name = quoted(name));
            }
            self.tensors.insert(name, (file, info));
        }
        self.files.push(path);
        Ok(())
    }

    /// The file a tensor is in and its place there.
    pub fn get(&self, name: &str) -> Option<(&str, &TensorInfo)> {
        self.tensors
            .get(name)
            .map(|(file, info)| (self.files[*file].as_str(), info))
    }

    /// The bytes of a tensor; `None` where there is no such tensor.
    pub async fn read(&self, source: &dyn Source, name: &str) -> Result<Option<Vec<u8>>> {
        let Some((path, info)) = self.get(name) else {
            return Ok(None);
        };
        let Ok(length) = usize::try_from(info.bytes) else {
            fail!(
                OutOfMemory,
                "{path}: tensor {name} has {} bytes, more than can be addressed here",
                info.bytes, name = quoted(name));
        };
        let bytes = source.read(path, info.start, length).await?;
        // A source of one's own may not keep to what `Source` asks for.
        #[cfg(not(target_arch = "wasm32"))]
        if bytes.len() != length {
            fail!(Io, "{path} gave {} bytes; {length} were asked for", bytes.len());
        }
        Ok(Some(bytes))
    }
}
