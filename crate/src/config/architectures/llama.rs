//! Llama, and what others that are laid out like it share.

use super::{Definition, Keys, LinearLayout, QkvTensors, Tensors};
use crate::config::fields::Fields;
use crate::config::rope::{rope, RopeKeys};
use crate::config::{mlp, windows, Activation, Biases, Config, Norm, Positions};
use crate::error::Result;

pub(super) static DEFINITION: Definition = Definition {
    class_name: "LlamaForCausalLM",
    model_type: "llama",
    keys: KEYS,
    properties,
    tensors: TENSORS,
};

pub(super) const KEYS: Keys = Keys {
    d_vocab: ("vocab_size", 32_000),
    d_model: (&["hidden_size"], 4096),
    n_layers: (&["num_hidden_layers"], 32),
    n_heads: (&["num_attention_heads"], 32),
    n_kv_heads: Some(("num_key_value_heads", None)),
    d_head: Some(("head_dim", None)),
    d_mlp: ("intermediate_size", Some(11_008)),
    n_ctx: (&["max_position_embeddings"], 2048),
    norm_eps: ("rms_norm_eps", 1e-6),
    tied: false,
    bos: Some(1),
    eos: Some(2),
};

pub(super) const TENSORS: Tensors = Tensors {
    prefix: "model.",
    embed: "embed_tokens",
    positions: "",
    block: "layers",
    norm1: "input_layernorm",
    norm2: "post_attention_layernorm",
    post_norms: ["", ""],
    qk_norms: ["self_attn.q_norm", "self_attn.k_norm"],
    qkv: QkvTensors::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    attn_out: "self_attn.o_proj",
    mlp_in: &["mlp.gate_proj", "mlp.up_proj"],
    mlp_out: "mlp.down_proj",
    final_norm: "norm",
    heads: &["lm_head.weight"],
    linear: LinearLayout::OutIn,
    gains_less_one: false,
};

fn properties(fields: &Fields, config: &mut Config) -> Result<()> {
    let attention_bias = fields.boolean("attention_bias")?.unwrap_or(false);
    let mlp_bias = fields.boolean("mlp_bias")?.unwrap_or(false);
    config.norm = Norm::Rms;
    config.positions = Positions::Rotary(rope(fields, config.n_ctx, config.d_head, &RopeKeys::USUAL)?);
    config.mlp = mlp::gated(fields, "hidden_act", Activation::Silu)?;
    config.biases = Biases {
        qkv: attention_bias,
        attn_out: attention_bias,
        mlp_in: mlp_bias,
        mlp_out: mlp_bias,
    };
    windows::none(fields, config)
}
