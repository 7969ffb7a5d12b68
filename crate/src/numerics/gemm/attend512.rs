//! Attention of a few rows of one head in 512-bit registers: the same chains of additions as `ops/attention.rs`. Rows that follow
//! each other share the keys and values they read. A row's probabilities end with zeros for the positions that only later rows
//! see; adding 0 · v changes no bit, since a sum that began at +0 is never −0.

use std::arch::x86_64::{
    _mm512_add_ps, _mm512_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    _mm_prefetch, _MM_HINT_T0,
};

use super::avx512::{dots_tile, LANES, RIGHT};
use crate::numerics::math;

/// Positions that are asked for before they are read.
const AHEAD: usize = 12;

/// Keys or values of one head, by position: `[positions, stride]`, of which `column..column + d_head`.
#[derive(Clone, Copy)]
pub struct Cached<'a> {
    pub numbers: &'a [f32],
    pub stride: usize,
    pub column: usize,
}

impl<'a> Cached<'a> {
    fn row(&self, position: usize, d_head: usize) -> &'a [f32] {
        &self.numbers[position * self.stride + self.column..][..d_head]
    }

    /// Asks for a row that will be read soon: between rows of one head lie those of the others.
    #[inline(always)]
    fn fetch_ahead(&self, position: usize, d_head: usize) {
        for line in self.row(position, d_head).chunks(LANES) {
            // SAFETY: asking for an address reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }
}

/// Scratch, kept between calls.
pub struct Scores<const R: usize> {
    /// Probabilities of each row.
    pub rows: [Vec<f32>; R],
    /// `[position, row]`
    turned: Vec<[f32; R]>,
}

impl<const R: usize> Default for Scores<R> {
    fn default() -> Self {
        Scores {
            rows: std::array::from_fn(|_| Vec::new()),
            turned: Vec::new(),
        }
    }
}

/// Whether heads of this width are computed here.
pub fn fits(d_head: usize) -> bool {
    d_head.is_multiple_of(LANES) && crate::numerics::dispatch::has_avx512()
}

/// `R` rows that follow each other; the first sees the positions below `seen`, each other one more. `out` `[R, out_stride]` gets
/// the weighted values in its first `d_head` columns.
///
/// # Safety
/// Only where [`fits`] says so.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
pub fn attend<const R: usize>(
    queries: [&[f32]; R],
    (keys, values): (Cached<'_>, Cached<'_>),
    seen: usize,
    scale: f32,
    scores: &mut Scores<R>,
    out: [&mut [f32]; R],
) {
    let d_head = queries[0].len();
    let n = seen + R - 1;
    for row in &mut scores.rows {
        row.resize(n, 0.0);
    }
    for first in (0..n).step_by(RIGHT) {
        let group = std::array::from_fn(|k| keys.row((first + k).min(n - 1), d_head));
        for k in 0..RIGHT {
            keys.fetch_ahead((first + AHEAD + k).min(n - 1), d_head);
        }
        let sums = dots_tile(queries, group);
        for (row, sums) in scores.rows.iter_mut().zip(&sums) {
            for (score, sum) in row[first..].iter_mut().zip(sums) {
                *score = sum * scale;
            }
        }
    }
    scores.turned.resize(n, [0.0; R]);
    for (r, row) in scores.rows.iter_mut().enumerate() {
        let (own, beyond) = row.split_at_mut(seen + r);
        math::softmax(own);
        beyond.fill(0.0);
        for (turned, p) in scores.turned.iter_mut().zip(row) {
            turned[r] = *p;
        }
    }
    let mut out = out;
    let mut column = 0;
    while column < d_head {
        let values = Cached {
            column: values.column + column,
            ..values
        };
        column += match (d_head - column) / LANES {
            4.. => weigh::<R, 4>(&scores.turned, values, column, &mut out),
            2.. => weigh::<R, 2>(&scores.turned, values, column, &mut out),
            _ => weigh::<R, 1>(&scores.turned, values, column, &mut out),
        };
    }
}

/// `V` registers of columns from `column` on; gives how many columns that are.
#[inline]
#[target_feature(enable = "avx512f")]
fn weigh<const R: usize, const V: usize>(
    p: &[[f32; R]],
    values: Cached<'_>,
    column: usize,
    out: &mut [&mut [f32]; R],
) -> usize {
    let mut sums = [[_mm512_setzero_ps(); V]; R];
    for (position, p) in p.iter().enumerate() {
        let parts = values.row(position, V * LANES).as_chunks::<LANES>().0;
        values.fetch_ahead((position + AHEAD).min(p.len() - 1), V * LANES);
        for (v, part) in parts.iter().enumerate().take(V) {
            // SAFETY: sixteen floats lie there.
            let value = unsafe { _mm512_loadu_ps(part.as_ptr()) };
            for r in 0..R {
                sums[r][v] = _mm512_add_ps(sums[r][v], _mm512_mul_ps(_mm512_set1_ps(p[r]), value));
            }
        }
    }
    for (sums, out) in sums.iter().zip(out) {
        for (sum, out) in sums.iter().zip(out[column..].as_chunks_mut::<LANES>().0) {
            // SAFETY: sixteen floats lie there.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), *sum) };
        }
    }
    V * LANES
}
