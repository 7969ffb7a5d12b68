//! `TopK`: the end of a TopK block. `topk_in` = `resid_mid` + `mlp_out`; edits of site `topk_in`; the k first in the total
//! order stay; `topk_post`; edits of site `topk_out` → [`HIDDEN`] (dense) and [`ACTIVE`] (index ascending, no zeros).

use std::ops::Range;

use super::buffers::{ACTIVE, HIDDEN};
use super::def::{at_once, flag, no_matrix, no_vectors, Kernel, KernelContext, OpDef, Resource};
use super::pass::Pass;
use super::residual::{self, TOPK_IN};
use crate::config::TopK;
use crate::edits::Site;
use crate::error::Result;
use crate::numerics::order::{self, Post, Select};

/// Widest stream that `shaders/parts/cut.wgsl` cuts.
pub const MAX_WIDTH: usize = 65535;

/// The operation.
pub static DEF: OpDef = OpDef {
    name: "topk",
    writes: |_, _| vec![TOPK_IN, HIDDEN, ACTIVE],
    matrix: no_matrix,
    vectors: no_vectors,
    kernels,
    plan: residual::plan,
    pieces: at_once,
    cpu,
};

fn kernels(cx: &KernelContext<'_>) -> Vec<Kernel> {
    let Some(topk) = cx.config.topk_at(cx.step.layer) else {
        return Vec::new();
    };
    let mut constants = residual::constants(cx);
    constants.extend([
        ("k", topk.k as f64),
        ("capacity", cx.config.d_model as f64),
        ("select_abs", flag(topk.select == Select::Abs)),
        ("post_relu", flag(topk.post == Post::Relu)),
    ]);
    let others = [("active_list", Resource::Buffer(ACTIVE))];
    residual::each_sum(cx, "topk.wgsl", &constants, &others)
}

/// Applies the activation to a row in place: all but the first k in the total order become 0. Gives these, as they are now, by index.
pub fn activate_row(row: &mut [f32], topk: TopK) -> Vec<(u32, f32)> {
    let after = |value: f32| if topk.post == Post::Relu && value < 0.0 { 0.0 } else { value };
    let first = order::first(row, topk.k, topk.select);
    let kept: Vec<(u32, f32)> = first.map(|index| (index, after(row[index as usize]))).collect();
    row.fill(0.0);
    for (index, value) in &kept {
        row[*index as usize] = *value;
    }
    kept
}

/// CPU twin of `shaders/topk.wgsl`.
fn cpu(pass: &mut Pass<'_>, rows: &Range<usize>, _: usize) -> Result<()> {
    let topk = pass.config.topk_at(pass.step.layer);
    let mut hidden = residual::sum(pass)?;
    pass.buffers.active.clear();
    let edited = !pass.edits.layer(pass.step.layer).is_empty();
    for (row, hidden) in rows.clone().zip(hidden.chunks_exact_mut(pass.config.d_model)) {
        residual::edit_row(pass, row, Site::TopkIn, hidden)?;
        let kept = topk.map(|topk| activate_row(hidden, topk));
        residual::edit_row(pass, row, Site::TopkOut, hidden)?;
        match kept {
            Some(kept) if !edited => pass.buffers.active.push(kept),
            _ => pass.buffers.active.push_row(hidden),
        }
    }
    pass.buffers.put(HIDDEN, hidden);
    Ok(())
}
