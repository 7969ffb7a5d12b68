//! The documents of an analysis, and which of their positions count.

#[cfg(feature = "cli")]
use std::path::PathBuf;

#[cfg(feature = "cli")]
use sha2::{Digest, Sha256};

#[cfg(feature = "cli")]
use super::facts::CorpusFacts;
use crate::config::Config;
#[cfg(feature = "cli")]
use crate::error::{fail, Result};
#[cfg(feature = "cli")]
use crate::offline::{documents, hex, OfflineModel};

/// What became of the documents that are longer than the context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    pub documents: usize,
    pub windows: usize,
}

/// Reads the corpus; documents longer than the context come as windows of it.
#[cfg(feature = "cli")]
pub fn read(model: &OfflineModel, paths: &[PathBuf]) -> Result<(Vec<Vec<u32>>, CorpusFacts, Cut)> {
    let mut hash = Sha256::new();
    let mut heard = |bytes: &[u8]| hash.update(bytes);
    let documents = documents::read_heard(paths, &model.config, model.tokenizer.as_deref(), &mut heard)?;
    if documents.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        fail!(Argument, "there are no documents in {}", names.join(", "));
    }
    let (documents, cut) = windows(documents, &model.config);
    if u32::try_from(documents.len()).is_err() {
        fail!(
            Argument,
            "the corpus has {} documents, but at most {} are supported",
            documents.len(),
            u32::MAX
        );
    }
    let facts = CorpusFacts {
        files: paths
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect(),
        documents: documents.len() as u64,
        sha256: hex(&hash.finalize()),
    };
    Ok((documents, facts, cut))
}

/// Cuts documents longer than the context into windows of it, in order. Where a document begins with BOS, so does each of its windows, as in
/// training; the tokens of the windows are otherwise those of the document, each once.
pub fn windows(documents: Vec<Vec<u32>>, config: &Config) -> (Vec<Vec<u32>>, Cut) {
    let mut cut = Cut::default();
    let mut all = Vec::with_capacity(documents.len());
    for document in documents {
        let begins = config.n_ctx > 1 && document.first().copied() == config.bos_token_id;
        let (front, rest) = document.split_at(usize::from(begins));
        if document.len() <= config.n_ctx {
            all.push(document);
            continue;
        }
        cut.documents += 1;
        for window in rest.chunks(config.n_ctx - front.len()) {
            cut.windows += 1;
            all.push([front, window].concat());
        }
    }
    (all, cut)
}

/// Whether each position counts: all do except the first and those of special tokens.
pub fn counted(document: &[u32], special: &[u32]) -> Vec<bool> {
    let mut counted: Vec<bool> = document.iter().map(|id| special.binary_search(id).is_err()).collect();
    if let Some(first) = counted.first_mut() {
        *first = false;
    }
    counted
}
