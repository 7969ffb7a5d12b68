//! Matrices of 4 bits: what `convert --dtype int4` writes, what is refused, and what `info --against` says of the difference.
//! `goldens.rs` compares both layouts with PyTorch.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::common::{folder, golden, json, largest_difference, load, load_on};
use half::{bf16, f16};
use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::{json, Value};
use topk_lm::checkpoint::{safetensors_bytes, MemorySource, OutputTensor};
use topk_lm::error::Code;
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, Model, RunOptions};

/// Type, shape and bytes.
type Stored = BTreeMap<String, (String, Vec<usize>, Vec<u8>)>;

fn tensors(file: &Path) -> Stored {
    let bytes = std::fs::read(file).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let of = |view: &safetensors::tensor::TensorView| {
        (
            format!("{:?}", view.dtype()),
            view.shape().to_vec(),
            view.data().to_vec(),
        )
    };
    file.iter().map(|(name, view)| (name.to_owned(), of(&view))).collect()
}

fn outputs(stored: &Stored) -> Vec<OutputTensor<'_>> {
    let of = |(name, (dtype, shape, data)): (&String, &(String, Vec<usize>, Vec<u8>))| OutputTensor {
        name: name.clone(),
        dtype: ["F32", "F16", "BF16", "I32", "I8"]
            .into_iter()
            .find(|known| known == dtype)
            .unwrap_or("U8"),
        shape: shape.clone(),
        data: data.clone().into(),
    };
    stored.iter().map(of).collect()
}

/// A golden model with changed files, loaded on the CPU.
fn loaded(name: &str, change: impl FnOnce(&mut Value, &mut Stored)) -> topk_lm::Result<Model> {
    let folder = golden(name);
    let (mut config, mut stored) = (
        json(&folder.join("config.json")),
        tensors(&folder.join("model.safetensors")),
    );
    change(&mut config, &mut stored);
    let source = MemorySource::new([
        ("config.json", config.to_string().into_bytes()),
        ("model.safetensors", safetensors_bytes(&outputs(&stored)).unwrap()),
    ]);
    pollster::block_on(Model::load(
        &source,
        BackendChoice::Cpu,
        &Cancel::default(),
        &mut |_, _| {},
    ))
}

fn refused(name: &str, change: impl FnOnce(&mut Value, &mut Stored)) -> String {
    let error = loaded(name, change).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), Code::Checkpoint);
    error.to_string()
}

const DOWN: &str = "model.layers.1.mlp.down_proj";

fn of<'a>(stored: &'a mut Stored, part: &str) -> &'a mut (String, Vec<usize>, Vec<u8>) {
    stored.get_mut(&format!("{DOWN}.{part}")).unwrap()
}

#[test]
fn what_is_wrong_is_named() {
    let without = refused("llama-gptq", |config, _| config["quantization_config"] = Value::Null);
    assert!(
        without.ends_with("config.json has no quantization_config that says how they are stored"),
        "{without}"
    );
    // 80 inputs in groups of 32; the last two in the wrong one.
    let order = refused("llama-gptq", |_, stored| of(stored, "g_idx").2[4 * 78] = 0);
    assert!(
        order.contains("down_proj.g_idx") && order.contains("desc_act"),
        "{order}"
    );
    loaded("llama-gptq", |_, stored| drop(stored.remove(&format!("{DOWN}.g_idx")))).unwrap();
    assert_eq!(
        refused("llama-gptq", |_, stored| of(stored, "scales").1 = vec![64, 3]),
        format!("model.safetensors: tensor \"{DOWN}.scales\" must be F16 [3, 64], not F16 [64, 3]")
    );
    assert_eq!(
        refused("llama-gptq", |_, stored| of(stored, "qzeros").0 = "F32".into()),
        format!("model.safetensors: tensor \"{DOWN}.qzeros\" must be I32 [3, 8], not F32 [3, 8]")
    );
    let infinite = refused("qwen2-awq", |_, stored| {
        of(stored, "scales").2[..2].copy_from_slice(&f16::INFINITY.to_le_bytes())
    });
    assert!(
        infinite.contains("down_proj.scales\" has a value that is infinite or NaN"),
        "{infinite}"
    );
    assert!(
        refused("qwen2-awq", |_, stored| drop(stored.remove(&format!("{DOWN}.qzeros"))))
            .contains("qzeros\" is missing")
    );
    // The other layout has other shapes.
    let other = refused("qwen2-awq", |config, _| {
        config["quantization_config"]["quant_method"] = json!("gptq")
    });
    assert!(other.contains("qweight\" must be I32"), "{other}");
    let extra = refused("llama-gptq", |_, stored| {
        let both = of(stored, "qweight").clone();
        stored.insert(format!("{DOWN}.qweight.scale"), both);
    });
    assert!(extra.contains("has no place in the model"), "{extra}");
}

