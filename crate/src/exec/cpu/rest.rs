//! The blocks behind a given stream: many variants of one text's stream behind a block go through the rest of the model in one batch.
//! Each is what a run with edits of site `topk_out` at those positions would give, bit for bit.

use super::engine::CpuEngine;
use super::run::Run;
use crate::edits::EditTable;
use crate::error::Result;
use crate::ops::lm_head::LOGITS;
use crate::ops::pass::{Buffers, KvCache, Placement};

/// Scratch of one thread.
#[derive(Default)]
pub struct Rest {
    caches: Vec<KvCache>,
    buffers: Buffers,
    edits: EditTable,
}

impl CpuEngine {
    /// Logits `[variants, at.len(), d_vocab]` at the positions `at` (ascending) if the stream behind block `layer` were each of `hidden`,
    /// `[variants, positions, d_model]`.
    pub async fn rest<'a>(
        &self,
        scratch: &'a mut Rest,
        layer: usize,
        hidden: &[f32],
        positions: usize,
        at: &[usize],
    ) -> Result<&'a [f32]> {
        let config = &self.loaded.config;
        let variants = hidden.len() / (positions * config.d_model).max(1);
        let Rest { caches, buffers, edits } = scratch;
        if caches.len() < variants {
            caches.resize_with(variants, KvCache::default);
        }
        let each: Vec<(usize, usize)> = (0..variants)
            .flat_map(|variant| (0..positions).map(move |position| (variant, position)))
            .collect();
        // The last block and the head are run where it is looked alone. No step that reads ids is run.
        let rows: Vec<usize> = (0..variants)
            .flat_map(|variant| at.iter().map(move |position| variant * positions + position))
            .collect();
        let looked: Vec<(usize, usize)> = rows.iter().map(|row| each[*row]).collect();
        let ids = vec![0; each.len()];
        let mut run = Run::new(&self.loaded, &ids, Placement::Each(&each), edits, caches, buffers)?;
        run.resume(layer, hidden);
        run.to_last_cache().await?;
        run.narrow(&rows, &ids[..rows.len()], &looked)?;
        run.finish().await?;
        run.logits(0..rows.len(), None).await?;
        Ok(&scratch.buffers.get(LOGITS)[..rows.len() * config.d_vocab])
    }
}
