//! `generation_config.json`: a model's own defaults for sampling.

use super::fields::Fields;
use super::Config;
use crate::error::{Code, Result};
use crate::json;

/// What a setting of sampling may be: of a file's here, of a caller's in `ops/sampling.rs`.
#[derive(Clone, Copy)]
pub struct Setting {
    pub name: &'static str,
    fits: fn(f32) -> bool,
    rule: &'static str,
}

pub const TEMPERATURE: Setting = Setting {
    name: "temperature",
    fits: |temperature| temperature.is_finite() && temperature >= 0.0,
    rule: "a finite number of at least 0",
};
pub const TOP_P: Setting = Setting {
    name: "top_p",
    fits: |share| share > 0.0 && share <= 1.0,
    rule: "above 0 and at most 1",
};
pub const REPETITION_PENALTY: Setting = Setting {
    name: "repetition_penalty",
    fits: |penalty| penalty.is_finite() && penalty > 0.0,
    rule: "a finite number above 0",
};

impl Setting {
    /// What is wrong with a value, behind the name; nothing where it fits.
    pub fn fault(&self, value: f32) -> Option<String> {
        (!(self.fits)(value)).then(|| format!("is {value}, but must be {}", self.rule))
    }

    /// What a file says of it.
    fn read(&self, fields: &Fields) -> Result<Option<f32>> {
        let value = fields.number(self.name)?.map(|value| value as f32);
        match value.and_then(|value| self.fault(value)) {
            Some(fault) => fields.refuse(self.name, fault),
            None => Ok(value),
        }
    }
}

/// What `generation_config.json` says; a field it leaves out is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationDefaults {
    /// 0 where `do_sample` is false in so many words: greedy.
    pub temperature: Option<f32>,
    /// 0: no limit.
    pub top_k: Option<usize>,
    /// 1: no limit.
    pub top_p: Option<f32>,
    /// 1: no penalty.
    pub repetition_penalty: Option<f32>,
    /// Wins over the config's where it is `Some`; empty for `null`.
    pub eos_token_ids: Option<Vec<u32>>,
    /// Most new tokens of a generation.
    pub max_new_tokens: Option<usize>,
}

impl GenerationDefaults {
    /// Reads the file; unknown keys are ignored. `d_vocab`: ids beyond it are dropped, they can never be drawn.
    pub fn from_json(bytes: &[u8], d_vocab: usize) -> Result<GenerationDefaults> {
        let map = json::object("generation_config.json", bytes, Code::Config)?;
        let fields = Fields::new("generation_config.json", &map);
        let mut temperature = TEMPERATURE.read(&fields)?;
        if fields.boolean("do_sample")? == Some(false) {
            temperature = Some(0.0);
        }
        Ok(GenerationDefaults {
            temperature,
            top_k: fields.integer("top_k", 0, u32::MAX as usize)?,
            top_p: TOP_P.read(&fields)?,
            repetition_penalty: REPETITION_PENALTY.read(&fields)?,
            eos_token_ids: fields.ids("eos_token_id", d_vocab)?,
            max_new_tokens: fields.integer("max_new_tokens", 1, u32::MAX as usize)?,
        })
    }

    /// The ids that end a text: those of generation_config.json if it names any, otherwise those of config.json.
    pub(crate) fn ends<'a>(&'a self, config: &'a Config) -> &'a [u32] {
        self.eos_token_ids.as_deref().unwrap_or(&config.eos_token_ids)
    }
}
