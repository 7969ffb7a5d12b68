//! `topk-lm manifest`: what a static site offers of a model folder.

use std::path::{Path, PathBuf};

use clap::Args;
use topk_lm::error::{Code, Error, Result};
use topk_lm::offline::{files, manifest::manifest_of};

use crate::common::{print_line, NoBackend};

/// Write manifest.json: the list of a model folder's files, sizes and hashes
///
/// The files with their sizes and SHA-256, the training checkpoints, and whether there are statistics. Loaders verify downloads by it, and the explorer lists folders that have one. Run it again after every change.
#[derive(Args)]
pub struct ManifestArgs {
    /// Model folders
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// Write nothing; fail if one is missing or out of date
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    _backend: NoBackend,
}

/// Whether there is a file with this text. A link may lead to what has no end.
fn holds(path: &Path, text: &str) -> bool {
    let is_as_long = std::fs::metadata(path).is_ok_and(|there| there.is_file() && there.len() == text.len() as u64);
    is_as_long && std::fs::read(path).is_ok_and(|there| there == text.as_bytes())
}

pub fn run(args: &ManifestArgs) -> Result<()> {
    let mut written = Vec::new();
    let done = write(args, &mut written);
    // At the end: a reader of the lines may be gone.
    written
        .iter()
        .try_for_each(|path| print_line(&path.display().to_string()))?;
    done
}

/// `written`: the files that changed.
fn write(args: &ManifestArgs, written: &mut Vec<PathBuf>) -> Result<()> {
    for folder in &args.folders {
        let path = folder.join("manifest.json");
        let text = manifest_of(folder)?;
        if holds(&path, &text) {
            continue;
        }
        if args.check {
            return Err(Error::new(
                Code::Checkpoint,
                format!(
                    "{} is {}: run topk-lm manifest {}",
                    path.display(),
                    if path.exists() { "out of date" } else { "missing" },
                    folder.display()
                ),
            ));
        }
        files::write_whole(&path, text.as_bytes())?;
        written.push(path);
    }
    Ok(())
}
