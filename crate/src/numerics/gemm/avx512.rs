//! The products of `gemm.rs` over many rows, in 512-bit registers. The same chains of additions, lane by lane: a product is
//! rounded before it is added, so the results are those of the portable code, bit for bit.
//!
//! `matmul`: a strip of the weights (all inputs, 48 outputs) is copied side by side once and stays in the second-level cache for
//! all rows; eight rows of it are summed at a time, in 24 registers. `dots`: four rows against six, likewise.

use std::arch::x86_64::{
    __m512, _mm256_add_ps, _mm256_castpd_ps, _mm256_castps256_ps128, _mm256_extractf128_ps, _mm512_add_ps,
    _mm512_castps512_ps256, _mm512_castps_pd, _mm512_extractf64x4_pd, _mm512_loadu_ps, _mm512_mask_add_ps,
    _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps, _mm_add_ps, _mm_add_ss,
    _mm_cvtss_f32, _mm_movehl_ps, _mm_shuffle_ps,
};
use std::cell::RefCell;

use crate::numerics::stored::Stored;

pub const LANES: usize = 16;
/// Rows of one tile of `matmul`, and its registers of outputs.
const ROWS: usize = 8;
const VECTORS: usize = 3;
const OUTS: usize = VECTORS * LANES;
/// Rows of the two sides of one tile of `dots`.
const LEFT: usize = 4;
pub const RIGHT: usize = 6;

/// From how many rows on `matmul` is worth its copies.
pub const FEWEST_ROWS: usize = 5;

