//! The products of `gemm.rs` for one row, in wasm's registers of 128 bits, where the compiler makes poor ones of the portable code. The
//! same chains of additions, lane by lane: the results are those of that code, bit for bit.

use std::arch::wasm32::{f32x4_add, f32x4_extract_lane, f32x4_mul, f32x4_splat, v128, v128_load, v128_store};

use super::LANES;
use crate::numerics::stored::Stored;

const FOUR: usize = 4;
/// Registers of a step.
const VECTORS: usize = LANES / FOUR;

/// # Safety
/// Four numbers lie there.
#[inline(always)]
unsafe fn load(at: *const f32) -> v128 {
    // SAFETY: as the caller says.
    unsafe { v128_load(at.cast()) }
}

/// `out += x · w`, folded.
#[inline(always)]
pub fn add_row<S: Stored>(out: &mut [f32], x: f32, w: &[S]) {
    let n = out.len().min(w.len());
    let whole = n / LANES * LANES;
    let wide = f32x4_splat(x);
    for at in (0..whole).step_by(LANES) {
        for v in 0..VECTORS {
            // SAFETY: sixteen numbers lie from `at` on in either.
            unsafe {
                let sums = out.as_mut_ptr().add(at + FOUR * v);
                let weights = S::load_bits(w.as_ptr().add(at + FOUR * v));
                v128_store(sums.cast(), f32x4_add(load(sums), f32x4_mul(wide, weights)));
            }
        }
    }
    for (out, w) in out[whole..n].iter_mut().zip(&w[whole..n]) {
        *out += x * w.bits();
    }
}

/// `sums += Σ_j x[j] · w[j]` of blocks of four rows and eight outputs.
#[inline(always)]
pub fn add_blocks<S: Stored>(sums: &mut [f32], x: [f32; FOUR], blocks: &[S]) {
    const OUTS: usize = 2 * FOUR;
    let x = x.map(|x| f32x4_splat(x));
    for (sums, block) in sums.chunks_exact_mut(OUTS).zip(blocks.chunks_exact(FOUR * OUTS)) {
        // SAFETY: there are eight sums, and eight numbers of each row.
        unsafe {
            let (sums, block) = (sums.as_mut_ptr(), block.as_ptr());
            let (mut low, mut high) = (load(sums), load(sums.add(FOUR)));
            for (j, x) in x.into_iter().enumerate() {
                low = f32x4_add(low, f32x4_mul(x, S::load_bits(block.add(j * OUTS))));
                high = f32x4_add(high, f32x4_mul(x, S::load_bits(block.add(j * OUTS + FOUR))));
            }
            v128_store(sums.cast(), low);
            v128_store(sums.add(FOUR).cast(), high);
        }
    }
}

/// `Σ_i a[i] · b[i]`, folded, of as many; a whole number of sixteens.
#[inline(always)]
pub fn dot<S: Stored>(a: &[f32], b: &[S]) -> f32 {
    let mut sums = [f32x4_splat(0.0); VECTORS];
    for at in (0..a.len().min(b.len())).step_by(LANES) {
        for (v, sum) in sums.iter_mut().enumerate() {
            // SAFETY: sixteen numbers lie from `at` on in either.
            unsafe {
                let weights = S::load_bits(b.as_ptr().add(at + FOUR * v));
                *sum = f32x4_add(*sum, f32x4_mul(load(a.as_ptr().add(at + FOUR * v)), weights));
            }
        }
    }
    // Halves, then halves of that, as in `dot_portable`.
    let four = f32x4_add(f32x4_add(sums[0], sums[2]), f32x4_add(sums[1], sums[3]));
    let even = f32x4_extract_lane::<0>(four) + f32x4_extract_lane::<2>(four);
    let odd = f32x4_extract_lane::<1>(four) + f32x4_extract_lane::<3>(four);
    even + odd
}
