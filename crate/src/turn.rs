//! Neurons that turn one next word, or any of some, into another: `topk-lm turn`, and live on the site's Steer page. Twin: www/src/lib/turn.ts, which gives the same
//! neurons in the same order. docs/statistics.md has the definition. Native only.

use std::path::Path;

use serde::Deserialize;

use crate::error::{fail, Code, Error, Result};
use crate::exec::request::LogitRows;
use crate::features::control::Control;
use crate::json;
use crate::numerics::math::log_sum;
use crate::offline::files;
use crate::pace::Cancel;
use crate::session::{EachSet, GenerateOptions, Model, RunOptions, SamplingOptions, Setting};

/// Random neurons of a layer that the others are compared with.
pub const RANDOM: usize = 100;
/// Words of a side at most.
pub const WORDS: usize = 8;
/// Texts that are written, and tokens of each.
const TEXTS: u64 = 8;
const LENGTH: usize = 48;
/// Largest `features/index.json` that is read.
const MOST_BYTES: u64 = 1 << 30;

/// Tokens of which any may come, and those that are to come instead.
pub type Sides = [Vec<u32>; 2];

/// One of those found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turning {
    pub neuron: Setting,
    /// Nats by which the odds of the second side's words over the first's rise, mean over the places; they rise at each.
    pub effect: f64,
    /// The same, as a multiple of the most that one of the random neurons of its layer moves them, either way.
    pub times: f64,
}

/// What is read of `features/index.json`.
#[derive(Deserialize)]
struct Index {
    layers: Vec<usize>,
    d_model: usize,
    columns: Columns,
}

/// By layer, then index.
#[derive(Deserialize)]
struct Columns {
    #[serde(default)]
    steer: Vec<Option<f64>>,
    #[serde(default)]
    strong: Vec<Option<f64>>,
    max: Vec<Option<f64>>,
}

/// All neurons of which a strength is known: the largest value at which text stays readable, else the strong activation, else the largest.
pub fn settable(features: &Path, model: &Model) -> Result<Vec<Setting>> {
    let file = features.join("index.json");
    let bytes = files::read_whole(&file, MOST_BYTES).map_err(|error| {
        if file.exists() {
            return error;
        }
        let help = "`topk-lm analyze` writes the statistics that say how strongly each neuron can be set";
        Error::new(error.code(), format!("{error}; {help}"))
    })?;
    let index: Index = json::object(&file.display().to_string(), &bytes, Code::Argument)?;
    let config = model.config();
    let fits = index.layers.iter().all(|layer| *layer < config.n_layers) && index.d_model == config.d_model;
    // What the file says is multiplied only where it is the model's own width.
    let many = if fits { index.layers.len() * config.d_model } else { 0 };
    if !fits || index.columns.max.len() != many {
        fail!(
            Argument,
            "{}: these are not the statistics of this model, which has {} layers of {} neurons",
            file.display(),
            config.n_layers,
            config.d_model
        );
    }
    let Columns { steer, strong, max } = &index.columns;
    let known = |entry: usize| {
        [steer, strong, max]
            .into_iter()
            .find_map(|column| column.get(entry).copied().flatten().filter(|value| *value != 0.0))
    };
    let setting = |entry: usize| {
        Some(Setting {
            layer: index.layers[entry / index.d_model],
            index: entry % index.d_model,
            value: known(entry)? as f32,
        })
    };
    Ok((0..many).filter_map(setting).collect())
}

/// The id of a word as the next token, after a space; as it is written, or with the other first letter.
fn token(vocabulary: &[String], word: &str) -> Result<u32> {
    let plain = word.trim();
    let mut letters = plain.chars();
    let first = letters.next();
    let other: String = first.map_or(String::new(), |letter| {
        if letter.is_lowercase() {
            letter.to_uppercase().collect()
        } else {
            letter.to_lowercase().collect()
        }
    });
    let texts = [
        format!(" {plain}"),
        plain.to_owned(),
        format!(" {other}{}", letters.as_str()),
    ];
    let id_of = |text: &String| vocabulary.iter().position(|token| token == text);
    match texts.iter().filter(|_| first.is_some()).find_map(id_of) {
        Some(id) => Ok(id as u32),
        None => fail!(Argument, "“{plain}” is not one token of this model; give another word"),
    }
}

