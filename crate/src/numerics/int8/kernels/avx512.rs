//! The sums of `kernels.rs` in registers of 512 bits, with the instruction that multiplies pairs and adds them up (VNNI).
//!
//! Loops by index and pointers, as in `avx2.rs`.

use std::arch::x86_64::{
    __m512i, _mm256_and_si256, _mm256_loadu_si256, _mm256_set1_epi8, _mm256_set_m128i, _mm256_srli_epi16,
    _mm512_add_epi32, _mm512_cvtepi8_epi16, _mm512_cvtepu8_epi16, _mm512_dpbusd_epi32, _mm512_dpwssd_epi32,
    _mm512_loadu_si512, _mm512_mask_storeu_epi32, _mm512_maskz_loadu_epi8, _mm512_reduce_add_epi32, _mm512_set1_epi32, _mm512_set1_epi8,
    _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_slli_epi32, _mm512_storeu_si512, _mm512_unpackhi_epi16, _mm512_unpackhi_epi8,
    _mm512_unpacklo_epi16, _mm512_unpacklo_epi8, _mm512_xor_si512, _mm_loadu_si128, _mm_unpackhi_epi8,
    _mm_unpacklo_epi8,
};

use super::{dot_from, dot_one_from, eight_rows_from, Four, BLOCK, OUTPUTS};
use crate::numerics::dispatch::fetch;

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

/// Outputs that [`picked`] makes at a time: the bytes of a register, and of a line of a cache.
const LINE: usize = 64;

/// The caller has checked the lengths.
///
/// One instruction multiplies four unsigned bytes by four signed ones and adds them up. Weights become unsigned by adding 128, which is taken
/// back at the end; inputs of 15 bits are 128 times their upper eight plus their lower seven. What overflows on the way comes back.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub fn picked(sums: &mut [i32], w: &[i8], fours: &[Four]) {
    let mut all = 0i32;
    let mut parts = Vec::with_capacity(fours.len());
    for four in fours {
        let x = [four.x[0] as i16, (four.x[0] >> 16) as i16, four.x[1] as i16, (four.x[1] >> 16) as i16];
        all += x.iter().map(|x| i32::from(*x)).sum::<i32>();
        let bytes = |of: fn(i16) -> i16| i32::from_le_bytes(x.map(|x| of(x) as u8));
        parts.push([bytes(|x| x >> 7), bytes(|x| x & 127)]);
    }
    let back = _mm512_set1_epi32(all.wrapping_mul(-128));
    let ahead = |four: &Four, at: usize| {
        for row in four.at {
            fetch(w.as_ptr().wrapping_add(row + at));
        }
    };
    fours.iter().for_each(|four| ahead(four, 0));
    let mut at = 0;
    while at < sums.len() {
        let width = LINE.min(sums.len() - at);
        let mask = u64::MAX >> (LINE - width);
        let (mut upper, mut lower) = ([_mm512_setzero_si512(); 4], [back; 4]);
        let mut number = 0;
        while number < fours.len() {
            let four = &fours[number];
            ahead(four, at + LINE);
            // SAFETY: `width` weights lie there, of each row.
            let [a, b, c, d] = unsafe {
                let row = |row: usize| {
                    let weights = _mm512_maskz_loadu_epi8(mask, w.as_ptr().add(four.at[row] + at));
                    _mm512_xor_si512(weights, _mm512_set1_epi8(-128))
                };
                [row(0), row(1), row(2), row(3)]
            };
            let (low, high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
            let (low_other, high_other) = (_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d));
            // In each quarter of a register: outputs 0 to 3 of its sixteen, 4 to 7, and so on.
            let weights = [
                _mm512_unpacklo_epi16(low, low_other),
                _mm512_unpackhi_epi16(low, low_other),
                _mm512_unpacklo_epi16(high, high_other),
                _mm512_unpackhi_epi16(high, high_other),
            ];
            let (x, y) = (_mm512_set1_epi32(parts[number][0]), _mm512_set1_epi32(parts[number][1]));
            let mut j = 0;
            while j < 4 {
                upper[j] = _mm512_dpbusd_epi32(upper[j], weights[j], x);
                lower[j] = _mm512_dpbusd_epi32(lower[j], weights[j], y);
                j += 1;
            }
            number += 1;
        }
        let total = |j: usize| _mm512_add_epi32(_mm512_slli_epi32::<7>(upper[j]), lower[j]);
        // Register j has the quarter j of each sixteen outputs: a turned square of quarters.
        let (a, b, c, d) = (total(0), total(1), total(2), total(3));
        let (ab, ab_end) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0xee>(a, b));
        let (cd, cd_end) = (_mm512_shuffle_i32x4::<0x44>(c, d), _mm512_shuffle_i32x4::<0xee>(c, d));
        let turned = [
            _mm512_shuffle_i32x4::<0x88>(ab, cd),
            _mm512_shuffle_i32x4::<0xdd>(ab, cd),
            _mm512_shuffle_i32x4::<0x88>(ab_end, cd_end),
            _mm512_shuffle_i32x4::<0xdd>(ab_end, cd_end),
        ];
        let mut j = 0;
        while SUMS * j < width {
            let mask = u16::MAX >> SUMS.saturating_sub(width - SUMS * j);
            // SAFETY: of the sixteen sums those that the mask lets through lie there.
            unsafe { _mm512_mask_storeu_epi32(sums.as_mut_ptr().add(at + SUMS * j), mask, turned[j]) };
            j += 1;
        }
        at += LINE;
    }
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

