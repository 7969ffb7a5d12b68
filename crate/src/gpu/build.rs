//! Puts an engine together once all weights are there: pipelines, buffers, bind groups.

use std::cell::Cell;
use std::rc::Rc;

use super::buffers::Buf;
use super::context::Gpu;
use super::edits::BlockEnd;
use super::engine::{GpuEngine, ShardGroups};
use super::pipelines::Pipelines;
use super::scratch::Scratch;
use super::staging::StagingPool;
use super::weights::{GpuWeights, LinearPipelines, Table};
use crate::config::Config;
use crate::error::{fail, Result};
use crate::model::program;
use crate::ops::kernel::{Driver, Linear};
use crate::ops::rope::RopeTable;
use crate::ops::{attention, embed, lm_head, residual, topk};
use crate::sampling;
use crate::weights::Weight;

impl GpuEngine {
    pub(super) fn build(
        gpu: Rc<Gpu>,
        config: Rc<Config>,
        pipelines: Rc<Pipelines>,
        uniforms: Rc<Buf>,
        weights: GpuWeights,
    ) -> Result<GpuEngine> {
        let s = Scratch::new(&gpu, &config, &RopeTable::new(&config).data)?;
        let p = &*pipelines;
        let shards = |table: &Table, group: &dyn Fn(&Buf) -> wgpu::BindGroup| -> ShardGroups {
            table
                .shards
                .iter()
                .map(|shard| (shard.first, shard.rows, group(&shard.data)))
                .collect()
        };
        let table = weights.table(Weight::Embed)?;
        let embed = p.get(&embed::kernel(&config, table.dtype))?;
        let embed_groups = shards(table, &|data| {
            p.group(&embed, &[&s.ids, data, &weights.positions, &s.hidden])
        });
        let table = weights.table(if config.tie_word_embeddings {
            Weight::Embed
        } else {
            Weight::Head
        })?;
        let head_matvec = p.get(&lm_head::kernel(&config, table.dtype, Driver::Matvec))?;
        let head_matmul = p.get(&lm_head::kernel(&config, table.dtype, Driver::Matmul))?;
        let head_groups = shards(table, &|data| {
            p.group(
                &head_matvec,
                &[
                    &s.hidden,
                    data,
                    &weights.head_vectors,
                    &s.normalized,
                    &s.logits,
                    &s.status,
                ],
            )
        });
        let mut linears = Vec::with_capacity(config.n_layers);
        let mut linear_groups = Vec::with_capacity(config.n_layers);
        for layer in 0..config.n_layers {
            let mut made = Vec::with_capacity(4);
            for linear in Linear::ALL {
                made.push(LinearPipelines::new(
                    p,
                    &config,
                    linear,
                    weights.matrix(linear.matrix(layer))?.dtype,
                )?);
            }
            let Ok(made) = <[LinearPipelines; 4]>::try_from(made) else {
                fail!(Checkpoint, "a block has four linear operations")
            };
            let group = |linear: Linear, input: &Buf, outputs: &[&Buf]| -> Result<Option<wgpu::BindGroup>> {
                let matrix = &weights.matrix(linear.matrix(layer))?.data;
                let mut buffers = vec![input, matrix, &weights.vectors[layer][linear as usize]];
                buffers.extend(outputs);
                Ok(Some(p.group(&made[linear as usize].matvec, &buffers)))
            };
            linear_groups.push([
                None,
                group(Linear::AttnOut, &s.attended, &[&s.hidden, &s.attn_out, &s.resid_mid])?,
                group(Linear::MlpIn, &s.resid_mid, &[&s.mlp_pre, &s.mlp_post])?,
                group(Linear::MlpOut, &s.mlp_post, &[&s.mlp_out])?,
            ]);
            linears.push(made);
        }
        let attention_merge = p.get(&attention::merge_kernel(&config))?;
        let residual = p.get(&residual::kernel(&config, gpu.profile()))?;
        let topk = topk::kernel(&config, gpu.profile())
            .map(|kernel| p.get(&kernel))
            .transpose()?;
        let sample = p.get(&sampling::kernel(&config, gpu.profile()))?;
        let block_end = BlockEnd::new(&gpu, p, &s, &residual, topk.as_deref());
        Ok(GpuEngine {
            merge_group: p.group(&attention_merge, &[&s.parts, &s.attended]),
            attention: p.get(&attention::kernel(&config))?,
            pattern: p.get(&attention::pattern_kernel(&config))?,
            sample_group: p.group(
                &sample,
                &[
                    &s.logits,
                    &s.sampling,
                    &s.seen,
                    &s.ids,
                    &s.results,
                    &s.status,
                    &s.sampler,
                ],
            ),
            program: program(&config),
            staging: StagingPool::default(),
            step_ms: Cell::new(0.0),
            dispatches: Cell::new(0),
            scratch: s,
            weights,
            embed,
            embed_groups,
            linears,
            linear_groups,
            attention_merge,
            residual,
            topk,
            block_end,
            head_matvec,
            head_matmul,
            head_groups,
            sample,
            uniforms,
            pipelines,
            config,
            gpu,
        })
    }
}
