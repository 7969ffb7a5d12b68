//! Writes `manifest.json`: what a static site offers of a model folder, and how a download is verified.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use super::files::{self, UNFINISHED};
use crate::checkpoint::{self, step_of, FolderSource, Manifest, ManifestFile};
use crate::error::{fail, quoted, Code, Result};
use crate::json;

#[derive(Serialize)]
struct Written<'a> {
    format: u64,
    files: &'a [ManifestFile],
    steps: BTreeSet<u64>,
    /// A path relative to the folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    dense_twin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<&'static str>,
    /// Folders of autoencoders on this model.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    saes: BTreeSet<&'a str>,
}

/// More training checkpoints the npm package does not read.
const MOST_STEPS: usize = 4096;

/// The manifest of a model folder, as text.
pub fn manifest_of(folder: &Path) -> Result<String> {
    let source = FolderSource::new(folder)?;
    let (bounds, mut names) = (files::Bounds::of(folder)?, Vec::new());
    walk(&source, &bounds, "", &mut BTreeSet::new(), &mut names)?;
    names.sort();
    pollster::block_on(checkpoint::read_config(&source)).map_err(|error| source.named(error))?;
    let bytes = pollster::block_on(checkpoint::read_config_bytes(&source))?;
    let config: Map<String, Value> = json::object("config.json", &bytes, Code::Config)?;
    let dense_twin = config.get("dense_twin").and_then(Value::as_str);
    if let Some(twin) = dense_twin.filter(|twin| !checkpoint::is_beside(twin)) {
        fail!(
            Config,
            "{}: config.json: dense_twin is {}; it must be ../NAME, a folder beside this one",
            folder.display(),
            quoted(twin)
        );
    }
    let steps: BTreeSet<u64> = names.iter().filter_map(|path| step_with(path)).collect();
    if steps.len() > MOST_STEPS {
        fail!(
            Checkpoint,
            "{} has {} training checkpoints; a manifest may list {MOST_STEPS}",
            folder.display(),
            steps.len()
        );
    }
    let mut written = Vec::with_capacity(names.len());
    for path in names {
        let (bytes, sha256) = files::sha256(&folder.join(&path))?;
        written.push(ManifestFile { path, bytes, sha256 });
    }
    let text = serde_json::to_string_pretty(&Written {
        format: 1,
        files: &written,
        steps,
        dense_twin,
        features: written
            .iter()
            .any(|file| file.path == "features/index.json")
            .then_some("features"),
        saes: written.iter().filter_map(|file| sae_of(&file.path)).collect(),
    });
    let text = text.unwrap_or_default() + "\n";
    // A name that no loader would take.
    Manifest::from_json(text.as_bytes()).map_err(|error| source.named(error))?;
    Ok(text)
}

/// Paths of the files that are offered, relative to the folder. Links may lead in circles, where a folder that was `seen` is not entered
/// again, but not out of the folder.
fn walk(
    source: &FolderSource,
    bounds: &files::Bounds,
    prefix: &str,
    seen: &mut BTreeSet<PathBuf>,
    names: &mut Vec<String>,
) -> Result<()> {
    if !seen.insert(bounds.check(&source.root().join(prefix.trim_end_matches('/')))?) {
        return Ok(());
    }
    for name in source.files(prefix)? {
        let path = format!("{prefix}{name}");
        if is_offered(&path) {
            bounds.check(&source.root().join(&path))?;
            names.push(path);
        }
    }
    for folder in source.folders(prefix)? {
        let prefix = format!("{prefix}{folder}/");
        if has_offers(&prefix) {
            walk(source, bounds, &prefix, seen, names)?;
        }
    }
    Ok(())
}

/// Whether files of a folder, which ends in a slash, may be offered.
fn has_offers(folder: &str) -> bool {
    ["config.json", "cfg.json", "one/cfg.json"]
        .iter()
        .any(|file| is_offered(&format!("{folder}{file}")))
}

/// The step whose weights a file is: one without them is none that a loader could take.
fn step_with(path: &str) -> Option<u64> {
    let (folder, file) = path.split_once('/')?;
    checkpoint::begins_weights(file).then(|| step_of(folder)).flatten()
}

/// The folder of `saes/NAME/cfg.json`, or of another file of an autoencoder.
fn sae_of(path: &str) -> Option<&str> {
    let (folder, file) = path.rsplit_once('/')?;
    let name = folder.strip_prefix("saes/")?;
    let is_one = matches!(file, "cfg.json" | "sae_weights.safetensors" | "features.json");
    (is_one && !name.is_empty() && !name.contains('/')).then_some(folder)
}

/// What a loader may ask for; cards and the manifest itself are not among it.
fn is_offered(path: &str) -> bool {
    let of_step = path.split_once('/').filter(|(folder, _)| step_of(folder).is_some());
    let inside = of_step.map_or(path, |(_, rest)| rest);
    let alone = matches!(
        inside,
        "config.json"
            | "generation_config.json"
            | "tokenizer.json"
            | "model.safetensors"
            | "model.safetensors.index.json"
            | "recipes.json"
            | "training.json"
            | "hidden_state.json"
    );
    alone || is_shard(inside) || sae_of(path).is_some() || inside.strip_prefix("features/").is_some_and(is_statistics)
}

/// Whether a path below `features/` is of finished statistics, not of a run that goes on or of a draft.
fn is_statistics(path: &str) -> bool {
    path.ends_with(".json") && !path.starts_with(&format!("{UNFINISHED}/"))
}

/// `model-00001-of-00003.safetensors`
fn is_shard(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let numbers = name
        .strip_prefix("model-")
        .and_then(|rest| rest.strip_suffix(".safetensors"));
    numbers
        .and_then(|numbers| numbers.split_once("-of-"))
        .is_some_and(|(number, count)| digits(number) && digits(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_offered_files_are_entered() {
        for folder in [
            "features/",
            "features/steps/layer0/",
            "step0/",
            "step12/features/",
            "saes/",
            "saes/block2/",
        ] {
            assert!(has_offers(folder), "{folder}");
        }
        for folder in [
            "data/",
            "a/b/",
            "stepX/",
            "step07/",
            "step1/step2/",
            "saes/block2/more/",
            "analysis.part/",
            "features/analysis.part/",
        ] {
            assert!(!has_offers(folder), "{folder}");
        }
    }

    #[test]
    fn loaders_files_are_offered() {
        for name in [
            "config.json",
            "step12/model.safetensors",
            "model-00001-of-00003.safetensors",
            "step0/model-1-of-2.safetensors",
            "features/steps/layer0/16.json",
            "recipes.json",
            "saes/block2/sae_weights.safetensors",
        ] {
            assert!(is_offered(name), "{name}");
        }
        for name in [
            "README.md",
            "manifest.json",
            "features/",
            "features/index.json.draft",
            "features/analysis.part/facts.json",
            "features/final.bin",
            "stepX/config.json",
            "step/config.json",
            "step07/config.json",
            "model-1.safetensors",
            "model-a-of-b.safetensors",
            "sub/config.json",
            "step1/step2/config.json",
            "analysis.part/facts.json",
            "saes/cfg.json",
            "saes/block2/README.md",
            "saes/block2/more/cfg.json",
            "step12/saes/block2/cfg.json",
        ] {
            assert!(!is_offered(name), "{name}");
        }
    }
}
