//! An analysis that goes on while it is looked at: a model in memory, one document after the other, and the files of `features/` over what was
//! counted so far. Without threads, files and clocks, so that it runs in a browser's worker. Its files equal those of `topk-lm analyze` over the
//! same documents, byte for byte, but for the clusters of a dense twin, which lies in another folder.

use std::collections::VecDeque;

use sha2::{Digest, Sha256};

use super::accumulate::Added;
use super::cluster;
use super::corpus::{counted, windows};
use super::facts::{CorpusFacts, Facts, Subject};
use super::record::More;
use super::report::{self, Put, Whole};
use super::streams::streams_of;
use crate::checkpoint;
use crate::config::Config;
use crate::error::{fail, Result};
use crate::exec::cpu::{CpuCache, CpuEngine};
use crate::offline::documents::{is_lines, parts, plain, refuse_json, Part};
use crate::offline::hex;
use crate::ops::weights::CpuWeights;
use crate::pace::pause;
use crate::source::Source;
use crate::tokenizer::Tokenizer;
use crate::weights::KeptAs;

/// See the module.
pub struct Live {
    config: Config,
    tokenizer: Option<Tokenizer>,
    engine: CpuEngine,
    cache: CpuCache,
    whole: Whole,
    hash: Sha256,
    /// Documents that were not cut yet, and windows of the one that was cut last.
    waiting: VecDeque<Waiting>,
    windows: VecDeque<Vec<u32>>,
    bytes: u64,
}

/// A document with the name of its file.
struct Waiting {
    name: String,
    text: String,
    line: Option<usize>,
}

/// How far an analysis is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    pub documents: u64,
    pub tokens: u64,
    pub positions: u64,
    /// Bytes of text that were cut into windows, of those that were given.
    pub bytes: u64,
    /// Whether nothing is waiting.
    pub done: bool,
}

impl Live {
    /// Loads a model, which the files call `name`; `progress` hears of bytes of weights.
    pub async fn load(source: &dyn Source, name: &str, progress: &mut dyn FnMut(u64, u64)) -> Result<Live> {
        let config_json = checkpoint::read_config_bytes(source).await?;
        let config = checkpoint::read_config(source).await?;
        let defaults = checkpoint::read_generation_defaults(source, &config).await?;
        let tokenizer = checkpoint::read_tokenizer(source, &config).await?;
        let mut weights = CpuWeights::default();
        checkpoint::load_weights(source, "", &config, KeptAs::Stored, &mut weights, progress).await?;
        let engine = CpuEngine::new(&config, weights).await?;
        let mut facts = Facts::new(&Subject {
            name: name.to_owned(),
            config: &config,
            config_json: &config_json,
            eos: defaults.ends(&config),
            tokenizer: tokenizer.as_ref(),
            engine: &engine,
        })
        .await?;
        // A dense model is its own twin.
        if facts.dense {
            facts.clusters = cluster::of_embedding(&engine, facts.texts.as_deref(), ".")?;
        }
        Ok(Live {
            cache: engine.new_cache(),
            whole: Whole {
                documents: Vec::new(),
                last: facts.empty(true, 0),
                steps: Vec::new(),
                facts,
            },
            hash: Sha256::new(),
            waiting: VecDeque::new(),
            windows: VecDeque::new(),
            bytes: 0,
            config,
            tokenizer,
            engine,
        })
    }

    /// Appends the documents of a file, which is cut as the command cuts it: `.jsonl` by lines, anything else at `<|endoftext|>`.
    pub fn add(&mut self, name: &str, text: &str) -> Result<()> {
        if self.tokenizer.is_none() && !is_lines(name) {
            fail!(
                Tokenizer,
                "{name} contains text, but the model has no tokenizer.json; use a .jsonl file with {{\"ids\": […]}} lines"
            );
        }
        let given = plain(text);
        refuse_json(name, &given)?;
        self.hash.update(text);
        let corpus = &mut self.whole.facts.corpus;
        if corpus.files.last().is_none_or(|last| last != name) {
            corpus.files.push(name.to_owned());
        }
        let waiting = |Part { text, line }| Waiting {
            name: name.to_owned(),
            text: text.to_owned(),
            line,
        };
        self.waiting.extend(parts(name, &given).into_iter().map(waiting));
        Ok(())
    }

    /// Counts the next window of a document. Dropped halfway, it has counted nothing, and the next call counts that window.
    pub async fn next(&mut self) -> Result<Reached> {
        while self.windows.is_empty() {
            let Some(part) = self.waiting.pop_front() else {
                return Ok(self.reached());
            };
            let Waiting { name, text, line } = &part;
            let of = Part { text, line: *line };
            let ids = of.ids(name, &self.config, self.tokenizer.as_ref())?;
            self.bytes += text.len() as u64;
            let documents = if ids.is_empty() { Vec::new() } else { vec![ids] };
            self.windows.extend(windows(documents, &self.config).0);
        }
        if let Some(window) = self.windows.front() {
            let streams = streams_of(&self.engine, &mut self.cache, window, &self.whole.facts.layers).await?;
            let last = &mut self.whole.last;
            let Ok(number) = u32::try_from(last.to) else {
                fail!(Argument, "at most {} documents are supported", u32::MAX)
            };
            let counted = counted(window, &self.whole.facts.special);
            // All layers at once: a pause in between would leave some of them counted.
            for (layer, stream) in last.layers.iter_mut().zip(&streams) {
                layer.add(&[Added {
                    number,
                    counted: &counted,
                    activations: stream,
                }]);
            }
            last.pass(std::slice::from_ref(window), &[counted]);
            self.whole.documents.extend(self.windows.pop_front());
            pause().await;
        }
        Ok(self.reached())
    }

    /// How far it is.
    pub fn reached(&self) -> Reached {
        let last = &self.whole.last;
        Reached {
            documents: last.to,
            tokens: last.tokens,
            positions: last.positions,
            bytes: self.bytes,
            done: self.waiting.is_empty() && self.windows.is_empty(),
        }
    }

    /// The files of `features/` over what was counted so far. The hash of the corpus is of all text that was given.
    pub async fn report(&mut self, put: Put<'_>) -> Result<()> {
        if self.whole.documents.is_empty() {
            fail!(Argument, "the corpus has no documents");
        }
        let corpus = &mut self.whole.facts.corpus;
        *corpus = CorpusFacts {
            files: std::mem::take(&mut corpus.files),
            documents: self.whole.last.to,
            sha256: hex(&self.hash.clone().finalize()),
        };
        report::write(&self.whole, &More::default(), &mut |_, _, _| {}, put).await
    }
}
