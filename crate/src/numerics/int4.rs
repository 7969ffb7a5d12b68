//! Products with 4-bit weights, in integers as in `int8.rs`: inputs are rounded to 15 bits, sums of a group of inputs are exact, and groups are
//! added up in f32 in ascending order. So a row does not depend on the rows beside it, a sparse row equals the dense one, and native and
//! wasm agree, bit for bit.

use std::fmt::Display;

use super::dispatch::dispatch;
use super::int8::kernels::{eight_packed, four_nibbles, BLOCK, OUTPUTS};
use super::int8::{in_eights, pair, quantize, OUTS, ROWS};
use super::stored::{Stored, F16};
use crate::error::Result;
use crate::memory::{reserve, zeroed};

/// Most inputs of a group: 1,024 · 16,383 · (15 + 16) < 2^31.
pub const LARGEST_GROUP: usize = 1024;
/// Bytes of a block.
const HALF_BLOCK: usize = BLOCK / 2;

/// A matrix `[inputs, stride]` of numbers from 0 to 15, each (q − zero) · scale with those of its output in its group of inputs.
#[derive(Clone, Debug)]
pub struct Int4 {
    pub inputs: usize,
    pub stride: usize,
    group: usize,
    /// `[groups, stride]`: the scale as f16 below, the zero above.
    words: Vec<u32>,
    /// In blocks as `int8/packed.rs` has them, of half the bytes: byte c is number c of the block below, and c + 32 above. What inputs (to
    /// eight) and outputs (to sixteen) lack is 0.
    blocks: Vec<u8>,
}

/// The scale of a word, finite.
#[inline(always)]
fn scale_of(word: u32) -> f32 {
    F16(word as u16).value()
}

#[inline(always)]
fn zero_of(word: u32) -> i32 {
    (word >> 16) as i32
}

/// What (q − zero) · scale is for a number of a group.
pub fn value(q: u8, word: u32) -> f32 {
    (i32::from(q) - zero_of(word)) as f32 * scale_of(word)
}

impl Int4 {
    /// Of `[inputs, stride]` numbers, two a byte, the first below; `group`: a multiple of eight, at most [`LARGEST_GROUP`].
    ///
    /// # Errors
    /// `memory`, which names `what`.
    pub fn new(words: Vec<u32>, numbers: &[u8], stride: usize, group: usize, what: impl Display) -> Result<Int4> {
        let row = stride / 2;
        let inputs = numbers.len() / row.max(1);
        let width = stride.next_multiple_of(OUTPUTS);
        let mut blocks = zeroed(inputs.next_multiple_of(8) / 4 * width / OUTPUTS * HALF_BLOCK, what)?;
        let nothing = vec![0; row];
        for (rows, four) in numbers.chunks(4 * row).zip(blocks.chunks_exact_mut(width / OUTPUTS * HALF_BLOCK)) {
            let [a, b, c, d] = std::array::from_fn(|j| rows.get(j * row..(j + 1) * row).unwrap_or(&nothing));
            for (at, out) in four.as_chunks_mut::<4>().0.iter_mut().enumerate().take(row) {
                let (a, b, c, d) = (a[at], b[at], c[at], d[at]);
                *out = [a & 15 | c << 4, b & 15 | d << 4, a >> 4 | c & 0xf0, b >> 4 | d & 0xf0];
            }
        }
        Ok(Int4 {
            inputs,
            stride,
            group,
            words,
            blocks,
        })
    }

    /// Bytes in memory.
    #[cfg(any(test, feature = "internals"))]
    pub fn bytes(&self) -> usize {
        self.blocks.len() + 4 * self.words.len()
    }

    /// Outputs with those that fill the last block.
    fn width(&self) -> usize {
        self.stride.next_multiple_of(OUTPUTS)
    }

    /// Number `at` of all.
    pub fn number(&self, at: usize) -> f32 {
        let (i, o) = (at / self.stride, at % self.stride);
        let block = (i / 4 * self.width() + o) / OUTPUTS * HALF_BLOCK;
        let byte = self.blocks[block + o % OUTPUTS * 2 + i % 2];
        let q = if i % 4 < 2 { byte & 15 } else { byte >> 4 };
        value(q, self.words[i / self.group * self.stride + o])
    }

    /// All numbers in f32.
    #[cfg(test)]
    pub fn to_f32(&self) -> Vec<f32> {
        (0..self.inputs * self.stride).map(|at| self.number(at)).collect()
    }
}

