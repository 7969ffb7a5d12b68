//! A checkpoint written again: the tensors that the model uses, under their own names, in a precision of choice, in one file or in shards.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::json;

use super::four_bit;
use super::header::{StoredDtype, TensorInfo};
use super::index::{Checkpoint, INDEX, SINGLE};
use super::load::dequantize;
use super::narrow::f16_bytes;
use super::plan::{check_tied, plan};
use super::planned::{Layout, Part};
use super::sae::{self, read_sae};
use super::write::{model_bytes, OutputTensor};
use crate::config::Config;
use crate::error::{fail, Result};
use crate::source::Source;
use crate::weights::{self, Dtype};

/// How numbers are stored. What is stored in 8 or 4 bits never gets more: they would bring nothing back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As they are.
    Stored,
    F16,
    /// Matrices as I8 with one F32 scale for each output (of a table, or of an autoencoder's matrix: row), everything else F32.
    /// `training/topklm/export.py` writes checkpoints by the same rule.
    Int8,
    /// Matrices in 4 bits with a scale for each output of every 32 inputs (`four_bit.rs`), also those that are stored in 8; tables, and matrices
    /// whose sides eight does not divide, as [`Precision::Int8`] has them.
    Int4,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    pub files: usize,
    /// Of the tensors.
    pub bytes: u64,
    /// Tensors that alone are larger than a shard may be.
    pub oversized: Vec<String>,
}

/// One stored tensor that is used, and how much it takes when it is written.
struct Used<'a> {
    part: &'a Part,
    info: &'a TensorInfo,
    precision: Precision,
    bytes: u64,
}

