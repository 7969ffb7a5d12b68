//! The executor: one forward pass over a batch of rows, or a run of sampled steps, for one set of weights.

use std::cell::Cell;
use std::rc::Rc;

use super::buffers::Buf;
use super::cache::{GpuCache, LayerCache};
use super::capture::Columns;
use super::context::Gpu;
use super::edits::{self, BlockEnd};
use super::pipelines::{Pipeline, Pipelines};
use super::record::{Params, Recorder};
use super::scratch::{Scratch, MAX_STEPS};
use super::staging::{Staging, StagingPool};
use super::weights::{GpuWeights, LinearPipelines, Table};
use crate::config::Config;
use crate::edits::EditTable;
use crate::engine::{Batch, BatchOutput, Decode, LogitRows, Rows, Sampling, Step};
use crate::error::{fail, Code, Result};
use crate::model::{program, Op};
use crate::ops::kernel::{Driver, Linear, FEW_ROWS};
use crate::ops::rope::RopeTable;
use crate::ops::{attention, embed, lm_head, residual, topk};
use crate::pace::now_ms;
use crate::sampling;
use crate::weights::Weight;

/// A submit of several decode steps should not take longer, so that an abort takes effect soon.
const SUBMIT_MS: f64 = 80.0;

/// A table's shards: first row, rows, bind group.
type ShardGroups = Vec<(usize, usize, wgpu::BindGroup)>;

