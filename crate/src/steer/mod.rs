//! Steering towards a concept by a short signed list of neurons, as plain edits: `topk-lm steer`. Twin: training/claims/sets.py.
//!
//! 1. The model continues prompts: contexts of [`effect::LENGTH`] tokens.
//! 2. [`Effect`]: how the next token's distribution there depends on each neuron behind one block (a Jacobian by finite differences), and what
//!    a change costs (the Fisher matrix: the divergence of a small change d is dᵀFd/2).
//! 3. [`choice`]: neuron after neuron is taken that adds most to the log-probability of the concept's words for what it costs.
//! 4. [`strength`]: texts are written with more and more of it, up to the surprise that is allowed.
//! 5. [`Recipe`]: the edits, with what they do to fresh texts.
//!
//! docs/guides/researcher.md has an example, docs/files.md the file. Native only.

pub mod choice;
mod concept;
pub mod effect;
mod recipe;
mod strength;
mod texts;

use std::path::PathBuf;

pub use concept::Concept;
pub use effect::Effect;
pub use recipe::{into_list, Recipe};

use crate::checkpoint::FolderSource;
use crate::config::Config;
use crate::edits::{Edit, EditTable};
use crate::error::{fail, Result};
use crate::features::threads::in_threads;
use crate::offline::{documents, OfflineModel, Progress};
use crate::tokenizer::Tokenizer;
use choice::Choice;
use texts::{Bench, Texts};

/// Most neurons of a list.
pub const MOST: usize = 64;
/// Sizes that a curve shows.
const CURVE: [usize; 6] = [1, 2, 4, 8, 16, 32];
/// Most prompts: each is continued several times, and looked at once for each neuron.
const MOST_PROMPTS: usize = 64;
/// At least so many contexts, and texts for a strength; twice as many for the figures. A multiple of the number of prompts.
const TEXTS: usize = 24;

/// Openings of stories, for models that are given no others: the choosing prompts of training/claims/concepts.toml.
const OPENINGS: [&str; 12] = [
    "Once upon a time, there was a",
    "One day, a boy named Leo was",
    "The old woman looked up and",
    "Every morning, Ella liked to",
    "It was a quiet day. Everyone",
    "Nora could not believe what she saw. There",
    "In a far away land there lived a",
    "\"What is that?\" asked Finn.",
    "Two friends went for a walk. They",
    "After lunch, the children wanted to",
    "There was once something very special about",
    "Maya thought about it for a long time. Then she",
];

/// Seeds of the texts that choose the strength, and of those by which the list is then scored.
const CHOOSING_SEED: u64 = 1;
const SCORING_SEED: u64 = 2;

/// What to look for, and how.
#[derive(Clone, Debug)]
pub struct SteerOptions {
    pub model: PathBuf,
    pub concepts: Vec<Concept>,
    /// Neurons of a list.
    pub size: usize,
    /// The block behind which they are; default: [`default_layer`].
    pub layer: Option<usize>,
    /// Texts, and a file of them as [`documents::read`] takes it; where there are none, [`OPENINGS`].
    pub prompts: Vec<String>,
    pub prompts_file: Option<PathBuf>,
    /// Surprise of the texts at most, as a multiple of the unedited texts'.
    pub surprise: f64,
    /// The model that is surprised; default: the model itself, unedited.
    pub judge: Option<PathBuf>,
    /// Also lists of other sizes.
    pub curve: bool,
    pub threads: usize,
}

/// A concept's recipe, and what a reader wants to see beside it.
#[derive(Clone, Debug)]
pub struct Found {
    pub recipe: Recipe,
    /// The same prompt and seed, without and with the edits.
    pub samples: [String; 2],
    /// Words that are no token: counted, but not steered by.
    pub only_counted: Vec<String>,
    /// Recipes of other sizes, ascending; the one above among them.
    pub curve: Vec<Recipe>,
}

/// A prompt, and its tokens.
struct Prompt {
    text: String,
    ids: Vec<u32>,
}

