//! One decode step of several sequences, each with its cache, edits and sampler: the weights are read once for all of them. Since no kernel
//! lets a row's result depend on its neighbors, each gets what it would get alone, bit for bit.

use super::engine::{CpuCache, CpuEngine, LOGITS};
use super::run::Run;
use crate::error::{fail, Result};
use crate::exec::request::{all_captures, edits_of, BatchOutput, DecodeRow, Drawn};
use crate::memory::copied;
use crate::ops::pattern::fitted;
use crate::ops::pass::{Buffers, KvCache, Placement};
use crate::ops::sampling::Draw;

impl CpuEngine {
    /// Feeds the last token of each row's sequence and draws the next. `caches` are those of the rows.
    pub async fn step_together(
        &self,
        caches: &mut [&mut CpuCache],
        rows: &[DecodeRow<'_>],
    ) -> Result<Vec<Drawn>> {
        let mut kv: Vec<KvCache> = caches.iter_mut().map(|cache| std::mem::take(&mut cache.kv[0])).collect();
        // The first one's scratch serves all.
        let mut buffers = caches.first_mut().map(|cache| std::mem::take(&mut cache.buffers)).unwrap_or_default();
        let drawn = self.step_rows(&mut kv, &mut buffers, rows).await;
        for (cache, kv) in caches.iter_mut().zip(kv) {
            cache.kv[0] = kv;
        }
        if let Some(first) = caches.first_mut() {
            first.buffers = buffers;
        }
        drawn
    }

    async fn step_rows(
        &self,
        caches: &mut [KvCache],
        buffers: &mut Buffers,
        rows: &[DecodeRow<'_>],
    ) -> Result<Vec<Drawn>> {
        let mut ids = Vec::with_capacity(rows.len());
        let mut each = Vec::with_capacity(rows.len());
        for (sequence, row) in rows.iter().enumerate() {
            let Some((last, before)) = row.ids.split_last() else {
                fail!(Argument, "decoding needs at least one id")
            };
            ids.push(*last);
            each.push((sequence, before.len()));
        }
        let edits = edits_of(self.loaded.config.n_layers, rows);
        let mut run = Run::new(&self.loaded, &ids, Placement::Each(&each), &edits, caches, buffers)?;
        let mut outputs: Vec<BatchOutput> = rows
            .iter()
            .map(|row| BatchOutput {
                captured: vec![Vec::new(); row.captures.len()],
                logits: Vec::new(),
            })
            .collect();
        for capture in all_captures(rows) {
            let captured = run.capture(&capture).await?;
            let width = captured.len() / rows.len();
            for ((row, output), part) in rows.iter().zip(&mut outputs).zip(captured.chunks_exact(width.max(1))) {
                if let Some(number) = row.captures.iter().position(|own| *own == capture) {
                    // As long as it would be alone.
                    output.captured[number] = match capture.is_pattern() {
                        true => fitted(part.to_vec(), width / self.loaded.config.n_heads, row.ids.len())?,
                        false => part.to_vec(),
                    };
                }
            }
        }
        run.finish().await?;
        let d_vocab = self.loaded.config.d_vocab;
        let logits = run.logits(0..rows.len(), None).await?;
        for ((row, output), logits) in rows.iter().zip(&mut outputs).zip(logits.chunks_exact(d_vocab)) {
            if row.logits {
                output.logits = copied(logits, LOGITS)?;
            }
        }
        let mut drawn = Vec::with_capacity(rows.len());
        for (number, (row, output)) in rows.iter().zip(outputs).enumerate() {
            let draw = Draw {
                sampling: row.sampling,
                row: number,
                seen: row.seen,
                position: row.ids.len() as u32,
                drawn: None,
            };
            let Some((id, logprob)) = run.draw(draw).await? else {
                fail!(Device, "no token was drawn")
            };
            drawn.push(Drawn { id, logprob, output });
        }
        Ok(drawn)
    }
}
