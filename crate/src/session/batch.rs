//! Several generations side by side: each decode step does all of them, what their prompts share is computed once, and those that have ended
//! leave. Each gets what it would get alone, bit for bit, since no kernel lets a row depend on its neighbors. On the GPU a few steps of all go
//! into one submit. Where a device has no room for that, the generations run one after another.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::rc::Rc;

use super::generate::{check_disposed, under_way, Generation};
use super::groups::StepGroups;
use super::sequence::{step_together, Fed, Pool, Sequence};
use super::text::{GenerateOptions, Generated, Text};
use super::Model;
use crate::error::{Code, Result};
use crate::exec::backend::Engine;
use crate::exec::request::DecodeRow;
use crate::ops::sample::MAX_STEPS;
use crate::pace::{now_ms, Cancel};

/// Memory for the keys and values of the generations that run at a time; the others wait until one ends.
const CACHE_BYTES: usize = 256 << 20;

/// Generations under way together. Dropping it ends them, and so does dropping their model.
pub struct GenerationBatch {
    engine: Rc<Engine>,
    disposed: Rc<Cell<bool>>,
    pool: Rc<Pool>,
    /// Those of generations that run alone, and of steps together.
    groups: [Rc<StepGroups>; 2],
    seeds: Vec<u64>,
    /// How many may run at a time.
    rows: usize,
    /// `None` while a call has it, and behind one that ended them all.
    state: Option<State>,
}

/// By number of the generation.
#[derive(Default)]
struct State {
    waiting: VecDeque<(usize, Text)>,
    running: Vec<Running>,
    /// Where they run one after another.
    alone: Option<(usize, Generation)>,
}

/// One of those that run.
struct Running {
    number: usize,
    text: Text,
    sequence: Sequence,
    /// Which ids occurred, `[d_vocab]`.
    seen: Vec<bool>,
}

impl Model {
    /// Prepares several generations, each of a prompt and its own options, that run together; nothing is computed before the first
    /// [`GenerationBatch::next`].
    pub fn generate_batch(&self, all: &[(Vec<u32>, GenerateOptions)]) -> Result<GenerationBatch> {
        let engine = self.engine()?;
        let texts = all.iter().enumerate().map(|(number, (ids, options))| {
            let text = Text::new(self, &engine, ids, options);
            text.map_err(|error| error.at(format_args!("generation {number}")))
        });
        let texts: Vec<Text> = texts.collect::<Result<_>>()?;
        let positions = texts.iter().map(positions).max().unwrap_or(0);
        Ok(GenerationBatch {
            disposed: self.disposed.clone(),
            pool: self.pool.clone(),
            groups: [self.groups.clone(), Rc::default()],
            rows: engine.rows_together(positions).min(texts.len()),
            engine,
            seeds: texts.iter().map(|text| text.sampling.seed).collect(),
            state: Some(State {
                waiting: texts.into_iter().enumerate().collect(),
                ..State::default()
            }),
        })
    }
}

impl GenerationBatch {
    /// The seeds in use, by number.
    pub fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// The next steps of some generations, by number; nothing once all have ended.
    ///
    /// # Errors
    /// An abort or an error ends them all, and so does dropping the future before it is ready: what comes then is `aborted`.
    pub async fn next(&mut self, cancel: &Cancel) -> Result<Vec<(usize, Generated)>> {
        let mut state = under_way(self.state.take())?;
        let made = if self.rows > 1 {
            self.together(&mut state, cancel).await
        } else {
            self.one_by_one(&mut state, cancel).await
        };
        // An error may be of prompts that are kept as read.
        let made = made.inspect_err(|_| self.pool.forget())?;
        self.state = Some(state);
        Ok(made)
    }

