//! What a neuron reads: the tokens at fixed shares of its activations, a label, and how well that label tells where the neuron is active.
//! [docs/statistics.md](../../../docs/statistics.md) has the definitions.

use std::collections::BTreeMap;

use serde_json::{json, Value};

use super::bands::{strongest, weight, Point};
use super::facts::Facts;
use super::json::{maybe, number};
use super::kinds::word;
use super::labels::{label, listed, Evidence, Label, SHOWN};
use super::peaks::{mix, Peak};
use super::places::{Place, PLACES};
use super::rules::{Lexicon, Rule};
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
    /// F1 on the half of the documents (of a document alone, its other stretches) that the label was not made from, mean of both ways.
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
        let isolated = corpus.documents.len() == 1;
        let halves = [0, 1].map(|half| -> Vec<Point> { of_half(points, half, isolated) });
        let [even, odd] = &halves;
        let f1_of =
            |rules: [&Rule; 2]| (corpus.score(rules[0], odd, 2.0).f1() + corpus.score(rules[1], even, 2.0).f1()) / 2.0;
        let mut found: Vec<(f64, Label, bool)> = Vec::new();
        let mut shares = Vec::new();
        for share in SHARES.into_iter().map(Some).chain([None]) {
            let (tokens, whole) = corpus.label(points, share);
            let [a, b] = [even, odd].map(|half| corpus.label(half, share).1);
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
        let best = |points: &[Point], scale: f64| corpus.best_tokens(points, scale);
        let [a, b] = [best(even, 2.0), best(odd, 2.0)];
        let same = corpus.same(&a.rule, &b.rule);
        found.push((f1_of([&a.rule, &b.rule]), best(points, 1.0), same));
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
            score: corpus.score(&label.rule, points, 1.0),
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

/// Positions side by side that belong to one half, where there is but one document.
const STRETCH: u32 = 16;

/// The points in documents of even or of odd number; of a document alone, those in every other stretch of it.
fn of_half(points: &[Point], half: u32, isolated: bool) -> Vec<Point> {
    let number = |peak: &Peak| match isolated {
        true => peak.position / STRETCH,
        false => peak.document,
    };
    let own = points.iter().filter(|point| number(&point.peak) % 2 == half);
    own.copied().collect()
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
        let label = label(&evidence, self.facts);
        (tokens, label)
    }

    /// The score of a rule; `scale` is how many times as many activations there are as the points stand for (2 for a half).
    pub fn score(&self, rule: &Rule, points: &[Point], scale: f64) -> Score {
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
        let (positions, holds) = (self.lexicon.positions as f64, self.lexicon.holds(rule) as f64);
        if all == 0.0 || positions == 0.0 {
            return Score::default();
        }
        let (hit, all) = (hit * scale, all * scale);
        let outside = (holds - hit).max(0.0) / (positions - all).max(1.0);
        Score {
            recall: hit / all,
            explained: hit_sum / sum,
            precision: if holds > 0.0 { (hit / holds).min(1.0) } else { 0.0 },
            detection: (hit / all + 1.0 - outside.min(1.0)) / 2.0,
        }
    }

    /// A few tokens with a high F1: one after the other, each the one that raises it most, at most MOST.
    fn best_tokens(&self, points: &[Point], scale: f64) -> Label {
        let mut active: BTreeMap<u32, Active> = BTreeMap::new();
        for point in points {
            if let Some(id) = self.token(point, 0) {
                let of = active.entry(id).or_default();
                of.hits += point.weight * scale;
                of.sum += point.weight * f64::from(point.peak.value.abs());
                of.seen += 1;
            }
        }
        let mut left: Vec<(u32, Active)> = active
            .into_iter()
            .filter(|(_, of)| of.seen >= SEEN)
            .map(|(id, of)| {
                let there = self.lexicon.count(id) as f64;
                let hits = of.hits.min(there);
                (id, Active { hits, there, ..of })
            })
            .collect();
        let mut tokens: Vec<(u32, Active)> = Vec::new();
        // F1 is 2 · hits / (activations + positions of the tokens).
        let (mut hits, mut called, mut best) = (0.0, weight(points) * scale, 0.0);
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
        let holds = |ids: &mut dyn Iterator<Item = &u32>| ids.map(|id| self.lexicon.count(*id)).sum::<u64>();
        let common = holds(&mut a.iter().filter(|id| b.binary_search(id).is_ok()));
        let all = holds(&mut a.iter()) + holds(&mut b.iter()) - common;
        2 * common >= all && all > 0
    }

    fn lift(&self, place: Place, points: &[Point]) -> Option<f64> {
        let rule = Rule::Place(place);
        let base = self.lexicon.holds(&rule) as f64 / self.lexicon.positions.max(1) as f64;
        let known = self.facts.texts.is_some() || place.bit() < Place::Quoted.bit();
        (known && base > 0.0).then(|| self.score(&rule, points, 1.0).recall / base)
    }
}

#[cfg(test)]
mod tests;
