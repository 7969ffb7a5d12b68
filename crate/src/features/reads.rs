//! What a neuron reads: the tokens at fixed shares of its activations, a label, and how well that label tells where the neuron is active.
//! [docs/statistics.md](../../../docs/statistics.md) has the definitions.

use std::collections::BTreeMap;

use serde_json::{json, Value};

use super::bands::{strongest, weight, Point};
use super::facts::Facts;
use super::json::{maybe, number};
use super::kinds::word;
use super::labels::{label, listed, Evidence, Label, SHOWN};
use super::peaks::mix;
use super::places::{Place, PLACES};
use super::rules::{Half, Lexicon, Rule};
use super::statistics::{count, entropy, Counts};
use super::{RARE_BELOW, TOP};

/// Shares of a neuron's activations, strongest first.
pub const SHARES: [f64; 3] = [0.001, 0.01, 0.1];
/// How often a token has to be among the drawn activations to be one of the best tokens.
const SEEN: usize = 2;
/// How many tokens the best tokens may be: a longer list says nothing to a reader.
const MOST: usize = 12;

/// The corpus, as reads see it.
pub struct Corpus<'a> {
    pub facts: &'a Facts,
    pub documents: &'a [Vec<u32>],
    pub lexicon: &'a Lexicon,
}

/// How well a rule tells where a neuron is active.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Share of its activations at which the rule holds, each counted as one, and by value.
    pub recall: f64,
    pub explained: f64,
    /// Share of the positions at which the rule holds where it is active.
    pub precision: f64,
    /// Share of the other positions at which the rule does not hold, and of its activations at which it does: their mean.
    pub detection: f64,
}

impl Score {
    pub fn f1(&self) -> f64 {
        if self.recall + self.precision > 0.0 {
            2.0 * self.recall * self.precision / (self.recall + self.precision)
        } else {
            0.0
        }
    }
}

/// A token among a neuron's activations.
#[derive(Clone, Copy, Default)]
struct Active {
    /// At how many of its positions the neuron is active, and at how many it stands.
    hits: f64,
    there: f64,
    /// The sum of the neuron's values there.
    sum: f64,
    seen: usize,
}

impl Active {
    /// How much the token tells of the neuron: the sum of its values, times the share of the token's positions at which it is active.
    fn told(&self) -> f64 {
        self.sum * self.hits / self.there
    }
}

/// A label at a share of the activations.
pub struct AtShare {
    /// `None`: drawn by value from all of them.
    pub share: Option<f64>,
    pub tokens: Counts,
    pub label: Label,
    pub f1: f64,
}

/// Everything about what one neuron reads.
pub struct Reads {
    pub shares: Vec<AtShare>,
    pub label: Label,
    pub score: Score,
    /// F1 on the half of the text that the label was not made from, mean of both ways.
    pub f1: f64,
    /// Whether both halves give the same label.
    pub stable: bool,
    /// For each place: its share of the activations over its share of the text.
    pub places: Vec<Option<f64>>,
}

impl Reads {
    /// Of a neuron's drawn activations, strongest first; `None` if it is rare.
    pub fn new(corpus: &Corpus<'_>, points: &[Point]) -> Option<Reads> {
        if weight(points) < RARE_BELOW as f64 {
            return None;
        }
        let halves = [0, 1].map(|half| corpus.of_half(points, half));
        let [first, second] = &halves;
        // Of the rules from either half, each in the other.
        let f1_of = |rules: [&Rule; 2]| {
            let [a, b] = [(0, second), (1, first)].map(|(n, other)| corpus.score(rules[n], other, Some(1 - n)).f1());
            (a + b) / 2.0
        };
        let mut found: Vec<(f64, Label, bool)> = Vec::new();
        let mut shares = Vec::new();
        for share in SHARES.into_iter().map(Some).chain([None]) {
            let (tokens, whole) = corpus.label(points, share);
            let [a, b] = halves.each_ref().map(|half| corpus.label(half, share).1);
            let f1 = f1_of([&a.rule, &b.rule]);
            let at = AtShare {
                share,
                tokens,
                label: whole.clone(),
                f1,
            };
            // A label of a few activations is shown, but not chosen.
            if at.n() >= RARE_BELOW {
                found.push((f1, whole, corpus.same(&a.rule, &b.rule)));
            }
            shares.push(at);
        }
        let [a, b] = [0, 1].map(|half| corpus.best_tokens(&halves[half], Some(half)));
        let same = corpus.same(&a.rule, &b.rule);
        found.push((f1_of([&a.rule, &b.rule]), corpus.best_tokens(points, None), same));
        for (place, text) in PLACES.iter().filter_map(|place| Some((*place, place.label()?))) {
            let rule = Rule::Place(place);
            let label = Label {
                text: text.to_owned(),
                rule: rule.clone(),
            };
            found.push((f1_of([&rule, &rule]), label, true));
        }
        let (f1, label, stable) = found
            .into_iter()
            .reduce(|best, next| if next.0 > best.0 { next } else { best })?;
        Some(Reads {
            score: corpus.score(&label.rule, points, None),
            places: PLACES.iter().map(|place| corpus.lift(*place, points)).collect(),
            shares,
            label,
            f1,
            stable,
        })
    }

