//! Attention probabilities for `hook_pattern`, computed only where a hook asks: [`PATTERN`] `[rows, n_heads, end]`, 0 at positions that a row
//! does not see.

use std::ops::Range;

use super::attention::{attend_head, first_seen, scores};
use super::buffers::Buffer;
use super::def::{at_once, no_matrix, no_vectors, Dispatch, Kernel, KernelContext, OpDef, PlanContext, Resource};
use super::pass::{KvCache, Pass};
use super::qkv::ROTATED;
use crate::error::Result;
use crate::memory::zeroed;

/// Attention probabilities `[rows, n_heads, end]`, up to the last position of the batch.
pub const PATTERN: Buffer = Buffer::positions("pattern", |c| c.n_heads).in_chunks();

/// The operation; its step is at the attention's point and layer.
pub static DEF: OpDef = OpDef {
    name: "pattern",
    writes: |_, _| vec![PATTERN],
    matrix: no_matrix,
    vectors: no_vectors,
    kernels,
    plan,
    pieces: at_once,
    cpu,
};

fn kernels(cx: &KernelContext<'_>) -> Vec<Kernel> {
    vec![Kernel {
        file: "pattern.wgsl",
        constants: scores(cx),
        binds: vec![
            ("rotated", Resource::Buffer(ROTATED)),
            ("cache", Resource::Cache),
            ("pattern", Resource::Buffer(PATTERN)),
        ],
    }]
}

fn plan(plan: &PlanContext<'_>, out: &mut Vec<Dispatch>) {
    let params = plan.params.layer(plan.step.layer);
    out.push(Dispatch::new(
        params.aux([plan.rows.start, params.end(), 0]),
        [plan.config.n_heads, plan.rows.len(), 1],
    ));
}

/// CPU twin of `shaders/pattern.wgsl`.
fn cpu(pass: &mut Pass<'_>, rows: &Range<usize>, _: usize) -> Result<()> {
    let (n_heads, end) = (pass.config.n_heads, pass.end());
    let mut pattern = pass.buffers.take(PATTERN);
    let (mut shares, mut values) = (Vec::new(), vec![0.0; pass.config.d_head]);
    for (sequence, run) in pass.runs(rows) {
        for row in run {
            let seen = first_seen(pass, row)..pass.position(row) + 1;
            for head in 0..n_heads {
                match &pass.caches[sequence] {
                    KvCache::F32(cache) => attend_head(pass, cache, row, head, &mut shares, &mut values),
                    KvCache::F16(cache) => attend_head(pass, cache, row, head, &mut shares, &mut values),
                }
                let out = &mut pattern[((row - rows.start) * n_heads + head) * end..][..end];
                out.fill(0.0);
                out[seen.clone()].copy_from_slice(&shares);
            }
        }
    }
    pass.buffers.put(PATTERN, pattern);
    Ok(())
}

/// A pattern of a batch that ended in front of position `end`, as of one that ends at `to`.
pub fn fitted(pattern: Vec<f32>, end: usize, to: usize) -> Result<Vec<f32>> {
    if end == to {
        return Ok(pattern);
    }
    let mut fitted = zeroed(pattern.len() / end * to, "attention patterns; ask for fewer positions or hooks at a time")?;
    for (row, of_batch) in fitted.chunks_exact_mut(to).zip(pattern.chunks_exact(end)) {
        row.iter_mut().zip(of_batch).for_each(|(share, of_batch)| *share = *of_batch);
    }
    Ok(fitted)
}
