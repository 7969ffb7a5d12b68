//! The kernels as plain data: file, bindings, override constants. What a binding means stands in the `.wgsl`; the tests hold
//! both against each other.

use crate::config::{Architecture, Config};
use crate::order::{Post, Select};
use crate::weights::{Dtype, Tensor, Weight};

/// How a kernel uses a binding (from 1 on; 0 is the uniform).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    Read,
    Write,
    /// The kernel has no such binding.
    Absent,
}

use Access::{Absent, Read, Write};

/// One kernel with its constants fixed.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    pub file: &'static str,
    pub bindings: &'static [Access],
    pub constants: Vec<(&'static str, f64)>,
}

/// The four linear operations of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linear {
    Qkv,
    AttnOut,
    MlpIn,
    MlpOut,
}

/// How a linear operation is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Few rows.
    Matvec,
    /// Many rows, in tiles.
    Matmul,
    /// The active list instead of the dense row (`Qkv` only).
    Gather,
}

/// Rows up to which the matrix-vector kernels are used.
pub const FEW_ROWS: usize = 8;
/// Largest head that attention's workgroup memory holds.
pub const MAX_D_HEAD: usize = 256;

/// Largest k of the bitonic kernel; larger ones go to the radix kernel.
const BITONIC_MOST: usize = 256;

const ABSENT: f64 = u32::MAX as f64;

/// The f32 vectors of a linear operation, packed into one buffer: the parts in order, and where each begins.
#[derive(Clone, Debug, Default)]
pub struct Vectors {
    /// (weight, first word, words); a weight that the model does not have is zero.
    pub parts: Vec<(Weight, usize, usize)>,
    pub len: usize,
}

impl Vectors {
    fn push(&mut self, weight: Weight, len: usize) {
        self.parts.push((weight, self.len, len));
        self.len += len;
    }

    fn at(&self, find: impl Fn(Weight) -> bool) -> f64 {
        self.parts.iter().find(|(weight, ..)| find(*weight)).map_or(ABSENT, |(_, at, _)| *at as f64)
    }
}

impl Linear {
    pub const ALL: [Linear; 4] = [Linear::Qkv, Linear::AttnOut, Linear::MlpIn, Linear::MlpOut];

    pub fn matrix(self, layer: usize) -> Weight {
        match self {
            Linear::Qkv => Weight::Qkv(layer),
            Linear::AttnOut => Weight::AttnOut(layer),
            Linear::MlpIn => Weight::MlpIn(layer),
            Linear::MlpOut => Weight::MlpOut(layer),
        }
    }

    pub fn inputs(self, config: &Config) -> usize {
        match self {
            Linear::Qkv | Linear::MlpIn => config.d_model,
            Linear::AttnOut => config.d_query(),
            Linear::MlpOut => config.d_mlp,
        }
    }

    pub fn outputs(self, config: &Config) -> usize {
        match self {
            Linear::Qkv => config.d_qkv(),
            Linear::AttnOut | Linear::MlpOut => config.d_model,
            Linear::MlpIn => config.d_mlp_in(),
        }
    }

    /// Gain and bias of the norm in front, bias, and for LayerNorm the sums that a sparse input needs.
    pub fn vectors(self, config: &Config, layer: usize) -> Vectors {
        let stride = Tensor::stride_of(self.outputs(config));
        let layer_norm = config.architecture == Architecture::Gpt2;
        let mut vectors = Vectors::default();
        let (gain, norm_bias, bias) = match self {
            Linear::Qkv => (Some(Weight::Norm1Gain(layer)), Weight::Norm1Bias(layer), Weight::QkvBias(layer)),
            Linear::MlpIn => (Some(Weight::Norm2Gain(layer)), Weight::Norm2Bias(layer), Weight::MlpInBias(layer)),
            Linear::AttnOut => (None, Weight::Norm1Bias(layer), Weight::AttnOutBias(layer)),
            Linear::MlpOut => (None, Weight::Norm2Bias(layer), Weight::MlpOutBias(layer)),
        };
        if let Some(gain) = gain {
            vectors.push(gain, config.d_model);
            if layer_norm {
                vectors.push(norm_bias, config.d_model);
            }
        }
        vectors.push(bias, stride);
        if self == Linear::Qkv && layer_norm {
            vectors.push(Weight::QkvGainSum(layer), stride);
            vectors.push(Weight::QkvBiasSum(layer), stride);
        }
        vectors
    }

