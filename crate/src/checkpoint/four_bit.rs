//! Matrices of 4 bits, as AutoGPTQ and AutoAWQ store them. In place of `NAME.weight` [outputs, inputs] there are, with eight numbers in a word
//! from its lowest bits on, and a word or a scale for each output of each group of inputs:
//!
//! * GPTQ: `NAME.qweight` I32 [inputs / 8, outputs], `NAME.scales` F16 [groups, outputs], `NAME.qzeros` I32 [groups, outputs / 8], and the group
//!   of each input in `NAME.g_idx` I32 [inputs], which may be left out. In most files zeros are stored less 1.
//! * AWQ: `NAME.qweight` I32 [inputs, outputs / 8], `NAME.qzeros` I32 [groups, outputs / 8], each word with the outputs 0, 2, 4, 6, 1, 3, 5, 7;
//!   `NAME.scales` as above.
//!
//! Scales may be BF16 too (GPTQModel's are, of a model in BF16), where F16 holds the same numbers: in memory they are F16.
//!
//! A number is (q − zero) · scale. `convert --dtype int4` writes the first.

#[cfg(feature = "cli")]
pub(super) mod write;

use half::{bf16, f16};

use super::header::StoredDtype;
use super::index::Checkpoint;
use super::planned::{Layout, Part, Planned};
use crate::config::{QuantMethod, Quantization};
use crate::error::{fail, Result};
use crate::numerics::int4::LARGEST_GROUP;
use crate::weights::Dtype;

/// Numbers in a word.
const IN_WORD: usize = 8;
/// The names of what a matrix is stored as: `qweight`, `qzeros`, `scales`, `g_idx`.
pub(super) struct Names(pub [String; 4]);

impl Names {
    /// `None`: a part that is no matrix.
    pub fn of(part: &Part) -> Option<Names> {
        let name = part.name.strip_suffix(".weight")?;
        let is_matrix = matches!(part.layout, Layout::OutIn | Layout::InOut);
        is_matrix.then(|| Names(["qweight", "qzeros", "scales", "g_idx"].map(|ending| format!("{name}.{ending}"))))
    }

    pub fn qweight(&self) -> &str {
        &self.0[0]
    }
}

/// The names of a part that the checkpoint has in 4 bits.
pub(super) fn names(checkpoint: &Checkpoint, part: &Part) -> Option<Names> {
    let names = Names::of(part)?;
    let is_there = checkpoint.get(names.qweight()).is_some() && checkpoint.get(&part.name).is_none();
    is_there.then_some(names)
}

/// Biases that the model does not have: AutoGPTQ writes one beside every matrix, of zeros.
pub(super) fn zeros(checkpoint: &Checkpoint, planned: &[Planned]) -> Vec<String> {
    let parts = || planned.iter().flat_map(|item| &item.parts);
    let of_matrix = |part: &Part| {
        names(checkpoint, part)?;
        let bias = format!("{}.bias", part.name.strip_suffix(".weight")?);
        let is_extra = checkpoint.get(&bias).is_some() && parts().all(|part| part.name != bias);
        is_extra.then_some(bias)
    };
    parts().filter_map(of_matrix).collect()
}

/// Inputs of a group of a matrix: as stored, and in memory, where a group of a whole column may be cut.
fn group_of(quantization: Quantization, inputs: usize) -> [usize; 2] {
    let stored = quantization.group_size.unwrap_or(inputs.max(1));
    [stored, stored.next_multiple_of(IN_WORD).min(LARGEST_GROUP)]
}

/// Checks the shapes and types of a part; its type in memory.
pub(super) fn checked(checkpoint: &Checkpoint, quantization: Option<Quantization>, part: &Part, names: &Names) -> Result<Dtype> {
    let Some(quantization) = quantization else {
        fail!(
            Checkpoint,
            "tensor {:?} has 4 bits, but config.json has no quantization_config that says how they are stored",
            names.qweight()
        )
    };
    let (inputs, outputs) = (part.inputs, part.outputs);
    let packed = match quantization.method {
        QuantMethod::Gptq { .. } => [inputs, outputs],
        QuantMethod::Awq => [outputs, outputs],
    };
    if packed.iter().any(|side| !side.is_multiple_of(IN_WORD)) {
        fail!(
            Checkpoint,
            "tensor {:?} cannot be stored in 4 bits: {inputs} inputs and {outputs} outputs do not fill words of {IN_WORD}",
            names.qweight()
        );
    }
    let [stored, group] = group_of(quantization, inputs);
    let groups = inputs.div_ceil(stored);
    let qweight = match quantization.method {
        QuantMethod::Gptq { .. } => [inputs / IN_WORD, outputs],
        QuantMethod::Awq => [inputs, outputs / IN_WORD],
    };
    let scales = if has_bf16_scales(checkpoint, names) { "BF16" } else { "F16" };
    let expected: [(&str, &[usize]); 4] = [
        ("I32", &qweight),
        ("I32", &[groups, outputs / IN_WORD]),
        (scales, &[groups, outputs]),
        ("I32", &[inputs]),
    ];
    for (number, (name, (dtype, shape))) in names.0.iter().zip(expected).enumerate() {
        // The order of the inputs may be left out.
        if number < 3 || checkpoint.get(name).is_some() {
            has(checkpoint, name, dtype, shape)?;
        }
    }
    Ok(Dtype::I4 { group })
}