/// The tokens of one side's words, which commas separate.
fn side(vocabulary: &[String], words: &str) -> Result<Vec<u32>> {
    let words: Vec<&str> = words.split(',').collect();
    if words.len() > WORDS {
        fail!(Argument, "a side has at most {WORDS} words, not {}", words.len());
    }
    let mut ids = Vec::new();
    for word in words {
        let id = token(vocabulary, word)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// The tokens of the words of both sides, which have none in common.
pub fn sides(vocabulary: &[String], from: &str, to: &str) -> Result<Sides> {
    let named = |name: &'static str| move |error: Error| error.at(name);
    let sides = [
        side(vocabulary, from).map_err(named("--from"))?,
        side(vocabulary, to).map_err(named("--to"))?,
    ];
    if let Some(id) = sides[0].iter().find(|id| sides[1].contains(id)) {
        fail!(
            Argument,
            "“{}” is on both sides; give different words",
            vocabulary[*id as usize].trim()
        );
    }
    Ok(sides)
}

/// The prompt, and the best `count` of places where both sides fit, in texts that continue it: of each text the one at which the less
/// likely of the two is likeliest.
pub fn places(model: &Model, prompt: &[u32], sides: &Sides, count: usize) -> Result<Vec<Vec<u32>>> {
    if count > TEXTS as usize {
        fail!(Argument, "--places is {count}, but must be at most {TEXTS}");
    }
    let cancel = Cancel::default();
    let mut all = vec![prompt.to_vec()];
    if count == 0 {
        return Ok(all);
    }
    let options = |seed: u64| GenerateOptions {
        max_tokens: Some(LENGTH),
        sampling: SamplingOptions {
            temperature: Some(0.8),
            ..SamplingOptions::default()
        },
        seed: Some(seed),
        ..GenerateOptions::default()
    };
    let wanted: Vec<_> = (0..TEXTS).map(|seed| (prompt.to_vec(), options(seed))).collect();
    let mut texts = vec![prompt.to_vec(); wanted.len()];
    let mut batch = model.generate_batch(&wanted)?;
    loop {
        let made = pollster::block_on(batch.next(&cancel))?;
        if made.is_empty() {
            break;
        }
        for (number, generated) in made {
            texts[number].extend(generated.steps.iter().map(|step| step.id));
        }
    }
    let mut best: Vec<(f64, Vec<u32>)> = Vec::new();
    for mut ids in texts {
        // The last token of a text may lie beyond the context.
        ids.truncate(model.config().n_ctx);
        if ids.len() == prompt.len() {
            continue;
        }
        let options = RunOptions {
            logits: LogitRows::All,
            ..RunOptions::default()
        };
        let logits = pollster::block_on(model.run(&ids, &options, &cancel))?.logits;
        let rows = logits
            .data
            .chunks_exact(model.config().d_vocab)
            .enumerate()
            .skip(prompt.len())
            // After its end a text goes nowhere.
            .filter(|(position, _)| !model.eos_token_ids().contains(&ids[*position]));
        let mut place: Option<(f64, usize)> = None;
        for (position, row) in rows {
            let score = less_likely(row, sides);
            if place.is_none_or(|(most, _)| score > most) {
                place = Some((score, position));
            }
        }
        best.extend(place.map(|(score, position)| (score, ids[..=position].to_vec())));
    }
    best.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.extend(best.into_iter().take(count).map(|(_, ids)| ids));
    Ok(all)
}

/// ln p of the less likely of two sides.
fn less_likely(logits: &[f32], sides: &Sides) -> f64 {
    let total = log_sum(logits.iter().map(|x| f64::from(*x)));
    sides
        .each_ref()
        .map(|ids| log_sum(ids.iter().map(|id| f64::from(logits[*id as usize]))) - total)
        .into_iter()
        .fold(f64::INFINITY, f64::min)
}

/// How far each neuron moves the odds that any of some tokens comes next, by what it does to the logit of each.
fn moved(tokens: &[EachSet]) -> Vec<f64> {
    let odds = |number: usize| {
        if let [one] = tokens {
            return f64::from(one.effects[number]);
        }
        let before = tokens.iter().map(|token| f64::from(token.logit));
        let after = tokens
            .iter()
            .map(|token| f64::from(token.logit) + f64::from(token.effects[number]));
        log_sum(after) - log_sum(before)
    };
    let many = tokens.first().map_or(0, |token| token.effects.len());
    (0..many).map(odds).collect()
}

/// Neurons that turn the words of the first side into those of the second at all places, and in the mean further than the best of the random ones of
/// their layer but themselves; those first that do most. `progress` hears how many runs are done, of how many.
pub fn turning(
    model: &Model,
    neurons: &[Setting],
    places: &[Vec<u32>],
    sides: &Sides,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Turning>> {
    let cancel = Cancel::default();
    let total = sides.concat().len() * places.len() * neurons.len();
    let mut begun = 0;
    let mut effects = Vec::new();
    for ids in places {
        let mut both = Vec::new();
        for side in sides {
            let mut tokens = Vec::new();
            for target in side {
                let mut heard = |done: usize, _: usize| progress(begun + done, total);
                tokens.push(pollster::block_on(model.set_each(
                    ids,
                    *target,
                    neurons,
                    &[],
                    &cancel,
                    &mut heard,
                ))?);
                begun += neurons.len();
            }
            both.push(moved(&tokens));
        }
        effects.push(both[0].iter().zip(&both[1]).map(|(from, to)| to - from).collect());
    }
    Ok(ranked(neurons, &effects))
}

/// Of effects by place, then neuron.
fn ranked(neurons: &[Setting], effects: &[Vec<f64>]) -> Vec<Turning> {
    let mean = |number: usize| effects.iter().map(|place| place[number]).sum::<f64>() / effects.len() as f64;
    let means: Vec<f64> = (0..neurons.len()).map(mean).collect();
    let controls = controls(neurons, &means);
    let times = |number: usize| means[number] / controls[neurons[number].layer].beside(number).max(1e-6);
    let mut found: Vec<Turning> = (0..neurons.len())
        .filter(|number| effects.iter().all(|place| place[*number] > 0.0))
        .map(|number| Turning {
            neuron: neurons[number],
            effect: means[number],
            times: times(number),
        })
        .filter(|turning| turning.times > 1.0)
        .collect();
    found.sort_by(|a, b| b.effect.total_cmp(&a.effect));
    found
}

/// By layer, what [`RANDOM`] neurons drawn from it do, by their numbers.
fn controls(neurons: &[Setting], effects: &[f64]) -> Vec<Control> {
    let layers = neurons.iter().map(|neuron| neuron.layer + 1).max().unwrap_or(0);
    let of_layer = |layer: usize| {
        let mut own: Vec<usize> = (0..neurons.len())
            .filter(|number| neurons[*number].layer == layer)
            .collect();
        own.sort_by_key(|number| drawn(&neurons[*number]));
        Control::of(own.into_iter().take(RANDOM).map(|number| (number, effects[number])))
    };
    (0..layers).map(of_layer).collect()
}

/// With how many random neurons each is compared at least: fewer than [`RANDOM`] in a narrow layer.
pub fn compared(neurons: &[Setting]) -> usize {
    let layers = neurons.iter().map(|neuron| neuron.layer);
    let many = |layer: usize| neurons.iter().filter(|neuron| neuron.layer == layer).count();
    let layers: std::collections::BTreeSet<usize> = layers.collect();
    layers
        .into_iter()
        .map(|layer| many(layer).saturating_sub(1).min(RANDOM))
        .min()
        .unwrap_or(0)
}

/// A number that looks random, the same for the same neuron.
fn drawn(neuron: &Setting) -> u32 {
    let mut x =
        (neuron.layer as u32 + 1).wrapping_mul(0x9e37_79b1) ^ (neuron.index as u32 + 1).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_layer(layer: usize, count: usize) -> Vec<Setting> {
        let at = |index: usize| Setting {
            layer,
            index,
            value: 1.0,
        };
        (0..count).map(at).collect()
    }

    #[test]
    fn what_beats_the_random_ones_everywhere_is_found() {
        let neurons = [of_layer(0, RANDOM), of_layer(1, 10 * RANDOM)].concat();
        let plain: Vec<f64> = neurons
            .iter()
            .map(|neuron| if neuron.layer == 0 { 9.0 } else { 0.0 })
            .collect();
        // Three that are not drawn themselves.
        let mut undrawn: Vec<usize> = (RANDOM..neurons.len()).collect();
        undrawn.sort_by_key(|number| drawn(&neurons[*number]));
        let [steady, turning, other] = [RANDOM, RANDOM + 1, RANDOM + 2].map(|rank| undrawn[rank]);
        let (mut first, mut second) = (plain.clone(), plain);
        for (number, a, b) in [(steady, 2.0, 2.0), (turning, 5.0, -1.0), (other, 3.0, 2.0)] {
            (first[number], second[number]) = (a, b);
        }
        let found = ranked(&neurons, &[first.clone(), second]);
        let names: Vec<(Setting, f64)> = found.iter().map(|one| (one.neuron, one.effect)).collect();
        assert_eq!(names, [(neurons[other], 2.5), (neurons[steady], 2.0)]);
        assert!(found.iter().all(|one| one.times > 1.0));
        let away: Vec<f64> = first.iter().map(|effect| -effect).collect();
        assert_eq!(ranked(&neurons, &[away]), []);
        assert_eq!(ranked(&[], &[vec![]]), []);
        // One that was drawn is compared with the others that were.
        let mut third = vec![0.0; neurons.len()];
        (third[0], third[1]) = (4.0, 3.0);
        let found = ranked(&neurons, &[third]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].neuron, found[0].times), (neurons[0], 4.0 / 3.0));
        assert_eq!(
            (compared(&neurons), compared(&of_layer(0, 64)), compared(&[])),
            (RANDOM - 1, 63, 0)
        );
    }

    #[test]
    fn any_of_some_words_counts() {
        let token = |logit: f32, effects: &[f32]| EachSet {
            logit,
            effects: effects.to_vec(),
        };
        assert_eq!(moved(&[token(3.0, &[0.5, -1.0])]), [0.5, -1.0]);
        // Probabilities of 1 and 3 parts become 2 and 6, then 3 and 3.
        let [one, three] = [1.0_f64, 3.0].map(f64::ln);
        let two = [2.0_f64.ln() as f32, three as f32];
        let both = moved(&[token(one as f32, &two), token(three as f32, &[two[0], 0.0])]);
        let expected = [2.0_f64.ln(), 1.5_f64.ln()];
        assert!(
            both.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
            "{both:?} {expected:?}"
        );
        assert!(moved(&[]).is_empty());
        let logits = [0.0, 1.0, 2.0, 3.0];
        let total: f64 = logits.iter().map(|x: &f32| f64::from(*x).exp()).sum();
        let fits = less_likely(&logits, &[vec![0, 1], vec![3]]);
        assert!((fits - ((1.0 + 1.0_f64.exp()) / total).ln()).abs() < 1e-9, "{fits}");
    }

    #[test]
    fn sides_have_words_of_their_own() {
        let vocabulary = [" he", " she", " her", "him"].map(str::to_owned);
        let of = |from: &str, to: &str| sides(&vocabulary, from, to).map_err(|error| error.to_string());
        assert_eq!(of("he, him,he", "she,her"), Ok([vec![0, 3], vec![1, 2]]));
        assert_eq!(of("he", "she"), Ok([vec![0], vec![1]]));
        let nine = "he,".repeat(8) + "he";
        for (from, to, said) in [
            ("he,she", "her,she", "“she” is on both sides"),
            ("he,", "she", "“” is not one token"),
            ("he", nine.as_str(), "at most 8 words, not 9"),
        ] {
            let error = of(from, to).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_word_is_a_token_after_a_space_in_any_case() {
        let vocabulary = ["she", " she", "He", " Once", " dog"].map(str::to_owned);
        for (word, id) in [("she", 1), (" she ", 1), ("once", 3), ("Dog", 4), ("He", 2)] {
            assert_eq!(token(&vocabulary, word).unwrap(), id, "{word}");
        }
        for word in ["he", "cat", "", " "] {
            let error = token(&vocabulary, word).unwrap_err().to_string();
            assert!(error.contains("is not one token"), "{error}");
        }
    }
}
