//! Gemma 3, text only: Gemma 2 with norms of each head's query and key, without the attention's soft-cap, and with
//! another RoPE in the layers that see a window.

use super::{gemma2, Definition, Keys};
use crate::config::fields::Fields;
use crate::config::rope::rope_by_layer_type;
use crate::config::{windows, Config, Positions};
use crate::error::Result;

pub(super) static DEFINITION: Definition = Definition {
    class_name: "Gemma3ForCausalLM",
    model_type: "gemma3_text",
    keys: Keys {
        d_vocab: ("vocab_size", 262_208),
        n_ctx: (&["max_position_embeddings"], 131_072),
        ..gemma2::KEYS
    },
    properties,
    tensors: gemma2::TENSORS,
};

/// One layer of so many sees everything, where `sliding_window_pattern` is absent.
const PATTERN: usize = 6;

fn properties(fields: &Fields, config: &mut Config) -> Result<()> {
    gemma2::shared(fields, config)?;
    if fields.get("attn_logit_softcapping").is_some() {
        // transformers has the key and does not apply it.
        return fields.refuse(
            "attn_logit_softcapping",
            "must be null: Gemma 3 has no soft-cap of its scores",
        );
    }
    config.qk_norm = true;
    config.positions = Positions::Rotary(rope_by_layer_type(fields, config.n_ctx, config.d_head)?);
    config.logit_softcap = gemma2::softcap(fields, "final_logit_softcapping", None)?;
    let window = windows::window(fields, "sliding_window", 4096)?;
    let pattern = fields
        .integer("sliding_window_pattern", 1, usize::MAX)?
        .unwrap_or(PATTERN);
    let slides = |layer| (layer + 1) % pattern != 0;
    // Such a layer has the other RoPE too, which it would lose with its window.
    if window.is_none() && fields.get("layer_types").is_none() && (0..config.n_layers).any(slides) {
        return fields.refuse("sliding_window", "must be a whole number, not null");
    }
    config.windows = windows::by_layer(fields, config, window, slides)?;
    Ok(())
}
