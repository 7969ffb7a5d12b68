//! `config.json` of a Hugging Face folder → [`Config`], every field checked.

mod fields;
mod generation;
mod parse;
mod rope;

use crate::error::Result;
use crate::order::{Post, Select};

pub use generation::GenerationDefaults;

/// The two layouts this engine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// `LlamaForCausalLM`: RMSNorm, RoPE, grouped KV heads, SwiGLU.
    Llama,
    /// `GPT2LMHeadModel`: LayerNorm with bias, learned positions, tanh-GELU.
    Gpt2,
}

/// Rotary embedding (rotate-half, as Hugging Face does it).
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    pub theta: f64,
    pub scaling: RopeScaling,
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

/// The cut of the residual stream (design: the standing order of `order.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub k: usize,
    pub select: Select,
    pub post: Post,
}

/// A checked model configuration. Sizes are ≥ 1 and their products fit the address space.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub architecture: Architecture,
    pub d_vocab: usize,
    pub d_model: usize,
    pub n_layers: usize,
    pub n_heads: usize,
    pub n_kv_heads: usize,
    /// May differ from `d_model / n_heads`; even where there is RoPE.
    pub d_head: usize,
    pub d_mlp: usize,
    /// Context length in positions, the BOS counted.
    pub n_ctx: usize,
    pub norm_eps: f32,
    /// `None` for GPT-2.
    pub rope: Option<Rope>,
    pub tie_word_embeddings: bool,
    /// Biases of q, k, v and of the attention's output.
    pub attention_bias: bool,
    pub mlp_bias: bool,
    /// `None`: a dense model.
    pub cut: Option<Cut>,
    /// The last blocks that are not cut.
    pub n_nontopk: usize,
    pub bos_token_id: Option<u32>,
    pub eos_token_ids: Vec<u32>,
}

impl Config {
    /// Reads `config.json` as transformers 4 or 5 writes it. Unknown keys are ignored; an absent or `null` key takes
    /// transformers' default; a known key with a value this engine cannot honour is an error naming it.
    pub fn from_json(bytes: &[u8]) -> Result<Config> {
        parse::config(bytes)
    }

    /// Whether block `layer` is a TopK block (it has the TopK hooks, and `from_layer` edits reach it).
    pub fn is_topk_block(&self, layer: usize) -> bool {
        self.cut.is_some() && layer + self.n_nontopk < self.n_layers
    }

    /// The cut that block `layer` really makes: `None` also where k ≥ d_model, where it is the identity.
    pub fn cut_at(&self, layer: usize) -> Option<Cut> {
        self.cut.filter(|cut| self.is_topk_block(layer) && cut.k < self.d_model)
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
    pub fn n_parameters(&self) -> usize {
        let (d, gpt2) = (self.d_model, self.architecture == Architecture::Gpt2);
        let norm = if gpt2 { 2 * d } else { d };
        let with_bias = |inputs: usize, outputs: usize, bias: bool| inputs * outputs + if bias { outputs } else { 0 };
        let attention =
            with_bias(d, self.d_qkv(), self.attention_bias) + with_bias(self.d_query(), d, self.attention_bias);
        let mlp = with_bias(d, self.d_mlp_in(), self.mlp_bias) + with_bias(self.d_mlp, d, self.mlp_bias);
        let tables = self.d_vocab * d * if self.tie_word_embeddings { 1 } else { 2 };
        let positions = if gpt2 { self.n_ctx * d } else { 0 };
        tables + positions + self.n_layers * (2 * norm + attention + mlp) + norm
    }

    /// Outputs of `MlpIn`: gate and up interleaved, or one.
    pub fn d_mlp_in(&self) -> usize {
        match self.architecture {
            Architecture::Llama => 2 * self.d_mlp,
            Architecture::Gpt2 => self.d_mlp,
        }
    }
}

#[cfg(test)]
mod tests;
