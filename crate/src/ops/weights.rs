//! Weights on the CPU: the layouts of `crate::weights`, numbers as they are stored.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::Arc;

use crate::config::{Config, Norm, Residual};
use crate::error::{fail, Result};
use crate::memory::reserve;
use crate::numerics::gemm;
use crate::numerics::gemm::blocks::Blocks;
use crate::numerics::int4::{self, Int4};
use crate::numerics::int8::{packed::Packed, Int8};
use crate::numerics::numbers::Numbers;
#[cfg(target_arch = "wasm32")]
use crate::numerics::team::Share;
#[cfg(not(target_arch = "wasm32"))]
use crate::numerics::threads::{Share, Team};
use crate::weights::{Dtype, Tensor, Weight, WeightSink};

pub mod shared;

/// Whether 16-bit matrices are packed, too: where registers are narrow.
const IN_BLOCKS: bool = cfg!(target_arch = "wasm32");

/// A weight, `[rows, stride]`.
#[derive(Debug, Default)]
pub struct CpuTensor {
    pub stride: usize,
    /// Where other threads have a part of a matrix: this one's columns in browsers, nothing natively.
    pub data: Numbers,
    share: Option<Share>,
}

impl CpuTensor {
    /// A tensor with all its numbers here.
    pub fn new(which: Weight, tensor: Tensor) -> Result<CpuTensor> {
        let (rows, stride) = (tensor.rows, tensor.stride);
        let data = numbers(which, tensor)?;
        if data.count() != rows * stride {
            fail!(
                Checkpoint,
                "{which:?} has {} numbers where {rows} × {stride} were expected",
                data.count()
            );
        }
        Ok(CpuTensor {
            stride,
            data,
            share: None,
        })
    }

    /// In the order in which whole products read it, if it has 8 bits (`numerics/int8/packed.rs`), or in browsers 16 (`numerics/gemm/blocks.rs`).
    pub fn packed(self, which: Weight) -> Result<CpuTensor> {
        let what = format_args!("the weight {which:?}");
        let data = match &self.data {
            Numbers::Int8(w) => Numbers::Packed(Packed::new(w, self.stride, what)?),
            Numbers::F16(w) if IN_BLOCKS => Numbers::F16Blocks(Blocks::new(w, self.stride, what)?),
            Numbers::Bf16(w) if IN_BLOCKS => Numbers::Bf16Blocks(Blocks::new(w, self.stride, what)?),
            _ => return Ok(self),
        };
        Ok(CpuTensor { data, ..self })
    }

    /// Whether rows of a matrix can be picked: it is not laid out for products with all of it.
    pub fn has_rows(&self) -> bool {
        self.share.is_none() && !matches!(self.data, Numbers::Packed(_))
    }

    /// `x` `[rows, inputs]` times a matrix into `out` `[rows, stride]`; see `gemm::matmul`.
    pub fn multiply(&self, x: &[f32], inputs: usize, out: &mut [f32]) -> Result<()> {
        if let Some(share) = &self.share {
            #[cfg(target_arch = "wasm32")]
            return share.multiply(x, inputs, &self.data, self.stride, out);
            #[cfg(not(target_arch = "wasm32"))]
            return share.multiply(x, inputs, self.stride, out);
        }
        gemm::matmul(x, inputs, &self.data, self.stride, out);
        Ok(())
    }

    /// `x` `[rows, inputs]` times the rows `of` of a table into `out` `[rows, of.len()]`; see `gemm::dots`.
    pub fn dots(&self, x: &[f32], inputs: usize, of: Range<usize>, out: &mut [f32]) -> Result<()> {
        if let Some(share) = &self.share {
            return share.dots(x, inputs, &self.data, of, self.stride, out);
        }
        gemm::dots(x, inputs, &self.data, of, self.stride, out);
        Ok(())
    }

    /// Bytes in memory.
    #[cfg(feature = "internals")]
    fn bytes(&self) -> usize {
        #[cfg(not(target_arch = "wasm32"))]
        let shared = self.share.as_ref().map_or(0, Share::bytes);
        #[cfg(target_arch = "wasm32")]
        let shared = 0;
        shared + self.data.bytes()
    }

    /// A vector; these are kept in f32.
    pub fn vector(&self) -> &[f32] {
        match &self.data {
            Numbers::F32(numbers) => numbers,
            _ => &[],
        }
    }

