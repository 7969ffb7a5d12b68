//! Alternatives of one position from the ends of blocks on. All rows lie in the buffers from the beginning, those that begin early first; behind
//! each block those that begin there join, since no kernel touches rows beyond those of its batch. So the rows take the dispatches of those that
//! begin first, and no block is computed for a row that is known behind it.

use super::cache::GpuCache;
use super::engine::GpuEngine;
use super::record::Recorder;
use super::staging::Staging;
use crate::error::Result;
use crate::exec::request::Resume;
use crate::ops::buffers::{ACTIVE, HIDDEN, STATUS};
use crate::ops::def::{Params, Point, Rows};
use crate::ops::lm_head::LOGITS;

impl GpuEngine {
    /// Whether nothing comes between a block's edits and the next block.
    pub fn resumes(&self) -> bool {
        self.program.plain_ends
    }

    /// Logits of one token, a row each; see [`Resume`]. The rows are few enough for one batch.
    pub async fn resumed(&self, cache: &mut GpuCache, from: &Resume<'_>, token: u32) -> Result<Vec<f32>> {
        let core = &*self.core;
        self.ready(cache, from.start + 1).await?;
        let (staging, guard) = core.gpu.guarded("a forward pass", || self.record_resumed(cache, from, token));
        let read = staging?.read(&core.gpu, &core.staging).await;
        guard.check(&core.gpu).await?;
        let mut words = read?.into_iter();
        let logits = bytemuck::cast_vec(words.next().unwrap_or_default());
        self.check_status(words.next())?;
        Ok(logits)
    }

    fn record_resumed(&self, cache: &GpuCache, from: &Resume<'_>, token: u32) -> Result<Staging> {
        let core = &*self.core;
        let (gpu, rows) = (&core.gpu, from.layers.len());
        let mut staging = Staging::default();
        let logits = staging.region(gpu, rows)?;
        let status = staging.region(gpu, 1)?;
        staging.allocate(gpu, &core.staging);
        gpu.write(&core.store.get(HIDDEN), bytemuck::cast_slice(from.hidden));
        if self.program.steps.iter().any(|step| step.input == ACTIVE) {
            let active = active_words(from.hidden, core.config.d_model);
            gpu.write(&core.store.get(ACTIVE), bytemuck::cast_slice(&active));
        }
        self.write_state(from.edits);
        let mut recorder = Recorder::new(gpu, &core.uniforms);
        let mut joined = 0;
        for layers in from.layers.chunk_by(|a, b| a == b) {
            joined += layers.len();
            let until = from.layers.get(joined).map_or(self.program.steps.len(), |layer| self.program.reach(Point::end(*layer)));
            let params = Params::batch(joined, from.start, Rows::Alternatives);
            let steps = self.program.reach(Point::end(layers[0]))..until;
            self.record_steps_of(&mut recorder, cache, params, steps, self.program.plain_blocks)?;
        }
        let params = Params::batch(rows, from.start, Rows::Alternatives);
        let (head, token) = (&self.program.head, Some(token as usize));
        self.record_probe(&mut recorder, cache, head, params, 0..rows, token, |r, at, words| {
            staging.copy(r, logits, at, &core.store.get(LOGITS), words)
        })?;
        staging.copy(&mut recorder, status, 0, &core.store.get(STATUS), 1);
        core.submitted(recorder, &mut staging);
        Ok(staging)
    }
}

/// The active entries of rows as the kernels read them; see [`ACTIVE`].
fn active_words(hidden: &[f32], d_model: usize) -> Vec<u32> {
    let width = 2 + 2 * d_model;
    let mut words = vec![0; hidden.len() / d_model * width];
    for (row, words) in hidden.chunks_exact(d_model).zip(words.chunks_exact_mut(width)) {
        let (count, entries) = words.split_at_mut(2);
        let active = (0u32..).zip(row).filter(|(_, value)| **value != 0.0);
        for (entry, (index, value)) in entries.chunks_exact_mut(2).zip(active) {
            entry.copy_from_slice(&[index, value.to_bits()]);
            count[0] += 1;
        }
    }
    words
}
