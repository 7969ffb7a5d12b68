//! Sums of products of 16-bit with 8-bit numbers, in i32. All of them are exact, so that no order counts.

/// Rows of a tile of [`tiles`].
pub const ROWS: usize = 4;
/// Outputs of a strip: two registers of sums a row.
pub const OUTS: usize = if cfg!(target_arch = "wasm32") { 8 } else { 16 };
/// Weights that are read at once.
const AT_ONCE: usize = 16;

type Tile = [[i32; OUTS]; ROWS];

/// The two inputs of a pair.
#[inline(always)]
fn halves(pair: i32) -> [i32; 2] {
    [i32::from(pair as i16), pair >> 16]
}

/// `sums[o] += Σ_j x_j · w_j[o]` over four rows of weights; `x` are two pairs.
#[inline(always)]
fn four_rows_from(from: usize, sums: &mut [i32], w: [&[i8]; 4], x: [i32; 2]) {
    let ([x0, x1], [x2, x3]) = (halves(x[0]), halves(x[1]));
    let [w0, w1, w2, w3] = w.map(|w| &w[from..]);
    for ((((sum, w0), w1), w2), w3) in sums[from..].iter_mut().zip(w0).zip(w1).zip(w2).zip(w3) {
        *sum += x0 * i32::from(*w0) + x1 * i32::from(*w1) + x2 * i32::from(*w2) + x3 * i32::from(*w3);
    }
}

#[inline(always)]
fn dot_from(from: usize, x: &[i16], w: &[i8]) -> i32 {
    let products = x[from..].iter().zip(&w[from..]);
    products.map(|(x, w)| i32::from(*x) * i32::from(*w)).sum()
}

#[cfg_attr(all(target_arch = "wasm32", target_feature = "simd128"), expect(dead_code, reason = "the wide one is used"))]
fn tiles_portable(x: &[[i32; ROWS]], strip: &[[i16; 2 * OUTS]]) -> Tile {
    let mut sums = [[0; OUTS]; ROWS];
    for (x, w) in x.iter().zip(strip) {
        for (sums, x) in sums.iter_mut().zip(x) {
            let [first, second] = halves(*x);
            for (sum, w) in sums.iter_mut().zip(w.as_chunks::<2>().0) {
                *sum += first * i32::from(w[0]) + second * i32::from(w[1]);
            }
        }
    }
    sums
}

/// `sums[o] += Σ_j x_j · w_j[o]` over four rows of weights; `x` are two pairs.
pub fn four_rows(sums: &mut [i32], w: [&[i8]; 4], x: [i32; 2]) {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return wide::four_rows(sums, w, x);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was just detected.
        return unsafe { wide::four_rows(sums, w, x) };
    }
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    four_rows_from(0, sums, w, x);
}

/// `Σ_i x[i] · w[i]` over the shorter length.
pub fn dot(x: &[i16], w: &[i8]) -> i32 {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return wide::dot(x, w);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was just detected.
        return unsafe { wide::dot(x, w) };
    }
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    dot_from(0, x, w)
}

