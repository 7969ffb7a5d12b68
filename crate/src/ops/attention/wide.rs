//! `Attention` on machines with 512-bit registers: four rows of a sequence at a time, head by head, then row by row. The results are those of
//! `attention.rs`, bit for bit.

use std::ops::Range;

use super::{Kept, Kv, Pass, ROTATED};
pub use crate::numerics::gemm::attend512::fits;
use crate::numerics::gemm::attend512::{attend, attend_row, Cached, Row, Scores};

/// Rows that share what they read.
const GROUP: usize = 4;

/// As `attend_rows` of `attention.rs`, for rows that follow each other in a sequence; only where [`fits`] says so.
pub fn cpu<S: Kept>(pass: &Pass<'_>, rows: Range<usize>, cache: &Kv<S>, attended: &mut [f32]) {
    let (mut together, mut alone) = (Scores::<GROUP>::default(), Vec::new());
    let mut row = rows.start;
    while row < rows.end {
        if rows.end - row < GROUP {
            one(pass, row, cache, &mut alone, attended);
            row += 1;
            continue;
        }
        for head in 0..pass.config.n_heads {
            heads(pass, row, head, cache, &mut together, attended);
        }
        row += GROUP;
    }
}

/// One row with all its heads.
fn one<S: Kept>(pass: &Pass<'_>, row: usize, cache: &Kv<S>, scores: &mut Vec<f32>, attended: &mut [f32]) {
    let (config, layer) = (pass.config, pass.step.layer);
    let d_query = config.d_query();
    let of = Row {
        queries: &pass.buffers.get(ROTATED)[row * (d_query + config.d_kv())..][..d_query],
        keys: &cache.keys[layer],
        values: &cache.values[layer],
        stride: config.d_kv(),
        d_head: config.d_head,
        heads_per_kv: config.n_heads / config.n_kv_heads,
        scale: config.score_scale(layer),
    };
    let out = &mut attended[row * d_query..][..d_query];
    // SAFETY: `fits` has found the registers.
    unsafe { attend_row(of, pass.position(row) + 1, scores, out) };
}

/// One head of `R` rows from `row` on.
fn heads<S: Kept, const R: usize>(
    pass: &Pass<'_>,
    row: usize,
    head: usize,
    cache: &Kv<S>,
    scores: &mut Scores<R>,
    attended: &mut [f32],
) {
    let config = pass.config;
    let (d_head, d_query, position) = (config.d_head, config.d_query(), pass.position(row));
    let turned = d_query + config.d_kv();
    let view = |numbers| Cached {
        numbers,
        stride: config.d_kv(),
        column: head / (config.n_heads / config.n_kv_heads) * d_head,
    };
    let layer = pass.step.layer;
    let (keys, values) = (view(&cache.keys[layer]), view(&cache.values[layer]));
    let rotated = pass.buffers.get(ROTATED);
    let column = head * d_head;
    let queries = std::array::from_fn(|r| &rotated[(row + r) * turned + column..][..d_head]);
    let mut outs = attended[row * d_query..].chunks_exact_mut(d_query);
    let out: [&mut [f32]; R] = std::array::from_fn(|_| match outs.next() {
        Some(out) => &mut out[column..column + d_head],
        None => &mut [],
    });
    // SAFETY: `fits` has found the registers.
    unsafe { attend(queries, (keys, values), position + 1, config.score_scale(layer), scores, out) };
}
