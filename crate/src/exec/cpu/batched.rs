//! Batched decode: one row for each of several sequences in a step, so that the weights are read once for all of them. Since no kernel
//! lets a row's result depend on its neighbours, each sequence is what it would be alone, bit for bit.

use super::engine::CpuEngine;
use super::branch::Prefix;
use super::run::Run;
use crate::edits::EditTable;
use crate::error::Result;
use crate::ops::pass::{Buffers, KvCache, Placement};

/// A token to feed at the next position of a sequence.
#[derive(Clone, Copy, Debug)]
pub struct TokenInput {
    /// Which of the sequences.
    pub sequence: usize,
    pub id: u32,
    /// How many of its tokens are cached.
    pub position: usize,
}

/// The caches of up to a fixed number of sequences, and the buffers of a step.
pub struct BatchedDecode {
    caches: Vec<KvCache>,
    buffers: Buffers,
    logits: Vec<f32>,
}

impl CpuEngine {
    /// Room for `sequences` of at most `positions` (the model's context at most) each.
    pub fn batched(&self, sequences: usize, positions: usize) -> Result<BatchedDecode> {
        let positions = positions.min(self.loaded.config.n_ctx);
        let mut caches = vec![KvCache::default(); sequences];
        for cache in &mut caches {
            cache.reserve(&self.loaded.config, positions)?;
        }
        Ok(BatchedDecode {
            caches,
            buffers: Buffers::default(),
            logits: Vec::new(),
        })
    }

    /// Lets a sequence go on behind a text but for its last token, which is fed next.
    pub fn begin(&self, batched: &mut BatchedDecode, sequence: usize, prefix: &Prefix) {
        batched.caches[sequence].clone_from(&prefix.cache[0]);
    }

    /// Feeds one token to each of the sequences named (none twice) and gives the logits behind them, `[rows, d_vocab]`. The rows of `edits` are
    /// those of `next`.
    pub async fn step_edited<'a>(
        &self,
        batched: &'a mut BatchedDecode,
        next: &[TokenInput],
        edits: &EditTable,
    ) -> Result<&'a [f32]> {
        let ids: Vec<u32> = next.iter().map(|next| next.id).collect();
        let each: Vec<(usize, usize)> = next.iter().map(|next| (next.sequence, next.position)).collect();
        let BatchedDecode {
            caches,
            buffers,
            logits,
        } = batched;
        let mut run = Run::new(&self.loaded, &ids, Placement::Each(&each), edits, caches, buffers)?;
        run.finish().await?;
        let made = run.logits(0..next.len(), None).await?;
        logits.clear();
        logits.extend_from_slice(made);
        Ok(logits)
    }
}
