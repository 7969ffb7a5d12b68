//! What a session asks of an executor: one forward pass over a batch of rows, or a run of sampled steps.
//! [`super::cpu::CpuEngine`] and [`super::gpu::GpuEngine`] do the same work on the same program.

use crate::config::Config;
use crate::edits::EditTable;
use crate::ops::buffers::{Buffer, HIDDEN};
use crate::ops::def::{At, OpDef, Point, Rows, Step};
use crate::ops::{lm_head, pattern};
use crate::ops::sampling::Sampling;

/// Which rows get logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogitRows {
    /// Of no position.
    None,
    /// Of the last position alone.
    #[default]
    Last,
    /// Of every position.
    All,
    /// One number a row: the logit of this token. Of no `run`.
    #[doc(hidden)]
    Token(u32),
}

/// What to keep of a forward pass. Captures of a batch are given in the order of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Capture {
    /// Right behind which point of the program.
    pub point: Point,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    Buffer(Buffer),
    Probe(Step),
}

impl Capture {
    /// A copy of `buffer` (all rows) as it is at `point`.
    pub fn buffer(point: Point, buffer: Buffer) -> Capture {
        Capture {
            point,
            what: What::Buffer(buffer),
        }
    }

    /// The result of an operation that is run on the side at `point`, reading what is there.
    pub fn probe(point: Point, op: &'static OpDef, input: Buffer) -> Capture {
        let step = Step {
            op,
            at: At::new(point, input),
        };
        Capture {
            point,
            what: What::Probe(step),
        }
    }

    /// Logits of all rows as if the residual stream at `point` were the last one (logit lens) `[rows, d_vocab]`.
    pub fn lens(point: Point) -> Capture {
        Capture::probe(point, &lm_head::DEF, HIDDEN)
    }

    pub fn is_lens(&self) -> bool {
        *self == Capture::lens(self.point)
    }

    /// Whether a row of it is as long as the batch sees.
    pub fn is_pattern(&self) -> bool {
        self.step().is_some_and(|step| step.op.name == pattern::DEF.name)
    }

    /// The operation to run, where one is.
    pub fn step(&self) -> Option<Step> {
        match self.what {
            What::Probe(step) => Some(step),
            What::Buffer(_) => None,
        }
    }

    /// The buffer that is copied.
    pub fn source(&self, config: &Config) -> Option<Buffer> {
        match self.what {
            What::Buffer(buffer) => Some(buffer),
            What::Probe(step) => (step.op.writes)(config, &step).first().copied(),
        }
    }
}

/// One forward pass. The caller has checked everything: ids below d_vocab, positions below n_ctx, edits against the
/// model, at most `max_rows` rows.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Input ids `[rows]`.
    pub ids: &'a [u32],
    /// Absolute position of the first row.
    pub start: usize,
    pub rows: Rows,
    pub edits: &'a EditTable,
    pub captures: &'a [Capture],
    pub logits: LogitRows,
}

#[cfg(feature = "internals")]
impl<'a> Batch<'a> {
    /// A text from its first position on; nothing is captured.
    pub fn text(ids: &'a [u32], edits: &'a EditTable, logits: LogitRows) -> Self {
        Batch {
            ids,
            start: 0,
            rows: Rows::Sequence,
            edits,
            captures: &[],
            logits,
        }
    }
}

/// Alternatives of one position, each of which is known up to the end of a block: what is in front of that is not computed again.
#[derive(Clone, Copy, Debug)]
pub struct Resume<'a> {
    pub id: u32,
    /// Its absolute position.
    pub start: usize,
    /// Of each row the block behind which it begins, ascending.
    pub layers: &'a [usize],
    /// The residual stream there, `[rows, d_model]`, edits and all.
    pub hidden: &'a [f32],
    /// Those of the later blocks count.
    pub edits: &'a EditTable,
}

/// What came back from a forward pass.
#[derive(Clone, Debug, Default)]
pub struct BatchOutput {
    /// One dense `[rows, width]` array a capture, in order.
    pub captured: Vec<Vec<f32>>,
    /// `[1 or rows, d_vocab]`, `[rows]` for `LogitRows::Token`, empty for `LogitRows::None`.
    pub logits: Vec<f32>,
}

/// A run of decode steps: the token at position `start` is fed, the next is drawn and fed in turn, `steps` times.
#[derive(Clone, Copy, Debug)]
pub struct Decode<'a> {
    /// All ids so far, `ids[start]` the one to feed (its key and value are not cached yet): `ids.len() == start + 1`.
    /// The repetition penalty looks at all of them.
    pub ids: &'a [u32],
    pub steps: usize,
    pub sampling: &'a Sampling,
    pub edits: &'a EditTable,
    pub captures: &'a [Capture],
    /// Also give the logits of every step (for top log-probabilities).
    pub logits: bool,
}

impl<'a> Decode<'a> {
    /// As the only row of a step.
    pub fn row(&self) -> DecodeRow<'a> {
        DecodeRow {
            ids: self.ids,
            seen: &[],
            sampling: self.sampling,
            edits: self.edits,
            captures: self.captures,
            logits: self.logits,
        }
    }
}

/// One sequence of a step that several take together: its last token is fed, the next is drawn.
#[derive(Clone, Copy, Debug)]
pub struct DecodeRow<'a> {
    /// As in [`Decode`].
    pub ids: &'a [u32],
    /// `[d_vocab]`: which of the vocabulary are among them, for the CPU.
    pub seen: &'a [bool],
    pub sampling: &'a Sampling,
    pub edits: &'a EditTable,
    pub captures: &'a [Capture],
    pub logits: bool,
}

/// What any row wants to have captured, each once, in the order of the program.
pub fn all_captures(rows: &[DecodeRow<'_>]) -> Vec<Capture> {
    let mut all: Vec<Capture> = Vec::new();
    for capture in rows.iter().flat_map(|row| row.captures) {
        add_capture(&mut all, *capture);
    }
    all
}

/// Puts a capture in its place in a list in the order of the program, once.
pub fn add_capture(list: &mut Vec<Capture>, capture: Capture) {
    if !list.contains(&capture) {
        let place = list.partition_point(|other| other.point <= capture.point);
        list.insert(place, capture);
    }
}

/// The edits of all rows, each for its own.
pub fn edits_of(n_layers: usize, rows: &[DecodeRow<'_>]) -> EditTable {
    let mut table = EditTable::none(n_layers);
    for (number, row) in (0u32..).zip(rows) {
        table.append(row.edits, number);
    }
    table
}

/// One drawn token.
#[derive(Clone, Debug, Default)]
pub struct Drawn {
    pub id: u32,
    /// ln of the model's own probability of `id` (temperature 1, no penalty).
    pub logprob: f32,
    pub output: BatchOutput,
}
