//! `LmHead`: the stream `[rows, d_model]` → final norm → [`NORMALIZED`] (before gain and bias) → · Eᵀ → [`LOGITS`] `[rows, d_vocab]`,
//! E the head or, where they are tied, the embedding; then the soft-cap, where the model has one. [`NORM`] stops at the norm, for its hook.

use std::ops::Range;

use super::buffers::{Buffer, STATUS};
use super::def::{
    at_once, stride, table_type, Dispatch, Kernel, KernelContext, OpDef, PlanContext, Resource, Step, Vectors,
};
use super::norm;
use super::pass::{Pass, SLICE};
use super::tuning::tuning;
use crate::config::{Config, Norm};
use crate::error::{Error, Result};
use crate::numerics::math;
use crate::weights::Weight;

/// The final norm's output before gain and bias `[rows, d_model]`.
pub const NORMALIZED: Buffer = Buffer::rows("normalized", |c| c.d_model);
/// `[rows, d_vocab]`; of one column only where the plan says so.
pub const LOGITS: Buffer = Buffer::rows("logits", |c| c.d_vocab).in_chunks();

/// Logits.
pub static DEF: OpDef = OpDef {
    name: "lm_head",
    writes: |_, _| vec![LOGITS, NORMALIZED],
    matrix: |config, _| Some(config.head()),
    vectors,
    kernels,
    plan,
    pieces,
    cpu,
};

/// The final norm alone.
pub static NORM: OpDef = OpDef {
    name: "final_norm",
    writes: |_, _| vec![NORMALIZED, LOGITS],
    plan: |plan, out| dispatch(plan, 0, (0, 0, 0), 1, out),
    pieces: at_once,
    cpu: |pass, rows, _| normalize(pass, rows),
    ..DEF
};

/// Gain and bias of the final norm.
fn vectors(config: &Config, _: &Step) -> Vectors {
    let mut vectors = Vectors::default();
    vectors.push(Weight::FinalNormGain, config.d_model);
    if config.norm == Norm::Layer {
        vectors.push(Weight::FinalNormBias, config.d_model);
    }
    vectors
}

/// For few rows (as the kind of adapter has it) and for many.
fn kernels(cx: &KernelContext<'_>) -> Vec<Kernel> {
    let config = cx.config;
    let vectors = vectors(config, cx.step);
    let mut constants = norm::constants(config, true, config.d_model);
    constants.extend([
        ("gain_at", vectors.at(Weight::FinalNormGain)),
        ("norm_bias_at", vectors.at(Weight::FinalNormBias)),
        ("weight_type", table_type(cx.dtype)),
        ("stride", stride(config.d_model)),
        ("n_layers", config.n_layers as f64),
        ("logit_softcap", f64::from(config.logit_softcap.unwrap_or(0.0))),
    ]);
    let by_sixteen = config.d_model.is_multiple_of(16) && table_type(cx.dtype) <= 4.0;
    let few = match cx.profile.is_software() && by_sixteen {
        true => ("lm_head_serial.wgsl", Some(("threads", tuning(cx.profile).threads.clamp(4, 8) as f64))),
        false => ("lm_head_matvec.wgsl", None),
    };
    [few, ("lm_head_matmul.wgsl", None)]
        .map(|(file, threads)| Kernel {
            file,
            constants: constants.iter().copied().chain(threads).collect(),
            binds: vec![
                ("source", Resource::Buffer(cx.step.input)),
                ("weights", Resource::Weight(config.head())),
                ("vectors", Resource::Vectors),
                ("normalized", Resource::Buffer(NORMALIZED)),
                ("logits", Resource::Buffer(LOGITS)),
                ("status", Resource::Buffer(STATUS)),
            ],
        })
        .into()
}

/// A dispatch for each shard of the table; for a single column the shard that has it.
fn plan(plan: &PlanContext<'_>, out: &mut Vec<Dispatch>) {
    for (shard, (first, rows)) in plan.shards.iter().enumerate() {
        match plan.column {
            None => dispatch(plan, shard, (0, *rows, *first), plan.config.d_vocab, out),
            Some(id) if (*first..first + rows).contains(&id) => dispatch(plan, shard, (id - first, 1, 0), 1, out),
            Some(_) => {}
        }
    }
}

