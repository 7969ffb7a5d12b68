//! The sums of `kernels.rs` in wasm's registers of 128 bits.

use std::arch::wasm32::{
    i16x8_extend_high_i8x16, i16x8_extend_low_i8x16, i16x8_load_extend_i8x8, i32x4_add, i32x4_dot_i16x8,
    i32x4_extract_lane, i32x4_splat, i8x16_shuffle, u16x8_extend_high_u8x16, u16x8_extend_low_u8x16, u8x16_shr,
    u8x16_splat, v128, v128_and, v128_load, v128_load32_splat, v128_load64_zero, v128_store,
};
use std::ops::Range;

use super::{dot_from, dot_one_from, eight_rows_from, picked_from, Four, AT_ONCE, BLOCK, OUTPUTS};

/// Inputs, or outputs, of a register of weights.
const LANES: usize = 8;

/// Sixteen bytes, or eight words.
fn load<T>(numbers: &[T]) -> v128 {
    assert!(size_of_val(numbers) >= 16);
    // SAFETY: sixteen bytes lie there.
    unsafe { v128_load(numbers.as_ptr().cast()) }
}

/// The caller has checked the lengths.
#[inline(never)]
pub fn picked(sums: &mut [i32], w: &[i8], fours: &[Four]) {
    let whole = sums.len() / AT_ONCE * AT_ONCE;
    for (number, out) in sums.as_chunks_mut::<AT_ONCE>().0.iter_mut().enumerate() {
        let w = w.as_ptr().wrapping_add(number * AT_ONCE);
        let mut added = [i32x4_splat(0); 4];
        for four in fours {
            // SAFETY: sixteen weights lie there, of each row.
            let [a, b, c, d] = four.at.map(|at| unsafe { v128_load(w.wrapping_add(at).cast()) });
            for (x, a, b) in [(four.x[0], a, b), (four.x[1], c, d)] {
                let x = i32x4_splat(x);
                let low = i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(a, b);
                let high = i8x16_shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(a, b);
                added[0] = i32x4_add(added[0], i32x4_dot_i16x8(i16x8_extend_low_i8x16(low), x));
                added[1] = i32x4_add(added[1], i32x4_dot_i16x8(i16x8_extend_high_i8x16(low), x));
                added[2] = i32x4_add(added[2], i32x4_dot_i16x8(i16x8_extend_low_i8x16(high), x));
                added[3] = i32x4_add(added[3], i32x4_dot_i16x8(i16x8_extend_high_i8x16(high), x));
            }
        }
        for (out, added) in out.as_chunks_mut::<4>().0.iter_mut().zip(added) {
            // SAFETY: four sums lie there.
            unsafe { v128_store(out.as_mut_ptr().cast(), added) };
        }
    }
    picked_from(whole, sums, w, fours);
}

/// The caller has checked the lengths.
#[inline(never)]
pub fn four_packed(sums: &mut [i32], blocks: &[i8], x: [i32; 2]) {
    let x = [i32x4_splat(x[0]), i32x4_splat(x[1])];
    let sixteens = sums.as_chunks_mut::<OUTPUTS>().0.iter_mut();
    for (sums, block) in sixteens.zip(blocks.as_chunks::<BLOCK>().0) {
        for (four, sums) in sums.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            // SAFETY: a block has two pairs of inputs with two weights for each of sixteen outputs.
            let pairs = [0, 2 * OUTPUTS].map(|pair| unsafe { i16x8_load_extend_i8x8(block.as_ptr().add(pair + 8 * four)) });
            let first = i32x4_add(load(sums), i32x4_dot_i16x8(pairs[0], x[0]));
            let sum = i32x4_add(first, i32x4_dot_i16x8(pairs[1], x[1]));
            // SAFETY: four sums lie there.
            unsafe { v128_store(sums.as_mut_ptr().cast(), sum) };
        }
    }
}