thread_local! {
    /// The copy that `matmul` makes, `[input]`.
    static STRIP: RefCell<Vec<[f32; OUTS]>> = const { RefCell::new(Vec::new()) };
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(numbers: &[f32; LANES]) -> __m512 {
    // SAFETY: sixteen floats lie there.
    unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
}

/// `out[r, o] = Σ_i x[r, i] · w[i, o]` for `x` `[rows, inputs]`, `w` `[inputs, stride]`, `out` `[rows, stride]`.
#[target_feature(enable = "avx512f")]
pub fn matmul<S: Stored>(x: &[f32], inputs: usize, w: &[S], stride: usize, out: &mut [f32]) {
    STRIP.with_borrow_mut(|strip| {
        strip.resize(inputs, [0.0; OUTS]);
        for first in (0..stride).step_by(OUTS) {
            let width = OUTS.min(stride - first);
            for (packed, w) in strip.iter_mut().zip(w.chunks_exact(stride)) {
                match w[first..].first_chunk::<OUTS>() {
                    Some(whole) => {
                        for (packed, w) in packed.iter_mut().zip(whole) {
                            *packed = w.value();
                        }
                    }
                    None => {
                        for (packed, w) in packed.iter_mut().zip(&w[first..]) {
                            *packed = w.value();
                        }
                    }
                }
            }
            for (x, out) in x.chunks(ROWS * inputs).zip(out.chunks_mut(ROWS * stride)) {
                // A tile that the end cuts short takes its last row several times.
                let last = x.len() / inputs - 1;
                let sums = tile(std::array::from_fn(|r| &x[r.min(last) * inputs..][..inputs]), strip);
                for (sums, out) in sums.iter().zip(out.chunks_exact_mut(stride)) {
                    out[first..first + width].copy_from_slice(&sums[..width]);
                }
            }
        }
    });
}

/// Eight rows times a strip `[input, output]`.
#[target_feature(enable = "avx512f")]
fn tile(x: [&[f32]; ROWS], strip: &[[f32; OUTS]]) -> [[f32; OUTS]; ROWS] {
    let x = x.map(|x| &x[..strip.len()]);
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    for (i, strip) in strip.iter().enumerate() {
        let (strip, _) = strip.as_chunks::<LANES>();
        let w = [load(&strip[0]), load(&strip[1]), load(&strip[2])];
        for r in 0..ROWS {
            let x = _mm512_set1_ps(x[r][i]);
            for v in 0..VECTORS {
                sums[r][v] = _mm512_add_ps(sums[r][v], _mm512_mul_ps(x, w[v]));
            }
        }
    }
    let mut out = [[0.0; OUTS]; ROWS];
    for (out, sums) in out.iter_mut().zip(&sums) {
        for (out, sum) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(sums) {
            // SAFETY: sixteen floats lie there.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), *sum) };
        }
    }
    out
}

/// `out[r, v] = Σ_i x[r, i] · w[v, i]` for `x` `[rows, inputs]`, `w` `[outputs, stride]` of which the first `inputs` count.
#[target_feature(enable = "avx512f,avx512vl,avx512bw")]
pub fn dots<S: Stored>(x: &[f32], inputs: usize, w: &[S], stride: usize, out: &mut [f32]) {
    let outputs = w.len() / stride;
    for (right, w) in w.chunks(RIGHT * stride).enumerate() {
        let right_rows = w.len() / stride;
        // A tile that the end cuts short takes its last row several times.
        let w: [&[S]; RIGHT] = std::array::from_fn(|v| &w[v.min(right_rows - 1) * stride..][..inputs]);
        for (x, out) in x.chunks(LEFT * inputs).zip(out.chunks_mut(LEFT * outputs)) {
            let row = |r: usize| &x[r * inputs..][..inputs];
            if x.len() == LEFT * inputs {
                let sums = dots_tile::<S, LEFT>(std::array::from_fn(row), w);
                for (sums, out) in sums.iter().zip(out.chunks_exact_mut(outputs)) {
                    out[right * RIGHT..][..right_rows].copy_from_slice(&sums[..right_rows]);
                }
            } else {
                for (r, out) in out.chunks_exact_mut(outputs).enumerate() {
                    let [sums] = dots_tile::<S, 1>([row(r)], w);
                    out[right * RIGHT..][..right_rows].copy_from_slice(&sums[..right_rows]);
                }
            }
        }
    }
}

/// The products of `L` rows with six.
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw")]
pub fn dots_tile<S: Stored, const L: usize>(x: [&[f32]; L], w: [&[S]; RIGHT]) -> [[f32; RIGHT]; L] {
    let inputs = x[0].len();
    let (x, w) = (x.map(|x| &x[..inputs]), w.map(|w| &w[..inputs]));
    let mut sums = [[_mm512_setzero_ps(); RIGHT]; L];
    let whole = inputs - inputs % LANES;
    for i in (0..whole).step_by(LANES) {
        let mut row = [_mm512_setzero_ps(); L];
        for r in 0..L {
            // SAFETY: each row has `inputs` numbers, and i + 16 ≤ inputs.
            row[r] = unsafe { _mm512_loadu_ps(x[r].as_ptr().add(i)) };
        }
        for v in 0..RIGHT {
            // SAFETY: likewise.
            let w = unsafe { S::load(w[v].as_ptr().add(i)) };
            for r in 0..L {
                sums[r][v] = _mm512_add_ps(sums[r][v], _mm512_mul_ps(row[r], w));
            }
        }
    }
    let mask = (1u16 << (inputs - whole)) - 1;
    let mut out = [[0.0; RIGHT]; L];
    for r in 0..L {
        for v in 0..RIGHT {
            if mask != 0 {
                // SAFETY: the mask has as many bits as floats lie there.
                let (x, w) = unsafe {
                    (
                        _mm512_maskz_loadu_ps(mask, x[r].as_ptr().add(whole)),
                        S::load_masked(mask, w[v].as_ptr().add(whole)),
                    )
                };
                sums[r][v] = _mm512_mask_add_ps(sums[r][v], mask, sums[r][v], _mm512_mul_ps(x, w));
            }
            out[r][v] = add_up(sums[r][v]);
        }
    }
    out
}

/// The sum of the lanes in the order of `dot_portable`: halves, then halves of that.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_up(lanes: __m512) -> f32 {
    let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(lanes)));
    let eight = _mm256_add_ps(_mm512_castps512_ps256(lanes), upper);
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}
