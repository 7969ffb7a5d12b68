//! `topk-lm convert`: a model folder or a GGUF file, its weights in another precision or in shards; or an autoencoder's folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::{files, OfflineModel};
use crate::checkpoint::{self, FolderSource, GgufSource};
use crate::config::Config;
use crate::error::{fail, Code, Error, Result};
use crate::json;
use crate::source::Source;

pub use crate::checkpoint::Precision;

/// Beside the weights, what belongs to a model: for loaders here and in transformers, for the site, for people.
const COPIED: &[&str] = &[
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "modeling_topk.py",
    "training.json",
    "recipes.json",
    "README.md",
    "LICENSE",
];

/// Most bytes of one of these: the largest is the tokenizer.
const MOST_COPIED: u64 = checkpoint::MAX_TOKENIZER;

/// An autoencoder's folder, in place of a model's.
const SAE_FILES: [&str; 2] = ["cfg.json", "sae_weights.safetensors"];

/// What to convert.
#[derive(Clone, Debug)]
pub struct ConvertOptions {
    pub from: PathBuf,
    pub to: PathBuf,
    pub precision: Precision,
    /// Most bytes of one weight file.
    pub shard: Option<u64>,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Weight files of the model, without its training checkpoints.
    pub files: usize,
    /// Their bytes before and now.
    pub before: u64,
    pub bytes: u64,
    pub steps: Vec<u64>,
    pub notices: Vec<String>,
}

/// Writes the folder; loads the result, as a reader will. Of what fails nothing stays.
pub fn convert(options: &ConvertOptions) -> Result<Done> {
    let ConvertOptions { from, to, .. } = options;
    // What could not be written names its own path.
    let of_result = to.display().to_string();
    let is_of_result = |said: &str| {
        let rest = said.strip_prefix(&of_result);
        rest.is_some_and(|rest| rest.starts_with(|c| c == ' ' || std::path::is_separator(c)))
    };
    let named = |error: Error| match error.to_string() {
        said if is_of_result(&said) => error,
        said => Error::new(error.code(), format!("{}: {said}", from.display())),
    };
    if from.is_file() {
        let source = GgufSource::new(from).map_err(named)?;
        return into_empty(to, || convert_gguf(&source, options).map_err(named));
    }
    let source = FolderSource::new(from)?;
    into_empty(to, || {
        check_links(&source)?;
        if source.size("config.json").is_none() && source.size(SAE_FILES[0]).is_some() {
            convert_sae(&source, options).map_err(named)
        } else {
            convert_model(&source, options, &named)
        }
    })
}

/// Writes into an empty folder, which is empty again if that fails: half a model would be in the way of the next try.
fn into_empty(to: &Path, write: impl FnOnce() -> Result<Done>) -> Result<Done> {
    let was_there = to.is_dir();
    check_empty(to)?;
    let done = write();
    if done.is_err() {
        for entry in fs::read_dir(to).into_iter().flatten().flatten() {
            let path = entry.path();
            let _ = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
        }
        if !was_there {
            let _ = fs::remove_dir(to);
        }
    }
    done
}

fn convert_model(source: &FolderSource, options: &ConvertOptions, named: &dyn Fn(Error) -> Error) -> Result<Done> {
    let config = read_all(source).map_err(named)?;
    let mut done = Done {
        steps: source.steps()?,
        ..Done::default()
    };
    let steps: Vec<String> = done.steps.iter().map(|step| format!("step{step}/")).collect();
    for prefix in std::iter::once("").chain(steps.iter().map(String::as_str)) {
        weights(source, prefix, &config, options, &mut done).map_err(named)?;
        if prefix.is_empty() {
            let weights = source
                .files("")?
                .into_iter()
                .filter(|name| name.ends_with(".safetensors"));
            done.before = weights.filter_map(|name| source.size(&name)).sum();
        }
    }
    copy(source, options, COPIED)?;
    if options.precision == Precision::Int4 && config.quantization.is_none() {
        say_four_bits(source, options).map_err(named)?;
    }
    if source.size("features/index.json").is_some() {
        done.notices
            .push("features/ belongs to the old weights and was left out; run topk-lm analyze on the result".into());
    }
    if source.root().join("saes").is_dir() {
        done.notices
            .push("saes/ was left out; run topk-lm convert on each autoencoder in it, or copy it".into());
    }
    OfflineModel::load(FolderSource::new(&options.to)?, "")?;
    Ok(done)
}

