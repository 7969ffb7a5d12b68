//! The neurons in the JSON that SAEDashboard writes for Neuronpedia: batches `{model_id, layer, sae_set, sae_id_suffix, features}` whose
//! features have the keys of `NeuronpediaDashboardFeature` in sae-dashboard [`PACKAGE`].
//!
//! A feature is made from a neuron's record as `features/` stores it, and nothing else of the neuron: so the site, which has only those files,
//! writes the same (`www/src/lib/dashboard.ts`). Both are tested on `tests/dashboard_vectors.json`. A neuron is its own feature, so what
//! compares an autoencoder with its model (`neuron_alignment_*`, `correlated_*`, `decoder_weights_dist`, `vector`) is empty.
//!
//! SAEDashboard marks the interval of values that an example comes from: (−1, maximum, −1) for the top ones, (smallest, largest value of
//! those shown, share of the positions) for those of a quantile; here (smallest, largest value of all, 1) for those drawn at random.

use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use super::examples;
use super::facts::Facts;
use super::record::{Ground, Record};
use crate::error::{fail, Result};
use crate::offline::files;

/// The package version whose keys these are.
pub const PACKAGE: &str = "sae-dashboard 0.8.0";
/// Features in a file.
const BATCH: usize = 256;

/// What every feature says of the corpus.
struct Corpus {
    documents: u64,
    tokens: u64,
    /// Names of its files.
    files: Vec<String>,
}

/// Collects features layer by layer.
pub struct Export {
    folder: PathBuf,
    /// For each layer: number, features.
    layers: Vec<(usize, Vec<Value>)>,
    model: String,
    corpus: Corpus,
}

impl Export {
    /// `tokens`: of the corpus.
    pub fn new(folder: &Path, facts: &Facts, tokens: u64) -> Result<Export> {
        if facts.texts.is_none() {
            fail!(
                Argument,
                "the export holds token texts, but the model has no tokenizer.json"
            );
        }
        Ok(Export {
            folder: folder.to_owned(),
            layers: facts.layers.iter().map(|layer| (*layer, Vec::new())).collect(),
            model: facts.model.clone(),
            corpus: Corpus {
                documents: facts.corpus.documents,
                tokens,
                files: facts.corpus.files.clone(),
            },
        })
    }

    pub fn add(&mut self, ground: &Ground<'_>, slot: usize, record: &Record<'_>) {
        let layer = &ground.last.layers[slot];
        let stored = record.json(ground, layer, examples::json(ground, layer, record));
        let feature = feature(&stored, &self.corpus, &|id| ground.facts.text(id));
        self.layers[slot].1.push(feature);
    }

    /// Writes `{layer}/batch-{n}.json`, and `schema.json` that names the package.
    pub fn finish(self) -> Result<()> {
        for (layer, features) in self.layers {
            for (n, features) in features.chunks(BATCH).enumerate() {
                let path = self.folder.join(format!("{layer}/batch-{n}.json"));
                files::write_whole(&path, batch(&self.model, layer, features).to_string().as_bytes())?;
            }
        }
        let schema = json!({ "schema": PACKAGE, "class": "sae_dashboard.neuronpedia.neuronpedia_dashboard.NeuronpediaDashboardBatch" });
        files::write_whole(&self.folder.join("schema.json"), schema.to_string().as_bytes())
    }
}

/// Features of one layer.
fn batch(model: &str, layer: usize, features: &[Value]) -> Value {
    json!({
        "model_id": model, "layer": layer, "sae_set": format!("{model}-neurons"), "sae_id_suffix": null, "features": features,
    })
}

/// A whole number without ".0".
fn plain(x: f64) -> Value {
    if x.fract() == 0.0 && x.abs() < 1e15 {
        Value::from(x as i64)
    } else {
        Value::from(x)
    }
}

