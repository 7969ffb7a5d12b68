//! Edited continuations of one prefix: the blocks up to the edited one are not computed again, and many edits go through the rest in one batch.
//! Each is what a run with an edit of site `topk_out` at the last position would give, bit for bit.

use super::engine::CpuEngine;
use super::run::Run;
use crate::edits::EditTable;
use crate::error::Result;
use crate::ops::buffers::HIDDEN;
use crate::ops::def::{Point, Rows};
use crate::ops::pass::{Buffers, KvCache, Placement};

/// A text that has been computed, with what is needed to change its last position.
pub struct Prefix {
    pub ids: Vec<u32>,
    /// The residual stream behind each block at the last position.
    pub hidden: Vec<Vec<f32>>,
    /// Behind the last position, `[d_vocab]`.
    pub logits: Vec<f32>,
    pub(super) cache: [KvCache; 1],
}

/// Scratch of the batches of one thread.
#[derive(Default)]
pub struct Branches {
    buffers: Buffers,
    edits: EditTable,
}

impl CpuEngine {
    /// Computes a text of at least one token that fits into the context.
    pub async fn prefix(&self, ids: &[u32], scratch: &mut Branches) -> Result<Prefix> {
        let mut cache = [KvCache::default()];
        let (last, d) = (ids.len().saturating_sub(1), self.loaded.config.d_model);
        let placement = Placement::One {
            start: 0,
            rows: Rows::Sequence,
        };
        let Branches { buffers, edits } = scratch;
        let mut run = Run::new(&self.loaded, ids, placement, edits, &mut cache, buffers)?;
        let mut hidden = Vec::new();
        for layer in 0..self.loaded.config.n_layers {
            run.to(Point::end(layer)).await?;
            hidden.push(run.buffer(HIDDEN)[last * d..][..d].to_vec());
        }
        let logits = run.logits(last..ids.len(), None).await?.to_vec();
        Ok(Prefix {
            ids: ids.to_vec(),
            hidden,
            logits,
            cache,
        })
    }

    /// Logits `[rows, d_vocab]` if the stream behind block `layer` at the last position were each of `hidden` (`[rows, d_model]`).
    pub async fn branches<'a>(
        &self,
        scratch: &'a mut Branches,
        prefix: &mut Prefix,
        layer: usize,
        hidden: &[f32],
    ) -> Result<&'a [f32]> {
        let rows = hidden.len() / self.loaded.config.d_model;
        let last = prefix.ids.len().saturating_sub(1);
        let ids = vec![prefix.ids[last]; rows];
        let placement = Placement::One {
            start: last,
            rows: Rows::Alternatives,
        };
        let Branches { buffers, edits } = scratch;
        let mut run = Run::new(&self.loaded, &ids, placement, edits, &mut prefix.cache, buffers)?;
        run.resume(layer, hidden);
        run.finish().await?;
        run.logits(0..rows, None).await?;
        Ok(&scratch.buffers.get(crate::ops::lm_head::LOGITS)[..rows * self.loaded.config.d_vocab])
    }
}
