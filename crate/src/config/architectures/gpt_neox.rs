//! GPT-NeoX (Pythia): LayerNorm, RoPE of a head's first numbers, attention and MLP side by side.

use super::{Definition, Keys, LinearLayout, QkvTensors, Tensors};
use crate::config::fields::Fields;
use crate::config::rope::{rope, RopeKeys};
use crate::config::{mlp, windows, Activation, Biases, Config, Norm, Positions, Residual};
use crate::error::Result;

pub(super) static DEFINITION: Definition = Definition {
    class_name: "GPTNeoXForCausalLM",
    model_type: "gpt_neox",
    keys: Keys {
        d_vocab: ("vocab_size", 50_432),
        d_model: (&["hidden_size"], 6144),
        n_layers: (&["num_hidden_layers"], 44),
        n_heads: (&["num_attention_heads"], 64),
        n_kv_heads: None,
        d_head: None,
        d_mlp: ("intermediate_size", Some(24_576)),
        n_ctx: (&["max_position_embeddings"], 2048),
        norm_eps: ("layer_norm_eps", 1e-5),
        tied: false,
        bos: Some(0),
        eos: Some(2),
    },
    properties,
    tensors: Tensors {
        prefix: "gpt_neox.",
        embed: "embed_in",
        positions: "",
        block: "layers",
        norm1: "input_layernorm",
        norm2: "post_attention_layernorm",
        post_norms: ["", ""],
        qk_norms: ["", ""],
        qkv: QkvTensors::FusedByHead("attention.query_key_value"),
        attn_out: "attention.dense",
        mlp_in: &["mlp.dense_h_to_4h"],
        mlp_out: "mlp.dense_4h_to_h",
        final_norm: "final_layer_norm",
        heads: &["embed_out.weight", "lm_head.weight"],
        linear: LinearLayout::OutIn,
        gains_less_one: false,
    },
};

const ROPE: RopeKeys = RopeKeys {
    theta: &[OWN[0].0, OWN[0].1],
    default_theta: 10_000.0,
    fraction: &[OWN[1].0, OWN[1].1],
    default_fraction: 0.25,
};

/// What this architecture calls its settings, and what others call them: transformers heeds the latter in `rope_parameters` alone.
const OWN: [(&str, &str); 2] = [
    ("rotary_emb_base", "rope_theta"),
    ("rotary_pct", "partial_rotary_factor"),
];

fn properties(fields: &Fields, config: &mut Config) -> Result<()> {
    for ((own, other), usual) in OWN.into_iter().zip([ROPE.default_theta, ROPE.default_fraction]) {
        if fields.get(own).is_none() && fields.positive(other)?.is_some_and(|value| value != usual) {
            return fields.refuse(
                other,
                format!("without {own} is not heeded by transformers; call it {own}"),
            );
        }
    }
    // transformers would rotate so many numbers for each of heads that are as wide as ever.
    if fields
        .number("head_dim")?
        .is_some_and(|width| width != config.d_head as f64)
    {
        return fields.refuse("head_dim", "must be hidden_size / num_attention_heads");
    }
    let attention_bias = fields.boolean("attention_bias")?.unwrap_or(true);
    config.norm = Norm::Layer;
    config.positions = Positions::Rotary(rope(fields, config.n_ctx, config.d_head, &ROPE)?);
    config.mlp = mlp::plain(fields, "hidden_act", Activation::Gelu)?;
    config.residual = match fields.boolean("use_parallel_residual")?.unwrap_or(true) {
        true => Residual::Parallel,
        false => Residual::Serial,
    };
    config.biases = Biases {
        qkv: attention_bias,
        attn_out: attention_bias,
        ..Biases::ALL
    };
    windows::none(fields, config)
}
