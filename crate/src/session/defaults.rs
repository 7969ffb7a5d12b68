//! What a generation does where its caller says nothing: the one place where that is decided. The model's own `generation_config.json`
//! comes first, then temperature 1, no top-k, top-p 1, no penalty, 64 new tokens.

use crate::config::GenerationDefaults;
use crate::ops::sampling::Sampling;

/// New tokens where neither the caller nor the model names a number.
const MAX_TOKENS: usize = 64;

/// How tokens are drawn; `None` takes the model's default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SamplingOptions {
    /// 0: always the most likely token; 1 where nobody says.
    pub temperature: Option<f32>,
    /// Of so many most likely tokens; 0: no limit, which it is where nobody says.
    pub top_k: Option<usize>,
    /// The most likely tokens whose probabilities reach this sum; 1, all, where nobody says.
    pub top_p: Option<f32>,
    /// Divides the logits above 0 of ids that occurred, and multiplies those below; 1, nothing, where nobody says.
    pub repetition_penalty: Option<f32>,
}

impl SamplingOptions {
    /// At this temperature, else as the model says.
    pub fn at(temperature: f32) -> SamplingOptions {
        SamplingOptions {
            temperature: Some(temperature),
            ..SamplingOptions::default()
        }
    }

    /// With everything decided.
    #[doc(hidden)]
    pub fn resolve(&self, defaults: &GenerationDefaults, seed: u64) -> Sampling {
        Sampling {
            temperature: self.temperature.or(defaults.temperature).unwrap_or(1.0),
            top_k: self.top_k.or(defaults.top_k).unwrap_or(0),
            top_p: self.top_p.or(defaults.top_p).unwrap_or(1.0),
            repetition_penalty: self.repetition_penalty.or(defaults.repetition_penalty).unwrap_or(1.0),
            seed,
        }
    }
}

/// New tokens of a generation.
pub fn max_tokens(asked: Option<usize>, defaults: &GenerationDefaults) -> usize {
    asked.or(defaults.max_new_tokens).unwrap_or(MAX_TOKENS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_comes_before_the_model_and_the_model_before_us() {
        let model = GenerationDefaults {
            temperature: Some(0.7),
            max_new_tokens: Some(20),
            ..GenerationDefaults::default()
        };
        let asked = SamplingOptions {
            top_k: Some(5),
            ..SamplingOptions::default()
        };
        let sampling = asked.resolve(&model, 3);
        assert_eq!(
            (sampling.temperature, sampling.top_k, sampling.top_p, sampling.seed),
            (0.7, 5, 1.0, 3)
        );
        assert_eq!((max_tokens(Some(7), &model), max_tokens(None, &model)), (7, 20));
        assert_eq!(max_tokens(None, &GenerationDefaults::default()), MAX_TOKENS);
    }
}
