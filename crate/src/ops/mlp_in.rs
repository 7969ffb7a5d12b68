//! `MlpIn`: the norm of its input (the stream behind the attention, or in a parallel block the block's input) `[rows, d_model]` · W + b →
//! [`MLP_PRE`] `[rows, d_mlp_in]` → activation → [`MLP_POST`] `[rows, d_mlp]`. Gated: pairs (gate, up), activation(gate) · up.

use std::f32::consts::FRAC_1_SQRT_2;
use std::ops::Range;

use super::attn_out::RESID_MID;
use super::buffers::{Buffer, HIDDEN};
use super::def::{
    at_once, flag, stride, weight_type, Dispatch, Kernel, KernelContext, OpDef, PlanContext, Resource,
};
use super::fused::{self, HEAD_OUT, MLP_PARTS};
use super::linear::Linear;
use super::pass::Pass;
use crate::config::{Activation, Config, Mlp};
use crate::error::Result;
use crate::numerics::gemm::dispatch;
use crate::numerics::math;
use crate::weights::Weight;

/// Before the activation `[rows, d_mlp_in]`; pairs (gate, up) side by side where it is gated.
pub const MLP_PRE: Buffer = Buffer::rows("mlp_pre", Config::d_mlp_in);
/// `[rows, d_mlp]`
pub const MLP_POST: Buffer = Buffer::rows("mlp_post", |c| c.d_mlp);

/// The operation.
pub static DEF: OpDef = OpDef {
    name: "mlp_in",
    writes: |_, _| vec![MLP_PRE, MLP_POST, MLP_PARTS],
    matrix: |_, step| Some(Weight::MlpIn(step.layer)),
    vectors: |config, step| LINEAR.vectors(config, step.layer),
    kernels,
    plan,
    pieces: at_once,
    cpu,
};

const LINEAR: Linear = Linear {
    matrix: Weight::MlpIn,
    bias: Weight::MlpInBias,
    norm: Some([Weight::Norm2Gain, Weight::Norm2Bias]),
    inputs: |c| c.d_model,
    outputs: Config::d_mlp_in,
};

fn kernels(cx: &KernelContext<'_>) -> Vec<Kernel> {
    let constants = [
        ("gated", flag(cx.config.mlp.gated)),
        ("activation", number(cx.config.mlp.activation)),
    ];
    let others = [
        ("mlp_pre", Resource::Buffer(MLP_PRE)),
        ("mlp_post", Resource::Buffer(MLP_POST)),
    ];
    let mut kernels = LINEAR.kernels(cx, ["mlp_in_matvec.wgsl", "mlp_in_matmul.wgsl"], &constants, &others);
    if fused::fits(cx.config) {
        kernels.push(fused(cx, &constants));
    }
    kernels
}

/// The kernel that does the second product too.
const FUSED: usize = 2;

fn fused(cx: &KernelContext<'_>, constants: &[(&'static str, f64)]) -> Kernel {
    let (config, layer) = (cx.config, cx.step.layer);
    let down = Weight::MlpOut(layer);
    let others = [
        ("n_heads", config.n_heads as f64),
        ("d_mlp", config.d_mlp as f64),
        ("down_type", weight_type((cx.stored)(down).unwrap_or(cx.dtype))),
        ("down_stride", stride(config.d_model)),
    ];
    Kernel {
        file: "mlp.wgsl",
        constants: [&LINEAR.constants(cx), constants, &others].concat(),
        binds: vec![
            ("hidden", Resource::Buffer(HIDDEN)),
            ("head_out", Resource::Buffer(HEAD_OUT)),
            ("weights", Resource::Weight(Weight::MlpIn(layer))),
            ("down", Resource::Weight(down)),
            ("vectors", Resource::Vectors),
            ("resid_mid", Resource::Buffer(RESID_MID)),
            ("mlp_parts", Resource::Buffer(MLP_PARTS)),
        ],
    }
}

fn plan(plan: &PlanContext<'_>, out: &mut Vec<Dispatch>) {
    let mut dispatch = LINEAR.plan(plan);
    if fused::applies(plan) {
        dispatch = Dispatch {
            grid: [fused::groups(plan.config), plan.rows.len(), 1],
            ..dispatch
        }
        .kernel(FUSED);
    }
    out.push(dispatch);
}

dispatch!(
    /// The activation of a row: of each number, or where it is gated of the gates, times their ups.
    activate, activate_portable, (mlp: Mlp, pre: &[f32], post: &mut [f32])
);

#[inline(always)]
fn activate_portable(mlp: Mlp, pre: &[f32], post: &mut [f32]) {
    match mlp.activation {
        Activation::Silu => each(mlp.gated, math::silu, pre, post),
        Activation::GeluTanh => each(mlp.gated, gelu_new, pre, post),
        Activation::Gelu => each(mlp.gated, gelu, pre, post),
        Activation::Relu => each(mlp.gated, relu, pre, post),
    }
}

#[inline(always)]
fn each(gated: bool, f: impl Fn(f32) -> f32, pre: &[f32], post: &mut [f32]) {
    if gated {
        for (post, pair) in post.iter_mut().zip(pre.as_chunks::<2>().0) {
            *post = f(pair[0]) * pair[1];
        }
    } else {
        for (post, pre) in post.iter_mut().zip(pre) {
            *post = f(*pre);
        }
    }
}

/// ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))
#[inline(always)]
fn gelu_new(x: f32) -> f32 {
    const ROOT: f32 = 0.797_884_6;
    0.5 * x * (1.0 + math::tanh(ROOT * (x + 0.044_715 * (x * x * x))))
}

/// ½ x (1 + erf(x / √2))
#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + math::erf(x * FRAC_1_SQRT_2))
}

/// max(x, 0); NaN stays.
#[inline(always)]
fn relu(x: f32) -> f32 {
    if x < 0.0 {
        0.0
    } else {
        x
    }
}

/// The number by which `shaders/parts/mlp_in.wgsl` knows an activation.
fn number(activation: Activation) -> f64 {
    match activation {
        Activation::Silu => 0.0,
        Activation::GeluTanh => 1.0,
        Activation::Gelu => 2.0,
        Activation::Relu => 3.0,
    }
}

/// CPU twin of `shaders/parts/mlp_in.wgsl`.
fn cpu(pass: &mut Pass<'_>, _: &Range<usize>, _: usize) -> Result<()> {
    let config = pass.config;
    let input = pass.buffers.take(pass.step.input);
    LINEAR.apply_norm(pass, &input)?;
    pass.buffers.put(pass.step.input, input);
    LINEAR.multiply(pass, &[])?;
    let mut pre = pass.buffers.take(MLP_PRE);
    LINEAR.add_bias(pass, &mut pre);
    let mut post = pass.buffers.take(MLP_POST);
    let rows = pre
        .chunks_exact(config.d_mlp_in())
        .zip(post.chunks_exact_mut(config.d_mlp));
    for (pre, post) in rows {
        activate(config.mlp, pre, post);
    }
    pass.buffers.put(MLP_PRE, pre);
    pass.buffers.put(MLP_POST, post);
    Ok(())
}
