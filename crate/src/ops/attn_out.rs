//! `AttnOut`: `Attended` `[rows, n_heads·d_head]` · W + b → `AttnOut` `[rows, d_model]`; `ResidMid` = `Hidden` + `AttnOut`.

use super::kernel::{Access, Driver, Kernel, Linear};
use super::Pass;
use crate::config::Config;
use crate::cpu::gemm;
use crate::error::Result;
use crate::weights::{Dtype, Weight};

/// The kernel for weights stored as `dtype`; see `shaders/parts/attn_out.wgsl`.
pub fn kernel(config: &Config, dtype: Dtype, driver: Driver) -> Kernel {
    use Access::{Read, Write};
    let constants = Linear::AttnOut.constants(config, dtype);
    let file = if driver == Driver::Matmul {
        "attn_out_matmul.wgsl"
    } else {
        "attn_out_matvec.wgsl"
    };
    // Input, W, vectors, Hidden; AttnOut, ResidMid.
    Kernel {
        file,
        bindings: &[Read, Read, Read, Read, Write, Write],
        constants,
    }
}

/// CPU twin of `shaders/parts/attn_out.wgsl`.
pub fn cpu(pass: &mut Pass, layer: usize) -> Result<()> {
    let (rows, d, d_query) = (pass.rows(), pass.config.d_model, pass.config.d_query());
    let w = pass.weights.get(Weight::AttnOut(layer))?;
    let bias = pass.weights.find(Weight::AttnOutBias(layer));
    let b = &mut *pass.buffers;
    b.output.resize(rows * w.stride, 0.0);
    gemm::matmul(&b.attended[..rows * d_query], d_query, &w.data, w.stride, &mut b.output);
    for row in 0..rows {
        let out = &mut b.attn_out[row * d..][..d];
        out.copy_from_slice(&b.output[row * w.stride..][..d]);
        if let Some(bias) = bias {
            for (out, bias) in out.iter_mut().zip(&bias.data) {
                *out += bias;
            }
        }
        let sums = b.hidden[row * d..][..d].iter().zip(&*out);
        for (mid, (h, a)) in b.resid_mid[row * d..][..d].iter_mut().zip(sums) {
            *mid = h + a;
        }
    }
    Ok(())
}
