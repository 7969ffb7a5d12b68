//! What an executor gets from a checkpoint: every weight once, in the layout in which both executors read it.
//!
//! Matrices lie `[inputs, outputs]` (outputs contiguous), so a sparse input gathers whole rows. Their outputs come in
//! *pairs* that one thread computes together and that f16/bf16 store in one 32-bit word:
//!
//! * `Qkv` with RoPE of `dims` numbers per head: the first `dims` columns of each head of q and k are the pairs
//!   `(j, j + dims/2)` that RoPE rotates, the head's other columns follow in the natural order; v as it is.
//! * `MlpIn` with a gate: the pair is (gate j, up j).
//! * everything else: the natural order.
//!
//! Embedding tables and the head lie `[d_vocab, d_model]`, as Hugging Face has them.

use half::{bf16, f16};

use crate::numerics::int4;

/// How stored numbers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    F32,
    F16,
    Bf16,
    /// With scales beside them; only for a sink that keeps them.
    I8,
    /// A matrix of numbers from 0 to 15, each (q − zero) · scale with those of its output in its group of so many inputs: a multiple of eight,
    /// at most 1,024. Only for a sink that keeps them.
    I4 { group: usize },
}

impl Dtype {
    /// Bytes of so many numbers, an even number of them, without what lies beside them.
    pub fn bytes_of(self, numbers: usize) -> usize {
        match self {
            Dtype::F32 => 4 * numbers,
            Dtype::F16 | Dtype::Bf16 => 2 * numbers,
            Dtype::I8 => numbers,
            Dtype::I4 { .. } => numbers / 2,
        }
    }

    /// Words in front of the numbers of an I4 matrix `[rows, stride]`: `[groups, stride]`, the scale as f16 below and the zero above.
    pub fn words(self, rows: usize, stride: usize) -> usize {
        match self {
            Dtype::I4 { group } => rows.div_ceil(group) * stride,
            _ => 0,
        }
    }

    /// Bytes of [`Tensor::data`].
    pub fn data_bytes(self, rows: usize, stride: usize) -> usize {
        4 * self.words(rows, stride) + self.bytes_of(rows * stride)
    }

    /// Whether it is only for a sink that keeps it.
    pub fn is_narrow(self) -> bool {
        matches!(self, Dtype::I8 | Dtype::I4 { .. })
    }
}

/// Which weight. Vectors (`*Bias`, `*Gain`, …) have one row and are F32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Weight {
    /// `[d_vocab, d_model]`; also the head when the model ties them.
    Embed,
    /// Learned positions: `[n_ctx, d_model]`.
    Positions,
    /// `[d_vocab, d_model]`, only where the head is not tied.
    Head,
    FinalNormGain,
    /// LayerNorm only.
    FinalNormBias,
    Norm1Gain(usize),
    Norm1Bias(usize),
    Norm2Gain(usize),
    Norm2Bias(usize),
    /// `[d_model]`: gain of the norm behind the attention, before its result is added to the stream.
    PostNorm1Gain(usize),
    /// `[d_model]`: likewise behind the MLP.
    PostNorm2Gain(usize),
    /// `[d_head]`: gain of the norm over each head of q, before RoPE; in the column order of one head of `Qkv`.
    QueryNormGain(usize),
    /// Likewise of k.
    KeyNormGain(usize),
    /// `[d_model, (n_heads + 2·n_kv_heads)·d_head]`: q, k, v side by side, paired as the module says.
    Qkv(usize),
    /// In the column order of `Qkv`; where the model has one.
    QkvBias(usize),
    /// LayerNorm: Σ_i gain_i · W[i, o], for a sparse input (column order of `Qkv`).
    QkvGainSum(usize),
    /// LayerNorm: Σ_i bias_i · W[i, o], likewise.
    QkvBiasSum(usize),
    /// `[n_heads·d_head, d_model]`.
    AttnOut(usize),
    AttnOutBias(usize),
    /// With a gate `[d_model, 2·d_mlp]` in pairs (gate, up); without `[d_model, d_mlp]`.
    MlpIn(usize),
    /// `[n_heads·d_head, d_mlp_in]`: `AttnOut` times gain times `MlpIn`, made at load, in f32; on the CPU of 8-bit ones in 16 bits, with twice the
    /// rows; see `ops/mlp_in.rs`.
    MlpInProduct(usize),
    MlpInBias(usize),
    /// `[d_mlp, d_model]`.
    MlpOut(usize),
    MlpOutBias(usize),
    /// Of a sparse autoencoder, by its number.
    Sae(usize, SaePart),
}

/// Which weight of a sparse autoencoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SaePart {
    /// `[d_in, d_sae]`
    Encoder,
    /// `[d_sae, d_in]`
    Decoder,
    /// `[d_sae]`
    EncoderBias,
    /// `[d_in]`
    DecoderBias,
    /// `[d_sae]`: JumpReLU only.
    Threshold,
    /// `[d_sae]`: length of each row of `Decoder`; made at load.
    DecoderNorm,
}