/// Four rows, `[pair, row]`, times a strip `[pair, output, input of the pair]`.
pub fn tiles(x: &[[i32; ROWS]], strip: &[[i16; 2 * OUTS]]) -> Tile {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return wide::tiles(x, strip);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was just detected.
        return unsafe { wide::tiles(x, strip) };
    }
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    tiles_portable(x, strip)
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wide {
    use std::arch::wasm32::{
        i16x8_extend_high_i8x16, i16x8_extend_low_i8x16, i32x4_add, i32x4_dot_i16x8, i32x4_extract_lane, i32x4_splat,
        i8x16_shuffle, v128, v128_load, v128_store,
    };

    use super::{dot_from, four_rows_from, Tile, AT_ONCE, OUTS, ROWS};

    /// Sixteen bytes, or eight words.
    fn load<T>(numbers: &[T]) -> v128 {
        assert!(size_of_val(numbers) >= 16);
        // SAFETY: sixteen bytes lie there.
        unsafe { v128_load(numbers.as_ptr().cast()) }
    }

    pub fn four_rows(sums: &mut [i32], w: [&[i8]; 4], x: [i32; 2]) {
        let pairs_of_x = [i32x4_splat(x[0]), i32x4_splat(x[1])];
        let (parts, _) = sums.as_chunks_mut::<AT_ONCE>();
        for (number, sums) in parts.iter_mut().enumerate() {
            let at = number * AT_ONCE;
            let mut added = [i32x4_splat(0); 4];
            for (j, x) in pairs_of_x.into_iter().enumerate() {
                let (a, b) = (load(&w[2 * j][at..at + AT_ONCE]), load(&w[2 * j + 1][at..at + AT_ONCE]));
                let low = i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(a, b);
                let high = i8x16_shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(a, b);
                let pairs = [
                    i16x8_extend_low_i8x16(low),
                    i16x8_extend_high_i8x16(low),
                    i16x8_extend_low_i8x16(high),
                    i16x8_extend_high_i8x16(high),
                ];
                for (added, pairs) in added.iter_mut().zip(pairs) {
                    *added = i32x4_add(*added, i32x4_dot_i16x8(pairs, x));
                }
            }
            for (sums, added) in sums.as_chunks_mut::<4>().0.iter_mut().zip(added) {
                let sum = i32x4_add(load(sums), added);
                // SAFETY: four sums lie there.
                unsafe { v128_store(sums.as_mut_ptr().cast(), sum) };
            }
        }
        four_rows_from(sums.len() / AT_ONCE * AT_ONCE, sums, w, x);
    }

    pub fn dot(x: &[i16], w: &[i8]) -> i32 {
        let n = x.len().min(w.len());
        let (x, w) = (&x[..n], &w[..n]);
        let mut sums = [i32x4_splat(0); 2];
        for (x, w) in x.chunks_exact(AT_ONCE).zip(w.chunks_exact(AT_ONCE)) {
            let w = load(w);
            sums[0] = i32x4_add(sums[0], i32x4_dot_i16x8(i16x8_extend_low_i8x16(w), load(&x[..8])));
            sums[1] = i32x4_add(sums[1], i32x4_dot_i16x8(i16x8_extend_high_i8x16(w), load(&x[8..])));
        }
        let sum = i32x4_add(sums[0], sums[1]);
        let lanes = i32x4_extract_lane::<0>(sum)
            + i32x4_extract_lane::<1>(sum)
            + i32x4_extract_lane::<2>(sum)
            + i32x4_extract_lane::<3>(sum);
        lanes + dot_from(n / AT_ONCE * AT_ONCE, x, w)
    }

    pub fn tiles(x: &[[i32; ROWS]], strip: &[[i16; 2 * OUTS]]) -> Tile {
        let mut sums = [[i32x4_splat(0); 2]; ROWS];
        for (x, w) in x.iter().zip(strip) {
            let w = [load(&w[..8]), load(&w[8..])];
            for (sums, x) in sums.iter_mut().zip(x) {
                let x = i32x4_splat(*x);
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = i32x4_add(*sum, i32x4_dot_i16x8(w, x));
                }
            }
        }
        let mut out = [[0; OUTS]; ROWS];
        for (out, sums) in out.iter_mut().zip(sums) {
            for (out, sum) in out.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
                // SAFETY: four sums lie there.
                unsafe { v128_store(out.as_mut_ptr().cast(), sum) };
            }
        }
        out
    }
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32,
        _mm256_setzero_si256, _mm256_storeu_si256, _mm_loadu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8,
    };

    use super::{dot_from, four_rows_from, Tile, AT_ONCE, OUTS, ROWS};

    #[target_feature(enable = "avx2")]
    pub fn four_rows(sums: &mut [i32], w: [&[i8]; 4], x: [i32; 2]) {
        let length = sums.len();
        let w = w.map(|w| &w[..length]);
        let (parts, _) = sums.as_chunks_mut::<AT_ONCE>();
        let pairs_of_x = [_mm256_set1_epi32(x[0]), _mm256_set1_epi32(x[1])];
        for (number, sums) in parts.iter_mut().enumerate() {
            let at = number * AT_ONCE;
            let mut added = [_mm256_setzero_si256(); 2];
            for (j, x) in pairs_of_x.into_iter().enumerate() {
                // SAFETY: a row has as many numbers as there are sums, and sixteen sums lie from `at` on.
                let (a, b) = unsafe {
                    (
                        _mm_loadu_si128(w[2 * j].as_ptr().add(at).cast()),
                        _mm_loadu_si128(w[2 * j + 1].as_ptr().add(at).cast()),
                    )
                };
                let pairs = [_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)];
                for (added, pairs) in added.iter_mut().zip(pairs) {
                    *added = _mm256_add_epi32(*added, _mm256_madd_epi16(_mm256_cvtepi8_epi16(pairs), x));
                }
            }
            for (sums, added) in sums.as_chunks_mut::<8>().0.iter_mut().zip(added) {
                let at: *mut __m256i = sums.as_mut_ptr().cast();
                // SAFETY: eight sums lie there.
                unsafe { _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), added)) };
            }
        }
        four_rows_from(length / AT_ONCE * AT_ONCE, sums, w, x);
    }

    #[target_feature(enable = "avx2")]
    pub fn dot(x: &[i16], w: &[i8]) -> i32 {
        let n = x.len().min(w.len());
        let (x, w) = (&x[..n], &w[..n]);
        let mut sums = _mm256_setzero_si256();
        for (x, w) in x.chunks_exact(AT_ONCE).zip(w.chunks_exact(AT_ONCE)) {
            // SAFETY: sixteen numbers lie there, of either.
            let (x, w) = unsafe { (_mm256_loadu_si256(x.as_ptr().cast()), _mm_loadu_si128(w.as_ptr().cast())) };
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_cvtepi8_epi16(w), x));
        }
        let mut lanes = [0i32; 8];
        // SAFETY: eight sums lie there.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), sums) };
        lanes.iter().sum::<i32>() + dot_from(n / AT_ONCE * AT_ONCE, x, w)
    }

    #[target_feature(enable = "avx2")]
    pub fn tiles(x: &[[i32; ROWS]], strip: &[[i16; 2 * OUTS]]) -> Tile {
        let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
        for (x, w) in x.iter().zip(strip) {
            // SAFETY: 32 numbers lie there.
            let w = unsafe { [0, 16].map(|at| _mm256_loadu_si256(w.as_ptr().add(at).cast())) };
            for (sums, x) in sums.iter_mut().zip(x) {
                let x = _mm256_set1_epi32(*x);
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(w, x));
                }
            }
        }
        let mut out = [[0; OUTS]; ROWS];
        for (out, sums) in out.iter_mut().zip(sums) {
            for (out, sum) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                // SAFETY: eight sums lie there.
                unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), sum) };
            }
        }
        out
    }
}
