//! The sums of `kernels.rs` in registers of 512 bits, with the instruction that multiplies pairs and adds them up (VNNI).
//!
//! Loops by index and pointers, as in `avx2.rs`.

use std::arch::x86_64::{
    __m512i, _mm256_and_si256, _mm256_loadu_si256, _mm256_set1_epi8, _mm256_set_m128i,
    _mm256_srli_epi16, _mm512_add_epi32, _mm512_cvtepi8_epi16, _mm512_cvtepu8_epi16, _mm512_dpwssd_epi32,
    _mm512_loadu_si512, _mm512_reduce_add_epi32, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
    _mm_loadu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8,
};

use super::{dot_from, dot_one_from, eight_rows_from, four_rows_from, BLOCK, OUTPUTS};

/// Numbers in a register: 16-bit ones, and sums.
const WORDS: usize = 32;
const SUMS: usize = 16;

/// Two rows of sixteen weights → sixteen pairs.
///
/// # Safety
/// Sixteen weights lie there, of either.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn pairs_at(a: *const i8, b: *const i8) -> __m512i {
    // SAFETY: as the caller says.
    let (a, b) = unsafe { (_mm_loadu_si128(a.cast()), _mm_loadu_si128(b.cast())) };
    _mm512_cvtepi8_epi16(_mm256_set_m128i(_mm_unpackhi_epi8(a, b), _mm_unpacklo_epi8(a, b)))
}

/// Weights of sixteen packed pairs.
///
/// # Safety
/// 32 weights lie there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn words_at(w: *const i8) -> __m512i {
    // SAFETY: as the caller says.
    _mm512_cvtepi8_epi16(unsafe { _mm256_loadu_si256(w.cast()) })
}

/// Sixteen sums and the products of `pairs` with two inputs each.
///
/// # Safety
/// Sixteen sums lie there.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn add_products<const PAIRS: usize>(sums: *mut i32, pairs: &[__m512i; PAIRS], x: *const i32) {
    // SAFETY: as the caller says.
    let mut sum = unsafe { _mm512_loadu_si512(sums.cast()) };
    let mut j = 0;
    while j < PAIRS {
        // SAFETY: there is an input for each of them.
        sum = _mm512_dpwssd_epi32(sum, pairs[j], _mm512_set1_epi32(unsafe { *x.add(j) }));
        j += 1;
    }
    // SAFETY: as the caller says.
    unsafe { _mm512_storeu_si512(sums.cast(), sum) };
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub fn four_rows(sums: &mut [i32], w: [&[i8]; 4], x: [i32; 2]) {
    let whole = sums.len() / SUMS * SUMS;
    assert!(w[0].len() >= whole && w[1].len() >= whole && w[2].len() >= whole && w[3].len() >= whole);
    let (w0, w1, w2, w3) = (w[0].as_ptr(), w[1].as_ptr(), w[2].as_ptr(), w[3].as_ptr());
    let mut at = 0;
    while at < whole {
        // SAFETY: sixteen numbers lie from `at` on in each row, and sixteen sums.
        unsafe {
            let pairs = [pairs_at(w0.add(at), w1.add(at)), pairs_at(w2.add(at), w3.add(at))];
            add_products(sums.as_mut_ptr().add(at), &pairs, x.as_ptr());
        }
        at += SUMS;
    }
    four_rows_from(whole, sums, w, x);
}

/// The caller has checked the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub fn eight_rows(sums: &mut [i32], w: [&[i8]; 8], x: &[[i32; 4]]) {
    let width = w[0].len();
    let whole = width / SUMS * SUMS;
    let mut at = 0;
    while at < whole {
        // SAFETY: a row has `width` numbers, sixteen of them from `at` on.
        let pairs = unsafe {
            [
                pairs_at(w[0].as_ptr().add(at), w[1].as_ptr().add(at)),
                pairs_at(w[2].as_ptr().add(at), w[3].as_ptr().add(at)),
                pairs_at(w[4].as_ptr().add(at), w[5].as_ptr().add(at)),
                pairs_at(w[6].as_ptr().add(at), w[7].as_ptr().add(at)),
            ]
        };
        let mut r = 0;
        while r < x.len() {
            // SAFETY: there are `width` sums for each row, sixteen of them from `at` on.
            unsafe { add_products(sums.as_mut_ptr().add(r * width + at), &pairs, x[r].as_ptr()) };
            r += 1;
        }
        at += SUMS;
    }
    eight_rows_from(whole, sums, w, x);
}

/// The caller has checked the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub fn four_packed(sums: &mut [i32], blocks: &[i8], x: [i32; 2]) {
    let mut at = 0;
    while at < sums.len() {
        // SAFETY: a block has sixteen outputs, of which `at` is the first.
        unsafe {
            let block = blocks.as_ptr().add(at / OUTPUTS * BLOCK);
            let pairs = [words_at(block), words_at(block.add(2 * OUTPUTS))];
            add_products(sums.as_mut_ptr().add(at), &pairs, x.as_ptr());
        }
        at += OUTPUTS;
    }
}

