//! The buffers of an engine, by name. Every call writes, submits and copies out without giving way in between, so calls
//! that overlap share them: the queue keeps their submits in order.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::buffers::Buf;
use super::cache::largest;
use super::context::Gpu;
use super::edits::EditBuffer;
use crate::config::{Config, Sae, SaeKind};
use crate::error::{fail, Result};
use crate::exec::request::Capture;
use crate::ops::buffers::Buffer;
use crate::ops::def::FEW_ROWS;
use crate::ops::lm_head::LOGITS;
use crate::ops::rope::Frequencies;
use crate::program::Program;

/// Rows of one batch: at most, and at least (a tile of the products).
const MAX_ROWS: usize = 256;
const TILE_ROWS: usize = 64;
/// Multiplications of one batch, so that no submit keeps the GPU, and an abort, waiting for long.
const BATCH_WORK: u64 = 32_000_000_000;
/// Bytes of a buffer that holds a few rows at a time.
const CHUNK_BYTES: usize = 32 << 20;

/// Buffers by name; each is made when it is first asked for.
#[derive(Debug)]
pub struct Store {
    gpu: Rc<Gpu>,
    config: Rc<Config>,
    /// Rows of a batch.
    pub rows: usize,
    /// Multiplications of a row.
    numbers: u64,
    made: RefCell<HashMap<Buffer, Rc<Buf>>>,
    /// The RoPE table of all layers, and that of windowed layers.
    rope: [Rc<Buf>; 2],
    frequencies: Frequencies,
    pub edits: EditBuffer,
}

/// Rows of a batch that multiplies so many numbers a row.
fn rows_of(numbers: u64, least: usize) -> usize {
    (BATCH_WORK / numbers.max(1)).min(MAX_ROWS as u64).max(least as u64) as usize
}

/// Multiplications of a row by which matching pursuits go beyond one pass over each matrix.
fn pursued(saes: &[Sae]) -> u64 {
    let again = |sae: &Sae| match sae.kind {
        SaeKind::Pursuit { iterations, .. } => {
            (sae.d_in as u64 * sae.d_sae as u64).saturating_mul(iterations as u64 - 1)
        }
        _ => 0,
    };
    saes.iter().map(again).fold(0, u64::saturating_add)
}

/// How many rows of activations a binding takes: one at least, and the tables by position, or it is an error.
pub fn fits(gpu: &Gpu, config: &Config, program: &Program) -> Result<usize> {
    let most = gpu.max_binding() as usize;
    let buffers = program.buffers(config);
    let whole = buffers.iter().filter(|buffer| !buffer.is_chunked()).map(|buffer| buffer.width(config));
    // The list of active entries has two words for each.
    let bytes = 4 * whole.max().unwrap_or(0).max(2 + 2 * config.d_model);
    if most < bytes.max(4 * LOGITS.width(config)) {
        fail!(
            Device,
            "a row of this model's activations is larger than the GPU's largest binding of {most} bytes"
        );
    }
    let turns = 8 * config.n_ctx as u64 * Frequencies::new(config).half() as u64;
    if turns > most as u64 {
        fail!(
            OutOfMemory,
            "the rotations of {} positions take {turns} bytes, more than the GPU's largest binding of {most}",
            config.n_ctx
        );
    }
    Ok(most / bytes)
}

impl Store {
    /// `numbers`: how many the matrices of all blocks and autoencoders have.
    pub fn new(gpu: &Rc<Gpu>, config: &Rc<Config>, program: &Program, numbers: u64) -> Result<Store> {
        let again = pursued(&config.saes);
        let in_time = rows_of(numbers, TILE_ROWS).min(rows_of(again, FEW_ROWS + 1));
        let rows = fits(gpu, config, program)?.min(in_time);
        let frequencies = Frequencies::new(config);
        let mut turns = Default::default();
        frequencies.turns(0..config.n_ctx, &mut turns)?;
        let rope = turns.map(|table| Rc::new(gpu.storage_with("rope", bytemuck::cast_slice(&table))));
        let store = Store {
            gpu: gpu.clone(),
            config: config.clone(),
            rows,
            numbers: numbers.saturating_add(again),
            made: RefCell::default(),
            rope,
            frequencies,
            edits: EditBuffer::new(gpu),
        };
        for buffer in program.buffers(config) {
            store.get(buffer);
        }
        Ok(store)
    }

