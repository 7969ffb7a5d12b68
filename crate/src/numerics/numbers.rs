//! The numbers of a weight, in every form that they have in memory.

use std::ops::Range;

use half::f16;

use super::gemm::blocks::Blocks;
use super::int4::Int4;
use super::int8::{packed::Packed, Int8};
use super::stored::{Bf16, Stored, F16};

/// The numbers of a weight.
#[derive(Clone, Debug)]
pub enum Numbers {
    F32(Vec<f32>),
    F16(Vec<F16>),
    Bf16(Vec<Bf16>),
    Int8(Int8),
    /// A matrix, with a scale for each output.
    Packed(Packed),
    /// A matrix, with scales and zeros for each output in each group of inputs.
    Int4(Int4),
    /// A matrix.
    F16Blocks(Blocks<F16>),
    /// A matrix.
    Bf16Blocks(Blocks<Bf16>),
}

/// A part of a matrix as it is stored, and its scales.
pub struct Part {
    pub rows: usize,
    pub stride: usize,
    pub bytes: Vec<u8>,
    pub scales: Vec<f32>,
}

/// Rows of `part`'s width to their columns of `out`.
pub fn place(numbers: &[f32], part: &Range<usize>, stride: usize, out: &mut [f32]) {
    for (numbers, out) in numbers.chunks_exact(part.len().max(1)).zip(out.chunks_mut(stride)) {
        out[part.clone()].copy_from_slice(numbers);
    }
}

impl Default for Numbers {
    fn default() -> Self {
        Numbers::F32(Vec::new())
    }
}

impl Numbers {
    /// Widening by shifts is right for finite numbers only, so others are widened here.
    #[inline(never)]
    pub fn from_f16(numbers: Vec<F16>) -> Numbers {
        const EXPONENT: u16 = 0x7c00;
        // The largest of some at a time, which registers of many numbers find.
        let largest = |some: &[F16]| some.iter().fold(0, |largest, number| largest.max(number.0 & EXPONENT));
        if numbers.chunks(1024).any(|some| largest(some) == EXPONENT) {
            return Numbers::F32(numbers.into_iter().map(|number| f16::from_bits(number.0).to_f32()).collect());
        }
        Numbers::F16(numbers)
    }

    /// Whether they have 8 bits and scales.
    pub fn is_8_bit(&self) -> bool {
        matches!(self, Numbers::Int8(_) | Numbers::Packed(_))
    }

    pub fn count(&self) -> usize {
        match self {
            Numbers::F32(numbers) => numbers.len(),
            Numbers::F16(numbers) => numbers.len(),
            Numbers::Bf16(numbers) => numbers.len(),
            Numbers::Int8(int8) => int8.numbers.len(),
            Numbers::Packed(packed) => packed.inputs * packed.stride,
            Numbers::Int4(int4) => int4.inputs * int4.stride,
            Numbers::F16Blocks(blocks) => blocks.inputs * blocks.stride,
            Numbers::Bf16Blocks(blocks) => blocks.inputs * blocks.stride,
        }
    }

    /// Bytes in memory.
    #[cfg(any(test, feature = "internals"))]
    pub fn bytes(&self) -> usize {
        match self {
            Numbers::F32(numbers) => 4 * numbers.len(),
            Numbers::F16(numbers) => 2 * numbers.len(),
            Numbers::Bf16(numbers) => 2 * numbers.len(),
            Numbers::Int8(int8) => int8.numbers.len() + 4 * int8.scales.len(),
            Numbers::Packed(packed) => packed.bytes(),
            Numbers::Int4(int4) => int4.bytes(),
            Numbers::F16Blocks(blocks) => 2 * blocks.numbers.len(),
            Numbers::Bf16Blocks(blocks) => 2 * blocks.numbers.len(),
        }
    }

    /// All of them in f32, rows of `stride`.
    #[cold]
    #[inline(never)]
    pub fn widened(&self, stride: usize) -> Vec<f32> {
        let mut all = vec![0.0; self.count()];
        for (row, out) in all.chunks_exact_mut(stride).enumerate() {
            self.widen(row * stride, row, out);
        }
        all
    }

    /// Numbers `at..at + out.len()` of row `row` in f32, exactly; 8-bit numbers have a scale for each row.
    pub fn widen(&self, at: usize, row: usize, out: &mut [f32]) {
        let range = at..at + out.len();
        match self {
            Numbers::F32(numbers) => out.copy_from_slice(&numbers[range]),
            Numbers::F16(numbers) => widen(&numbers[range], out),
            Numbers::Bf16(numbers) => widen(&numbers[range], out),
            Numbers::Int8(int8) => {
                let scale = int8.scales[row];
                for (out, q) in out.iter_mut().zip(&int8.numbers[range]) {
                    *out = f32::from(*q) * scale;
                }
            }
            Numbers::Int4(int4) => each(out, range, |at| int4.number(at)),
            Numbers::F16Blocks(blocks) => each(out, range, |at| blocks.number(at)),
            Numbers::Bf16Blocks(blocks) => each(out, range, |at| blocks.number(at)),
            // Nobody asks for rows of a matrix.
            Numbers::Packed(packed) => {
                let numbers = packed.unpacked().numbers;
                for ((out, q), scale) in out.iter_mut().zip(&numbers[range]).zip(&packed.scales) {
                    *out = f32::from(*q) * scale;
                }
            }
        }
    }
}

fn each(out: &mut [f32], range: Range<usize>, number: impl Fn(usize) -> f32) {
    for (out, at) in out.iter_mut().zip(range) {
        *out = number(at);
    }
}

fn widen<S: Stored>(numbers: &[S], out: &mut [f32]) {
    for (out, number) in out.iter_mut().zip(numbers) {
        *out = number.value();
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn every_number_is_widened_exactly() {
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let mut row = vec![0.0; all.len()];
        Numbers::from_f16(all.iter().copied().map(F16).collect()).widen(0, 0, &mut row);
        for (bits, value) in all.iter().zip(&row) {
            let exact = f16::from_bits(*bits).to_f32();
            assert!(exact.to_bits() == value.to_bits() || exact.is_nan() && value.is_nan(), "{bits:04x}");
        }
        let finite: Vec<u16> = all.iter().copied().filter(|bits| f16::from_bits(*bits).is_finite()).collect();
        let numbers = Numbers::from_f16(finite.iter().copied().map(F16).collect());
        assert!(matches!(numbers, Numbers::F16(_)) && numbers.bytes() == 2 * finite.len());
        numbers.widen(0, 0, &mut row[..finite.len()]);
        for (bits, value) in finite.iter().zip(&row) {
            assert_eq!(f16::from_bits(*bits).to_f32().to_bits(), value.to_bits(), "{bits:04x}");
        }
        Numbers::Bf16(all.iter().copied().map(Bf16).collect()).widen(0, 0, &mut row);
        for (bits, value) in all.iter().zip(&row) {
            let exact = bf16::from_bits(*bits).to_f32();
            assert!(exact.to_bits() == value.to_bits() || exact.is_nan() && value.is_nan(), "{bits:04x}");
        }
    }
}
