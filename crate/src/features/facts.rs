//! Everything in the files that is not counted: the model, the corpus, the tokens, the direct effects on the logits, the
//! clusters. It is the same in every shard, so that `merge` needs nothing else.

use std::cmp::Ordering;
#[cfg(feature = "cli")]
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::accumulate::Statistics;
use super::cluster::Clusters;
use super::json::round4;
use super::peaks::Rank;
use super::FORMAT;
use crate::config::{Config, Norm};
use crate::error::{fail, Code, Error, Result};
use crate::exec::cpu::CpuEngine;
use crate::pace::pause;
use crate::tokenizer::Tokenizer;
use crate::weights::Weight;

/// How many promoted and suppressed tokens are kept.
const EFFECTS: usize = 10;
/// Most layers a facts file may name.
#[cfg(feature = "cli")]
const MOST_LAYERS: usize = 4096;
/// Most tokens of a vocabulary: each is counted.
#[cfg(feature = "cli")]
const MOST_TOKENS: usize = 1 << 24;

/// The corpus, as `index.json` names it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CorpusFacts {
    /// Names of the files, without folders.
    pub files: Vec<String>,
    pub documents: u64,
    /// Of the files' bytes, concatenated.
    pub sha256: String,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub format: u32,
    pub model: String,
    pub dense: bool,
    pub d_model: usize,
    pub d_vocab: usize,
    pub layers: Vec<usize>,
    pub topk_k: Option<usize>,
    pub by_magnitude: bool,
    /// `training_step` of config.json.
    pub step: Option<u64>,
    /// The checkpoints, ascending, without the final weights.
    pub steps: Vec<u64>,
    pub corpus: CorpusFacts,
    /// Token ids whose positions do not count.
    pub special: Vec<u32>,
    /// The text of each token; absent without a tokenizer.
    pub texts: Option<Vec<String>>,
    /// For each index, the tokens with the largest and the smallest direct effect (`effects`).
    pub promoted: Vec<Effects>,
    pub suppressed: Vec<Effects>,
    pub clusters: Option<Clusters>,
    /// Fingerprints of the weights, the final ones first.
    pub weights: Vec<String>,
    /// What computed the residual streams, if not the CPU: its last bits are others, so its shards do not go with the CPU's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
}

/// A loaded model, as far as the facts come from it.
pub struct Subject<'a> {
    pub name: String,
    pub config: &'a Config,
    /// `config.json` as it is.
    pub config_json: &'a [u8],
    pub eos: &'a [u32],
    pub tokenizer: Option<&'a Tokenizer>,
    pub engine: &'a CpuEngine,
}

impl Facts {
    /// Everything about a model, for an empty corpus and without clusters.
    pub async fn new(model: &Subject<'_>) -> Result<Facts> {
        let config = model.config;
        let dense = config.topk.is_none();
        let layers: Vec<usize> = (0..config.n_layers)
            .filter(|layer| dense || config.is_topk_block(*layer))
            .collect();
        if layers.is_empty() {
            fail!(
                Argument,
                "the model has no TopK block (n_nontopk covers them all), hence no neurons to analyze"
            );
        }
        let step = Ours::read(model.config_json)?.training_step;
        let texts = match model.tokenizer {
            Some(tokenizer) => Some(tokenizer.tokens(&(0..config.d_vocab as u32).collect::<Vec<_>>())?),
            None => None,
        };
        let (promoted, suppressed) = effects(model.engine).await?;
        Ok(Facts {
            format: FORMAT,
            model: model.name.clone(),
            dense,
            d_model: config.d_model,
            d_vocab: config.d_vocab,
            layers,
            topk_k: config.topk.map(|cut| cut.k),
            by_magnitude: config
                .topk
                .is_some_and(|cut| cut.select == crate::numerics::order::Select::Abs),
            step,
            steps: Vec::new(),
            corpus: CorpusFacts::default(),
            special: special_ids(config, model.eos, model.tokenizer),
            clusters: None,
            texts,
            promoted,
            suppressed,
            weights: Vec::new(),
            backend: None,
        })
    }

