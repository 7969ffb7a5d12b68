//! Models of a billion parameters in 8 and in 4 bits: they load on the GPU, take what `info` says, and agree with the CPU. The numbers are random,
//! made as they are read; half a minute each on an emulated GPU, so only `npm run soak` runs it.

use std::collections::BTreeMap;

use crate::common::{largest_difference, soak};
use half::f16;
use serde_json::{json, Value};
use topk_lm::checkpoint;
use topk_lm::error::{Code, Result};
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, LoadOptions, Model, RunOptions};
use topk_lm::source::{LocalFuture, Source};

/// What the bytes of a tensor are.
#[derive(Clone, Copy)]
enum Fill {
    Random,
    Same([u8; 4]),
}

/// A folder with config.json and one file of tensors, none of which exists.
struct Made {
    config: Vec<u8>,
    header: Vec<u8>,
    /// Ends of the tensors, and what fills them.
    tensors: BTreeMap<u64, Fill>,
    size: u64,
}

impl Source for Made {
    fn size(&self, path: &str) -> Option<u64> {
        match path {
            "config.json" => Some(self.config.len() as u64),
            "model.safetensors" => Some(self.size),
            _ => None,
        }
    }

    fn read<'a>(&'a self, path: &'a str, offset: u64, length: usize) -> LocalFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let first = offset as usize;
            if path == "config.json" {
                return Ok(self.config[first..first + length].to_vec());
            }
            if first < self.header.len() {
                return Ok(self.header[first..first + length].to_vec());
            }
            let (_, fill) = self.tensors.range(offset + 1..).next().unwrap();
            Ok(match fill {
                Fill::Same(word) => word.iter().copied().cycle().take(length).collect(),
                Fill::Random => {
                    let mut state = offset | 1;
                    let mut next = || {
                        state ^= state << 13;
                        state ^= state >> 7;
                        state ^= state << 17;
                        (state >> 32) as u8
                    };
                    (0..length).map(|_| next()).collect()
                }
            })
        })
    }
}