/// AutoGPTQ writes a bias beside every matrix, of zeros where the model has none.
#[test]
fn biases_of_zeros_are_no_more_than_that() {
    let with_bias = |byte: u8| {
        move |_: &mut Value, stored: &mut Stored| {
            stored.insert(
                format!("{DOWN}.bias"),
                ("F16".into(), vec![64], [vec![0; 127], vec![byte]].concat()),
            );
        }
    };
    loaded("llama-gptq", with_bias(0)).unwrap();
    let other = refused("llama-gptq", with_bias(60));
    assert!(other.contains("down_proj.bias\" is not zero"), "{other}");
}

/// GPTQModel writes scales in the type of the model that it quantizes.
#[test]
fn scales_may_be_bf16() {
    for name in ["llama-gptq", "qwen2-awq"] {
        // Scales that both types hold.
        let logits = |as_bf16: bool| {
            let model = loaded(name, |_, stored| {
                let scales = stored.iter_mut().filter(|(name, _)| name.ends_with(".scales"));
                for (dtype, _, data) in scales.map(|(_, tensor)| tensor) {
                    for bytes in data.chunks_exact_mut(2) {
                        let scale = bf16::from_f32(f16::from_le_bytes([bytes[0], bytes[1]]).to_f32());
                        bytes.copy_from_slice(&match as_bf16 {
                            true => scale.to_le_bytes(),
                            false => f16::from_f32(scale.to_f32()).to_le_bytes(),
                        });
                    }
                    *dtype = if as_bf16 { "BF16" } else { "F16" }.into();
                }
            });
            let output = model.unwrap().run_now(&[3, 1, 4, 1, 5], &RunOptions::default());
            output.unwrap().logits.data
        };
        assert_eq!(logits(true), logits(false), "{name}");
    }
    let first = |scale: f32| {
        refused("llama-gptq", |_, stored| {
            let (dtype, _, data) = of(stored, "scales");
            *dtype = "BF16".into();
            data.fill(0);
            data[..2].copy_from_slice(&bf16::from_f32(scale).to_le_bytes());
        })
    };
    assert_eq!(
        first(2f32.powi(-30)),
        format!("tensor \"{DOWN}.scales\" has a number that F16 does not hold")
    );
    assert!(first(f32::INFINITY).contains("infinite or NaN"));
}