    /// The bits at each share and by value; `None` with too few activations.
    pub fn entropies(&self) -> Vec<Option<f64>> {
        self.shares.iter().map(AtShare::entropy).collect()
    }

    /// The `reads` of a record.
    pub fn json(&self) -> Value {
        let shares: Vec<Value> = self
            .shares
            .iter()
            .map(|at| {
                let tokens: Vec<Value> = at.tokens.iter().take(10).map(|(id, n)| json!([id, n])).collect();
                json!({
                    "share": at.share, "n": at.n(), "token_entropy": maybe(at.entropy()), "label": at.label.text,
                    "f1": number(at.f1), "tokens": tokens,
                })
            })
            .collect();
        let places: serde_json::Map<String, Value> = PLACES
            .iter()
            .zip(&self.places)
            .map(|(place, lift)| (place.name().to_owned(), maybe(*lift)))
            .collect();
        json!({
            "label": self.label.text, "f1": number(self.f1), "recall": number(self.score.recall),
            "precision": number(self.score.precision), "explained": number(self.score.explained),
            "detection": number(self.score.detection), "stable": self.stable, "shares": shares, "places": places,
        })
    }
}

impl AtShare {
    pub fn n(&self) -> usize {
        self.tokens.iter().map(|(_, n)| *n as usize).sum()
    }

    fn entropy(&self) -> Option<f64> {
        (self.n() >= RARE_BELOW).then(|| entropy(&self.tokens))
    }
}

/// At most [`TOP`] of the points, drawn without replacement by their weights, or by what they stand for of the sum of values. The draw depends on the
/// positions alone.
fn draw(points: &[Point], by_value: bool) -> Vec<Point> {
    let mut keyed: Vec<(f64, Point)> = points
        .iter()
        .map(|point| {
            let peak = &point.peak;
            let hash = mix(mix(u64::from(peak.document) << 32 | u64::from(peak.position)) ^ 0x5eed);
            let uniform = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
            let weight = point.weight * if by_value { f64::from(peak.value.abs()) } else { 1.0 };
            (-uniform.ln() / weight, *point)
        })
        .collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    keyed.into_iter().take(TOP).map(|(_, point)| point).collect()
}

