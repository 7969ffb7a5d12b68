//! A model on the CPU that several threads may use at once.

use std::rc::Rc;

use super::files;
use crate::checkpoint::{self, FolderSource};
use crate::config::{Config, GenerationDefaults};
use crate::error::Result;
use crate::exec::cpu::CpuEngine;
use crate::ops::weights::CpuWeights;
use crate::source::Source;
use crate::tokenizer::Tokenizer;
use crate::weights::KeptAs;

/// Weights and what belongs to them. All of it is `Sync` except the tokenizer, which stays with the thread that loaded it.
pub struct OfflineModel {
    pub source: FolderSource,
    pub config: Config,
    pub defaults: GenerationDefaults,
    pub tokenizer: Option<Rc<Tokenizer>>,
    pub engine: CpuEngine,
}

impl OfflineModel {
    /// Loads the weights under `prefix` (`""`, or `"step254/"`) of a model folder.
    pub fn load(source: FolderSource, prefix: &str) -> Result<OfflineModel> {
        let read = async {
            let config = checkpoint::read_config(&source).await?;
            let defaults = checkpoint::read_generation_defaults(&source, &config).await?;
            let tokenizer = checkpoint::read_tokenizer(&source, &config).await?.map(Rc::new);
            let engine = load_engine(&source, prefix, &config).await?;
            Ok((config, defaults, tokenizer, engine))
        };
        let (config, defaults, tokenizer, engine) = pollster::block_on(read).map_err(|error| source.named(error))?;
        Ok(OfflineModel {
            config,
            defaults,
            tokenizer,
            engine,
            source,
        })
    }

    /// The ids that end a text: those of generation_config.json if it names any, otherwise those of config.json.
    pub fn eos_token_ids(&self) -> &[u32] {
        self.defaults.ends(&self.config)
    }

    /// SHA-256 of configuration and weights, which a resumed run must find unchanged.
    pub fn fingerprint(&self, prefix: &str) -> Result<String> {
        fingerprint(&self.source, prefix)
    }
}

/// The engine with the weights under `prefix`.
pub async fn load_engine(source: &FolderSource, prefix: &str, config: &Config) -> Result<CpuEngine> {
    let mut weights = CpuWeights::default();
    checkpoint::load_weights(source, prefix, config, KeptAs::Stored, &mut weights, &mut |_, _| {}).await?;
    CpuEngine::new(config, weights).await
}

/// SHA-256 of `config.json` and of every safetensors file directly in the folder `prefix`, sorted by name.
pub fn fingerprint(source: &FolderSource, prefix: &str) -> Result<String> {
    let mut hash = files::Hash::default();
    let mut names = vec!["config.json".to_owned()];
    names.extend(
        source
            .files(prefix)?
            .into_iter()
            .filter(|name| name.ends_with(".safetensors"))
            .map(|name| format!("{prefix}{name}")),
    );
    for name in names {
        if source.size(&name).is_some() {
            hash.file(&source.root().join(&name))?;
        }
    }
    Ok(hash.hex())
}
