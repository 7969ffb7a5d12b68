//! The loop: a pass through the program that can be stopped at any point, looked at, and gone on with.

use std::ops::Range;

use crate::config::Config;
use crate::edits::EditTable;
use crate::error::Result;
use crate::exec::request::Capture;
use crate::ops::buffers::Buffer;
use crate::ops::def::{Point, Step};
#[cfg(feature = "cli")]
use crate::ops::point::Stage;
use crate::ops::pass::{Buffers, KvCache, Pass, Placement};
use crate::ops::rope::Frequencies;
use crate::ops::sampling::Draw;
use crate::ops::weights::CpuWeights;
use crate::memory::copied;
use crate::pace::pause_after;
use crate::program::Program;

/// What passes of one engine have in common.
pub struct Loaded {
    pub config: Config,
    pub program: Program,
    pub rope: Frequencies,
    pub weights: CpuWeights,
}

/// A batch on its way through the program.
pub struct Run<'a> {
    program: &'a Program,
    pass: Pass<'a>,
    /// Steps done.
    done: usize,
}

impl<'a> Run<'a> {
    /// In front of the first step. `caches`: of the one sequence, or of each that `placement` names.
    pub fn new(
        loaded: &'a Loaded,
        ids: &'a [u32],
        placement: Placement<'a>,
        edits: &'a EditTable,
        caches: &'a mut [KvCache],
        buffers: &'a mut Buffers,
    ) -> Result<Run<'a>> {
        for step in &loaded.program.steps {
            for buffer in (step.op.writes)(&loaded.config, step) {
                buffers.resize(buffer, buffer.width(&loaded.config), ids.len())?;
            }
        }
        let program = &loaded.program;
        let pass = Pass {
            config: &loaded.config,
            weights: &loaded.weights,
            rope: &loaded.rope,
            ids,
            placement,
            edits,
            buffers,
            caches,
            draw: None,
            column: None,
            step: program.head.at,
        };
        let rows = 0..ids.len();
        for (sequence, rows) in pass.runs(&rows) {
            let positions = rows.last().map_or(0, |row| pass.position(row) + 1);
            pass.caches[sequence].reserve(pass.config, positions)?;
        }
        let mut turns = std::mem::take(&mut pass.buffers.turns);
        pass.rope.turns(rows.map(|row| pass.position(row)), &mut turns)?;
        pass.buffers.turns = turns;
        Ok(Run { program, pass, done: 0 })
    }

    /// Goes on until `point` is reached.
    pub async fn to(&mut self, point: Point) -> Result<()> {
        self.steps(self.program.reach(point)).await
    }

    /// Goes on to the end of the program.
    pub async fn finish(&mut self) -> Result<()> {
        self.steps(self.program.steps.len()).await
    }

    /// Stands behind block `layer` with these rows of the residual stream, `[rows, d_model]`, without having computed what is before.
    pub fn resume(&mut self, layer: usize, hidden: &[f32]) {
        self.done = self.program.reach(Point::end(layer));
        self.pass.buffers.active.clear();
        for row in hidden.chunks_exact(self.pass.config.d_model) {
            self.pass.buffers.active.push_row(row);
        }
        self.pass.buffers.put(crate::ops::buffers::HIDDEN, hidden.to_vec());
    }

    /// Goes on to where the last block needs no other rows than some: its keys and values are cached.
    #[cfg(feature = "cli")]
    pub async fn to_last_cache(&mut self) -> Result<()> {
        let last = self.pass.config.n_layers.saturating_sub(1);
        self.to(Point::of(last, Stage::Qkv)).await
    }

    /// Goes on with these `rows` alone (ascending), whose ids and places are given.
    #[cfg(feature = "cli")]
    pub fn narrow(&mut self, rows: &[usize], ids: &'a [u32], each: &'a [(usize, usize)]) -> Result<()> {
        let (config, buffers) = (self.pass.config, &mut *self.pass.buffers);
        let mut narrowed = Vec::new();
        for buffer in self.program.steps.iter().flat_map(|step| (step.op.writes)(config, step)) {
            if narrowed.contains(&buffer) {
                continue;
            }
            let (width, mut numbers) = (buffer.width(config), buffers.take(buffer));
            for (to, from) in rows.iter().enumerate() {
                numbers.copy_within(from * width..(from + 1) * width, to * width);
            }
            buffers.put(buffer, numbers);
            buffers.resize(buffer, width, rows.len())?;
            narrowed.push(buffer);
        }
        if !self.pass.buffers.active.start.is_empty() {
            self.pass.buffers.active.narrow(rows);
        }
        self.pass.ids = ids;
        self.pass.placement = Placement::Each(each);
        Ok(())
    }

    async fn steps(&mut self, until: usize) -> Result<()> {
        let rows = 0..self.pass.rows();
        while self.done < until {
            let step = self.program.steps[self.done];
            self.done += 1;
            self.step(step, &rows).await?;
        }
        Ok(())
    }

    /// One step, giving way between its pieces.
    async fn step(&mut self, step: Step, rows: &Range<usize>) -> Result<()> {
        self.pass.step = step.at;
        let pieces = (step.op.pieces)(&self.pass, rows);
        // What is done in several pieces takes its time.
        let work = if pieces > 1 { usize::MAX } else { self.pass.most_work(rows.len()) };
        for piece in 0..pieces {
            (step.op.cpu)(&mut self.pass, rows, piece)?;
            pause_after(work).await;
        }
        Ok(())
    }

    /// Runs an operation on the side for `rows`, of which only `column` is wanted where it says so.
    pub async fn probe(&mut self, step: Step, rows: Range<usize>, column: Option<usize>) -> Result<()> {
        let (config, end) = (self.pass.config, self.pass.end());
        for buffer in (step.op.writes)(config, &step) {
            // What may be held a few rows at a time begins with the first of `rows`.
            let n = match (buffer.is_chunked(), column) {
                (false, _) => self.pass.rows(),
                (true, None) => rows.len(),
                (true, Some(_)) => rows.len().div_ceil(buffer.width(config).max(1)),
            };
            self.pass.buffers.resize(buffer, buffer.width_to(config, end), n)?;
        }
        self.pass.column = column;
        self.step(step, &rows).await
    }

    /// What a capture wants of all rows, at its point.
    pub async fn capture(&mut self, capture: &Capture) -> Result<Vec<f32>> {
        self.to(capture.point).await?;
        if let Some(step) = capture.step() {
            self.probe(step, 0..self.pass.rows(), None).await?;
        }
        let Some(buffer) = capture.source(self.pass.config) else {
            return Ok(Vec::new());
        };
        copied(self.buffer(buffer), format_args!("a copy of {buffer:?}"))
    }

    /// Logits of `rows`, `[rows, d_vocab]`, or `[rows]` of one token.
    pub async fn logits(&mut self, rows: Range<usize>, token: Option<u32>) -> Result<&[f32]> {
        let n = rows.len();
        let column = token.map(|id| id as usize);
        self.probe(self.program.head, rows, column).await?;
        let width = column.map_or(self.pass.config.d_vocab, |_| 1);
        Ok(&self.buffer(crate::ops::lm_head::LOGITS)[..n * width])
    }

    /// Draws from the logits that were made last.
    pub async fn draw(&mut self, draw: Draw<'a>) -> Result<Option<(u32, f32)>> {
        self.pass.draw = Some(draw);
        self.step(self.program.sampler, &(0..1)).await?;
        Ok(self.pass.draw.and_then(|draw| draw.drawn))
    }

    /// A buffer as it is now.
    pub fn buffer(&self, buffer: Buffer) -> &[f32] {
        self.pass.buffers.get(buffer)
    }

    /// The pass, for what is not a buffer of numbers.
    #[cfg(feature = "internals")]
    pub fn pass(&self) -> &Pass<'a> {
        &self.pass
    }
}
