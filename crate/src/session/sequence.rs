//! One sequence's cache, and which of its positions may be used again.
//!
//! A cached position is reused only if the ids up to it and the edits in effect at each position up to it are the same.
//! An edit at layer l touches the keys and values of the layers above l only, so edits of the last block do not count.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use crate::edits::{Action, EditTable, Site, EVERY_ROW};
use crate::error::Result;
use crate::exec::backend::{Engine, EngineCache};
use crate::exec::request::{Batch, BatchOutput, Capture, Decode, DecodeRow, Drawn, LogitRows, Resume};
use crate::memory::{append, reserve};
use crate::ops::def::Rows;
use crate::ops::pattern::fitted;
use crate::ops::sampling::Sampling;

/// Idle sequences that are kept for the next call with the same beginning.
const KEPT: usize = 2;

/// A cache, with what it holds.
pub struct Sequence {
    engine: Rc<Engine>,
    cache: EngineCache,
    /// Ids of the cached positions.
    ids: Vec<u32>,
    /// The edits under which they were computed.
    edits: EditTable,
}

impl Sequence {
    /// Positions at the front that a call with these ids and edits may reuse.
    pub fn common(&self, ids: &[u32], edits: &EditTable) -> usize {
        self.ids
            .iter()
            .zip(ids)
            .enumerate()
            .take_while(|(position, (a, b))| {
                a == b && in_effect(&self.edits, *position).eq(in_effect(edits, *position))
            })
            .count()
    }

    /// Forgets what lies at `length` and beyond.
    pub fn truncate(&mut self, length: usize) {
        self.ids.truncate(length);
    }

    /// Cached positions.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Bytes of its keys and values, where they grow with it.
    pub fn bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Makes room for so many positions, where they grow with it.
    pub fn reserve(&mut self, positions: usize) -> Result<()> {
        self.engine.reserve(&mut self.cache, positions)
    }

    /// Takes over the first `length` positions of another sequence of the same engine, where it holds fewer itself and they can be copied.
    pub fn copy_from(&mut self, other: &Sequence, length: usize) -> Result<()> {
        if length > self.len() && self.engine.copy_cache(&other.cache, &mut self.cache, length)? {
            self.ids.clear();
            self.ids.extend_from_slice(&other.ids[..length]);
        }
        Ok(())
    }

    /// The same in a place for steps with others; this one goes back to where it came from. Without a place itself.
    pub fn moved_to(mut self, place: Option<EngineCache>, pool: &Pool) -> Result<Sequence> {
        let Some(mut cache) = place else { return Ok(self) };
        self.engine.fill(&mut cache, &mut self.cache, self.ids.len())?;
        let moved = Sequence {
            engine: self.engine.clone(),
            cache,
            ids: self.ids.clone(),
            edits: self.edits.clone(),
        };
        pool.give_back(self);
        Ok(moved)
    }

    pub fn engine(&self) -> &Rc<Engine> {
        &self.engine
    }