/// Finds a recipe for each concept.
pub fn steer(options: &SteerOptions) -> Result<Vec<Found>> {
    if !(options.surprise.is_finite() && options.surprise > 1.0) {
        fail!(
            Argument,
            "--surprise is {}, but must be above 1: a multiple of the surprise of unedited texts",
            options.surprise
        );
    }
    let model = OfflineModel::load(FolderSource::new(&options.model)?, "")?;
    let Some(tokenizer) = model.tokenizer.as_deref() else {
        fail!(
            Tokenizer,
            "{} has no tokenizer.json, but --words are text",
            options.model.display()
        );
    };
    let config = &model.config;
    let layer = layer_of(config, options)?;
    let prompts = prompts(options, config, tokenizer)?;
    let concepts = tokens_of(&options.concepts, tokenizer)?;
    let judge = match &options.judge {
        Some(folder) => Some(OfflineModel::load(FolderSource::new(folder)?, "")?),
        None => None,
    };
    let bench = Bench {
        model: &model,
        judge: judge.as_ref().unwrap_or(&model),
        tokenizer,
        prompts: prompts.iter().map(|prompt| prompt.ids.clone()).collect(),
        threads: options.threads,
    };
    bench.check(of_prompts(options))?;

    let contexts = bench.contexts(effect::LENGTH)?;
    let mut all: Vec<u32> = concepts.iter().flat_map(|(tokens, _)| tokens.clone()).collect();
    all.sort_unstable();
    all.dedup();
    let progress = std::sync::Mutex::new(Progress::new("neurons"));
    let show = |done: usize, total: usize| {
        if let Ok(mut progress) = progress.lock() {
            progress.show(done as u64, total as u64, " in all contexts");
        }
    };
    let effect = Effect::measure(&model.engine, &contexts, layer, &all, options.threads, &show)?;
    drop(progress);

    let sizes: Vec<usize> = if options.curve {
        let mut sizes: Vec<usize> = CURVE.into_iter().chain([options.size]).collect();
        sizes.retain(|size| *size <= config.d_model);
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    } else {
        vec![options.size]
    };
    let most = sizes.last().copied().unwrap_or(options.size);
    let lists = in_threads(
        options.threads,
        concepts.len(),
        || Ok(()),
        |(), number| match effect.gain(&concepts[number].0) {
            Some(gain) => Ok(choice::greedy(
                effect.diagonal(),
                &|index| effect.column(index),
                &gain,
                most,
            )),
            None => Ok(Choice::default()),
        },
        |_| {},
    )?;
    drop(effect);

    let plain = EditTable::none(config.n_layers);
    let (choosing, scoring) = (
        bench.write(CHOOSING_SEED, TEXTS, &plain)?,
        bench.write(SCORING_SEED, 2 * TEXTS, &plain)?,
    );
    if !(choosing.surprise > 0.0 && scoring.surprise > 0.0) {
        fail!(
            Argument,
            "{}: texts without edits do not surprise the judge at all, so that --surprise has no measure; give other prompts",
            of_prompts(options)
        );
    }
    let mut found = Vec::new();
    for ((concept, (_, only_counted)), list) in options.concepts.iter().zip(concepts).zip(&lists) {
        if list.indices.is_empty() {
            fail!(
                Argument,
                "--words {}: nothing behind block {layer} moves the probability of these words",
                concept.name
            );
        }
        let mut curve = Vec::new();
        let mut best: Option<(Recipe, [String; 2])> = None;
        for size in &sizes {
            let edits_at = |strength: f64| -> Vec<Edit> {
                let amounts = list.amounts(*size);
                let pairs = list.indices.iter().zip(amounts);
                pairs
                    .map(|(index, amount)| Edit::add(layer, *index, rounded(strength * amount)))
                    .collect()
            };
            let table = |edits: &[Edit]| EditTable::new(config, edits, 0);
            let write = |strength: f64| bench.write(CHOOSING_SEED, TEXTS, &table(&edits_at(strength))?);
            let edits = edits_at(strength::strongest(&choosing, options.surprise, &write)?);
            let steered = bench.write(SCORING_SEED, 2 * TEXTS, &table(&edits)?)?;
            let recipe = recipe::of(concept, edits, (&scoring, &steered), options, &prompts);
            if *size == options.size {
                best = Some((recipe.clone(), samples(&scoring, &steered, concept)));
            }
            curve.push(recipe);
        }
        if let Some((recipe, samples)) = best {
            found.push(Found {
                recipe,
                samples,
                only_counted,
                curve,
            });
        }
    }
    Ok(found)
}

