//! `topk-lm analyze --sae`: what attached sparse autoencoders leave over, what splicing them in costs, and on which tokens their features
//! are active, over the same documents as the neurons.

use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use super::corpus::counted;
use super::facts::special_ids;
use super::json::{maybe, number};
use super::statistics::{count, entropy};
use super::{RARE_BELOW, TOP};
use crate::checkpoint::FolderSource;
use crate::config::Sae;
use crate::error::{fail, Result};
use crate::offline::files;
use crate::pace::Cancel;
use crate::session::{BackendChoice, Model, Reconstruction, RunOptions, SaeOptions, SaeQuality};

/// Version of `saes/{n}.json`.
const FORMAT: u32 = 1;
/// Tokens shown of a feature.
const TOKENS: usize = 10;

/// An autoencoder's folder, and how it is attached.
pub type SaeSource = (PathBuf, SaeOptions);

/// The strongest activations of a feature, and how often it was active.
#[derive(Clone, Debug, Default)]
struct Feature {
    active: u64,
    /// (activation, document, position, token), the strongest first; at most [`TOP`].
    top: Vec<(f32, usize, usize, u32)>,
}

impl Feature {
    fn add(&mut self, value: f32, document: usize, position: usize, token: u32) {
        self.active += 1;
        let at = self.top.partition_point(|(other, ..)| *other >= value);
        if at < TOP {
            self.top.insert(at, (value, document, position, token));
            self.top.truncate(TOP);
        }
    }

    /// Token types of the top activations, the most frequent first.
    fn tokens(&self) -> Vec<(u32, u32)> {
        count(self.top.iter().map(|top| top.3))
    }

    fn json(&self, index: usize, positions: u64) -> Value {
        let tokens = self.tokens();
        let n = self.top.len();
        let entropy = (n >= RARE_BELOW).then(|| entropy(&tokens));
        json!({
            "index": index,
            "density": number(self.active as f64 / positions.max(1) as f64),
            "max": maybe(self.top.first().map(|top| f64::from(top.0))),
            "n": n,
            "token_entropy": maybe(entropy),
            "tokens": tokens.iter().take(TOKENS).map(|(id, count)| json!([id, count])).collect::<Vec<_>>(),
        })
    }
}

/// Where the statistics of the n-th autoencoder stand, below the folder of all.
pub(super) fn file(n: usize) -> String {
    format!("saes/{n}.json")
}

/// Attaches all of `saes`, in the order given; an error names the folder.
pub fn attach(model: &Model, saes: &[SaeSource]) -> Result<()> {
    for (folder, options) in saes {
        let source = FolderSource::new(folder)?;
        pollster::block_on(model.attach_sae(&source, options)).map_err(|error| error.at(folder.display()))?;
    }
    Ok(())
}

/// The model of a folder with all of `saes` attached; an error names the folder that it is about.
pub fn attached(model: &Path, saes: &[SaeSource]) -> Result<Model> {
    let model = Model::open_on(model, BackendChoice::Cpu)?;
    attach(&model, saes)?;
    Ok(model)
}

/// Attaches all of `saes`, runs every document through them and writes `OUT/saes/{n}.json`; the sums over all documents.
pub fn analyze_saes(model: &Path, documents: &[Vec<u32>], saes: &[SaeSource], out: &Path) -> Result<SaeQuality> {
    let (model, cancel) = (attached(model, saes)?, Cancel::default());
    let attached = model.saes()?;
    let tokenizer = model.tokenizer().ok();
    let special = special_ids(model.config(), model.eos_token_ids(), tokenizer);
    let hooks: Vec<String> = attached
        .iter()
        .map(|sae| format!("{}.hook_sae_acts_post", sae.hook))
        .collect();
    let mut features: Vec<Vec<Feature>> = attached.iter().map(|sae| vec![Feature::default(); sae.d_sae]).collect();
    let mut total = SaeQuality::default();
    let mut positions = 0;
    // One token alone has no loss, and no position that counts.
    for (number, document) in documents.iter().enumerate().filter(|(_, document)| document.len() > 1) {
        let quality = pollster::block_on(model.sae_quality(document, &cancel))?;
        total.add(&quality);
        let options = RunOptions {
            hooks: hooks.clone(),
            ..RunOptions::default()
        };
        let run = pollster::block_on(model.run(document, &options, &cancel))?;
        let counted = counted(document, &special);
        positions += counted.iter().filter(|counted| **counted).count() as u64;
        for ((hook, sae), features) in hooks.iter().zip(&attached).zip(&mut features) {
            let rows = run.hooks[hook].data.chunks_exact(sae.d_sae);
            for (position, row) in rows.enumerate().filter(|(position, _)| counted[*position]) {
                for (feature, value) in features.iter_mut().zip(row).filter(|(_, value)| **value != 0.0) {
                    feature.add(*value, number, position, document[position]);
                }
            }
        }
    }
    if total.tokens == 0 {
        fail!(
            Argument,
            "--corpus has no document of two tokens or more, which --sae needs"
        );
    }
    for (n, ((sae, features), sums)) in attached.iter().zip(&features).zip(&total.saes).enumerate() {
        let object = report(sae, features, sums, &total, documents.len(), positions);
        files::write_whole(&out.join(file(n)), object.to_string().as_bytes())?;
    }
    Ok(total)
}

fn report(
    sae: &Sae,
    features: &[Feature],
    sums: &Reconstruction,
    total: &SaeQuality,
    documents: usize,
    positions: u64,
) -> Value {
    let dead = features.iter().filter(|feature| feature.active == 0).count();
    json!({
        "format": FORMAT,
        "hook": sae.hook,
        "kind": sae.kind.name(),
        "d_in": sae.d_in,
        "d_sae": sae.d_sae,
        "corpus": { "documents": documents, "positions": positions },
        "fvu": number(sums.fvu()),
        "mse": number(sums.mse()),
        "l0": number(sums.l0()),
        "dead": dead,
        "base_loss": number(total.base_loss),
        "spliced_loss": number(total.spliced_loss),
        "features": features.iter().enumerate().map(|(index, feature)| feature.json(index, positions)).collect::<Vec<_>>(),
    })
}
