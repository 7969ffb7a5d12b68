//! What a checkpoint holds, without reading its numbers.

use std::collections::{BTreeMap, HashMap};

use super::index::Checkpoint;
use super::plan::plan;
use super::planned::Planned;
use crate::config::{Config, Norm};
use crate::error::Result;
use crate::source::Source;
use crate::weights::{Dtype, Tensor, Weight};

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
    /// Bytes of the weights in the CPU's memory, where they stay as stored (vectors in f32).
    pub cpu_bytes: u64,
    /// The same in the GPU's memory.
    pub gpu_bytes: u64,
}

/// Reads the headers under `folder_prefix` and compares names, shapes and dtypes with the config, as
/// [`load_weights`](super::load_weights) does.
pub async fn summarize(source: &dyn Source, folder_prefix: &str, config: &Config) -> Result<Summary> {
    let checkpoint = Checkpoint::open(source, folder_prefix).await?;
    let planned = plan(config, &checkpoint)?;
    let [cpu_bytes, gpu_bytes] = in_memory(config, &planned);
    let parts = planned.iter().flat_map(|item| &item.parts);
    let mut summary = Summary {
        files: checkpoint.files.len(),
        tensors: checkpoint.tensors.len(),
        parameters: parts.map(|part| part.inputs as u64 * part.outputs as u64).sum(),
        cpu_bytes,
        gpu_bytes,
        ..Summary::default()
    };
    for (_, info) in checkpoint.tensors.values() {
        summary.bytes += info.bytes;
        *summary.dtypes.entry(info.dtype.name()).or_default() += 1;
    }
    Ok(summary)
}

/// How each weight is stored, from the headers.
pub async fn stored_dtypes(source: &dyn Source, config: &Config) -> Result<HashMap<Weight, Dtype>> {
    let checkpoint = Checkpoint::open(source, "").await?;
    let planned = plan(config, &checkpoint)?;
    Ok(planned.iter().map(|item| (item.weight, item.dtype)).collect())
}

/// Bytes that the weights take on the CPU and on the GPU.
fn in_memory(config: &Config, planned: &[Planned]) -> [u64; 2] {
    let mut bytes = [0; 2];
    for item in planned {
        let stride = Tensor::stride_of(item.cols);
        let numbers = (item.rows * stride) as u64;
        let [cpu, gpu] = match item.dtype {
            _ if item.weight.is_vector() => [4 * numbers; 2],
            Dtype::I8 => {
                let scales = if item.weight.is_table() { item.rows } else { stride };
                let on_gpu = item.dtype.gpu_bytes(item.weight, item.rows, stride);
                [numbers + 4 * scales as u64, on_gpu as u64]
            }
            Dtype::I4 { .. } => {
                let on_gpu = item.dtype.gpu_bytes(item.weight, item.rows, stride);
                [item.dtype.data_bytes(item.rows, stride) as u64, on_gpu as u64]
            }
            _ => [item.dtype.bytes_of(item.rows * stride) as u64; 2],
        };
        bytes[0] += cpu;
        bytes[1] += gpu;
    }
    if config.norm == Norm::Layer {
        // Sums for sparse inputs, made at load.
        let sums = 2 * 4 * Tensor::stride_of(config.d_qkv()) * config.n_layers;
        bytes.iter_mut().for_each(|bytes| *bytes += sums as u64);
    }
    bytes
}
