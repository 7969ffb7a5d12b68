//! Sums of products of 16-bit with 8-bit numbers, in i32. All of them are exact, so that no order counts.

/// Sums of one row of inputs that are made at once.
#[cfg(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))]
const AT_ONCE: usize = 16;

/// Outputs of a block of packed weights (`packed.rs`), and its bytes.
pub const OUTPUTS: usize = 16;
pub const BLOCK: usize = 4 * OUTPUTS;

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

/// [`eight_rows`] of the outputs from `from` on.
#[inline(always)]
fn eight_rows_from(from: usize, sums: &mut [i32], w: [&[i8]; 8], x: &[[i32; 4]]) {
    let [w0, w1, w2, w3, w4, w5, w6, w7] = w;
    for (sums, x) in sums.chunks_exact_mut(w0.len()).zip(x) {
        four_rows_from(from, sums, [w0, w1, w2, w3], [x[0], x[1]]);
        four_rows_from(from, sums, [w4, w5, w6, w7], [x[2], x[3]]);
    }
}

/// [`dot`] of the inputs from `from` on.
#[inline(always)]
fn dot_from<const R: usize>(from: usize, x: [&[i16]; R], w: [&[i8]; 2]) -> [[i32; 2]; R] {
    x.map(|x| {
        w.map(|w| {
            let products = x[from..].iter().zip(&w[from..]);
            products.map(|(x, w)| i32::from(*x) * i32::from(*w)).sum()
        })
    })
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

/// `sums[r, o] += Σ_j x[r]_j · w_j[o]` over eight rows of weights, all of one length, for each row `r` of inputs; `x[r]` are four pairs.
pub fn eight_rows(sums: &mut [i32], w: [&[i8]; 8], x: &[[i32; 4]]) {
    assert!(w.iter().all(|row| row.len() == w[0].len()) && sums.len() == x.len() * w[0].len());
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return wide::eight_rows(sums, w, x);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was just detected.
        return unsafe { wide::eight_rows(sums, w, x) };
    }
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    eight_rows_from(0, sums, w, x);
}

/// `Σ_i x[r][i] · w[v][i]` of `R` rows of inputs with two of weights, all of one length.
pub fn dot<const R: usize>(x: [&[i16]; R], w: [&[i8]; 2]) -> [[i32; 2]; R] {
    assert!(x.iter().all(|row| row.len() == w[0].len()) && w[1].len() == w[0].len());
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

/// `Σ_i x[i] · w[i]`, of one length.
pub fn dot_one(x: &[i16], w: &[i8]) -> i32 {
    assert!(x.len() == w.len());
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return wide::dot_one(x, w);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was just detected.
        return unsafe { wide::dot_one(x, w) };
    }
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    dot_one_from(0, x, w)
}

/// [`dot_one`] of the inputs from `from` on.
#[inline(always)]
fn dot_one_from(from: usize, x: &[i16], w: &[i8]) -> i32 {
    let products = x[from..].iter().zip(&w[from..]);
    products.map(|(x, w)| i32::from(*x) * i32::from(*w)).sum()
}

/// `sums[o] += Σ_j x_j · w_j[o]` over four inputs, whose weights are packed; `x` are two pairs.
pub fn four_packed(sums: &mut [i32], blocks: &[i8], x: [i32; 2]) {
    assert!(sums.len().is_multiple_of(OUTPUTS) && blocks.len() == 4 * sums.len());
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return wide::four_packed(sums, blocks, x);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was just detected.
        return unsafe { wide::four_packed(sums, blocks, x) };
    }
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    four_packed_portable(sums, blocks, x);
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
fn four_packed_portable(sums: &mut [i32], blocks: &[i8], x: [i32; 2]) {
    let sixteens = sums.as_chunks_mut::<OUTPUTS>().0.iter_mut();
    for (sums, block) in sixteens.zip(blocks.as_chunks::<BLOCK>().0) {
        for (x, weights) in x.map(halves).iter().zip(block.as_chunks::<{ 2 * OUTPUTS }>().0) {
            for (sum, [a, b]) in sums.iter_mut().zip(weights.as_chunks::<2>().0) {
                *sum += x[0] * i32::from(*a) + x[1] * i32::from(*b);
            }
        }
    }
}