/// Converts the checkpoint under `prefix`, which is first compared with the model as loading does. `write` gets each file of the new one, by
/// its path; `shard` is the most bytes of tensors in one file.
pub async fn convert(
    source: &dyn Source,
    prefix: &str,
    config: &Config,
    precision: Precision,
    shard: Option<u64>,
    write: &mut dyn FnMut(&str, Vec<u8>) -> Result<()>,
) -> Result<Converted> {
    let checkpoint = Checkpoint::open(source, prefix).await?;
    let planned = plan(config, &checkpoint)?;
    check_tied(source, config, &checkpoint, &planned).await?;
    let mut used: Vec<Used> = Vec::new();
    // Beside matrices that another writer made, ours would be read as those are: its config.json stays.
    let is_ours = config.quantization.is_none_or(|of| of == four_bit::write::QUANTIZATION);
    for (item, part) in planned.iter().flat_map(|item| item.parts.iter().map(move |part| (item, part))) {
        // What is multiplied together has 4 bits together.
        let fits = is_ours && item.parts.iter().all(four_bit::write::fits);
        let precision = if precision == Precision::Int4 && !fits {
            Precision::Int8
        } else {
            precision
        };
        // One tensor may make two weights.
        let name = match four_bit::names(&checkpoint, part) {
            Some(names) => names.qweight().to_owned(),
            None => part.name.clone(),
        };
        if let Some((_, info)) = checkpoint.get(&name) {
            if !used.iter().any(|other| other.part.name == part.name) {
                let bytes = match four_bit::names(&checkpoint, part) {
                    Some(names) => names.0.iter().filter_map(|name| Some(checkpoint.get(name)?.1.bytes)).sum(),
                    None => bytes_of(part, info, precision),
                };
                used.push(Used {
                    part,
                    info,
                    precision,
                    bytes,
                });
            }
        }
    }
    let mut done = Converted::default();
    let most = shard.unwrap_or(u64::MAX);
    let mut shards: Vec<Vec<Used>> = Vec::new();
    let mut filled = 0u64;
    for tensor in used {
        done.bytes += tensor.bytes;
        if tensor.bytes > most {
            done.oversized.push(tensor.part.name.clone());
        }
        if shards.is_empty() || filled.saturating_add(tensor.bytes) > most {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += tensor.bytes;
        if let Some(shard) = shards.last_mut() {
            shard.push(tensor);
        }
    }
    let count = shards.len();
    let mut weight_map = BTreeMap::new();
    for (number, shard) in shards.iter().enumerate() {
        let file = match count {
            1 => SINGLE.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
        };
        let mut tensors = Vec::new();
        for tensor in shard {
            tensors.extend(converted(source, &checkpoint, tensor).await?);
        }
        // As other writers order them: by alignment, then by name.
        tensors.sort_by(|a, b| (width(b.dtype), &a.name).cmp(&(width(a.dtype), &b.name)));
        weight_map.extend(tensors.iter().map(|tensor| (tensor.name.clone(), file.clone())));
        write(&format!("{prefix}{file}"), model_bytes(&tensors)?)?;
    }
    if count > 1 {
        let index = json!({ "metadata": { "total_size": done.bytes }, "weight_map": weight_map });
        write(&format!("{prefix}{INDEX}"), format!("{index:#}\n").into_bytes())?;
    }
    done.files = count;
    Ok(done)
}

/// Converts the weights of an autoencoder's folder, which is first read as attaching it does; a file that SAELens' readers take, but for
/// 8-bit matrices.
pub async fn convert_sae(source: &dyn Source, precision: Precision) -> Result<Vec<u8>> {
    if precision == Precision::Int4 {
        fail!(Argument, "--dtype int4 is for models: an autoencoder's matrices have 8 bits at least");
    }
    let (sae, _) = read_sae(source, None).await?;
    let checkpoint = Checkpoint::of_file(source, sae::WEIGHTS).await?;
    let mut tensors = Vec::new();
    for (_, part) in sae::parts(&sae) {
        let Some((_, info)) = checkpoint.get(&part.name) else {
            continue;
        };
        let bytes = bytes_of(&part, info, precision);
        let used = Used {
            part: &part,
            info,
            precision,
            bytes,
        };
        tensors.extend(converted(source, &checkpoint, &used).await?);
    }
    model_bytes(&tensors)
}

fn width(dtype: &str) -> usize {
    match dtype {
        "F32" | "I32" => 4,
        "I8" => 1,
        _ => 2,
    }
}

/// Whether a tensor is written in 8 bits.
fn in_8bit(part: &Part, info: &TensorInfo, precision: Precision) -> bool {
    let narrow = matches!(precision, Precision::Int8 | Precision::Int4);
    !in_4bit(part, precision) && (info.dtype == StoredDtype::I8 || (narrow && part.layout != Layout::Vector))
}

/// Whether one that does not have 4 bits gets them.
fn in_4bit(part: &Part, precision: Precision) -> bool {
    precision == Precision::Int4 && part.layout != Layout::Vector
}

/// What a tensor takes, its scales included.
fn bytes_of(part: &Part, info: &TensorInfo, precision: Precision) -> u64 {
    let elements = info.elements();
    match precision {
        _ if in_4bit(part, precision) => four_bit::write::bytes_of(part),
        _ if in_8bit(part, info, precision) => elements + 4 * part.scales() as u64,
        Precision::Stored => info.bytes,
        Precision::F16 => 2 * elements,
        Precision::Int8 | Precision::Int4 => 4 * elements,
    }
}

/// The tensors that one stored tensor becomes: itself, and its scales in 8 bits.
async fn converted<'a>(
    source: &dyn Source,
    checkpoint: &Checkpoint,
    tensor: &Used<'_>,
) -> Result<Vec<OutputTensor<'a>>> {
    let Used {
        part, info, precision, ..
    } = tensor;
    let precision = *precision;
    if let Some(names) = four_bit::names(checkpoint, part) {
        return as_stored(source, checkpoint, &names.0).await;
    }
    let shape: Vec<usize> = info.shape.iter().map(|side| *side as usize).collect();
    let raw = stored(source, checkpoint, &part.name).await?;
    let output = |dtype: &'static str, data: Vec<u8>| OutputTensor {
        name: part.name.clone(),
        dtype,
        shape: shape.clone(),
        data: Cow::Owned(data),
    };
    let scales = |data: Vec<u8>| OutputTensor {
        name: part.scale_name(),
        dtype: "F32",
        shape: vec![part.scales()],
        data: Cow::Owned(data),
    };
    if info.dtype == StoredDtype::I8 {
        let data = stored(source, checkpoint, &part.scale_name()).await?;
        let of_outputs = numbers(&part.scale_name(), StoredDtype::F32, &data)?;
        if in_4bit(part, precision) {
            let wide = dequantize(part, &raw, &of_outputs)?;
            return four_bits(part, &numbers(&part.name, StoredDtype::F32, &wide)?);
        }
        return Ok(vec![output("I8", raw), scales(data)]);
    }
    let numbers = numbers(&part.name, info.dtype, &raw)?;
    if in_4bit(part, precision) {
        return four_bits(part, &numbers);
    }
    if in_8bit(part, info, precision) {
        let (data, scale) = to_8bit(part, &numbers);
        return Ok(vec![output("I8", data), scales(scale)]);
    }
    match precision {
        Precision::Stored => Ok(vec![output(info.dtype.name(), raw)]),
        Precision::Int8 | Precision::Int4 => Ok(vec![output("F32", bytemuck::cast_slice(&numbers).to_vec())]),
        Precision::F16 => Ok(vec![output("F16", f16_bytes(&numbers, &part.name)?)]),
    }
}

