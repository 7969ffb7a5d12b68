//! GPT-2.

use super::{Definition, Keys, LinearLayout, QkvTensors, Tensors};
use crate::config::fields::Fields;
use crate::config::{mlp, windows, Activation, Biases, Config, Norm, Positions};
use crate::error::Result;

pub(super) static DEFINITION: Definition = Definition {
    class_name: "GPT2LMHeadModel",
    model_type: "gpt2",
    keys: Keys {
        d_vocab: ("vocab_size", 50_257),
        // transformers maps the general names onto GPT-2's own.
        d_model: (&["n_embd", "hidden_size"], 768),
        n_layers: (&["n_layer", "num_hidden_layers"], 12),
        n_heads: (&["n_head", "num_attention_heads"], 12),
        n_kv_heads: None,
        d_head: None,
        d_mlp: ("n_inner", None),
        n_ctx: (&["n_positions", "max_position_embeddings"], 1024),
        norm_eps: ("layer_norm_epsilon", 1e-5),
        tied: true,
        bos: Some(50_256),
        eos: Some(50_256),
    },
    properties,
    tensors: TENSORS,
};

pub(super) const TENSORS: Tensors = Tensors {
    prefix: "transformer.",
    embed: "wte",
    positions: "wpe",
    block: "h",
    norm1: "ln_1",
    norm2: "ln_2",
    post_norms: ["", ""],
    qk_norms: ["", ""],
    qkv: QkvTensors::Fused("attn.c_attn"),
    attn_out: "attn.c_proj",
    mlp_in: &["mlp.c_fc"],
    mlp_out: "mlp.c_proj",
    final_norm: "ln_f",
    heads: &["lm_head.weight"],
    linear: LinearLayout::InOut,
    gains_less_one: false,
};

fn properties(fields: &Fields, config: &mut Config) -> Result<()> {
    config.attn_scale_by_layer = fields.boolean("scale_attn_by_inverse_layer_idx")? == Some(true);
    // In f32, the same sums in another order.
    fields.boolean("reorder_and_upcast_attn")?;
    fields.only("add_cross_attention", false)?;
    config.norm = Norm::Layer;
    config.positions = Positions::Learned;
    if fields.boolean("scale_attn_weights")? == Some(false) {
        config.attn_scale = 1.0;
    }
    config.mlp = mlp::plain(fields, "activation_function", Activation::GeluTanh)?;
    config.biases = Biases::ALL;
    windows::none(fields, config)
}