/// The caller has checked the lengths.
pub fn four_nibbles(sums: &mut [i32], blocks: &[u8], x: [i32; 2]) {
    let x = [i32x4_splat(x[0]), i32x4_splat(x[1])];
    let below = u8x16_splat(15);
    // Each register of bytes has the pairs of eight outputs, first those below.
    let eights = sums.as_chunks_mut::<LANES>().0.iter_mut();
    for (sums, bytes) in eights.zip(blocks.as_chunks::<{ 2 * LANES }>().0) {
        let bytes = load(bytes);
        let (first, second) = (v128_and(bytes, below), u8x16_shr(bytes, 4));
        let pairs = [
            [u16x8_extend_low_u8x16(first), u16x8_extend_low_u8x16(second)],
            [u16x8_extend_high_u8x16(first), u16x8_extend_high_u8x16(second)],
        ];
        for (sums, pairs) in sums.as_chunks_mut::<4>().0.iter_mut().zip(pairs) {
            let sum = i32x4_add(load(sums), i32x4_dot_i16x8(pairs[0], x[0]));
            let sum = i32x4_add(sum, i32x4_dot_i16x8(pairs[1], x[1]));
            // SAFETY: four sums lie there.
            unsafe { v128_store(sums.as_mut_ptr().cast(), sum) };
        }
    }
}

/// The caller has checked the lengths.
#[inline(never)]
pub fn eight_packed(sums: &mut [i32], fours: [&[i8]; 2], x: &[[i32; 4]]) {
    let width = fours[0].len() / 4;
    for at in (0..width).step_by(LANES) {
        let pairs: [[v128; 2]; 4] = std::array::from_fn(|j| {
            let from = at / OUTPUTS * BLOCK + j % 2 * 2 * OUTPUTS + at % OUTPUTS * 2;
            // SAFETY: sixteen weights lie there: `at` is below the width, and eight divides it.
            [0, 8].map(|more| unsafe { i16x8_load_extend_i8x8(fours[j / 2].as_ptr().add(from + more)) })
        });
        for (r, x) in x.iter().enumerate() {
            // SAFETY: there are `width` sums for each row, eight of them from `at` on.
            unsafe { add_products(sums.as_mut_ptr().add(r * width + at), &pairs, x) };
        }
    }
}

/// Eight sums and the products of eight inputs.
///
/// # Safety
/// Eight sums lie there.
#[inline(always)]
unsafe fn add_products(sums: *mut i32, pairs: &[[v128; 2]; 4], x: &[i32; 4]) {
    let sums: *mut v128 = sums.cast();
    // SAFETY: as the caller says.
    let mut added = unsafe { [v128_load(sums), v128_load(sums.add(1))] };
    for (x, pairs) in x.iter().zip(pairs) {
        // SAFETY: a pair lies there.
        let x = unsafe { v128_load32_splat(std::ptr::from_ref(x).cast()) };
        for (added, pairs) in added.iter_mut().zip(pairs) {
            *added = i32x4_add(*added, i32x4_dot_i16x8(*pairs, x));
        }
    }
    // SAFETY: as the caller says.
    unsafe {
        v128_store(sums, added[0]);
        v128_store(sums.add(1), added[1]);
    }
}

/// Rows of weights of [`dot_each`] at a time.
const STREAMS: usize = 4;
/// Rows of each that a call goes through.
const TOGETHER: usize = 64;

/// The caller has checked the lengths. Rows that lie far from each other go together: where one waits for its next page, the others do not.
pub fn dot_each(x: &[i16], w: &[i8], stride: usize, out: &mut [f32]) {
    let count = out.len() / STREAMS;
    for first in (0..count).step_by(TOGETHER) {
        dot_some(x, w, stride, out, first..count.min(first + TOGETHER));
    }
    for (v, out) in out.iter_mut().enumerate().skip(STREAMS * count) {
        *out = dot_one(x, &w[v * stride..][..x.len()]) as f32;
    }
}

