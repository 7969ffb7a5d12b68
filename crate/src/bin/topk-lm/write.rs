//! `topk-lm write`: many documents at once.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use topk_lm::checkpoint::FolderSource;
use topk_lm::error::{Code, Error, Result};
use topk_lm::offline::{documents, write, OfflineModel};

use crate::common::{print_line, whole, NoBackend, SamplingArgs, ThreadArgs};

/// Write many documents at once, the same on every machine
///
/// Document i equals what `generate --backend cpu` writes for its prompt with a seed derived from S and i (words 0 and 1 of
/// Philox4x32-10 with key S and counter (i, i >> 32, 0, 1)), but for a last token beyond the context, on every machine and with any number of
/// threads.
///
/// An interrupted run continues from FILE.part.
#[derive(Args)]
pub struct WriteArgs {
    /// Model folder in the Hugging Face layout
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Number of documents
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    documents: usize,
    /// The same seed gives the same documents
    #[arg(long, value_name = "S", value_parser = whole::<u64>)]
    seed: u64,
    /// Output file: {"ids": [...]} per line, including prompt and eos
    #[arg(long, value_name = "FILE.jsonl")]
    out: PathBuf,
    /// Maximum number of new tokens per document [default: until the context is full]
    #[arg(long, value_name = "M", value_parser = whole::<usize>)]
    max_tokens: Option<usize>,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Prompts, used in turn [default: BOS]: .jsonl with {"ids": [...]} or {"text": "..."} per line, or text with <|endoftext|>
    /// lines between prompts. A text gets the model's BOS in front
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    #[command(flatten)]
    threads: ThreadArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: NoBackend,
}

pub fn run(args: &WriteArgs) -> Result<()> {
    args.backend.without_gpu()?;
    let model = OfflineModel::load(FolderSource::new(&args.model)?, "")?;
    let prompts = match (&args.prompts, model.config.bos_token_id) {
        (Some(path), _) => match documents::read(&[path], &model.config, model.tokenizer.as_deref())? {
            none if none.is_empty() => {
                let message = format!("there are no prompts in {}", path.display());
                return Err(Error::new(Code::Argument, message));
            }
            prompts => prompts,
        },
        (None, Some(bos)) => vec![vec![bos]],
        (None, None) => {
            let message = "the model has no bos_token_id to start from; use --prompts";
            return Err(Error::new(Code::Argument, message));
        }
    };
    let options = write::WriteOptions {
        documents: args.documents,
        sampling: args.sampling.options().resolve(&model.defaults, args.seed),
        max_tokens: args.max_tokens.unwrap_or(usize::MAX),
        prompts,
        threads: args.threads.number(),
    };
    let started = std::time::Instant::now();
    let written = write::write(&model, &options, &args.out)?;
    let seconds = started.elapsed().as_secs_f64();
    if args.json {
        let object = json!({
            "documents": written.documents, "tokens": written.tokens, "resumed": written.resumed, "seconds": seconds,
        });
        return print_line(&object.to_string());
    }
    print_line(&format!(
        "{} documents with {} tokens in {seconds:.1} s, {} of them from an earlier run",
        written.documents, written.tokens, written.resumed
    ))
}