/// The caller has checked the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub fn four_nibbles(sums: &mut [i32], blocks: &[u8], x: [i32; 2]) {
    let below = _mm256_set1_epi8(15);
    let mut at = 0;
    while at < sums.len() {
        // SAFETY: a block has sixteen outputs, of which `at` is the first.
        unsafe {
            let block = _mm256_loadu_si256(blocks.as_ptr().add(at / OUTPUTS * BLOCK / 2).cast());
            let first = _mm256_and_si256(block, below);
            let second = _mm256_and_si256(_mm256_srli_epi16::<4>(block), below);
            let pairs = [_mm512_cvtepu8_epi16(first), _mm512_cvtepu8_epi16(second)];
            add_products(sums.as_mut_ptr().add(at), &pairs, x.as_ptr());
        }
        at += OUTPUTS;
    }
}

/// The caller has checked the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub fn eight_packed(sums: &mut [i32], fours: [&[i8]; 2], x: &[[i32; 4]]) {
    let width = fours[0].len() / 4;
    let mut at = 0;
    while at < width {
        // SAFETY: a block has sixteen outputs, of which `at` is the first.
        let pairs = unsafe {
            let (four, other) = (
                fours[0].as_ptr().add(at / OUTPUTS * BLOCK),
                fours[1].as_ptr().add(at / OUTPUTS * BLOCK),
            );
            [
                words_at(four),
                words_at(four.add(2 * OUTPUTS)),
                words_at(other),
                words_at(other.add(2 * OUTPUTS)),
            ]
        };
        let mut r = 0;
        while r < x.len() {
            // SAFETY: there are `width` sums for each row, sixteen of them from `at` on.
            unsafe { add_products(sums.as_mut_ptr().add(r * width + at), &pairs, x[r].as_ptr()) };
            r += 1;
        }
        at += OUTPUTS;
    }
}

/// The caller has checked the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub fn dot_one(x: &[i16], w: &[i8]) -> i32 {
    let whole = w.len() / WORDS * WORDS;
    let (mut sum, mut other) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let mut at = 0;
    while at + WORDS < whole {
        // SAFETY: twice 32 numbers lie there, of either.
        unsafe {
            let (w, x) = (w.as_ptr().add(at), x.as_ptr().add(at));
            sum = _mm512_dpwssd_epi32(sum, words_at(w), _mm512_loadu_si512(x.cast()));
            other = _mm512_dpwssd_epi32(other, words_at(w.add(WORDS)), _mm512_loadu_si512(x.add(WORDS).cast()));
        }
        at += 2 * WORDS;
    }
    if at < whole {
        // SAFETY: 32 numbers lie there, of either.
        let (w, x) = unsafe { (words_at(w.as_ptr().add(at)), _mm512_loadu_si512(x.as_ptr().add(at).cast())) };
        sum = _mm512_dpwssd_epi32(sum, w, x);
    }
    dot_one_from(whole, x, w) + _mm512_reduce_add_epi32(_mm512_add_epi32(sum, other))
}

/// The caller has checked the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub fn dot_each(x: &[i16], w: &[i8], stride: usize, out: &mut [f32]) {
    let mut v = 0;
    while v < out.len() {
        out[v] = dot_one(x, &w[v * stride..][..x.len()]) as f32;
        v += 1;
    }
}

/// The caller has checked the lengths.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub fn dot<const R: usize>(x: [&[i16]; R], w: [&[i8]; 2]) -> [[i32; 2]; R] {
    let whole = w[0].len() / WORDS * WORDS;
    let mut sums = [[_mm512_setzero_si512(); 2]; R];
    let mut at = 0;
    while at < whole {
        // SAFETY: 32 weights lie there, of either row.
        let (first, second) = unsafe { (words_at(w[0].as_ptr().add(at)), words_at(w[1].as_ptr().add(at))) };
        let mut r = 0;
        while r < R {
            // SAFETY: 32 inputs lie there.
            let x = unsafe { _mm512_loadu_si512(x[r].as_ptr().add(at).cast()) };
            sums[r][0] = _mm512_dpwssd_epi32(sums[r][0], first, x);
            sums[r][1] = _mm512_dpwssd_epi32(sums[r][1], second, x);
            r += 1;
        }
        at += WORDS;
    }
    let mut out = dot_from(whole, x, w);
    let mut r = 0;
    while r < R {
        out[r][0] += _mm512_reduce_add_epi32(sums[r][0]);
        out[r][1] += _mm512_reduce_add_epi32(sums[r][1]);
        r += 1;
    }
    out
}
