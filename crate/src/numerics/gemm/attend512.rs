//! Attention in 512-bit registers: the same chains of additions as `ops/attention.rs`. Rows that follow each other share the keys and
//! values of a head ([`attend`]). A row's probabilities end with zeros for the positions that only later rows see; adding 0 · v changes
//! no bit, since a sum that began at +0 is never −0. A row alone takes all heads at a position ([`attend_row`]): keys and values are
//! read as they lie in memory, and its sums do not wait for each other.

use std::arch::x86_64::{
    __m512, _mm512_add_ps, _mm512_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4,
    _mm512_shuffle_ps, _mm512_storeu_ps,
};

use super::avx512::{dots_tile, LANES, RIGHT};
use crate::numerics::dispatch::fetch;
use crate::numerics::math;
use crate::numerics::stored::Stored;

/// Positions that are asked for before they are read.
const AHEAD: usize = 12;

/// Keys or values of one head, by position: `[positions, stride]`, of which `column..column + d_head`.
#[derive(Clone, Copy)]
pub struct Cached<'a, S> {
    pub numbers: &'a [S],
    pub stride: usize,
    pub column: usize,
}

impl<'a, S: Stored> Cached<'a, S> {
    fn row(&self, position: usize, d_head: usize) -> &'a [S] {
        &self.numbers[position * self.stride + self.column..][..d_head]
    }

    /// Asks for a row that will be read soon: between rows of one head lie those of the others.
    #[inline(always)]
    fn fetch_ahead(&self, position: usize, d_head: usize) {
        fetch_ahead(self.row(position, d_head));
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
pub fn attend<S: Stored, const R: usize>(
    queries: [&[f32]; R],
    (keys, values): (Cached<'_, S>, Cached<'_, S>),
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
            4.. => weigh::<S, R, 4>(&scores.turned, values, column, &mut out),
            2.. => weigh::<S, R, 2>(&scores.turned, values, column, &mut out),
            _ => weigh::<S, R, 1>(&scores.turned, values, column, &mut out),
        };
    }
}