/// A column that is one group is cut where it is too long for the sums of integers; it stays what it was.
#[test]
fn a_group_may_be_the_whole_column() {
    let whole = |group: i64| {
        let one = loaded("llama-gptq", |config, stored| {
            config["quantization_config"]["group_size"] = json!(group);
            for (name, (_, shape, data)) in stored.iter_mut() {
                // The first group's scales and zeros for all inputs.
                if name.ends_with(".scales") || name.ends_with(".qzeros") {
                    let row = data.len() / shape[0];
                    data.truncate(row);
                    if group != -1 {
                        *data = data.repeat(shape[0]);
                    } else {
                        shape[0] = 1;
                    }
                }
            }
            stored.retain(|name, _| !name.ends_with("g_idx"));
        });
        one.unwrap()
            .run_now(&[3, 1, 4, 1, 5], &RunOptions::default())
            .unwrap()
            .logits
            .data
    };
    let (column, groups) = (whole(-1), whole(32));
    assert!(largest_difference(&column, &groups) < 1e-4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A tensor with another type, shape or content: loaded or refused with one line.
    #[test]
    fn changed_tensors(
        is_awq: bool,
        which in any::<prop::sample::Index>(),
        dtype in prop::sample::select(vec!["F32", "F16", "BF16", "I32", "U8"]),
        shape in prop::option::of(prop::collection::vec(0usize..100, 0..3)),
        bytes in any::<[u8; 8]>(),
        group in prop::sample::select(vec![8i64, 16, 32, 64, -1]),
    ) {
        let result = loaded(if is_awq { "qwen2-awq" } else { "llama-gptq" }, |config, stored| {
            config["quantization_config"]["group_size"] = json!(group);
            let name = stored.keys().nth(which.index(stored.len())).cloned().unwrap();
            let (old_dtype, old_shape, _) = stored[&name].clone();
            let (dtype, shape) = match shape {
                Some(shape) => (dtype.to_owned(), shape),
                None => (old_dtype, old_shape),
            };
            let size = match dtype.as_str() { "U8" => 1, "F16" | "BF16" => 2, _ => 4 };
            let count = shape.iter().product::<usize>() * size;
            stored.insert(name, (dtype, shape, bytes.iter().copied().cycle().take(count).collect()));
        });
        if let Err(error) = result {
            prop_assert_eq!(error.code(), Code::Checkpoint);
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}

fn topk_lm(args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_topk-lm")).args(args).output().unwrap()
}

/// Writes a model in 4 bits.
fn in_4_bits(from: &Path, to: &Path) {
    let done = topk_lm(&[
        "convert",
        from.to_str().unwrap(),
        to.to_str().unwrap(),
        "--dtype",
        "int4",
    ]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// (q − 8) · scale is within a step of every number, and on the whole nearer than with the plain scale; what eight does not divide has 8 bits.
#[test]
fn matrices_are_written_in_4_bits() {
    let (from, to) = (golden("llama-dense-bias"), folder("four-bit/written"));
    in_4_bits(&from, &to);
    let config = json(&to.join("config.json"));
    assert_eq!(config["quantization_config"]["quant_method"], "gptq");
    let (before, after) = (
        tensors(&from.join("model.safetensors")),
        tensors(&to.join("model.safetensors")),
    );
    let mut written = 0;
    for (name, (_, shape, data)) in &before {
        let Some(stem) = name.strip_suffix(".weight").filter(|_| shape.len() == 2) else {
            continue;
        };
        let (outputs, inputs) = (shape[0], shape[1]);
        let Some((_, _, qweight)) = after.get(&format!("{stem}.qweight")) else {
            assert!(
                name.contains("embed") || name.contains("lm_head") || outputs % 8 + inputs % 8 > 0,
                "{name}"
            );
            assert_eq!(after[name].0, "I8", "{name}");
            continue;
        };
        let numbers: Vec<f32> = data
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        let scales: Vec<f32> = after[&format!("{stem}.scales")]
            .2
            .chunks_exact(2)
            .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect();
        let (mut off, mut plain) = (0f64, 0f64);
        for o in 0..outputs {
            for (group, column) in numbers[o * inputs..(o + 1) * inputs].chunks(32).enumerate() {
                let scale = scales[group * outputs + o];
                let largest = column.iter().fold(0f32, |most, x| most.max(x.abs()));
                for (i, x) in column.iter().enumerate() {
                    let i = 32 * group + i;
                    let at = 4 * (i / 8 * outputs + o);
                    let word = u32::from_le_bytes([qweight[at], qweight[at + 1], qweight[at + 2], qweight[at + 3]]);
                    let q = (word >> (4 * (i % 8)) & 15) as f32 - 8.0;
                    let error = (x - q * scale).abs();
                    assert!(error <= 1.5 * scale.abs(), "{name} {i} {o}: {error} of {scale}");
                    off += f64::from(error * error);
                    let rounded = (x / (largest / 7.0)).round().clamp(-8.0, 7.0) * largest / 7.0;
                    plain += f64::from((x - rounded) * (x - rounded));
                }
            }
        }
        assert!(off < plain, "{name}: {off} and {plain}");
        written += 1;
    }
    assert!(written >= 4, "{written} matrices");
}

/// A matrix that another writer left as it was gets 8 bits: config.json says how that writer stores groups and zeros, and ours differ.
#[test]
fn beside_matrices_of_another_writer_the_rest_has_8_bits() {
    let from = golden("llama-dense-bias");
    let [ours, mixed, to] = ["ours", "mixed", "mixed-again"].map(|name| folder(&format!("four-bit/{name}")));
    in_4_bits(&from, &ours);
    let mut stored = tensors(&ours.join("model.safetensors"));
    let name = "model.layers.1.self_attn.o_proj";
    let own: Vec<String> = stored
        .keys()
        .filter(|key| key.starts_with(name) && !key.ends_with("bias"))
        .cloned()
        .collect();
    assert_eq!(own.len(), 4, "{own:?}");
    own.iter().for_each(|key| drop(stored.remove(key)));
    let weight = format!("{name}.weight");
    stored.insert(
        weight.clone(),
        tensors(&from.join("model.safetensors"))[&weight].clone(),
    );
    std::fs::write(
        mixed.join("model.safetensors"),
        safetensors_bytes(&outputs(&stored)).unwrap(),
    )
    .unwrap();
    for (format, dtype) in [("gptq_v2", Some("I8")), ("gptq", None)] {
        let mut config = json(&ours.join("config.json"));
        config["quantization_config"]["checkpoint_format"] = json!(format);
        std::fs::write(mixed.join("config.json"), config.to_string()).unwrap();
        let to = to.join(format);
        in_4_bits(&mixed, &to);
        let after = tensors(&to.join("model.safetensors"));
        assert_eq!(after.get(&weight).map(|(dtype, ..)| dtype.as_str()), dtype, "{format}");
    }
}

#[test]
fn both_backends_read_it_and_keep_it_narrow() {
    let (from, to) = (golden("llama-gqa"), folder("four-bit/backends"));
    in_4_bits(&from, &to);
    let logits = |model: &Model| {
        model
            .run_now(&[3, 1, 4, 1, 5, 9, 2, 6], &RunOptions::default())
            .unwrap()
            .logits
            .data
    };
    let cpu = load(&to, BackendChoice::Cpu).unwrap();
    if let Some(gpu) = load_on(&to, BackendChoice::Gpu) {
        assert!(largest_difference(&logits(&cpu), &logits(&gpu)) < 5e-3);
        let (narrow, whole) = (gpu.memory().1, load_on(&from, BackendChoice::Gpu).unwrap().memory().1);
        assert!(narrow + 200_000 < whole, "{narrow} of {whole}");
    }
}

#[test]
fn the_difference_is_measured() {
    let from = crate::common::root().join("models/Llama-TopK-Stories-16M");
    let to = folder("four-bit/shipped");
    in_4_bits(&from, &to);
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    let text = folder("four-bit/text").join("story.txt");
    std::fs::write(
        &text,
        "Once upon a time, there was a little girl named Lily. She loved to play with her red ball.",
    )
    .unwrap();
    let text = text.to_str().unwrap();
    let compared = |against: &str| -> Value {
        let done = topk_lm(&["info", "--json", "--model", to, "--against", against, "--text", text]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice::<Value>(&done.stdout).unwrap()["compared"].clone()
    };
    let itself = compared(to);
    assert_eq!(
        (&itself["top1_agreement"], &itself["divergence_bits"]),
        (&json!(1.0), &json!(0.0))
    );
    assert_eq!(itself["bits_per_byte"], itself["bits_per_byte_against"]);
    let compared = compared(from);
    let number = |key: &str| compared[key].as_f64().unwrap();
    assert!(number("tokens") >= 20.0 && number("bytes") >= 80.0, "{compared}");
    assert!(
        number("divergence_bits") > 0.0 && number("divergence_bits") < 1.0,
        "{compared}"
    );
    assert!(
        number("top1_agreement") > 0.5 && number("bits_per_byte_against") < 1.2,
        "{compared}"
    );
    let other = golden("llama-gqa");
    let done = topk_lm(&[
        "info",
        "--model",
        to,
        "--against",
        other.to_str().unwrap(),
        "--text",
        text,
    ]);
    assert_eq!(done.status.code(), Some(1));
}