    /// Runs `ids` behind what is cached, in as many batches as it takes.
    pub async fn extend(&mut self, ids: &[u32], captures: &[Capture], logits: LogitRows) -> Result<BatchOutput> {
        let mut output = BatchOutput {
            captured: vec![Vec::new(); captures.len()],
            logits: Vec::new(),
        };
        let (max_rows, end) = (self.engine.rows_with(captures), self.ids.len() + ids.len());
        if ids.len() > max_rows {
            // What is too large is refused at once, and nothing moves as it grows.
            let patterns = output.captured.iter_mut().zip(captures).filter(|(_, capture)| capture.is_pattern());
            for (all, _) in patterns {
                let length = ids.len().saturating_mul(self.engine.config().n_heads).saturating_mul(end);
                reserve(all, length, "attention patterns; ask for fewer positions or hooks at a time")?;
            }
        }
        let mut rest = ids;
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(rest.len().min(max_rows));
            rest = later;
            let logits = match logits {
                LogitRows::Last if !rest.is_empty() => LogitRows::None,
                other => other,
            };
            let start = self.ids.len();
            let batch = Batch {
                ids: chunk,
                start,
                rows: Rows::Sequence,
                edits: &self.edits,
                captures,
                logits,
            };
            let part = self.engine.forward(&mut self.cache, &batch).await?;
            self.ids.extend_from_slice(chunk);
            for ((all, part), capture) in output.captured.iter_mut().zip(part.captured).zip(captures) {
                let part = if capture.is_pattern() { fitted(part, self.ids.len(), end)? } else { part };
                join(all, part)?;
            }
            join(&mut output.logits, part.logits)?;
        }
        Ok(output)
    }

    /// Runs alternatives of the next position (row `r` with the edits of `edits` that name it); nothing is cached.
    pub async fn alternatives(&mut self, ids: &[u32], edits: &EditTable, logits: LogitRows) -> Result<BatchOutput> {
        let start = self.ids.len();
        let batch = Batch {
            ids,
            start,
            rows: Rows::Alternatives,
            edits,
            captures: &[],
            logits,
        };
        self.engine.forward(&mut self.cache, &batch).await
    }

    /// Logits of `token` at the next position, where `id` is fed, if the stream behind block `layers[row]` (ascending) were each of `hidden`
    /// `[rows, d_model]`; nothing is cached. Only where the engine says that it resumes.
    pub async fn resumed(&mut self, id: u32, layers: &[usize], hidden: &[f32], token: u32) -> Result<Vec<f32>> {
        let from = Resume {
            id,
            start: self.ids.len(),
            layers,
            hidden,
            edits: &self.edits,
        };
        self.engine.resumed(&mut self.cache, &from, token).await
    }

    /// Caches `ids` behind what is cached. On the GPU this may still be under way, and fail at the next steps.
    pub async fn prefill(&mut self, ids: &[u32]) -> Result<()> {
        for chunk in ids.chunks(self.engine.max_rows()) {
            let batch = Batch {
                ids: chunk,
                start: self.ids.len(),
                rows: Rows::Sequence,
                edits: &self.edits,
                captures: &[],
                logits: LogitRows::None,
            };
            self.engine.prefill(&mut self.cache, &batch).await?;
            self.ids.extend_from_slice(chunk);
        }
        Ok(())
    }

    /// Draws `decode.steps` tokens, or those that are under way from an earlier call with the same settings; the positions fed are cached.
    /// Also the milliseconds that it took, where that is known.
    pub async fn decode(&mut self, decode: DecodeRequest<'_>) -> Result<(Vec<Drawn>, Option<f64>)> {
        let DecodeRequest {
            ids,
            steps,
            sampling,
            ahead,
            most,
            captures,
            logits,
        } = decode;
        let decode = Decode {
            ids,
            steps,
            sampling,
            edits: &self.edits,
            captures,
            logits,
        };
        let (steps, ms) = self.engine.decode(&mut self.cache, &decode, [ahead, most]).await?;
        if let (Some(fed), Some((_, drawn))) = (ids.last(), steps.split_last()) {
            self.ids.push(*fed);
            self.ids.extend(drawn.iter().map(|step| step.id));
        }
        Ok((steps, ms))
    }
}

/// A sequence in a step that several take together.
pub struct Fed<'a> {
    pub sequence: &'a mut Sequence,
    pub row: DecodeRow<'a>,
}

/// Steps of several sequences of one engine, by sequence, as [`Engine::step_together`] gives them; the tokens fed are cached.
pub async fn step_together(
    engine: &Engine,
    fed: Vec<Fed<'_>>,
    steps: [usize; 3],
) -> Result<(Vec<Vec<Drawn>>, Option<f64>)> {
    let (mut rows, mut caches, mut cached) = (Vec::new(), Vec::new(), Vec::new());
    for Fed { sequence, row } in fed {
        rows.push(row);
        caches.push(&mut sequence.cache);
        cached.push(&mut sequence.ids);
    }
    let (all, ms) = engine.step_together(caches, &rows, steps).await?;
    for ((ids, row), drawn) in cached.into_iter().zip(&rows).zip(&all) {
        let fed = row.ids.last().copied().into_iter().chain(drawn.iter().map(|step| step.id));
        ids.extend(fed.take(drawn.len()));
    }
    Ok((all, ms))
}

/// [`Decode`] without the edits, which are the sequence's.
#[derive(Clone, Copy, Debug)]
pub struct DecodeRequest<'a> {
    pub ids: &'a [u32],
    pub steps: usize,
    /// Steps to have under way behind these, and the most with them.
    pub ahead: usize,
    pub most: usize,
    pub sampling: &'a Sampling,
    pub captures: &'a [Capture],
    pub logits: bool,
}

fn join(all: &mut Vec<f32>, part: Vec<f32>) -> Result<()> {
    if all.capacity() == 0 {
        *all = part;
        return Ok(());
    }
    append(all, &part, "what was asked for; ask for fewer positions or hooks at a time")
}

