//! `topk-lm convert`: a model folder, a GGUF file, or an autoencoder's folder, as a static host wants it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;
use topk_lm::error::Result;
use topk_lm::offline::convert::{self, ConvertOptions, Precision};

use crate::common::{print_line, NoBackend};

/// Check a model folder and write it smaller, or in pieces for a static host
///
/// The folder is checked as loading does. Training checkpoints (step{N}/) come with it; statistics (features/) do not, since they belong to the
/// weights: run `analyze` on the result.
///
/// A GGUF file (llama, qwen2, qwen3, gemma2, gemma3) becomes such a folder: where its blocks are Q4_0 they stay so, bit for bit; other numbers
/// in blocks become f16 unless --dtype says otherwise.
///
/// A sparse autoencoder's folder in SAELens' layout (cfg.json, sae_weights.safetensors) is written again in the same way.
#[derive(Args)]
pub struct ConvertArgs {
    /// Model folder in the Hugging Face layout, a GGUF file, or an autoencoder's folder
    #[arg(value_name = "IN")]
    from: PathBuf,
    /// Folder to write; there must be nothing in it
    #[arg(value_name = "OUT")]
    to: PathBuf,
    /// How weights are stored [default: as they are]; what is stored in 8 or 4 bits never gets more
    #[arg(long, value_enum)]
    dtype: Option<Dtype>,
    /// Most bytes of one weight file, like 20MB or 1GiB [default: one file]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    shard_size: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    _backend: NoBackend,
}

#[derive(Clone, Copy, ValueEnum)]
enum Dtype {
    F16,
    /// Matrices in 8 bits with one scale for each output; half of f16, at some loss
    Int8,
    /// Matrices in 4 bits with one scale for each output of every 32 inputs, in GPTQ's layout; tables as in int8
    Int4,
}

/// A number of bytes, with or without a unit.
fn size(text: &str) -> std::result::Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[end..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        _ => None,
    };
    let bytes = unit.and_then(|unit: u64| text[..end].parse::<u64>().ok()?.checked_mul(unit));
    bytes
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "must be a size like 20MB or 1GiB".to_owned())
}

pub fn run(args: &ConvertArgs) -> Result<()> {
    let done = convert::convert(&ConvertOptions {
        from: args.from.clone(),
        to: args.to.clone(),
        precision: match args.dtype {
            None => Precision::Stored,
            Some(Dtype::F16) => Precision::F16,
            Some(Dtype::Int8) => Precision::Int8,
            Some(Dtype::Int4) => Precision::Int4,
        },
        shard: args.shard_size,
    })?;
    if args.json {
        let object = json!({
            "files": done.files, "bytes_before": done.before, "bytes": done.bytes, "steps": done.steps, "notices": done.notices,
        });
        return print_line(&object.to_string());
    }
    for notice in &done.notices {
        print_line(&format!("note: {notice}"))?;
    }
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let steps = match done.steps.len() {
        0 => String::new(),
        count => format!(", {count} training checkpoints with it"),
    };
    print_line(&format!(
        "{}: weights of {:.1} MB became {:.1} MB in {} file{}{steps}",
        args.to.display(),
        megabytes(done.before),
        megabytes(done.bytes),
        done.files,
        if done.files == 1 { "" } else { "s" }
    ))
}
