//! Generation: a stream of steps from one prompt, with its own cache.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::defaults::{max_tokens, SamplingOptions};
use super::groups::StepGroups;
use super::run::{Captures, Swap};
use super::sequence::{DecodeRequest, Pool, Sequence};
use super::stop::StopStrings;
use super::Model;
use crate::config::Config;
use crate::edits::{Edit, EditTable};
use crate::error::{fail, Result};
use crate::exec::request::Drawn;
use crate::hooks::Array;
use crate::numerics::order::{self, Select};
use crate::ops::sample::MAX_STEPS;
use crate::ops::sampling::{self, Sampling};
use crate::pace::Cancel;
use crate::tokenizer::StreamDecoder;

/// How to generate; `None` takes the model's default (`generation_config.json`, else those of `defaults.rs`).
#[derive(Clone, Debug, Default)]
pub struct GenerateOptions {
    pub max_tokens: Option<usize>,
    pub sampling: SamplingOptions,
    /// Random where none is given; [`Generation::seed`] tells which.
    pub seed: Option<u64>,
    pub stop: Vec<String>,
    pub ignore_eos: bool,
    pub edits: Vec<Edit>,
    pub hooks: Vec<String>,
    /// Most likely tokens to report for each step.
    pub top_logprobs: usize,
    /// Whether to report what `topk_in` edits evicted and admitted.
    pub swaps: bool,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// `max_tokens` were drawn.
    Length,
    /// An eos token or a stop string.
    Stop,
    /// The context is full.
    Context,
}

impl Finish {
    /// The name in the public API.
    pub fn name(self) -> &'static str {
        match self {
            Finish::Length => "length",
            Finish::Stop => "stop",
            Finish::Context => "context",
        }
    }
}

/// One new token.
#[derive(Clone, Debug, Default)]
pub struct StepReport {
    /// From 0, new tokens only.
    pub index: usize,
    pub id: u32,
    /// Text that is certain with this token; a character that spans tokens comes with its last one.
    pub text: String,
    /// ln of the model's own probability of the token.
    pub logprob: f32,
    /// Of the position that was fed to draw this token.
    pub hooks: BTreeMap<String, Array>,
    pub swaps: Vec<Swap>,
    /// (id, ln probability), most likely first.
    pub top_logprobs: Vec<(u32, f32)>,
}

/// A few steps, and why it ended if it did.
#[derive(Clone, Debug, Default)]
pub struct Generated {
    pub steps: Vec<StepReport>,
    pub finish: Option<Finish>,
}

/// A generation under way. Dropping it ends it.
pub struct Generation {
    config: Rc<Config>,
    disposed: Rc<Cell<bool>>,
    pool: Rc<Pool>,
    sequence: Option<Sequence>,
    edits: EditTable,
    captures: Captures,
    sampling: Sampling,
    top_logprobs: usize,
    eos: Vec<u32>,
    decoder: Option<StreamDecoder>,
    stop: StopStrings,
    ids: Vec<u32>,
    prompt_length: usize,
    max_tokens: usize,
    groups: Rc<StepGroups>,
    /// Steps of the next group at most: a generation begins with one, so that its first token comes soon, and doubles.
    ramp: usize,
    finish: Option<Finish>,
}

impl Model {
    /// Prepares a generation; nothing is computed before the first [`Generation::next`].
    pub fn generate(&self, ids: &[u32], options: &GenerateOptions) -> Result<Generation> {
        let engine = self.engine()?;
        self.check_ids(ids)?;
        let defaults = self.defaults();
        let seed = match options.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        let sampling = options.sampling.resolve(defaults, seed);
        sampling::check(&sampling)?;
        if !options.stop.is_empty() && !self.has_tokenizer() {
            fail!(
                Argument,
                "stop strings need a tokenizer.json, which this model does not have"
            );
        }
        let edits = EditTable::new(engine.config(), &options.edits, ids.len())?;
        let captures = Captures::new(engine.config(), &options.hooks, &edits, options.swaps)?;
        let sequence = self.pool.take(&engine, ids, edits.clone(), ids.len() - 1)?;
        Ok(Generation {
            config: self.config.clone(),
            disposed: self.disposed.clone(),
            pool: self.pool.clone(),
            sequence: Some(sequence),
            edits,
            captures,
            sampling,
            top_logprobs: options.top_logprobs.min(self.config.d_vocab),
            eos: if options.ignore_eos {
                Vec::new()
            } else {
                self.eos_token_ids().to_vec()
            },
            decoder: self
                .tokenizer
                .as_ref()
                .map(|tokenizer| StreamDecoder::new(tokenizer.clone(), true)),
            stop: StopStrings::new(&options.stop),
            ids: ids.to_vec(),
            prompt_length: ids.len(),
            max_tokens: max_tokens(options.max_tokens, defaults),
            groups: self.groups.clone(),
            ramp: 1,
            finish: None,
        })
    }
}

