//! One thread of `write`: several sequences side by side, each followed by the next document when it ends.

use crate::edits::EditTable;
use crate::error::Result;
use crate::exec::cpu::{CpuEngine, TokenInput};
use crate::ops::sampling::{self, philox, Sampling};

/// What to write.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    pub documents: usize,
    /// `seed` is S, from which each document's own seed is derived.
    pub sampling: Sampling,
    /// Most new tokens per document; a full context ends it in any case.
    pub max_tokens: usize,
    /// Document i begins with `prompts[i % prompts.len()]`. Neither the list nor any prompt is empty.
    pub prompts: Vec<Vec<u32>>,
    pub threads: usize,
}

/// A document being written.
struct Writing {
    index: usize,
    ids: Vec<u32>,
    /// Tokens of the prompt.
    prompt: usize,
    /// Tokens that are cached.
    cached: usize,
    /// Which ids occurred.
    seen: Vec<bool>,
    sampling: Sampling,
}

/// The seed of document `index`: words 0 (low) and 1 (high) of Philox4x32-10 with key S and counter (index, index >> 32, 0, 1).
/// Draws of one document have 0 in the last counter word, so the two never meet.
pub fn seed_of(seed: u64, index: u64) -> u64 {
    let [low, high, ..] = philox(seed, [index as u32, (index >> 32) as u32, 0, 1]);
    u64::from(high) << 32 | u64::from(low)
}

/// Writes the documents that `next` names until it names none, and passes each with its ids to `done`. `edits` are of every row. The pair
/// says how many to write side by side, and how many positions each may have.
pub fn write(
    engine: &CpuEngine,
    eos: &[u32],
    (options, edits): (&WriteOptions, &EditTable),
    (sequences, positions): (usize, usize),
    next: &mut dyn FnMut() -> Option<usize>,
    done: &mut dyn FnMut(usize, Vec<u32>),
) -> Result<()> {
    let d_vocab = engine.config().d_vocab;
    let start = |index: usize| {
        let ids = options.prompts[index % options.prompts.len()].clone();
        let mut seen = vec![false; d_vocab];
        ids.iter().for_each(|id| seen[*id as usize] = true);
        Writing {
            index,
            prompt: ids.len(),
            ids,
            cached: 0,
            seen,
            sampling: Sampling {
                seed: seed_of(options.sampling.seed, index as u64),
                ..options.sampling.clone()
            },
        }
    };
    let mut batched = engine.batched(sequences, positions)?;
    let mut slots: Vec<Option<Writing>> = (0..sequences).map(|_| None).collect();
    loop {
        for slot in &mut slots {
            if let Some(ended) = slot.take_if(|slot| slot.ended(eos, options, positions)) {
                done(ended.index, ended.ids);
            }
            while slot.is_none() {
                let Some(index) = next() else { break };
                let new = start(index);
                // A prompt that leaves no room is the whole document.
                if new.ended(eos, options, positions) {
                    done(new.index, new.ids);
                } else {
                    *slot = Some(new);
                }
            }
        }
        let rows: Vec<TokenInput> = slots
            .iter()
            .enumerate()
            .filter_map(|(sequence, slot)| {
                let slot = slot.as_ref()?;
                Some(TokenInput {
                    sequence,
                    id: slot.ids[slot.cached],
                    position: slot.cached,
                })
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let logits = pollster::block_on(engine.step_edited(&mut batched, &rows, edits))?;
        let under_way = slots.iter_mut().flatten();
        for (slot, logits) in under_way.zip(logits.chunks_exact(d_vocab)) {
            slot.cached += 1;
            if slot.cached == slot.ids.len() {
                let id = sampling::draw(logits, &slot.seen, &slot.sampling, slot.ids.len() as u32)?;
                slot.ids.push(id);
                slot.seen[id as usize] = true;
            }
        }
    }
}

impl Writing {
    fn ended(&self, eos: &[u32], options: &WriteOptions, positions: usize) -> bool {
        let new = self.ids.len() - self.prompt;
        let by_eos = new > 0 && self.ids.last().is_some_and(|id| eos.contains(id));
        by_eos || new >= options.max_tokens || self.ids.len() >= positions
    }
}
