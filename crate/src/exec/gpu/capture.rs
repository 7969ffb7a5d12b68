//! Records the program, and what a call wants back on the way: captures of buffers, and operations run on the side.

use std::ops::Range;

use super::cache::GpuCache;
use super::engine::GpuEngine;
use super::record::Recorder;
use super::staging::Staging;
use crate::error::{fail, Result};
use crate::exec::request::Capture;
use crate::ops::buffers::Buffer;
use crate::ops::def::{Params, Step};

impl GpuEngine {
    /// Words that a capture of a batch needs.
    pub(super) fn capture_words(&self, capture: &Capture, params: Params) -> usize {
        let config = &*self.core.config;
        let width = |buffer: Buffer| buffer.width_to(config, params.end());
        capture.source(config).map_or(0, |buffer| params.rows as usize * width(buffer))
    }

    /// Records a whole forward pass; captures go to the regions of `staging` from `first` on.
    pub(super) fn record_program(
        &self,
        r: &mut Recorder<'_>,
        cache: &GpuCache,
        params: Params,
        captures: &[Capture],
        staging: &Staging,
        first: usize,
    ) -> Result<()> {
        let fuse = self.program.plain_blocks && !captures.iter().any(|capture| capture.point.is_within_block());
        let mut done = 0;
        for (region, capture) in (first..).zip(captures) {
            let reached = self.program.reach(capture.point).max(done);
            self.record_steps_of(r, cache, params, done..reached, fuse)?;
            done = reached;
            self.record_capture(r, cache, params, capture, staging, region)?;
        }
        self.record_steps_of(r, cache, params, done..self.program.steps.len(), fuse)
    }

    /// Records some steps of the program for all rows.
    pub(super) fn record_steps_of(
        &self,
        r: &mut Recorder<'_>,
        cache: &GpuCache,
        params: Params,
        steps: Range<usize>,
        fuse: bool,
    ) -> Result<()> {
        for step in &self.program.steps[steps] {
            self.record_step(r, cache, step, params, 0..params.rows as usize, None, fuse)?;
        }
        Ok(())
    }

    /// Records one capture into its region.
    fn record_capture(
        &self,
        r: &mut Recorder<'_>,
        cache: &GpuCache,
        params: Params,
        capture: &Capture,
        staging: &Staging,
        region: usize,
    ) -> Result<()> {
        let (core, rows) = (&*self.core, params.rows as usize);
        let Some(source) = capture.source(&core.config) else {
            fail!(Argument, "the operation of a capture gives no buffer")
        };
        let buffer = core.store.get(source);
        match capture.step() {
            None => staging.copy(r, region, 0, &buffer, rows * source.width(&core.config)),
            Some(step) => self.record_probe(r, cache, &step, params, 0..rows, None, |r, at, words| {
                staging.copy(r, region, at, &buffer, words)
            })?,
        }
        Ok(())
    }

    /// Runs an operation on the side for `rows`, in chunks that its result's buffer holds; `each` gets (first word, words) of a chunk.
    #[allow(clippy::too_many_arguments)] // what to run, on what, and where to
    pub(super) fn record_probe(
        &self,
        r: &mut Recorder<'_>,
        cache: &GpuCache,
        step: &Step,
        params: Params,
        rows: Range<usize>,
        column: Option<usize>,
        mut each: impl FnMut(&mut Recorder<'_>, usize, usize),
    ) -> Result<()> {
        let config = &*self.core.config;
        let Some(result) = (step.op.writes)(config, step).first().copied() else {
            return Ok(());
        };
        let width = column.map_or(result.width_to(config, params.end()), |_| 1);
        // A single column of many rows fits wherever a whole row does.
        let most = column.map_or(self.core.store.rows_of(result), |_| self.core.store.rows);
        for first in rows.clone().step_by(most) {
            let chunk = first..(first + most).min(rows.end);
            let n = chunk.len();
            self.record_step(r, cache, step, params, chunk, column, false)?;
            each(r, (first - rows.start) * width, n * width);
        }
        Ok(())
    }
}
