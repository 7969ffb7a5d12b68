//! `Residual`: the end of a block without a cut. `TopkIn` = `ResidMid` + `MlpOut`; edits of site `topk_in`, then of site
//! `topk_out`, each in the order given → `Hidden`.

use super::kernel::{Access, Kernel};
use super::Pass;
use crate::config::Config;
use crate::edits::Site;
use crate::error::{Error, Result};
use crate::topk::plan::{tuning, Profile};

/// `shaders/residual.wgsl`: ResidMid, MlpOut, edits; TopkIn, Hidden, status.
pub fn kernel(config: &Config, profile: Profile) -> Kernel {
    use Access::{Absent, Read, Write};
    let constants = vec![
        ("d_model", config.d_model as f64),
        ("n_layers", config.n_layers as f64),
        ("threads", tuning(profile).threads_for(config.d_model) as f64),
    ];
    Kernel {
        file: "residual.wgsl",
        bindings: &[Read, Read, Read, Write, Write, Absent, Write],
        constants,
    }
}

/// CPU twin of `shaders/residual.wgsl`.
pub fn cpu(pass: &mut Pass, layer: usize) -> Result<()> {
    sum(pass, layer)?;
    for row in 0..pass.rows() {
        edit_row(pass, layer, row, Site::TopkIn)?;
        edit_row(pass, layer, row, Site::TopkOut)?;
    }
    Ok(())
}

/// `TopkIn` and `Hidden` = `ResidMid` + `MlpOut`, checked for infinities and NaN.
pub(super) fn sum(pass: &mut Pass, layer: usize) -> Result<()> {
    let n = pass.rows() * pass.config.d_model;
    let b = &mut *pass.buffers;
    for ((sum, a), c) in b.topk_in[..n].iter_mut().zip(&b.resid_mid).zip(&b.mlp_out) {
        *sum = a + c;
    }
    if b.topk_in[..n].iter().any(|v| !v.is_finite()) {
        return Err(Error::non_finite(Some(layer)));
    }
    b.hidden[..n].copy_from_slice(&b.topk_in[..n]);
    Ok(())
}

/// Applies the edits of one site to a row of `Hidden`.
pub(super) fn edit_row(pass: &mut Pass, layer: usize, row: usize, site: Site) -> Result<()> {
    let (d, position) = (pass.config.d_model, pass.position(row));
    let hidden = &mut pass.buffers.hidden[row * d..][..d];
    for edit in pass.batch.edits.layer(layer) {
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
