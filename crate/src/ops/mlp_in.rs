//! `MlpIn`: the norm of its input (the stream behind the attention, or in a parallel block the block's input) `[rows, d_model]` · W + b →
//! [`MLP_PRE`] `[rows, d_mlp_in]` → activation → [`MLP_POST`] `[rows, d_mlp]`. Gated: pairs (gate, up), activation(gate) · up.
//!
//! Behind a TopK block the stream x that the block reads is sparse, and the attention adds a·O to it, with a narrow a. So
//! norm(x + a·O)·W is s·(x·GW + a·(O·GW)), with s the norm's scale and G its gain: a gather of the active rows of W, and a product with a
//! small matrix that is made at load. [`SPLIT`] is that; on the GPU for few rows in the fused kernel (`fused.rs`). Many rows there share
//! one reading of W, where each would gather its own rows: they take the kernels of [`DEF`], as do a few between which something looks.

use std::f32::consts::FRAC_1_SQRT_2;
use std::ops::Range;

use super::attention::ATTENDED;
use super::attn_out::RESID_MID;
use super::buffers::{Buffer, ACTIVE, HIDDEN};
use super::def::{
    at_once, down_constants, flag, matrix_constants, Dispatch, Kernel, KernelContext, OpDef, PlanContext, Resource,
};
use super::fused::{self, HEAD_OUT, MLP_PARTS};
use super::linear::Linear;
use super::norm;
use super::pass::Pass;
use super::weights::CpuWeights;
use crate::config::{Activation, Config, Mlp};
use crate::error::Result;
use crate::memory::{copied, zeroed};
use crate::numerics::dispatch::dispatch;
use crate::numerics::gemm;
use crate::numerics::math;
use crate::weights::{Dtype, Tensor, Weight};

/// Before the activation `[rows, d_mlp_in]`; pairs (gate, up) side by side where it is gated.
pub const MLP_PRE: Buffer = Buffer::rows("mlp_pre", Config::d_mlp_in);
/// `[rows, d_mlp]`
pub const MLP_POST: Buffer = Buffer::rows("mlp_post", |c| c.d_mlp);

/// The operation.
pub static DEF: OpDef = OpDef {
    name: "mlp_in",
    writes: |_, _| vec![MLP_PRE, MLP_POST, MLP_PARTS],
    matrix: |_, step| Some(Weight::MlpIn(step.layer)),
    vectors: |config, step| LINEAR.vectors(config, step.layer),
    kernels,
    plan,
    pieces: at_once,
    cpu,
};

/// The operation where the block's input is sparse.
pub static SPLIT: OpDef = OpDef {
    name: "mlp_in_split",
    kernels: split_kernels,
    cpu: split,
    ..DEF
};

/// The small matrix of a layer, for [`SPLIT`].
pub fn product(config: &Config, weights: &CpuWeights, layer: usize) -> Result<Tensor> {
    let (out, w) = (weights.get(Weight::AttnOut(layer))?, weights.get(Weight::MlpIn(layer))?);
    let gain = weights.get(Weight::Norm2Gain(layer))?.vector();
    let (rows, inputs) = (config.d_query(), config.d_model);
    // Rows of the identity give those of O, however it is stored and whoever has it.
    let mut identity = zeroed(rows * rows, "an identity")?;
    identity.iter_mut().step_by(rows + 1).for_each(|one| *one = 1.0);
    let mut gained = zeroed(rows * out.stride, "the output of the attention with the gain of a norm")?;
    out.multiply(&identity, rows, &mut gained)?;
    let mut dense = zeroed(rows * inputs, "the same")?;
    for (dense, gained) in dense.chunks_exact_mut(inputs).zip(gained.chunks_exact(out.stride)) {
        for ((dense, gained), gain) in dense.iter_mut().zip(gained).zip(gain) {
            *dense = gained * gain;
        }
    }
    let mut product = zeroed(rows * w.stride, "a product of weights")?;
    w.multiply(&dense, inputs, &mut product)?;
    if w.data.is_8_bit() {
        return Ok(in_two_bytes(&product, w.stride, config.d_mlp_in()));
    }
    Ok(Tensor {
        rows,
        cols: config.d_mlp_in(),
        stride: w.stride,
        dtype: Dtype::F32,
        data: copied(bytemuck::cast_slice(&product), "a product of weights")?,
        scales: Vec::new(),
    })
}