pub(super) fn has_bf16_scales(checkpoint: &Checkpoint, names: &Names) -> bool {
    checkpoint.get(&names.0[2]).is_some_and(|(_, info)| info.dtype == StoredDtype::Bf16)
}

fn has(checkpoint: &Checkpoint, name: &str, dtype: &str, shape: &[usize]) -> Result<()> {
    let Some((path, info)) = checkpoint.get(name) else {
        fail!(Checkpoint, "tensor {name:?} is missing")
    };
    let same = info.shape.iter().map(|side| usize::try_from(*side).ok()).eq(shape.iter().map(|side| Some(*side)));
    if info.dtype.name() != dtype || !same {
        fail!(
            Checkpoint,
            "{path}: tensor {name:?} must be {dtype} {shape:?}, not {} {:?}",
            info.dtype.name(),
            info.shape
        );
    }
    Ok(())
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.as_chunks::<4>().0.get(at).map_or(0, |b| u32::from_le_bytes(*b))
}

/// Writes a part to its columns of a tensor of 4 bits `[inputs, stride]` (`weights.rs`). `tensors` are those of `names` that there are.
#[inline(never)]
pub(super) fn place(
    tensors: &[Vec<u8>],
    bf16_scales: bool,
    quantization: Option<Quantization>,
    part: &Part,
    names: &Names,
    stride: usize,
    data: &mut [u8],
) -> Result<()> {
    let ([qweight, qzeros, scales, g_idx @ ..], Some(quantization)) = (tensors, quantization) else {
        fail!(Checkpoint, "tensor {:?} has no 4 bits", names.qweight())
    };
    let (inputs, outputs) = (part.inputs, part.outputs);
    let [stored, group] = group_of(quantization, inputs);
    if let Some(g_idx) = g_idx.first() {
        check_order(g_idx, names, stored)?;
    }
    let columns: Vec<usize> = (0..outputs).map(|o| part.columns.of(o)).collect();
    let (words, numbers) = data.split_at_mut(4 * inputs.div_ceil(group) * stride);
    let is_awq = quantization.method == QuantMethod::Awq;
    // Version 1 has zeros less one, subtracted from whole words: a zero of 0 has borrowed from the next.
    let ones = if quantization.method == (QuantMethod::Gptq { v1: true }) { 0x1111_1111 } else { 0 };
    // Where output `o` of eight is in a word of them.
    let place = |o: usize| if is_awq { o / 2 + o % 2 * 4 } else { o };
    for (of_group, row) in words.chunks_exact_mut(4 * stride).enumerate() {
        let from = of_group * group / stored;
        for (o, column) in columns.iter().enumerate() {
            let zeros = word(qzeros, (from * outputs + o) / IN_WORD).wrapping_add(ones);
            let zero = zeros >> (4 * place(o % IN_WORD)) & 15;
            let at = 2 * (from * outputs + o);
            let stored = u16::from_le_bytes([scales[at], scales[at + 1]]);
            let number = if bf16_scales { bf16::from_bits(stored).to_f32() } else { f16::from_bits(stored).to_f32() };
            if !number.is_finite() {
                fail!(Checkpoint, "tensor {:?} has a value that is infinite or NaN", names.0[2]);
            }
            let scale = f16::from_f32(number);
            if scale.to_f32() != number {
                fail!(Checkpoint, "tensor {:?} has a number that F16 does not hold", names.0[2]);
            }
            let both = u32::from(scale.to_bits()) | zero << 16;
            row[4 * column..4 * column + 4].copy_from_slice(&both.to_le_bytes());
        }
    }
    let mut put = |i: usize, column: usize, q: u32| numbers[(i * stride + column) / 2] |= (q as u8 & 15) << (4 * (column % 2));
    for (at, word) in qweight.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).enumerate() {
        if is_awq {
            let (i, first) = (at * IN_WORD / outputs, at * IN_WORD % outputs);
            (0..IN_WORD).for_each(|o| put(i, columns[first + o], word >> (4 * place(o))));
        } else {
            let (first, column) = (at / outputs * IN_WORD, columns[at % outputs]);
            (0..IN_WORD).for_each(|j| put(first + j, column, word >> (4 * j)));
        }
    }
    Ok(())
}

/// Groups are of inputs side by side.
fn check_order(g_idx: &[u8], names: &Names, group: usize) -> Result<()> {
    let in_order = |(i, bytes): (usize, &[u8; 4])| u32::from_le_bytes(*bytes) as usize == i / group;
    if !g_idx.as_chunks::<4>().0.iter().enumerate().all(in_order) {
        fail!(
            Checkpoint,
            "tensor {:?}: groups of inputs that are not side by side (desc_act) are not supported; quantize without them",
            names.0[3]
        );
    }
    Ok(())
}
