//! `MlpOut`: [`MLP_POST`] `[rows, d_mlp]` · W + b → [`MLP_OUT`] `[rows, d_model]`.

use std::ops::Range;

use super::buffers::Buffer;
use super::def::{at_once, Kernel, KernelContext, OpDef, Resource};
use super::fused;
use super::linear::Linear;
use super::mlp_in::MLP_POST;
use super::pass::Pass;
use crate::error::Result;
use crate::weights::Weight;

/// The MLP's output `[rows, d_model]`.
pub const MLP_OUT: Buffer = Buffer::rows("mlp_out", |c| c.d_model);

/// The operation.
pub static DEF: OpDef = OpDef {
    name: "mlp_out",
    writes: |_, _| vec![MLP_OUT],
    matrix: |_, step| Some(Weight::MlpOut(step.layer)),
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
    matrix: Weight::MlpOut,
    bias: Weight::MlpOutBias,
    norm: None,
    inputs: |c| c.d_mlp,
    outputs: |c| c.d_model,
};

fn kernels(cx: &KernelContext<'_>) -> Vec<Kernel> {
    let others = [("mlp_out", Resource::Buffer(MLP_OUT))];
    LINEAR.kernels(cx, ["mlp_out_matvec.wgsl", "mlp_out_matmul.wgsl"], &[], &others)
}

/// CPU twin of `shaders/parts/mlp_out.wgsl`.
fn cpu(pass: &mut Pass<'_>, _: &Range<usize>, _: usize) -> Result<()> {
    let post = pass.buffers.take(MLP_POST);
    LINEAR.multiply(pass, &post)?;
    pass.buffers.put(MLP_POST, post);
    let mut out = pass.buffers.take(MLP_OUT);
    LINEAR.add_bias(pass, &mut out);
    pass.buffers.put(MLP_OUT, out);
    Ok(())
}