/// What the lower bytes of [`in_two_bytes`] count of the upper ones.
const LOWER: f32 = 1.0 / 256.0;

/// A matrix in 16 bits with a scale for each output, as one of 8 bits with twice the rows: the upper bytes, below them the lower ones. It is
/// multiplied by inputs behind which stand the same times [`LOWER`]: half of the memory of f32, and sums of integers.
fn in_two_bytes(matrix: &[f32], stride: usize, cols: usize) -> Tensor {
    /// Of the lower byte, signed, the upper one takes the rest.
    const LARGEST: f32 = 127.0 * 256.0;
    let mut scales = vec![0f32; stride];
    for row in matrix.chunks_exact(stride) {
        for (scale, number) in scales.iter_mut().zip(row) {
            *scale = scale.max(number.abs());
        }
    }
    let (mut upper, mut lower) = (Vec::with_capacity(2 * matrix.len()), Vec::with_capacity(matrix.len()));
    for row in matrix.chunks_exact(stride) {
        for (largest, number) in scales.iter().zip(row) {
            let units = if *largest > 0.0 { (number / largest * LARGEST).round() as i32 } else { 0 };
            let above = (units + 128) >> 8;
            upper.push(above as u8);
            lower.push((units - 256 * above) as u8);
        }
    }
    upper.append(&mut lower);
    Tensor {
        rows: upper.len() / stride,
        cols,
        stride,
        dtype: Dtype::I8,
        data: upper,
        scales: scales.into_iter().map(|largest| largest / LARGEST / LOWER).collect(),
    }
}

/// Inputs of a matrix [`in_two_bytes`], of rows that long.
fn for_two_bytes(x: &[f32], inputs: usize) -> Vec<f32> {
    let mut both = Vec::with_capacity(2 * x.len());
    for row in x.chunks_exact(inputs) {
        both.extend_from_slice(row);
        both.extend(row.iter().map(|x| x * LOWER));
    }
    both
}

const LINEAR: Linear = Linear {
    matrix: Weight::MlpIn,
    bias: Weight::MlpInBias,
    norm: Some([Weight::Norm2Gain, Weight::Norm2Bias]),
    inputs: |c| c.d_model,
    outputs: Config::d_mlp_in,
};

fn kernels(cx: &KernelContext<'_>) -> Vec<Kernel> {
    let constants = [
        ("gated", flag(cx.config.mlp.gated)),
        ("activation", number(cx.config.mlp.activation)),
    ];
    let others = [
        ("mlp_pre", Resource::Buffer(MLP_PRE)),
        ("mlp_post", Resource::Buffer(MLP_POST)),
    ];
    let mut kernels = LINEAR.kernels(cx, ["mlp_in_matvec.wgsl", "mlp_in_matmul.wgsl"], &constants, &others);
    if fused::fits(cx.config) {
        kernels.push(fused(cx, &constants));
    }
    kernels
}

/// With the fused kernel that gathers.
fn split_kernels(cx: &KernelContext<'_>) -> Vec<Kernel> {
    let (config, layer) = (cx.config, cx.step.layer);
    let mut kernels = kernels(cx);
    if let Some(fused) = kernels.get_mut(FUSED) {
        fused.file = "mlp_split.wgsl";
        fused.constants.push(("capacity", config.d_model as f64));
        for (name, resource) in &mut fused.binds {
            if *name == "weights" {
                *resource = Resource::RowsOf(Weight::MlpIn(layer), config.most_active());
            }
        }
        fused.binds.extend([
            ("entries", Resource::Buffer(ACTIVE)),
            ("product", Resource::Weight(Weight::MlpInProduct(layer))),
        ]);
    }
    kernels
}

