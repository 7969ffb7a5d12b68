//! `Qkv`: the block's input `[rows, d_model]` (dense [`HIDDEN`](super::buffers::HIDDEN), or sparse [`ACTIVE`]) → norm → q, k, v side by side →
//! [`QKV`] `[rows, d_qkv]` before RoPE, [`ROTATED`] after it, and the layer's cache. Where each head of q and k has a norm of its own,
//! `qk_norm.rs` makes the last two.
//!
//! A sparse input gathers the rows of W of its active entries only. With LayerNorm the entries that are 0 still
//! contribute through mean and bias: y = r·Σ x_i g_i W_i − r·m·Σ g_i W_i + Σ b_i W_i, the last two sums prepared.

use std::ops::Range;

use super::buffers::{Buffer, ACTIVE, HIDDEN};
use super::def::{at_once, flag, Dispatch, Kernel, KernelContext, OpDef, PlanContext, Resource, Step, Vectors};
use super::linear::{self, Linear};
use super::norm;
use super::pass::{KvCache, Pass};
use crate::config::{CacheDtype, Config, Norm};
use crate::error::{Error, Result};
use crate::numerics::gemm;
use crate::weights::{Tensor, Weight};

/// q, k, v before RoPE, natural column order `[rows, d_qkv]`.
pub const QKV: Buffer = Buffer::rows("qkv", Config::d_qkv);
/// q after RoPE, then k after RoPE, side by side `[rows, d_query + d_kv]`.
pub const ROTATED: Buffer = Buffer::rows("rotated", |c| c.d_query() + c.d_kv());

/// The operation.
pub static DEF: OpDef = OpDef {
    name: "qkv",
    writes: |_, _| vec![QKV, ROTATED],
    matrix: |_, step| Some(Weight::Qkv(step.layer)),
    vectors,
    kernels,
    plan,
    pieces: at_once,
    cpu,
};

