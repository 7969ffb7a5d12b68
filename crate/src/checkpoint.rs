//! Everything that comes from files: safetensors, shards, manifests; and where files come from.
//!
//! The header parser is our own: the `safetensors` crate wants the whole file in one buffer, silently takes the last of
//! duplicate names, and its errors name no tensor. Nothing here allocates by a number that was not first compared
//! with the size of the file it came from.

#[cfg(feature = "cli")]
mod convert;
#[cfg(not(target_arch = "wasm32"))]
mod folder;
mod four_bit;
#[cfg(feature = "cli")]
mod gguf;
mod header;
mod index;
mod load;
#[cfg(feature = "cli")]
pub mod manifest;
mod memory;
mod names;
mod narrow;
mod plan;
mod planned;
mod sae;
#[cfg(feature = "cli")]
mod single;
#[cfg(feature = "cli")]
mod summary;
#[cfg(feature = "cli")]
mod write;

use crate::config::{CacheDtype, Config, GenerationDefaults};
use crate::error::{fail, Code, Error, Result};
use crate::source::Source;
use crate::tokenizer::Tokenizer;

#[cfg(feature = "cli")]
pub(crate) use folder::{begins_weights, step_of};
#[cfg(not(target_arch = "wasm32"))]
pub use folder::FolderSource;
#[cfg(feature = "internals")]
pub use header::{StoredDtype, TensorInfo};
#[cfg(feature = "internals")]
pub use index::Checkpoint;
pub use load::load_weights;
#[cfg(feature = "cli")]
pub use convert::{convert, convert_sae, Converted, Precision};
#[cfg(feature = "cli")]
pub use four_bit::write::config as four_bit_config;
#[cfg(feature = "cli")]
pub use gguf::GgufSource;
#[cfg(feature = "cli")]
pub use manifest::{Manifest, ManifestFile};
pub use memory::MemorySource;
pub use sae::read_sae;
#[cfg(feature = "cli")]
pub use single::read_f32;
#[cfg(feature = "cli")]
pub use summary::{stored_dtypes, summarize, Summary};
#[cfg(feature = "cli")]
pub use write::{safetensors_about, safetensors_bytes, OutputTensor};

/// Largest `config.json`, `generation_config.json` and `manifest.json` that is read.
const MAX_JSON: u64 = 16 << 20;
/// Largest `tokenizer.json` that is read.
pub(crate) const MAX_TOKENIZER: u64 = 256 << 20;

/// A whole small file. `code` is the kind of error where it is missing or too large.
pub(crate) async fn read_file(source: &dyn Source, path: &str, limit: u64, code: Code) -> Result<Vec<u8>> {
    let Some(size) = source.size(path) else {
        return Err(Error::new(code, format!("{path} is missing from the model folder")));
    };
    match usize::try_from(size) {
        Ok(length) if size <= limit => source.read(path, 0, length).await,
        _ => Err(Error::new(
            code,
            format!("{path} has {size} bytes; at most {limit} are read"),
        )),
    }
}

/// `config.json` of the model.
#[cfg(feature = "internals")]
pub async fn read_config(source: &dyn Source) -> Result<Config> {
    read_config_within(source, None, CacheDtype::F32).await
}

/// The same with a context of at most so many positions, whose keys and values are cached in such numbers.
pub async fn read_config_within(source: &dyn Source, max_context: Option<usize>, cache: CacheDtype) -> Result<Config> {
    Config::from_json_within(&read_config_bytes(source).await?, max_context, cache)
}

/// `config.json` as it is, for keys that the engine does not need.
pub async fn read_config_bytes(source: &dyn Source) -> Result<Vec<u8>> {
    read_file(source, "config.json", MAX_JSON, Code::Config).await
}

/// `generation_config.json`; nothing set where there is none.
pub async fn read_generation_defaults(source: &dyn Source, config: &Config) -> Result<GenerationDefaults> {
    const PATH: &str = "generation_config.json";
    if source.size(PATH).is_none() {
        return Ok(GenerationDefaults::default());
    }
    GenerationDefaults::from_json(&read_file(source, PATH, MAX_JSON, Code::Config).await?, config.d_vocab)
}

/// `tokenizer.json`, where there is one.
pub async fn read_tokenizer(source: &dyn Source, config: &Config) -> Result<Option<Tokenizer>> {
    const PATH: &str = "tokenizer.json";
    if source.size(PATH).is_none() {
        return Ok(None);
    }
    let bytes = read_file(source, PATH, MAX_TOKENIZER, Code::Tokenizer).await?;
    Tokenizer::from_bytes(&bytes, config.d_vocab).map(Some)
}

#[cfg(feature = "cli")]
/// `manifest.json`, where there is one.
pub async fn read_manifest(source: &dyn Source) -> Result<Option<Manifest>> {
    const PATH: &str = "manifest.json";
    if source.size(PATH).is_none() {
        return Ok(None);
    }
    Manifest::from_json(&read_file(source, PATH, MAX_JSON, Code::Checkpoint).await?).map(Some)
}

/// Whether `path` is relative and stays inside its folder on every system.
pub(crate) fn is_inside(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.split('/').all(plain) && !path.contains(['\\', ':']) && !path.contains(char::is_control)
}

/// Whether `path` is that of a folder beside a model's: `../NAME`.
#[cfg(feature = "cli")]
pub(crate) fn is_beside(path: &str) -> bool {
    path.strip_prefix("../").is_some_and(|name| is_inside(name) && !name.contains('/'))
}

/// Refuses a read beyond the end of a file, before anything is allocated for it.
fn check_range(path: &str, size: Option<u64>, offset: u64, length: usize) -> Result<()> {
    match size {
        None => fail!(Io, "{path} does not exist"),
        Some(size) if offset.checked_add(length as u64).is_some_and(|end| end <= size) => Ok(()),
        Some(size) => fail!(
            Io,
            "{path} has {size} bytes; {length} from byte {offset} were asked for"
        ),
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod header_tests;
#[cfg(test)]
mod layout_tests;
#[cfg(test)]
mod refusal_tests;
