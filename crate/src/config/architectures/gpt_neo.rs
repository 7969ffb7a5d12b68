//! GPT-Neo (TinyStories): GPT-2 with scores that are not scaled, no biases of q, k and v, and layers that see a window.

use serde_json::Value;

use super::{gpt2, Definition, Keys, LinearLayout, QkvTensors, Tensors};
use crate::config::fields::Fields;
use crate::config::{mlp, windows, Activation, Biases, Config, Norm, Positions};
use crate::error::Result;

pub(super) static DEFINITION: Definition = Definition {
    class_name: "GPTNeoForCausalLM",
    model_type: "gpt_neo",
    keys: Keys {
        d_vocab: ("vocab_size", 50_257),
        d_model: (&["hidden_size"], 2048),
        n_layers: (&["num_layers", "num_hidden_layers"], 24),
        n_heads: (&["num_heads", "num_attention_heads"], 16),
        n_kv_heads: None,
        d_head: None,
        d_mlp: ("intermediate_size", None),
        n_ctx: (&["max_position_embeddings"], 2048),
        norm_eps: ("layer_norm_epsilon", 1e-5),
        tied: true,
        bos: Some(50_256),
        eos: Some(50_256),
    },
    properties,
    tensors: Tensors {
        qkv: QkvTensors::Separate([
            "attn.attention.q_proj",
            "attn.attention.k_proj",
            "attn.attention.v_proj",
        ]),
        attn_out: "attn.attention.out_proj",
        linear: LinearLayout::OutIn,
        ..gpt2::TENSORS
    },
};

fn properties(fields: &Fields, config: &mut Config) -> Result<()> {
    config.norm = Norm::Layer;
    config.positions = Positions::Learned;
    config.attn_scale = 1.0;
    config.mlp = mlp::plain(fields, "activation_function", Activation::GeluTanh)?;
    config.biases = Biases {
        qkv: false,
        ..Biases::ALL
    };
    let local = local_layers(fields, config.n_layers)?;
    let window = windows::window(fields, "window_size", 256)?;
    config.windows = windows::of(config, window, |layer| local[layer]);
    Ok(())
}

/// By layer, whether it is local. `attention_types` is a list of [kinds, how often]; `attention_layers` says the same by layer.
fn local_layers(fields: &Fields, n_layers: usize) -> Result<Vec<bool>> {
    const KINDS: &str = "must be a list of [[\"global\" or \"local\", …], how often]";
    let default = serde_json::json!([[["global", "local"], 12]]);
    let types = fields.get("attention_types").unwrap_or(&default);
    let mut local = Vec::new();
    for item in types.as_array().map(Vec::as_slice).unwrap_or_default() {
        let (Some(kinds), Some(times)) = (item[0].as_array(), item[1].as_u64()) else {
            return fields.refuse("attention_types", KINDS);
        };
        let kinds: Option<Vec<bool>> = kinds.iter().map(is_local).collect();
        let Some(kinds) = kinds.filter(|kinds| !kinds.is_empty()) else {
            return fields.refuse("attention_types", KINDS);
        };
        if times.saturating_mul(kinds.len() as u64) > n_layers as u64 {
            break;
        }
        (0..times).for_each(|_| local.extend(&kinds));
    }
    if local.len() != n_layers {
        return fields.refuse(
            "attention_types",
            format!("must describe the {n_layers} layers of num_layers"),
        );
    }
    let by_layer = match fields.get("attention_layers") {
        Some(Value::Array(kinds)) => kinds.iter().map(is_local).collect(),
        Some(other) => return fields.wrong("attention_layers", "a list of \"global\" and \"local\"", other),
        None => Some(local.clone()),
    };
    if by_layer.as_ref() != Some(&local) {
        return fields.refuse("attention_layers", "contradicts attention_types; keep one of them");
    }
    Ok(local)
}

fn is_local(kind: &Value) -> Option<bool> {
    match kind.as_str() {
        Some("local") => Some(true),
        Some("global") => Some(false),
        _ => None,
    }
}
