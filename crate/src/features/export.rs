//! The neurons in the JSON that SAEDashboard writes for Neuronpedia: batches `{model_id, layer, sae_set, features}` whose features
//! have the keys of `NeuronpediaDashboardFeature` in sae-dashboard [`PACKAGE`]. A neuron is its own feature, so what compares an
//! autoencoder with its model (`neuron_alignment_*`, `correlated_*`, `decoder_weights_dist`, `vector`) is empty.

use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use super::examples::{Example, Examples};
use super::json::number;
use super::record::{Ground, Record};
use crate::error::{fail, Result};
use crate::offline::files;

/// The package version whose keys these are.
pub const PACKAGE: &str = "sae-dashboard 0.8.0";
/// Features in a file.
const BATCH: usize = 256;

/// Collects features layer by layer.
pub struct Export {
    folder: PathBuf,
    /// For each layer: number, features.
    layers: Vec<(usize, Vec<Value>)>,
    model: String,
    corpus: String,
    documents: u64,
    longest: usize,
}

impl Export {
    pub fn new(folder: &Path, ground: &Ground<'_>) -> Result<Export> {
        if ground.facts.texts.is_none() {
            fail!(
                Argument,
                "the export holds token texts, but the model has no tokenizer.json"
            );
        }
        Ok(Export {
            folder: folder.to_owned(),
            layers: ground.facts.layers.iter().map(|layer| (*layer, Vec::new())).collect(),
            model: ground.facts.model.clone(),
            corpus: ground.facts.corpus.files.join(" "),
            documents: ground.facts.corpus.documents,
            longest: ground.documents.iter().map(Vec::len).max().unwrap_or(0),
        })
    }

    pub fn add(&mut self, ground: &Ground<'_>, place: usize, record: &Record) {
        let layer = &ground.last.layers[place];
        let text = |id: &u32| ground.facts.text(*id);
        let (promoted, suppressed) = record.effects(ground.facts);
        let texts = |list: &[(u32, f64)]| list.iter().map(|(id, _)| text(id)).collect::<Vec<_>>();
        let values = |list: &[(u32, f64)]| list.iter().map(|(_, effect)| number(*effect)).collect::<Vec<_>>();
        let (from, to, heights) = record.histogram(layer);
        let width = (to - from) / heights.len() as f64;
        let middles: Vec<Value> = (0..heights.len())
            .map(|bin| number(from + (bin as f64 + 0.5) * width))
            .collect();
        let examples = Examples::new(ground, layer, record);
        // SAEDashboard's marks: −1, the maximum, −1 for the top examples; else the interval and its share.
        let max = record.neuron.max().unwrap_or(0.0);
        let mut activations = Vec::new();
        let mut put = |list: &[Example], bin: [f64; 3]| {
            for example in list {
                let mut values = vec![json!(0.0); example.ids.len()];
                for (offset, value) in &example.acts {
                    values[*offset] = number(f64::from(*value));
                }
                activations.push(json!({
                    "bin_min": number(bin[0]), "bin_max": number(bin[1]), "bin_contains": number(bin[2]),
                    "tokens": example.ids.iter().map(text).collect::<Vec<_>>(), "values": values,
                }));
            }
        };
        put(&examples.top, [-1.0, max, -1.0]);
        for (_, _, part) in &examples.quantiles {
            let of_part = || part.iter().map(|example| f64::from(example.peak.value));
            let (low, high) = (
                of_part().fold(f64::INFINITY, f64::min),
                of_part().fold(f64::NEG_INFINITY, f64::max),
            );
            put(part, [low, high, 0.25]);
        }
        let none: [u8; 0] = [];
        let feature = json!({
            "feature_index": record.index,
            "neuron_alignment_indices": none, "neuron_alignment_values": none, "neuron_alignment_l1": none,
            "correlated_neurons_indices": none, "correlated_neurons_l1": none, "correlated_neurons_pearson": none,
            "correlated_features_indices": none, "correlated_features_l1": none, "correlated_features_pearson": none,
            "neg_str": texts(&suppressed), "neg_values": values(&suppressed),
            "pos_str": texts(&promoted), "pos_values": values(&promoted),
            "frac_nonzero": number(record.density),
            "freq_hist_data_bar_values": middles, "freq_hist_data_bar_heights": heights,
            "logits_hist_data_bar_heights": none, "logits_hist_data_bar_values": none,
            "n_prompts_total": self.documents, "n_tokens_in_prompt": self.longest, "dataset": self.corpus,
            "activations": activations, "decoder_weights_dist": none, "vector": none,
        });
        self.layers[place].1.push(feature);
    }

    /// Writes `{layer}/batch-{n}.json`, and `schema.json` that names the package.
    pub fn finish(self) -> Result<()> {
        for (layer, features) in self.layers {
            for (n, features) in features.chunks(BATCH).enumerate() {
                let batch = json!({
                    "model_id": self.model, "layer": layer, "sae_set": format!("{}-neurons", self.model), "features": features,
                });
                let path = self.folder.join(format!("{layer}/batch-{n}.json"));
                files::write_whole(&path, batch.to_string().as_bytes())?;
            }
        }
        let schema = json!({ "schema": PACKAGE, "class": "sae_dashboard.neuronpedia.neuronpedia_dashboard.NeuronpediaDashboardBatch" });
        files::write_whole(&self.folder.join("schema.json"), schema.to_string().as_bytes())
    }
}
