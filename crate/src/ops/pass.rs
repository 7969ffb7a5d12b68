//! What every CPU twin works on: the buffers of a batch, the caches of its sequences, and where its rows are.

use std::ops::Range;

use super::buffers::{Buffer, ACTIVE, HIDDEN};
use super::point::{At, Rows};
use super::rope::Frequencies;
use super::sampling::Draw;
use super::weights::CpuWeights;
use crate::config::{CacheDtype, Config};
use crate::edits::EditTable;
use crate::error::{fail, Result};
use crate::memory::reserve;
use crate::numerics::stored::{Kept, F16};

/// Multiplications in one uninterrupted piece of work: well under the 50 ms that a call may hold the browser's thread.
pub const SLICE: usize = 24_000_000;

/// One batch on its way through the program.
pub struct Pass<'a> {
    pub config: &'a Config,
    pub weights: &'a CpuWeights,
    pub rope: &'a Frequencies,
    /// Input ids `[rows]`.
    pub ids: &'a [u32],
    pub placement: Placement<'a>,
    pub edits: &'a EditTable,
    pub buffers: &'a mut Buffers,
    pub caches: &'a mut [KvCache],
    /// Where the next token is drawn: what by, and what came of it.
    pub draw: Option<Draw<'a>>,
    /// Only this column of the logits, where one is enough.
    pub column: Option<usize>,
    /// Where the operation is that runs.
    pub step: At,
}

/// Where the rows of a batch are.
#[derive(Clone, Copy, Debug)]
pub enum Placement<'a> {
    /// Positions of the one sequence of `caches[0]`, or alternatives of one position.
    One { start: usize, rows: Rows },
    /// (sequence, position) of each row: of several sequences one row each, or consecutive positions that stand side by side.
    Each(&'a [(usize, usize)]),
}

impl Pass<'_> {
    /// Absolute position of row `row` of the batch.
    pub fn position(&self, row: usize) -> usize {
        match self.placement {
            Placement::One { start, rows } => start + if rows == Rows::Sequence { row } else { 0 },
            Placement::Each(rows) => rows[row].1,
        }
    }

    /// One behind the last position of any row.
    pub fn end(&self) -> usize {
        (0..self.rows()).map(|row| self.position(row) + 1).max().unwrap_or(0)
    }

    /// Whether rows are alternatives of one position.
    pub fn alternatives(&self) -> bool {
        matches!(
            self.placement,
            Placement::One {
                rows: Rows::Alternatives,
                ..
            }
        )
    }

    /// Rows of `rows` that follow each other in one sequence, with the number of its cache.
    pub fn runs(&self, rows: &Range<usize>) -> Vec<(usize, Range<usize>)> {
        match self.placement {
            Placement::One { .. } => vec![(0, rows.clone())],
            Placement::Each(each) => {
                let of_one = each[rows.clone()].chunk_by(|a, b| a.0 == b.0 && a.1 + 1 == b.1);
                let mut first = rows.start;
                let range = |run: &[(usize, usize)]| {
                    let start = first;
                    first += run.len();
                    (run[0].0, start..first)
                };
                of_one.map(range).collect()
            }
        }
    }

    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    pub fn layer(&self) -> usize {
        self.step.layer
    }

    /// Multiplications of so many rows with the largest matrix of a block.
    pub fn most_work(&self, rows: usize) -> usize {
        let inner = self.config.d_qkv().max(self.config.d_mlp_in());
        rows.saturating_mul(self.config.d_model.saturating_mul(inner))
    }
}

/// The active entries of a batch of rows: row `r` is `start[r]..start[r + 1]`, index ascending, no value 0.
#[derive(Clone, Debug, Default)]
pub struct ActiveRows {
    pub start: Vec<usize>,
    pub indices: Vec<u32>,
    pub values: Vec<f32>,
}

impl ActiveRows {
    pub fn clear(&mut self) {
        self.start.clear();
        self.start.push(0);
        self.indices.clear();
        self.values.clear();
    }