    /// How positions are ranked: by both tails in a dense model.
    pub fn ranks(&self) -> &'static [Rank] {
        match (self.dense, self.by_magnitude) {
            (true, _) => &[Rank::Value, Rank::Negative],
            (false, true) => &[Rank::Magnitude],
            (false, false) => &[Rank::Value],
        }
    }

    /// Empty statistics from a document on; `full`: with examples and histograms, which a checkpoint has none of.
    pub fn empty(&self, full: bool, from: u64) -> Statistics {
        Statistics::new(&self.layers, self.d_model, self.ranks(), full, from)
    }

    /// Refuses what no run can have written: a shard comes from outside.
    #[cfg(feature = "cli")]
    pub fn check(&self, path: &Path) -> Result<()> {
        let id = |id: &u32| (*id as usize) < self.d_vocab;
        let lists = self.promoted.iter().chain(&self.suppressed);
        let fits = self.format == FORMAT
            && self.d_model > 0
            && (1..=MOST_TOKENS).contains(&self.d_vocab)
            && (1..=MOST_LAYERS).contains(&self.layers.len())
            && self.layers.is_sorted_by(|a, b| a < b)
            && self.steps.is_sorted_by(|a, b| a < b)
            && self.promoted.len() == self.d_model
            && self.suppressed.len() == self.d_model
            && lists.flatten().all(|(token, effect)| id(token) && effect.is_finite())
            && self.special.iter().all(id)
            && self.texts.as_ref().is_none_or(|texts| texts.len() == self.d_vocab)
            && self
                .clusters
                .as_ref()
                .is_none_or(|c| c.cluster.len() == self.d_vocab && c.cluster.iter().all(id))
            && (self.steps.is_empty() || self.step.is_some())
            && u32::try_from(self.corpus.documents).is_ok();
        if !fits {
            fail!(Checkpoint, "{} is not what a run of analyze writes", path.display());
        }
        Ok(())
    }

    /// Text of a token; its id without a tokenizer.
    pub fn text(&self, id: u32) -> String {
        match &self.texts {
            Some(texts) => texts.get(id as usize).cloned().unwrap_or_default(),
            None => format!("#{id}"),
        }
    }

    pub fn cluster_of(&self, id: u32) -> Option<u32> {
        self.clusters.as_ref()?.cluster.get(id as usize).copied()
    }
}

/// This project's own keys of config.json that no executor needs.
#[derive(Deserialize)]
pub struct Ours {
    #[serde(default)]
    training_step: Option<u64>,
    #[cfg(feature = "cli")]
    #[serde(default)]
    pub dense_twin: Option<String>,
}

impl Ours {
    pub fn read(config_json: &[u8]) -> Result<Ours> {
        serde_json::from_slice(config_json).map_err(|_| {
            let message =
                "config.json: training_step must be a whole number of at least 0, and dense_twin the name of a folder";
            Error::new(Code::Config, message)
        })
    }
}

/// BOS, eos, and what the tokenizer calls special; ascending.
pub fn special_ids(config: &Config, eos: &[u32], tokenizer: Option<&Tokenizer>) -> Vec<u32> {
    let mut ids: Vec<u32> = eos.to_vec();
    ids.extend(&config.eos_token_ids);
    ids.extend(config.bos_token_id);
    ids.extend(tokenizer.iter().flat_map(|tokenizer| tokenizer.special_ids()));
    ids.retain(|id| (*id as usize) < config.d_vocab);
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Tokens with their effects, strongest first.
pub type Effects = Vec<(u32, f64)>;

/// γ_final[i] · W_U[token, i], less its mean over i where the last norm takes the mean away: the largest and the smallest of each index.
async fn effects(engine: &CpuEngine) -> Result<(Vec<Effects>, Vec<Effects>)> {
    let (config, weights) = (engine.config(), engine.weights());
    let head = weights.get(config.head())?;
    let (rows, gain) = (head.to_f32(), weights.get(Weight::FinalNormGain)?.vector());
    let effect = |token: usize, index: usize| f64::from(gain[index] * rows[token * head.stride + index]);
    let mean = |token| (0..config.d_model).map(|index| effect(token, index)).sum::<f64>() / config.d_model as f64;
    let means: Vec<f64> = match config.norm {
        Norm::Rms => vec![0.0; config.d_vocab],
        Norm::Layer => (0..config.d_vocab).map(mean).collect(),
    };
    let (mut promoted, mut suppressed) = (Vec::new(), Vec::new());
    for index in 0..config.d_model {
        let of = means.iter().enumerate();
        let mut of: Effects = of
            .map(|(token, mean)| (token as u32, effect(token, index) - mean))
            .collect();
        // JSON has no number for it, and the facts are read again behind all documents.
        if let Some((token, _)) = of.iter().find(|(_, effect)| !effect.is_finite()) {
            fail!(
                NonFinite,
                "the weights of the last norm or of token {token} in the head are infinite, NaN or too large"
            );
        }
        promoted.push(first(&mut of, |a, b| b.1.total_cmp(&a.1)));
        suppressed.push(first(&mut of, |a, b| a.1.total_cmp(&b.1)));
        pause().await;
    }
    Ok((promoted, suppressed))
}

/// The first [`EFFECTS`] in an order, lower ids first at a tie; then rounded.
fn first(of: &mut Effects, order: impl Fn(&(u32, f64), &(u32, f64)) -> Ordering) -> Effects {
    let order = |a: &(u32, f64), b: &(u32, f64)| order(a, b).then(a.0.cmp(&b.0));
    let kept = of.len().min(EFFECTS);
    if kept < of.len() {
        of.select_nth_unstable_by(kept, order);
    }
    let mut first = of[..kept].to_vec();
    first.sort_by(order);
    first
        .into_iter()
        .map(|(token, effect)| (token, round4(effect)))
        .collect()
}
