//! The executor: one forward pass over a batch of rows, or a run of sampled steps, for one set of weights.

use std::ops::Range;
use std::rc::Rc;

use super::cache::GpuCache;
use super::context::Gpu;
use super::core::Core;
use super::edits;
use super::guard::Guard;
use super::record::Recorder;
use super::staging::Staging;
use crate::config::Config;
use crate::edits::EditTable;
use crate::error::{fail, Error, Result};
use crate::exec::request::{Batch, BatchOutput, Capture, LogitRows};
use crate::ops::buffers::{IDS, STATUS};
use crate::ops::def::{Params, PlanContext, Step};
use crate::program::Program;

/// The WebGPU executor of one set of weights and one program.
#[derive(Debug)]
pub struct GpuEngine {
    pub(super) core: Rc<Core>,
    pub(super) program: Program,
}

impl GpuEngine {
    /// The model's configuration, with the autoencoders attached here.
    pub fn config(&self) -> &Config {
        &self.core.config
    }

    /// Rows that one batch may have.
    pub fn max_rows(&self) -> usize {
        self.core.store.rows
    }

    /// Rows that a batch with these captures may have.
    pub fn rows_with(&self, captures: &[Capture]) -> usize {
        self.core.store.rows_with(captures)
    }

    /// The device, for its ledger.
    pub fn gpu(&self) -> &Rc<Gpu> {
        &self.core.gpu
    }

    /// Dispatches of the latest submit, for benchmarks.
    #[cfg(feature = "internals")]
    pub fn dispatches(&self) -> usize {
        self.core.dispatches.get()
    }

    /// An empty cache for one sequence, which grows with it.
    pub fn new_cache(&self) -> Result<GpuCache> {
        GpuCache::new(&self.core.gpu, &self.core.config)
    }

    /// One forward pass; see [`Batch`].
    pub async fn forward(&self, cache: &mut GpuCache, batch: &Batch<'_>) -> Result<BatchOutput> {
        let core = &*self.core;
        self.ready(cache, batch.start + batch.ids.len()).await?;
        let (staging, guard) = core.gpu.guarded("a forward pass", || self.record_forward(cache, batch));
        let staging = staging?;
        let read = staging.read(&core.gpu, &core.staging).await;
        guard.check(&core.gpu).await?;
        let mut words = read?.into_iter();
        let captured = words.by_ref().take(batch.captures.len());
        let captured = captured.map(bytemuck::cast_vec).collect();
        let logits = bytemuck::cast_vec(words.next().unwrap_or_default());
        self.check_status(words.next())?;
        Ok(BatchOutput { captured, logits })
    }

    /// A batch of which nothing is wanted but what it leaves in the cache: whether all went well is asked when the next batch is
    /// submitted, or the first steps are.
    pub async fn prefill(&self, cache: &mut GpuCache, batch: &Batch<'_>) -> Result<()> {
        let core = &*self.core;
        self.ready(cache, batch.start + batch.ids.len()).await?;
        let (staging, guard) = core.gpu.guarded("a forward pass", || self.record_forward(cache, batch));
        let before = std::mem::take(&mut cache.unread);
        cache.unread.push((staging?, guard));
        self.settle(before).await
    }

    /// Asks what came of batches that were submitted before.
    pub(super) async fn settle(&self, unread: Vec<(Staging, Guard)>) -> Result<()> {
        let core = &*self.core;
        for (staging, guard) in unread {
            let read = staging.read(&core.gpu, &core.staging).await;
            guard.check(&core.gpu).await?;
            self.check_status(read?.pop())?;
        }
        Ok(())
    }