/// The kernel that makes the small matrix `mlp_out` of `source` `[d_query, d_model]`, where the large one is stored so.
pub fn product_kernel(config: &Config, dtype: Dtype) -> Kernel {
    let mut constants = norm::constants(config, false, config.d_model);
    constants.push(("n_outputs", config.d_mlp_in() as f64));
    constants.extend(matrix_constants(dtype, config.d_model, config.d_mlp_in()));
    Kernel {
        file: "mlp_out_matmul.wgsl",
        constants,
        binds: Vec::new(),
    }
}

/// The kernel that does the second product too.
const FUSED: usize = 2;

fn fused(cx: &KernelContext<'_>, constants: &[(&'static str, f64)]) -> Kernel {
    let (config, layer) = (cx.config, cx.step.layer);
    let down = Weight::MlpOut(layer);
    let down_dtype = (cx.stored)(down).unwrap_or(cx.dtype);
    let others = [
        ("n_heads", config.n_heads as f64),
        ("d_head", config.d_head as f64),
        ("d_mlp", config.d_mlp as f64),
    ];
    let down_constants = down_constants(down_dtype, config.d_mlp, config.d_model);
    Kernel {
        file: "mlp.wgsl",
        constants: [&LINEAR.constants(cx), constants, &others, &down_constants].concat(),
        binds: vec![
            ("hidden", Resource::Buffer(HIDDEN)),
            ("head_out", Resource::Buffer(HEAD_OUT)),
            ("weights", Resource::Weight(Weight::MlpIn(layer))),
            ("down", Resource::Weight(down)),
            ("vectors", Resource::Vectors),
            ("mlp_parts", Resource::Buffer(MLP_PARTS)),
        ],
    }
}

fn plan(plan: &PlanContext<'_>, out: &mut Vec<Dispatch>) {
    let mut dispatch = LINEAR.plan(plan);
    if fused::applies(plan) {
        dispatch = Dispatch {
            grid: [fused::groups(plan.config), plan.rows.len(), 1],
            ..dispatch
        }
        .kernel(FUSED);
    }
    out.push(dispatch);
}

dispatch!(
    /// The activation of a row: of each number, or where it is gated of the gates, times their ups.
    activate, activate_portable, (mlp: Mlp, pre: &[f32], post: &mut [f32])
);

#[inline(always)]
fn activate_portable(mlp: Mlp, pre: &[f32], post: &mut [f32]) {
    match mlp.activation {
        Activation::Silu => each(mlp.gated, math::silu, pre, post),
        Activation::GeluTanh => each(mlp.gated, gelu_new, pre, post),
        Activation::Gelu => each(mlp.gated, gelu, pre, post),
        Activation::Relu => each(mlp.gated, relu, pre, post),
    }
}

#[inline(always)]
fn each(gated: bool, f: impl Fn(f32) -> f32, pre: &[f32], post: &mut [f32]) {
    if gated {
        for (post, pair) in post.iter_mut().zip(pre.as_chunks::<2>().0) {
            *post = f(pair[0]) * pair[1];
        }
    } else {
        for (post, pre) in post.iter_mut().zip(pre) {
            *post = f(*pre);
        }
    }
}

/// ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))
#[inline(always)]
fn gelu_new(x: f32) -> f32 {
    const ROOT: f32 = 0.797_884_6;
    0.5 * x * (1.0 + math::tanh(ROOT * (x + 0.044_715 * (x * x * x))))
}

/// ½ x (1 + erf(x / √2))
#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + math::erf(x * FRAC_1_SQRT_2))
}

/// max(x, 0); NaN stays.
#[inline(always)]
fn relu(x: f32) -> f32 {
    if x < 0.0 {
        0.0
    } else {
        x
    }
}

/// The number by which `shaders/parts/mlp_in.wgsl` knows an activation.
fn number(activation: Activation) -> f64 {
    match activation {
        Activation::Silu => 0.0,
        Activation::GeluTanh => 1.0,
        Activation::Gelu => 2.0,
        Activation::Relu => 3.0,
    }
}

/// CPU twin of `shaders/parts/mlp_in.wgsl`.
fn cpu(pass: &mut Pass<'_>, _: &Range<usize>, _: usize) -> Result<()> {
    let input = pass.buffers.take(pass.step.input);
    LINEAR.apply_norm(pass, &input)?;
    pass.buffers.put(pass.step.input, input);
    LINEAR.multiply(pass, &[])?;
    finish(pass);
    Ok(())
}

