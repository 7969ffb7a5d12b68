//! `--export` as its readers take it. SAEDashboard's `NeuronpediaDashboardBatch(**json)` refuses a key that it does not know; Neuronpedia's
//! converter from SAEDashboard's files looks up every key below, so that a missing one ends it, and takes the largest and smallest of
//! `values`, which must not be empty.

use std::process::Command;

use crate::common::{json, root};
use crate::{folder, record};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    model_id: String,
    layer: u64,
    sae_set: String,
    /// There, and a text or null.
    #[serde(deserialize_with = "Option::deserialize")]
    sae_id_suffix: Option<String>,
    features: Vec<Feature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // what is read is there, and of this type
struct Feature {
    feature_index: u64,
    neuron_alignment_indices: Vec<u64>,
    neuron_alignment_values: Vec<f64>,
    neuron_alignment_l1: Vec<f64>,
    correlated_neurons_indices: Vec<u64>,
    correlated_neurons_l1: Vec<f64>,
    correlated_neurons_pearson: Vec<f64>,
    correlated_features_indices: Vec<u64>,
    correlated_features_l1: Vec<f64>,
    correlated_features_pearson: Vec<f64>,
    neg_str: Vec<String>,
    neg_values: Vec<f64>,
    pos_str: Vec<String>,
    pos_values: Vec<f64>,
    frac_nonzero: f64,
    freq_hist_data_bar_values: Vec<f64>,
    freq_hist_data_bar_heights: Vec<f64>,
    logits_hist_data_bar_heights: Vec<f64>,
    logits_hist_data_bar_values: Vec<f64>,
    n_prompts_total: u64,
    n_tokens_in_prompt: u64,
    dataset: String,
    activations: Vec<Activation>,
    decoder_weights_dist: Vec<f64>,
    vector: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Activation {
    bin_min: f64,
    bin_max: f64,
    bin_contains: f64,
    tokens: Vec<String>,
    values: Vec<f64>,
    qualifying_token_index: usize,
}

#[test]
fn the_export_is_what_its_readers_look_up() {
    let folder = folder("reader");
    let (corpus, out, export) = (folder.join("mine.txt"), folder.join("features"), folder.join("export"));
    let text = "The dog ran to the park. Lily saw a big red ball, and she was happy.\n\n".repeat(20);
    std::fs::write(&corpus, text).unwrap();
    // An earlier export, of another model with more layers and wider ones, and a file of somebody's.
    for stale in ["0/batch-9.json", "77/batch-0.json", "78/batch-0.json", "78/notes.txt"].map(|name| export.join(name))
    {
        std::fs::create_dir_all(stale.parent().unwrap()).unwrap();
        std::fs::write(stale, "{}").unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_topk-lm"))
        .args(["analyze", "--model"])
        .arg(root().join("models/Llama-TopK-Stories-16M"))
        .args([
            "--corpus".as_ref(),
            corpus.as_os_str(),
            "--out".as_ref(),
            out.as_os_str(),
            "--export".as_ref(),
            export.as_os_str(),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    for stale in ["0/batch-9.json", "77", "78/batch-0.json"] {
        assert!(!export.join(stale).exists(), "{stale}");
    }
    assert!(export.join("78/notes.txt").is_file());

    let index = json(&out.join("index.json"));
    let d_model = index["d_model"].as_u64().unwrap();
    let mut activations = 0;
    for layer in index["layers"].as_array().unwrap() {
        let mut expected = 0..d_model;
        let mut batches = 0;
        loop {
            let path = export.join(format!("{layer}/batch-{batches}.json"));
            if !path.exists() {
                break;
            }
            batches += 1;
            let batch: Batch = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            assert_eq!(index["model"], batch.model_id.as_str());
            assert_eq!(layer, &Value::from(batch.layer));
            assert!(batch.sae_id_suffix.is_none() && !batch.sae_set.is_empty());
            for feature in &batch.features {
                assert_eq!(Some(feature.feature_index), expected.next());
                assert_eq!(feature.pos_str.len(), feature.pos_values.len());
                assert_eq!(feature.neg_str.len(), feature.neg_values.len());
                let bars = feature.freq_hist_data_bar_values.len();
                assert_eq!(feature.freq_hist_data_bar_heights.len(), bars);
                assert_eq!(feature.dataset, "mine.txt");
                let stored = record(&out, batch.layer as usize, feature.feature_index as usize);
                let top = stored["examples"]["top"].as_array().unwrap();
                for (number, activation) in feature.activations.iter().enumerate() {
                    activations += 1;
                    assert_eq!(activation.tokens.len(), activation.values.len());
                    assert!(!activation.values.is_empty());
                    assert!(activation.bin_min <= activation.bin_max || activation.bin_min == -1.0);
                    assert!(activation.bin_contains.is_finite());
                    // The peak of the window is where the example says.
                    let peak = activation.values[activation.qualifying_token_index];
                    if let Some(example) = top.get(number) {
                        assert_eq!(Some(peak), example["value"].as_f64());
                    }
                }
            }
        }
        assert!(batches > 1);
        assert_eq!(expected.next(), None);
    }
    assert!(activations > 1_000);
}