    /// Appends a row by its entries, index ascending, those that are 0 left out.
    pub fn push(&mut self, entries: Vec<(u32, f32)>) {
        for (index, value) in entries {
            if value != 0.0 {
                self.indices.push(index);
                self.values.push(value);
            }
        }
        self.start.push(self.indices.len());
    }

    /// The same of a dense row.
    pub fn push_row(&mut self, row: &[f32]) {
        let mut add = |first: usize, values: &[f32]| {
            for (index, value) in (first as u32..).zip(values) {
                if *value != 0.0 {
                    self.indices.push(index);
                    self.values.push(*value);
                }
            }
        };
        // Most of a sparse row is passed over by eights, of whose bits all but the signs count.
        let (eights, rest) = row.as_chunks::<8>();
        for (number, eight) in eights.iter().enumerate() {
            if eight.iter().fold(0, |any, value| any | value.to_bits() << 1) != 0 {
                add(8 * number, eight);
            }
        }
        add(8 * eights.len(), rest);
        self.start.push(self.indices.len());
    }

    /// Leaves these rows alone, ascending.
    #[cfg(feature = "cli")]
    pub fn narrow(&mut self, rows: &[usize]) {
        let mut left = ActiveRows::default();
        left.clear();
        for row in rows {
            let (indices, values) = self.row(*row);
            left.indices.extend_from_slice(indices);
            left.values.extend_from_slice(values);
            left.start.push(left.indices.len());
        }
        *self = left;
    }

    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.start[row]..self.start[row + 1];
        (&self.indices[range.clone()], &self.values[range])
    }
}

/// The buffers of a batch in memory, f32 `[rows, width]` each, by name; and scratch of the operations.
#[derive(Debug, Default)]
pub struct Buffers {
    named: Vec<(Buffer, Vec<f32>)>,
    /// [`ACTIVE`].
    pub active: ActiveRows,
    /// Normed inputs.
    pub input: Vec<f32>,
    /// Products with padding.
    pub output: Vec<f32>,
    /// How RoPE turns each row, for layers that see everything and for those with a window: `[rows, half]` pairs (cos, sin).
    pub turns: [Vec<f32>; 2],
}

impl Buffers {
    /// Makes room for `rows` rows of `width` numbers in a buffer.
    pub fn resize(&mut self, buffer: Buffer, width: usize, rows: usize) -> Result<()> {
        let what = || format!("{rows} rows of {buffer:?}; ask for fewer positions at a time");
        let Some(length) = rows.checked_mul(width) else {
            fail!(OutOfMemory, "there is no memory for {}", what())
        };
        let index = self.named.iter().position(|(b, _)| *b == buffer);
        let numbers = match index {
            Some(index) => &mut self.named[index].1,
            None => {
                self.named.push((buffer, Vec::new()));
                match self.named.last_mut() {
                    Some((_, numbers)) => numbers,
                    None => return Ok(()),
                }
            }
        };
        if length > numbers.capacity() {
            reserve(numbers, length - numbers.len(), what())?;
        }
        numbers.resize(length, 0.0);
        Ok(())
    }

    /// A buffer by name; empty if nothing writes it here.
    pub fn get(&self, buffer: Buffer) -> &[f32] {
        let dense = if buffer == ACTIVE { HIDDEN } else { buffer };
        let found = self.named.iter().find(|(b, _)| *b == dense);
        found.map_or(&[], |(_, numbers)| numbers)
    }

    /// Takes a buffer out to write it while others are read; [`Buffers::put`] brings it back.
    pub fn take(&mut self, buffer: Buffer) -> Vec<f32> {
        let found = self.named.iter_mut().find(|(b, _)| *b == buffer);
        found.map(|(_, numbers)| std::mem::take(numbers)).unwrap_or_default()
    }

    pub fn put(&mut self, buffer: Buffer, numbers: Vec<f32>) {
        if let Some((_, slot)) = self.named.iter_mut().find(|(b, _)| *b == buffer) {
            *slot = numbers;
        }
    }
}

