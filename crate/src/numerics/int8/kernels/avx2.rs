//! The sums of `kernels.rs` in registers of 256 bits.
//!
//! Loops by index and pointers: the standard library's iterators are compiled without these instructions, and where the compiler does not inline
//! them, registers go through memory at each step.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi16,
    _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32, _mm256_set1_epi8,
    _mm256_setzero_si256, _mm256_srli_epi16, _mm256_storeu_si256, _mm_loadu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8,
};

use super::{dot_from, dot_one_from, eight_rows_from, picked_from, Four, AT_ONCE, BLOCK, OUTPUTS};

/// Two rows of sixteen weights → eight outputs of pairs, and eight more.
///
/// # Safety
/// Sixteen weights lie there, of either.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn pairs_at(a: *const i8, b: *const i8) -> [__m256i; 2] {
    // SAFETY: as the caller says.
    let (a, b) = unsafe { (_mm_loadu_si128(a.cast()), _mm_loadu_si128(b.cast())) };
    [
        _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b)),
        _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(a, b)),
    ]
}

/// Sixteen sums and the products of `pairs` with two inputs each.
///
/// # Safety
/// Sixteen sums lie there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn add_products<const PAIRS: usize>(sums: *mut i32, pairs: &[[__m256i; 2]; PAIRS], x: *const i32) {
    let sums: *mut __m256i = sums.cast();
    // SAFETY: as the caller says.
    let (mut low, mut high) = unsafe { (_mm256_loadu_si256(sums), _mm256_loadu_si256(sums.add(1))) };
    let mut j = 0;
    while j < PAIRS {
        // SAFETY: there is an input for each of them.
        let x = _mm256_set1_epi32(unsafe { *x.add(j) });
        low = _mm256_add_epi32(low, _mm256_madd_epi16(pairs[j][0], x));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(pairs[j][1], x));
        j += 1;
    }
    // SAFETY: as the caller says.
    unsafe {
        _mm256_storeu_si256(sums, low);
        _mm256_storeu_si256(sums.add(1), high);
    }
}

/// The caller has checked the lengths.
#[target_feature(enable = "avx2")]
pub fn picked(sums: &mut [i32], w: &[i8], fours: &[Four]) {
    let whole = sums.len() / AT_ONCE * AT_ONCE;
    let mut at = 0;
    while at < whole {
        let (mut low, mut high) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        let mut number = 0;
        while number < fours.len() {
            let four = &fours[number];
            let mut j = 0;
            while j < 2 {
                // SAFETY: sixteen numbers lie there, of each row.
                let pairs = unsafe {
                    let row = |row: usize| w.as_ptr().add(four.at[row] + at);
                    pairs_at(row(2 * j), row(2 * j + 1))
                };
                let x = _mm256_set1_epi32(four.x[j]);
                low = _mm256_add_epi32(low, _mm256_madd_epi16(pairs[0], x));
                high = _mm256_add_epi32(high, _mm256_madd_epi16(pairs[1], x));
                j += 1;
            }
            number += 1;
        }
        // SAFETY: sixteen sums lie from `at` on.
        unsafe {
            let sums: *mut __m256i = sums.as_mut_ptr().add(at).cast();
            _mm256_storeu_si256(sums, low);
            _mm256_storeu_si256(sums.add(1), high);
        }
        at += AT_ONCE;
    }
    picked_from(whole, sums, w, fours);
}

/// The caller has checked the lengths.
#[target_feature(enable = "avx2")]
pub fn eight_rows(sums: &mut [i32], w: [&[i8]; 8], x: &[[i32; 4]]) {
    let width = w[0].len();
    let whole = width / AT_ONCE * AT_ONCE;
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
        at += AT_ONCE;
    }
    eight_rows_from(whole, sums, w, x);
}

/// A pair of inputs of a block: eight outputs, and eight more.
///
/// # Safety
/// They lie there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn packed_at(pair: *const i8) -> [__m256i; 2] {
    // SAFETY: as the caller says.
    unsafe { [sixteen(pair), sixteen(pair.add(OUTPUTS))] }
}

/// The caller has checked the lengths.
#[target_feature(enable = "avx2")]
pub fn four_packed(sums: &mut [i32], blocks: &[i8], x: [i32; 2]) {
    let mut at = 0;
    while at < sums.len() {
        // SAFETY: a block has sixteen outputs, of which `at` is the first.
        unsafe {
            let block = blocks.as_ptr().add(at / OUTPUTS * BLOCK);
            let pairs = [packed_at(block), packed_at(block.add(2 * OUTPUTS))];
            add_products(sums.as_mut_ptr().add(at), &pairs, x.as_ptr());
        }
        at += OUTPUTS;
    }
}