impl Generation {
    /// The seed in use.
    pub fn seed(&self) -> u64 {
        self.sampling.seed
    }

    /// The next steps: one or a few. After an end (`finish`) there are none. An abort or an error ends the generation.
    pub async fn next(&mut self, cancel: &Cancel) -> Result<Generated> {
        let Some(mut sequence) = self.sequence.take() else {
            return Ok(Generated {
                steps: Vec::new(),
                finish: self.finish,
            });
        };
        if self.disposed.get() {
            fail!(Disposed, "the model was disposed; load it again");
        }
        let mut generated = Generated::default();
        let room = self.config.n_ctx + 1 - self.ids.len();
        let wanted = self.max_tokens - (self.ids.len() - self.prompt_length).min(self.max_tokens);
        if wanted > 0 && room > 0 {
            let last = self.ids.len() - 1;
            if sequence.len() < last {
                cancel
                    .guard(sequence.prefill(&self.ids[sequence.len()..last]))
                    .await?;
            }
            let most = wanted.min(room);
            let group = |ramp: usize| self.groups.size(ramp.min(MAX_STEPS), sequence.engine().group_ms());
            let request = DecodeRequest {
                ids: &self.ids,
                steps: group(self.ramp).min(most),
                ahead: group(2 * self.ramp),
                most,
                sampling: &self.sampling,
                captures: &self.captures.list,
                logits: self.top_logprobs > 0,
            };
            let (steps, ms) = cancel.guard(sequence.decode(request)).await?;
            if let Some(ms) = ms {
                self.groups.took(steps.len(), ms);
            }
            self.ramp = (2 * self.ramp).min(MAX_STEPS);
            if self.disposed.get() {
                fail!(Disposed, "the model was disposed; load it again");
            }
            for step in steps {
                let report = self.report(step)?;
                generated.steps.push(report);
                if self.finish.is_some() {
                    break;
                }
            }
            // Steps drawn beyond the end are cached, but never happened.
            sequence.truncate(self.ids.len() - 1);
        }
        let new = self.ids.len() - self.prompt_length;
        if self.finish.is_none() && new >= self.max_tokens {
            self.finish = Some(Finish::Length);
        } else if self.finish.is_none() && self.ids.len() > self.config.n_ctx {
            self.finish = Some(Finish::Context);
        }
        generated.finish = self.finish;
        if self.finish.is_none() {
            self.sequence = Some(sequence);
        } else {
            self.pool.give_back(sequence);
            self.flush(&mut generated);
        }
        Ok(generated)
    }

    /// Text that was waiting for more goes to the last step.
    fn flush(&mut self, generated: &mut Generated) {
        let rest = self.decoder.as_mut().map(StreamDecoder::flush).unwrap_or_default();
        let (mut text, met) = self.stop.push(&rest);
        if !met {
            text.push_str(&self.stop.flush());
        }
        if let Some(last) = generated.steps.last_mut().filter(|_| !self.ended_by_string()) {
            last.text.push_str(&text);
        }
    }

    fn ended_by_string(&self) -> bool {
        self.finish == Some(Finish::Stop) && !self.ids.last().is_some_and(|id| self.eos.contains(id))
    }

    fn report(&mut self, step: Drawn) -> Result<StepReport> {
        let position = self.ids.len() - 1;
        let mut report = StepReport {
            index: self.ids.len() - self.prompt_length,
            id: step.id,
            logprob: step.logprob,
            hooks: self.captures.step_arrays(position, &step.output.captured),
            swaps: self
                .captures
                .swaps(&self.config, &self.edits, position, &step.output.captured),
            top_logprobs: self.most_likely(&step.output.logits),
            ..StepReport::default()
        };
        self.ids.push(step.id);
        if let Some(decoder) = &mut self.decoder {
            let (text, met) = self.stop.push(&decoder.push(step.id)?);
            report.text = text;
            if met {
                self.finish = Some(Finish::Stop);
            }
        }
        if self.eos.contains(&step.id) {
            self.finish = Some(Finish::Stop);
        }
        Ok(report)
    }

    fn most_likely(&self, logits: &[f32]) -> Vec<(u32, f32)> {
        if self.top_logprobs == 0 {
            return Vec::new();
        }
        let ids = order::topk_indices(logits, self.top_logprobs, Select::Value);
        ids.into_iter().map(|id| (id, sampling::logprob(logits, id))).collect()
    }
}

fn random_seed() -> Result<u64> {
    #[cfg(target_arch = "wasm32")]
    {
        // Two draws of 32 bits: a seed is for reproducing a text, not for secrets.
        let word = || (js_sys::Math::random() * 4_294_967_296.0) as u64;
        Ok(word() << 32 | word())
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        let mut bytes = [0; 8];
        match getrandom::fill(&mut bytes) {
            Ok(()) => Ok(u64::from_le_bytes(bytes)),
            Err(error) => fail!(Io, "the system gave no random seed ({error}); give one with --seed"),
        }
    }
}
