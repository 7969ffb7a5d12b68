//! `Sample`: the logits of a row → the next token. How it is drawn is `sampling.rs`'s.

use std::ops::Range;

use super::buffers::{Buffer, HIDDEN, IDS, STATUS};
use super::def::{at_once, no_vectors, stride, table_type, Dispatch, Kernel, KernelContext, OpDef, Resource, SEQUENCES};
use super::embed;
use super::lm_head::LOGITS;
use super::pass::Pass;
use super::sampling::sample;
use super::tuning::tuning;
use crate::error::Result;
use crate::weights::Weight;

/// 8 words a row, see [`gpu_words`].
pub const SAMPLING: Buffer = Buffer::words("sampling", |_, _| 8 * SEQUENCES);
/// u32 `[MAX_STEPS, rows, 2]`: id, bits of its log-probability.
pub const RESULTS: Buffer = Buffer::words("results", |_, _| 2 * MAX_STEPS * SEQUENCES);
/// Of a row two words for each id, then u32 `[d_vocab]`: whether it occurred.
pub const SCRATCH: Buffer = Buffer::words("sampler", |c, _| 3 * c.d_vocab);
/// The same for several rows. It is made when it is first asked for.
pub const SCRATCH_OF_EACH: Buffer = Buffer::words("samplers", |c, _| 3 * c.d_vocab * SEQUENCES);

/// Most decode steps of one submit.
pub const MAX_STEPS: usize = 32;

/// Draws the next token from the logits of a row.
pub static DEF: OpDef = OpDef {
    name: "sample",
    writes: |_, _| vec![RESULTS, SAMPLING, SCRATCH],
    // Of which it makes the next step's stream.
    matrix: |_, _| Some(Weight::Embed),
    vectors: no_vectors,
    kernels: |cx| kernels(cx, SCRATCH),
    plan: |plan, out| out.push(Dispatch::new(plan.params, [plan.rows.len(), 1, 1])),
    pieces: at_once,
    cpu,
};

/// The same for each of several sequences, on the GPU.
pub static TOGETHER: OpDef = OpDef {
    name: "sample_together",
    writes: |_, _| vec![RESULTS, SAMPLING, SCRATCH_OF_EACH],
    kernels: |cx| kernels(cx, SCRATCH_OF_EACH),
    ..DEF
};

fn kernels(cx: &KernelContext<'_>, scratch: Buffer) -> Vec<Kernel> {
    let config = cx.config;
    vec![Kernel {
        file: "sample.wgsl",
        constants: vec![
            ("d_vocab", config.d_vocab as f64),
            ("n_layers", config.n_layers as f64),
            ("weight_type", table_type(cx.dtype)),
            ("stride", stride(config.d_model)),
            ("d_model", if embed::is_sampled(config) { config.d_model as f64 } else { 0.0 }),
            ("embed_scale", f64::from(config.embed_scale)),
            // It goes over the logits up to thirty times.
            ("threads", tuning(cx.profile).threads_for(16 * config.d_vocab) as f64),
        ],
        binds: vec![
            ("logits", Resource::Buffer(LOGITS)),
            ("sampling", Resource::Buffer(SAMPLING)),
            ("ids", Resource::Buffer(IDS)),
            ("results", Resource::Buffer(RESULTS)),
            ("status", Resource::Buffer(STATUS)),
            ("scratch", Resource::Buffer(scratch)),
            ("weights", Resource::RowsOf(Weight::Embed, usize::from(embed::is_sampled(config)))),
            ("hidden", Resource::Buffer(HIDDEN)),
        ],
    }]
}

/// CPU twin of `shaders/sample.wgsl`.
fn cpu(pass: &mut Pass<'_>, _: &Range<usize>, _: usize) -> Result<()> {
    if let Some(draw) = &mut pass.draw {
        let logits = &pass.buffers.get(LOGITS)[draw.row * pass.config.d_vocab..][..pass.config.d_vocab];
        draw.drawn = Some(sample(logits, draw.seen, draw.sampling, draw.position)?);
    }
    Ok(())
}