impl Weight {
    /// A table of rows that are looked up, `[d_vocab, d_model]`; it may be split by rows.
    pub fn is_table(self) -> bool {
        matches!(self, Weight::Embed | Weight::Head)
    }

    /// Not a matrix: the operations that read it get it packed with others, in f32.
    pub fn is_vector(self) -> bool {
        !matches!(
            self,
            Weight::Embed
                | Weight::Head
                | Weight::Qkv(_)
                | Weight::AttnOut(_)
                | Weight::MlpIn(_)
                | Weight::MlpInProduct(_)
                | Weight::MlpOut(_)
                | Weight::Sae(_, SaePart::Encoder | SaePart::Decoder)
        )
    }
}

/// Rows of an 8-bit table on the GPU that have their scales together.
pub const TABLE_ROWS: usize = 4;

impl Dtype {
    /// Bytes of so many rows of a table on the GPU, where four 8-bit ones have their scales in front.
    pub fn table_bytes(self, rows: usize, stride: usize) -> usize {
        match self {
            Dtype::I8 => 4 * rows.next_multiple_of(TABLE_ROWS) + rows * stride.next_multiple_of(4),
            other => rows * other.bytes_of(stride),
        }
    }

    /// Bytes of a whole weight on the GPU; an 8-bit matrix has the scales of its columns in front, a 4-bit one its words.
    pub fn gpu_bytes(self, weight: Weight, rows: usize, stride: usize) -> usize {
        match self {
            Dtype::I8 if !weight.is_table() => 4 * stride + (rows * stride).next_multiple_of(4),
            Dtype::I4 { .. } => self.data_bytes(rows, stride).next_multiple_of(4),
            _ => self.table_bytes(rows, stride),
        }
    }
}

/// A weight in the layout above: row-major, each row `stride` numbers long (`cols` rounded up to even, the rest zero).
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub rows: usize,
    pub cols: usize,
    pub stride: usize,
    pub dtype: Dtype,
    /// `rows · stride` numbers, little-endian; of I4 two a byte, the first below, behind their words.
    pub data: Vec<u8>,
    /// Of I8: one a column, or of a table one a row.
    pub scales: Vec<f32>,
}

impl Tensor {
    /// The length of a stored row of `cols` numbers.
    pub fn stride_of(cols: usize) -> usize {
        cols + cols % 2
    }

    /// A vector of f32 as a tensor of one row.
    pub fn vector(values: &[f32]) -> Tensor {
        let stride = Tensor::stride_of(values.len());
        let mut data = bytemuck::cast_slice::<f32, u8>(values).to_vec();
        data.resize(stride * 4, 0);
        Tensor {
            rows: 1,
            cols: values.len(),
            stride,
            dtype: Dtype::F32,
            data,
            scales: Vec::new(),
        }
    }

    /// The same in f32, of any but I8.
    pub fn widened(self) -> Tensor {
        let numbers = self.to_f32();
        Tensor {
            dtype: Dtype::F32,
            data: numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
            ..self
        }
    }

    /// All stored numbers, padding included, as f32: exact for every dtype; of I8 without their scales.
    pub fn to_f32(&self) -> Vec<f32> {
        let Dtype::I4 { group } = self.dtype else {
            return numbers(self.dtype, &self.data);
        };
        let (words, numbers) = self.data.split_at(4 * self.dtype.words(self.rows, self.stride));
        let word = |at: usize| words[4 * at..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
        let number = |at: usize| {
            let q = numbers[at / 2] >> (4 * (at % 2)) & 15;
            int4::value(q, word(at / self.stride / group * self.stride + at % self.stride))
        };
        (0..self.rows * self.stride).map(number).collect()
    }
}

/// Stored numbers as f32, of a type of whole bytes.
pub fn numbers(dtype: Dtype, data: &[u8]) -> Vec<f32> {
    let pairs = data.as_chunks::<2>().0.iter();
    match dtype {
        Dtype::F16 => pairs.map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::Bf16 => pairs.map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::I8 => data.iter().map(|b| f32::from(*b as i8)).collect(),
        _ => data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
    }
}

/// In which numbers a model's matrices are kept once they are loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeptAs {
    /// As they are stored.
    #[default]
    Stored,
    /// Rounded to f16: half of the memory of f32, twice that of 8 bits.
    F16,
}

/// Takes weights one at a time as they are read, so that no more than one of them is in memory twice.
pub trait WeightSink {
    /// The numbers in which every weight will come, and the bytes of [`Dtype::gpu_bytes`], said before the first does.
    fn expect(&mut self, weights: &[(Weight, Dtype, usize)]) -> crate::error::Result<()> {
        let _ = weights;
        Ok(())
    }

    /// Norms of a block come before its matrices. An error ends the loading.
    fn weight(&mut self, which: Weight, tensor: Tensor) -> crate::error::Result<()>;

    /// Whether weights of 8 and 4 bits stay so ([`Dtype::I8`], [`Dtype::I4`]); otherwise they come multiplied out, as f32.
    fn keeps_narrow(&self) -> bool {
        false
    }
}
