//! The text of one generation: what is drawn by, what each step reports, and where it ends. It knows nothing of caches and devices.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::defaults::{max_tokens, SamplingOptions};
use super::run::{Captures, Swap};
use super::stop::StopStrings;
use super::Model;
use crate::config::Config;
use crate::edits::{Edit, EditTable};
use crate::error::{fail, Result};
use crate::exec::backend::Engine;
use crate::exec::request::Drawn;
use crate::hooks::Array;
use crate::numerics::order::{self, Select};
use crate::ops::sampling::{self, Sampling};
use crate::tokenizer::StreamDecoder;

/// How to generate; `None` takes the model's default: that of its `generation_config.json`, else what is said here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerateOptions {
    /// New tokens at most; 64.
    pub max_tokens: Option<usize>,
    /// How tokens are drawn.
    pub sampling: SamplingOptions,
    /// Random where none is given; [`Generation::seed`](super::Generation::seed) tells which.
    pub seed: Option<u64>,
    /// Texts that end it; they are left out of the steps' texts, and empty ones are ignored.
    pub stop: Vec<String>,
    /// Whether it goes on behind an end token.
    pub ignore_eos: bool,
    /// In the order in which they apply.
    pub edits: Vec<Edit>,
    /// What each step reports of the position that it feeds; names as in [`RunOptions::hooks`](super::RunOptions::hooks).
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepReport {
    /// From 0, new tokens only.
    pub index: usize,
    /// The token.
    pub id: u32,
    /// Text that is certain with this token; a character that spans tokens comes with its last one.
    pub text: String,
    /// ln of the model's own probability of the token.
    pub logprob: f32,
    /// Of the position that was fed to draw this token.
    pub hooks: BTreeMap<String, Array>,
    /// At the same position, where [`GenerateOptions::swaps`] asks for them.
    pub swaps: Vec<Swap>,
    /// (id, ln probability), most likely first.
    pub top_logprobs: Vec<(u32, f32)>,
}

/// A few steps, and why it ended if it did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Generated {
    /// In the order in which they were drawn.
    pub steps: Vec<StepReport>,
    /// `None` while it goes on.
    pub finish: Option<Finish>,
}

/// A prompt and what was written behind it.
pub struct Text {
    config: Rc<Config>,
    pub edits: EditTable,
    pub captures: Captures,
    pub sampling: Sampling,
    top_logprobs: usize,
    eos: Vec<u32>,
    decoder: Option<StreamDecoder>,
    stop: StopStrings,
    /// Prompt and new tokens.
    pub ids: Vec<u32>,
    prompt_length: usize,
    max_tokens: usize,
    pub finish: Option<Finish>,
}

impl Text {
    /// Checks everything that can be checked before anything is computed.
    pub fn new(model: &Model, engine: &Engine, ids: &[u32], options: &GenerateOptions) -> Result<Text> {
        model.check_ids(ids)?;
        let defaults = model.defaults();
        let seed = match options.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        let sampling = options.sampling.resolve(defaults, seed);
        sampling::check(&sampling)?;
        if !options.stop.is_empty() && !model.has_tokenizer() {
            fail!(
                Argument,
                "stop strings need a tokenizer.json, which this model does not have"
            );
        }
        let edits = EditTable::new(engine.config(), &options.edits, ids.len())?;
        let captures = Captures::new(engine.config(), &options.hooks, &edits, options.swaps)?;
        let mut eos = if options.ignore_eos {
            Vec::new()
        } else {
            model.eos_token_ids().to_vec()
        };
        // Special tokens leave no text in which a stop string could be found.
        if let Some(tokenizer) = &model.tokenizer {
            eos.extend(options.stop.iter().filter_map(|stop| tokenizer.special_id(stop)));
        }
        Ok(Text {
            config: model.config.clone(),
            edits,
            captures,
            sampling,
            top_logprobs: options.top_logprobs.min(model.config.d_vocab),
            eos,
            decoder: model
                .tokenizer
                .as_ref()
                .map(|tokenizer| StreamDecoder::after(tokenizer.clone(), true, ids))
                .transpose()?,
            stop: StopStrings::new(&options.stop),
            ids: ids.to_vec(),
            prompt_length: ids.len(),
            max_tokens: max_tokens(options.max_tokens, defaults),
            finish: None,
        })
    }

    /// Tokens that may still come.
    pub fn most(&self) -> usize {
        let room = self.config.n_ctx + 1 - self.ids.len();
        room.min(self.max_tokens - (self.ids.len() - self.prompt_length).min(self.max_tokens))
    }

    /// Whether a report needs the logits of its step.
    pub fn wants_logits(&self) -> bool {
        self.top_logprobs > 0
    }

    /// Behind the steps of a call: whether all have come, and if it ended, why and with which text.
    pub fn end(&mut self, generated: &mut Generated) {
        let new = self.ids.len() - self.prompt_length;
        if self.finish.is_none() && new >= self.max_tokens {
            self.finish = Some(Finish::Length);
        } else if self.finish.is_none() && self.ids.len() > self.config.n_ctx {
            self.finish = Some(Finish::Context);
        }
        generated.finish = self.finish;
        if self.finish.is_some() {
            self.flush(generated);
        }
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

    /// Takes a token in.
    pub fn report(&mut self, step: Drawn) -> Result<StepReport> {
        let position = self.ids.len() - 1;
        let mut report = StepReport {
            index: self.ids.len() - self.prompt_length,
            id: step.id,
            logprob: step.logprob,
            swaps: self
                .captures
                .swaps(&self.config, &self.edits, position, &step.output.captured),
            hooks: self.captures.step_arrays(position, step.output.captured),
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
        let logprob = sampling::logprobs(logits);
        ids.into_iter().map(|id| (id, logprob(id))).collect()
    }
}

/// Of 53 bits, which JavaScript and others that read numbers as doubles give back as they are.
fn random_seed() -> Result<u64> {
    Ok(random_bits()? >> 11)
}

fn random_bits() -> Result<u64> {
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
