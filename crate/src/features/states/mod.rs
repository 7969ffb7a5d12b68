//! `analyze --stories --states`: which true state of a story each neuron marks best, and how well it would by chance.

mod story;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use serde_json::{json, Value};

use super::accumulate::Activations;
use super::corpus::counted;
use super::facts::Facts;
use super::json::number;
use super::streams::streams_of;
use super::threads::in_threads;
use crate::error::{fail, Result};
use crate::exec::cpu::CpuCache;
use crate::offline::{documents, OfflineModel, Progress};

/// States that hold at fewer tokens are left out.
const RARE: u64 = 100;
/// States shown of each neuron.
const SHOWN: usize = 3;

/// The tokens of a story, as far as the context goes, and the states at each: `None` where it belongs to no word.
struct Told {
    ids: Vec<u32>,
    states: Vec<Option<Vec<u16>>>,
}

/// How well a neuron marks a state.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Match {
    pub state: usize,
    pub precision: f64,
    pub recall: f64,
}

impl Match {
    /// Of `both` tokens at which it is active and the state holds.
    fn new(state: usize, both: u64, active: u64, holds: u64) -> Match {
        let of = |all: u64| both as f64 / all.max(1) as f64;
        Match {
            state,
            precision: of(active),
            recall: of(holds),
        }
    }

    pub fn f1(&self) -> f64 {
        2.0 * self.precision * self.recall / (self.precision + self.recall).max(1e-12)
    }
}

/// The states of the stories, and how neurons match them.
pub struct States {
    pub names: Vec<String>,
    pub holds: Vec<u64>,
    pub stories: usize,
    pub tokens: u64,
    /// By layer, then index: the best states, and the best F1 with the states of another story, where that has a word too; NaN where there is no other.
    pub matches: Vec<Vec<(Vec<Match>, f64)>>,
}

/// Stories, and the names of their states by number.
pub struct Stories {
    told: Vec<Told>,
    names: Vec<String>,
}

/// Reads the stories of `text`, whose states are in `states`.
pub fn read(
    model: &OfflineModel,
    facts: &Facts,
    (text, states): (&Path, &Path),
    notice: &mut dyn FnMut(&str),
) -> Result<Stories> {
    if facts.dense {
        fail!(
            Argument,
            "--states asks where neurons are active, so it needs a model with topk_k"
        );
    }
    let (told, names, apart) = tell(model, facts, text, states)?;
    if apart > 0 {
        notice(&format!(
            "stories whose tokens do not spell their text were left out: {apart}"
        ));
    }
    Ok(Stories { told, names })
}

/// Counts over the stories.
pub fn measure(model: &OfflineModel, facts: &Facts, stories: Stories, threads: usize) -> Result<States> {
    let Stories { mut told, names } = stories;
    let (names, holds) = frequent(&mut told, names);
    let (layers, d, n) = (&facts.layers, facts.d_model, names.len());
    let (engine, threads) = (&model.engine, threads.max(1));
    let progress = Mutex::new(Progress::new("stories"));
    let seen = AtomicUsize::new(0);
    // One job a thread, since the counts are large; sums do not depend on who counts what.
    let count = |cache: &mut CpuCache, job: usize| -> Result<Counts> {
        let mut counts = Counts::new(layers.len() * d, n);
        for (number, story) in told.iter().enumerate().skip(job).step_by(threads) {
            let streams = pollster::block_on(streams_of(engine, cache, &story.ids, layers))?;
            let other = &told[(number + 1) % told.len()];
            for (position, states) in story.states.iter().enumerate() {
                let Some(states) = states else { continue };
                let elsewhere = other.states.get(position).and_then(Option::as_deref);
                counts.pair(elsewhere);
                for (slot, stream) in streams.iter().enumerate() {
                    let Activations::Active(active) = stream else { continue };
                    for index in active.row(position).0 {
                        counts.add(slot * d + *index as usize, states, elsewhere);
                    }
                }
            }
            let done = seen.fetch_add(1, Ordering::Relaxed) + 1;
            if let Ok(mut progress) = progress.lock() {
                progress.show(done as u64, told.len() as u64, " with states");
            }
        }
        Ok(counts)
    };
    let mut parts = in_threads(threads, threads, || Ok(engine.new_cache()), count, |_| {})?.into_iter();
    let mut counts = parts.next().unwrap_or_else(|| Counts::new(layers.len() * d, n));
    parts.for_each(|part| counts.merge(&part));
    // A story alone has no other one: chance would be what it is compared with.
    let best = |neuron: usize| match counts.best(neuron, &holds) {
        (own, _) if told.len() < 2 => (own, f64::NAN),
        both => both,
    };
    let matches = (0..layers.len()).map(|slot| (0..d).map(|index| best(slot * d + index)).collect());
    let tokens = told.iter().flat_map(|story| &story.states).flatten().count() as u64;
    Ok(States {
        matches: matches.collect(),
        stories: told.len(),
        tokens,
        names,
        holds,
    })
}