/// The rows `of` of each stream.
#[inline(never)]
fn dot_some(x: &[i16], w: &[i8], stride: usize, out: &mut [f32], of: Range<usize>) {
    let count = out.len() / STREAMS;
    let whole = x.len() / (2 * LANES) * 2 * LANES;
    for v in of {
        let rows: [&[i8]; STREAMS] = std::array::from_fn(|stream| &w[(stream * count + v) * stride..][..x.len()]);
        let mut sums = [i32x4_splat(0); STREAMS];
        for at in (0..whole).step_by(2 * LANES) {
            for at in [at, at + LANES] {
                // SAFETY: eight numbers lie there, of either.
                let x = unsafe { v128_load(x.as_ptr().add(at).cast()) };
                for (sum, row) in sums.iter_mut().zip(rows) {
                    // SAFETY: as above.
                    let w = unsafe { i16x8_load_extend_i8x8(row.as_ptr().add(at)) };
                    *sum = i32x4_add(*sum, i32x4_dot_i16x8(w, x));
                }
            }
        }
        for ((stream, sum), row) in sums.into_iter().enumerate().zip(rows) {
            out[stream * count + v] = (dot_one_from(whole, x, row) + total(sum)) as f32;
        }
    }
}

/// The sum of four.
fn total(sums: v128) -> i32 {
    i32x4_extract_lane::<0>(sums)
        + i32x4_extract_lane::<1>(sums)
        + i32x4_extract_lane::<2>(sums)
        + i32x4_extract_lane::<3>(sums)
}

/// Inputs of [`dot_one`] in a turn of its loop, whose own cost counts.
const TURN: usize = 8 * LANES;

/// The caller has checked the lengths.
pub fn dot_one(x: &[i16], w: &[i8]) -> i32 {
    let mut sums = [i32x4_splat(0); 2];
    for (x, w) in x.as_chunks::<TURN>().0.iter().zip(w.as_chunks::<TURN>().0) {
        for eight in 0..TURN / LANES {
            // SAFETY: eight numbers lie there, of either.
            let (w, x) = unsafe {
                let (w, x) = (w.as_ptr().add(LANES * eight), x.as_ptr().add(LANES * eight));
                (i16x8_load_extend_i8x8(w), v128_load(x.cast()))
            };
            sums[eight % 2] = i32x4_add(sums[eight % 2], i32x4_dot_i16x8(w, x));
        }
    }
    dot_one_from(w.len() / TURN * TURN, x, w) + total(i32x4_add(sums[0], sums[1]))
}

/// The caller has checked the lengths.
#[inline(never)]
pub fn eight_rows(sums: &mut [i32], w: [&[i8]; 8], x: &[[i32; 4]]) {
    let width = w[0].len();
    for at in (0..width / LANES * LANES).step_by(LANES) {
        let pairs: [[v128; 2]; 4] = std::array::from_fn(|j| {
            // SAFETY: a row has `width` numbers, eight of them from `at` on.
            let [a, b] = [0, 1].map(|i| unsafe { v128_load64_zero(w[2 * j + i].as_ptr().add(at).cast()) });
            let both = i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(a, b);
            [i16x8_extend_low_i8x16(both), i16x8_extend_high_i8x16(both)]
        });
        for (r, x) in x.iter().enumerate() {
            // SAFETY: there are `width` sums for each row, eight of them from `at` on.
            unsafe { add_products(sums.as_mut_ptr().add(r * width + at), &pairs, x) };
        }
    }
    eight_rows_from(width / LANES * LANES, sums, w, x);
}

/// The caller has checked the lengths.
#[inline(never)]
pub fn dot<const R: usize>(x: [&[i16]; R], w: [&[i8]; 2]) -> [[i32; 2]; R] {
    let whole = w[0].len() / LANES * LANES;
    let mut sums = [[i32x4_splat(0); 2]; R];
    for at in (0..whole).step_by(LANES) {
        // SAFETY: eight numbers lie there, of either.
        let w = w.map(|w| unsafe { i16x8_load_extend_i8x8(w.as_ptr().add(at)) });
        for (sums, x) in sums.iter_mut().zip(x) {
            let x = unsafe { v128_load(x.as_ptr().add(at).cast()) };
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum = i32x4_add(*sum, i32x4_dot_i16x8(w, x));
            }
        }
    }
    let mut out = dot_from(whole, x, w);
    for (out, sums) in out.iter_mut().zip(sums) {
        for (out, sum) in out.iter_mut().zip(sums) {
            *out += total(sum);
        }
    }
    out
}
