//! `MlpOut`: `MlpPost` `[rows, d_mlp]` · W + b → `MlpOut` `[rows, d_model]`.

use super::kernel::{Access, Driver, Kernel, Linear};
use super::Pass;
use crate::config::Config;
use crate::cpu::gemm;
use crate::error::Result;
use crate::weights::{Dtype, Weight};

/// The kernel for weights stored as `dtype`; see `shaders/parts/mlp_out.wgsl`.
pub fn kernel(config: &Config, dtype: Dtype, driver: Driver) -> Kernel {
    use Access::{Read, Write};
    let constants = Linear::MlpOut.constants(config, dtype);
    let file = if driver == Driver::Matmul {
        "mlp_out_matmul.wgsl"
    } else {
        "mlp_out_matvec.wgsl"
    };
    // Input, W, vectors; MlpOut.
    Kernel {
        file,
        bindings: &[Read, Read, Read, Write],
        constants,
    }
}

/// CPU twin of `shaders/parts/mlp_out.wgsl`.
pub fn cpu(pass: &mut Pass, layer: usize) -> Result<()> {
    let (rows, d, d_mlp) = (pass.rows(), pass.config.d_model, pass.config.d_mlp);
    let w = pass.weights.get(Weight::MlpOut(layer))?;
    let bias = pass.weights.find(Weight::MlpOutBias(layer));
    let b = &mut *pass.buffers;
    b.output.resize(rows * w.stride, 0.0);
    gemm::matmul(&b.mlp_post[..rows * d_mlp], d_mlp, &w.data, w.stride, &mut b.output);
    for row in 0..rows {
        let out = &mut b.mlp_out[row * d..][..d];
        out.copy_from_slice(&b.output[row * w.stride..][..d]);
        if let Some(bias) = bias {
            for (out, bias) in out.iter_mut().zip(&bias.data) {
                *out += bias;
            }
        }
    }
    Ok(())
}
