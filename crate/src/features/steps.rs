//! `steps/`: scalars and ten top tokens for every checkpoint. The scalars appear twice: as columns over all neurons, and with
//! the tokens of each neuron, so that the page of one neuron needs one small file.

use serde_json::{json, Map, Value};

use super::accumulate::Statistics;
use super::json::{maybe, number};
use super::record::{clusters, semantic_entropy, Ground, Neuron, Record};
use super::FORMAT;

/// Tokens per checkpoint.
const TOKENS: usize = 10;
const COLUMNS: [&str; 6] = [
    "density",
    "max",
    "n",
    "token_entropy",
    "semantic_entropy",
    "js_to_final",
];

/// Collects the columns while records pass, index by index.
pub struct StepColumns {
    /// `[column][step][neuron]`
    columns: Vec<Vec<Vec<Value>>>,
}

impl StepColumns {
    pub fn new(ground: &Ground<'_>) -> StepColumns {
        let neurons = ground.facts.layers.len() * ground.facts.d_model;
        StepColumns {
            columns: vec![vec![vec![Value::Null; neurons]; ground.steps.len() + 1]; COLUMNS.len()],
        }
    }

    /// Adds a neuron; returns its object for a file of `steps/layer{L}/`.
    pub fn add(&mut self, ground: &Ground<'_>, slot: usize, record: &Record<'_>) -> Value {
        let column = slot * ground.facts.d_model + record.index;
        let tail = Some(record.neuron.tail);
        let mut tokens = Vec::new();
        let all = ground.steps.iter().chain([ground.last]);
        let distances = record.distances.iter().copied().chain([0.0]);
        for (step, (statistics, distance)) in all.zip(distances).enumerate() {
            let layer = &statistics.layers[slot];
            let neuron = Neuron::new(ground.documents, layer, record.index, tail);
            let values = [
                number(density(statistics, slot, record.index)),
                maybe(neuron.max()),
                json!(neuron.n()),
                maybe(neuron.token_entropy()),
                maybe(semantic_entropy(clusters(ground.facts, &neuron.tokens).as_ref())),
                number(distance),
            ];
            for (of, value) in self.columns.iter_mut().zip(values) {
                of[step][column] = value;
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
        for (name, of) in COLUMNS.iter().zip(&self.columns) {
            object[*name] = of.iter().map(|values| values[column].clone()).collect();
        }
        object
    }

    /// `steps/columns.json`
    pub fn json(self, ground: &Ground<'_>) -> Value {
        let columns: Map<String, Value> = COLUMNS
            .iter()
            .zip(self.columns)
            .map(|(name, column)| ((*name).to_owned(), json!(column)))
            .collect();
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
