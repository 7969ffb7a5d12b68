//! `config.json` of a Hugging Face folder → [`Config`], every field checked.

mod architectures;
mod fields;
mod generation;
mod mlp;
mod parse;
mod rope;
mod sae;
mod windows;

use crate::error::Result;
use crate::numerics::order::{Post, Select};
use crate::weights::Weight;

pub use architectures::Architecture;
pub(crate) use architectures::{LinearLayout, QkvTensors, Tensors};
pub use generation::GenerationDefaults;
pub(crate) use generation::{REPETITION_PENALTY, TEMPERATURE, TOP_P};
#[cfg(feature = "cli")]
pub(crate) use parse::MAX_LAYERS;
pub use sae::{Normalize, Sae, SaeKind};

/// How a block's inputs are normalized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// x / √(mean x² + ε) · gain
    Rms,
    /// (x − mean) / √(variance + ε) · gain + bias
    Layer,
}

impl Norm {
    /// As transformers calls it.
    pub fn name(self) -> &'static str {
        match self {
            Norm::Rms => "RMSNorm",
            Norm::Layer => "LayerNorm",
        }
    }
}

/// How a position enters.
#[derive(Clone, Debug, PartialEq)]
pub enum Positions {
    /// Queries and keys are rotated.
    Rotary(Rope),
    /// A table `[n_ctx, d_model]` is added to the embedding.
    Learned,
    None,
}

impl Positions {
    pub fn name(&self) -> &'static str {
        match self {
            Positions::Rotary(_) => "rotary",
            Positions::Learned => "learned",
            Positions::None => "none",
        }
    }
}

/// Rotary embedding (rotate-half, as Hugging Face does it).
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    pub theta: f64,
    pub scaling: RopeScaling,
    /// Leading numbers of each head that are rotated, even; `d_head` but for models with a rotary fraction.
    pub dims: usize,
    /// θ of the layers that see a window only, where it differs (Gemma 3); they have no scaling.
    pub local_theta: Option<f64>,
}

/// How RoPE frequencies are stretched.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    None,
    Linear {
        factor: f64,
    },
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_max_position_embeddings: f64,
    },
}

/// The MLP of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mlp {
    /// activation(gate) · up instead of activation(pre).
    pub gated: bool,
    pub activation: Activation,
}

/// The MLP's nonlinearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x · σ(x)
    Silu,
    /// The tanh form of GELU (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
    /// GELU by the error function.
    Gelu,
    Relu,
}

impl Activation {
    /// As transformers calls it.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Silu => "silu",
            Activation::GeluTanh => "gelu_pytorch_tanh",
            Activation::Gelu => "gelu",
            Activation::Relu => "relu",
        }
    }
}

/// Which linear operations of a block have a bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Biases {
    /// Of q, k and v.
    pub qkv: bool,
    pub attn_out: bool,
    pub mlp_in: bool,
    pub mlp_out: bool,
}

impl Biases {
    pub const ALL: Biases = Biases {
        qkv: true,
        attn_out: true,
        mlp_in: true,
        mlp_out: true,
    };
}

/// What the MLP of a block reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residual {
    /// The stream behind the attention (`hook_resid_mid`).
    Serial,
    /// The block's own input, as the attention does (GPT-NeoX).
    Parallel,
}

/// The TopK activation of the residual stream; in which order, [`Select`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopK {
    /// Entries kept at each position.
    pub k: usize,
    /// What entries are chosen by.
    pub select: Select,
    /// What happens to the kept entries.
    pub post: Post,
}

/// The numbers of a cache of keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheDtype {
    #[default]
    F32,
    /// Rounded to f16 when they are stored, to the nearest, ties to even; what is beyond ±65504 becomes that.
    F16,
}

impl CacheDtype {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            CacheDtype::F32 => 4,
            CacheDtype::F16 => 2,
        }
    }
}