/// Rows of weights of [`dot_each`] at a time.
const STREAMS: usize = 2;

/// The caller has checked the lengths. Bytes are multiplied as in [`picked`]: half the work of words. Two rows that lie far from each other go
/// together: more of either is on its way while the sums of the other wait.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub fn dot_each(x: &[i16], w: &[i8], stride: usize, out: &mut [f32]) {
    let (whole, count) = (x.len() / LINE * LINE, out.len() / STREAMS);
    let of_x = |of: fn(i16) -> i16| -> Vec<i8> { x[..whole].iter().map(|x| of(*x) as i8).collect() };
    let (upper, lower) = (of_x(|x| x >> 7), of_x(|x| x & 127));
    let back = x[..whole].iter().map(|x| i32::from(*x)).sum::<i32>().wrapping_mul(-128);
    let mut v = 0;
    while v < count {
        let rows: [&[i8]; STREAMS] = std::array::from_fn(|stream| &w[(stream * count + v) * stride..][..x.len()]);
        let mut sums = [[_mm512_setzero_si512(); 2]; STREAMS];
        let mut at = 0;
        while at < whole {
            // SAFETY: 64 bytes lie there, of inputs and of either row.
            let (upper, lower) = unsafe {
                (_mm512_loadu_si512(upper.as_ptr().add(at).cast()), _mm512_loadu_si512(lower.as_ptr().add(at).cast()))
            };
            let mut stream = 0;
            while stream < STREAMS {
                // SAFETY: likewise.
                let weights = unsafe { _mm512_loadu_si512(rows[stream].as_ptr().add(at).cast()) };
                let weights = _mm512_xor_si512(weights, _mm512_set1_epi8(-128));
                sums[stream][0] = _mm512_dpbusd_epi32(sums[stream][0], weights, upper);
                sums[stream][1] = _mm512_dpbusd_epi32(sums[stream][1], weights, lower);
                stream += 1;
            }
            at += LINE;
        }
        let mut stream = 0;
        while stream < STREAMS {
            let total = _mm512_add_epi32(_mm512_slli_epi32::<7>(sums[stream][0]), sums[stream][1]);
            let total = _mm512_reduce_add_epi32(total).wrapping_add(back);
            out[stream * count + v] = total.wrapping_add(dot_one_from(whole, x, rows[stream])) as f32;
            stream += 1;
        }
        v += 1;
    }
    for (v, out) in out.iter_mut().enumerate().skip(STREAMS * count) {
        *out = dot_one(x, &w[v * stride..][..x.len()]) as f32;
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
