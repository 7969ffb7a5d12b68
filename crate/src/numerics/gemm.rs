//! The CPU's matrix products. Batch-invariant: every output is one chain of additions in ascending order of the input
//! index (or of fixed lanes, for dot products), whatever else is computed beside it. So a cached run equals an
//! uncached one, and a sparse input equals the dense one, bit for bit. No fused multiply-add: native and wasm agree.
//! Weights stay as they are stored: f16 and bf16 are widened in registers, 8-bit and 4-bit rows are multiplied in integers (`int8.rs`, `int4.rs`).
//!
//! A browser runs what it has just loaded as a quick compiler translates it, and a good one in the background; a call that is under way ends as it
//! began. So for wasm whatever takes the time is a small function that is called often, and stays one (`inline(never)`, here and where else work
//! is done once, at load): as parts of large ones the same loops took up to 250 ms to be compiled, and a model's first prompt ran without.

use std::ops::Range;

use super::dispatch::dispatch;
#[cfg(target_arch = "x86_64")]
use super::dispatch::has_avx512;
use super::int4;
use super::int8;
use super::numbers::Numbers;
use super::stored::{fold, Stored};

/// Rows that share one pass over the weights.
pub const ROWS: usize = 4;
/// Outputs held in registers at once: those of wasm are 128 bits wide, and browsers have 15 of them.
const OUTS: usize = if cfg!(target_arch = "wasm32") { 8 } else { 16 };

/// Smaller products (inputs × outputs of one row) are not worth sharing between threads.
pub const SMALLEST: usize = 1 << 17;
/// Threads share outputs at multiples of this.
pub const STEP: usize = 16;

#[cfg(target_arch = "x86_64")]
pub mod attend512;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod blocks;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm128;

/// `out[r, o] = Σ_i x[r, i] · w[i, o]` for `x` `[rows, inputs]`, `w` `[inputs, stride]`, `out` `[rows, stride]`. 8-bit weights have a
/// scale for each output.
pub fn matmul(x: &[f32], inputs: usize, w: &Numbers, stride: usize, out: &mut [f32]) {
    match w {
        Numbers::F32(w) => matmul_of(x, inputs, w, stride, out),
        Numbers::F16(w) => matmul_of(x, inputs, w, stride, out),
        Numbers::Bf16(w) => matmul_of(x, inputs, w, stride, out),
        Numbers::Int8(w) => int8::matmul(x, inputs, w, stride, out),
        Numbers::Packed(w) => int8::packed::matmul(x, inputs, w, out),
        Numbers::Int4(w) => int4::matmul(x, inputs, w, out),
        Numbers::F16Blocks(w) => blocks::matmul(x, inputs, w, out),
        Numbers::Bf16Blocks(w) => blocks::matmul(x, inputs, w, out),
    }
}

#[cfg_attr(target_arch = "wasm32", inline(never))]
fn matmul_of<S: Stored>(x: &[f32], inputs: usize, w: &[S], stride: usize, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if x.len() >= avx512::FEWEST_ROWS * inputs && has_avx512() {
        // SAFETY: the registers were just detected.
        return unsafe { avx512::matmul(x, inputs, w, stride, out) };
    }
    // The copy of the weights that they share pays for itself later where nothing is widened.
    let fewest = if size_of::<S>() == 4 { 2 * ROWS } else { ROWS };
    let rows = x.len() / inputs;
    let together = if rows < fewest { 0 } else { rows / ROWS * ROWS };
    let (x_groups, x_rest) = x.split_at(together * inputs);
    let (out_groups, out_rest) = out.split_at_mut(together * stride);
    if together > 0 {
        matmul_fours(x_groups, inputs, w, stride, out_groups);
    }
    let mut folded = Vec::new();
    for (x, out) in x_rest.chunks_exact(inputs).zip(out_rest.chunks_exact_mut(stride)) {
        let (x, back) = fold::<S>(x, &mut folded);
        one_row(x, w, stride, out);
        times(out, back);
    }
}

/// `out · back`, which is 1 but for very large numbers.
fn times(out: &mut [f32], back: f32) {
    if back != 1.0 {
        out.iter_mut().for_each(|out| *out *= back);
    }
}

dispatch!(
    /// [`matmul`] of a number of rows that four divides.
    matmul_fours<S: Stored>, fours_portable, (x: &[f32], inputs: usize, w: &[S], stride: usize, out: &mut [f32])
);