/// A checked model configuration. Sizes are ≥ 1 and their products fit the address space.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The family of model files.
    pub architecture: Architecture,
    /// Tokens of the vocabulary.
    pub d_vocab: usize,
    /// Width of the residual stream: the neurons of a block.
    pub d_model: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// Number of query heads.
    pub n_heads: usize,
    /// Number of key and value heads; `n_heads` without grouped attention.
    pub n_kv_heads: usize,
    /// May differ from `d_model / n_heads`; even where there is RoPE.
    pub d_head: usize,
    /// Width of the MLP.
    pub d_mlp: usize,
    /// Context length in positions, the BOS counted; that of `config.json`, or less where it was capped at load.
    pub n_ctx: usize,
    /// How keys and values are cached; chosen at load, no file of a model has it.
    pub cache_dtype: CacheDtype,
    /// Rows of a stored table of learned positions: the context length of `config.json`.
    pub n_positions: usize,
    /// The norm before attention and MLP, and at the end.
    pub norm: Norm,
    /// ε of the norms.
    pub norm_eps: f32,
    /// A second norm behind the attention and behind the MLP, before each is added to the stream (Gemma).
    pub post_norms: bool,
    /// How positions enter the model.
    pub positions: Positions,
    /// RMSNorm over each head of q and k, before RoPE (Qwen 3, Gemma 3).
    pub qk_norm: bool,
    /// What scores are multiplied by; 1/√d_head where the model says nothing else.
    pub attn_scale: f32,
    /// Whether scores of block `layer` are divided by `layer` + 1, too (GPT-2's `scale_attn_by_inverse_layer_idx`).
    pub attn_scale_by_layer: bool,
    /// c in c · tanh(score / c).
    pub attn_softcap: Option<f32>,
    /// By layer: how many positions, its own included, a position sees; `None`: all before it. Empty: all layers see all.
    pub windows: Vec<Option<usize>>,
    /// The MLP of each block.
    pub mlp: Mlp,
    /// What the MLP reads.
    pub residual: Residual,
    /// Which linear operations have a bias.
    pub biases: Biases,
    /// What the token embedding is multiplied by (Gemma: √d_model); 1 elsewhere.
    pub embed_scale: f32,
    /// c in c · tanh(logit / c).
    pub logit_softcap: Option<f32>,
    /// Whether the embedding makes the logits too.
    pub tie_word_embeddings: bool,
    /// `None`: a dense model.
    pub topk: Option<TopK>,
    /// The last blocks that have no TopK activation.
    pub n_nontopk: usize,
    /// How the checkpoint stores matrices of 4 bits; `None`: it has none.
    pub quantization: Option<Quantization>,
    /// Autoencoders that an engine's weights have, by number. `config.json` has none, and [`Model::saes`](crate::Model::saes) tells which are attached.
    pub saes: Vec<Sae>,
    /// The token that texts begin with.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a text, where `generation_config.json` names none.
    pub eos_token_ids: Vec<u32>,
}

/// `quantization_config`: a layout of 4-bit matrices that is in use, and the inputs that share a scale; `None`: all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantization {
    pub method: QuantMethod,
    pub group_size: Option<usize>,
}

/// In which layout matrices of 4 bits are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantMethod {
    /// AutoGPTQ's layout; `v1`, in which most are: zeros are stored less 1.
    Gptq { v1: bool },
    /// AutoAWQ's, of its version `gemm`.
    Awq,
}

impl Config {
    /// Reads `config.json` as transformers 4 or 5 writes it. Unknown keys are ignored; an absent or `null` key takes
    /// transformers' default; a known key with a value this engine cannot honour is an error naming it.
    pub fn from_json(bytes: &[u8]) -> Result<Config> {
        Config::from_json_within(bytes, None, CacheDtype::F32)
    }

    /// The same with a context of at most `max_context` positions, for which caches and tables are then laid out, and with keys and values cached in
    /// such numbers.
    pub(crate) fn from_json_within(
        bytes: &[u8],
        max_context: Option<usize>,
        cache_dtype: CacheDtype,
    ) -> Result<Config> {
        parse::config(bytes, max_context, cache_dtype)
    }