    /// The kernel for weights stored as `dtype`.
    pub fn kernel(self, config: &Config, dtype: Dtype, driver: Driver) -> Kernel {
        use Driver::{Gather, Matmul, Matvec};
        let (file, bindings): (_, &'static [Access]) = match (self, driver) {
            (Linear::Qkv, Matvec) => ("qkv_matvec.wgsl", &[Read, Read, Read, Read, Write, Write, Write]),
            (Linear::Qkv, Matmul) => ("qkv_matmul.wgsl", &[Read, Read, Read, Read, Write, Write, Write]),
            (Linear::Qkv, Gather) => ("qkv_gather.wgsl", &[Read, Read, Read, Read, Write, Write, Write]),
            (Linear::AttnOut, Matmul) => ("attn_out_matmul.wgsl", &[Read, Read, Read, Read, Write, Write]),
            (Linear::AttnOut, _) => ("attn_out_matvec.wgsl", &[Read, Read, Read, Read, Write, Write]),
            (Linear::MlpIn, Matmul) => ("mlp_in_matmul.wgsl", &[Read, Read, Read, Write, Write]),
            (Linear::MlpIn, _) => ("mlp_in_matvec.wgsl", &[Read, Read, Read, Write, Write]),
            (Linear::MlpOut, Matmul) => ("mlp_out_matmul.wgsl", &[Read, Read, Read, Write]),
            (Linear::MlpOut, _) => ("mlp_out_matvec.wgsl", &[Read, Read, Read, Write]),
        };
        let vectors = self.vectors(config, 0);
        let outputs = self.outputs(config);
        let mut constants = norm_constants(config, matches!(self, Linear::Qkv | Linear::MlpIn), self.inputs(config));
        constants.extend([
            ("gain_at", vectors.at(|w| matches!(w, Weight::Norm1Gain(_) | Weight::Norm2Gain(_)))),
            ("norm_bias_at", vectors.at(|w| matches!(w, Weight::Norm1Bias(_) | Weight::Norm2Bias(_)))),
            ("weight_type", weight_type(dtype)),
            ("stride", Tensor::stride_of(outputs) as f64),
            ("n_outputs", outputs as f64),
            ("bias_at", vectors.at(|w| w == Weight::QkvBias(0) || w == Weight::AttnOutBias(0) || w == Weight::MlpInBias(0) || w == Weight::MlpOutBias(0))),
        ]);
        match self {
            Linear::Qkv => constants.extend(heads(config).into_iter().chain([("rotary", f64::from(u8::from(config.rope.is_some())))])),
            Linear::MlpIn => constants.push(("gated", f64::from(u8::from(config.architecture == Architecture::Llama)))),
            Linear::AttnOut | Linear::MlpOut => {}
        }
        if driver == Gather {
            constants.extend([
                ("capacity", config.d_model as f64),
                ("gain_sum_at", vectors.at(|w| w == Weight::QkvGainSum(0))),
                ("bias_sum_at", vectors.at(|w| w == Weight::QkvBiasSum(0))),
            ]);
        }
        Kernel { file, bindings, constants }
    }
}

fn weight_type(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F32 => 0.0,
        Dtype::F16 => 1.0,
        Dtype::Bf16 => 2.0,
    }
}

fn norm_constants(config: &Config, normed: bool, inputs: usize) -> Vec<(&'static str, f64)> {
    let norm = match config.architecture {
        _ if !normed => 0.0,
        Architecture::Llama => 1.0,
        Architecture::Gpt2 => 2.0,
    };
    vec![("n_inputs", inputs as f64), ("norm", norm), ("eps", f64::from(config.norm_eps))]
}

