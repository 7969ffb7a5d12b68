//! `QkNorm`: RMSNorm over each head of q and k of [`QKV`] with a gain for all heads of q and one for all of k, then RoPE → [`ROTATED`] and
//! the layer's keys in the cache (Qwen 3, Gemma 3). `hook_q` and `hook_k` show what is in front of the norm, as in TransformerLens;
//! `hook_rot_q` and `hook_rot_k` what is behind both.

use std::ops::Range;

use super::def::{at_once, no_matrix, Dispatch, Kernel, KernelContext, OpDef, PlanContext, Resource, Step, Vectors};
use super::norm;
use super::pass::Pass;
use super::qkv::{columns_of_pair, rotate, QKV, ROTATED};
use crate::config::Config;
use crate::error::Result;
use crate::weights::Weight;

/// The operation.
pub static DEF: OpDef = OpDef {
    name: "qk_norm",
    writes: |_, _| vec![ROTATED],
    matrix: no_matrix,
    vectors,
    kernels,
    plan,
    pieces: at_once,
    cpu,
};

/// The gains of q and of k.
fn vectors(config: &Config, step: &Step) -> Vectors {
    let mut vectors = Vectors::default();
    for gain in [Weight::QueryNormGain(step.layer), Weight::KeyNormGain(step.layer)] {
        vectors.push(gain, config.d_head);
    }
    vectors
}

fn kernels(cx: &KernelContext<'_>) -> Vec<Kernel> {
    let config = cx.config;
    let mut constants = super::qkv::heads(config).to_vec();
    constants.extend(super::qkv::cached(config));
    constants.push(("eps", f64::from(config.norm_eps)));
    vec![Kernel {
        file: "qk_norm.wgsl",
        constants,
        binds: vec![
            ("qkv", Resource::Buffer(QKV)),
            ("vectors", Resource::Vectors),
            ("rope", Resource::Rope),
            ("rotated", Resource::Buffer(ROTATED)),
            ("cache", Resource::Cache),
        ],
    }]
}

fn plan(plan: &PlanContext<'_>, out: &mut Vec<Dispatch>) {
    let heads = plan.config.n_heads + plan.config.n_kv_heads;
    let params = plan.params.layer(plan.step.layer);
    out.push(Dispatch::new(params, [heads, plan.rows.len(), 1]));
}

/// CPU twin of `shaders/qk_norm.wgsl`.
fn cpu(pass: &mut Pass<'_>, rows: &Range<usize>, _: usize) -> Result<()> {
    let (config, layer) = (pass.config, pass.layer());
    let gain = |which| -> Result<Vec<f32>> { Ok(natural(config, pass.weights.get(which)?.vector())) };
    let gains = [gain(Weight::QueryNormGain(layer))?, gain(Weight::KeyNormGain(layer))?];
    let mut normed = vec![0.0; config.d_head];
    rotate(pass, rows, |number, head| {
        let stats = norm::rms(config, head, config.d_head);
        norm::apply(
            stats,
            head,
            &gains[usize::from(number >= config.n_heads)],
            None,
            &mut normed,
        );
        head.copy_from_slice(&normed);
    })
}

/// A gain, stored in the column order of one head of `Qkv`, in the natural order.
fn natural(config: &Config, stored: &[f32]) -> Vec<f32> {
    let mut gain = vec![0.0; config.d_head];
    for (pair, ab) in stored.chunks_exact(2).enumerate() {
        for (side, column) in columns_of_pair(config, pair).into_iter().enumerate() {
            if let Some(gain) = gain.get_mut(column) {
                *gain = ab[side];
            }
        }
    }
    gain
}
