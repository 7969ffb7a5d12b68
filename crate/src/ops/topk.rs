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
use crate::numerics::gemm;
use crate::numerics::order::{self, Post, Select};
use crate::weights::Weight;

/// Widest stream that `shaders/parts/cut.wgsl` and `cut_subgroup.wgsl` cut.
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
    let file = if cx.subgroups { "subgroup_topk.wgsl" } else { "topk.wgsl" };
    residual::each_sum(cx, file, &constants, &others)
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

/// CPU twin of `shaders/topk.wgsl` and `subgroup_topk.wgsl`.
fn cpu(pass: &mut Pass<'_>, rows: &Range<usize>, _: usize) -> Result<()> {
    let topk = pass.config.topk_at(pass.step.layer);
    let mut hidden = residual::sum(pass)?;
    pass.buffers.active.clear();
    let edits = pass.edits.layer(pass.step.layer);
    for (row, hidden) in rows.clone().zip(hidden.chunks_exact_mut(pass.config.d_model)) {
        residual::edit_row(pass, row, Site::TopkIn, hidden)?;
        let kept = topk.map(|topk| activate_row(hidden, topk));
        residual::edit_row(pass, row, Site::TopkOut, hidden)?;
        match kept {
            Some(mut kept) if edits.len() <= FEW_EDITS => {
                for edit in edits.iter().filter(|edit| edit.site == Site::TopkOut) {
                    set(&mut kept, edit.index, hidden[edit.index as usize]);
                }
                pass.buffers.active.push(kept);
            }
            _ => pass.buffers.active.push_row(hidden),
        }
    }
    pass.buffers.put(HIDDEN, hidden);
    // These rows the next block picks first.
    if let (1, Some(next)) = (rows.len(), pass.weights.find(Weight::Qkv(pass.step.layer + 1)).filter(|w| w.has_rows())) {
        gemm::ask(&pass.buffers.active.indices, &next.data, next.stride);
    }
    Ok(())
}

/// So many are looked up among the entries that are kept, one by one; with more, these are found anew.
const FEW_EDITS: usize = 32;

/// Sets the value of an entry; those that are not listed are 0.
fn set(entries: &mut Vec<(u32, f32)>, index: u32, value: f32) {
    match entries.binary_search_by_key(&index, |entry| entry.0) {
        Ok(at) => entries[at].1 = value,
        Err(_) if value == 0.0 => (),
        Err(at) => entries.insert(at, (index, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::pass::ActiveRows;

    #[test]
    fn entries_that_are_set_are_those_of_the_whole_row() {
        let mut row = [3.0, -1.0, 2.0, 5.0, -4.0, 1.0];
        let topk = TopK {
            k: 3,
            select: Select::Value,
            post: Post::Relu,
        };
        let mut kept = activate_row(&mut row, topk);
        for (index, value) in [(3, 0.0), (4, -2.0), (1, 0.0), (0, 7.0), (5, 1.5), (4, 6.0), (5, 0.0)] {
            row[index] = value;
            set(&mut kept, index as u32, value);
            let (mut listed, mut found) = (ActiveRows::default(), ActiveRows::default());
            listed.clear();
            found.clear();
            listed.push(kept.clone());
            found.push_row(&row);
            assert_eq!((listed.indices, listed.values), (found.indices, found.values));
        }
    }
}
