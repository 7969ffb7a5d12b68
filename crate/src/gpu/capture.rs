//! What a call wants back: captures of buffers, logits, attention patterns and logit lenses, copied to staging on the way.

use super::buffers::Buf;
use super::cache::GpuCache;
use super::engine::GpuEngine;
use super::program::Terms;
use super::record::{Params, Recorder};
use super::scratch::pattern_rows;
use super::staging::Staging;
use crate::engine::{Capture, LogitRows};
use crate::error::{fail, Result};
use crate::model::Buffer;
use crate::ops::kernel::FEW_ROWS;

/// Which columns of the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    All,
    Token(usize),
    /// None: only the normalized rows are wanted.
    NormOnly,
}

impl GpuEngine {
    /// Words that a capture of `rows` rows needs.
    pub(super) fn capture_words(&self, capture: Capture, rows: usize) -> usize {
        let config = &*self.config;
        rows * match capture {
            Capture::Buffer {
                buffer: Buffer::QueryRot | Buffer::KeyRot,
                ..
            } => config.d_query() + config.d_kv(),
            Capture::Buffer { buffer, .. } => buffer.width(config),
            Capture::Embedding { .. } => config.d_model,
            Capture::Lens { .. } => config.d_vocab,
        }
    }

    /// Words of the logits of a call.
    pub(super) fn logit_words(&self, rows: usize, wanted: LogitRows) -> usize {
        match wanted {
            LogitRows::None => 0,
            LogitRows::Last => self.config.d_vocab,
            LogitRows::All => rows * self.config.d_vocab,
            LogitRows::Token(_) => rows,
        }
    }

    /// Records one capture into its region.
    pub(super) fn record_capture(
        &self,
        r: &mut Recorder<'_>,
        cache: &GpuCache,
        params: Params,
        capture: Capture,
        staging: &Staging,
        region: usize,
    ) -> Result<()> {
        let rows = params.rows as usize;
        let words = self.capture_words(capture, rows);
        match capture {
            Capture::Embedding { positions } => {
                self.record_embed(r, params, if positions { Terms::Positions } else { Terms::Tokens });
                staging.copy(r, region, 0, &self.scratch.hidden, words);
                self.record_embed(r, params, Terms::Both);
            }
            Capture::Buffer {
                after,
                buffer: Buffer::Pattern,
            } => {
                let layer = after.saturating_sub(1) / 6;
                self.record_pattern(r, &cache.layers[layer].data, params, staging, region);
            }
            Capture::Buffer {
                buffer: Buffer::Normalized,
                ..
            } => {
                self.record_head(r, params, 0..rows, Columns::NormOnly, |_, _, _| {});
                staging.copy(r, region, 0, &self.scratch.normalized, words);
            }
            Capture::Buffer {
                buffer: Buffer::Logits, ..
            }
            | Capture::Lens { .. } => {
                self.record_head(r, params, 0..rows, Columns::All, |r, at, words| {
                    staging.copy(r, region, at, &self.scratch.logits, words)
                });
            }
            Capture::Buffer { buffer, .. } => match self.scratch.buffer(buffer) {
                Some(source) => staging.copy(r, region, 0, source, words),
                None => fail!(Argument, "the buffer {buffer:?} cannot be captured"),
            },
        }
        Ok(())
    }

    /// Records the logits of a call into their region.
    pub(super) fn record_logits(
        &self,
        r: &mut Recorder<'_>,
        params: Params,
        wanted: LogitRows,
        staging: &Staging,
        region: usize,
    ) {
        let rows = params.rows as usize;
        let (range, columns) = match wanted {
            LogitRows::None => return,
            LogitRows::Last => (rows.saturating_sub(1)..rows, Columns::All),
            LogitRows::All => (0..rows, Columns::All),
            LogitRows::Token(id) => (0..rows, Columns::Token(id as usize)),
        };
        self.record_head(r, params, range, columns, |r, at, words| {
            staging.copy(r, region, at, &self.scratch.logits, words)
        });
    }

    /// Runs the head on some rows of `Hidden`, in chunks that the logits buffer holds; `each` gets (first word, words) of a chunk.
    pub(super) fn record_head(
        &self,
        r: &mut Recorder<'_>,
        params: Params,
        rows: std::ops::Range<usize>,
        columns: Columns,
        mut each: impl FnMut(&mut Recorder<'_>, usize, usize),
    ) {
        let width = if columns == Columns::All {
            self.config.d_vocab
        } else {
            1
        };
        let most = if columns == Columns::All {
            self.scratch.logit_rows
        } else {
            self.scratch.rows
        };
        for first in rows.clone().step_by(most) {
            let n = most.min(rows.end - first);
            for (shard_first, shard_rows, group) in &self.head_groups {
                let (from, count, column) = match columns {
                    Columns::All => (0, *shard_rows, *shard_first),
                    Columns::Token(id) if (*shard_first..shard_first + shard_rows).contains(&id) => {
                        (id - shard_first, 1, 0)
                    }
                    Columns::NormOnly if *shard_first == 0 => (0, 0, 0),
                    _ => continue,
                };
                let params = Params {
                    rows: n as u32,
                    more: [column as u32, width as u32, 0, 0],
                    ..params
                }
                .aux([first, from, count]);
                if n <= FEW_ROWS {
                    r.dispatch(&self.head_matvec, group, params, [count.div_ceil(16).max(1), n, 1]);
                } else {
                    r.dispatch(
                        &self.head_matmul,
                        group,
                        params,
                        [count.div_ceil(64).max(1), n.div_ceil(64), 1],
                    );
                }
            }
            each(r, (first - rows.start) * width, n * width);
        }
    }

    /// Attention probabilities, through a buffer that lives as long as this recording.
    fn record_pattern(&self, r: &mut Recorder<'_>, cache: &Buf, params: Params, staging: &Staging, region: usize) {
        let (rows, width) = (params.rows as usize, Buffer::Pattern.width(&self.config));
        let chunk = pattern_rows(&self.gpu, &self.config, rows);
        let buffer = self.gpu.storage("pattern", (4 * chunk * width) as u64);
        let group = self
            .pipelines
            .group(&self.pattern, &[&self.scratch.rotated, cache, &buffer]);
        for first in (0..rows).step_by(chunk) {
            let n = chunk.min(rows - first);
            r.dispatch(
                &self.pattern,
                &group,
                params.aux([first, self.config.n_ctx, 0]),
                [self.config.n_heads, n, 1],
            );
            staging.copy(r, region, first * width, &buffer, n * width);
        }
        r.keep(buffer);
    }

    /// The words of a capture as the caller gets them.
    pub(super) fn captured(&self, capture: Capture, words: Vec<u32>) -> Vec<f32> {
        let values: Vec<f32> = bytemuck::cast_vec(words);
        let (query, kv) = (self.config.d_query(), self.config.d_kv());
        let columns = match capture {
            Capture::Buffer {
                buffer: Buffer::QueryRot,
                ..
            } => 0..query,
            Capture::Buffer {
                buffer: Buffer::KeyRot, ..
            } => query..query + kv,
            _ => return values,
        };
        values
            .chunks_exact(query + kv)
            .flat_map(|row| &row[columns.clone()])
            .copied()
            .collect()
    }
}
