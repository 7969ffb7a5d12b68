//! A matrix of 16-bit numbers in the order in which a row of inputs reads it: one stream, in which four rows of weights go into the sums while these
//! are in registers. The same chains of additions as row by row, bit for bit. Browsers gain by it, whose registers are narrow.

use std::fmt::Display;

use super::{dispatch, four_rows, times, OUTS, ROWS};
use crate::error::Result;
use crate::memory::zeroed;
use crate::numerics::stored::{fold, Stored};

/// Rows of weights of a block.
const FOUR: usize = 4;

/// `[inputs, stride]` in blocks `[four of inputs, OUTS of outputs]`, each `[input, output]`. What inputs and outputs lack is 0.
#[derive(Clone, Debug)]
pub struct Blocks<S> {
    pub inputs: usize,
    pub stride: usize,
    pub numbers: Vec<S>,
}

impl<S: Stored> Blocks<S> {
    /// # Errors
    /// `memory`, which names `what`.
    pub fn new(w: &[S], stride: usize, what: impl Display) -> Result<Blocks<S>> {
        let inputs = w.len() / stride;
        let width = stride.next_multiple_of(OUTS);
        let mut numbers = zeroed(inputs.next_multiple_of(FOUR) * width, what)?;
        for (i, row) in w.chunks_exact(stride).enumerate() {
            let four = &mut numbers[i / FOUR * FOUR * width..][..FOUR * width];
            Self::put(row, &mut four[i % FOUR * OUTS..]);
        }
        Ok(Blocks { inputs, stride, numbers })
    }

    /// A row to its places in the blocks, which begin at that of its first number.
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    fn put(row: &[S], blocks: &mut [S]) {
        let (whole, rest) = row.as_chunks::<OUTS>();
        let mut blocks = blocks.chunks_mut(FOUR * OUTS);
        for (row, block) in whole.iter().zip(&mut blocks) {
            // Of a length that the compiler knows.
            if let Some(block) = block.first_chunk_mut::<OUTS>() {
                *block = *row;
            }
        }
        if let Some(block) = blocks.next() {
            block[..rest.len()].copy_from_slice(rest);
        }
    }

    fn width(&self) -> usize {
        self.stride.next_multiple_of(OUTS)
    }

    /// Number `at` of `[inputs, stride]`.
    pub fn number(&self, at: usize) -> f32 {
        let (i, o) = (at / self.stride, at % self.stride);
        let block = i / FOUR * FOUR * self.width() + o / OUTS * FOUR * OUTS;
        self.numbers[block + i % FOUR * OUTS + o % OUTS].value()
    }
}

/// See `gemm::matmul`.
#[cfg_attr(target_arch = "wasm32", inline(never))]
pub fn matmul<S: Stored>(x: &[f32], inputs: usize, w: &Blocks<S>, out: &mut [f32]) {
    let together = x.len() / inputs / ROWS * ROWS;
    let (x_groups, x_rest) = x.split_at(together * inputs);
    let (out_groups, out_rest) = out.split_at_mut(together * w.stride);
    if together > 0 {
        fours(x_groups, inputs, w, out_groups);
    }
    for (x, out) in x_rest.chunks_exact(inputs).zip(out_rest.chunks_exact_mut(w.stride)) {
        one_row(x, w, out);
    }
}

/// See `gemm::gather`.
pub fn gather<S: Stored>(indices: &[u32], values: &[f32], w: &Blocks<S>, out: &mut [f32]) {
    let mut x = vec![0.0; w.inputs];
    for (index, value) in indices.iter().zip(values) {
        x[*index as usize] = *value;
    }
    one_row(&x, w, out);
}

fn one_row<S: Stored>(x: &[f32], w: &Blocks<S>, out: &mut [f32]) {
    let mut folded = Vec::new();
    let (x, back) = fold::<S>(x, &mut folded);
    let mut sums = vec![0.0; w.width()];
    for (x, blocks) in x.chunks(FOUR).zip(w.numbers.chunks_exact(FOUR * w.width())) {
        let x = std::array::from_fn(|j| x.get(j).copied().unwrap_or(0.0));
        add_blocks(&mut sums, x, blocks);
    }
    out.copy_from_slice(&sums[..out.len()]);
    times(out, back);
}

dispatch!(
    /// `sums += Σ_j x[j] · w[j]`, in that order.
    add_blocks<S: Stored>, add_blocks_portable, (sums: &mut [f32], x: [f32; FOUR], blocks: &[S])
);

#[inline(always)]
fn add_blocks_portable<S: Stored>(sums: &mut [f32], x: [f32; FOUR], blocks: &[S]) {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return super::wasm128::add_blocks(sums, x, blocks);
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    for (sums, block) in sums.chunks_exact_mut(OUTS).zip(blocks.chunks_exact(FOUR * OUTS)) {
        for (x, w) in x.iter().zip(block.chunks_exact(OUTS)) {
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum += x * w.bits();
            }
        }
    }
}

dispatch!(
    /// [`matmul`] of a number of rows that four divides.
    fours<S: Stored>, fours_portable, (x: &[f32], inputs: usize, w: &Blocks<S>, out: &mut [f32])
);

/// Strip by strip of the outputs, as `gemm::matmul`.
#[inline(always)]
fn fours_portable<S: Stored>(x: &[f32], inputs: usize, w: &Blocks<S>, out: &mut [f32]) {
    let (stride, four) = (w.stride, FOUR * w.width());
    let mut strip = vec![[0f32; OUTS]; inputs];
    for first in (0..stride).step_by(OUTS) {
        let real = OUTS.min(stride - first);
        widen_strip(&w.numbers[first * FOUR..], four, &mut strip);
        for (x, out) in x.chunks_exact(ROWS * inputs).zip(out.chunks_exact_mut(ROWS * stride)) {
            let sums = four_rows(x, inputs, &strip);
            for (sums, out) in sums.iter().zip(out.chunks_exact_mut(stride)) {
                out[first..first + real].copy_from_slice(&sums[..real]);
            }
        }
    }
}

/// Strips of eight outputs of each block, which are so many numbers apart.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn widen_strip<S: Stored>(blocks: &[S], apart: usize, strip: &mut [[f32; OUTS]]) {
    for (strip, block) in strip.chunks_mut(FOUR).zip(blocks.chunks(apart)) {
        for (strip, row) in strip.iter_mut().zip(block.chunks_exact(OUTS)) {
            for (strip, w) in strip.iter_mut().zip(row) {
                *strip = w.value();
            }
        }
    }
}
