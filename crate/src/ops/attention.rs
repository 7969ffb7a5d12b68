//! `Attention`: queries of [`ROTATED`] `[rows, n_heads, d_head]` against the cached keys and values up to each row's position →
//! [`ATTENDED`] `[rows, n_heads, d_head]`. Query head `h` reads KV head `h / (n_heads / n_kv_heads)`. Rows that are alternatives see the
//! cache below their position, and themselves. Scores may have a soft-cap, and a layer a window. `pattern.rs` gives the probabilities where a hook asks for them.

#[cfg(target_arch = "x86_64")]
mod wide;

use std::ops::Range;

use super::buffers::Buffer;
use super::fused::{self, HEAD_OUT};
use super::def::{down_constants, no_vectors, Dispatch, Kernel, KernelContext, OpDef, PlanContext, Resource};
use super::pass::{Kv, KvCache, Pass, SLICE};
use super::qkv::{cached, heads, QKV, ROTATED};
use super::span::{in_one_part, part, seen, MAX_PARTS, SPLIT_ROWS};
use crate::config::Config;
use crate::error::Result;
use crate::numerics::dispatch::dispatch;
use crate::numerics::gemm::dot_portable;
use crate::numerics::math;
use crate::numerics::stored::{fold, Kept};
use crate::weights::Weight;

/// Largest head that attention's workgroup memory holds.
pub const MAX_D_HEAD: usize = 256;
/// Numbers of a head that are summed at once on the CPU.
const CHUNK: usize = 32;

/// Weighted values `[rows, d_query]` (`hook_z`).
pub const ATTENDED: Buffer = Buffer::rows("attended", Config::d_query);
/// Parts of a split attention `[SPLIT_ROWS, n_heads, MAX_PARTS, 2 + d_head]`, on the GPU.
const PARTS: Buffer = Buffer::words("attention_parts", |c, _| {
    SPLIT_ROWS * c.n_heads * MAX_PARTS * (2 + c.d_head)
});

/// The operation.
pub static DEF: OpDef = OpDef {
    name: "attention",
    writes: |_, _| vec![ATTENDED, PARTS, HEAD_OUT],
    // Only the fused kernel reads it.
    matrix: |config, step| fused::fits(config).then_some(Weight::AttnOut(step.layer)),
    vectors: no_vectors,
    kernels,
    plan,
    pieces,
    cpu,
};

/// What `shaders/parts/heads.wgsl` has to know: the sizes, and which scores there are.
pub fn scores(cx: &KernelContext<'_>) -> Vec<(&'static str, f64)> {
    let config = cx.config;
    let mut constants = heads(config).to_vec();
    constants.extend(cached(config));
    constants.extend([
        ("scale", f64::from(config.score_scale(cx.step.layer))),
        ("attn_softcap", f64::from(config.attn_softcap.unwrap_or(0.0))),
        (
            "window",
            config.window(cx.step.layer).map_or(0.0, |window| window as f64),
        ),
    ]);
    constants
}

/// A part of the context, and the joining of parts; the kernel for many rows; and those that do the output projection too, of the whole
/// context and of its parts.
const PART: usize = 1;
const MERGE: usize = 2;
const TILE: usize = 3;
const FUSED: usize = 4;
const FUSED_MERGE: usize = 5;

/// The whole context at once, then as the constants say.
fn kernels(cx: &KernelContext<'_>) -> Vec<Kernel> {
    let config = cx.config;
    let constants = scores(cx);
    let attention = |to| Kernel {
        file: "attention.wgsl",
        constants: constants.clone(),
        binds: vec![
            ("rotated", Resource::Buffer(ROTATED)),
            ("cache", Resource::Cache),
            ("qkv", Resource::Buffer(QKV)),
            ("z", Resource::Buffer(to)),
        ],
    };
    let [n_heads, _, d_head] = heads(config);
    let merge = Kernel {
        file: "attention_merge.wgsl",
        constants: vec![n_heads, d_head],
        binds: vec![("parts", Resource::Buffer(PARTS)), ("z", Resource::Buffer(ATTENDED))],
    };
    let mut tile = attention(ATTENDED);
    tile.file = "attention_tile.wgsl";
    let mut kernels = vec![attention(ATTENDED), attention(PARTS), merge, tile];
    if fused::fits(config) {
        let whole = ("attention_out.wgsl", kernels[0].clone());
        let parts = ("attention_merge_out.wgsl", kernels[MERGE].clone());
        for (file, mut kernel) in [whole, parts] {
            kernel.file = file;
            kernel.constants.push(("n_outputs", config.d_model as f64));
            kernel.constants.extend(down_constants(cx.dtype, config.d_query(), config.d_model));
            kernel.binds.pop();
            kernel.binds.extend([
                ("down", Resource::Weight(Weight::AttnOut(cx.step.layer))),
                ("head_out", Resource::Buffer(HEAD_OUT)),
            ]);
            kernels.push(kernel);
        }
    }
    kernels
}