    /// Plans the regions (captures, logits, status), records and submits.
    fn record_forward(&self, cache: &GpuCache, batch: &Batch<'_>) -> Result<Staging> {
        let (core, rows) = (&*self.core, batch.ids.len());
        let (gpu, d_vocab) = (&core.gpu, core.config.d_vocab);
        let params = Params::batch(rows, batch.start, batch.rows);
        let mut staging = Staging::default();
        for capture in batch.captures {
            staging.region(gpu, self.capture_words(capture, params))?;
        }
        let (wanted, token, words) = match batch.logits {
            LogitRows::None => (0..0, None, 0),
            LogitRows::Last => (rows.saturating_sub(1)..rows, None, d_vocab),
            LogitRows::All => (0..rows, None, rows * d_vocab),
            LogitRows::Token(id) => (0..rows, Some(id as usize), rows),
        };
        let logits = staging.region(gpu, words)?;
        let status = staging.region(gpu, 1)?;
        staging.allocate(gpu, &core.staging);
        gpu.write_at(
            &core.store.get(IDS),
            4 * batch.start as u64,
            bytemuck::cast_slice(batch.ids),
        );
        self.write_state(batch.edits);
        let mut recorder = Recorder::new(gpu, &core.uniforms);
        self.record_program(&mut recorder, cache, params, batch.captures, &staging, 0)?;
        self.record_probe(
            &mut recorder,
            cache,
            &self.program.head,
            params,
            wanted,
            token,
            |r, at, words| staging.copy(r, logits, at, &core.store.get(crate::ops::lm_head::LOGITS), words),
        )?;
        staging.copy(&mut recorder, status, 0, &core.store.get(STATUS), 1);
        core.submitted(recorder, &mut staging);
        Ok(staging)
    }

    /// Records one step of the program for `rows` of the batch; `fuse` as in [`PlanContext`].
    #[allow(clippy::too_many_arguments)] // as in `record_probe`
    pub(super) fn record_step(
        &self,
        recorder: &mut Recorder<'_>,
        cache: &GpuCache,
        step: &Step,
        params: Params,
        rows: Range<usize>,
        column: Option<usize>,
        fuse: bool,
    ) -> Result<()> {
        let core = &*self.core;
        let prepared = core.prepare(step)?;
        let mut dispatches = Vec::with_capacity(2);
        let plan = PlanContext {
            config: &core.config,
            step,
            rows,
            params,
            shards: &prepared.shards,
            column,
            fuse,
            profile: core.gpu.profile(),
        };
        (step.op.plan)(&plan, &mut dispatches);
        for dispatch in &dispatches {
            let (pipeline, group) = core.bound(&prepared, cache, dispatch)?;
            recorder.dispatch(&pipeline, &group, dispatch.params, dispatch.grid);
        }
        Ok(())
    }

    /// What every submit begins with: no non-finite layer yet, and the edits. From here on nobody goes on after what was recorded before, even if
    /// nothing is submitted.
    pub(super) fn write_state(&self, table: &EditTable) {
        let core = &*self.core;
        core.gpu.write(&core.store.get(STATUS), bytemuck::bytes_of(&u32::MAX));
        let lists = (core.config.n_layers + core.config.saes.len()).max(table.lists());
        core.store.edits.write(&core.gpu, &edits::words(table, lists));
        core.raise_recordings();
    }

    /// An error if the device is lost; what failed before does not count any more.
    pub(super) fn check(&self) -> Result<()> {
        self.core.renew(&self.program);
        self.core.gpu.check()
    }

    /// The cache as it must be for so many positions.
    pub(super) async fn ready(&self, cache: &mut GpuCache, positions: usize) -> Result<()> {
        self.check()?;
        cache.ready(&self.core.gpu, &self.core.config, positions).await
    }

    pub(super) fn check_status(&self, words: Option<Vec<u32>>) -> Result<()> {
        match words.and_then(|words| words.first().copied()) {
            Some(u32::MAX) => Ok(()),
            Some(layer) => Err(Error::non_finite(
                Some(layer as usize).filter(|layer| *layer < self.core.config.n_layers),
            )),
            None => fail!(Device, "the GPU gave no status back"),
        }
    }
}
