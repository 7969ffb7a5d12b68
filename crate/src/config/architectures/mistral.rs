//! Mistral: Llama in which each position sees only the last `sliding_window`, in every layer.

use super::{llama, Definition, Keys};
use crate::config::fields::Fields;
use crate::config::rope::{rope, RopeKeys};
use crate::config::{mlp, windows, Activation, Config, Positions};
use crate::error::Result;

pub(super) static DEFINITION: Definition = Definition {
    class_name: "MistralForCausalLM",
    model_type: "mistral",
    keys: Keys {
        n_kv_heads: Some(("num_key_value_heads", Some(8))),
        d_mlp: ("intermediate_size", Some(14_336)),
        n_ctx: (&["max_position_embeddings"], 131_072),
        ..llama::KEYS
    },
    properties,
    tensors: llama::TENSORS,
};

fn properties(fields: &Fields, config: &mut Config) -> Result<()> {
    config.positions = Positions::Rotary(rope(fields, config.n_ctx, config.d_head, &RopeKeys::USUAL)?);
    config.mlp = mlp::gated(fields, "hidden_act", Activation::Silu)?;
    let window = windows::window(fields, "sliding_window", 4096)?;
    config.windows = windows::of(config, window, |_| true);
    Ok(())
}