/// The last TopK block; of a dense model the block before the last.
pub fn default_layer(config: &Config) -> usize {
    let cut = (0..config.n_layers).rev().find(|layer| config.is_topk_block(*layer));
    cut.unwrap_or(config.n_layers.saturating_sub(2))
}

fn layer_of(config: &Config, options: &SteerOptions) -> Result<usize> {
    if options.size == 0 || options.size > config.d_model.min(MOST) {
        fail!(
            Argument,
            "--size is {}, but a list has 1 to {} neurons here",
            options.size,
            config.d_model.min(MOST)
        );
    }
    let layer = options.layer.unwrap_or_else(|| default_layer(config));
    if layer >= config.n_layers {
        fail!(
            Argument,
            "--layer is {layer}, but the model's layers are 0 to {}",
            config.n_layers - 1
        );
    }
    Ok(layer)
}

/// The argument that the prompts come from.
fn of_prompts(options: &SteerOptions) -> &'static str {
    match options.prompts_file {
        Some(_) => "--prompts",
        None => "--prompt",
    }
}

fn prompts(options: &SteerOptions, config: &Config, tokenizer: &Tokenizer) -> Result<Vec<Prompt>> {
    let given = match &options.prompts_file {
        Some(file) => documents::read(&[file], config, Some(tokenizer))?
            .into_iter()
            .map(|ids| tokenizer.decode(&ids, true).map(|text| Prompt { text, ids }))
            .collect::<Result<Vec<_>>>()?,
        None => {
            let texts: Vec<&str> = match options.prompts.as_slice() {
                [] => OPENINGS.to_vec(),
                given => given.iter().map(String::as_str).collect(),
            };
            let prompt = |text: &str| {
                let ids = documents::encode(text, config, Some(tokenizer), &|| "--prompt".to_owned())?;
                Ok(Prompt {
                    text: text.to_owned(),
                    ids,
                })
            };
            texts.into_iter().map(prompt).collect::<Result<Vec<_>>>()?
        }
    };
    if given.is_empty() || given.len() > MOST_PROMPTS {
        fail!(
            Argument,
            "{}: there are {} prompts, but steer takes 1 to {MOST_PROMPTS}",
            of_prompts(options),
            given.len()
        );
    }
    Ok(given)
}

/// Tokens of each concept, and its words that are none.
fn tokens_of(concepts: &[Concept], tokenizer: &Tokenizer) -> Result<Vec<(Vec<u32>, Vec<String>)>> {
    for (number, concept) in concepts.iter().enumerate() {
        if concepts[..number].iter().any(|other| other.name == concept.name) {
            fail!(
                Argument,
                "--words has two groups named {}; name them apart: NAME=word,word",
                concept.name
            );
        }
    }
    concepts.iter().map(|concept| concept.tokens(tokenizer)).collect()
}

/// Four significant digits in f32, as the edits are written.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// The text with the median count of words, and the unedited one of its seed.
fn samples(plain: &Texts, steered: &Texts, concept: &Concept) -> [String; 2] {
    let counts = steered.texts.iter().map(|text| concept.count(text)).enumerate();
    let mut order: Vec<(usize, usize)> = counts.map(|(number, count)| (count, number)).collect();
    order.sort_unstable();
    let number = order.get(order.len() / 2).map_or(0, |(_, number)| *number);
    [plain, steered].map(|side| side.whole.get(number).cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_are_those_of_the_twin() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../training/claims/concepts.toml");
        let text = std::fs::read_to_string(file).unwrap();
        for opening in OPENINGS {
            assert!(text.contains(&serde_json::to_string(opening).unwrap()), "{opening}");
        }
    }

    #[test]
    fn values_have_four_digits() {
        assert_eq!(rounded(12.34567), 12.35);
        assert_eq!(rounded(-0.000_123_456), -0.000_123_5);
        assert_eq!(rounded(0.0), 0.0);
    }
}
