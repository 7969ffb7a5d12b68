use std::collections::BTreeMap;

use half::{bf16, f16};
use serde_json::json;

use super::*;
use crate::weights::{Dtype, KeptAs, Tensor, Weight, WeightSink};

/// Keeps every weight, in order.
#[derive(Default)]
pub(super) struct Kept(pub Vec<(Weight, Tensor)>);

impl WeightSink for Kept {
    fn weight(&mut self, which: Weight, tensor: Tensor) -> Result<()> {
        assert_eq!(tensor.stride, Tensor::stride_of(tensor.cols));
        assert_eq!(tensor.data.len(), tensor.dtype.data_bytes(tensor.rows, tensor.stride));
        self.0.push((which, tensor));
        Ok(())
    }
}

impl Kept {
    pub(super) fn get(&self, which: Weight) -> &Tensor {
        &self
            .0
            .iter()
            .find(|(weight, _)| *weight == which)
            .unwrap_or_else(|| panic!("no {which:?}"))
            .1
    }

    pub(super) fn at(&self, which: Weight, row: usize, col: usize) -> f32 {
        let tensor = self.get(which);
        tensor.to_f32()[row * tensor.stride + col]
    }
}

pub(super) type Stored = BTreeMap<String, (Vec<usize>, &'static str, Vec<f32>)>;

/// Distinct numbers that f16 and bf16 hold exactly.
pub(super) fn fill(stored: &mut Stored, name: &str, shape: &[usize], dtype: &'static str) {
    let salt = name.bytes().fold(0usize, |h, b| (h * 31 + b as usize) % 251);
    let numbers = (0..shape.iter().product())
        .map(|i: usize| ((i * 7 + salt) % 253) as f32 / 4.0 - 31.0)
        .collect();
    stored.insert(name.into(), (shape.to_vec(), dtype, numbers));
}

fn encode(dtype: &str, numbers: &[f32]) -> Vec<u8> {
    match dtype {
        "F16" => numbers.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
        "BF16" => numbers.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect(),
        "I8" => numbers.iter().map(|&x| x as i8 as u8).collect(),
        "U8" => numbers.iter().map(|&x| x as u8).collect(),
        "F64" => numbers.iter().flat_map(|&x| f64::from(x).to_le_bytes()).collect(),
        _ => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

pub(super) fn file(stored: &Stored) -> Vec<u8> {
    let tensors: Vec<_> = stored
        .iter()
        .map(|(name, (shape, dtype, numbers))| OutputTensor {
            name: name.clone(),
            dtype,
            shape: shape.clone(),
            data: encode(dtype, numbers).into(),
        })
        .collect();
    safetensors_bytes(&tensors).unwrap()
}

/// d 6, 2 layers, 2 heads of 4 on 1 KV head, mlp 5, vocab 9.
pub(super) fn llama(tied: bool, bias: bool, dtype: &'static str) -> (Config, Stored) {
    let config = json!({"architectures": ["LlamaForCausalLM"], "vocab_size": 9, "hidden_size": 6, "intermediate_size": 5,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "attention_bias": bias,
        "mlp_bias": bias, "max_position_embeddings": 16, "tie_word_embeddings": tied, "topk_k": 3});
    let mut stored = Stored::new();
    fill(&mut stored, "model.embed_tokens.weight", &[9, 6], dtype);
    fill(&mut stored, "model.norm.weight", &[6], dtype);
    for layer in 0..2 {
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            fill(&mut stored, &format!("model.layers.{layer}.{norm}.weight"), &[6], dtype);
        }
        for (module, outputs, inputs) in [
            ("self_attn.q_proj", 8, 6),
            ("self_attn.k_proj", 4, 6),
            ("self_attn.v_proj", 4, 6),
            ("self_attn.o_proj", 6, 8),
            ("mlp.gate_proj", 5, 6),
            ("mlp.up_proj", 5, 6),
            ("mlp.down_proj", 6, 5),
        ] {
            fill(
                &mut stored,
                &format!("model.layers.{layer}.{module}.weight"),
                &[outputs, inputs],
                dtype,
            );
            if bias {
                fill(
                    &mut stored,
                    &format!("model.layers.{layer}.{module}.bias"),
                    &[outputs],
                    dtype,
                );
            }
        }
    }
    if !tied {
        fill(&mut stored, "lm_head.weight", &[9, 6], dtype);
    }
    (Config::from_json(config.to_string().as_bytes()).unwrap(), stored)
}

/// d 5 (odd), 1 layer, 1 head, mlp 7, vocab 9, context 4.
pub(super) fn gpt2(prefix: &str, dtype: &'static str) -> (Config, Stored) {
    let config = json!({"architectures": ["GPT2LMHeadModel"], "vocab_size": 9, "n_embd": 5, "n_inner": 7, "n_layer": 1,
        "n_head": 1, "n_positions": 4});
    let mut stored = Stored::new();
    for (name, shape) in [
        ("wte.weight", &[9, 5][..]),
        ("wpe.weight", &[4, 5]),
        ("ln_f.weight", &[5]),
        ("ln_f.bias", &[5]),
        ("h.0.ln_1.weight", &[5]),
        ("h.0.ln_1.bias", &[5]),
        ("h.0.ln_2.weight", &[5]),
        ("h.0.ln_2.bias", &[5]),
        ("h.0.attn.c_attn.weight", &[5, 15]),
        ("h.0.attn.c_attn.bias", &[15]),
        ("h.0.attn.c_proj.weight", &[5, 5]),
        ("h.0.attn.c_proj.bias", &[5]),
        ("h.0.mlp.c_fc.weight", &[5, 7]),
        ("h.0.mlp.c_fc.bias", &[7]),
        ("h.0.mlp.c_proj.weight", &[7, 5]),
        ("h.0.mlp.c_proj.bias", &[5]),
    ] {
        fill(&mut stored, &format!("{prefix}{name}"), shape, dtype);
    }
    (Config::from_json(config.to_string().as_bytes()).unwrap(), stored)
}

pub(super) fn load_from(source: &dyn Source, prefix: &str, config: &Config) -> Result<Kept> {
    load_as(KeptAs::Stored, source, prefix, config)
}

fn load_as(kept_as: KeptAs, source: &dyn Source, prefix: &str, config: &Config) -> Result<Kept> {
    let (mut kept, mut seen) = (Kept::default(), Vec::new());
    pollster::block_on(load_weights(source, prefix, config, kept_as, &mut kept, &mut |done, total| {
        seen.push((done, total))
    }))?;
    assert!(
        seen.windows(2)
            .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 == pair[1].1),
        "{seen:?}"
    );
    assert_eq!(seen.last().map(|last| last.0 == last.1), Some(true));
    Ok(kept)
}

pub(super) fn load(config: &Config, stored: &Stored) -> Result<Kept> {
    load_from(&MemorySource::new([("model.safetensors", file(stored))]), "", config)
}

pub(super) fn number(stored: &Stored, name: &str, row: usize, col: usize) -> f32 {
    let (shape, _, numbers) = &stored[name];
    numbers[row * shape.get(1).copied().unwrap_or(0) + col]
}

#[test]
fn llama_layout() {
    for dtype in ["F32", "F16", "BF16"] {
        let (config, stored) = llama(false, true, dtype);
        let kept = load(&config, &stored).unwrap();
        assert_eq!(
            kept.get(Weight::Qkv(1)).dtype.bytes_of(1),
            if dtype == "F32" { 4 } else { 2 }
        );
        let name = |part: &str| format!("model.layers.1.{part}");
        // Columns of q (2 heads of 4) and k (1 head): pairs (0, 2), (1, 3) of each head; v as it is.
        let columns = [
            ("q", 0),
            ("q", 2),
            ("q", 1),
            ("q", 3),
            ("q", 4),
            ("q", 6),
            ("q", 5),
            ("q", 7),
        ];
        let columns = columns.into_iter().chain([("k", 0), ("k", 2), ("k", 1), ("k", 3)]);
        let columns = columns.chain((0..4).map(|o| ("v", o)));
        for (column, (which, output)) in columns.enumerate() {
            let (weight, bias) = (
                name(&format!("self_attn.{which}_proj.weight")),
                name(&format!("self_attn.{which}_proj.bias")),
            );
            for i in 0..6 {
                assert_eq!(kept.at(Weight::Qkv(1), i, column), number(&stored, &weight, output, i));
            }
            assert_eq!(
                kept.at(Weight::QkvBias(1), 0, column),
                number(&stored, &bias, 0, output)
            );
        }
        for column in 0..10 {
            let half = if column % 2 == 0 { "gate" } else { "up" };
            let (weight, bias) = (
                name(&format!("mlp.{half}_proj.weight")),
                name(&format!("mlp.{half}_proj.bias")),
            );
            for i in 0..6 {
                assert_eq!(
                    kept.at(Weight::MlpIn(1), i, column),
                    number(&stored, &weight, column / 2, i)
                );
            }
            assert_eq!(
                kept.at(Weight::MlpInBias(1), 0, column),
                number(&stored, &bias, 0, column / 2)
            );
        }
        for (weight, module, inputs) in [
            (Weight::AttnOut(1), "self_attn.o_proj", 8),
            (Weight::MlpOut(1), "mlp.down_proj", 5),
        ] {
            assert_eq!((kept.get(weight).rows, kept.get(weight).cols), (inputs, 6));
            for (i, o) in (0..inputs).flat_map(|i| (0..6).map(move |o| (i, o))) {
                assert_eq!(
                    kept.at(weight, i, o),
                    number(&stored, &name(&format!("{module}.weight")), o, i)
                );
            }
        }
        for (weight, name) in [
            (Weight::Embed, "model.embed_tokens.weight"),
            (Weight::Head, "lm_head.weight"),
        ] {
            assert_eq!(kept.get(weight).to_f32(), stored[name].2);
        }
        assert_eq!(kept.get(Weight::Norm2Gain(0)).dtype, Dtype::F32);
        assert_eq!(
            kept.get(Weight::Norm2Gain(0)).to_f32(),
            stored["model.layers.0.post_attention_layernorm.weight"].2
        );
        assert_eq!(kept.0.len(), 1 + 2 * 10 + 1 + 1);
    }
}

#[test]
fn norms_come_before_the_matrices_of_their_block() {
    let (config, stored) = llama(true, false, "F16");
    let kept = load(&config, &stored).unwrap();
    let place = |which| kept.0.iter().position(|(weight, _)| *weight == which).unwrap();
    for layer in 0..2 {
        assert!(place(Weight::Norm1Gain(layer)) < place(Weight::Qkv(layer)));
        assert!(place(Weight::Norm2Gain(layer)) < place(Weight::Qkv(layer)));
    }
    assert!(kept.0.iter().all(|(weight, _)| *weight != Weight::Head));
}

/// What stands in for a rounded matrix where its input is sparse is made of the rounded one.
#[test]
fn sums_of_a_matrix_kept_as_f16_are_those_of_the_rounded_one() {
    let (config, mut stored) = gpt2("", "F32");
    for (_, _, numbers) in stored.values_mut() {
        numbers.iter_mut().for_each(|number| *number /= 3.0);
    }
    let source = MemorySource::new([("model.safetensors", file(&stored))]);
    let kept = load_as(KeptAs::F16, &source, "", &config).unwrap();
    assert_eq!(kept.get(Weight::Qkv(0)).dtype, Dtype::F16);
    let mut moved = false;
    for o in 0..15 {
        let of = |gain: Weight| -> f64 {
            let products = (0..5).map(|i| f64::from(kept.at(gain, 0, i)) * f64::from(kept.at(Weight::Qkv(0), i, o)));
            products.sum()
        };
        moved |= kept.at(Weight::Qkv(0), 1, o) != number(&stored, "h.0.attn.c_attn.weight", 1, o);
        assert_eq!(kept.at(Weight::QkvGainSum(0), 0, o), of(Weight::Norm1Gain(0)) as f32);
        assert_eq!(kept.at(Weight::QkvBiasSum(0), 0, o), of(Weight::Norm1Bias(0)) as f32);
    }
    assert!(moved);
}

#[test]
fn gpt2_layout_with_and_without_prefix() {
    for (prefix, dtype) in [("", "F32"), ("transformer.", "F16")] {
        let (config, mut stored) = gpt2(prefix, dtype);
        // Ballast of older writers.
        fill(&mut stored, &format!("{prefix}h.0.attn.bias"), &[1, 1, 4, 4], "U8");
        fill(&mut stored, &format!("{prefix}h.0.attn.masked_bias"), &[], "F32");
        let embed = stored[&format!("{prefix}wte.weight")].clone();
        fill(&mut stored, "lm_head.weight", &[9, 5], dtype);
        let error = load(&config, &stored).err().unwrap().to_string();
        assert!(error.contains("\"lm_head.weight\" is not") && error.contains("tie_word_embeddings"), "{error}");
        stored.insert("lm_head.weight".into(), embed);
        let kept = load(&config, &stored).unwrap();
        let name = |part: &str| format!("{prefix}h.0.{part}");
        let qkv = kept.get(Weight::Qkv(0));
        assert_eq!((qkv.rows, qkv.cols, qkv.stride), (5, 15, 16));
        for o in 0..15 {
            let mut sums = (0f64, 0f64);
            for i in 0..5 {
                let w = number(&stored, &name("attn.c_attn.weight"), i, o);
                assert_eq!(kept.at(Weight::Qkv(0), i, o), w);
                sums.0 += f64::from(w) * f64::from(number(&stored, &name("ln_1.weight"), 0, i));
                sums.1 += f64::from(w) * f64::from(number(&stored, &name("ln_1.bias"), 0, i));
            }
            assert_eq!(kept.at(Weight::QkvGainSum(0), 0, o), sums.0 as f32);
            assert_eq!(kept.at(Weight::QkvBiasSum(0), 0, o), sums.1 as f32);
        }
        for (row, rows) in [(0, 9), (8, 9)] {
            assert_eq!(kept.get(Weight::Embed).rows, rows);
            assert_eq!(
                kept.at(Weight::Embed, row, 4),
                number(&stored, &format!("{prefix}wte.weight"), row, 4)
            );
            assert_eq!(kept.at(Weight::Embed, row, 5), 0.0, "padding");
        }
        assert_eq!(
            kept.at(Weight::Positions, 3, 2),
            number(&stored, &format!("{prefix}wpe.weight"), 3, 2)
        );
        assert_eq!(
            kept.at(Weight::MlpIn(0), 4, 6),
            number(&stored, &name("mlp.c_fc.weight"), 4, 6)
        );
        assert_eq!(
            kept.at(Weight::MlpOutBias(0), 0, 3),
            number(&stored, &name("mlp.c_proj.bias"), 0, 3)
        );
        assert_eq!(kept.get(Weight::FinalNormBias).cols, 5);
    }
}

#[test]
fn large_matrices_transpose_over_tile_edges() {
    let (mut config, mut stored) = llama(true, false, "F32");
    (config.d_mlp, config.n_layers) = (67, 1);
    stored.retain(|name, _| !name.contains("layers.1"));
    fill(&mut stored, "model.layers.0.mlp.gate_proj.weight", &[67, 6], "F32");
    fill(&mut stored, "model.layers.0.mlp.up_proj.weight", &[67, 6], "F32");
    fill(&mut stored, "model.layers.0.mlp.down_proj.weight", &[6, 67], "F32");
    let kept = load(&config, &stored).unwrap();
    for (i, o) in (0..67).flat_map(|i| (0..6).map(move |o| (i, o))) {
        assert_eq!(
            kept.at(Weight::MlpOut(0), i, o),
            number(&stored, "model.layers.0.mlp.down_proj.weight", o, i)
        );
        assert_eq!(
            kept.at(Weight::MlpIn(0), o, 2 * i + 1),
            number(&stored, "model.layers.0.mlp.up_proj.weight", i, o)
        );
    }
}

#[test]
fn mixed_dtypes_promote_and_eight_bit_is_scaled() {
    let (config, mut stored) = llama(true, false, "F16");
    let q = "model.layers.0.self_attn.q_proj.weight";
    fill(&mut stored, q, &[8, 6], "BF16");
    let gate = "model.layers.0.mlp.gate_proj.weight";
    fill(&mut stored, gate, &[5, 6], "I8");
    stored.insert(
        format!("{gate}.scale"),
        (vec![5], "F32", vec![0.5, 0.25, 3.0, 0.1, 1.0]),
    );
    fill(&mut stored, "model.embed_tokens.weight", &[9, 6], "I8");
    stored.insert("model.embed_tokens.weight.scale".into(), (vec![9], "F32", vec![0.1; 9]));
    let kept = load(&config, &stored).unwrap();
    assert_eq!(kept.get(Weight::Qkv(0)).dtype, Dtype::F32);
    assert_eq!(kept.get(Weight::Qkv(1)).dtype, Dtype::F16);
    assert_eq!(kept.at(Weight::Qkv(0), 3, 1), number(&stored, q, 2, 3));
    assert_eq!(
        kept.at(Weight::Qkv(0), 3, 12),
        number(&stored, "model.layers.0.self_attn.v_proj.weight", 0, 3)
    );
    let (quantized, scale) = (number(&stored, gate, 3, 4) as i8, 0.1f32);
    assert_eq!(kept.at(Weight::MlpIn(0), 4, 6), f32::from(quantized) * scale);
    assert_eq!(
        kept.at(Weight::MlpIn(0), 4, 7),
        number(&stored, "model.layers.0.mlp.up_proj.weight", 3, 4)
    );
    let quantized = number(&stored, "model.embed_tokens.weight", 8, 5) as i8;
    assert_eq!(kept.at(Weight::Embed, 8, 5), f32::from(quantized) * scale);

    // Conv1D lies [inputs, outputs]: its scales belong to columns.
    let (config, mut stored) = gpt2("", "F32");
    fill(&mut stored, "h.0.mlp.c_fc.weight", &[5, 7], "I8");
    stored.insert(
        "h.0.mlp.c_fc.weight.scale".into(),
        (vec![7], "F32", (1..8).map(|o| o as f32 / 8.0).collect()),
    );
    let kept = load(&config, &stored).unwrap();
    let quantized = number(&stored, "h.0.mlp.c_fc.weight", 2, 6) as i8;
    assert_eq!(kept.at(Weight::MlpIn(0), 2, 6), f32::from(quantized) * 0.875);
}

#[test]
fn the_one_name_of_tied_tensors_may_be_the_head() {
    let (config, mut stored) = llama(true, false, "F32");
    let embed = stored.remove("model.embed_tokens.weight").unwrap();
    stored.insert("lm_head.weight".into(), embed.clone());
    assert_eq!(load(&config, &stored).unwrap().get(Weight::Embed).to_f32(), embed.2);
}