/// See `gemm::matmul`.
#[cfg_attr(target_arch = "wasm32", inline(never))]
pub fn matmul(x: &[f32], inputs: usize, w: &Int4, out: &mut [f32]) {
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
pub fn gather(indices: &[u32], values: &[f32], w: &Int4, out: &mut [f32]) {
    let mut x = vec![0.0; w.inputs];
    for (index, value) in indices.iter().zip(values) {
        x[*index as usize] = *value;
    }
    one_row(&x, w, out);
}

fn one_row(x: &[f32], w: &Int4, out: &mut [f32]) {
    let mut q = Vec::new();
    let scale = quantize(x, &mut q);
    q.resize(q.len().next_multiple_of(8), 0);
    out.fill(0.0);
    let four = w.width() / OUTPUTS * HALF_BLOCK;
    let mut sums = vec![0; w.width()];
    let groups = q.chunks(w.group).zip(w.blocks.chunks(w.group / 4 * four)).zip(w.words.chunks_exact(w.stride));
    for ((q, blocks), words) in groups {
        if q.iter().all(|q| *q == 0) {
            continue;
        }
        sums.fill(0);
        for ([a, b, c, d], blocks) in q.as_chunks().0.iter().zip(blocks.chunks_exact(four)) {
            let x = [pair(*a, *b), pair(*c, *d)];
            if x != [0; 2] {
                four_nibbles(&mut sums, blocks, x);
            }
        }
        add_group(out, &sums, words, q.iter().map(|q| i32::from(*q)).sum());
    }
    out.iter_mut().for_each(|out| *out *= scale);
}

dispatch!(
    /// `out += scale · (sums − zero · total)`: of sums of products the zeros' share is what the sum of the inputs makes of them.
    add_group, add_group_portable, (out: &mut [f32], sums: &[i32], words: &[u32], total: i32)
);

#[inline(always)]
fn add_group_portable(out: &mut [f32], sums: &[i32], words: &[u32], total: i32) {
    for ((out, sum), word) in out.iter_mut().zip(sums).zip(words) {
        *out += scale_of(*word) * (sum - zero_of(*word) * total) as f32;
    }
}

/// [`matmul`] of a few rows: eight rows of weights at a time are widened once for all of them.
fn matmul_together(x: &[f32], inputs: usize, w: &Int4, out: &mut [f32]) {
    let (rows, stride, width) = (x.len() / inputs, w.stride, w.width());
    let (packed, scales) = in_eights(x, inputs);
    out.fill(0.0);
    let mut sums = vec![0i32; rows * OUTS.min(width)];
    let mut eight = vec![0i8; 8 * OUTS.min(width)];
    let four = width / OUTPUTS * HALF_BLOCK;
    for first in (0..width).step_by(OUTS) {
        let padded = OUTS.min(width - first);
        let real = padded.min(stride - first);
        let (sums, eight) = (&mut sums[..rows * padded], &mut eight[..8 * padded]);
        let strip = first / OUTPUTS * HALF_BLOCK..(first + padded) / OUTPUTS * HALF_BLOCK;
        let groups = packed.chunks(w.group / 8 * rows).zip(w.blocks.chunks(w.group / 4 * four));
        for ((x, blocks), words) in groups.zip(w.words.chunks_exact(stride)) {
            sums.fill(0);
            for (x, blocks) in x.chunks_exact(rows).zip(blocks.chunks_exact(2 * four)) {
                let (low, high) = eight.split_at_mut(4 * padded);
                widen(&blocks[strip.clone()], low);
                widen(&blocks[four..][strip.clone()], high);
                eight_packed(sums, [low, high], x);
            }
            for (r, (out, sums)) in out.chunks_exact_mut(stride).zip(sums.chunks_exact(padded)).enumerate() {
                let pairs = x.iter().skip(r).step_by(rows).flatten();
                let total = pairs.map(|pair| i32::from(*pair as i16) + (*pair >> 16)).sum();
                add_group(&mut out[first..first + real], sums, &words[first..first + real], total);
            }
        }
    }
    for (out, scale) in out.chunks_exact_mut(stride).zip(scales) {
        out.iter_mut().for_each(|out| *out *= scale);
    }
}

dispatch!(
    /// Blocks of 4-bit numbers as those of 8 bits.
    widen, widen_portable, (blocks: &[u8], out: &mut [i8])
);

#[inline(always)]
fn widen_portable(blocks: &[u8], out: &mut [i8]) {
    for (block, out) in blocks.as_chunks::<HALF_BLOCK>().0.iter().zip(out.as_chunks_mut::<BLOCK>().0) {
        let (low, high) = out.split_at_mut(HALF_BLOCK);
        for ((byte, low), high) in block.iter().zip(low).zip(high) {
            (*low, *high) = ((byte & 15) as i8, (byte >> 4) as i8);
        }
    }
}

/// Bytes of a 4-bit tensor (`weights.rs`) → its words and its numbers.
///
/// # Errors
/// `memory`, which names `what`.
pub fn parts(data: &[u8], words: usize, what: impl Display) -> Result<(Vec<u32>, &[u8])> {
    let (of_words, numbers) = data.split_at(4 * words);
    let mut words_out = Vec::new();
    reserve(&mut words_out, words, what)?;
    words_out.extend(of_words.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)));
    Ok((words_out, numbers))
}

#[cfg(test)]
mod tests;
