//! Products with 8-bit weights, in integers. A row of inputs is rounded to 15 bits, `x ≈ q · scale` with |q| ≤ 16,383, so that 1,024
//! products fit an i32 whatever they are. Sums of integers are exact in any order: a row does not depend on the rows beside it, a sparse
//! row equals the dense one, and native and wasm agree, bit for bit. More inputs are summed in parts of 1,024, in f32.
//! docs/files.md says what the rounding costs.

pub mod kernels;
pub mod packed;
#[cfg(test)]
mod tests;

use super::dispatch::dispatch;
use kernels::{dot, dot_each, dot_one, eight_rows, fetch_ahead, picked, Four};

/// Rows of 8-bit numbers with their scales: one for each row, or for each column.
#[derive(Clone, Debug, Default)]
pub struct Int8 {
    pub numbers: Vec<i8>,
    pub scales: Vec<f32>,
}

/// Inputs whose products fit an i32: 1,024 · 16,383 · 128 < 2^31.
const PART: usize = 1024;
const LARGEST: f32 = 16_383.0;
/// Rows that go through the weights together, and outputs at a time: their sums stay in the fastest cache.
pub const ROWS: usize = 12;
pub const OUTS: usize = 512;

dispatch!(
    /// A row of inputs, rounded: its numbers to `q`, which is cleared; the result is their scale, NaN where the row is not finite.
    pub quantize, quantize_portable, (x: &[f32], q: &mut Vec<i16>) -> f32
);

#[inline(always)]
fn quantize_portable(x: &[f32], q: &mut Vec<i16>) -> f32 {
    /// Added, it rounds to a whole number, half to even, which then is in the lower bits.
    const ROUND: f32 = 12_582_912.0;
    q.clear();
    // Without their signs, bits are ordered as numbers are, with infinity and NaN at the end.
    let bits = x.iter().fold(0, |largest, x| (x.to_bits() & 0x7fff_ffff).max(largest));
    let largest = f32::from_bits(bits);
    let up = LARGEST / largest;
    if !largest.is_finite() || !up.is_finite() {
        // Where all numbers are finite they are 0, or next to it.
        q.resize(x.len(), 0);
        return if largest.is_finite() { 0.0 } else { f32::NAN };
    }
    q.extend(x.iter().map(|x| (x * up + ROUND).to_bits() as i16));
    largest / LARGEST
}

/// Two inputs as the kernels take them: the first in the lower half.
pub fn pair(first: i16, second: i16) -> i32 {
    i32::from(second) << 16 | i32::from(first as u16)
}

/// `out · (scale · scales)`, `scales` one an output.
fn times(out: &mut [f32], scale: f32, scales: &[f32]) {
    for (out, of_output) in out.iter_mut().zip(scales) {
        *out *= scale * of_output;
    }
}

/// See `gemm::matmul`.
#[cfg_attr(target_arch = "wasm32", inline(never))]
pub fn matmul(x: &[f32], inputs: usize, w: &Int8, stride: usize, out: &mut [f32]) {
    let rows = x.len() / inputs;
    let group = rows.div_ceil(rows.div_ceil(ROWS).max(1)).max(1);
    for (x, out) in x.chunks(group * inputs).zip(out.chunks_mut(group * stride)) {
        if x.len() > inputs {
            matmul_together(x, inputs, w, stride, out);
            continue;
        }
        let (mut q, mut sums) = (Vec::new(), Vec::new());
        let scale = quantize(x, &mut q);
        add_up(&entries(0.., &q), &w.numbers, stride, &mut sums, out);
        times(out, scale, &w.scales);
    }
}

/// See `gemm::gather`.
pub fn gather(indices: &[u32], values: &[f32], w: &Int8, stride: usize, out: &mut [f32]) {
    let mut q = Vec::new();
    let scale = quantize(values, &mut q);
    add_up(&entries(indices.iter().copied(), &q), &w.numbers, stride, &mut Vec::new(), out);
    times(out, scale, &w.scales);
}

/// Inputs that are not 0, with their indices.
fn entries(indices: impl Iterator<Item = u32>, q: &[i16]) -> Vec<(u32, i16)> {
    let mut entries = Vec::with_capacity(q.len());
    entries.extend(indices.zip(q.iter().copied()).filter(|(_, q)| *q != 0));
    entries
}

/// `out[o] = Σ q · w[index, o]` over the entries, whose indices ascend.
fn add_up(entries: &[(u32, i16)], w: &[i8], stride: usize, sums: &mut Vec<i32>, out: &mut [f32]) {
    out.fill(0.0);
    sums.resize(stride, 0);
    let mut fours = Vec::with_capacity(entries.len().div_ceil(4));
    for part in entries.chunk_by(|a, b| a.0 as usize / PART == b.0 as usize / PART) {
        fours.clear();
        fours.extend(part.chunks(4).map(|four| {
            // What the last four lack counts nothing.
            let (last, _) = four[four.len() - 1];
            let entry = |j: usize| four.get(j).copied().unwrap_or((last, 0));
            Four {
                at: std::array::from_fn(|j| entry(j).0 as usize * stride),
                x: [pair(entry(0).1, entry(1).1), pair(entry(2).1, entry(3).1)],
            }
        }));
        picked(sums, w, &fours);
        for (out, sum) in out.iter_mut().zip(sums.iter()) {
            *out += *sum as f32;
        }
    }
}

