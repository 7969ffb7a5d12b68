//! A matrix of 8-bit weights in the order in which its products read it: one stream, which processors fetch ahead, where rows side by side
//! make four. Only matrices that are always multiplied as a whole are packed; a sparse row would read four times what it needs.

use std::fmt::Display;

use super::kernels::{eight_packed, four_packed, BLOCK, OUTPUTS};
use super::{in_eights, pair, quantize, times, Int8, OUTS, PART, ROWS};
use crate::error::Result;
use crate::memory::zeroed;

/// `[inputs, stride]` in blocks `[four of inputs, sixteen of outputs]`, each `[pair of inputs, output, input]`. What inputs (to eight) and
/// outputs (to sixteen) lack is 0.
#[derive(Clone, Debug)]
pub struct Packed {
    pub inputs: usize,
    pub stride: usize,
    blocks: Vec<i8>,
    /// One an output.
    pub scales: Vec<f32>,
}

impl Packed {
    /// # Errors
    /// `memory`, which names `what`.
    pub fn new(w: &Int8, stride: usize, what: impl Display) -> Result<Packed> {
        let inputs = w.numbers.len() / stride;
        let width = stride.next_multiple_of(OUTPUTS);
        let mut blocks = zeroed(inputs.next_multiple_of(8) * width, what)?;
        let nothing = vec![0; stride];
        for (number, rows) in w.numbers.chunks(2 * stride).enumerate() {
            let (first, second) = rows.split_at(stride);
            let second = if second.is_empty() { &nothing } else { second };
            let four = &mut blocks[number / 2 * 4 * width..][..4 * width];
            put(first, second, &mut four[number % 2 * 2 * OUTPUTS..]);
        }
        Ok(Packed {
            inputs,
            stride,
            blocks,
            scales: w.scales.clone(),
        })
    }

    /// Bytes in memory.
    #[cfg(any(test, feature = "internals"))]
    pub fn bytes(&self) -> usize {
        self.blocks.len() + 4 * self.scales.len()
    }

    /// Outputs with those that fill the last block.
    fn width(&self) -> usize {
        self.stride.next_multiple_of(OUTPUTS)
    }

    /// As they were before.
    pub fn unpacked(&self) -> Int8 {
        let width = self.width();
        let at = |i: usize, o: usize| {
            i / 4 * 4 * width + o / OUTPUTS * BLOCK + i % 4 / 2 * 2 * OUTPUTS + o % OUTPUTS * 2 + i % 2
        };
        let rows = (0..self.inputs).flat_map(|i| (0..self.stride).map(move |o| (i, o)));
        Int8 {
            numbers: rows.map(|(i, o)| self.blocks[at(i, o)]).collect(),
            scales: self.scales.clone(),
        }
    }
}

/// Two rows to their places in the blocks, which begin at that of their first numbers.
#[cfg_attr(target_arch = "wasm32", inline(never))]
fn put(first: &[i8], second: &[i8], blocks: &mut [i8]) {
    for ((block, a), b) in blocks.chunks_mut(BLOCK).zip(first.chunks(OUTPUTS)).zip(second.chunks(OUTPUTS)) {
        for ((pair, a), b) in block.as_chunks_mut::<2>().0.iter_mut().zip(a).zip(b) {
            *pair = [*a, *b];
        }
    }
}

/// See `gemm::matmul`.
#[cfg_attr(target_arch = "wasm32", inline(never))]
pub fn matmul(x: &[f32], inputs: usize, w: &Packed, out: &mut [f32]) {
    let rows = x.len() / inputs;
    let group = rows.div_ceil(rows.div_ceil(ROWS).max(1)).max(1);
    for (x, out) in x.chunks(group * inputs).zip(out.chunks_mut(group * w.stride)) {
        if x.len() > inputs {
            matmul_together(x, inputs, w, out);
        } else {
            one_row(x, w, out);
        }
    }
}

/// See `gemm::gather`.
pub fn gather(indices: &[u32], values: &[f32], w: &Packed, out: &mut [f32]) {
    let mut x = vec![0.0; w.inputs];
    for (index, value) in indices.iter().zip(values) {
        x[*index as usize] = *value;
    }
    one_row(&x, w, out);
}

fn one_row(x: &[f32], w: &Packed, out: &mut [f32]) {
    let mut q = Vec::new();
    let scale = quantize(x, &mut q);
    q.resize(q.len().next_multiple_of(4), 0);
    out.fill(0.0);
    let mut sums = vec![0; w.width()];
    for (q, blocks) in q.chunks(PART).zip(w.blocks.chunks(PART * w.width())) {
        sums.fill(0);
        for ([a, b, c, d], blocks) in q.as_chunks().0.iter().zip(blocks.chunks_exact(4 * w.width())) {
            let x = [pair(*a, *b), pair(*c, *d)];
            if x != [0; 2] {
                four_packed(&mut sums, blocks, x);
            }
        }
        for (out, sum) in out.iter_mut().zip(&sums) {
            *out += *sum as f32;
        }
    }
    times(out, scale, &w.scales);
}

/// [`matmul`] of a few rows: eight rows of weights at a time are widened once for all of them.
fn matmul_together(x: &[f32], inputs: usize, w: &Packed, out: &mut [f32]) {
    let (rows, stride, width) = (x.len() / inputs, w.stride, w.width());
    let (packed, scales) = in_eights(x, inputs);
    out.fill(0.0);
    let mut sums = vec![0i32; rows * OUTS.min(width)];
    for first in (0..width).step_by(OUTS) {
        let padded = OUTS.min(width - first);
        let real = padded.min(stride - first);
        let sums = &mut sums[..rows * padded];
        for (part, x) in packed.chunks(PART / 8 * rows).enumerate() {
            sums.fill(0);
            for (number, x) in x.chunks_exact(rows).enumerate() {
                let eight = &w.blocks[(part * PART / 8 + number) * 8 * width..][..8 * width];
                let (four, other) = eight.split_at(4 * width);
                let strip = 4 * first..4 * (first + padded);
                eight_packed(sums, [&four[strip.clone()], &other[strip]], x);
            }
            for (out, sums) in out.chunks_exact_mut(stride).zip(sums.chunks_exact(padded)) {
                for (out, sum) in out[first..first + real].iter_mut().zip(sums) {
                    *out += *sum as f32;
                }
            }
        }
    }
    for (out, scale) in out.chunks_exact_mut(stride).zip(scales) {
        times(out, scale, &w.scales);
    }
}