    /// Rows of a batch with these captures: as many as a buffer has room for what they give. A lens takes as long as several blocks; for its time
    /// they are not so few that they had other kernels.
    pub fn rows_with(&self, captures: &[Capture]) -> usize {
        let lenses = captures.iter().filter(|capture| capture.is_lens()).count();
        let heads = lenses as u64 * (self.config.d_vocab * self.config.d_model) as u64;
        let sources = captures.iter().filter_map(|capture| capture.source(&self.config));
        let bytes: u64 = sources.map(|buffer| 4 * buffer.width(&self.config) as u64).sum();
        let fit = largest(&self.gpu) / bytes.max(1);
        self.rows.min(rows_of(self.numbers.saturating_add(heads), FEW_ROWS + 1)).min(fit.max(1) as usize)
    }

    /// Rows of a buffer that are held at a time.
    pub fn rows_of(&self, buffer: Buffer) -> usize {
        if !buffer.is_chunked() {
            return self.rows;
        }
        let row = 4 * buffer.width(&self.config).max(1);
        (CHUNK_BYTES.min(self.gpu.max_binding() as usize) / row).clamp(1, self.rows)
    }

    /// A buffer by name.
    pub fn get(&self, buffer: Buffer) -> Rc<Buf> {
        let make = || {
            let words = buffer.size(&self.config, self.rows_of(buffer));
            Rc::new(self.gpu.storage(buffer.name, 4 * words as u64))
        };
        self.made.borrow_mut().entry(buffer).or_insert_with(make).clone()
    }

    /// Gives up all but the buffers of a program.
    pub fn renew(&self, kept: &[Buffer]) {
        self.made.borrow_mut().retain(|buffer, _| kept.contains(buffer));
        self.edits.forget();
    }

    /// The RoPE table of a layer.
    pub fn rope(&self, layer: usize) -> &Rc<Buf> {
        &self.rope[self.frequencies.of(&self.config, layer)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of an autoencoder of 32,768 features.
    #[test]
    fn long_pursuits_make_batches_small() {
        let pursuit = |iterations: usize| {
            let mut json = serde_json::json!({"architecture": "matching_pursuit", "d_in": 768, "d_sae": 32768, "hook_name": "x"});
            json["max_iterations"] = iterations.into();
            Sae::from_json(json.to_string().as_bytes(), None).unwrap()
        };
        let rows = |iterations: usize| rows_of(pursued(&[pursuit(iterations)]), FEW_ROWS + 1);
        assert_eq!((pursued(&[]), pursued(&[pursuit(1)])), (0, 0));
        assert_eq!(pursued(&[pursuit(768), pursuit(1), pursuit(2)]), 768 * 768 * 32768);
        assert_eq!([1, 2, 32, 768].map(rows), [MAX_ROWS, MAX_ROWS, 41, 9]);
    }

    /// Of a model of 100 M numbers and a head of 168 M, at 18 points.
    #[test]
    fn lenses_make_batches_small() {
        let (blocks, head) = (100_000_000, 168_000_000);
        assert_eq!(rows_of(blocks, TILE_ROWS), MAX_ROWS);
        let rows = rows_of(blocks + 18 * head, FEW_ROWS + 1);
        assert_eq!(rows, 10);
        assert!(rows as u64 * (blocks + 18 * head) <= BATCH_WORK);
        assert_eq!(rows_of(blocks + 100 * head, FEW_ROWS + 1), 9);
    }
}