/// Rows from which on they share what they read.
const FEWEST_ROWS: usize = 9;

/// Rows of a tile (`shaders/attention_tile.wgsl`).
fn tile_rows(config: &Config) -> usize {
    if config.d_head <= 128 {
        16
    } else {
        8
    }
}

/// Whether the rows are of one sequence, and so many that they share what they read.
fn in_tiles(plan: &PlanContext<'_>) -> bool {
    plan.rows.len() >= FEWEST_ROWS && plan.params.last_of_each().is_none() && plan.config.d_head.is_multiple_of(4)
}

/// One dispatch, or for few rows that see much of a long context two: parts, then their merge.
fn plan(plan: &PlanContext<'_>, out: &mut Vec<Dispatch>) {
    let (rows, heads) = (plan.rows.len(), plan.config.n_heads);
    let params = plan.params.layer(plan.step.layer);
    let (first, seen) = seen(plan);
    let fused = fused::applies(plan);
    let columns = plan.config.d_model.div_ceil(1024);
    let part = part(seen).filter(|_| !in_one_part(plan));
    let Some(part) = part else {
        let whole = Dispatch::new(params.aux([1, seen, first]), [heads, rows, 1]);
        out.push(if in_tiles(plan) {
            let grid = [heads, rows.div_ceil(tile_rows(plan.config)), 1];
            Dispatch { grid, ..whole }.kernel(TILE)
        } else if fused {
            let grid = [heads, rows, columns];
            Dispatch { grid, ..whole }.kernel(FUSED)
        } else {
            whole
        });
        return;
    };
    let parts = seen.div_ceil(part);
    let params = params.aux([parts, part, first]);
    out.push(Dispatch::new(params, [heads, rows, parts]).kernel(PART));
    out.push(if fused {
        Dispatch::new(params, [heads, rows, columns]).kernel(FUSED_MERGE)
    } else {
        Dispatch::new(params, [heads, rows, 1]).kernel(MERGE)
    });
}

/// Rows of a piece of work.
fn rows_of_piece(pass: &Pass<'_>, rows: &Range<usize>) -> usize {
    let last = rows.end.checked_sub(1).map_or(0, |row| pass.position(row) + 1);
    let per_row = 2 * last * pass.config.d_query();
    (SLICE / 4 / per_row.max(1)).max(1)
}

fn pieces(pass: &Pass<'_>, rows: &Range<usize>) -> usize {
    rows.len().div_ceil(rows_of_piece(pass, rows))
}

/// CPU twin of `shaders/attention.wgsl`.
fn cpu(pass: &mut Pass<'_>, rows: &Range<usize>, piece: usize) -> Result<()> {
    let of_piece = rows_of_piece(pass, rows);
    let first = rows.start + piece * of_piece;
    let rows = first..(first + of_piece).min(rows.end);
    let mut attended = pass.buffers.take(ATTENDED);
    for (sequence, rows) in pass.runs(&rows) {
        match &pass.caches[sequence] {
            KvCache::F32(cache) => attend_rows(pass, rows, cache, &mut attended),
            KvCache::F16(cache) => attend_rows(pass, rows, cache, &mut attended),
        }
    }
    pass.buffers.put(ATTENDED, attended);
    Ok(())
}

/// Rows of one sequence.
fn attend_rows<S: Kept>(pass: &Pass<'_>, rows: Range<usize>, cache: &Kv<S>, attended: &mut [f32]) {
    let config = pass.config;
    let (d_head, d_query) = (config.d_head, config.d_query());
    #[cfg(target_arch = "x86_64")]
    if !pass.alternatives()
        && config.window(pass.step.layer).is_none()
        && config.attn_softcap.is_none()
        && wide::fits(d_head)
    {
        return wide::cpu(pass, rows, cache, attended);
    }
    let mut scores: Vec<f32> = Vec::new();
    for row in rows {
        for head in 0..config.n_heads {
            let out = &mut attended[row * d_query + head * d_head..][..d_head];
            attend_head(pass, cache, row, head, &mut scores, out);
        }
    }
}