/// Strip by strip of the outputs: its weights are widened side by side once, and stay in a cache for all rows.
#[inline(always)]
fn fours_portable<S: Stored>(x: &[f32], inputs: usize, w: &[S], stride: usize, out: &mut [f32]) {
    let mut strip = vec![[0f32; OUTS]; inputs];
    for first in (0..stride).step_by(OUTS) {
        let width = OUTS.min(stride - first);
        widen_strip(&w[first..], stride, width, &mut strip);
        for (x, out) in x.chunks_exact(ROWS * inputs).zip(out.chunks_exact_mut(ROWS * stride)) {
            let sums = four_rows(x, inputs, &strip);
            for (sums, out) in sums.iter().zip(out.chunks_exact_mut(stride)) {
                out[first..first + width].copy_from_slice(&sums[..width]);
            }
        }
    }
}

/// The first `width` numbers of each row.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn widen_strip<S: Stored>(w: &[S], stride: usize, width: usize, strip: &mut [[f32; OUTS]]) {
    for (strip, w) in strip.iter_mut().zip(w.chunks(stride)) {
        for (strip, w) in strip.iter_mut().zip(&w[..width]) {
            *strip = w.value();
        }
    }
}

/// Four rows times a strip `[input, output]`.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn four_rows(x: &[f32], inputs: usize, strip: &[[f32; OUTS]]) -> [[f32; OUTS]; ROWS] {
    let (x0, rest) = x.split_at(inputs);
    let (x1, rest) = rest.split_at(inputs);
    let (x2, x3) = rest.split_at(inputs);
    let mut sums = [[0f32; OUTS]; ROWS];
    for ((((strip, x0), x1), x2), x3) in strip.iter().zip(x0).zip(x1).zip(x2).zip(x3) {
        let x = [*x0, *x1, *x2, *x3];
        for r in 0..ROWS {
            for o in 0..OUTS {
                sums[r][o] += x[r] * strip[o];
            }
        }
    }
    sums
}

dispatch!(
    /// [`matmul`] of one row, folded.
    one_row<S: Stored>, one_row_portable, (x: &[f32], w: &[S], stride: usize, out: &mut [f32])
);

/// Of one row of inputs, those that go through four rows of weights at a time. Row by row, as the weights lie in memory, is faster: processors
/// fetch one stream ahead far better than several side by side. Only where wide registers read f32, the sums are what takes the time.
fn together<S: Stored>(inputs: usize) -> usize {
    if !cfg!(target_arch = "wasm32") && size_of::<S>() == 4 {
        inputs / 4 * 4
    } else {
        0
    }
}

#[inline(always)]
fn one_row_portable<S: Stored>(x: &[f32], w: &[S], stride: usize, out: &mut [f32]) {
    out.fill(0.0);
    let together = together::<S>(x.len());
    let (fours, rest) = x.split_at(together);
    let (weights_of_fours, weights) = w.split_at(together * stride);
    for (x, w) in fours.as_chunks::<4>().0.iter().zip(weights_of_fours.chunks_exact(4 * stride)) {
        let (w0, more) = w.split_at(stride);
        let (w1, more) = more.split_at(stride);
        let (w2, w3) = more.split_at(stride);
        add_four(out, *x, [w0, w1, w2, w3]);
    }
    for (x, w) in rest.iter().zip(weights.chunks_exact(stride)) {
        add_row(out, *x, w);
    }
}

/// `out += Σ_j x[j] · w[j]` over four rows of weights, in that order.
#[inline(always)]
fn add_four<S: Stored>(out: &mut [f32], x: [f32; 4], [w0, w1, w2, w3]: [&[S]; 4]) {
    for ((((out, w0), w1), w2), w3) in out.iter_mut().zip(w0).zip(w1).zip(w2).zip(w3) {
        *out = (((*out + x[0] * w0.bits()) + x[1] * w1.bits()) + x[2] * w2.bits()) + x[3] * w3.bits();
    }
}

/// `out += x · w`, folded.
#[inline(always)]
fn add_row<S: Stored>(out: &mut [f32], x: f32, w: &[S]) {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return wasm128::add_row(out, x, w);
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    for (out, w) in out.iter_mut().zip(w) {
        *out += x * w.bits();
    }
}

/// The same for one sparse row: `out[o] = Σ_j values[j] · w[indices[j], o]`.
pub fn gather(indices: &[u32], values: &[f32], w: &Numbers, stride: usize, out: &mut [f32]) {
    match w {
        Numbers::F32(w) => gather_of(indices, values, w, stride, out),
        Numbers::F16(w) => gather_of(indices, values, w, stride, out),
        Numbers::Bf16(w) => gather_of(indices, values, w, stride, out),
        Numbers::Int8(w) => int8::gather(indices, values, w, stride, out),
        Numbers::Packed(w) => int8::packed::gather(indices, values, w, out),
        Numbers::Int4(w) => int4::gather(indices, values, w, out),
        Numbers::F16Blocks(w) => blocks::gather(indices, values, w, out),
        Numbers::Bf16Blocks(w) => blocks::gather(indices, values, w, out),
    }
}

