//! The small matrices of `ops/mlp_in.rs`, made on the device while a model loads, each once its factors have come: rows of the attention's
//! output projection, times a norm's gain, times the MLP's first matrix.

use std::rc::Rc;

use super::buffers::Buf;
use super::context::Gpu;
use super::pipelines::Pipelines;
use super::record::Recorder;
use super::weights::GpuWeights;
use crate::config::Config;
use crate::error::Result;
use crate::ops::def::{Params, Rows};
use crate::ops::{fused, linear, mlp_in};
use crate::program::Program;
use crate::weights::{Dtype, Tensor, Weight};

/// The first factors `[d_query, d_model]`, by layer, until the second ones are there.
#[derive(Default)]
pub struct Products {
    factors: Vec<(usize, Buf)>,
}

/// Whether a layer's MLP reads such a matrix.
pub(super) fn reads(config: &Config, program: &Program, layer: usize) -> bool {
    let is_split = |step: &crate::ops::def::Step| step.op.name == mlp_in::SPLIT.name && step.layer == layer;
    fused::fits(config) && program.steps.iter().any(is_split)
}

impl Products {
    /// Takes note of the output projection, which is about to be uploaded, with the gain, which came before it.
    pub fn see(
        &mut self,
        gpu: &Gpu,
        (config, program): (&Config, &Program),
        weights: &GpuWeights,
        (which, tensor): (Weight, &Tensor),
    ) -> Result<()> {
        let Weight::AttnOut(layer) = which else {
            return Ok(());
        };
        if !reads(config, program, layer) {
            return Ok(());
        }
        let gain = weights.vector(Weight::Norm2Gain(layer))?;
        let stride = tensor.stride.max(1);
        let mut factor = Vec::with_capacity(tensor.rows * config.d_model);
        for row in tensor.to_f32().chunks_exact(stride) {
            let gained = row.iter().zip(&*gain).take(config.d_model).enumerate();
            // Numbers of 8 bits come without their scales.
            let scale = |column: usize| tensor.scales.get(column).copied().unwrap_or(1.0);
            factor.extend(gained.map(|(column, (number, gain))| number * scale(column) * gain));
        }
        let factor = gpu.storage_with("a factor", bytemuck::cast_slice(&factor));
        self.factors.push((layer, factor));
        Ok(())
    }

    /// Makes those whose factors are both there, and that are not there yet.
    pub fn make(
        &mut self,
        gpu: &Rc<Gpu>,
        config: &Config,
        pipelines: &Pipelines,
        uniforms: &Buf,
        weights: &mut GpuWeights,
    ) -> Result<()> {
        let (rows, columns) = (config.d_query(), config.d_mlp_in());
        let none = gpu.storage("vectors", 16);
        for (layer, factor) in std::mem::take(&mut self.factors) {
            let Ok(matrix) = weights.stored(Weight::MlpIn(layer)) else {
                self.factors.push((layer, factor));
                continue;
            };
            let mut recorder = Recorder::new(gpu, uniforms);
            let pipeline = pipelines.get(&mlp_in::product_kernel(config, matrix.dtype))?;
            let product = gpu.storage("a product of weights", 4 * (rows * columns) as u64);
            let shards = matrix.shards.iter().map(|shard| ("weights", &shard.data));
            let buffers = [("source", &factor), ("vectors", &none), ("mlp_out", &product)];
            let group = pipelines.group(&pipeline, shards.chain(buffers))?;
            let params = Params::batch(rows, 0, Rows::Sequence);
            recorder.dispatch(&pipeline, &group, params, linear::WIDE.grid(rows, columns));
            recorder.submit();
            weights.made(Weight::MlpInProduct(layer), product, [rows, columns], Dtype::F32);
        }
        Ok(())
    }
}