fn check_empty(to: &Path) -> Result<()> {
    if fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) || to.is_file() {
        fail!(Argument, "{} is not an empty folder; choose another", to.display());
    }
    Ok(())
}

/// Refuses a link to what is not the model's.
fn check_links(source: &FolderSource) -> Result<()> {
    let bounds = files::Bounds::of(source.root())?;
    for name in COPIED
        .iter()
        .chain(&SAE_FILES[..1])
        .filter(|name| source.size(name).is_some())
    {
        bounds.check(&source.root().join(name))?;
    }
    Ok(())
}

/// What is small, checked as loading does.
fn read_all(source: &dyn Source) -> Result<Config> {
    pollster::block_on(async {
        let config = checkpoint::read_config(source).await?;
        checkpoint::read_generation_defaults(source, &config).await?;
        checkpoint::read_tokenizer(source, &config).await?;
        Ok(config)
    })
}

/// The weights under `prefix`.
fn weights(
    source: &dyn Source,
    prefix: &str,
    config: &Config,
    options: &ConvertOptions,
    done: &mut Done,
) -> Result<()> {
    let mut write = |path: &str, bytes: Vec<u8>| files::write_whole(&options.to.join(path), &bytes);
    let converted = checkpoint::convert(source, prefix, config, options.precision, options.shard, &mut write);
    let converted = pollster::block_on(converted)?;
    if prefix.is_empty() {
        (done.files, done.bytes) = (converted.files, converted.bytes);
    }
    for tensor in converted.oversized {
        let place = if prefix.is_empty() {
            String::new()
        } else {
            format!(" ({prefix})")
        };
        done.notices.push(format!(
            "tensor {tensor}{place} alone is larger than a shard; its file is, too"
        ));
    }
    Ok(())
}

/// The folder of a model that is one GGUF file.
fn convert_gguf(source: &GgufSource, options: &ConvertOptions) -> Result<Done> {
    let config = read_all(source)?;
    let mut done = Done {
        before: fs::metadata(&options.from).map_or(0, |file| file.len()),
        notices: source.notice.iter().cloned().collect(),
        ..Done::default()
    };
    weights(source, "", &config, options, &mut done)?;
    for name in ["config.json", "tokenizer.json"] {
        if let Some(size) = source.size(name) {
            let bytes = pollster::block_on(source.read(name, 0, size as usize))?;
            files::write_whole(&options.to.join(name), &bytes)?;
        }
    }
    if options.precision == Precision::Int4 && config.quantization.is_none() {
        say_four_bits(source, options)?;
    }
    OfflineModel::load(FolderSource::new(&options.to)?, "")?;
    Ok(done)
}

/// config.json with what is to be known of the matrices of 4 bits.
fn say_four_bits(source: &dyn Source, options: &ConvertOptions) -> Result<()> {
    let bytes = pollster::block_on(checkpoint::read_config_bytes(source))?;
    let mut config: serde_json::Map<_, _> = json::object("config.json", &bytes, Code::Config)?;
    config.insert("quantization_config".into(), checkpoint::four_bit_config());
    let text = format!("{:#}\n", serde_json::Value::Object(config));
    files::write_whole(&options.to.join("config.json"), text.as_bytes())
}

/// The files of those names that are there.
fn copy(source: &FolderSource, options: &ConvertOptions, names: &[&str]) -> Result<()> {
    for name in names.iter().filter(|name| source.size(name).is_some()) {
        let bytes = files::read_whole(&options.from.join(name), MOST_COPIED)?;
        files::write_whole(&options.to.join(name), &bytes)?;
    }
    Ok(())
}

/// An autoencoder is one file.
fn convert_sae(source: &FolderSource, options: &ConvertOptions) -> Result<Done> {
    if options.shard.is_some() {
        fail!(
            Argument,
            "--shard-size is for models: an autoencoder's weights are one file"
        );
    }
    let [config, weights] = SAE_FILES;
    let bytes = pollster::block_on(checkpoint::convert_sae(source, options.precision))?;
    files::write_whole(&options.to.join(weights), &bytes)?;
    copy(source, options, &[config, "README.md", "LICENSE"])?;
    pollster::block_on(checkpoint::read_sae(&FolderSource::new(&options.to)?, None))?;
    Ok(Done {
        files: 1,
        before: source.size(weights).unwrap_or_default(),
        bytes: bytes.len() as u64,
        ..Done::default()
    })
}