/// The WebGPU executor of one set of weights.
#[derive(Debug)]
pub struct GpuEngine {
    pub(super) gpu: Rc<Gpu>,
    pub(super) config: Rc<Config>,
    pub(super) pipelines: Rc<Pipelines>,
    pub(super) uniforms: Rc<Buf>,
    pub(super) program: Vec<Op>,
    pub(super) scratch: Scratch,
    weights: GpuWeights,
    pub(super) embed: Rc<Pipeline>,
    pub(super) embed_groups: ShardGroups,
    pub(super) linears: Vec<[LinearPipelines; 4]>,
    /// By layer and linear operation; `Qkv`'s are each cache's.
    pub(super) linear_groups: Vec<[Option<wgpu::BindGroup>; 4]>,
    pub(super) attention: Rc<Pipeline>,
    pub(super) attention_merge: Rc<Pipeline>,
    pub(super) merge_group: wgpu::BindGroup,
    pub(super) pattern: Rc<Pipeline>,
    pub(super) residual: Rc<Pipeline>,
    pub(super) topk: Option<Rc<Pipeline>>,
    pub(super) block_end: BlockEnd,
    pub(super) head_matvec: Rc<Pipeline>,
    pub(super) head_matmul: Rc<Pipeline>,
    pub(super) head_groups: ShardGroups,
    sample: Rc<Pipeline>,
    sample_group: wgpu::BindGroup,
    staging: StagingPool,
    /// How long a decode step takes, by the latest submits; 0 before the first.
    step_ms: Cell<f64>,
    dispatches: Cell<usize>,
}

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
            table.shards.iter().map(|shard| (shard.first, shard.rows, group(&shard.data))).collect()
        };
        let table = weights.table(Weight::Embed)?;
        let embed = p.get(&embed::kernel(&config, table.dtype))?;
        let embed_groups = shards(table, &|data| p.group(&embed, &[&s.ids, data, &weights.positions, &s.hidden]));
        let table = weights.table(if config.tie_word_embeddings { Weight::Embed } else { Weight::Head })?;
        let head_matvec = p.get(&lm_head::kernel(&config, table.dtype, Driver::Matvec))?;
        let head_matmul = p.get(&lm_head::kernel(&config, table.dtype, Driver::Matmul))?;
        let head_groups = shards(table, &|data| {
            p.group(&head_matvec, &[&s.hidden, data, &weights.head_vectors, &s.normalized, &s.logits, &s.status])
        });
        let mut linears = Vec::with_capacity(config.n_layers);
        let mut linear_groups = Vec::with_capacity(config.n_layers);
        for layer in 0..config.n_layers {
            let mut made = Vec::with_capacity(4);
            for linear in Linear::ALL {
                made.push(LinearPipelines::new(p, &config, linear, weights.matrix(linear.matrix(layer))?.dtype)?);
            }
            let Ok(made) = <[LinearPipelines; 4]>::try_from(made) else { fail!(Checkpoint, "a block has four linear operations") };
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
        let residual = p.get(&residual::kernel(&config))?;
        let topk = topk::kernel(&config).map(|kernel| p.get(&kernel)).transpose()?;
        let sample = p.get(&sampling::kernel(&config))?;
        let block_end = BlockEnd::new(&gpu, p, &s, &residual, topk.as_deref());
        Ok(GpuEngine {
            merge_group: p.group(&attention_merge, &[&s.parts, &s.attended]),
            attention: p.get(&attention::kernel(&config))?,
            pattern: p.get(&attention::pattern_kernel(&config))?,
            sample_group: p.group(&sample, &[&s.logits, &s.sampling, &s.seen, &s.ids, &s.results, &s.status, &s.sampler]),
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

    /// Rows that one batch may have.
    pub fn max_rows(&self) -> usize {
        self.scratch.rows
    }

    /// The device, for its ledger.
    pub fn gpu(&self) -> &Rc<Gpu> {
        &self.gpu
    }

    /// Decode steps that fit one submit of at most 100 ms, by what the latest took.
    pub fn steps_per_submit(&self) -> usize {
        match self.step_ms.get() {
            0.0 => 1,
            ms => ((SUBMIT_MS / ms) as usize).clamp(1, MAX_STEPS),
        }
    }

    /// Dispatches of the latest submit, for benchmarks.
    pub fn dispatches(&self) -> usize {
        self.dispatches.get()
    }

    /// An empty cache for one sequence, with the capacity of the context.
    pub fn new_cache(&self) -> Result<GpuCache> {
        let config = &*self.config;
        let bytes = 8 * config.n_ctx as u64 * config.d_kv() as u64;
        if bytes > self.gpu.max_binding() || bytes > self.gpu.max_buffer {
            fail!(OutOfMemory, "a layer's keys and values for {} positions are larger than the GPU's largest binding", config.n_ctx);
        }
        let (layers, guard) = self.gpu.guarded("a key/value cache", || {
            (0..config.n_layers).map(|layer| self.layer_cache(layer, bytes)).collect::<Result<Vec<_>>>()
        });
        Ok(GpuCache { layers: layers?, bytes: bytes * config.n_layers as u64, guard: Some(guard) })
    }

    fn layer_cache(&self, layer: usize, bytes: u64) -> Result<LayerCache> {
        let (s, p) = (&self.scratch, &*self.pipelines);
        let data = self.gpu.storage(&format!("cache {layer}"), bytes);
        let matrix = &self.weights.matrix(Weight::Qkv(layer))?.data;
        let vectors = &self.weights.vectors[layer][Linear::Qkv as usize];
        let qkv = &self.linears[layer][Linear::Qkv as usize];
        let group = |pipeline: &Pipeline, input: &Buf| {
            p.group(pipeline, &[input, matrix, vectors, &s.rope, &s.qkv, &s.rotated, &data])
        };
        let sparse = layer > 0 && self.config.cut_at(layer - 1).is_some();
        Ok(LayerCache {
            qkv_dense: group(&qkv.matvec, &s.hidden),
            qkv_sparse: qkv.gather.as_ref().filter(|_| sparse).map(|gather| group(gather, &s.active)),
            attention: p.group(&self.attention, &[&s.rotated, &data, &s.qkv, &s.attended]),
            attention_split: p.group(&self.attention, &[&s.rotated, &data, &s.qkv, &s.parts]),
            data,
        })
    }

    /// One forward pass; see [`Batch`].
    pub async fn forward(&self, cache: &mut GpuCache, batch: &Batch<'_>) -> Result<BatchOutput> {
        self.ready(cache).await?;
        let (staging, guard) = self.gpu.guarded("a forward pass", || self.record_forward(cache, batch));
        let staging = staging?;
        let read = staging.read(&self.gpu, &self.staging).await;
        guard.check(&self.gpu).await?;
        let mut words = read?.into_iter();
        let captured = batch.captures.iter().zip(words.by_ref()).map(|(c, words)| self.captured(*c, words)).collect();
        let logits = bytemuck::cast_vec(words.next().unwrap_or_default());
        self.check_status(words.next())?;
        Ok(BatchOutput { captured, logits })
    }

    /// Plans the regions (captures, logits, status), records and submits.
    fn record_forward(&self, cache: &GpuCache, batch: &Batch<'_>) -> Result<Staging> {
        let (gpu, s, rows) = (&self.gpu, &self.scratch, batch.ids.len());
        let mut staging = Staging::default();
        for capture in batch.captures {
            staging.region(gpu, self.capture_words(*capture, rows))?;
        }
        let logits = staging.region(gpu, self.logit_words(rows, batch.logits))?;
        let status = staging.region(gpu, 1)?;
        staging.allocate(gpu, &self.staging);
        gpu.write_at(&s.ids, 4 * batch.start as u64, bytemuck::cast_slice(batch.ids));
        self.write_state(batch.edits);
        let params = Params::batch(rows, batch.start, batch.rows);
        let mut recorder = Recorder::new(gpu, &self.uniforms);
        self.record_program(&mut recorder, cache, params, batch.captures, |r, region, capture| {
            self.record_capture(r, cache, params, capture, &staging, region)
        })?;
        self.record_logits(&mut recorder, params, batch.logits, &staging, logits);
        staging.copy(&mut recorder, status, 0, &s.status, 1);
        self.dispatches.set(recorder.submit());
        Ok(staging)
    }

    /// Feeds a token, draws the next, and so on; see [`Decode`]. Several steps go into one submit.
    pub async fn decode(&self, cache: &mut GpuCache, decode: &Decode<'_>) -> Result<Vec<Step>> {
        self.ready(cache).await?;
        let mut ids = decode.ids.to_vec();
        let mut steps = Vec::with_capacity(decode.steps);
        while steps.len() < decode.steps {
            let n = self.steps_per_submit().min(decode.steps - steps.len());
            let begin = now_ms();
            let (staging, guard) = self.gpu.guarded("decoding", || self.record_decode(cache, decode, &ids, n));
            let staging = staging?;
            let read = staging.read(&self.gpu, &self.staging).await;
            guard.check(&self.gpu).await?;
            let mut words = read?.into_iter();
            let first = steps.len();
            for _ in 0..n {
                let captured = decode.captures.iter().zip(words.by_ref()).map(|(c, words)| self.captured(*c, words)).collect();
                let logits = if decode.logits { bytemuck::cast_vec(words.next().unwrap_or_default()) } else { Vec::new() };
                steps.push(Step { output: BatchOutput { captured, logits }, ..Step::default() });
            }
            let results = words.next().unwrap_or_default();
            self.check_status(words.next())?;
            for (step, result) in steps[first..].iter_mut().zip(results.chunks_exact(2)) {
                (step.id, step.logprob) = (result[0], f32::from_bits(result[1]));
                if step.id as usize >= self.config.d_vocab {
                    fail!(Device, "the GPU drew the id {}, which the vocabulary does not have", step.id);
                }
                ids.push(step.id);
            }
            self.pace((now_ms() - begin) / n as f64);
        }
        Ok(steps)
    }

    /// Regions: per step its captures and logits, then the results, then the status.
    fn record_decode(&self, cache: &GpuCache, decode: &Decode<'_>, ids: &[u32], steps: usize) -> Result<Staging> {
        let (gpu, s) = (&self.gpu, &self.scratch);
        let Some((last, start)) = ids.last().zip(ids.len().checked_sub(1)) else { fail!(Argument, "decoding needs at least one id") };
        let mut staging = Staging::default();
        let per_step = decode.captures.len() + usize::from(decode.logits);
        for _ in 0..steps {
            for capture in decode.captures {
                staging.region(gpu, self.capture_words(*capture, 1))?;
            }
            if decode.logits {
                staging.region(gpu, self.config.d_vocab)?;
            }
        }
        let results = staging.region(gpu, 2 * steps)?;
        let status = staging.region(gpu, 1)?;
        staging.allocate(gpu, &self.staging);
        gpu.write_at(&s.ids, 4 * start as u64, bytemuck::bytes_of(last));
        gpu.write(&s.sampling, bytemuck::cast_slice(&sampling::gpu_words(decode.sampling)));
        if decode.sampling.repetition_penalty != 1.0 {
            self.write_seen(ids);
        }
        self.write_state(decode.edits);
        let mut recorder = Recorder::new(gpu, &self.uniforms);
        for step in 0..steps {
            let params = Params { step: step as u32, ..Params::batch(1, start + step, Rows::Sequence) };
            self.record_program(&mut recorder, cache, params, decode.captures, |r, index, capture| {
                self.record_capture(r, cache, params, capture, &staging, step * per_step + index)
            })?;
            self.record_head(&mut recorder, params, 0..1, Columns::All, |r, at, words| {
                if decode.logits {
                    staging.copy(r, step * per_step + decode.captures.len(), at, &s.logits, words);
                }
            });
            recorder.dispatch(&self.sample, &self.sample_group, params, [1, 1, 1]);
        }
        staging.copy(&mut recorder, results, 0, &s.results, 2 * steps);
        staging.copy(&mut recorder, status, 0, &s.status, 1);
        self.dispatches.set(recorder.submit());
        Ok(staging)
    }

    /// What every submit begins with: no non-finite layer yet, and the edits.
    fn write_state(&self, table: &EditTable) {
        self.gpu.write(&self.scratch.status, bytemuck::bytes_of(&u32::MAX));
        let words = edits::words(table, self.config.n_layers);
        self.block_end.write(&self.gpu, &words, |words| {
            edits::groups(&self.gpu, &self.pipelines, &self.scratch, &self.residual, self.topk.as_deref(), words)
        });
    }

    fn write_seen(&self, ids: &[u32]) {
        let mut seen = vec![0u32; self.config.d_vocab];
        for id in ids {
            if let Some(seen) = seen.get_mut(*id as usize) {
                *seen = 1;
            }
        }
        self.gpu.write(&self.scratch.seen, bytemuck::cast_slice(&seen));
    }

    /// Asks once whether the cache was really made.
    async fn ready(&self, cache: &mut GpuCache) -> Result<()> {
        self.gpu.check()?;
        match cache.guard.take() {
            Some(guard) => guard.check(&self.gpu).await,
            None => Ok(()),
        }
    }

    fn check_status(&self, words: Option<Vec<u32>>) -> Result<()> {
        match words.and_then(|words| words.first().copied()) {
            Some(u32::MAX) => Ok(()),
            Some(layer) if (layer as usize) < self.config.n_layers => fail!(
                NonFinite,
                "the activations became infinite or NaN in layer {layer}; the weights or the edits before it are too large"
            ),
            Some(_) => fail!(NonFinite, "the logits became infinite or NaN after the last layer; the weights or the edits are too large"),
            None => fail!(Device, "the GPU gave no status back"),
        }
    }

    fn pace(&self, ms: f64) {
        let before = self.step_ms.get();
        self.step_ms.set(if before == 0.0 { ms } else { 0.5 * (before + ms) });
    }

    /// One dummy step and one dummy prompt: what compiles late does so now.
    pub(super) async fn warm_up(&self) -> Result<()> {
        let mut cache = self.new_cache()?;
        let edits = EditTable::none(self.config.n_layers);
        let ids = vec![0; (FEW_ROWS + 1).min(self.max_rows()).min(self.config.n_ctx)];
        let batch = Batch { ids: &ids, start: 0, rows: Rows::Sequence, edits: &edits, captures: &[], logits: LogitRows::All };
        let sampling = Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, seed: 0 };
        let decode = Decode { ids: &ids[..1], steps: 1, sampling: &sampling, edits: &edits, captures: &[], logits: false };
        let outcomes = [self.forward(&mut cache, &batch).await.map(drop), self.decode(&mut cache, &decode).await.map(drop)];
        self.step_ms.set(0.0);
        // Whether these numbers are finite is not the question here.
        outcomes.into_iter().find(|o| matches!(o, Err(e) if e.code() != Code::NonFinite)).unwrap_or(Ok(()))
    }
}
