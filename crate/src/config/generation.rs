//! `generation_config.json`: a model's own defaults for sampling.

use super::fields::{parse_object, Fields};
use crate::error::Result;

/// What `generation_config.json` says; a field it leaves out is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationDefaults {
    /// 0 where `do_sample` is false in so many words: greedy.
    pub temperature: Option<f32>,
    /// 0: no limit.
    pub top_k: Option<usize>,
    pub top_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
    /// Wins over the config's where it is `Some`; empty for `null`.
    pub eos_token_ids: Option<Vec<u32>>,
    pub max_new_tokens: Option<usize>,
}

impl GenerationDefaults {
    /// Reads the file; unknown keys are ignored. `d_vocab`: ids beyond it are dropped, they can never be drawn.
    pub fn from_json(bytes: &[u8], d_vocab: usize) -> Result<GenerationDefaults> {
        let map = parse_object("generation_config.json", bytes)?;
        let fields = Fields::new("generation_config.json", &map);
        let mut temperature = fields.number("temperature")?;
        if let Some(t) = temperature.filter(|t| *t < 0.0) {
            return fields.refuse("temperature", format!("must be 0 or more, not {t}"));
        }
        if fields.boolean("do_sample")? == Some(false) {
            temperature = Some(0.0);
        }
        let top_p = fields.number("top_p")?;
        if let Some(p) = top_p.filter(|p| !(0.0..=1.0).contains(p)) {
            return fields.refuse("top_p", format!("must be from 0 to 1, not {p}"));
        }
        Ok(GenerationDefaults {
            temperature: temperature.map(|t| t as f32),
            top_k: fields.integer("top_k", 0, u32::MAX as usize)?,
            top_p: top_p.map(|p| p as f32),
            repetition_penalty: fields.positive("repetition_penalty")?.map(|p| p as f32),
            eos_token_ids: fields.ids("eos_token_id", d_vocab)?,
            max_new_tokens: fields.integer("max_new_tokens", 1, u32::MAX as usize)?,
        })
    }
}