/// Keys (after RoPE) and values of one sequence, in the numbers that the model's [`CacheDtype`] says.
#[derive(Clone, Debug)]
pub enum KvCache {
    F32(Kv<f32>),
    F16(Kv<F16>),
}

/// Keys and values `[positions, d_kv]` for each layer, for as many positions as it has come to need.
#[derive(Clone, Debug, Default)]
pub struct Kv<S> {
    pub keys: Vec<Vec<S>>,
    pub values: Vec<Vec<S>>,
}

impl Default for KvCache {
    fn default() -> KvCache {
        KvCache::F32(Kv::default())
    }
}

/// Positions that a cache begins with.
const FIRST_POSITIONS: usize = 64;

impl KvCache {
    /// Bytes for `positions` positions of a model.
    pub fn size(config: &Config, positions: usize) -> usize {
        config.n_layers * positions.min(config.n_ctx) * config.position_bytes()
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        match self {
            KvCache::F32(kv) => kv.bytes(),
            KvCache::F16(kv) => kv.bytes(),
        }
    }

    /// Takes over the first `positions` positions of another one.
    pub fn copy_from(&mut self, other: &KvCache, config: &Config, positions: usize) -> Result<()> {
        self.reserve(config, positions)?;
        let length = positions * config.d_kv();
        match (self, other) {
            (KvCache::F32(to), KvCache::F32(from)) => to.copy_from(from, length),
            (KvCache::F16(to), KvCache::F16(from)) => to.copy_from(from, length),
            _ => fail!(Argument, "a cache of one kind of numbers was given to the other"),
        }
        Ok(())
    }

    /// Makes room for `positions` positions (the model's context at most): more than asked for, so that a text can grow token by token.
    pub fn reserve(&mut self, config: &Config, positions: usize) -> Result<()> {
        if matches!((&*self, config.cache_dtype), (KvCache::F32(kv), CacheDtype::F16) if kv.keys.is_empty()) {
            *self = KvCache::F16(Kv::default());
        }
        match self {
            KvCache::F32(kv) => kv.reserve(config, positions),
            KvCache::F16(kv) => kv.reserve(config, positions),
        }
    }
}

impl<S: Kept> Kv<S> {
    fn bytes(&self) -> usize {
        self.keys.iter().chain(&self.values).map(|numbers| size_of::<S>() * numbers.len()).sum()
    }

    fn copy_from(&mut self, other: &Kv<S>, length: usize) {
        for (to, from) in [(&mut self.keys, &other.keys), (&mut self.values, &other.values)] {
            for (to, from) in to.iter_mut().zip(from) {
                to[..length].copy_from_slice(&from[..length]);
            }
        }
    }

    fn reserve(&mut self, config: &Config, positions: usize) -> Result<()> {
        let d_kv = config.d_kv();
        let there = self.values.last().map_or(0, Vec::len);
        if positions * d_kv <= there {
            return Ok(());
        }
        let positions = positions.max(2 * there / d_kv).max(FIRST_POSITIONS).min(config.n_ctx);
        self.keys.resize_with(config.n_layers, Vec::new);
        self.values.resize_with(config.n_layers, Vec::new);
        let length = positions * d_kv;
        let whole = KvCache::size(config, positions);
        let what = format!("the keys and values of {positions} positions, which take {whole} in all");
        for numbers in self.keys.iter_mut().chain(&mut self.values) {
            if length > numbers.len() {
                reserve(numbers, length - numbers.len(), &what)?;
                numbers.resize(length, S::default());
            }
        }
        Ok(())
    }

    /// Puts the key and the value `[d_kv]` of a position in their places.
    pub fn put(&mut self, layer: usize, position: usize, key: &[f32], value: &[f32]) {
        let at = position * key.len();
        for (numbers, new) in [(&mut self.keys[layer], key), (&mut self.values[layer], value)] {
            for (kept, new) in numbers[at..].iter_mut().zip(new) {
                *kept = S::of(*new);
            }
        }
    }
}
