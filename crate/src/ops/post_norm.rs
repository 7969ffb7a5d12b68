//! `PostNorm`: RMSNorm of what a half of a block gives, in place, before it is added to the stream (Gemma): of [`ATTN_OUT`], with
//! [`RESID_MID`] = the block's input + the normed [`ATTN_OUT`], and of [`MLP_OUT`]. The hooks of both show what is added.

use std::ops::Range;

use super::attn_out::{ATTN_OUT, RESID_MID};
use super::buffers::{Buffer, HIDDEN};
use super::def::{at_once, flag, group_per_row, no_matrix, Kernel, KernelContext, OpDef, Resource, Vectors};
use super::linear::PerLayer;
use super::mlp_out::MLP_OUT;
use super::norm;
use super::pass::Pass;
use crate::config::Config;
use crate::error::Result;
use crate::weights::Weight;

/// Behind the attention.
pub static ATTENTION: OpDef = OpDef {
    name: "attention_post_norm",
    writes: |_, _| vec![ATTN_OUT, RESID_MID],
    matrix: no_matrix,
    vectors: |config, step| gain(config, Weight::PostNorm1Gain(step.layer)),
    kernels: |cx| kernels(cx, ATTN_OUT),
    plan: group_per_row,
    pieces: at_once,
    cpu: |pass, _, _| {
        let normed = apply(pass, ATTN_OUT, Weight::PostNorm1Gain)?;
        super::attn_out::add_to_stream(pass, &normed);
        pass.buffers.put(ATTN_OUT, normed);
        Ok(())
    },
};

/// Behind the MLP.
pub static MLP: OpDef = OpDef {
    name: "mlp_post_norm",
    writes: |_, _| vec![MLP_OUT],
    vectors: |config, step| gain(config, Weight::PostNorm2Gain(step.layer)),
    kernels: |cx| kernels(cx, MLP_OUT),
    cpu: |pass, _: &Range<usize>, _| {
        let normed = apply(pass, MLP_OUT, Weight::PostNorm2Gain)?;
        pass.buffers.put(MLP_OUT, normed);
        Ok(())
    },
    ..ATTENTION
};

fn gain(config: &Config, which: Weight) -> Vectors {
    let mut vectors = Vectors::default();
    vectors.push(which, config.d_model);
    vectors
}

fn kernels(cx: &KernelContext<'_>, half: Buffer) -> Vec<Kernel> {
    vec![Kernel {
        file: "post_norm.wgsl",
        constants: vec![
            ("d_model", cx.config.d_model as f64),
            ("eps", f64::from(cx.config.norm_eps)),
            ("adds", flag(half == ATTN_OUT)),
        ],
        binds: vec![
            ("vectors", Resource::Vectors),
            ("hidden", Resource::Buffer(HIDDEN)),
            ("half", Resource::Buffer(half)),
            ("resid_mid", Resource::Buffer(RESID_MID)),
        ],
    }]
}

/// CPU twin of `shaders/post_norm.wgsl`: the buffer with each row normed, taken out.
fn apply(pass: &mut Pass<'_>, half: Buffer, gain: PerLayer) -> Result<Vec<f32>> {
    let (config, d) = (pass.config, pass.config.d_model);
    let gain = pass.weights.get(gain(pass.layer()))?;
    let plain = pass.buffers.get(half);
    let mut normed = vec![0.0; plain.len()];
    for (x, out) in plain.chunks_exact(d).zip(normed.chunks_exact_mut(d)) {
        norm::apply(norm::rms(config, x, d), x, gain.vector(), None, out);
    }
    Ok(normed)
}
