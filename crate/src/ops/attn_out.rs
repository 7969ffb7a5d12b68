//! `AttnOut`: [`ATTENDED`] `[rows, n_heads·d_head]` · W + b → [`ATTN_OUT`] `[rows, d_model]`; [`RESID_MID`] = the block's input + [`ATTN_OUT`].

use std::ops::Range;

use super::attention::ATTENDED;
use super::buffers::{Buffer, HIDDEN};
use super::def::{at_once, Kernel, KernelContext, OpDef, Resource};
use super::fused;
use super::linear::Linear;
use super::pass::Pass;
use crate::config::Config;
use crate::error::Result;
use crate::weights::Weight;

/// The attention's output `[rows, d_model]`.
pub const ATTN_OUT: Buffer = Buffer::rows("attn_out", |c| c.d_model);
/// The stream with it added `[rows, d_model]`.
pub const RESID_MID: Buffer = Buffer::rows("resid_mid", |c| c.d_model);

/// The operation.
pub static DEF: OpDef = OpDef {
    name: "attn_out",
    writes: |_, _| vec![ATTN_OUT, RESID_MID],
    matrix: |_, step| Some(Weight::AttnOut(step.layer)),
    vectors: |config, step| LINEAR.vectors(config, step.layer),
    kernels,
    plan: |plan, out| {
        if !fused::applies(plan) {
            out.push(LINEAR.plan(plan));
        }
    },
    pieces: at_once,
    cpu,
};

const LINEAR: Linear = Linear {
    matrix: Weight::AttnOut,
    bias: Weight::AttnOutBias,
    norm: None,
    inputs: Config::d_query,
    outputs: |c| c.d_model,
};

fn kernels(cx: &KernelContext<'_>) -> Vec<Kernel> {
    let others = [
        ("hidden", Resource::Buffer(HIDDEN)),
        ("attn_out", Resource::Buffer(ATTN_OUT)),
        ("resid_mid", Resource::Buffer(RESID_MID)),
    ];
    LINEAR.kernels(cx, ["attn_out_matvec.wgsl", "attn_out_matmul.wgsl"], &[], &others)
}

/// CPU twin of `shaders/parts/attn_out.wgsl`.
fn cpu(pass: &mut Pass<'_>, _: &Range<usize>, _: usize) -> Result<()> {
    let attended = pass.buffers.take(ATTENDED);
    LINEAR.multiply(pass, &attended)?;
    pass.buffers.put(ATTENDED, attended);
    let mut out = pass.buffers.take(ATTN_OUT);
    LINEAR.add_bias(pass, &mut out);
    add_to_stream(pass, &out);
    pass.buffers.put(ATTN_OUT, out);
    Ok(())
}

/// [`RESID_MID`] = the block's input + `out`.
pub(super) fn add_to_stream(pass: &mut Pass<'_>, out: &[f32]) {
    let mut mid = pass.buffers.take(RESID_MID);
    for (mid, (h, a)) in mid.iter_mut().zip(pass.buffers.get(HIDDEN).iter().zip(out)) {
        *mid = h + a;
    }
    pass.buffers.put(RESID_MID, mid);
}
