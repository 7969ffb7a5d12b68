//! A GPT-2 of d 4: one layer, vocabulary 6, context 3, MLP 5.

use serde_json::{json, Value};
use topk_lm::checkpoint::{safetensors_bytes, OutputTensor};

/// Name and shape of a tensor.
pub type Shape = (&'static str, &'static [usize]);

pub const SHAPES: [Shape; 16] = [
    ("wte.weight", &[6, 4]),
    ("wpe.weight", &[3, 4]),
    ("h.0.ln_1.weight", &[4]),
    ("h.0.ln_1.bias", &[4]),
    ("h.0.ln_2.weight", &[4]),
    ("h.0.ln_2.bias", &[4]),
    ("h.0.attn.c_attn.weight", &[4, 12]),
    ("h.0.attn.c_attn.bias", &[12]),
    ("h.0.attn.c_proj.weight", &[4, 4]),
    ("h.0.attn.c_proj.bias", &[4]),
    ("h.0.mlp.c_fc.weight", &[4, 5]),
    ("h.0.mlp.c_fc.bias", &[5]),
    ("h.0.mlp.c_proj.weight", &[5, 4]),
    ("h.0.mlp.c_proj.bias", &[4]),
    ("ln_f.weight", &[4]),
    ("ln_f.bias", &[4]),
];

pub fn config() -> Value {
    json!({"architectures": ["GPT2LMHeadModel"], "vocab_size": 6, "n_embd": 4, "n_layer": 1, "n_head": 2,
        "n_positions": 3, "n_inner": 5, "topk_k": 2, "bos_token_id": 0, "eos_token_id": [1, 2]})
}

/// A safetensors file of such tensors, whose every number is 0.5.
pub fn safetensors(shapes: &[Shape]) -> Vec<u8> {
    let numbers = [0.5f32; 1024];
    let tensors: Vec<_> = shapes
        .iter()
        .map(|(name, shape)| OutputTensor::f32(*name, shape, &numbers[..shape.iter().product()]))
        .collect();
    safetensors_bytes(&tensors).unwrap()
}
