//! What a session asks of an executor: one forward pass over a batch of rows, or a run of sampled steps.
//! `cpu::CpuEngine` and `gpu::GpuEngine` do the same work on the same program.

use crate::edits::EditTable;
use crate::model::Buffer;

/// Which rows get logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogitRows {
    None,
    Last,
    All,
    /// One number a row: the logit of this token.
    Token(u32),
}

/// How the rows of a batch relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Consecutive positions `start, start + 1, …` of one sequence; their keys and values enter the cache.
    Sequence,
    /// Alternatives of the one position `start`: each row sees the cached positions below `start` and itself, and
    /// nothing enters the cache. For edited continuations of one prefix.
    Alternatives,
}

/// Keep a copy of `buffer` (all rows) as it is right after operation number `after` of the program.
/// Captures of a batch are given in program order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// (`Normalized`: the final norm of `Hidden` as it is there.)
    Buffer { after: usize, buffer: Buffer },
    /// GPT-2: one of the two terms of the embedding, the tokens' or the learned positions' `[rows, d_model]`.
    /// Counts as after operation 0, and comes before its other captures.
    Embedding { positions: bool },
    /// Logits of all rows as if the residual stream after `after` were the last one (logit lens) `[rows, d_vocab]`.
    Lens { after: usize },
}

impl Capture {
    pub fn after(self) -> usize {
        match self {
            Capture::Buffer { after, .. } | Capture::Lens { after } => after,
            Capture::Embedding { .. } => 0,
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

/// What came back from a forward pass.
#[derive(Clone, Debug, Default)]
pub struct BatchOutput {
    /// One dense `[rows, width]` array a capture, in order. (`Pattern`: `[rows, n_heads, n_ctx]`, zero beyond the row's position.)
    pub captured: Vec<Vec<f32>>,
    /// `[1 or rows, d_vocab]`, `[rows]` for `LogitRows::Token`, empty for `LogitRows::None`.
    pub logits: Vec<f32>,
}

/// How the next token is drawn (design section 3, "Sampling").
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 is argmax, the lowest id at a tie.
    pub temperature: f32,
    /// 0: no limit.
    pub top_k: usize,
    /// 1: no limit.
    pub top_p: f32,
    /// 1: none. Hugging Face's rule over prompt and new tokens.
    pub repetition_penalty: f32,
    pub seed: u64,
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

/// One drawn token.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub id: u32,
    /// ln of the model's own probability of `id` (temperature 1, no penalty).
    pub logprob: f32,
    pub output: BatchOutput,
}
