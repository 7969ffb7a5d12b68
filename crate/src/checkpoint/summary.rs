//! What a checkpoint holds, without reading its numbers.

use std::collections::BTreeMap;

use super::index::Checkpoint;
use super::plan::plan;
use crate::config::Config;
use crate::error::Result;
use crate::source::Source;

/// The tensors of a checkpoint that fits its config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub files: usize,
    /// All stored tensors, with those that are not used.
    pub tensors: usize,
    pub bytes: u64,
    /// Numbers the model is made of; what is stored beside them is not counted.
    pub parameters: u64,
    /// How many tensors of each dtype.
    pub dtypes: BTreeMap<&'static str, usize>,
}

/// Reads the headers under `folder_prefix` and compares names, shapes and dtypes with the config, as
/// [`load_weights`](super::load_weights) does.
pub async fn summarize(source: &dyn Source, folder_prefix: &str, config: &Config) -> Result<Summary> {
    let checkpoint = Checkpoint::open(source, folder_prefix).await?;
    let parts = plan(config, &checkpoint)?.into_iter().flat_map(|item| item.parts);
    let mut summary = Summary {
        files: checkpoint.files.len(),
        tensors: checkpoint.tensors.len(),
        parameters: parts.map(|part| part.inputs as u64 * part.outputs as u64).sum(),
        ..Summary::default()
    };
    for (_, info) in checkpoint.tensors.values() {
        summary.bytes += info.bytes;
        *summary.dtypes.entry(info.dtype.name()).or_default() += 1;
    }
    Ok(summary)
}