/// Asks for the rows that [`gather`] will read, where that can be asked.
pub fn ask(indices: &[u32], w: &Numbers, stride: usize) {
    if let Numbers::Int8(w) = w {
        for index in indices {
            int8::kernels::fetch_ahead(&w.numbers[*index as usize * stride..][..stride]);
        }
    }
}

#[cfg_attr(target_arch = "wasm32", inline(never))]
fn gather_of<S: Stored>(indices: &[u32], values: &[f32], w: &[S], stride: usize, out: &mut [f32]) {
    let mut folded = Vec::new();
    let (values, back) = fold::<S>(values, &mut folded);
    gather_folded(indices, values, w, stride, out);
    times(out, back);
}

dispatch!(
    gather_folded<S: Stored>, gather_portable, (indices: &[u32], values: &[f32], w: &[S], stride: usize, out: &mut [f32])
);

#[inline(always)]
fn gather_portable<S: Stored>(indices: &[u32], values: &[f32], w: &[S], stride: usize, out: &mut [f32]) {
    out.fill(0.0);
    let row = |index: u32| &w[index as usize * stride..][..stride];
    let together = together::<S>(indices.len());
    let ((fours, indices), (values_of_fours, values)) = (indices.split_at(together), values.split_at(together));
    for (indices, values) in fours.as_chunks::<4>().0.iter().zip(values_of_fours.as_chunks::<4>().0) {
        add_four(out, *values, indices.map(row));
    }
    for (index, value) in indices.iter().zip(values) {
        add_row(out, *value, row(*index));
    }
}

const LANES: usize = 16;

/// `out[r, v] = Σ_i x[r, i] · w[v, i]` for `x` `[rows, inputs]`, the rows `of` of `w` `[…, stride]`, `out` `[rows, of.len()]`: the
/// transposed product, for the head. 8-bit weights have a scale for each of their rows.
pub fn dots(x: &[f32], inputs: usize, w: &Numbers, of: Range<usize>, stride: usize, out: &mut [f32]) {
    let range = of.start * stride..of.end * stride;
    match w {
        Numbers::F32(w) => dots_of_rows(x, inputs, &w[range], stride, out),
        Numbers::F16(w) => dots_of_rows(x, inputs, &w[range], stride, out),
        Numbers::Bf16(w) => dots_of_rows(x, inputs, &w[range], stride, out),
        Numbers::Int8(w) => int8::dots(x, inputs, &w.numbers[range], &w.scales[of], stride, out),
        // Tables are never packed, and never of 4 bits.
        _ => dots_of_rows(x, inputs, &w.widened(stride)[range], stride, out),
    }
}

dispatch!(
    /// [`dots`] of one row, folded, without registers of 512 bits.
    dots_of_row<S: Stored>, dots_portable, (x: &[f32], w: &[S], stride: usize, out: &mut [f32])
);

/// [`dots`] with all rows of `w`.
#[cfg_attr(target_arch = "wasm32", inline(never))]
pub fn dots_of_rows<S: Stored>(x: &[f32], inputs: usize, w: &[S], stride: usize, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        // SAFETY: the registers were just detected.
        return unsafe { avx512::dots(x, inputs, w, stride, out) };
    }
    // In parts of the weights that stay in a cache for all rows.
    let (outputs, part) = (w.len() / stride, (1 << 15) / stride + 1);
    let mut folded = Vec::new();
    for (number, w) in w.chunks(part * stride).enumerate() {
        for (x, out) in x.chunks_exact(inputs).zip(out.chunks_exact_mut(outputs)) {
            let (x, back) = fold::<S>(x, &mut folded);
            let out = &mut out[number * part..][..w.len() / stride];
            dots_of_row(x, w, stride, out);
            times(out, back);
        }
    }
}

#[inline(always)]
fn dots_portable<S: Stored>(x: &[f32], w: &[S], stride: usize, out: &mut [f32]) {
    for (out, w) in out.iter_mut().zip(w.chunks_exact(stride)) {
        *out = dot_portable(x, w);
    }
}

/// `Σ_i a[i] · b[i]` over the shorter length, in sixteen fixed lanes.
#[inline(always)]
pub fn dot_portable<S: Stored>(a: &[f32], b: &[S]) -> f32 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut lanes = [0f32; LANES];
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    if n.is_multiple_of(LANES) {
        return wasm128::dot(a, b);
    }
    let (mut a_parts, mut b_parts) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (a, b) in a_parts.by_ref().zip(b_parts.by_ref()) {
        for l in 0..LANES {
            lanes[l] += a[l] * b[l].bits();
        }
    }
    for (lane, (a, b)) in lanes
        .iter_mut()
        .zip(a_parts.remainder().iter().zip(b_parts.remainder()))
    {
        *lane += a * b.bits();
    }
    let mut width = LANES / 2;
    while width > 0 {
        for l in 0..width {
            lanes[l] += lanes[l + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests;