/// `V` registers of columns from `column` on; gives how many columns that are.
#[inline]
#[target_feature(enable = "avx512f")]
fn weigh<S: Stored, const R: usize, const V: usize>(
    p: &[[f32; R]],
    values: Cached<'_, S>,
    column: usize,
    out: &mut [&mut [f32]; R],
) -> usize {
    let mut sums = [[_mm512_setzero_ps(); V]; R];
    for (position, p) in p.iter().enumerate() {
        let parts = values.row(position, V * LANES).as_chunks::<LANES>().0;
        values.fetch_ahead((position + AHEAD).min(p.len() - 1), V * LANES);
        for (v, part) in parts.iter().enumerate().take(V) {
            // SAFETY: sixteen numbers lie there.
            let value = unsafe { S::load(part.as_ptr()) };
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

/// What [`attend_row`] reads: the queries `[heads, d_head]` of a row, keys and values `[positions, stride]`, each of whose heads
/// `heads_per_kv` of the queries read.
#[derive(Clone, Copy)]
pub struct Row<'a, S> {
    pub queries: &'a [f32],
    pub keys: &'a [S],
    pub values: &'a [S],
    pub stride: usize,
    pub d_head: usize,
    pub heads_per_kv: usize,
    pub scale: f32,
}

impl<S> Row<'_, S> {
    /// Where the key, or value, that a column of the queries reads begins.
    fn column(&self, of_queries: usize) -> usize {
        of_queries / self.d_head / self.heads_per_kv * self.d_head + of_queries % self.d_head
    }
}

/// One row, which sees the positions below `seen`, with all its heads: `out` `[heads, d_head]` gets the weighted values. `scores` is
/// scratch; afterwards it holds the probabilities `[heads, positions]`, as many positions as sixteen divides.
///
/// # Safety
/// Only where [`fits`] says so.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
pub fn attend_row<S: Stored>(row: Row<'_, S>, seen: usize, scores: &mut Vec<f32>, out: &mut [f32]) {
    let (keys, values) = (&row.keys[..seen * row.stride], &row.values[..seen * row.stride]);
    let width = seen.next_multiple_of(LANES);
    scores.resize(row.queries.len() / row.d_head * width, 0.0);
    for first in (0..seen).step_by(LANES) {
        if let Some(next) = keys.get((first + LANES) * row.stride..) {
            fetch_ahead(&next[..next.len().min(LANES * row.stride)]);
        }
        for (query, scores) in row.queries.chunks_exact(row.d_head).enumerate().zip(scores.chunks_exact_mut(width)) {
            let column = row.column(query.0 * row.d_head);
            // A group that the end cuts short takes its last key several times.
            let key = |k: usize| &keys[(first + k).min(seen - 1) * row.stride + column..][..row.d_head];
            let sums = dots(query.1, std::array::from_fn(key));
            let sums = _mm512_mul_ps(sums, _mm512_set1_ps(row.scale));
            // SAFETY: sixteen floats lie there.
            unsafe { _mm512_storeu_ps(scores[first..first + LANES].as_mut_ptr(), sums) };
        }
    }
    for scores in scores.chunks_exact_mut(width) {
        math::softmax(&mut scores[..seen]);
    }
    let mut at = 0;
    while at < out.len() {
        at += match (out.len() - at) / LANES {
            8.. => weigh_columns::<S, 8>(row, values, scores, at, out),
            4.. => weigh_columns::<S, 4>(row, values, scores, at, out),
            2.. => weigh_columns::<S, 2>(row, values, scores, at, out),
            _ => weigh_columns::<S, 1>(row, values, scores, at, out),
        };
    }
}

/// Asks for numbers that will be read soon.
#[inline(always)]
fn fetch_ahead<S>(numbers: &[S]) {
    for line in numbers.chunks(64 / size_of::<S>()) {
        fetch(line.as_ptr());
    }
}

/// The products of a query with sixteen keys, each summed as `dot_portable` does.
#[inline]
#[target_feature(enable = "avx512f")]
fn dots<S: Stored>(query: &[f32], keys: [&[S]; LANES]) -> __m512 {
    let mut sums = [_mm512_setzero_ps(); LANES];
    for i in (0..query.len()).step_by(LANES) {
        // SAFETY: query and keys have as many numbers, which sixteen divides.
        let x = unsafe { _mm512_loadu_ps(query.as_ptr().add(i)) };
        for k in 0..LANES {
            // SAFETY: likewise.
            let key = unsafe { S::load(keys[k].as_ptr().add(i)) };
            sums[k] = _mm512_add_ps(sums[k], _mm512_mul_ps(x, key));
        }
    }
    // Lane l and lane l + 8, 4, 2, 1 in turn, of all sixteen at once. The shuffles put key 4 · i + j where key 4 · j + i was.
    let turned: [__m512; LANES] = std::array::from_fn(|n| sums[n % 4 * 4 + n / 4]);
    let eights: [__m512; 8] = std::array::from_fn(|n| {
        let (a, b) = (turned[2 * n], turned[2 * n + 1]);
        _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xee>(a, b))
    });
    let fours: [__m512; 4] = std::array::from_fn(|n| {
        let (a, b) = (eights[2 * n], eights[2 * n + 1]);
        _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b))
    });
    let twos: [__m512; 2] = std::array::from_fn(|n| {
        let (a, b) = (fours[2 * n], fours[2 * n + 1]);
        _mm512_add_ps(_mm512_shuffle_ps::<0x44>(a, b), _mm512_shuffle_ps::<0xee>(a, b))
    });
    let [a, b] = twos;
    _mm512_add_ps(_mm512_shuffle_ps::<0x88>(a, b), _mm512_shuffle_ps::<0xdd>(a, b))
}

/// `V` registers of columns of all heads, from `first` on; gives how many columns that are.
#[inline]
#[target_feature(enable = "avx512f")]
fn weigh_columns<S: Stored, const V: usize>(row: Row<'_, S>, values: &[S], p: &[f32], first: usize, out: &mut [f32]) -> usize {
    let width = p.len() / (row.queries.len() / row.d_head);
    let column: [usize; V] = std::array::from_fn(|v| row.column(first + v * LANES));
    let p: [&[f32]; V] = std::array::from_fn(|v| &p[(first + v * LANES) / row.d_head * width..][..width]);
    let mut sums = [_mm512_setzero_ps(); V];
    for (position, value) in values.chunks_exact(row.stride).enumerate() {
        for v in 0..V {
            let part = &value[column[v]..][..LANES];
            fetch(part.as_ptr().wrapping_add(AHEAD * row.stride));
            // SAFETY: sixteen numbers lie there.
            let part = unsafe { S::load(part.as_ptr()) };
            sums[v] = _mm512_add_ps(sums[v], _mm512_mul_ps(_mm512_set1_ps(p[v][position]), part));
        }
    }
    for (sum, out) in sums.iter().zip(out[first..].as_chunks_mut::<LANES>().0) {
        // SAFETY: sixteen floats lie there.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), *sum) };
    }
    V * LANES
}
