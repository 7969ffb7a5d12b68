//! `TopK`: the end of a TopK block. `TopkIn` = `ResidMid` + `MlpOut`; edits of site `topk_in`; the cut to the k first in the
//! standing order; `topk_post`; edits of site `topk_out` → `Hidden` (dense) and `Active` (index ascending, no zeros).

use super::{residual, Pass};
use crate::config::Cut;
use crate::edits::Site;
use crate::error::Result;
use crate::order::{self, Post};

/// Cuts a row in place: all but the first k in the standing order become 0.
pub fn cut_row(row: &mut [f32], cut: Cut) {
    let mut kept = order::topk_indices(row, cut.k, cut.select);
    kept.sort_unstable();
    let mut kept = kept.into_iter().peekable();
    for (index, value) in (0u32..).zip(row) {
        let stays = kept.next_if_eq(&index).is_some();
        if !stays || (cut.post == Post::Relu && *value < 0.0) {
            *value = 0.0;
        }
    }
}

/// CPU twin of `shaders/topk.wgsl`.
pub fn cpu(pass: &mut Pass, layer: usize, cut: Cut) -> Result<()> {
    residual::sum(pass, layer)?;
    let d = pass.config.d_model;
    pass.buffers.active.clear();
    for row in 0..pass.rows() {
        residual::edit_row(pass, layer, row, Site::TopkIn);
        cut_row(&mut pass.buffers.hidden[row * d..][..d], cut);
        residual::edit_row(pass, layer, row, Site::TopkOut);
        let b = &mut *pass.buffers;
        b.active.push_row(&b.hidden[row * d..][..d]);
    }
    Ok(())
}