/// `count` ids from id `from` of a shard, into columns from `column` on of rows of `width`.
fn dispatch(
    plan: &PlanContext<'_>,
    shard: usize,
    (from, count, column): (usize, usize, usize),
    width: usize,
    out: &mut Vec<Dispatch>,
) {
    let n = plan.rows.len();
    let mut params = plan.params.aux([plan.rows.start, from, count]);
    (params.rows, params.more) = (n as u32, [column as u32, width as u32, 0, 0]);
    let of = |grid| Dispatch {
        shard,
        ..Dispatch::new(params, grid)
    };
    out.push(if plan.has_few_rows() {
        of([count.div_ceil(16).max(1), n, 1])
    } else {
        of([count.div_ceil(64).max(1), n.div_ceil(64), 1]).kernel(1)
    });
}

/// Rows that go over the vocabulary together, and ids of a piece.
fn piece_size(pass: &Pass<'_>, rows: &Range<usize>) -> (usize, usize) {
    let config = pass.config;
    let ids = pass.column.map_or(config.d_vocab, |_| 1);
    let together = (SLICE / (config.d_model * ids).max(1)).clamp(1, rows.len().max(1));
    (together, (SLICE / config.d_model).clamp(1, ids))
}

fn pieces(pass: &Pass<'_>, rows: &Range<usize>) -> usize {
    let (together, ids) = piece_size(pass, rows);
    let width = pass.column.map_or(pass.config.d_vocab, |_| 1);
    rows.len().div_ceil(together) * width.div_ceil(ids)
}

/// CPU twin of `shaders/parts/lm_head.wgsl`: some rows over the whole vocabulary, or one row over a part of it.
fn cpu(pass: &mut Pass<'_>, rows: &Range<usize>, piece: usize) -> Result<()> {
    if piece == 0 {
        normalize(pass, rows)?;
    }
    let d = pass.config.d_model;
    let head = pass.weights.get(pass.config.head())?;
    let (first_id, width) = pass.column.map_or((0, pass.config.d_vocab), |id| (id, 1));
    let (together, ids) = piece_size(pass, rows);
    let parts = width.div_ceil(ids);
    let first = piece / parts * together;
    let n = together.min(rows.len() - first);
    let columns = piece % parts * ids..(piece % parts * ids + ids).min(width);
    let of = first_id + columns.start..first_id + columns.end;
    let mut logits = pass.buffers.take(LOGITS);
    let input = &pass.buffers.input[(rows.start + first) * d..(rows.start + first + n) * d];
    let out = &mut logits[first * width + columns.start..][..(n - 1) * width + columns.len()];
    let done = head.dots(input, d, of, out);
    // Before the soft-cap, which would hide an infinity.
    let finite = out.iter().fold(true, |finite, v| finite & v.is_finite());
    if let Some(cap) = pass.config.logit_softcap {
        math::softcap(out, cap);
    }
    pass.buffers.put(LOGITS, logits);
    done?;
    if !finite {
        return Err(Error::non_finite(None));
    }
    Ok(())
}

/// The final norm of `rows`: fills [`NORMALIZED`] and the head's input.
fn normalize(pass: &mut Pass<'_>, rows: &Range<usize>) -> Result<()> {
    let (config, d) = (pass.config, pass.config.d_model);
    let gain = pass.weights.get(Weight::FinalNormGain)?;
    let bias = pass.weights.find(Weight::FinalNormBias);
    let mut normalized = pass.buffers.take(NORMALIZED);
    let hidden = pass.buffers.take(pass.step.input);
    let input = &mut pass.buffers.input;
    input.resize(pass.ids.len() * d, 0.0);
    for row in rows.clone() {
        let x = &hidden[row * d..][..d];
        let stats = norm::stats(config, x, d);
        for (out, x) in normalized[row * d..][..d].iter_mut().zip(x) {
            *out = (x - stats.mean) * stats.scale;
        }
        let bias = bias.map(|b| b.vector());
        norm::apply(stats, x, gain.vector(), bias, &mut input[row * d..][..d]);
    }
    pass.buffers.put(pass.step.input, hidden);
    pass.buffers.put(NORMALIZED, normalized);
    Ok(())
}
