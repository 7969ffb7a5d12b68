//! The facts of a model folder: what [`Facts::new`] says, with the corpus, the checkpoints, and the clusters of the dense twin, which lies in
//! another folder.

use std::path::Path;

use super::cluster::{self, Clusters};
use super::facts::{CorpusFacts, Facts, Ours, Subject};
use crate::checkpoint::{self, FolderSource};
use crate::config::Config;
use crate::error::{fail, quoted, Result};
use crate::offline::{files, OfflineModel};

/// Collects everything about a model and its corpus.
pub fn gather(
    model: &OfflineModel,
    corpus: CorpusFacts,
    steps: &[u64],
    twin: Option<&Path>,
    notice: &mut dyn FnMut(&str),
) -> Result<Facts> {
    let config_json = pollster::block_on(checkpoint::read_config_bytes(&model.source))?;
    let mut facts = pollster::block_on(Facts::new(&Subject {
        name: files::name_of(model.source.root()),
        config: &model.config,
        config_json: &config_json,
        eos: model.eos_token_ids(),
        tokenizer: model.tokenizer.as_deref(),
        engine: &model.engine,
    }))?;
    if facts.step.is_none() && !steps.is_empty() {
        fail!(
            Config,
            "config.json has no training_step, which --checkpoints needs to place the final weights among the steps"
        );
    }
    if let (Some(last), Some(step)) = (steps.last(), facts.step.filter(|step| steps.last() >= Some(step))) {
        fail!(
            Config,
            "config.json has the training_step {step}, but the final weights come after step{last}/"
        );
    }
    facts.weights.push(model.fingerprint("")?);
    for step in steps {
        facts.weights.push(model.fingerprint(&format!("step{step}/"))?);
    }
    facts.steps = steps.to_vec();
    facts.corpus = corpus;
    let named = Ours::read(&config_json)?.dense_twin;
    facts.clusters = clusters(model, facts.texts.as_deref(), twin, named, notice)?;
    Ok(facts)
}

/// Clusters the tokens of the dense twin, which the command line, manifest.json or config.json names. A dense model is its own.
fn clusters(
    model: &OfflineModel,
    texts: Option<&[String]>,
    twin: Option<&Path>,
    named: Option<String>,
    notice: &mut dyn FnMut(&str),
) -> Result<Option<Clusters>> {
    let own = model.config.topk.is_none();
    let manifest = pollster::block_on(checkpoint::read_manifest(&model.source))?;
    let named = manifest.and_then(|manifest| manifest.dense_twin).or(named);
    let (folder, source) = match (twin, named) {
        (Some(folder), _) => (folder.to_owned(), format!("../{}", files::name_of(folder))),
        (None, _) if own => (model.source.root().to_owned(), ".".to_owned()),
        (None, Some(name)) => {
            if !checkpoint::is_beside(&name) {
                fail!(
                    Argument,
                    "dense_twin is {}; it must be ../NAME, a folder beside the model's; choose another with --twin",
                    quoted(&name)
                );
            }
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
        let config = pollster::block_on(checkpoint::read_config(&source)).map_err(|error| source.named(error))?;
        check_twin(&model.config, &config, &folder)?;
        let loading = crate::offline::load_engine(&source, "", &config);
        loaded = pollster::block_on(loading).map_err(|error| source.named(error))?;
        &loaded
    };
    let clusters = cluster::of_embedding(engine, texts, &source)?;
    if clusters.is_none() {
        notice("the vocabulary is too large to cluster, so semantic entropies are null");
    }
    Ok(clusters)
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