/// The caller has checked the lengths.
#[target_feature(enable = "avx2")]
pub fn four_nibbles(sums: &mut [i32], blocks: &[u8], x: [i32; 2]) {
    let below = _mm256_set1_epi8(15);
    let mut at = 0;
    while at < sums.len() {
        // SAFETY: a block has sixteen outputs, of which `at` is the first.
        unsafe {
            let block = _mm256_loadu_si256(blocks.as_ptr().add(at / OUTPUTS * BLOCK / 2).cast());
            let first = _mm256_and_si256(block, below);
            let second = _mm256_and_si256(_mm256_srli_epi16::<4>(block), below);
            let pairs = [words_of(first), words_of(second)];
            add_products(sums.as_mut_ptr().add(at), &pairs, x.as_ptr());
        }
        at += OUTPUTS;
    }
}

/// Bytes as words.
#[inline]
#[target_feature(enable = "avx2")]
fn words_of(bytes: __m256i) -> [__m256i; 2] {
    [
        _mm256_cvtepu8_epi16(_mm256_castsi256_si128(bytes)),
        _mm256_cvtepu8_epi16(_mm256_extracti128_si256::<1>(bytes)),
    ]
}

/// The caller has checked the lengths.
#[target_feature(enable = "avx2")]
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
                packed_at(four),
                packed_at(four.add(2 * OUTPUTS)),
                packed_at(other),
                packed_at(other.add(2 * OUTPUTS)),
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
#[target_feature(enable = "avx2")]
pub fn dot_one(x: &[i16], w: &[i8]) -> i32 {
    let whole = w.len() / (2 * AT_ONCE) * 2 * AT_ONCE;
    let (mut sum, mut other) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    let mut at = 0;
    while at < whole {
        // SAFETY: twice sixteen numbers lie there, of either.
        unsafe {
            let (w, x) = (w.as_ptr().add(at), x.as_ptr().add(at));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(sixteen(w), _mm256_loadu_si256(x.cast())));
            let (w, x) = (sixteen(w.add(AT_ONCE)), _mm256_loadu_si256(x.add(AT_ONCE).cast()));
            other = _mm256_add_epi32(other, _mm256_madd_epi16(w, x));
        }
        at += 2 * AT_ONCE;
    }
    dot_one_from(whole, x, w) + total(&_mm256_add_epi32(sum, other))
}

/// The caller has checked the lengths.
#[target_feature(enable = "avx2")]
pub fn dot_each(x: &[i16], w: &[i8], stride: usize, out: &mut [f32]) {
    let mut v = 0;
    while v < out.len() {
        out[v] = dot_one(x, &w[v * stride..][..x.len()]) as f32;
        v += 1;
    }
}

/// The caller has checked the lengths.
#[target_feature(enable = "avx2")]
pub fn dot<const R: usize>(x: [&[i16]; R], w: [&[i8]; 2]) -> [[i32; 2]; R] {
    let whole = w[0].len() / AT_ONCE * AT_ONCE;
    let mut sums = [[_mm256_setzero_si256(); 2]; R];
    let mut at = 0;
    while at < whole {
        // SAFETY: sixteen weights lie there, of either row.
        let (first, second) = unsafe { (sixteen(w[0].as_ptr().add(at)), sixteen(w[1].as_ptr().add(at))) };
        let mut r = 0;
        while r < R {
            // SAFETY: sixteen inputs lie there.
            let x = unsafe { _mm256_loadu_si256(x[r].as_ptr().add(at).cast()) };
            sums[r][0] = _mm256_add_epi32(sums[r][0], _mm256_madd_epi16(first, x));
            sums[r][1] = _mm256_add_epi32(sums[r][1], _mm256_madd_epi16(second, x));
            r += 1;
        }
        at += AT_ONCE;
    }
    let mut out = dot_from(whole, x, w);
    let mut r = 0;
    while r < R {
        out[r][0] += total(&sums[r][0]);
        out[r][1] += total(&sums[r][1]);
        r += 1;
    }
    out
}

/// Sixteen weights, widened.
///
/// # Safety
/// They lie there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn sixteen(w: *const i8) -> __m256i {
    // SAFETY: as the caller says.
    _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(w.cast()) })
}

/// The sum of eight.
#[inline]
#[target_feature(enable = "avx2")]
fn total(sums: &__m256i) -> i32 {
    let mut lanes = [0i32; 8];
    // SAFETY: eight sums fit there.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), *sums) };
    let [a, b, c, d, e, f, g, h] = lanes;
    a + b + c + d + e + f + g + h
}
