//! `Embed`: token ids → [`HIDDEN`] `[rows, d_model]`: the token's row of the table times `embed_scale`; learned positions are added. For the hooks that show the two terms apart there are
//! [`TOKEN_TERM`] and [`POSITION_TERM`], the same kernel with one term left out.

use std::ops::Range;

use super::buffers::{Buffer, HIDDEN, IDS};
use super::def::Resource::{self, Vectors as Packed};
use super::def::{
    at_once, flag, stride, table_type, Dispatch, Kernel, KernelContext, OpDef, PlanContext, Step, Vectors,
};
use super::pass::Pass;
use crate::config::{Config, Positions};
use crate::error::Result;
use crate::weights::{Tensor, Weight};

/// One term of the embedding, for a hook.
pub const EMBED_TERM: Buffer = Buffer::rows("embed_term", |c| c.d_model);

/// Terms of `shaders/embed.wgsl`.
const BOTH: usize = 0;
const TOKENS: usize = 1;
const POSITIONS: usize = 2;

/// The embedding.
pub static DEF: OpDef = OpDef {
    name: "embed",
    writes: |_, _| vec![HIDDEN],
    matrix: |_, _| Some(Weight::Embed),
    vectors,
    kernels: |cx| kernels(cx, HIDDEN),
    plan: |plan, out| {
        // The sampler has made the stream of a step that follows another one.
        if !(plan.params.step > 0 && plan.shards.len() == 1 && is_sampled(plan.config)) {
            dispatches(plan, BOTH, out);
        }
    },
    pieces: at_once,
    cpu: |pass, rows, _| embed(pass, rows, HIDDEN, true, true),
};

/// The tokens' term alone (`hook_embed` of a model with learned positions).
pub static TOKEN_TERM: OpDef = OpDef {
    name: "embed_tokens",
    writes: |_, _| vec![EMBED_TERM],
    kernels: |cx| kernels(cx, EMBED_TERM),
    plan: |plan, out| dispatches(plan, TOKENS, out),
    cpu: |pass, rows, _| embed(pass, rows, EMBED_TERM, true, false),
    ..DEF
};

/// The positions' term alone (`hook_pos_embed`).
pub static POSITION_TERM: OpDef = OpDef {
    name: "embed_positions",
    writes: |_, _| vec![EMBED_TERM],
    kernels: |cx| kernels(cx, EMBED_TERM),
    plan: |plan, out| dispatches(plan, POSITIONS, out),
    cpu: |pass, rows, _| embed(pass, rows, EMBED_TERM, false, true),
    ..DEF
};

/// Whether the sampler looks up the id that it has drawn, so that the next step of a submit finds its stream there.
pub fn is_sampled(config: &Config) -> bool {
    config.positions != Positions::Learned
}

/// The table of learned positions, `[n_ctx, stride of d_model]`.
fn vectors(config: &Config, _: &Step) -> Vectors {
    let mut vectors = Vectors::default();
    if config.positions == Positions::Learned {
        vectors.push(Weight::Positions, config.n_ctx * Tensor::stride_of(config.d_model));
    }
    vectors
}

fn kernels(cx: &KernelContext<'_>, to: Buffer) -> Vec<Kernel> {
    vec![Kernel {
        file: "embed.wgsl",
        constants: vec![
            ("weight_type", table_type(cx.dtype)),
            ("stride", stride(cx.config.d_model)),
            ("d_model", cx.config.d_model as f64),
            ("embed_scale", f64::from(cx.config.embed_scale)),
            ("learned_positions", flag(cx.config.positions == Positions::Learned)),
        ],
        binds: vec![
            ("ids", Resource::Buffer(IDS)),
            ("weights", Resource::RowsOf(Weight::Embed, 1)),
            ("positions", Packed),
            ("hidden", Resource::Buffer(to)),
        ],
    }]
}

/// One dispatch for each shard of the table, which fills the rows whose ids lie in it.
fn dispatches(plan: &PlanContext<'_>, terms: usize, out: &mut Vec<Dispatch>) {
    let grid = [plan.config.d_model.div_ceil(512), plan.rows.len(), 1];
    for (shard, (first, rows)) in plan.shards.iter().enumerate() {
        let params = plan.params.aux([*first, *rows, terms]);
        out.push(Dispatch {
            shard,
            ..Dispatch::new(params, grid)
        });
    }
}

/// CPU twin of `shaders/embed.wgsl`.
fn embed(pass: &mut Pass<'_>, rows: &Range<usize>, to: Buffer, with_tokens: bool, with_positions: bool) -> Result<()> {
    let (d, scale) = (pass.config.d_model, pass.config.embed_scale);
    let table = pass.weights.get(Weight::Embed)?;
    let positions = pass.weights.find(Weight::Positions);
    let stride = positions.map_or(0, |positions| positions.stride);
    let mut hidden = pass.buffers.take(to);
    for row in rows.clone() {
        let out = &mut hidden[row * d..][..d];
        if with_tokens {
            table.row(pass.ids[row] as usize, out);
            if scale != 1.0 {
                out.iter_mut().for_each(|out| *out *= scale);
            }
        } else {
            out.fill(0.0);
        }
        if let Some(positions) = positions.filter(|_| with_positions) {
            let added = &positions.vector()[pass.position(row) * stride..];
            for (out, p) in out.iter_mut().zip(added) {
                *out += p;
            }
        }
    }
    pass.buffers.put(to, hidden);
    Ok(())
}
