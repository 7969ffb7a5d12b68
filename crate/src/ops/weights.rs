//! Weights on the CPU: the layouts of `crate::weights`, numbers as they are stored.

use std::collections::HashMap;
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
use crate::numerics::team;
use crate::weights::{Dtype, Tensor, Weight, WeightSink};

#[cfg(target_arch = "wasm32")]
pub mod shared;

/// Whether 16-bit matrices are packed, too: where registers are narrow.
const IN_BLOCKS: bool = cfg!(target_arch = "wasm32");

/// A weight, `[rows, stride]`.
#[derive(Debug, Default)]
pub struct CpuTensor {
    pub stride: usize,
    /// Where other threads have a part of a matrix: this one's columns.
    pub data: Numbers,
    #[cfg(target_arch = "wasm32")]
    share: Option<team::Share>,
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
            #[cfg(target_arch = "wasm32")]
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

    /// `x` `[rows, inputs]` times a matrix into `out` `[rows, stride]`; see `gemm::matmul`.
    pub fn multiply(&self, x: &[f32], inputs: usize, out: &mut [f32]) -> Result<()> {
        #[cfg(target_arch = "wasm32")]
        if let Some(share) = &self.share {
            return share.multiply(x, inputs, &self.data, self.stride, out);
        }
        gemm::matmul(x, inputs, &self.data, self.stride, out);
        Ok(())
    }

    /// `x` `[rows, inputs]` times the rows `of` of a table into `out` `[rows, of.len()]`; see `gemm::dots`.
    pub fn dots(&self, x: &[f32], inputs: usize, of: Range<usize>, out: &mut [f32]) -> Result<()> {
        #[cfg(target_arch = "wasm32")]
        if let Some(share) = &self.share {
            return share.dots(x, inputs, &self.data, of, self.stride, out);
        }
        gemm::dots(x, inputs, &self.data, of, self.stride, out);
        Ok(())
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

/// Whether `mlp_in::SPLIT` applies and pays off: numbers of the small matrix are f32 and cost as much as two of the large one's.
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
    #[cfg_attr(not(target_arch = "wasm32"), expect(dead_code, reason = "for threads"))]
    head: Weight,
    /// The stream is sparse in front of q, k and v of every layer but the first: few rows of their weights are read.
    gathers: bool,
    /// And in front of the MLP of those.
    splits: bool,
}

impl Reads {
    /// Whether a weight is a matrix that is always multiplied as a whole.
    fn is_whole(self, which: Weight) -> bool {
        match which {
            Weight::MlpIn(layer) => !(self.splits && layer > 0),
            Weight::AttnOut(_) | Weight::MlpOut(_) => true,
            Weight::Qkv(layer) => !(self.gathers && layer > 0),
            _ => false,
        }
    }
}

/// All weights of a model; a copy shares them.
#[derive(Clone, Debug, Default)]
pub struct CpuWeights {
    tensors: HashMap<Weight, Arc<CpuTensor>>,
    reads: Option<Reads>,
}

impl WeightSink for CpuWeights {
    fn weight(&mut self, which: Weight, tensor: Tensor) -> Result<()> {
        let tensor = match self.reads {
            #[cfg(target_arch = "wasm32")]
            Some(reads) if which == reads.head => shared::table(which, tensor)?,
            #[cfg(target_arch = "wasm32")]
            Some(reads) if reads.is_whole(which) => shared::matrix(which, tensor)?,
            #[cfg(not(target_arch = "wasm32"))]
            Some(reads) if reads.is_whole(which) => CpuTensor::new(which, tensor)?.packed(which)?,
            _ => CpuTensor::new(which, tensor)?,
        };
        self.tensors.insert(which, Arc::new(tensor));
        Ok(())
    }

    fn keeps_narrow(&self) -> bool {
        true
    }
}

/// The numbers of a tensor, in memory of their own.
fn numbers(which: Weight, tensor: Tensor) -> Result<Numbers> {
    let what = format_args!("the weight {which:?}");
    Ok(match tensor.dtype {
        Dtype::F32 => {
            let mut numbers = Vec::new();
            reserve(&mut numbers, tensor.data.len() / 4, what)?;
            numbers.extend(tensor.data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
            Numbers::F32(numbers)
        }
        Dtype::F16 | Dtype::Bf16 if which.is_vector() => Numbers::F32(tensor.to_f32()),
        Dtype::F16 | Dtype::Bf16 => {
            let mut bits = Vec::new();
            reserve(&mut bits, tensor.data.len() / 2, what)?;
            bits.extend(tensor.data.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)));
            if tensor.dtype == Dtype::F16 {
                Numbers::from_f16(bits)
            } else {
                Numbers::from_bf16(bits)
            }
        }
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
    /// (`numerics/team.rs`).
    pub fn of_model(config: &Config) -> CpuWeights {
        let reads = Reads {
            head: config.head(),
            gathers: config.topk.is_some(),
            splits: config.topk.is_some() && splits(config),
        };
        CpuWeights {
            reads: Some(reads),
            ..CpuWeights::default()
        }
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
        self.tensors.values().map(|tensor| tensor.data.bytes()).sum()
    }
}