/// CPU twin where the block's input is sparse.
fn split(pass: &mut Pass<'_>, _: &Range<usize>, _: usize) -> Result<()> {
    let (config, weights, layer) = (pass.config, pass.weights, pass.layer());
    let (w, product) = (weights.get(Weight::MlpIn(layer))?, weights.get(Weight::MlpInProduct(layer))?);
    let gain = weights.get(Weight::Norm2Gain(layer))?.vector();
    let (mid, attended) = (pass.buffers.take(RESID_MID), pass.buffers.take(ATTENDED));
    let buffers = &mut *pass.buffers;
    buffers.output.resize(pass.ids.len() * w.stride, 0.0);
    let inputs = config.d_query();
    let done = if product.data.is_8_bit() {
        product.multiply(&for_two_bytes(&attended, inputs), 2 * inputs, &mut buffers.output)
    } else {
        product.multiply(&attended, inputs, &mut buffers.output)
    };
    let mut gathered = vec![0.0; w.stride];
    let rows = mid.chunks_exact(config.d_model).zip(buffers.output.chunks_exact_mut(w.stride));
    for (row, (mid, out)) in rows.enumerate() {
        let scale = norm::stats(config, mid, config.d_model).scale;
        let (indices, values) = buffers.active.row(row);
        buffers.input.clear();
        let normed = indices.iter().zip(values).map(|(index, value)| gain[*index as usize] * (value * scale));
        buffers.input.extend(normed);
        gemm::gather(indices, &buffers.input, &w.data, w.stride, &mut gathered);
        for (out, gathered) in out.iter_mut().zip(&gathered) {
            *out = gathered + scale * *out;
        }
    }
    pass.buffers.put(RESID_MID, mid);
    pass.buffers.put(ATTENDED, attended);
    done?;
    finish(pass);
    Ok(())
}

/// `Buffers::output` → [`MLP_PRE`] → [`MLP_POST`].
fn finish(pass: &mut Pass<'_>) {
    let config = pass.config;
    let mut pre = pass.buffers.take(MLP_PRE);
    LINEAR.add_bias(pass, &mut pre);
    let mut post = pass.buffers.take(MLP_POST);
    let rows = pre
        .chunks_exact(config.d_mlp_in())
        .zip(post.chunks_exact_mut(config.d_mlp));
    for (pre, post) in rows {
        activate(config.mlp, pre, post);
    }
    pass.buffers.put(MLP_PRE, pre);
    pass.buffers.put(MLP_POST, post);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::weights::CpuTensor;

    #[test]
    fn a_matrix_in_two_bytes_multiplies_as_exactly_as_its_inputs_are_rounded() {
        let (inputs, stride) = (96, 34);
        let numbers = |n: usize, seed: usize| -> Vec<f32> {
            (0..n).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
        };
        let (mut matrix, x) = (numbers(inputs * stride, 1), numbers(3 * inputs, 2));
        matrix.iter_mut().skip(5).step_by(stride).for_each(|number| *number = 0.0);
        let tensor = in_two_bytes(&matrix, stride, stride);
        let mut out = vec![0.0; 3 * stride];
        let tensor = CpuTensor::new(Weight::MlpInProduct(1), tensor).unwrap().packed(Weight::MlpInProduct(1)).unwrap();
        tensor.multiply(&for_two_bytes(&x, inputs), 2 * inputs, &mut out).unwrap();
        for (x, out) in x.chunks_exact(inputs).zip(out.chunks_exact(stride)) {
            for (o, found) in out.iter().enumerate() {
                let exact: f64 = (0..inputs).map(|i| f64::from(x[i]) * f64::from(matrix[i * stride + o])).sum();
                // Half a unit of 1/16383 of the inputs, twice; half a unit of 1/32512 of the weights.
                let bound = inputs as f64 * (0.75 / 16_383.0 + 0.5 / 32_512.0);
                assert!((exact - f64::from(*found)).abs() <= bound, "{o}: {exact} {found}");
            }
        }
    }
}
