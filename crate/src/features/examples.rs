//! Texts in which a neuron is active: its top activations, examples by quantile, and random ones.

use std::collections::BTreeSet;

use serde_json::{json, Value};

use super::accumulate::{window_start, LayerStatistics};
use super::json::number;
use super::peaks::{Peak, Window};
use super::record::{Ground, Record};
use super::{AFTER, BEFORE};

const QUANTILES: usize = 4;
/// Tokens before and after an example, except in top ones.
const SHORT: (usize, usize) = (8, 3);
/// Neighbors below this share of the neuron's largest magnitude are not shown, in a dense and in a TopK model.
const SHOWN_DENSE: f64 = 0.25;
const SHOWN_TOPK: f64 = 0.05;

/// How many examples there are: (top, per quantile, random). A dense model, which serves comparison, has fewer.
fn amounts(dense: bool) -> (usize, usize, usize) {
    if dense {
        (8, 1, 2)
    } else {
        (12, 2, 4)
    }
}

/// One example.
pub struct Example {
    pub peak: Peak,
    /// First position of `ids`.
    pub start: usize,
    pub ids: Vec<u32>,
    /// (offset into `ids`, value) of the activations shown.
    pub acts: Vec<(usize, f32)>,
}

/// Examples of a neuron.
pub struct Examples {
    pub top: Vec<Example>,
    /// (from, to, examples), the highest quarter of the draw first; see [`Examples::new`].
    pub quantiles: Vec<(f64, f64, Vec<Example>)>,
    pub random: Vec<Example>,
}

impl Examples {
    /// Top: the highest activations, from different documents as far as possible. Random: the first of the draw of 32 active
    /// positions. Quantiles: some of each quarter of that draw by rank, if possible not among the random ones.
    pub fn new(ground: &Ground<'_>, layer: &LayerStatistics, record: &Record<'_>) -> Examples {
        let dense = ground.facts.dense;
        let (most, each, at_random) = amounts(dense);
        let shown = if dense { SHOWN_DENSE } else { SHOWN_TOPK };
        let least = record
            .neuron
            .max()
            .map_or(0.0, |max| (shown * max.abs()) as f32)
            .max(f32::MIN_POSITIVE);
        let long = |peak: &Peak, window: &Window| example(ground.documents, least, peak, window, (BEFORE, AFTER));
        let short = |peak: &Peak, window: &Window| example(ground.documents, least, peak, window, SHORT);
        let drawn = &layer.samples[record.index].drawn;
        let random = drawn
            .iter()
            .take(at_random)
            .filter_map(|(_, peak, window)| short(peak, window))
            .collect();
        let mut ranked: Vec<usize> = (0..drawn.len()).collect();
        let rank = layer.ranks[record.neuron.tail];
        ranked.sort_by(|a, b| {
            rank.key(drawn[*b].1.value)
                .total_cmp(&rank.key(drawn[*a].1.value))
                .then(a.cmp(b))
        });
        let quantiles = (0..QUANTILES).map(|q| {
            let mut part = ranked[q * ranked.len() / QUANTILES..(q + 1) * ranked.len() / QUANTILES].to_vec();
            part.sort_by_key(|i| (*i < at_random, *i));
            let part = part
                .into_iter()
                .take(each)
                .filter_map(|i| short(&drawn[i].1, &drawn[i].2))
                .collect();
            let to = 1.0 - q as f64 / QUANTILES as f64;
            (to - 1.0 / QUANTILES as f64, to, part)
        });
        let peaks = &record.neuron.peaks;
        let top = first_of_documents(peaks, most)
            .into_iter()
            .filter_map(|i| long(&peaks[i].0, peaks[i].1.as_ref()?));
        Examples {
            top: top.collect(),
            quantiles: quantiles.collect(),
            random,
        }
    }
}

/// Which of the ranked activations are shown.
fn first_of_documents(peaks: &[(Peak, Option<Window>)], most: usize) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for (i, (peak, _)) in peaks.iter().enumerate() {
        if seen.insert(peak.document) {
            first.push(i);
        } else {
            again.push(i);
        }
    }
    first.truncate(most);
    first.extend(again.into_iter().take(most - first.len()));
    first.sort_unstable();
    first
}

fn example(
    documents: &[Vec<u32>],
    least: f32,
    peak: &Peak,
    window: &Window,
    (before, after): (usize, usize),
) -> Option<Example> {
    let document = documents.get(peak.document as usize)?;
    let position = peak.position as usize;
    let start = position.saturating_sub(before);
    let ids = document
        .get(start..(position + 1 + after).min(document.len()))?
        .to_vec();
    let kept = start - window_start(peak.position) as usize;
    let values = window.iter().skip(kept).take(ids.len()).copied().enumerate();
    Some(Example {
        peak: *peak,
        start,
        ids,
        acts: values
            .filter(|(offset, value)| value.abs() >= least || start + offset == position)
            .collect(),
    })
}

impl Example {
    fn json(&self) -> Value {
        let acts: Vec<Value> = self
            .acts
            .iter()
            .map(|(offset, value)| json!([offset, number(f64::from(*value))]))
            .collect();
        json!({
            "doc": self.peak.document,
            "pos": self.peak.position,
            "value": number(f64::from(self.peak.value)),
            "start": self.start,
            "ids": self.ids,
            "acts": acts,
        })
    }
}

/// The `examples` of a record.
pub fn json(ground: &Ground<'_>, layer: &LayerStatistics, record: &Record<'_>) -> Value {
    let examples = Examples::new(ground, layer, record);
    let list = |examples: &[Example]| examples.iter().map(Example::json).collect::<Vec<_>>();
    let quantiles: Vec<Value> = examples
        .quantiles
        .iter()
        .map(|(from, to, part)| json!({ "from": number(*from), "to": number(*to), "examples": list(part) }))
        .collect();
    json!({ "top": list(&examples.top), "quantiles": quantiles, "random": list(&examples.random) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_do_not_repeat_while_others_are_left() {
        let peak = |document| {
            let peak = Peak {
                document,
                ..Peak::default()
            };
            (peak, None)
        };
        let peaks: Vec<_> = [0, 0, 1, 0, 2].into_iter().map(peak).collect();
        assert_eq!(first_of_documents(&peaks, 12), [0, 1, 2, 3, 4]);
        let peaks: Vec<_> = [0, 0].into_iter().chain(1..20).map(peak).collect();
        assert_eq!(first_of_documents(&peaks, 12), [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    }
}