/// The stories, the names of their states, and how many stories were left out.
fn tell(model: &OfflineModel, facts: &Facts, text: &Path, states: &Path) -> Result<(Vec<Told>, Vec<String>, usize)> {
    let Some(tokenizer) = model.tokenizer.as_deref() else {
        fail!(Tokenizer, "--states needs texts, but the model has no tokenizer.json");
    };
    let stories = story::read(states)?;
    let texts = documents::texts(text)?;
    if texts.len() != stories.len() {
        fail!(
            Argument,
            "{} has {} stories, but {} has the states of {}",
            text.display(),
            texts.len(),
            states.display(),
            stories.len()
        );
    }
    let mut numbers: BTreeMap<String, u16> = BTreeMap::new();
    let (mut told, mut apart) = (Vec::new(), 0);
    for (story, written) in stories.iter().zip(&texts) {
        let mut ids = documents::encode(written, &model.config, Some(tokenizer), &|| text.display().to_string())?;
        let tokens: Vec<String> = ids
            .iter()
            .map(|id| {
                if facts.special.binary_search(id).is_ok() {
                    String::new()
                } else {
                    facts.text(*id)
                }
            })
            .collect();
        let shown: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let Some(words) = story.words_of(written, &shown) else {
            apart += 1;
            continue;
        };
        let mut at_words: Vec<Vec<u16>> = Vec::with_capacity(story.words());
        for names in story.states() {
            let mut of_word = Vec::new();
            for name in names {
                let next = numbers.len();
                if next >= usize::from(u16::MAX) {
                    fail!(Argument, "{} has too many different states", states.display());
                }
                of_word.push(*numbers.entry(name).or_insert(next as u16));
            }
            at_words.push(of_word);
        }
        ids.truncate(model.config.n_ctx);
        // What does not count, as the first token, is active nowhere, so no state holds there.
        let states = words
            .iter()
            .zip(counted(&ids, &facts.special))
            .map(|(word, counts)| word.filter(|_| counts).map(|word| at_words[word].clone()))
            .collect();
        told.push(Told { ids, states });
    }
    if told.is_empty() {
        fail!(Argument, "{} has no story whose tokens spell its text", text.display());
    }
    let mut names = vec![String::new(); numbers.len()];
    numbers
        .into_iter()
        .for_each(|(name, number)| names[usize::from(number)] = name);
    Ok((told, names, apart))
}

/// Leaves only the states that are at enough tokens; gives their names, in alphabetical order, and how often they hold.
fn frequent(told: &mut [Told], names: Vec<String>) -> (Vec<String>, Vec<u64>) {
    let mut holds = vec![0u64; names.len()];
    told.iter()
        .flat_map(|story| &story.states)
        .flatten()
        .flatten()
        .for_each(|state| holds[usize::from(*state)] += 1);
    let mut kept: Vec<usize> = (0..names.len()).filter(|state| holds[*state] >= RARE).collect();
    kept.sort_by(|a, b| names[*a].cmp(&names[*b]));
    let new: BTreeMap<u16, u16> = kept
        .iter()
        .enumerate()
        .map(|(new, old)| (*old as u16, new as u16))
        .collect();
    for states in told.iter_mut().flat_map(|story| &mut story.states).flatten() {
        *states = states.iter().filter_map(|state| new.get(state).copied()).collect();
    }
    (
        kept.iter().map(|state| names[*state].clone()).collect(),
        kept.iter().map(|state| holds[*state]).collect(),
    )
}

/// At how many tokens each neuron is active, and with each state, its own and that of another story. What the other story has no word for does not
/// count for chance: neither the neuron's activity there nor the state.
struct Counts {
    states: usize,
    active: Vec<u64>,
    both: Vec<u32>,
    /// Of each neuron, tokens at which both stories have a word.
    paired: Vec<u64>,
    elsewhere: Vec<u32>,
    /// Of each state of the other story.
    held_elsewhere: Vec<u64>,
}

impl Counts {
    fn new(neurons: usize, states: usize) -> Counts {
        Counts {
            states,
            active: vec![0; neurons],
            both: vec![0; neurons * states],
            paired: vec![0; neurons],
            elsewhere: vec![0; neurons * states],
            held_elsewhere: vec![0; states],
        }
    }

    /// The states of the other story at a token, which are then given to each neuron that is active there.
    fn pair(&mut self, elsewhere: Option<&[u16]>) {
        let states = elsewhere.unwrap_or_default();
        states
            .iter()
            .for_each(|state| self.held_elsewhere[usize::from(*state)] += 1);
    }

    fn add(&mut self, neuron: usize, states: &[u16], elsewhere: Option<&[u16]>) {
        self.active[neuron] += 1;
        self.paired[neuron] += u64::from(elsewhere.is_some());
        let first = neuron * self.states;
        states
            .iter()
            .for_each(|state| self.both[first + usize::from(*state)] += 1);
        elsewhere
            .unwrap_or_default()
            .iter()
            .for_each(|state| self.elsewhere[first + usize::from(*state)] += 1);
    }

