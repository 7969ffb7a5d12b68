//! Files of a folder on disk.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

#[cfg(feature = "cli")]
use super::index::{INDEX, SINGLE};
use super::{check_range, is_inside};
use crate::error::{fail, Code, Error, Result};
use crate::memory::zeroed;
use crate::source::{LocalFuture, Source};

/// The training step of a folder's name, as the number is written: `step07` is not the folder of step 7.
#[cfg(feature = "cli")]
pub(crate) fn step_of(folder: &str) -> Option<u64> {
    let step = folder.strip_prefix("step")?.parse::<u64>().ok()?;
    (format!("step{step}") == folder).then_some(step)
}

/// Whether reading the weights of a folder begins with a file of that name.
#[cfg(feature = "cli")]
pub(crate) fn begins_weights(name: &str) -> bool {
    name == SINGLE || name == INDEX
}

/// A model folder.
#[derive(Clone, Debug)]
pub struct FolderSource {
    root: PathBuf,
}

impl FolderSource {
    /// Fails where `root` is not a folder.
    pub fn new(root: impl AsRef<Path>) -> Result<FolderSource> {
        let root = root.as_ref();
        if root.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf")) && root.is_file() {
            fail!(Io, "{} is a GGUF file; topk-lm convert makes a model folder of it", root.display());
        }
        if !root.is_dir() {
            fail!(Io, "{} is not a folder", root.display());
        }
        Ok(FolderSource {
            root: root.to_path_buf(),
        })
    }

    /// The folder, as it was given.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What is wrong with one of its files, with the folder in front: a program may read several.
    pub fn named(&self, error: Error) -> Error {
        match error.code() {
            Code::Config | Code::Checkpoint | Code::Tokenizer => error.at(self.root.display()),
            _ => error,
        }
    }

    /// Names of the folders directly in the folder `prefix` (`""`, or `"features/"`), sorted.
    pub fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        self.list(prefix, Path::is_dir)
    }

    /// Training checkpoints (`step{N}/`) that have weights, ascending.
    #[cfg(feature = "cli")]
    pub fn steps(&self) -> Result<Vec<u64>> {
        let mut steps = Vec::new();
        for folder in self.folders("")? {
            if let Some(step) = step_of(&folder) {
                let names = self.files(&format!("{folder}/"))?;
                if names.iter().any(|name| begins_weights(name)) {
                    steps.push(step);
                }
            }
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// Names of the files directly in the folder `prefix` (`""`, or `"step254/"`), sorted.
    pub fn files(&self, prefix: &str) -> Result<Vec<String>> {
        self.list(prefix, Path::is_file)
    }

    fn list(&self, prefix: &str, wanted: fn(&Path) -> bool) -> Result<Vec<String>> {
        let folder = self.root.join(prefix);
        let unreadable = |error| Error::new(Code::Io, format!("{} cannot be listed: {error}", folder.display()));
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if wanted(&entry.path()) {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort();
        Ok(names)
    }

    fn read_range(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>> {
        check_range(path, self.size(path), offset, length)?;
        let full = self.root.join(path);
        let unreadable = |error| Error::new(Code::Io, format!("{} cannot be read: {error}", full.display()));
        let mut file = File::open(&full).map_err(unreadable)?;
        file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        let mut bytes = zeroed(length, path)?;
        file.read_exact(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }
}

impl Source for FolderSource {
    fn size(&self, path: &str) -> Option<u64> {
        let metadata = is_inside(path)
            .then(|| fs::metadata(self.root.join(path)).ok())
            .flatten()?;
        metadata.is_file().then_some(metadata.len())
    }

    fn read<'a>(&'a self, path: &'a str, offset: u64, length: usize) -> LocalFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move { self.read_range(path, offset, length) })
    }
}
