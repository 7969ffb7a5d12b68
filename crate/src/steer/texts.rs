//! Texts that the model writes with edits and without, and how much they surprise the judge.

use super::TEXTS;
use crate::edits::EditTable;
use crate::error::{fail, Result};
use crate::exec::cpu::CpuEngine;
use crate::exec::request::{Batch, LogitRows};
use crate::features::threads::in_threads;
use crate::offline::write::{self, WriteOptions};
use crate::offline::OfflineModel;
use crate::ops::sampling::{logprob, Sampling};
use crate::tokenizer::Tokenizer;

/// New tokens of a text, and how they are drawn.
pub const TOKENS: usize = 60;
pub const TEMPERATURE: f32 = 0.8;
/// A text loops if some tokens, at most so many, come three times in a row.
const LOOP: usize = 8;

/// Model, judge and prompts.
pub struct Bench<'a> {
    pub model: &'a OfflineModel,
    pub judge: &'a OfflineModel,
    pub tokenizer: &'a Tokenizer,
    pub prompts: Vec<Vec<u32>>,
    pub threads: usize,
}

/// Texts of one seed: two sets of it have the same prompts and the same random numbers, text by text.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// What is new of each.
    pub texts: Vec<String>,
    /// With the prompt.
    pub whole: Vec<String>,
    /// −ln p of a new token under the judge, mean over all of them.
    pub surprise: f64,
    /// How many go round in circles.
    pub loops: usize,
}

impl Bench<'_> {
    /// The judge reads the same tokens, and has room for the texts.
    pub fn check(&self, of_prompts: &str) -> Result<()> {
        let (model, judge) = (&self.model.config, &self.judge.config);
        let known = |id: u32| {
            self.judge
                .tokenizer
                .as_ref()
                .and_then(|tokenizer| tokenizer.id_to_token(id))
        };
        let same = |id: u32| self.tokenizer.id_to_token(id) == known(id);
        if model.d_vocab != judge.d_vocab || !(0..model.d_vocab as u32).all(same) {
            fail!(
                Argument,
                "--judge has other tokens than the model; give a model with the same tokenizer.json"
            );
        }
        let longest = self.prompts.iter().map(Vec::len).max().unwrap_or(0);
        if longest >= model.n_ctx.min(judge.n_ctx) {
            fail!(
                Context,
                "{of_prompts}: a prompt has {longest} tokens, which leaves no room in a context of {}",
                model.n_ctx.min(judge.n_ctx)
            );
        }
        Ok(())
    }

    /// The model's own continuations, never ended, `length` tokens with the prompt, of which a long one leaves its last tokens: half of them
    /// at least are the model's.
    pub fn contexts(&self, length: usize) -> Result<Vec<Vec<u32>>> {
        let bos = self.model.config.bos_token_id;
        let ends: Vec<Vec<u32>> = self
            .prompts
            .iter()
            .map(|prompt| end_of(prompt, length / 2, bos))
            .collect();
        let plain = EditTable::none(self.model.config.n_layers);
        let mut contexts = self.documents(&ends, 0, TEXTS, length, &[], &plain)?;
        contexts.iter_mut().for_each(|context| context.truncate(length));
        Ok(contexts)
    }

    /// At least `count` texts.
    pub fn write(&self, seed: u64, count: usize, edits: &EditTable) -> Result<Texts> {
        let eos = self.model.eos_token_ids();
        let mut documents = self.documents(&self.prompts, seed, count, TOKENS, eos, edits)?;
        let (judge, prompts) = (&self.judge.engine, self.prompts.iter().cycle());
        let lengths: Vec<usize> = documents.iter().zip(prompts).map(|(_, prompt)| prompt.len()).collect();
        let mut texts = Texts::default();
        for (number, document) in documents.iter_mut().enumerate() {
            if document.len() > lengths[number] {
                document.pop_if(|id| eos.contains(id));
            }
            document.truncate(self.judge.config.n_ctx);
            let new = &document[lengths[number]..];
            texts.texts.push(self.tokenizer.decode(new, true)?);
            texts.whole.push(self.tokenizer.decode(document, true)?);
            texts.loops += usize::from(loops(new));
        }
        let nats = in_threads(
            self.threads,
            documents.len(),
            || Ok(()),
            |(), number| nats(judge, &documents[number], lengths[number]),
            |_| {},
        )?;
        let new: usize = documents
            .iter()
            .zip(&lengths)
            .map(|(ids, prompt)| ids.len() - prompt)
            .sum();
        texts.surprise = nats.iter().sum::<f64>() / new.max(1) as f64;
        Ok(texts)
    }

    /// The same number of texts of each prompt.
    fn documents(
        &self,
        prompts: &[Vec<u32>],
        seed: u64,
        count: usize,
        tokens: usize,
        eos: &[u32],
        edits: &EditTable,
    ) -> Result<Vec<Vec<u32>>> {
        let options = WriteOptions {
            documents: count.div_ceil(prompts.len()) * prompts.len(),
            sampling: Sampling {
                temperature: TEMPERATURE,
                top_k: 0,
                top_p: 1.0,
                repetition_penalty: 1.0,
                seed,
            },
            max_tokens: tokens,
            prompts: prompts.to_vec(),
            threads: self.threads,
        };
        write::texts(&self.model.engine, eos, &options, edits)
    }
}

/// At most `most` tokens: the last ones, after a BOS that the prompt begins with.
fn end_of(prompt: &[u32], most: usize, bos: Option<u32>) -> Vec<u32> {
    let begins = bos.is_some() && prompt.first().copied() == bos;
    let (front, rest) = prompt.split_at(usize::from(begins));
    let from = rest.len().saturating_sub(most - front.len());
    [front, &rest[from..]].concat()
}

/// −ln p of what is behind the prompt, under the judge.
fn nats(engine: &CpuEngine, ids: &[u32], prompt: usize) -> Result<f64> {
    let edits = EditTable::none(engine.config().n_layers);
    let batch = Batch::text(ids, &edits, LogitRows::All);
    let output = pollster::block_on(engine.forward(&mut engine.new_cache(), &batch))?;
    let rows = output.logits.chunks_exact(engine.config().d_vocab).zip(&ids[1..]);
    let new = rows.skip(prompt - 1);
    Ok(new.map(|(logits, next)| -f64::from(logprob(logits, *next))).sum())
}

/// Whether some tokens come three times in a row.
fn loops(ids: &[u32]) -> bool {
    let thrice = |length: usize, ids: &[u32]| ids[..2 * length] == ids[length..];
    (1..=LOOP).any(|length| ids.windows(3 * length).any(|ids| thrice(length, ids)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_prompt_leaves_its_end() {
        let prompt: Vec<u32> = (0..9).collect();
        assert_eq!(end_of(&prompt, 4, Some(0)), [0, 6, 7, 8]);
        assert_eq!(end_of(&prompt, 4, None), [5, 6, 7, 8]);
        assert_eq!(end_of(&prompt, 9, Some(0)), prompt);
        assert_eq!(end_of(&prompt[..2], 4, Some(7)), [0, 1]);
    }

    #[test]
    fn three_times_in_a_row_is_a_loop() {
        assert!(loops(&[9, 1, 2, 3, 1, 2, 3, 1, 2, 3, 8]));
        assert!(loops(&[7, 7, 7]));
        assert!(!loops(&[1, 2, 3, 4, 9, 1, 2, 3, 4, 8, 8, 1, 2, 3, 4]));
        assert!(!loops(&[]));
    }
}