    /// Bytes of the keys and values of a position in one layer.
    pub fn position_bytes(&self) -> usize {
        2 * self.d_kv() * self.cache_dtype.bytes()
    }

    /// Whether block `layer` is a TopK block (it has the TopK hooks, and `from_layer` edits reach it).
    pub fn is_topk_block(&self, layer: usize) -> bool {
        self.topk.is_some() && layer + self.n_nontopk < self.n_layers
    }

    /// The TopK activation that has an effect behind block `layer`: `None` also where k ≥ d_model, where it is the identity.
    pub fn topk_at(&self, layer: usize) -> Option<TopK> {
        self.topk
            .filter(|topk| self.is_topk_block(layer) && topk.k < self.d_model)
    }

    /// Entries of a row behind a TopK block that are not 0, at most: without edits.
    pub fn most_active(&self) -> usize {
        self.topk.map_or(self.d_model, |topk| topk.k.min(self.d_model))
    }

    /// RoPE, where the model has it.
    pub fn rope(&self) -> Option<&Rope> {
        match &self.positions {
            Positions::Rotary(rope) => Some(rope),
            _ => None,
        }
    }

    /// Leading numbers of a head that RoPE rotates; 0 without RoPE.
    pub fn rotary_dims(&self) -> usize {
        self.rope().map_or(0, |rope| rope.dims)
    }

    /// What the scores of this layer are multiplied by.
    pub fn score_scale(&self, layer: usize) -> f32 {
        if self.attn_scale_by_layer {
            self.attn_scale / (layer + 1) as f32
        } else {
            self.attn_scale
        }
    }

    /// How many positions a position of this layer sees, its own included; `None`: all before it.
    pub fn window(&self, layer: usize) -> Option<usize> {
        self.windows.get(layer).copied().flatten()
    }

    /// The weight that makes logits.
    pub(crate) fn head(&self) -> Weight {
        if self.tie_word_embeddings {
            Weight::Embed
        } else {
            Weight::Head
        }
    }

    /// Width of q (all heads together).
    pub fn d_query(&self) -> usize {
        self.n_heads * self.d_head
    }

    /// Width of k, and of v.
    pub fn d_kv(&self) -> usize {
        self.n_kv_heads * self.d_head
    }

    /// Width of q, k and v side by side.
    pub fn d_qkv(&self) -> usize {
        self.d_query() + 2 * self.d_kv()
    }

    /// Numbers in the weights, a tied head counted once.
    pub fn n_parameters(&self) -> u64 {
        let product = |a: usize, b: usize| a as u64 * b as u64;
        let d = self.d_model;
        let norm = if self.norm == Norm::Layer { 2 } else { 1 };
        let with_bias = |inputs: usize, outputs: usize, bias: bool| product(inputs + usize::from(bias), outputs);
        let attention =
            with_bias(d, self.d_qkv(), self.biases.qkv) + with_bias(self.d_query(), d, self.biases.attn_out);
        let mlp = with_bias(d, self.d_mlp_in(), self.biases.mlp_in) + with_bias(self.d_mlp, d, self.biases.mlp_out);
        let tables = if self.tie_word_embeddings { 1 } else { 2 } * self.d_vocab;
        let positions = if self.positions == Positions::Learned {
            self.n_positions
        } else {
            0
        };
        let norms = product(if self.post_norms { 4 } else { 2 } * norm, d);
        let qk_norms = if self.qk_norm { product(2, self.d_head) } else { 0 };
        product(tables + positions + norm, d) + self.n_layers as u64 * (norms + qk_norms + attention + mlp)
    }

    /// Outputs of `mlp_in`: gate and up interleaved, or one.
    pub fn d_mlp_in(&self) -> usize {
        if self.mlp.gated {
            2 * self.d_mlp
        } else {
            self.d_mlp
        }
    }
}

#[cfg(test)]
mod tests;
