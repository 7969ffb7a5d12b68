//! A recipe as docs/files.md describes it, and the list of them that the site reads.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::texts::{Texts, TEMPERATURE, TOKENS};
use super::{strength, Concept, Prompt, SteerOptions, SCORING_SEED};
use crate::edits::Edit;
use crate::error::{fail, Code, Error, Result};
use crate::features::READS;
use crate::offline::files;

/// Largest list that is read.
const MOST_BYTES: u64 = 64 << 20;

/// Edits towards a concept, and what they do.
#[derive(Clone, Debug, Serialize)]
pub struct Recipe {
    pub concept: String,
    pub words: Vec<String>,
    pub edits: Vec<Edit>,
    /// Words of the concept per text, without and with the edits.
    pub base_rate: f64,
    pub steered_rate: f64,
    /// Share of the texts with at least two.
    pub success: f64,
    /// Surprise of the texts under the judge, over that of the unedited ones.
    pub nll_ratio: f64,
    /// Whether they stay readable.
    pub gentle: bool,
    pub judge: String,
    pub tokens: usize,
    /// How many texts with the edits, as many of each prompt, and how they were drawn: the words of no other sampling count.
    pub texts: usize,
    pub temperature: f64,
    pub seed: u64,
    pub prompts: Vec<String>,
}

/// From texts without the edits and with them.
pub(super) fn of(
    concept: &Concept,
    edits: Vec<Edit>,
    (plain, steered): (&Texts, &Texts),
    options: &SteerOptions,
    prompts: &[Prompt],
) -> Recipe {
    let counts = |side: &Texts| -> Vec<usize> { side.texts.iter().map(|text| concept.count(text)).collect() };
    let mean = |counts: &[usize]| thousandths(counts.iter().sum::<usize>() as f64 / counts.len().max(1) as f64);
    let of_steered = counts(steered);
    let two = of_steered.iter().filter(|count| **count >= 2).count();
    let ratio = steered.surprise / plain.surprise;
    Recipe {
        concept: concept.name.clone(),
        words: concept.words.clone(),
        edits,
        base_rate: mean(&counts(plain)),
        steered_rate: mean(&of_steered),
        success: thousandths(two as f64 / of_steered.len().max(1) as f64),
        nll_ratio: thousandths(ratio),
        gentle: ratio <= READS && strength::reads(plain, steered),
        judge: files::name_of(options.judge.as_deref().unwrap_or(&options.model)),
        tokens: TOKENS,
        texts: of_steered.len(),
        temperature: thousandths(TEMPERATURE.into()),
        seed: SCORING_SEED,
        prompts: prompts.iter().map(|prompt| prompt.text.clone()).collect(),
    }
}

fn thousandths(x: f64) -> f64 {
    (1e3 * x).round() / 1e3
}

/// The list of `file`, if it exists and is no pipe or device, with recipes added: each in the place of those of the same concept. As text.
pub fn into_list(file: Option<&Path>, recipes: &[Recipe]) -> Result<String> {
    let json = |error: serde_json::Error| Error::new(Code::Io, format!("recipes: {error}"));
    let mut list: Vec<Value> = match file.filter(|file| file.is_file() || file.is_dir()) {
        None => Vec::new(),
        Some(file) => match serde_json::from_slice(&files::read_whole(file, MOST_BYTES)?) {
            Ok(Value::Array(list)) => list,
            _ => fail!(
                Io,
                "{} is not a JSON list of recipes; choose another --out",
                file.display()
            ),
        },
    };
    for recipe in recipes {
        let same = |entry: &Value| entry["concept"] == recipe.concept.as_str();
        let at = list.iter().position(same).unwrap_or(list.len());
        list.retain(|entry| !same(entry));
        list.insert(at, serde_json::to_value(recipe).map_err(json)?);
    }
    let lines: Vec<String> = list.iter().map(|entry| format!("  {entry}")).collect();
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}