    /// The first numbers of row `index` of a table.
    pub fn row(&self, index: usize, out: &mut [f32]) {
        self.data.widen(index * self.stride, index, out);
    }

    /// All rows of a table.
    #[cfg(feature = "statistics")]
    pub fn to_f32(&self) -> Vec<f32> {
        self.data.widened(self.stride)
    }
}

/// Rows of 8-bit weights that a whole product reads, packed, in the time of one that is picked: measured 2.4 for `d_model` 1024. Numbers of other
/// types are never read faster as a whole.
const PICKED: usize = 2;

/// Whether whole products with 8-bit weights are faster than picking the rows of a sparse stream's active entries.
fn is_dense(config: &Config) -> bool {
    PICKED * config.most_active() > config.d_model
}

/// Whether `mlp_in::SPLIT` applies and pays off: numbers of the small matrix cost as much as two of the large one's.
pub fn splits(config: &Config) -> bool {
    config.norm == Norm::Rms
        && config.residual == Residual::Serial
        && !config.post_norms
        && !config.biases.attn_out
        && 2 * (config.most_active() + 2 * config.d_query()) <= config.d_model
}

/// What a model's matrices are read by.
#[derive(Clone, Copy, Debug)]
struct Reads {
    head: Weight,
    /// The stream is sparse in front of q, k and v of every layer but the first: few rows of their weights are read.
    gathers: bool,
    /// But for those of 8 bits.
    is_dense: bool,
    /// And in front of the MLP of those.
    splits: bool,
}

impl Reads {
    /// Whether a weight is a matrix that is always multiplied as a whole.
    fn is_whole(self, which: Weight, dtype: Dtype) -> bool {
        match which {
            Weight::MlpIn(layer) => !(self.splits && layer > 0),
            Weight::AttnOut(_) | Weight::MlpOut(_) => true,
            Weight::Qkv(layer) => layer == 0 || !self.gathers || self.is_dense && dtype == Dtype::I8,
            _ => false,
        }
    }
}