/// `sums[r, o] += Σ_j x[r]_j · w_j[o]` over eight inputs, whose weights are packed in two fours, for each row `r` of inputs; `x[r]` are four
/// pairs.
pub fn eight_packed(sums: &mut [i32], fours: [&[i8]; 2], x: &[[i32; 4]]) {
    let width = fours[0].len() / 4;
    assert!(width.is_multiple_of(OUTPUTS) && fours[1].len() == 4 * width && fours[0].len() == 4 * width);
    assert!(sums.len() == x.len() * width);
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return wide::eight_packed(sums, fours, x);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was just detected.
        return unsafe { wide::eight_packed(sums, fours, x) };
    }
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    for (sums, x) in sums.chunks_exact_mut(width.max(1)).zip(x) {
        four_packed_portable(sums, fours[0], [x[0], x[1]]);
        four_packed_portable(sums, fours[1], [x[2], x[3]]);
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wide {
    use std::arch::wasm32::{
        i16x8_extend_high_i8x16, i16x8_extend_low_i8x16, i16x8_load_extend_i8x8, i32x4_add, i32x4_dot_i16x8,
        i32x4_extract_lane, i32x4_splat, i8x16_shuffle, v128, v128_load, v128_load32_splat, v128_load64_zero,
        v128_store,
    };

    use super::{dot_from, dot_one_from, eight_rows_from, four_rows_from, AT_ONCE, BLOCK, OUTPUTS};

    /// Inputs, or outputs, of a register of weights.
    const LANES: usize = 8;

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

    /// The caller has checked the lengths.
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

    /// The caller has checked the lengths.
    pub fn dot_one(x: &[i16], w: &[i8]) -> i32 {
        let whole = w.len() / (2 * LANES) * 2 * LANES;
        let mut sums = [i32x4_splat(0); 2];
        for at in (0..whole).step_by(2 * LANES) {
            for (half, sum) in sums.iter_mut().enumerate() {
                let at = at + LANES * half;
                // SAFETY: eight numbers lie there, of either.
                let (w, x) = unsafe { (i16x8_load_extend_i8x8(w.as_ptr().add(at)), v128_load(x.as_ptr().add(at).cast())) };
                *sum = i32x4_add(*sum, i32x4_dot_i16x8(w, x));
            }
        }
        let sum = i32x4_add(sums[0], sums[1]);
        dot_one_from(whole, x, w)
            + i32x4_extract_lane::<0>(sum)
            + i32x4_extract_lane::<1>(sum)
            + i32x4_extract_lane::<2>(sum)
            + i32x4_extract_lane::<3>(sum)
    }

    /// The caller has checked the lengths.
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
                *out += i32x4_extract_lane::<0>(sum)
                    + i32x4_extract_lane::<1>(sum)
                    + i32x4_extract_lane::<2>(sum)
                    + i32x4_extract_lane::<3>(sum);
            }
        }
        out
    }
}

/// Loops by index and pointers: the standard library's iterators are compiled without these instructions, and where the compiler does not inline
/// them, registers go through memory at each step.
#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32,
        _mm256_setzero_si256, _mm256_storeu_si256, _mm_loadu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8,
    };

    use super::{dot_from, dot_one_from, eight_rows_from, four_rows_from, AT_ONCE, BLOCK, OUTPUTS};

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

    #[target_feature(enable = "avx2")]
    pub fn four_rows(sums: &mut [i32], w: [&[i8]; 4], x: [i32; 2]) {
        let whole = sums.len() / AT_ONCE * AT_ONCE;
        assert!(w[0].len() >= whole && w[1].len() >= whole && w[2].len() >= whole && w[3].len() >= whole);
        let (w0, w1, w2, w3) = (w[0].as_ptr(), w[1].as_ptr(), w[2].as_ptr(), w[3].as_ptr());
        let mut at = 0;
        while at < whole {
            // SAFETY: sixteen numbers lie from `at` on in each row, and sixteen sums.
            unsafe {
                let pairs = [pairs_at(w0.add(at), w1.add(at)), pairs_at(w2.add(at), w3.add(at))];
                add_products(sums.as_mut_ptr().add(at), &pairs, x.as_ptr());
            }
            at += AT_ONCE;
        }
        four_rows_from(whole, sums, w, x);
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
}