/// The sizes of attention.
pub fn heads(config: &Config) -> [(&'static str, f64); 3] {
    [
        ("n_heads", config.n_heads as f64),
        ("n_kv_heads", config.n_kv_heads as f64),
        ("d_head", config.d_head as f64),
    ]
}

/// How the cache has keys and values (`shaders/parts/cached.wgsl`).
pub fn cached(config: &Config) -> [(&'static str, f64); 2] {
    [
        ("rotary_dims", config.rotary_dims() as f64),
        ("cache_type", flag(config.cache_dtype == CacheDtype::F16)),
    ]
}

const LINEAR: Linear = Linear {
    matrix: Weight::Qkv,
    bias: Weight::QkvBias,
    norm: Some([Weight::Norm1Gain, Weight::Norm1Bias]),
    inputs: |c| c.d_model,
    outputs: Config::d_qkv,
};

/// Kernels: for few rows, for many, and from the active list, of few rows and of many.
const GATHER: usize = 2;
const GATHER_ROWS: usize = 3;

fn vectors(config: &Config, step: &Step) -> Vectors {
    let mut vectors = LINEAR.vectors(config, step.layer);
    if config.norm == Norm::Layer {
        let stride = Tensor::stride_of(config.d_qkv());
        vectors.push(Weight::QkvGainSum(step.layer), stride);
        vectors.push(Weight::QkvBiasSum(step.layer), stride);
    }
    vectors
}

fn kernels(cx: &KernelContext<'_>) -> Vec<Kernel> {
    let (config, layer) = (cx.config, cx.step.layer);
    let vectors = vectors(config, cx.step);
    let mut constants = LINEAR.constants(cx);
    constants.extend(heads(config));
    constants.extend(cached(config));
    let w = Weight::Qkv(layer);
    let kernel = |file, input: (&'static str, Buffer), weights, constants| Kernel {
        file,
        constants,
        binds: vec![
            (input.0, Resource::Buffer(input.1)),
            ("weights", weights),
            ("vectors", Resource::Vectors),
            ("rope", Resource::Rope),
            ("qkv", Resource::Buffer(QKV)),
            ("rotated", Resource::Buffer(ROTATED)),
            ("cache", Resource::Cache),
        ],
    };
    // The dense kernels read the stream as it is whether or not there is a list of its active entries.
    let dense = ("source", HIDDEN);
    let mut kernels = vec![
        kernel("qkv_matvec.wgsl", dense, Resource::Weight(w), constants.clone()),
        kernel("qkv_matmul.wgsl", dense, Resource::Weight(w), constants.clone()),
    ];
    kernels[1].constants.extend(linear::Tile::of(cx.profile).constants());
    if cx.step.input == ACTIVE {
        constants.extend([
            ("capacity", config.d_model as f64),
            ("gain_sum_at", vectors.at(Weight::QkvGainSum(layer))),
            ("bias_sum_at", vectors.at(Weight::QkvBiasSum(layer))),
        ]);
        let gathered = Resource::RowsOf(w, config.most_active());
        for file in ["qkv_gather.wgsl", "qkv_gather_rows.wgsl"] {
            kernels.push(kernel(file, ("entries", ACTIVE), gathered, constants.clone()));
        }
    }
    kernels
}

/// A gather reads k rows of weights for every row of the batch; a product of many rows reads all of them once for eight. So many
/// rows gather only where the input is very sparse.
fn plan(plan: &PlanContext<'_>, out: &mut Vec<Dispatch>) {
    let (config, rows) = (plan.config, plan.rows.len());
    let gathers = plan.has_few_rows() || config.topk.is_some_and(|topk| 8 * topk.k <= config.d_model);
    if plan.step.input == ACTIVE && gathers {
        let params = plan.params.layer(plan.step.layer);
        out.push(if plan.has_few_rows() {
            Dispatch::new(params, [config.d_qkv().div_ceil(32), rows, 1]).kernel(GATHER)
        } else {
            Dispatch::new(params, [config.d_qkv().div_ceil(128), rows.div_ceil(4), 1]).kernel(GATHER_ROWS)
        });
    } else {
        out.push(LINEAR.plan(plan));
    }
}

/// Natural columns of the pair that is stored in columns `2·pair`, `2·pair + 1` (see `weights.rs`).
pub fn columns_of_pair(config: &Config, pair: usize) -> [usize; 2] {
    let (column, dims) = (2 * pair, config.rotary_dims());
    let within = column % config.d_head;
    if within < dims && column < config.d_query() + config.d_kv() {
        let first = column - within + within / 2;
        [first, first + dims / 2]
    } else {
        [column, column + 1]
    }
}

/// CPU twin of `shaders/parts/qkv.wgsl`.
fn cpu(pass: &mut Pass<'_>, rows: &Range<usize>, _: usize) -> Result<()> {
    if pass.step.input == ACTIVE && pass.weights.get(Weight::Qkv(pass.layer()))?.has_rows() {
        gather(pass)?;
    } else {
        // Where there is a list of active entries, the stream itself is there, too.
        let stream = if pass.step.input == ACTIVE { HIDDEN } else { pass.step.input };
        let input = pass.buffers.take(stream);
        LINEAR.apply_norm(pass, &input)?;
        pass.buffers.put(stream, input);
        LINEAR.multiply(pass, &[])?;
    }
    file_columns(pass)?;
    if !pass.config.qk_norm {
        rotate(pass, rows, |_, _| ())?;
    }
    Ok(())
}

/// Norm and product of the active entries: fills `Buffers::output`.
fn gather(pass: &mut Pass<'_>) -> Result<()> {
    let (config, weights, layer) = (pass.config, pass.weights, pass.layer());
    let w = weights.get(Weight::Qkv(layer))?;
    let gain = weights.get(Weight::Norm1Gain(layer))?.vector();
    let layer_norm = config.norm == Norm::Layer;
    let rows = pass.rows();
    let buffers = &mut *pass.buffers;
    buffers.output.resize(rows * w.stride, 0.0);
    for row in 0..rows {
        let (indices, active) = buffers.active.row(row);
        let stats = norm::stats(config, active, config.d_model);
        buffers.input.clear();
        buffers.input.extend(indices.iter().zip(active).map(|(index, value)| {
            let gain = gain[*index as usize];
            if layer_norm {
                gain * value
            } else {
                gain * (value * stats.scale)
            }
        }));
        let out = &mut buffers.output[row * w.stride..][..w.stride];
        gemm::gather(indices, &buffers.input, &w.data, w.stride, out);
        // Of the MLP's matrix the same rows are read, once the attention is done: they come meanwhile.
        if let (1, true, Some(next)) = (rows, weights.find(Weight::MlpInProduct(layer)).is_some(), weights.find(Weight::MlpIn(layer))) {
            gemm::ask(indices, &next.data, next.stride);
        }
        if layer_norm {
            let gain_sum = weights.get(Weight::QkvGainSum(layer))?;
            let bias_sum = weights.get(Weight::QkvBiasSum(layer))?;
            for ((out, gain), bias) in out.iter_mut().zip(gain_sum.vector()).zip(bias_sum.vector()) {
                *out = stats.scale * (*out - stats.mean * gain) + bias;
            }
        }
    }
    Ok(())
}

/// `Buffers::output`, whose columns are paired, → [`QKV`] in natural order.
fn file_columns(pass: &mut Pass<'_>) -> Result<()> {
    let (config, d_qkv) = (pass.config, pass.config.d_qkv());
    let turned = config.d_query() + config.d_kv();
    let stride = pass.weights.get(Weight::Qkv(pass.layer()))?.stride;
    if let Some(bias) = pass.weights.find(Weight::QkvBias(pass.layer())) {
        for stored in pass.buffers.output.chunks_exact_mut(stride) {
            for (stored, bias) in stored.iter_mut().zip(bias.vector()) {
                *stored += bias;
            }
        }
    }
    let mut qkv = pass.buffers.take(QKV);
    for (out, stored) in qkv
        .chunks_exact_mut(d_qkv)
        .zip(pass.buffers.output.chunks_exact(stride))
    {
        for (column, out) in out.chunks_mut(config.d_head).enumerate().map(|(head, out)| (head * config.d_head, out)) {
            let stored = &stored[column..][..out.len()];
            let dims = if column < turned { config.rotary_dims() } else { 0 };
            let (turning, rest) = out.split_at_mut(dims);
            let (first, second) = turning.split_at_mut(dims / 2);
            for ((first, second), pair) in first.iter_mut().zip(second).zip(stored[..dims].as_chunks::<2>().0) {
                (*first, *second) = (pair[0], pair[1]);
            }
            rest.copy_from_slice(&stored[dims..]);
        }
    }
    pass.buffers.put(QKV, qkv);
    Ok(())
}

/// [`QKV`] → [`ROTATED`] and the caches. `norm` is applied to each head of q and k, by its number, before it is rotated.
pub(super) fn rotate(pass: &mut Pass<'_>, rows: &Range<usize>, mut norm: impl FnMut(usize, &mut [f32])) -> Result<()> {
    let (config, half) = (pass.config, pass.rope.half());
    let kind = pass.rope.of(config, pass.step.layer);
    let (d_qkv, d_head, turned) = (config.d_qkv(), config.d_head, config.d_query() + config.d_kv());
    let mut rotated = pass.buffers.take(ROTATED);
    let heads = rotated
        .chunks_exact_mut(turned)
        .zip(pass.buffers.get(QKV).chunks_exact(d_qkv));
    for (row, (out, qkv)) in heads.enumerate() {
        out.copy_from_slice(&qkv[..turned]);
        let turns = &pass.buffers.turns[kind][row * 2 * half..][..2 * half];
        for (number, head) in out.chunks_exact_mut(d_head).enumerate() {
            norm(number, head);
            let (first, second) = head[..2 * half].split_at_mut(half);
            for ((a, b), turn) in first.iter_mut().zip(second).zip(turns.chunks_exact(2)) {
                (*a, *b) = (*a * turn[0] - *b * turn[1], *b * turn[0] + *a * turn[1]);
            }
        }
    }
    pass.buffers.put(ROTATED, rotated);
    fill_caches(pass, rows)
}

/// Puts keys and values into the caches of their sequences, but for those of alternatives.
fn fill_caches(pass: &mut Pass<'_>, rows: &Range<usize>) -> Result<()> {
    let (config, layer) = (pass.config, pass.layer());
    let (d_query, d_kv, d_qkv) = (config.d_query(), config.d_kv(), config.d_qkv());
    let alternatives = pass.alternatives();
    for (sequence, rows) in pass.runs(rows) {
        for row in rows {
            let position = pass.position(row);
            let key = &pass.buffers.get(ROTATED)[row * (d_query + d_kv) + d_query..][..d_kv];
            let value = &pass.buffers.get(QKV)[row * d_qkv + d_qkv - d_kv..][..d_kv];
            // Rounding would make finite numbers of others.
            if config.cache_dtype == CacheDtype::F16 && !key.iter().chain(value).all(|number| number.is_finite()) {
                return Err(Error::non_finite(Some(layer)));
            }
            match &mut pass.caches[sequence] {
                _ if alternatives => {}
                KvCache::F32(kv) => kv.put(layer, position, key, value),
                KvCache::F16(kv) => kv.put(layer, position, key, value),
            }
        }
    }
    Ok(())
}