/// One row and head: `scores` become the probabilities of the positions it sees (the last of which is its own), `out` the weighted values.
pub(super) fn attend_head<S: Kept>(
    pass: &Pass<'_>,
    cache: &Kv<S>,
    row: usize,
    head: usize,
    scores: &mut Vec<f32>,
    out: &mut [f32],
) {
    let (config, layer) = (pass.config, pass.step.layer);
    let (d_head, d_kv, d_qkv, d_query) = (config.d_head, config.d_kv(), config.d_qkv(), config.d_query());
    let column = head / (config.n_heads / config.n_kv_heads) * d_head;
    // An alternative's own key and value are not in the cache; they are as if they were.
    let own = pass.alternatives();
    let positions = first_seen(pass, row)..pass.position(row) + usize::from(!own);
    let cached = positions.start * d_kv..positions.end * d_kv;
    let rotated = &pass.buffers.get(ROTATED)[row * (d_query + d_kv)..][..d_query + d_kv];
    let qkv = &pass.buffers.get(QKV)[row * d_qkv..][..d_qkv];
    let kept = |of: &[f32], first: usize| -> Vec<S> {
        let numbers = if own { &of[first + column..][..d_head] } else { &[] };
        numbers.iter().map(|number| S::of(*number)).collect()
    };
    let (own_key, own_value) = (kept(rotated, d_query), kept(qkv, d_query + d_kv));
    let keys = KvView {
        cached: &cache.keys[layer][cached.clone()],
        stride: d_kv,
        column,
        own: own.then_some(&own_key[..]),
    };
    let values = KvView {
        cached: &cache.values[layer][cached],
        stride: d_kv,
        column,
        own: own.then_some(&own_value[..]),
    };
    let mut folded = Vec::new();
    let (query, back) = fold::<S>(&rotated[head * d_head..][..d_head], &mut folded);
    // `back` is a power of two.
    attend(query, keys, values, config.score_scale(layer) * back, config.attn_softcap, scores, out);
}

/// The first position that a row sees in the step's layer.
pub(super) fn first_seen(pass: &Pass<'_>, row: usize) -> usize {
    let window = pass.config.window(pass.step.layer);
    window.map_or(0, |window| (pass.position(row) + 1).saturating_sub(window))
}

/// The keys, or values, that one row sees of one head.
#[derive(Clone, Copy)]
pub(super) struct KvView<'a, S> {
    /// `[positions, stride]`, of which `column..` is the head's.
    pub(super) cached: &'a [S],
    pub(super) stride: usize,
    pub(super) column: usize,
    /// That of the row itself, where it is not cached.
    pub(super) own: Option<&'a [S]>,
}

dispatch!(
    /// One row and head: `scores` become its probabilities, `out` the values weighted by them. `query` is folded (`stored.rs`).
    pub(super) attend<S: Kept>, attend_portable,
    (query: &[f32], keys: KvView<S>, values: KvView<S>, scale: f32, softcap: Option<f32>, scores: &mut Vec<f32>, out: &mut [f32])
);

