//! Matrices rounded to 4 bits, for `convert`.

use half::f16;

use super::IN_WORD;
use crate::checkpoint::planned::{Layout, Part};
use crate::config::{QuantMethod, Quantization};
use crate::error::{fail, Result};

/// Inputs of a group.
pub const GROUP: usize = 32;

/// Whether a matrix can be written in 4 bits.
pub fn fits(part: &Part) -> bool {
    matches!(part.layout, Layout::OutIn | Layout::InOut)
        && part.name.ends_with(".weight")
        && [part.inputs, part.outputs].iter().all(|side| side.is_multiple_of(IN_WORD))
}

/// What [`config`] says, as it is read.
pub const QUANTIZATION: Quantization = Quantization {
    method: QuantMethod::Gptq { v1: true },
    group_size: Some(GROUP),
};

/// `quantization_config` of a model with matrices as they are written here.
pub fn config() -> serde_json::Value {
    serde_json::json!({
        "quant_method": "gptq", "bits": 4, "group_size": GROUP, "sym": true, "desc_act": false, "checkpoint_format": "gptq",
    })
}

/// Bytes of a matrix that is written in 4 bits.
pub fn bytes_of(part: &Part) -> u64 {
    let (inputs, outputs) = (part.inputs as u64, part.outputs as u64);
    let groups = inputs.div_ceil(GROUP as u64);
    inputs * outputs / 2 + groups * outputs * 5 / 2 + 4 * inputs
}

/// What the four tensors of a matrix hold.
pub struct Written {
    pub qweight: Vec<u8>,
    pub qzeros: Vec<u8>,
    pub scales: Vec<u8>,
    pub g_idx: Vec<u8>,
}

/// A matrix `[outputs, inputs]`, or `[inputs, outputs]` of [`Layout::InOut`], in 4 bits: GPTQ's layout, groups of [`GROUP`], zeros of 8. Each
/// scale is the one of a few that leaves the least squared error.
pub fn written(part: &Part, numbers: &[f32]) -> Result<Written> {
    let (inputs, outputs) = (part.inputs, part.outputs);
    let groups = inputs.div_ceil(GROUP);
    let at = |i: usize, o: usize| if part.layout == Layout::OutIn { o * inputs + i } else { i * outputs + o };
    let mut qweight = vec![0u32; inputs / IN_WORD * outputs];
    let mut scales = vec![f16::ZERO; groups * outputs];
    let mut column = [0f32; GROUP];
    for o in 0..outputs {
        for group in 0..groups {
            let first = group * GROUP;
            let column = &mut column[..GROUP.min(inputs - first)];
            column.iter_mut().enumerate().for_each(|(i, x)| *x = numbers[at(first + i, o)]);
            let scale = best_scale(column);
            if !scale.is_finite() {
                fail!(
                    Checkpoint,
                    "tensor {:?} has values that are too large for 4 bits, whose scales are f16",
                    part.name
                );
            }
            scales[group * outputs + o] = scale;
            for (i, x) in column.iter().enumerate() {
                let i = first + i;
                qweight[i / IN_WORD * outputs + o] |= ((rounded(*x, scale.to_f32()) + 8.0) as u32) << (4 * (i % IN_WORD));
            }
        }
    }
    // Zeros of 8, stored less 1.
    let qzeros = vec![0x77u8; groups * outputs / 2];
    Ok(Written {
        qweight: qweight.iter().flat_map(|word| word.to_le_bytes()).collect(),
        qzeros,
        scales: scales.iter().flat_map(|scale| scale.to_le_bytes()).collect(),
        g_idx: (0..inputs).flat_map(|i| ((i / GROUP) as u32).to_le_bytes()).collect(),
    })
}

/// x / scale to the nearest whole number from −8 to 7.
fn rounded(x: f32, scale: f32) -> f32 {
    if scale == 0.0 {
        return 0.0;
    }
    (x / scale).round_ties_even().clamp(-8.0, 7.0)
}

/// The largest magnitude becomes −8, or a little less or more than that; of either sign.
fn best_scale(column: &[f32]) -> f16 {
    let largest = column.iter().copied().fold(0f32, |most, x| if x.abs() > most.abs() { x } else { most });
    let mut best = (f32::INFINITY, f16::ZERO);
    for parts in [-8.0f32, -8.4, -7.6, -7.2, -6.8, -9.0, 7.0, 7.4, 6.6, 6.2, 7.8, 8.4] {
        let scale = f16::from_f32(largest / parts);
        let wide = scale.to_f32();
        let error: f32 = column.iter().map(|x| x - rounded(*x, wide) * wide).map(|off| off * off).sum();
        if error < best.0 {
            best = (error, scale);
        }
    }
    if best.0.is_finite() {
        best.1
    } else {
        f16::from_f32(largest)
    }
}