/// Llama's shape `[d, layers, heads, KV heads, MLP, vocabulary]`, tied.
fn made([d, layers, heads, kv_heads, mlp, vocab]: [usize; 6], four_bits: bool) -> Made {
    let mut config = json!({
        "architectures": ["LlamaForCausalLM"], "hidden_size": d, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "intermediate_size": mlp, "vocab_size": vocab, "max_position_embeddings": 131_072,
        "rms_norm_eps": 1e-5, "rope_theta": 5e5, "tie_word_embeddings": true,
    });
    if four_bits {
        config["quantization_config"] = json!({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": true});
    }
    let (mut header, mut tensors, mut at) = (serde_json::Map::new(), Vec::new(), 0u64);
    let mut add = |name: String, dtype: &str, shape: &[usize], bytes: usize, fill: Fill| {
        let end = at + (shape.iter().product::<usize>() * bytes) as u64;
        header.insert(name, json!({"dtype": dtype, "shape": shape, "data_offsets": [at, end]}));
        tensors.push((end, fill));
        at = end;
    };
    let same = |x: f32| Fill::Same(x.to_le_bytes());
    let halves = |x: f32| {
        let [a, b] = f16::from_f32(x).to_le_bytes();
        Fill::Same([a, b, a, b])
    };
    // Numbers are uniform: of 8 bits with a deviation of 74, of 4 bits with one of 4.6.
    let mut matrix = |stem: String, outputs: usize, inputs: usize, is_table: bool| {
        let size = if is_table { 1.0 } else { 1.0 / (inputs as f32).sqrt() };
        if four_bits && !is_table {
            let groups = inputs.div_ceil(128);
            add(
                format!("{stem}.qweight"),
                "I32",
                &[inputs / 8, outputs],
                4,
                Fill::Random,
            );
            add(
                format!("{stem}.qzeros"),
                "I32",
                &[groups, outputs / 8],
                4,
                Fill::Same([0x77; 4]),
            );
            add(
                format!("{stem}.scales"),
                "F16",
                &[groups, outputs],
                2,
                halves(size / 4.6),
            );
        } else {
            add(format!("{stem}.weight"), "I8", &[outputs, inputs], 1, Fill::Random);
            add(format!("{stem}.weight.scale"), "F32", &[outputs], 4, same(size / 74.0));
        }
    };
    let kv = d / heads * kv_heads;
    matrix("model.embed_tokens".into(), vocab, d, true);
    for layer in 0..layers {
        for (part, outputs, inputs) in [
            ("self_attn.q_proj", d, d),
            ("self_attn.k_proj", kv, d),
            ("self_attn.v_proj", kv, d),
            ("self_attn.o_proj", d, d),
            ("mlp.gate_proj", mlp, d),
            ("mlp.up_proj", mlp, d),
            ("mlp.down_proj", d, mlp),
        ] {
            matrix(format!("model.layers.{layer}.{part}"), outputs, inputs, false);
        }
    }
    let norms = (0..layers).flat_map(|layer| {
        ["input_layernorm", "post_attention_layernorm"].map(|norm| format!("model.layers.{layer}.{norm}.weight"))
    });
    for name in norms.chain(["model.norm.weight".into()]) {
        add(name, "F32", &[d], 4, same(1.0));
    }
    let text = Value::Object(header).to_string().into_bytes();
    let header = [&(text.len() as u64).to_le_bytes(), text.as_slice()].concat();
    let first = header.len() as u64;
    Made {
        config: config.to_string().into_bytes(),
        tensors: tensors.into_iter().map(|(end, fill)| (first + end, fill)).collect(),
        size: first + at,
        header,
    }
}

#[test]
fn a_billion_parameters_fit() {
    if !soak() {
        println!("SKIPPED: models of a billion parameters (npm run soak)");
        return;
    }
    for four_bits in [false, true] {
        // Of Llama 3.2 1B.
        let source = made([2048, 16, 32, 8, 8192, 128_256], four_bits);
        let name = if four_bits { "4 bits" } else { "8 bits" };
        let mut all = Vec::new();
        for backend in [BackendChoice::Gpu, BackendChoice::Cpu] {
            let options = LoadOptions {
                backend,
                max_context: Some(512),
                ..LoadOptions::default()
            };
            let (cancel, mut progress) = (Cancel::default(), |_, _| {});
            let model = match pollster::block_on(Model::load_with(&source, &options, &cancel, &mut progress)) {
                Err(error) if error.code() == Code::Device && backend == BackendChoice::Gpu => {
                    println!("SKIPPED: no GPU adapter on this machine ({error})");
                    continue;
                }
                loaded => loaded.unwrap(),
            };
            let summary = pollster::block_on(checkpoint::summarize(&source, "", model.config())).unwrap();
            let logits = model
                .run_now(&[3, 77, 128_000, 5], &RunOptions::default())
                .unwrap()
                .logits
                .data;
            println!(
                "{name}, {}: {} parameters, file {} MB, weights {} MB on the CPU, {} MB on the GPU; buffers of {} MB",
                model.backend().kind.name(),
                summary.parameters,
                source.size / 1_000_000,
                summary.cpu_bytes / 1_000_000,
                summary.gpu_bytes / 1_000_000,
                model.memory().1 / 1_000_000
            );
            assert!(summary.parameters > 1_200_000_000 && logits.iter().all(|x| x.is_finite()));
            if backend == BackendChoice::Gpu {
                let held = model.memory().1;
                assert!(
                    held >= summary.gpu_bytes && held < summary.gpu_bytes + 300_000_000,
                    "{held} bytes"
                );
            }
            all.push(logits);
        }
        if let [gpu, cpu] = &all[..] {
            let most = cpu.iter().fold(0f32, |most, x| most.max(x.abs()));
            let apart = largest_difference(cpu, gpu);
            assert!(apart < 2e-2 * most, "{name}: {apart} of {most}");
        }
    }
}