    fn merge(&mut self, other: &Counts) {
        self.active.iter_mut().zip(&other.active).for_each(|(a, b)| *a += b);
        self.both.iter_mut().zip(&other.both).for_each(|(a, b)| *a += b);
        self.paired.iter_mut().zip(&other.paired).for_each(|(a, b)| *a += b);
        let elsewhere = self.elsewhere.iter_mut().zip(&other.elsewhere);
        elsewhere.for_each(|(a, b)| *a += b);
        let held = self.held_elsewhere.iter_mut().zip(&other.held_elsewhere);
        held.for_each(|(a, b)| *a += b);
    }

    /// The best states of a neuron, and the best F1 by chance.
    fn best(&self, neuron: usize, holds: &[u64]) -> (Vec<Match>, f64) {
        let matches = |counts: &[u32], active: u64, holds: &[u64]| -> Vec<Match> {
            let counts = counts[neuron * self.states..][..self.states]
                .iter()
                .zip(holds)
                .enumerate();
            counts
                .map(|(state, (both, holds))| Match::new(state, u64::from(*both), active, *holds))
                .collect()
        };
        let mut own = matches(&self.both, self.active[neuron], holds);
        own.retain(|one| one.f1() > 0.0);
        own.sort_by(|a, b| b.f1().total_cmp(&a.f1()).then(a.state.cmp(&b.state)));
        own.truncate(SHOWN);
        let by_chance = matches(&self.elsewhere, self.paired[neuron], &self.held_elsewhere);
        (own, by_chance.iter().map(Match::f1).fold(0.0, f64::max))
    }
}

impl States {
    /// The best state of a neuron with its F1, and what chance gives.
    pub fn of(&self, slot: usize, index: usize) -> Option<(&str, f64, f64)> {
        let (matches, chance) = &self.matches[slot][index];
        let best = matches.first()?;
        Some((&self.names[best.state], best.f1(), *chance))
    }

    /// The `states` of a record.
    pub fn json(&self, slot: usize, index: usize) -> Value {
        let (matches, chance) = &self.matches[slot][index];
        let best: Vec<Value> = matches
            .iter()
            .map(|one| {
                json!({
                    "state": self.names[one.state], "f1": number(one.f1()), "precision": number(one.precision),
                    "recall": number(one.recall),
                })
            })
            .collect();
        json!({ "best": best, "f1_shuffled": number(*chance) })
    }

    /// `states.json`
    pub fn summary(&self, facts: &Facts) -> Value {
        let states = self.names.iter().enumerate().map(|(state, name)| {
            let mut neurons: Vec<(f64, usize, usize)> = Vec::new();
            for (layer, matches) in facts.layers.iter().zip(&self.matches) {
                for (index, (matches, _)) in matches.iter().enumerate() {
                    neurons.extend(matches.iter().filter(|one| one.state == state).map(|one| (one.f1(), *layer, index)));
                }
            }
            neurons.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
            let neurons: Vec<Value> = neurons.into_iter().take(5).map(|(f1, layer, index)| json!([layer, index, number(f1)])).collect();
            json!({ "name": name, "share": number(self.holds[state] as f64 / self.tokens.max(1) as f64), "neurons": neurons })
        });
        json!({
            "format": super::FORMAT, "layers": facts.layers, "stories": self.stories, "tokens": self.tokens,
            "states": states.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_state_and_chance() {
        let mut counts = Counts::new(2, 2);
        // Neuron 1 is active at 4 tokens: state 1 holds at 3 of them; another story has words at two of those, with state 0 at one.
        counts.add(1, &[1], None);
        counts.pair(Some(&[0]));
        counts.add(1, &[0, 1], Some(&[0]));
        let mut more = Counts::new(2, 2);
        more.add(1, &[1], None);
        more.pair(Some(&[]));
        more.add(1, &[], Some(&[]));
        // A token at which the neuron is not active.
        more.pair(Some(&[0, 1]));
        counts.merge(&more);
        let (best, chance) = counts.best(1, &[5, 3]);
        assert_eq!(
            best[0],
            Match {
                state: 1,
                precision: 0.75,
                recall: 1.0
            }
        );
        // Chance: one of two at which it is active, one of two at which the state holds.
        assert!((best[1].f1() - 2.0 / 9.0).abs() < 1e-12 && (chance - 0.5).abs() < 1e-12);
        assert_eq!(counts.best(0, &[5, 3]), (vec![], 0.0));
    }

    #[test]
    fn rare_states_are_left_out() {
        let states = |number: usize| Some(if number == 0 { vec![0, 1] } else { vec![1] });
        let mut told = [Told {
            ids: vec![0; 150],
            states: (0..150).map(states).collect(),
        }];
        let (names, holds) = frequent(&mut told, vec!["a".into(), "b".into()]);
        assert_eq!((names, holds), (vec!["b".to_owned()], vec![150]));
        assert_eq!(told[0].states[0], Some(vec![0]));
    }
}