/// The edits that shape the keys and values of a position.
fn in_effect(edits: &EditTable, position: usize) -> impl Iterator<Item = (usize, u32, Action, u32, Site)> + '_ {
    edits.reaching_the_cache().flat_map(move |layer| {
        edits
            .layer(layer)
            .iter()
            .filter(move |edit| edit.applies(EVERY_ROW as usize, position))
            .map(move |edit| (layer, edit.index, edit.action, edit.value.to_bits(), edit.site))
    })
}

/// Idle sequences of a model.
#[derive(Default)]
pub struct Pool {
    idle: RefCell<Vec<Sequence>>,
    /// Whose sequences are kept: those of weights that were swapped out, or of a disposed model, would keep them alive.
    current: RefCell<Weak<Engine>>,
}

impl Pool {
    /// Frees the idle sequences. From now on those of `engine` are kept; with `None`, those of the engine that the next [`Pool::take`] names.
    pub fn serve(&self, engine: Option<&Rc<Engine>>) {
        self.current.replace(engine.map(Rc::downgrade).unwrap_or_default());
        self.forget();
    }

    /// Frees the idle sequences.
    pub fn forget(&self) {
        let gone = self.idle.take();
        drop(gone);
    }

    /// A sequence for these ids and edits that holds at most `reusable` of its positions already.
    pub fn take(&self, engine: &Rc<Engine>, ids: &[u32], edits: EditTable, reusable: usize) -> Result<Sequence> {
        // A batch on older weights may still begin sequences: they must not become the ones to keep.
        if self.current.borrow().strong_count() == 0 {
            self.current.replace(Rc::downgrade(engine));
        }
        let mut idle = self.idle.borrow_mut();
        let best = idle
            .iter()
            .enumerate()
            .filter(|(_, sequence)| Rc::ptr_eq(&sequence.engine, engine))
            .max_by_key(|(_, sequence)| sequence.common(ids, &edits))
            .map(|(number, _)| number);
        let mut sequence = match best {
            Some(number) => idle.swap_remove(number),
            None => Sequence {
                engine: engine.clone(),
                cache: engine.new_cache()?,
                ids: Vec::new(),
                edits: EditTable::default(),
            },
        };
        let common = sequence.common(ids, &edits).min(reusable);
        sequence.truncate(common);
        sequence.edits = edits;
        Ok(sequence)
    }

    /// Keeps a sequence for later calls, as long as its weights are the current ones.
    pub fn give_back(&self, mut sequence: Sequence) {
        sequence.cache.forget_ahead();
        if sequence.cache.is_slot() {
            return;
        }
        if !std::ptr::eq(self.current.borrow().as_ptr(), Rc::as_ptr(&sequence.engine)) {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        while idle.len() >= KEPT {
            idle.remove(0);
        }
        idle.push(sequence);
    }
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;
    use crate::pace::Cancel;
    use crate::session::{BackendChoice, GenerateOptions, Model};

    #[test]
    fn what_begins_late_on_old_weights_keeps_none_of_them() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/goldens/models/llama-gqa");
        let open = || Model::open_on(folder, BackendChoice::Cpu).unwrap();
        let (model, other) = (open(), open());
        let old = Rc::downgrade(&model.engine().unwrap());
        let options = GenerateOptions { max_tokens: Some(20), ..GenerateOptions::default() };
        // More than run together, and more than one call finishes.
        let all = vec![(vec![1, 2], options); 8 * model.engine().unwrap().rows_together(22)];
        let mut batch = model.generate_batch(&all).unwrap();
        let mut next = || block_on(batch.next(&Cancel::default())).unwrap().len();
        next();
        model.replace_engine(&model.engine().unwrap(), other.engine().unwrap()).unwrap();
        assert_ne!(next(), 0, "all had ended before");
        while next() > 0 {}
        drop(batch);
        assert_eq!(old.strong_count(), 0);
    }

    /// What a batch reads may fail after it was kept as read.
    #[test]
    fn nothing_is_kept_of_a_batch_that_failed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/goldens/models/llama-gqa");
        let model = Model::open_on(folder, BackendChoice::Cpu).unwrap();
        block_on(model.run(&[1, 2, 3], &Default::default(), &Cancel::default())).unwrap();
        assert_eq!(model.pool.idle.borrow().len(), 1);
        let all = vec![(vec![1, 2], GenerateOptions::default()); 2];
        let mut batch = model.generate_batch(&all).unwrap();
        let cancel = Cancel::default();
        cancel.cancel();
        assert!(block_on(batch.next(&cancel)).is_err());
        assert_eq!(model.pool.idle.borrow().len(), 0);
    }
}
