//! `steps/`: scalars and ten top tokens for every checkpoint. The scalars appear twice: as columns over all neurons, and with
//! the tokens of each neuron, so that the page of one neuron needs one small file.

use serde_json::{json, Map, Value};

use super::accumulate::Statistics;
use super::json::{column, maybe, number};
use super::record::{clusters, semantic_entropy, Ground, Neuron, Record};
use super::FORMAT;

/// Tokens per checkpoint.
const TOKENS: usize = 10;

/// Collects the columns while records pass, index by index.
#[derive(Default)]
pub struct StepColumns {
    /// Each `[step][neuron]`.
    columns: Vec<(&'static str, Vec<Vec<Value>>)>,
}

impl StepColumns {
    /// Adds a neuron; returns its object for a file of `steps/layer{L}/`.
    pub fn add(&mut self, ground: &Ground<'_>, slot: usize, record: &Record<'_>) -> Value {
        let (neurons, at) = (ground.neurons(), ground.neuron(slot, record.index));
        let empty = || vec![vec![Value::Null; neurons]; ground.steps.len() + 1];
        let tail = Some(record.neuron.tail);
        let mut tokens = Vec::new();
        let all = ground.steps.iter().chain([ground.last]);
        let distances = record.distances.iter().copied().chain([0.0]);
        for (step, (statistics, distance)) in all.zip(distances).enumerate() {
            let layer = &statistics.layers[slot];
            let neuron = Neuron::new(ground.documents, layer, record.index, tail);
            let values = [
                ("density", number(density(statistics, slot, record.index))),
                ("max", maybe(neuron.max())),
                ("n", json!(neuron.n())),
                ("token_entropy", maybe(neuron.token_entropy())),
                (
                    "semantic_entropy",
                    maybe(semantic_entropy(clusters(ground.facts, &neuron.tokens).as_ref())),
                ),
                ("js_to_final", number(distance)),
            ];
            for (name, value) in values {
                column(&mut self.columns, name, empty)[step][at] = value;
            }
            tokens.push(
                neuron
                    .tokens
                    .iter()
                    .take(TOKENS)
                    .map(|(id, n)| json!([id, n]))
                    .collect::<Vec<_>>(),
            );
        }
        let mut object = json!({ "index": record.index, "tokens": tokens });
        for (name, of) in &self.columns {
            object[*name] = of.iter().map(|values| values[at].clone()).collect();
        }
        object
    }

    /// `steps/columns.json`
    pub fn json(self, ground: &Ground<'_>) -> Value {
        let columns = self.columns.into_iter();
        let columns: Map<String, Value> = columns.map(|(name, column)| (name.to_owned(), column.into())).collect();
        json!({ "format": FORMAT, "steps": all_steps(ground), "layers": ground.facts.layers, "columns": columns })
    }
}

fn density(statistics: &Statistics, slot: usize, index: usize) -> f64 {
    statistics.layers[slot].active[index] as f64 / statistics.positions.max(1) as f64
}

/// The checkpoints and the final weights; empty if no checkpoint was analyzed.
pub fn all_steps(ground: &Ground<'_>) -> Vec<u64> {
    if ground.steps.is_empty() {
        return Vec::new();
    }
    ground.facts.steps.iter().copied().chain(ground.facts.step).collect()
}