/// Rows of inputs as the kernels take them, `[eight of inputs, row]`, and their scales.
#[cfg_attr(target_arch = "wasm32", inline(never))]
pub fn in_eights(x: &[f32], inputs: usize) -> (Vec<[i32; 4]>, Vec<f32>) {
    let rows = x.len() / inputs;
    let mut scales = Vec::with_capacity(rows);
    let mut packed = vec![[0i32; 4]; inputs.div_ceil(8) * rows];
    let mut q = Vec::new();
    for (r, x) in x.chunks_exact(inputs).enumerate() {
        scales.push(quantize(x, &mut q));
        for (packed, q) in packed.iter_mut().skip(r).step_by(rows).zip(q.chunks(8)) {
            for (packed, q) in packed.iter_mut().zip(q.chunks(2)) {
                *packed = pair(q[0], q.get(1).copied().unwrap_or(0));
            }
        }
    }
    (packed, scales)
}

/// [`matmul`] of a few rows: eight rows of weights at a time are widened once for all of them.
fn matmul_together(x: &[f32], inputs: usize, w: &Int8, stride: usize, out: &mut [f32]) {
    let rows = x.len() / inputs;
    let (packed, scales) = in_eights(x, inputs);
    out.fill(0.0);
    let mut sums = vec![0i32; rows * OUTS.min(stride)];
    for first in (0..stride).step_by(OUTS) {
        let width = OUTS.min(stride - first);
        let sums = &mut sums[..rows * width];
        for part in packed.chunks(PART / 8 * rows).enumerate() {
            sums.fill(0);
            for (number, x) in part.1.chunks_exact(rows).enumerate() {
                // What the last eight lack counts nothing.
                let input = |j: usize| (part.0 * PART + 8 * number + j).min(inputs - 1);
                let rows_of_w = std::array::from_fn(|j| &w.numbers[input(j) * stride + first..][..width]);
                eight_rows(sums, rows_of_w, x);
            }
            for (out, sums) in out.chunks_exact_mut(stride).zip(sums.chunks_exact(width)) {
                for (out, sum) in out[first..].iter_mut().zip(sums) {
                    *out += *sum as f32;
                }
            }
        }
    }
    for (out, scale) in out.chunks_exact_mut(stride).zip(scales) {
        times(out, scale, &w.scales);
    }
}

/// See `gemm::dots`; `scales` are those of the rows of `w`.
#[cfg_attr(target_arch = "wasm32", inline(never))]
pub fn dots(x: &[f32], inputs: usize, w: &[i8], scales: &[f32], stride: usize, out: &mut [f32]) {
    let mut rows = Vec::with_capacity(x.len());
    let mut q = Vec::new();
    let scales_of_x: Vec<f32> = x
        .chunks_exact(inputs)
        .map(|x| {
            let scale = quantize(x, &mut q);
            rows.extend_from_slice(&q);
            scale
        })
        .collect();
    let outputs = scales.len();
    let row_of_w = |v: usize| &w[v * stride..][..inputs];
    if let [scale] = scales_of_x[..] {
        if inputs <= PART {
            dot_each(&rows, w, stride, out);
            for (out, scale_of_w) in out.iter_mut().zip(scales) {
                *out *= scale * scale_of_w;
            }
            return;
        }
        for (v, (out, scale_of_w)) in out.iter_mut().zip(scales).enumerate() {
            let parts = rows.chunks(PART).zip(row_of_w(v).chunks(PART));
            *out = parts.map(|(x, w)| dot_one(x, w) as f32).sum::<f32>() * (scale * scale_of_w);
        }
        return;
    }
    for v in (0..outputs).step_by(2) {
        // The last one may be alone; it is then taken twice.
        let ids = [v, (v + 1).min(outputs - 1)];
        let w = ids.map(row_of_w);
        // Two streams in turn are not fetched ahead as one is.
        for next in [v + 2, v + 3] {
            fetch_ahead(row_of_w(next.min(outputs - 1)));
        }
        let mut r = 0;
        while r < scales_of_x.len() {
            let mut put = |r: usize, sums: [f32; 2]| {
                for (v, sum) in ids.into_iter().zip(sums) {
                    out[r * outputs + v] = sum * (scales_of_x[r] * scales[v]);
                }
            };
            let x = &rows[r * inputs..];
            r += match scales_of_x.len() - r {
                5.. => dots_of::<5>(x, inputs, w, |i, sums| put(r + i, sums)),
                3.. => dots_of::<3>(x, inputs, w, |i, sums| put(r + i, sums)),
                _ => dots_of::<1>(x, inputs, w, |i, sums| put(r + i, sums)),
            };
        }
    }
}

/// The products of the first `R` rows of `x` with two rows of weights; gives `R`.
fn dots_of<const R: usize>(x: &[i16], inputs: usize, w: [&[i8]; 2], mut put: impl FnMut(usize, [f32; 2])) -> usize {
    let mut sums = [[0f32; 2]; R];
    for first in (0..inputs).step_by(PART) {
        let part = first..(first + PART).min(inputs);
        let x: [&[i16]; R] = std::array::from_fn(|r| &x[r * inputs..][part.clone()]);
        for (sums, more) in sums.iter_mut().zip(dot(x, w.map(|w| &w[part.clone()]))) {
            for (sum, more) in sums.iter_mut().zip(more) {
                *sum += more as f32;
            }
        }
    }
    sums.into_iter().enumerate().for_each(|(r, sums)| put(r, sums));
    R
}