/// The elements of a list; none where there is no list.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// One neuron, from its record as `features/` stores it.
fn feature(record: &Value, corpus: &Corpus, text: &dyn Fn(u32) -> String) -> Value {
    let of_id = |id: &Value| text(id.as_u64().and_then(|id| u32::try_from(id).ok()).unwrap_or(u32::MAX));
    let texts = |effects: &Value| list(effects).iter().map(|effect| of_id(&effect[0])).collect::<Vec<_>>();
    let values = |effects: &Value| list(effects).iter().map(|effect| effect[1].clone()).collect::<Vec<_>>();
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let histogram = &record["histogram"];
    let (from, to, heights) = (
        number(&histogram["min"]),
        number(&histogram["max"]),
        list(&histogram["counts"]),
    );
    let width = (to - from) / heights.len().max(1) as f64;
    let middles: Vec<Value> = (0..heights.len())
        .map(|bin| plain(from + (bin as f64 + 0.5) * width))
        .collect();

    let mut activations = Vec::new();
    let mut put = |examples: &Value, bin: [f64; 3]| {
        for example in list(examples) {
            let ids = list(&example["ids"]);
            let mut values = vec![json!(0); ids.len()];
            for act in list(&example["acts"]) {
                let offset = act[0].as_u64().map_or(usize::MAX, |offset| offset as usize);
                if let Some(value) = values.get_mut(offset) {
                    *value = act[1].clone();
                }
            }
            let position = |key: &str| example[key].as_u64().unwrap_or(0);
            activations.push(json!({
                "bin_min": plain(bin[0]), "bin_max": plain(bin[1]), "bin_contains": plain(bin[2]),
                "tokens": ids.iter().map(of_id).collect::<Vec<_>>(), "values": values,
                "qualifying_token_index": position("pos").saturating_sub(position("start")),
            }));
        }
    };
    let examples = &record["examples"];
    put(&examples["top"], [-1.0, number(&record["max"]), -1.0]);
    for quantile in list(&examples["quantiles"]) {
        let shown = || {
            list(&quantile["examples"])
                .iter()
                .map(|example| number(&example["value"]))
        };
        let (low, high) = (
            shown().fold(f64::INFINITY, f64::min),
            shown().fold(f64::NEG_INFINITY, f64::max),
        );
        put(
            &quantile["examples"],
            [low, high, number(&quantile["to"]) - number(&quantile["from"])],
        );
    }
    put(&examples["random"], [from, to, 1.0]);

    let none: [u8; 0] = [];
    json!({
        "feature_index": record["index"],
        "neuron_alignment_indices": none, "neuron_alignment_values": none, "neuron_alignment_l1": none,
        "correlated_neurons_indices": none, "correlated_neurons_l1": none, "correlated_neurons_pearson": none,
        "correlated_features_indices": none, "correlated_features_l1": none, "correlated_features_pearson": none,
        "neg_str": texts(&record["suppressed"]), "neg_values": values(&record["suppressed"]),
        "pos_str": texts(&record["promoted"]), "pos_values": values(&record["promoted"]),
        "frac_nonzero": plain(number(&record["density"])),
        "freq_hist_data_bar_values": middles, "freq_hist_data_bar_heights": heights,
        "logits_hist_data_bar_heights": none, "logits_hist_data_bar_values": none,
        // Prompts × tokens in each is the size of the corpus there; ours differ in length.
        "n_prompts_total": corpus.documents,
        "n_tokens_in_prompt": (corpus.tokens + corpus.documents / 2) / corpus.documents.max(1),
        "dataset": corpus.files.join(" "),
        "activations": activations, "decoder_weights_dist": none, "vector": none,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_those_of_the_shared_vectors() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/dashboard_vectors.json");
        let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let corpus = Corpus {
            documents: vectors["corpus"]["documents"].as_u64().unwrap(),
            tokens: vectors["corpus"]["tokens"].as_u64().unwrap(),
            files: serde_json::from_value(vectors["corpus"]["files"].clone()).unwrap(),
        };
        let vocabulary: Vec<String> = serde_json::from_value(vectors["vocabulary"].clone()).unwrap();
        let text = |id: u32| vocabulary.get(id as usize).cloned().unwrap_or_default();
        let features: Vec<Value> = list(&vectors["records"])
            .iter()
            .map(|record| feature(record, &corpus, &text))
            .collect();
        assert!(!features.is_empty());
        for (feature, expected) in features.iter().zip(list(&vectors["batch"]["features"])) {
            for (key, value) in expected.as_object().unwrap() {
                assert_eq!(&feature[key], value, "{key} of neuron {}", expected["feature_index"]);
            }
        }
        let model = vectors["model"].as_str().unwrap();
        let layer = vectors["layer"].as_u64().unwrap() as usize;
        assert_eq!(batch(model, layer, &features), vectors["batch"]);
    }
}
