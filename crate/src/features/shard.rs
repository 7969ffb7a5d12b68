//! A shard on disk: `facts.json`, `documents.bin`, `final.bin`, and `step{N}.bin` for each checkpoint. Shards of one analysis have
//! the same facts and consecutive documents; together they are the [`Whole`] that the files are made from.

use std::path::{Path, PathBuf};

use super::facts::Facts;
pub use super::report::Whole;
use super::store;
use crate::error::{fail, Code, Error, Result};
use crate::json;
use crate::offline::files;

/// Largest `facts.json` we read.
const MAX_FACTS: u64 = 1 << 30;

/// The folder of a shard.
#[derive(Clone, Debug)]
pub struct Shard {
    pub folder: PathBuf,
}

impl Shard {
    pub fn facts_path(&self) -> PathBuf {
        self.folder.join("facts.json")
    }

    pub fn documents_path(&self) -> PathBuf {
        self.folder.join("documents.bin")
    }

    /// The statistics of the final weights, or of a checkpoint.
    pub fn statistics_path(&self, step: Option<u64>) -> PathBuf {
        self.folder
            .join(step.map_or("final.bin".to_owned(), |step| format!("step{step}.bin")))
    }

    /// Writes the facts and the documents, or compares them with existing ones: an interrupted run continues only with the same.
    pub fn begin(&self, facts: &Facts, documents: &[Vec<u32>]) -> Result<()> {
        let path = self.facts_path();
        let other = |path: &Path| {
            let message = "belongs to another run (another model, corpus or other options); delete that folder, or choose another --out";
            Error::new(Code::Argument, format!("{} {message}", path.display()))
        };
        let bytes = serde_json::to_vec(facts).map_err(|error| Error::new(Code::Io, error.to_string()))?;
        if path.exists() {
            if files::read_whole(&path, MAX_FACTS)? != bytes {
                return Err(other(&path));
            }
        } else {
            files::write_whole(&path, &bytes)?;
        }
        let path = self.documents_path();
        if !path.exists() {
            return store::write_documents(&path, documents);
        }
        // The same texts, but cut by another tokenizer.json.
        if store::read_documents(&path, facts.d_vocab)? != documents {
            return Err(other(&path));
        }
        Ok(())
    }

    fn read_facts(&self) -> Result<(Vec<u8>, Facts)> {
        let path = self.facts_path();
        if !path.is_file() {
            fail!(
                Argument,
                "{} is not a shard: it has no facts.json (analyze --shard i/n --out FOLDER writes one)",
                self.folder.display()
            );
        }
        let bytes = files::read_whole(&path, MAX_FACTS)?;
        let facts: Facts = json::object(&path.display().to_string(), &bytes, Code::Checkpoint)?;
        facts.check(&path)?;
        Ok((bytes, facts))
    }
}

impl Whole {
    /// Combines shards, given in any order.
    pub fn read(shards: &[Shard]) -> Result<Whole> {
        let Some(first) = shards.first() else {
            fail!(Argument, "there are no shards to merge; name at least one folder");
        };
        let (bytes, facts) = first.read_facts()?;
        for step in std::iter::once(None).chain(facts.steps.iter().copied().map(Some)) {
            store::check_size(&first.statistics_path(step), facts.layers.len() * facts.d_model)?;
        }
        let mut parts = Vec::new();
        for shard in shards {
            if shard.read_facts()?.0 != bytes {
                fail!(
                    Argument,
                    "{} and {} are shards of different analyses",
                    first.folder.display(),
                    shard.folder.display()
                );
            }
            let last = store::read_statistics(&shard.statistics_path(None), &facts.empty(true, 0))?;
            parts.push((last.from, last.to, shard, last));
        }
        parts.sort_by_key(|(from, to, ..)| (*from, *to));
        let mut whole = Whole {
            last: facts.empty(true, 0),
            steps: facts.steps.iter().map(|_| facts.empty(false, 0)).collect(),
            documents: Vec::new(),
            facts,
        };
        for (from, to, shard, last) in parts {
            if from != whole.last.to {
                let (folder, end) = (shard.folder.display(), whole.last.to);
                fail!(
                    Argument,
                    "{folder} begins with document {from}, but the shards before it end at {end}"
                );
            }
            let documents = store::read_documents(&shard.documents_path(), whole.facts.d_vocab)?;
            let tokens: u64 = documents.iter().map(|document| document.len() as u64).sum();
            if documents.len() as u64 != to - from || tokens != last.tokens {
                fail!(
                    Checkpoint,
                    "{} is not the documents that were counted",
                    shard.documents_path().display()
                );
            }
            whole.documents.extend(documents);
            whole.last.merge(&last);
            for number in 0..whole.steps.len() {
                let step = Some(whole.facts.steps[number]);
                let path = shard.statistics_path(step);
                let of_step = store::read_statistics(&path, &whole.facts.empty(false, 0))?;
                if (of_step.from, of_step.to) != (from, to) {
                    fail!(
                        Checkpoint,
                        "{} is not finished; run that shard to the end",
                        path.display()
                    );
                }
                whole.steps[number].merge(&of_step);
            }
        }
        if whole.last.to != whole.facts.corpus.documents {
            fail!(
                Argument,
                "the shards end at document {} of {}; run and name the missing ones",
                whole.last.to,
                whole.facts.corpus.documents
            );
        }
        Ok(whole)
    }
}