impl Corpus<'_> {
    fn token(&self, point: &Point, offset: i64) -> Option<u32> {
        let document = self.documents.get(point.peak.document as usize)?;
        document
            .get(usize::try_from(i64::from(point.peak.position) + offset).ok()?)
            .copied()
    }

    fn fits(&self, rule: &Rule, point: &Point) -> bool {
        let (number, position) = (point.peak.document as usize, point.peak.position as usize);
        self.lexicon
            .fits(rule, self.facts, &self.documents[number], number, position)
    }

    /// The points in a half of the text.
    fn of_half(&self, points: &[Point], half: usize) -> Vec<Point> {
        let of = |point: &&Point| {
            let (document, position) = (point.peak.document as usize, point.peak.position as usize);
            self.lexicon.half_of(document, position) == half
        };
        points.iter().filter(of).copied().collect()
    }

    /// The tokens and the label of what is drawn at a share of the activations, or by value.
    fn label(&self, points: &[Point], share: Option<f64>) -> (Counts, Label) {
        let drawn = draw(strongest(points, share.unwrap_or(1.0)), share.is_none());
        let around = |offset| count(drawn.iter().filter_map(|point| self.token(point, offset)));
        let (before, tokens, after) = (around(-1), around(0), around(1));
        let evidence = Evidence {
            tokens: &tokens,
            before: &before,
            after: &after,
        };
        let mut label = label(&evidence, self.facts);
        if let Rule::Word(id) = &mut label.rule {
            *id = self.lexicon.word_of(*id);
        }
        (tokens, label)
    }

    /// The score of a rule in a half, of which the points are.
    pub fn score(&self, rule: &Rule, points: &[Point], half: Half) -> Score {
        let (mut all, mut hit, mut sum, mut hit_sum) = (0.0, 0.0, 0.0, 0.0);
        for point in points {
            let value = point.weight * f64::from(point.peak.value.abs());
            all += point.weight;
            sum += value;
            if self.fits(rule, point) {
                hit += point.weight;
                hit_sum += value;
            }
        }
        let (positions, holds) = (
            self.lexicon.positions(half) as f64,
            self.lexicon.holds(rule, half) as f64,
        );
        if all == 0.0 || positions == 0.0 {
            return Score::default();
        }
        let outside = (holds - hit).max(0.0) / (positions - all).max(1.0);
        Score {
            recall: hit / all,
            explained: hit_sum / sum,
            precision: if holds > 0.0 { (hit / holds).min(1.0) } else { 0.0 },
            detection: (hit / all + 1.0 - outside.min(1.0)) / 2.0,
        }
    }

    /// A few tokens with a high F1 in a half, of which the points are: one after the other, each the one that raises it most, at most MOST.
    fn best_tokens(&self, points: &[Point], half: Half) -> Label {
        let mut active: BTreeMap<u32, Active> = BTreeMap::new();
        for point in points {
            if let Some(id) = self.token(point, 0) {
                let of = active.entry(id).or_default();
                of.hits += point.weight;
                of.sum += point.weight * f64::from(point.peak.value.abs());
                of.seen += 1;
            }
        }
        let mut left: Vec<(u32, Active)> = active
            .into_iter()
            .filter(|(_, of)| of.seen >= SEEN)
            .map(|(id, of)| {
                let there = self.lexicon.count(id, half) as f64;
                let hits = of.hits.min(there);
                (id, Active { hits, there, ..of })
            })
            .collect();
        let mut tokens: Vec<(u32, Active)> = Vec::new();
        // F1 is 2 · hits / (activations + positions of the tokens).
        let (mut hits, mut called, mut best) = (0.0, weight(points), 0.0);
        while tokens.len() < MOST {
            let f1 = |(_, of): &(u32, Active)| 2.0 * (hits + of.hits) / (called + of.there);
            // Of equal ones the lowest id.
            let Some((place, next)) = left
                .iter()
                .map(f1)
                .enumerate()
                .reduce(|most, next| if next.1 > most.1 { next } else { most })
                .filter(|(_, next)| *next > best)
            else {
                break;
            };
            let token = left.remove(place);
            (hits, called, best) = (hits + token.1.hits, called + token.1.there, next);
            tokens.push(token);
        }
        // Shown first: where the neuron is strongest in sum, and seldom silent.
        tokens.sort_by(|a, b| b.1.told().total_cmp(&a.1.told()).then(a.0.cmp(&b.0)));
        // Forms of a word are shown once.
        let mut shown: Vec<(String, u32)> = Vec::new();
        for (id, _) in &tokens {
            let form = word(&self.facts.text(*id));
            if shown.len() < SHOWN && shown.iter().all(|(other, _)| *other != form) {
                shown.push((form, *id));
            }
        }
        let mut text = listed(self.facts, &mut shown.iter().map(|(_, id)| *id));
        let more = tokens.len() - shown.len();
        if more > 0 {
            text += &format!(" +{more}");
        }
        let mut ids: Vec<u32> = tokens.into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        Label {
            text,
            rule: Rule::Tokens(ids),
        }
    }

    /// Whether two rules are about the same: equal, or sets of tokens of which, by their positions, half are common.
    fn same(&self, a: &Rule, b: &Rule) -> bool {
        let (Rule::Tokens(a), Rule::Tokens(b)) = (a, b) else {
            return a == b;
        };
        let holds = |ids: &mut dyn Iterator<Item = &u32>| ids.map(|id| self.lexicon.count(*id, None)).sum::<u64>();
        let common = holds(&mut a.iter().filter(|id| b.binary_search(id).is_ok()));
        let all = holds(&mut a.iter()) + holds(&mut b.iter()) - common;
        2 * common >= all && all > 0
    }

    fn lift(&self, place: Place, points: &[Point]) -> Option<f64> {
        let rule = Rule::Place(place);
        let base = self.lexicon.holds(&rule, None) as f64 / self.lexicon.positions(None).max(1) as f64;
        let known = self.facts.texts.is_some() || place.bit() < Place::Quoted.bit();
        (known && base > 0.0).then(|| self.score(&rule, points, None).recall / base)
    }
}

#[cfg(test)]
mod tests;
