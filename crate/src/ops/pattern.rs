//! Attention probabilities for `hook_pattern`, computed only where a hook asks: [`PATTERN`] `[rows, n_heads, n_ctx]`, 0 at positions that a row
//! does not see.

use std::ops::Range;

use super::attention::{attend_head, first_seen, scores};
use super::buffers::Buffer;
use super::def::{at_once, no_matrix, no_vectors, Dispatch, Kernel, KernelContext, OpDef, PlanContext, Resource};
use super::pass::{KvCache, Pass};
use super::qkv::ROTATED;
use crate::error::Result;

/// Attention probabilities `[rows, n_heads, n_ctx]`.
pub const PATTERN: Buffer = Buffer::rows("pattern", |c| c.n_heads * c.n_ctx).in_chunks();

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
        params.aux([plan.rows.start, plan.config.n_ctx, 0]),
        [plan.config.n_heads, plan.rows.len(), 1],
    ));
}

/// CPU twin of `shaders/pattern.wgsl`.
fn cpu(pass: &mut Pass<'_>, rows: &Range<usize>, _: usize) -> Result<()> {
    let (n_heads, n_ctx) = (pass.config.n_heads, pass.config.n_ctx);
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
                let out = &mut pattern[((row - rows.start) * n_heads + head) * n_ctx..][..n_ctx];
                out.fill(0.0);
                out[seen.clone()].copy_from_slice(&shares);
            }
        }
    }
    pass.buffers.put(PATTERN, pattern);
    Ok(())
}