    /// Steps for as long as a call should take.
    async fn together(&self, state: &mut State, cancel: &Cancel) -> Result<Vec<(usize, Generated)>> {
        let mut made: BTreeMap<usize, Generated> = BTreeMap::new();
        let started = now_ms();
        loop {
            check_disposed(&self.disposed)?;
            self.admit(state, &mut made, cancel).await?;
            if state.running.is_empty() {
                break;
            }
            let most = state.running.iter().map(|one| one.text.most()).min().unwrap_or(1);
            let group = self.groups[1].size(MAX_STEPS, self.engine.group_ms());
            let fed = state.running.iter_mut().map(|one| Fed {
                sequence: &mut one.sequence,
                row: DecodeRow {
                    ids: &one.text.ids,
                    seen: &one.seen,
                    sampling: &one.text.sampling,
                    edits: &one.text.edits,
                    captures: &one.text.captures.list,
                    logits: one.text.wants_logits(),
                },
            });
            let steps = [group.min(most), group, most];
            let (all, ms) = cancel.guard(step_together(&self.engine, fed.collect(), steps)).await?;
            if let Some(ms) = ms {
                self.groups[1].took(all.iter().map(Vec::len).max().unwrap_or(1), ms);
            }
            for (one, drawn) in state.running.iter_mut().zip(all).filter(|(_, drawn)| !drawn.is_empty()) {
                let generated = made.entry(one.number).or_default();
                for drawn in drawn {
                    if let Some(seen) = one.seen.get_mut(drawn.id as usize) {
                        *seen = true;
                    }
                    generated.steps.push(one.text.report(drawn)?);
                    if one.text.finish.is_some() {
                        break;
                    }
                }
                one.text.end(generated);
            }
            for ended in state.running.extract_if(.., |one| one.text.finish.is_some()) {
                self.pool.give_back(ended.sequence);
            }
            if now_ms() - started >= self.engine.group_ms() {
                break;
            }
        }
        Ok(made.into_iter().collect())
    }

    /// Begins those that wait, as far as there is room.
    async fn admit(&self, state: &mut State, made: &mut BTreeMap<usize, Generated>, cancel: &Cancel) -> Result<()> {
        while let Some((number, mut text)) = state.waiting.pop_front() {
            if text.most() == 0 {
                text.end(made.entry(number).or_default());
                continue;
            }
            let positions = positions(&text);
            let taken: usize = state.running.iter().map(|one| one.sequence.bytes()).sum();
            let fits = taken + self.engine.cache_bytes(positions) <= CACHE_BYTES && state.running.len() < self.rows;
            if !fits && !state.running.is_empty() {
                state.waiting.push_front((number, text));
                break;
            }
            let begun = cancel.guard(self.begin(&state.running, &text, positions)).await;
            let sequence = match begun {
                // Those that run will make room.
                Err(error) if error.code() == Code::OutOfMemory && !state.running.is_empty() => {
                    state.waiting.push_front((number, text));
                    break;
                }
                begun => begun?,
            };
            let mut seen = vec![false; self.engine.config().d_vocab];
            for id in &text.ids {
                seen[*id as usize] = true;
            }
            state.running.push(Running {
                number,
                text,
                sequence,
                seen,
            });
        }
        Ok(())
    }

    /// A sequence with room for `positions` that has cached the prompt but for its last token: what another one has of it is copied.
    async fn begin(&self, running: &[Running], text: &Text, positions: usize) -> Result<Sequence> {
        let last = text.ids.len() - 1;
        let place = self.engine.slot(positions).await?;
        let mut sequence = self.pool.take(&self.engine, &text.ids, text.edits.clone(), last)?;
        sequence.reserve(positions)?;
        let shared = |one: &Running| one.sequence.common(&text.ids, &text.edits).min(last);
        if let Some(one) = running.iter().max_by_key(|one| shared(one)) {
            sequence.copy_from(&one.sequence, shared(one))?;
        }
        if sequence.len() < last {
            sequence.prefill(&text.ids[sequence.len()..last]).await?;
        }
        sequence.moved_to(place, &self.pool)
    }

    /// The steps of the one that runs, or of the next.
    async fn one_by_one(&self, state: &mut State, cancel: &Cancel) -> Result<Vec<(usize, Generated)>> {
        if state.alone.is_none() {
            let Some((number, text)) = state.waiting.pop_front() else {
                return Ok(Vec::new());
            };
            check_disposed(&self.disposed)?;
            let last = text.ids.len() - 1;
            let sequence = self.pool.take(&self.engine, &text.ids, text.edits.clone(), last)?;
            let shared = (self.disposed.clone(), self.pool.clone(), self.groups[0].clone());
            state.alone = Some((number, Generation::of(shared.0, shared.1, shared.2, sequence, text)));
        }
        let Some((number, generation)) = &mut state.alone else {
            return Ok(Vec::new());
        };
        let made = vec![(*number, generation.next(cancel).await?)];
        if made[0].1.finish.is_some() {
            state.alone = None;
        }
        Ok(made)
    }
}

impl fmt::Debug for GenerationBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenerationBatch").field("seeds", &self.seeds).finish_non_exhaustive()
    }
}

/// That a generation feeds at most.
fn positions(text: &Text) -> usize {
    text.ids.len() - 1 + text.most()
}