/// A matrix as the four tensors that it is in 4 bits.
fn four_bits<'a>(part: &Part, numbers: &[f32]) -> Result<Vec<OutputTensor<'a>>> {
    let Some(names) = four_bit::Names::of(part) else {
        fail!(Checkpoint, "tensor {:?} is no matrix", part.name)
    };
    let stored = four_bit::write::written(part, numbers)?;
    let (inputs, outputs) = (part.inputs, part.outputs);
    let groups = inputs.div_ceil(four_bit::write::GROUP);
    let shapes = [
        ("I32", vec![inputs / 8, outputs], stored.qweight),
        ("I32", vec![groups, outputs / 8], stored.qzeros),
        ("F16", vec![groups, outputs], stored.scales),
        ("I32", vec![inputs], stored.g_idx),
    ];
    let tensors = names.0.into_iter().zip(shapes);
    let output = |(name, (dtype, shape, data)): (String, (&'static str, Vec<usize>, Vec<u8>))| OutputTensor {
        name,
        dtype,
        shape,
        data: Cow::Owned(data),
    };
    Ok(tensors.map(output).collect())
}

/// Those of the tensors that are there, as they are.
async fn as_stored<'a>(source: &dyn Source, checkpoint: &Checkpoint, names: &[String]) -> Result<Vec<OutputTensor<'a>>> {
    let mut tensors = Vec::new();
    for name in names {
        let Some((_, info)) = checkpoint.get(name) else { continue };
        tensors.push(OutputTensor {
            name: name.clone(),
            dtype: info.dtype.name(),
            shape: info.shape.iter().map(|side| *side as usize).collect(),
            data: Cow::Owned(stored(source, checkpoint, name).await?),
        });
    }
    Ok(tensors)
}

async fn stored(source: &dyn Source, checkpoint: &Checkpoint, name: &str) -> Result<Vec<u8>> {
    match checkpoint.read(source, name).await? {
        Some(bytes) => Ok(bytes),
        None => fail!(Checkpoint, "tensor {name:?} is missing"),
    }
}

/// Numbers in f32; those that are infinite or NaN are an error.
fn numbers(name: &str, dtype: StoredDtype, raw: &[u8]) -> Result<Vec<f32>> {
    let dtype = match dtype {
        StoredDtype::F16 => Dtype::F16,
        StoredDtype::Bf16 => Dtype::Bf16,
        _ => Dtype::F32,
    };
    let numbers = weights::numbers(dtype, raw);
    if numbers.iter().any(|number| !number.is_finite()) {
        fail!(Checkpoint, "tensor {name:?} has a value that is infinite or NaN");
    }
    Ok(numbers)
}

/// I8 numbers and their F32 scales: the largest magnitude of an output (of a table: a row) over 127.
fn to_8bit(part: &Part, numbers: &[f32]) -> (Vec<u8>, Vec<u8>) {
    let width = if part.layout == Layout::OutIn { part.inputs } else { part.outputs }.max(1);
    let which = |at: usize| if part.layout == Layout::InOut { at % width } else { at / width };
    let mut scales = vec![0f32; part.scales()];
    for (at, number) in numbers.iter().enumerate() {
        let scale = &mut scales[which(at)];
        *scale = scale.max(number.abs());
    }
    scales.iter_mut().for_each(|scale| *scale /= 127.0);
    let eight = |(at, number): (usize, &f32)| {
        let scale = scales[which(at)];
        let safe = if scale > 0.0 { scale } else { 1.0 };
        (number / safe).round_ties_even().clamp(-127.0, 127.0) as i8 as u8
    };
    let data = numbers.iter().enumerate().map(eight).collect();
    (data, scales.iter().flat_map(|scale| scale.to_le_bytes()).collect())
}
