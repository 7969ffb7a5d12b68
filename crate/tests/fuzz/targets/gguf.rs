//! A GGUF file, written from JSON that was made wrong: its keys, and of each tensor type, shape and place.

use std::path::Path;

use pollster::block_on;
use serde_json::{json, Map, Value};
use topk_lm::checkpoint::{self, GgufSource};
use topk_lm::ops::weights::CpuWeights;
use topk_lm::weights::KeptAs;

use super::{file, words_of, Outcome, Target};
use crate::mutate;

const PIECES: [&str; 9] = ["<unk>", "<s>", "</s>", "<0x41>", "▁", "a", "b", "ab", "<|im_end|>"];
const D: usize = 32;
const D_MLP: usize = 256;

pub fn target() -> Target {
    let seeds = [
        seed("llama", "llama", "", (2, 32, 18)),
        seed("llama", "gpt2", "llama-bpe", (12, 256, 144)),
        seed("qwen2", "gpt2", "qwen2", (14, 256, 210)),
        seed("qwen3", "gpt2", "gpt-2", (0, 1, 4)),
    ];
    let words = words_of(&seeds);
    Target {
        name: "gguf",
        make: Box::new(move |rng| {
            let mut value = rng.of(&seeds).clone();
            if !rng.one_in(10) {
                mutate::json(rng, &mut value, &words);
            }
            let mut bytes = written(&value);
            if rng.one_in(4) {
                mutate::bytes(rng, &mut bytes);
            }
            vec![("model.gguf".into(), bytes)]
        }),
        run: Box::new(|input| {
            // Two processes may run at once.
            let name = format!("fuzz-{}.gguf", std::process::id());
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            std::fs::write(&path, file(input, "model.gguf")).unwrap();
            let outcome = read(&path);
            let _ = std::fs::remove_file(&path);
            outcome
        }),
    }
}

fn read(path: &Path) -> Outcome {
    let source = GgufSource::new(path)?;
    let config = block_on(checkpoint::read_config(&source))?;
    block_on(checkpoint::read_tokenizer(&source, &config))?;
    let mut weights = CpuWeights::default();
    block_on(checkpoint::load_weights(
        &source,
        "",
        &config,
        KeptAs::Stored,
        &mut weights,
        &mut |_, _| {},
    ))?;
    Ok(())
}

/// A model of one layer, whose matrices are of a type: its number, numbers of a block, its bytes.
fn seed(kind: &str, tokenizer: &str, cut: &str, of_blocks: (u32, usize, usize)) -> Value {
    let mut keys = json!({
        "general.architecture": kind, "general.alignment": 32, "tokenizer.ggml.model": tokenizer, "tokenizer.ggml.tokens": PIECES,
        "tokenizer.ggml.scores": (0..PIECES.len()).map(|i| -0.5 - i as f64).collect::<Vec<_>>(), "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.token_type": [2, 3, 3, 6, 1, 1, 1, 1, 4], "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.add_bos_token": true,
    });
    if !cut.is_empty() {
        keys["tokenizer.ggml.pre"] = cut.into();
    }
    for (key, value) in [
        ("context_length", json!(8)),
        ("embedding_length", json!(D)),
        ("block_count", json!(1)),
        ("feed_forward_length", json!(D_MLP)),
        ("attention.head_count", json!(2)),
        ("attention.head_count_kv", json!(1)),
        ("attention.layer_norm_rms_epsilon", json!(1e-5)),
        ("rope.freq_base", json!(1e4)),
        ("rope.scaling.factor", json!(2.5)),
    ] {
        keys[format!("{kind}.{key}")] = value;
    }
    let mut tensors = Map::new();
    let mut end = 0;
    let mut add = |name: &str, shape: &[usize]| {
        let numbers: usize = shape.iter().product();
        let fits = shape.len() == 2 && shape[0].is_multiple_of(of_blocks.1);
        let (number, of_block, size) = if fits { of_blocks } else { (0, 1, 4) };
        tensors.insert(
            name.to_owned(),
            json!({ "shape": shape, "type": number, "offset": end }),
        );
        end += (numbers / of_block * size).next_multiple_of(32);
    };
    add("token_embd.weight", &[D, PIECES.len()]);
    add("output_norm.weight", &[D]);
    let half = D / 2;
    for (part, shape) in [
        ("attn_norm", &[D][..]),
        ("attn_q", &[D, D]),
        ("attn_k", &[D, half]),
        ("attn_v", &[D, half]),
        ("attn_output", &[D, D]),
        ("ffn_norm", &[D]),
        ("ffn_gate", &[D, D_MLP]),
        ("ffn_up", &[D, D_MLP]),
        ("ffn_down", &[D_MLP, D]),
    ] {
        add(&format!("blk.0.{part}.weight"), shape);
    }
    let more: &[(&str, usize)] = match kind {
        "qwen2" => &[("attn_q.bias", D), ("attn_k.bias", half), ("attn_v.bias", half)],
        "qwen3" => &[("attn_q_norm.weight", half), ("attn_k_norm.weight", half)],
        _ => &[],
    };
    more.iter()
        .for_each(|(part, size)| add(&format!("blk.0.{part}"), &[*size]));
    json!({ "keys": keys, "tensors": tensors, "bytes": end })
}

/// The file; what the JSON lacks is empty, or 0.
fn written(value: &Value) -> Vec<u8> {
    let none = Map::new();
    let of = |name: &str| value[name].as_object().unwrap_or(&none);
    let mut all = b"GGUF\x03\0\0\0".to_vec();
    all.extend((of("tensors").len() as u64).to_le_bytes());
    all.extend((of("keys").len() as u64).to_le_bytes());
    for (key, value) in of("keys") {
        text(&mut all, key);
        let (kind, bytes) = typed(value);
        all.extend(kind.to_le_bytes());
        all.extend(bytes);
    }
    for (name, tensor) in of("tensors") {
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let shape = tensor["shape"].as_array().map_or(&[][..], Vec::as_slice);
        text(&mut all, name);
        all.extend((shape.len() as u32).to_le_bytes());
        shape.iter().for_each(|side| all.extend(number(side).to_le_bytes()));
        all.extend((number(&tensor["type"]) as u32).to_le_bytes());
        all.extend(number(&tensor["offset"]).to_le_bytes());
    }
    let end = all.len().next_multiple_of(32) + value["bytes"].as_u64().unwrap_or_default().min(1 << 17) as usize;
    all.extend((all.len()..end).map(|at| (at % 61) as u8));
    all
}

fn text(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as u64).to_le_bytes());
    to.extend(text.as_bytes());
}

/// The number of a value's type, and its bytes. A list says the type of its first value.
fn typed(value: &Value) -> (u32, Vec<u8>) {
    match value {
        Value::Bool(value) => (7, vec![u8::from(*value)]),
        Value::Number(number) => match number.as_i64() {
            Some(number) => (11, number.to_le_bytes().to_vec()),
            None if number.is_u64() => (10, number.as_u64().unwrap_or_default().to_le_bytes().to_vec()),
            None => (12, number.as_f64().unwrap_or_default().to_le_bytes().to_vec()),
        },
        Value::String(value) => {
            let mut bytes = Vec::new();
            text(&mut bytes, value);
            (8, bytes)
        }
        Value::Array(list) => {
            let kind = list.first().map_or(4, |first| typed(first).0);
            let mut bytes = kind.to_le_bytes().to_vec();
            bytes.extend((list.len() as u64).to_le_bytes());
            list.iter().for_each(|value| bytes.extend(typed(value).1));
            (9, bytes)
        }
        Value::Null | Value::Object(_) => (13, Vec::new()),
    }
}
