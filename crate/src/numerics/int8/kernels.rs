//! Sums of products of 16-bit with 8-bit numbers, in i32. All of them are exact, so that no order counts.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(test)]
mod tests;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm128;

#[cfg(target_arch = "x86_64")]
use crate::numerics::dispatch::has_vnni;

/// Returns the sums of the widest registers that the machine has, if they are wider than what the compiler takes by itself. The caller has
/// checked the lengths.
macro_rules! widest {
    ($name:ident($($arg:expr),*)) => {
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        return wasm128::$name($($arg),*);
        #[cfg(target_arch = "x86_64")]
        if has_vnni() {
            // SAFETY: the features were just detected.
            return unsafe { avx512::$name($($arg),*) };
        } else if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the feature was just detected.
            return unsafe { avx2::$name($($arg),*) };
        }
    };
}

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

/// Four rows of weights that lie anywhere, by where each begins, and their inputs in two pairs.
#[derive(Clone, Copy, Debug)]
pub struct Four {
    pub at: [usize; 4],
    pub x: [i32; 2],
}

/// `sums[o] = Σ_j x_j · w_j[o]` over the rows of all fours. Some outputs at a time, whose sums stay in registers for all rows: then the next
/// pieces of these are on their way meanwhile, wherever they lie.
pub fn picked(sums: &mut [i32], w: &[i8], fours: &[Four]) {
    assert!(fours.iter().all(|four| four.at.iter().all(|at| *at <= w.len() && w.len() - at >= sums.len())));
    widest!(picked(sums, w, fours));
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    picked_from(0, sums, w, fours);
}

/// [`picked`] of the outputs from `from` on.
#[inline(always)]
fn picked_from(from: usize, sums: &mut [i32], w: &[i8], fours: &[Four]) {
    sums[from..].fill(0);
    let width = sums.len();
    for four in fours {
        four_rows_from(from, sums, four.at.map(|at| &w[at..at + width]), four.x);
    }
}

/// `sums[r, o] += Σ_j x[r]_j · w_j[o]` over eight rows of weights, all of one length, for each row `r` of inputs; `x[r]` are four pairs.
pub fn eight_rows(sums: &mut [i32], w: [&[i8]; 8], x: &[[i32; 4]]) {
    assert!(w.iter().all(|row| row.len() == w[0].len()) && sums.len() == x.len() * w[0].len());
    widest!(eight_rows(sums, w, x));
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    eight_rows_from(0, sums, w, x);
}

/// `Σ_i x[r][i] · w[v][i]` of `R` rows of inputs with two of weights, all of one length.
pub fn dot<const R: usize>(x: [&[i16]; R], w: [&[i8]; 2]) -> [[i32; 2]; R] {
    assert!(x.iter().all(|row| row.len() == w[0].len()) && w[1].len() == w[0].len());
    widest!(dot(x, w));
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    dot_from(0, x, w)
}

/// `Σ_i x[i] · w[i]`, of one length.
pub fn dot_one(x: &[i16], w: &[i8]) -> i32 {
    assert!(x.len() == w.len());
    widest!(dot_one(x, w));
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    dot_one_from(0, x, w)
}

/// `out[v] = Σ_i x[i] · w[v · stride + i]`.
pub fn dot_each(x: &[i16], w: &[i8], stride: usize, out: &mut [f32]) {
    assert!(x.len() <= stride && w.len() >= out.len().saturating_sub(1) * stride + x.len());
    widest!(dot_each(x, w, stride, out));
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    for (out, w) in out.iter_mut().zip(w.chunks(stride)) {
        *out = dot_one(x, &w[..x.len()]) as f32;
    }
}

/// Asks for a row that will be read soon, where that can be asked.
#[inline(always)]
pub fn fetch_ahead(row: &[i8]) {
    #[cfg(target_arch = "x86_64")]
    for line in row.chunks(64) {
        crate::numerics::dispatch::fetch(line.as_ptr());
    }
    let _ = row;
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
    widest!(four_packed(sums, blocks, x));
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    four_packed_portable(sums, blocks, x);
}

/// [`four_packed`] of numbers from 0 to 15, two a byte (`numerics/int4.rs`).
pub fn four_nibbles(sums: &mut [i32], blocks: &[u8], x: [i32; 2]) {
    assert!(sums.len().is_multiple_of(OUTPUTS) && blocks.len() == 2 * sums.len());
    widest!(four_nibbles(sums, blocks, x));
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    for (sums, block) in sums.as_chunks_mut::<OUTPUTS>().0.iter_mut().zip(blocks.as_chunks::<{ BLOCK / 2 }>().0) {
        let ([a, b], [c, d]) = (halves(x[0]), halves(x[1]));
        for (sum, [first, second]) in sums.iter_mut().zip(block.as_chunks().0) {
            let [first, second] = [i32::from(*first), i32::from(*second)];
            *sum += a * (first & 15) + b * (second & 15) + c * (first >> 4) + d * (second >> 4);
        }
    }
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
    widest!(eight_packed(sums, fours, x));
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    for (sums, x) in sums.chunks_exact_mut(width.max(1)).zip(x) {
        four_packed_portable(sums, fours[0], [x[0], x[1]]);
        four_packed_portable(sums, fours[1], [x[2], x[3]]);
    }
}
