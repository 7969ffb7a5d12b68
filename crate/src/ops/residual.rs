//! `Residual`: the end of a block without a TopK activation. [`TOPK_IN`] = [`RESID_MID`] + [`MLP_OUT`]; edits of site `topk_in`, then of site
//! `topk_out`, each in the order given → [`HIDDEN`].

use std::ops::Range;

use super::attn_out::RESID_MID;
use super::buffers::{Buffer, HIDDEN, STATUS};
use super::def::{at_once, flag, no_matrix, no_vectors, Dispatch, Kernel, KernelContext, OpDef, PlanContext, Resource};
use super::fused::{self, MLP_PARTS};
use super::mlp_out::MLP_OUT;
use super::pass::Pass;
use super::tuning::tuning;
use crate::edits::Site;
use crate::error::{Error, Result};
use crate::numerics::dispatch::dispatch;

/// The sum before any edit `[rows, d_model]` (`hook_topk_in`).
pub const TOPK_IN: Buffer = Buffer::rows("topk_in", |c| c.d_model);

/// The operation.
pub static DEF: OpDef = OpDef {
    name: "residual",
    writes: |_, _| vec![TOPK_IN, HIDDEN],
    matrix: no_matrix,
    vectors: no_vectors,
    kernels,
    plan: |plan, out| plan_ends(plan, fused::ends(plan.config), out),
    pieces: at_once,
    cpu,
};

fn kernels(cx: &KernelContext<'_>) -> Vec<Kernel> {
    each_sum(cx, "residual.wgsl", &constants(cx), &[])
}

/// A kernel that ends a block: behind the sum that the MLP made, and where fused kernels fit behind its parts.
pub(super) fn each_sum(
    cx: &KernelContext<'_>,
    file: &'static str,
    constants: &[(&'static str, f64)],
    others: &[(&'static str, Resource)],
) -> Vec<Kernel> {
    let sums = [MLP_OUT, MLP_PARTS];
    sums[..1 + usize::from(fused::fits(cx.config))]
        .iter()
        .map(|sum| Kernel {
            file,
            constants: [constants, &[("in_parts", flag(*sum == MLP_PARTS))]].concat(),
            binds: [&binds(*sum), others].concat(),
        })
        .collect()
}

/// One workgroup for each row. aux0: in how many parts the MLP's result lies; aux2: 0, for `shaders/parts/edits.wgsl`.
pub(super) fn plan(plan: &PlanContext<'_>, out: &mut Vec<Dispatch>) {
    plan_ends(plan, 1, out);
}

/// Likewise; where it lies in parts aux1 = `ends` workgroups.
fn plan_ends(plan: &PlanContext<'_>, ends: usize, out: &mut Vec<Dispatch>) {
    let fused = fused::applies(plan);
    let (parts, ends) = if fused { (1 + fused::groups(plan.config), ends) } else { (1, 1) };
    let params = plan.params.layer(plan.step.layer).aux([parts, ends, 0]);
    out.push(Dispatch::new(params, [plan.rows.len() * ends, 1, 1]).kernel(usize::from(fused)));
}

/// What `shaders/parts/residual.wgsl` has to know.
pub(super) fn constants(cx: &KernelContext<'_>) -> Vec<(&'static str, f64)> {
    let d = cx.config.d_model;
    vec![
        ("d_model", d as f64),
        ("threads", tuning(cx.profile).threads_for(d) as f64),
    ]
}

/// What the kernels that end a block have in common.
fn binds(mlp_out: Buffer) -> [(&'static str, Resource); 6] {
    [
        ("resid_mid", Resource::Buffer(RESID_MID)),
        ("mlp_out", Resource::Buffer(mlp_out)),
        ("edits", Resource::Edits),
        ("topk_in", Resource::Buffer(TOPK_IN)),
        ("hidden", Resource::Buffer(HIDDEN)),
        ("status", Resource::Buffer(STATUS)),
    ]
}

/// CPU twin of `shaders/residual.wgsl`.
fn cpu(pass: &mut Pass<'_>, rows: &Range<usize>, _: usize) -> Result<()> {
    let mut hidden = sum(pass)?;
    let d = pass.config.d_model;
    for (row, hidden) in rows.clone().zip(hidden.chunks_exact_mut(d)) {
        edit_row(pass, row, Site::TopkIn, hidden)?;
        edit_row(pass, row, Site::TopkOut, hidden)?;
    }
    pass.buffers.put(HIDDEN, hidden);
    Ok(())
}

/// Fills [`TOPK_IN`], checked for infinities and NaN; gives [`HIDDEN`] with the same numbers, taken out.
pub(super) fn sum(pass: &mut Pass<'_>) -> Result<Vec<f32>> {
    let b = &mut *pass.buffers;
    let mut sum = b.take(TOPK_IN);
    let (mut hidden, mid, mlp) = (b.take(HIDDEN), b.get(RESID_MID), b.get(MLP_OUT));
    if !add(mid, mlp, &mut sum, &mut hidden) {
        return Err(Error::non_finite(Some(pass.step.layer)));
    }
    b.put(TOPK_IN, sum);
    Ok(hidden)
}

dispatch!(
    /// `a + b` into both; whether all of it is finite.
    add, add_portable, (a: &[f32], b: &[f32], sum: &mut [f32], copy: &mut [f32]) -> bool
);

#[inline(always)]
fn add_portable(a: &[f32], b: &[f32], sum: &mut [f32], copy: &mut [f32]) -> bool {
    // Without an early end, which would cost more than it saves.
    let mut finite = true;
    for (((sum, copy), a), b) in sum.iter_mut().zip(copy).zip(a).zip(b) {
        *sum = a + b;
        *copy = *sum;
        finite &= sum.is_finite();
    }
    finite
}

/// Applies the edits of one site to a row of the stream.
pub(super) fn edit_row(pass: &Pass<'_>, row: usize, site: Site, hidden: &mut [f32]) -> Result<()> {
    let (layer, position) = (pass.step.layer, pass.position(row));
    for edit in pass.edits.layer(layer) {
        if edit.site == site && edit.applies(row, position) {
            let value = &mut hidden[edit.index as usize];
            *value = edit.apply(*value);
            if !value.is_finite() {
                return Err(Error::non_finite(Some(layer)));
            }
        }
    }
    Ok(())
}