#[inline(always)]
fn attend_portable<S: Kept>(
    query: &[f32],
    keys: KvView<S>,
    values: KvView<S>,
    scale: f32,
    softcap: Option<f32>,
    scores: &mut Vec<f32>,
    out: &mut [f32],
) {
    let d_head = query.len();
    scores.clear();
    for key in keys.cached.chunks_exact(keys.stride) {
        scores.push(dot_portable(query, &key[keys.column..][..d_head]) * scale);
    }
    if let Some(key) = keys.own {
        scores.push(dot_portable(query, key) * scale);
    }
    if let Some(cap) = softcap {
        math::softcap(scores, cap);
    }
    math::softmax(scores);
    // A part of the head at a time, which stays in registers. A product with `bits` is that with `value`, as in `stored.rs`.
    for (number, out) in out.chunks_mut(CHUNK).enumerate() {
        let first = values.column + number * CHUNK;
        let mut sums = [0f32; CHUNK];
        let rows = scores.iter().zip(values.cached.chunks_exact(values.stride));
        if out.len() == CHUNK {
            for (p, value) in rows {
                let (p, value) = (p * S::UNIT, &value[first..][..CHUNK]);
                for i in 0..CHUNK {
                    sums[i] += p * value[i].bits();
                }
            }
        } else {
            for (p, value) in rows {
                let p = p * S::UNIT;
                for (sum, v) in sums.iter_mut().zip(&value[first..][..out.len()]) {
                    *sum += p * v.bits();
                }
            }
        }
        if let (Some(p), Some(own)) = (scores.last(), values.own) {
            for (sum, v) in sums.iter_mut().zip(&own[number * CHUNK..]) {
                *sum += p * v.value();
            }
        }
        out.copy_from_slice(&sums[..out.len()]);
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::numerics::gemm::attend512::{self, Cached, Scores};
    use crate::numerics::stored::F16;

    /// Numbers between −1 and 1.
    fn numbers(n: usize, mut state: u32) -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    fn kept<S: Kept>(numbers: &[f32]) -> Vec<S> {
        numbers.iter().map(|number| S::of(*number)).collect()
    }

    /// `R` rows against one row at a time in portable code.
    fn check<S: Kept, const R: usize>(d_head: usize, seen: usize) {
        let (stride, column, n) = (d_head + 5, 3, seen + R - 1);
        let query = numbers(R * d_head, 1);
        let (keys, values) = (kept::<S>(&numbers(n * stride, 2)), kept::<S>(&numbers(n * stride, 3)));
        let mut out = vec![9.0; R * d_head];
        let mut outs = out.chunks_exact_mut(d_head);
        let side = |numbers| Cached {
            numbers,
            stride,
            column,
        };
        let mut wide = Scores::<R>::default();
        // SAFETY: the caller has looked.
        unsafe {
            attend512::attend(
                std::array::from_fn(|r| &query[r * d_head..][..d_head]),
                (side(&keys[..]), side(&values[..])),
                seen,
                0.3,
                &mut wide,
                std::array::from_fn(|_| outs.next().unwrap()),
            );
        }
        for r in 0..R {
            let side = |numbers| KvView {
                cached: numbers,
                stride,
                column,
                own: None,
            };
            let rows = (seen + r) * stride;
            let (mut scores, mut expected) = (Vec::new(), vec![0.0; d_head]);
            let mut folded = Vec::new();
            attend_portable(
                fold::<S>(&query[r * d_head..][..d_head], &mut folded).0,
                side(&keys[..rows]),
                side(&values[..rows]),
                0.3,
                None,
                &mut scores,
                &mut expected,
            );
            assert_eq!(wide.rows[r][..seen + r], scores);
            assert_eq!(out[r * d_head..][..d_head], expected);
        }
    }

    /// One row with all its heads against one head at a time in portable code.
    fn check_row<S: Kept>(heads: usize, heads_per_kv: usize, d_head: usize, seen: usize) {
        let stride = heads / heads_per_kv * d_head;
        let queries = numbers(heads * d_head, 1);
        let (keys, values) = (kept::<S>(&numbers(seen * stride, 2)), kept::<S>(&numbers(seen * stride, 3)));
        let row = attend512::Row {
            queries: &queries,
            keys: &keys,
            values: &values,
            stride,
            d_head,
            heads_per_kv,
            scale: 0.3,
        };
        let (mut wide, mut out) = (Vec::new(), vec![9.0; heads * d_head]);
        // SAFETY: the caller has looked.
        unsafe { attend512::attend_row(row, seen, &mut wide, &mut out) };
        for (head, probabilities) in wide.chunks_exact(seen.next_multiple_of(16)).enumerate() {
            let side = |cached| KvView {
                cached,
                stride,
                column: head / heads_per_kv * d_head,
                own: None,
            };
            let (mut scores, mut expected) = (Vec::new(), vec![0.0; d_head]);
            let mut folded = Vec::new();
            let query = fold::<S>(&queries[head * d_head..][..d_head], &mut folded).0;
            attend_portable(query, side(&keys[..]), side(&values[..]), 0.3, None, &mut scores, &mut expected);
            assert_eq!(probabilities[..seen], scores);
            assert_eq!(out[head * d_head..][..d_head], expected);
        }
    }

    fn check_all<S: Kept>() {
        for d_head in [16, 32, 48, 64, 112, 128] {
            for seen in [1, 2, 6, 37, 200] {
                check::<S, 1>(d_head, seen);
                check::<S, 4>(d_head, seen);
                check_row::<S>(1, 1, d_head, seen);
                check_row::<S>(9, 3, d_head, seen);
                check_row::<S>(12, 1, d_head, seen);
            }
        }
    }

    #[test]
    fn wide_registers_change_no_bit() {
        if !attend512::fits(64) {
            println!("SKIPPED: this machine has no 512-bit registers");
            return;
        }
        check_all::<f32>();
        check_all::<F16>();
    }
}