/// Hashes which weight it is, a number or two. They are looked up a hundred times a token, and nobody chooses them to collide.
#[derive(Clone, Debug, Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_usize(usize::from(*byte)));
    }

    fn write_usize(&mut self, number: usize) {
        self.0 = (self.0.rotate_left(5) ^ number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// All weights of a model; a copy shares them.
#[derive(Clone, Debug, Default)]
pub struct CpuWeights {
    tensors: HashMap<Weight, Arc<CpuTensor>, BuildHasherDefault<Mixed>>,
    reads: Option<Reads>,
    #[cfg(not(target_arch = "wasm32"))]
    team: Option<Arc<Team>>,
}

impl WeightSink for CpuWeights {
    fn weight(&mut self, which: Weight, tensor: Tensor) -> Result<()> {
        let tensor = match self.reads {
            // Too small for others to have a part of it.
            Some(_) if matches!(which, Weight::MlpInProduct(_)) => CpuTensor::new(which, tensor)?.packed(which)?,
            Some(reads) if which == reads.head => self.table(which, tensor)?,
            Some(reads) if reads.is_whole(which, tensor.dtype) => self.matrix(which, tensor)?,
            _ => CpuTensor::new(which, tensor)?,
        };
        self.tensors.insert(which, Arc::new(tensor));
        Ok(())
    }

    fn keeps_narrow(&self) -> bool {
        true
    }
}

/// Numbers as they are stored, little-endian, as the machines are that run this.
fn numbers_in<T: bytemuck::AnyBitPattern>(bytes: &[u8], what: impl Display) -> Result<Vec<T>> {
    let mut numbers = Vec::new();
    reserve(&mut numbers, bytes.len() / size_of::<T>(), what)?;
    numbers.extend(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned::<T>));
    Ok(numbers)
}

/// The numbers of a tensor, in memory of their own.
fn numbers(which: Weight, tensor: Tensor) -> Result<Numbers> {
    let what = format_args!("the weight {which:?}");
    Ok(match tensor.dtype {
        Dtype::F32 => Numbers::F32(numbers_in(&tensor.data, what)?),
        Dtype::F16 | Dtype::Bf16 if which.is_vector() => Numbers::F32(tensor.to_f32()),
        Dtype::F16 => Numbers::from_f16(numbers_in(&tensor.data, what)?),
        Dtype::Bf16 => Numbers::Bf16(numbers_in(&tensor.data, what)?),
        Dtype::I4 { group } => {
            let words = tensor.dtype.words(tensor.rows, tensor.stride);
            let (words, numbers) = int4::parts(&tensor.data, words, what)?;
            Numbers::Int4(Int4::new(words, numbers, tensor.stride, group, what)?)
        }
        Dtype::I8 => Numbers::Int8(Int8 {
            numbers: tensor.data.into_iter().map(|byte| byte as i8).collect(),
            scales: tensor.scales,
        }),
    })
}

impl CpuWeights {
    /// None yet, of a model whose large matrices are laid out for how it reads them, and shared with other threads where there are some
    /// (`numerics/team.rs`; natively [`CpuWeights::with_team`]).
    pub fn of_model(config: &Config) -> CpuWeights {
        let reads = Reads {
            head: config.head(),
            gathers: config.topk.is_some(),
            is_dense: is_dense(config),
            splits: config.topk.is_some() && splits(config),
        };
        CpuWeights {
            reads: Some(reads),
            ..CpuWeights::default()
        }
    }

    /// The table of the head, which threads share where there are some.
    fn table(&self, which: Weight, tensor: Tensor) -> Result<CpuTensor> {
        #[cfg(target_arch = "wasm32")]
        return shared::table(which, tensor);
        #[cfg(not(target_arch = "wasm32"))]
        match &self.team {
            Some(team) => shared::table(which, tensor, team),
            None => CpuTensor::new(which, tensor),
        }
    }

    /// Likewise a matrix that is multiplied as a whole.
    fn matrix(&self, which: Weight, tensor: Tensor) -> Result<CpuTensor> {
        #[cfg(target_arch = "wasm32")]
        return shared::matrix(which, tensor);
        #[cfg(not(target_arch = "wasm32"))]
        match &self.team {
            Some(team) => shared::matrix(which, tensor, team),
            None => CpuTensor::new(which, tensor)?.packed(which),
        }
    }

    /// The same, shared with these threads.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn with_team(self, team: Option<Arc<Team>>) -> CpuWeights {
        CpuWeights { team, ..self }
    }

    /// The threads that share them.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn team(&self) -> Option<Arc<Team>> {
        self.team.clone()
    }

    /// A weight that the model must have.
    pub fn get(&self, which: Weight) -> Result<&CpuTensor> {
        match self.tensors.get(&which) {
            Some(tensor) => Ok(tensor),
            None => fail!(Checkpoint, "the weight {which:?} was not loaded"),
        }
    }

    /// A weight that only some models have.
    pub fn find(&self, which: Weight) -> Option<&CpuTensor> {
        self.tensors.get(&which).map(|tensor| &**tensor)
    }

    /// Bytes in memory.
    #[cfg(feature = "internals")]
    pub fn bytes(&self) -> usize {
        self.tensors.values().map(|tensor| tensor.bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Matrices that are multiplied as a whole are packed, those of which rows are picked are not.
    #[test]
    fn rows_are_picked_of_very_sparse_streams_only() {
        let layout = |k: &str| {
            let text = format!(
                r#"{{"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 3,
                "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 4, "vocab_size": 16{k}}}"#
            );
            let config = Config::from_json(text.as_bytes()).unwrap();
            let mut weights = CpuWeights::of_model(&config);
            let packed = |which: Weight, cols: usize, weights: &mut CpuWeights| {
                let tensor = Tensor {
                    rows: 64,
                    cols,
                    stride: cols,
                    dtype: Dtype::I8,
                    data: vec![1; 64 * cols],
                    scales: vec![1.0; cols],
                };
                weights.weight(which, tensor).unwrap();
                matches!(weights.get(which).unwrap().data, Numbers::Packed(_))
            };
            let of_layer = |layer, weights: &mut CpuWeights| {
                [packed(Weight::Qkv(layer), 24, weights), packed(Weight::MlpIn(layer), 64, weights)]
            };
            [of_layer(0, &mut weights), of_layer(1, &mut weights)]
        };
        assert_eq!(layout(""), [[true, true], [true, true]]);
        assert_eq!(layout(r#", "topk_k": 48"#), [[true, true], [true, true]]);
        assert_eq!(layout(r#", "topk_k": 28"#), [[true, true], [false, true]]);
        assert_eq!(layout(r#", "topk_k": 8"#), [[true, true], [false, false]]);
    }
}
