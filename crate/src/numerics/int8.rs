//! Products with 8-bit weights, in integers. A row of inputs is rounded to 15 bits, `x ≈ q · scale` with |q| ≤ 16,383, so that 1,024
//! products fit an i32 whatever they are. Sums of integers are exact in any order: a row does not depend on the rows beside it, a sparse
//! row equals the dense one, and native and wasm agree, bit for bit. More inputs are summed in parts of 1,024, in f32.
//! docs/files.md says what the rounding costs.

mod kernels;
#[cfg(test)]
mod tests;

use super::stored::Int8;
use kernels::{dot, four_rows, tiles, OUTS, ROWS};

/// Inputs whose products fit an i32: 1,024 · 16,383 · 128 < 2^31.
const PART: usize = 1024;
const LARGEST: f32 = 16_383.0;

/// A row of inputs, rounded: its numbers to `q`, which is cleared; the result is their scale, NaN where the row is not finite.
fn quantize(x: &[f32], q: &mut Vec<i16>) -> f32 {
    /// Added and taken away again, it rounds to a whole number, half to even.
    const ROUND: f32 = 12_582_912.0;
    q.clear();
    let largest = x.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    let up = LARGEST / largest;
    let finite = x.iter().all(|x| x.is_finite());
    if !finite || !up.is_finite() {
        // Where all numbers are finite they are 0, or next to it.
        q.resize(x.len(), 0);
        return if finite { 0.0 } else { f32::NAN };
    }
    q.extend(x.iter().map(|x| (x * up + ROUND - ROUND) as i16));
    largest / LARGEST
}

/// Two inputs as the kernels take them: the first in the lower half.
fn pair(first: i16, second: i16) -> i32 {
    i32::from(second) << 16 | i32::from(first as u16)
}

/// `out · (scale · scales)`, `scales` one an output.
fn times(out: &mut [f32], scale: f32, scales: &[f32]) {
    for (out, of_output) in out.iter_mut().zip(scales) {
        *out *= scale * of_output;
    }
}

/// See `gemm::matmul`.
pub fn matmul(x: &[f32], inputs: usize, w: &Int8, stride: usize, out: &mut [f32]) {
    let together = x.len() / inputs / ROWS * ROWS;
    let (x_groups, x_rest) = x.split_at(together * inputs);
    let (out_groups, out_rest) = out.split_at_mut(together * stride);
    if together > 0 {
        matmul_fours(x_groups, inputs, w, stride, out_groups);
    }
    let (mut q, mut sums) = (Vec::new(), Vec::new());
    for (x, out) in x_rest.chunks_exact(inputs).zip(out_rest.chunks_exact_mut(stride)) {
        let scale = quantize(x, &mut q);
        let entries: Vec<(u32, i16)> = (0..).zip(q.iter().copied()).filter(|(_, q)| *q != 0).collect();
        add_up(&entries, &w.numbers, stride, &mut sums, out);
        times(out, scale, &w.scales);
    }
}

/// See `gemm::gather`.
pub fn gather(indices: &[u32], values: &[f32], w: &Int8, stride: usize, out: &mut [f32]) {
    let mut q = Vec::new();
    let scale = quantize(values, &mut q);
    let entries: Vec<(u32, i16)> = indices.iter().copied().zip(q).filter(|(_, q)| *q != 0).collect();
    add_up(&entries, &w.numbers, stride, &mut Vec::new(), out);
    times(out, scale, &w.scales);
}

/// `out[o] = Σ q · w[index, o]` over the entries, whose indices ascend.
fn add_up(entries: &[(u32, i16)], w: &[i8], stride: usize, sums: &mut Vec<i32>, out: &mut [f32]) {
    out.fill(0.0);
    for part in entries.chunk_by(|a, b| a.0 as usize / PART == b.0 as usize / PART) {
        sums.clear();
        sums.resize(stride, 0);
        for four in part.chunks(4) {
            // What the last four lack counts nothing.
            let (last, _) = four[four.len() - 1];
            let entry = |j: usize| four.get(j).copied().unwrap_or((last, 0));
            let rows = std::array::from_fn(|j| &w[entry(j).0 as usize * stride..][..stride]);
            let x = [pair(entry(0).1, entry(1).1), pair(entry(2).1, entry(3).1)];
            four_rows(sums, rows, x);
        }
        for (out, sum) in out.iter_mut().zip(sums.iter()) {
            *out += *sum as f32;
        }
    }
}

/// [`matmul`] of a number of rows that four divides.
fn matmul_fours(x: &[f32], inputs: usize, w: &Int8, stride: usize, out: &mut [f32]) {
    let pairs = inputs.div_ceil(2);
    let mut scales = Vec::with_capacity(x.len() / inputs);
    // `[group, pair, row]`
    let mut packed = vec![[0i32; ROWS]; x.len() / inputs / ROWS * pairs];
    let mut q = Vec::new();
    for (r, x) in x.chunks_exact(inputs).enumerate() {
        scales.push(quantize(x, &mut q));
        let packed = &mut packed[r / ROWS * pairs..][..pairs];
        for (packed, q) in packed.iter_mut().zip(q.chunks(2)) {
            packed[r % ROWS] = pair(q[0], q.get(1).copied().unwrap_or(0));
        }
    }
    out.fill(0.0);
    // `[pair, output, input of the pair]`: a strip of the weights side by side.
    let mut strip = vec![[0i16; 2 * OUTS]; pairs];
    for first in (0..stride).step_by(OUTS) {
        let width = OUTS.min(stride - first);
        for (strip, w) in strip.iter_mut().zip(w.numbers.chunks(2 * stride)) {
            for (o, strip) in strip.chunks_exact_mut(2).take(width).enumerate() {
                strip[0] = i16::from(w[first + o]);
                strip[1] = w.get(stride + first + o).map_or(0, |w| i16::from(*w));
            }
        }
        for part in (0..pairs).step_by(PART / 2) {
            let part = part..(part + PART / 2).min(pairs);
            for (group, out) in packed.chunks_exact(pairs).zip(out.chunks_exact_mut(ROWS * stride)) {
                let sums = tiles(&group[part.clone()], &strip[part.clone()]);
                for (sums, out) in sums.iter().zip(out.chunks_exact_mut(stride)) {
                    for (out, sum) in out[first..first + width].iter_mut().zip(sums) {
                        *out += *sum as f32;
                    }
                }
            }
        }
    }
    for (out, scale) in out.chunks_exact_mut(stride).zip(scales) {
        times(out, scale, &w.scales);
    }
}

/// See `gemm::dots`; `scales` are those of the rows of `w`.
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
    for (v, (w, scale)) in w.chunks_exact(stride).zip(scales).enumerate() {
        for (r, (x, scale_of_x)) in rows.chunks_exact(inputs).zip(&scales_of_x).enumerate() {
            let parts = x.chunks(PART).zip(w.chunks(PART));
            let sum = parts.fold(0f32, |sum, (x, w)| sum + dot(x, w) as f32);
            out[r * outputs + v] = sum * (scale_of_x * scale);
        }
    }
}
