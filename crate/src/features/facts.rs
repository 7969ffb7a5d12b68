//! Everything in the files that is not counted: the model, the corpus, the tokens, the direct effects on the logits, the
//! clusters. It is the same in every shard, so that `merge` needs nothing else.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::cluster::{self, Clusters};
use super::json::round4;
use super::FORMAT;
use crate::checkpoint::{self, FolderSource};
use crate::config::Config;
use crate::error::{fail, Code, Error, Result};
use crate::exec::cpu::CpuEngine;
use crate::offline::OfflineModel;
use crate::tokenizer::Tokenizer;
use crate::weights::Weight;

/// How many promoted and suppressed tokens are kept.
const EFFECTS: usize = 10;
/// Most layers a facts file may name.
const MOST_LAYERS: usize = 4096;

/// The corpus, as `index.json` names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// For each index, the tokens with the largest and the smallest γ_final[i] · W_U[:, i].
    pub promoted: Vec<Effects>,
    pub suppressed: Vec<Effects>,
    pub clusters: Option<Clusters>,
    /// Fingerprints of the weights, the final ones first.
    pub weights: Vec<String>,
}

impl Facts {
    /// Collects everything about a model and its corpus.
    pub fn gather(
        model: &OfflineModel,
        corpus: CorpusFacts,
        steps: &[u64],
        twin: Option<&Path>,
        notice: &mut dyn FnMut(&str),
    ) -> Result<Facts> {
        let config = &model.config;
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
        let step = ours(model)?.training_step;
        if step.is_none() && !steps.is_empty() {
            fail!(
                Config,
                "config.json has no training_step, which --checkpoints needs to place the final weights among the steps"
            );
        }
        let texts = match &model.tokenizer {
            Some(tokenizer) => Some(tokenizer.tokens(&(0..config.d_vocab as u32).collect::<Vec<_>>())?),
            None => None,
        };
        let (promoted, suppressed) = effects(&model.engine)?;
        let mut weights = vec![model.fingerprint("")?];
        for step in steps {
            weights.push(model.fingerprint(&format!("step{step}/"))?);
        }
        Ok(Facts {
            format: FORMAT,
            model: name_of(model.source.root()),
            dense,
            d_model: config.d_model,
            d_vocab: config.d_vocab,
            layers,
            topk_k: config.topk.map(|cut| cut.k),
            by_magnitude: config
                .topk
                .is_some_and(|cut| cut.select == crate::numerics::order::Select::Abs),
            step,
            steps: steps.to_vec(),
            corpus,
            special: special_ids(&model.config, model.eos_token_ids(), model.tokenizer.as_deref()),
            clusters: clusters(model, texts.as_deref(), twin, notice)?,
            texts,
            promoted,
            suppressed,
            weights,
        })
    }

    /// Refuses what no run can have written: a shard comes from outside.
    pub fn check(&self, path: &Path) -> Result<()> {
        let id = |id: &u32| (*id as usize) < self.d_vocab;
        let lists = self.promoted.iter().chain(&self.suppressed);
        let fits = self.format == FORMAT
            && self.d_model > 0
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

/// The name of a folder, after resolving links and dots.
fn name_of(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// This project's own keys of config.json that no executor needs.
#[derive(Deserialize)]
struct Ours {
    #[serde(default)]
    training_step: Option<u64>,
    #[serde(default)]
    dense_twin: Option<String>,
}

fn ours(model: &OfflineModel) -> Result<Ours> {
    let bytes = pollster::block_on(checkpoint::read_config_bytes(&model.source))?;
    serde_json::from_slice(&bytes).map_err(|_| {
        let message =
            "config.json: training_step must be a whole number of at least 0, and dense_twin the name of a folder";
        Error::new(Code::Config, message)
    })
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

/// γ_final[i] · W_U[token, i]: the largest and the smallest of each index.
fn effects(engine: &CpuEngine) -> Result<(Vec<Effects>, Vec<Effects>)> {
    let (config, weights) = (engine.config(), engine.weights());
    let head = weights.get(config.head())?;
    let (rows, gain) = (head.to_f32(), weights.get(Weight::FinalNormGain)?.vector());
    let (mut promoted, mut suppressed) = (Vec::new(), Vec::new());
    for index in 0..config.d_model {
        let mut of: Vec<(u32, f64)> = (0..config.d_vocab)
            .map(|token| {
                (
                    token as u32,
                    round4(f64::from(gain[index] * rows[token * head.stride + index])),
                )
            })
            .collect();
        of.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        promoted.push(of.iter().take(EFFECTS).copied().collect());
        of.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        suppressed.push(of.into_iter().take(EFFECTS).collect());
    }
    Ok((promoted, suppressed))
}

/// Clusters the tokens of the dense twin, which the command line, manifest.json or config.json names. A dense model is its own.
fn clusters(
    model: &OfflineModel,
    texts: Option<&[String]>,
    twin: Option<&Path>,
    notice: &mut dyn FnMut(&str),
) -> Result<Option<Clusters>> {
    let own = model.config.topk.is_none();
    let manifest = pollster::block_on(checkpoint::read_manifest(&model.source))?;
    let named = manifest
        .and_then(|manifest| manifest.dense_twin)
        .or(ours(model)?.dense_twin);
    let (folder, source) = match (twin, named) {
        (Some(folder), _) => (folder.to_owned(), format!("../{}", name_of(folder))),
        (None, _) if own => (model.source.root().to_owned(), ".".to_owned()),
        (None, Some(name)) => {
            let folder = model.source.root().join(&name);
            if !folder.is_dir() {
                fail!(
                    Argument,
                    "dense_twin is {name:?}, but {} is not a folder; choose another with --twin",
                    folder.display()
                );
            }
            (folder, name)
        }
        (None, None) => {
            notice("no dense twin (neither --twin, manifest.json nor config.json names one), so semantic entropies are null");
            return Ok(None);
        }
    };
    let loaded;
    let engine = if own && twin.is_none() {
        &model.engine
    } else {
        let source = FolderSource::new(&folder)?;
        let config = pollster::block_on(checkpoint::read_config(&source))?;
        check_twin(&model.config, &config, &folder)?;
        loaded = pollster::block_on(crate::offline::load_engine(&source, "", &config))?;
        &loaded
    };
    if model.config.d_vocab > cluster::MOST_TOKENS {
        notice("the vocabulary is too large to cluster, so semantic entropies are null");
        return Ok(None);
    }
    let embedding = engine.weights().get(Weight::Embed)?;
    Ok(Some(cluster::cluster(
        &embedding.to_f32(),
        embedding.stride,
        engine.config().d_model,
        texts,
        &source,
    )))
}

fn check_twin(model: &Config, twin: &Config, folder: &Path) -> Result<()> {
    if twin.d_vocab != model.d_vocab {
        fail!(
            Argument,
            "the twin {} has {} tokens, but the model has {}; it must share its tokenizer",
            folder.display(),
            twin.d_vocab,
            model.d_vocab
        );
    }
    Ok(())
}