fn heads(config: &Config) -> [(&'static str, f64); 3] {
    [("n_heads", config.n_heads as f64), ("n_kv_heads", config.n_kv_heads as f64), ("d_head", config.d_head as f64)]
}

fn scale(config: &Config) -> (&'static str, f64) {
    ("scale", f64::from(1.0 / (config.d_head as f32).sqrt()))
}

/// Vectors of the head: gain and bias of the final norm.
pub fn head_vectors(config: &Config) -> Vectors {
    let mut vectors = Vectors::default();
    vectors.push(Weight::FinalNormGain, config.d_model);
    if config.architecture == Architecture::Gpt2 {
        vectors.push(Weight::FinalNormBias, config.d_model);
    }
    vectors
}

pub fn lm_head(config: &Config, dtype: Dtype, driver: Driver) -> Kernel {
    let mut constants = norm_constants(config, true, config.d_model);
    constants.extend([
        ("gain_at", 0.0),
        ("norm_bias_at", head_vectors(config).at(|w| w == Weight::FinalNormBias)),
        ("weight_type", weight_type(dtype)),
        ("stride", Tensor::stride_of(config.d_model) as f64),
        ("n_layers", config.n_layers as f64),
    ]);
    let file = if driver == Driver::Matmul { "lm_head_matmul.wgsl" } else { "lm_head_matvec.wgsl" };
    Kernel { file, bindings: &[Read, Read, Read, Write, Write, Write], constants }
}

pub fn embed(config: &Config, dtype: Dtype) -> Kernel {
    let learned = f64::from(u8::from(config.architecture == Architecture::Gpt2));
    Kernel {
        file: "embed.wgsl",
        bindings: &[Read, Read, Read, Write],
        constants: vec![
            ("weight_type", weight_type(dtype)),
            ("stride", Tensor::stride_of(config.d_model) as f64),
            ("d_model", config.d_model as f64),
            ("learned_positions", learned),
        ],
    }
}

pub fn attention(config: &Config) -> Kernel {
    let constants = heads(config).into_iter().chain([scale(config)]).collect();
    Kernel { file: "attention.wgsl", bindings: &[Read, Read, Read, Write], constants }
}

pub fn attention_merge(config: &Config) -> Kernel {
    let constants = heads(config).into_iter().filter(|(name, _)| *name != "n_kv_heads").collect();
    Kernel { file: "attention_merge.wgsl", bindings: &[Read, Write], constants }
}

pub fn pattern(config: &Config) -> Kernel {
    let constants = heads(config).into_iter().chain([scale(config)]).collect();
    Kernel { file: "pattern.wgsl", bindings: &[Read, Read, Write], constants }
}

/// The end of a block without a cut.
pub fn residual(config: &Config) -> Kernel {
    Kernel {
        file: "residual.wgsl",
        bindings: &[Read, Read, Read, Write, Write, Absent, Write],
        constants: vec![("d_model", config.d_model as f64), ("n_layers", config.n_layers as f64)],
    }
}

/// The kernels that do not depend on how the weights are stored.
pub fn standing(config: &Config) -> Vec<Kernel> {
    let mut kernels = vec![attention(config), attention_merge(config), pattern(config), residual(config), sample(config)];
    kernels.extend(topk(config));
    kernels
}

/// The end of a TopK block; `None` where no block has a cut.
pub fn topk(config: &Config) -> Option<Kernel> {
    let cut = (0..config.n_layers).find_map(|layer| config.cut_at(layer))?;
    let flag = |set: bool| f64::from(u8::from(set));
    Some(Kernel {
        file: if cut.k <= BITONIC_MOST { "topk.wgsl" } else { "large_topk.wgsl" },
        bindings: &[Read, Read, Read, Write, Write, Write, Write],
        constants: vec![
            ("d_model", config.d_model as f64),
            ("n_layers", config.n_layers as f64),
            ("k", cut.k as f64),
            ("capacity", config.d_model as f64),
            ("select_abs", flag(cut.select == Select::Abs)),
            ("post_relu", flag(cut.post == Post::Relu)),
        ],
    })
}

/// Draws the next token.
pub fn sample(config: &Config) -> Kernel {
    Kernel {
        file: "sample.wgsl",
        bindings: &[Read, Read, Write, Write, Write, Write, Write],
        constants: vec![("d_vocab", config.d_vocab as f64), ("n_layers", config.n_layers as f64)],
    }
}

/// Every kernel that a model of this shape may run, over all ways of storing its weights.
pub fn all(config: &Config) -> Vec<Kernel> {
    let mut kernels = standing(config);
    for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16] {
        kernels.push(embed(config, dtype));
        for driver in [Driver::Matvec, Driver::Matmul] {
            kernels.push(lm_head(config, dtype, driver));
            kernels.extend(Linear::ALL.map(|linear| linear.kernel(config, dtype, driver)));
        }
        kernels.push(Linear::Qkv.kernel(config, dtype, Driver::Gather));
    }
    kernels
}
