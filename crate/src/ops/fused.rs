//! Where a few rows take fewer dispatches: the attention, or what joins its parts, with its output projection
//! (`shaders/attention_out.wgsl`, `attention_merge_out.wgsl`), then the whole MLP (`mlp.wgsl`, behind a sparse stream `mlp_split.wgsl`). What each workgroup of theirs makes of the result is added where it is read, so no dispatch waits for the sum.
//! The operations stay four, each with its CPU twin: on the GPU two of them do the others' work, and those then plan nothing.

use super::buffers::Buffer;
use super::def::{PlanContext, FEW_ROWS, SEQUENCES};
use crate::config::{Config, Norm, Residual};

/// What the workgroups hand on, all of it read by each one behind them, is at most this part of a block's weights.
const SHARE: usize = 4;
/// Most numbers that a workgroup behind the MLP adds up.
const MAX_SUMMED: usize = 1 << 16;
/// Most numbers of a row: what mlp.wgsl has room for.
const MAX_WIDTH: usize = 2048;
/// Most rows.
const ROWS: usize = if FEW_ROWS > SEQUENCES { FEW_ROWS } else { SEQUENCES };

/// What each head adds to the stream, and its values: `[ROWS, n_heads, d_model + d_head]`, on the GPU.
pub const HEAD_OUT: Buffer = Buffer::words("head_out", |c, rows| {
    if fits(c) {
        rows.min(ROWS) * c.n_heads * (c.d_model + c.d_head)
    } else {
        0
    }
});
/// The stream behind the attention and what each workgroup of the MLP adds to it `[ROWS, 1 + groups, d_model]`, on the GPU.
pub const MLP_PARTS: Buffer = Buffer::words("mlp_parts", |c, rows| {
    if fits(c) {
        rows.min(ROWS) * (1 + groups(c)) * c.d_model
    } else {
        0
    }
});

/// Workgroups of the fused MLP for each row.
pub fn groups(config: &Config) -> usize {
    config.d_mlp_in().div_ceil(32)
}

/// Workgroups that end a row's block without a TopK activation, behind which none has to see the whole row.
pub fn ends(config: &Config) -> usize {
    config.d_model.div_ceil(256)
}

/// Whether it costs less to hand on what each workgroup makes than to wait for the sums: every workgroup of the MLP reads what the heads made
/// and the stream, and what it makes is written and read once.
fn is_worth(config: &Config) -> bool {
    let (d, groups) = (config.d_model, groups(config));
    let weights = d * (config.d_qkv() + config.d_query() + config.d_mlp_in() + config.d_mlp);
    let ends = if config.topk.is_some() { 1 } else { ends(config) };
    SHARE * groups * (config.n_heads + 3) * d <= weights && groups * d.div_ceil(ends) <= MAX_SUMMED
}

/// Whether a model's blocks have what it takes: no bias and no norm behind the projections, an attention of few heads.
#[inline(never)] // asked in many places
pub fn fits(config: &Config) -> bool {
    config.norm == Norm::Rms
        && config.residual == Residual::Serial
        && !config.post_norms
        && !config.biases.attn_out
        && !config.biases.mlp_out
        && config.d_model <= MAX_WIDTH
        && is_worth(config)
}

/// Whether a plan is for the fused kernels. It is the same for all operations of a block.
pub fn applies(plan: &PlanContext<'_>) -> bool {
    plan.fuse && plan.has_few_rows() && fits(plan.config)
}
