//! `topk-lm analyze` and `topk-lm merge`: what every neuron means.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use topk_lm::error::Result;
use topk_lm::features::analyze::{self, AnalyzeOptions};
use topk_lm::offline;

use crate::common::print_line;

/// Statistics of every neuron over a corpus: where it is active, on which tokens, what it promotes; for every checkpoint too.
/// An interrupted run goes on after the last part that was saved, and ends with the same files.
#[derive(Args)]
pub struct AnalyzeArgs {
    /// Folder of a model in the Hugging Face layout
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Documents: .jsonl with {"ids": [...]} or {"text": "..."} a line, or text with lines <|endoftext|> between documents
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    corpus: Vec<PathBuf>,
    /// The folder to write: index.json, layer{L}/, clusters.json; with --shard what `merge` reads
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Also every step{N}/ of the model
    #[arg(long)]
    checkpoints: bool,
    /// Only the i-th of n parts of the documents, i from 1
    #[arg(long, value_name = "i/n", value_parser = shard)]
    shard: Option<(u64, u64)>,
    /// The dense twin, whose embedding gives the clusters of tokens [default: dense_twin of manifest.json or config.json]
    #[arg(long, value_name = "DIR")]
    twin: Option<PathBuf>,
    /// [default: one for each processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Also write the neurons in SAEDashboard's JSON for Neuronpedia
    #[arg(long, value_name = "DIR", conflicts_with = "shard")]
    export: Option<PathBuf>,
    /// Documents after which the state is saved
    #[arg(long, value_name = "DOCUMENTS", default_value_t = 512)]
    part: usize,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// The files of an analysis that was made in shards; the same, byte for byte, as of one that was not.
#[derive(Args)]
pub struct MergeArgs {
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Also write the neurons in SAEDashboard's JSON for Neuronpedia
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
    /// Folders that `analyze --shard` made, all of them
    #[arg(value_name = "SHARD", required = true)]
    shards: Vec<PathBuf>,
}

fn shard(text: &str) -> std::result::Result<(u64, u64), String> {
    let numbers = text
        .split_once('/')
        .and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match numbers {
        Some((i, n)) if 1 <= i && i <= n && n <= u64::from(u32::MAX) => Ok((i, n)),
        _ => Err("must be i/n with i from 1 to n".to_owned()),
    }
}

pub fn run(args: &AnalyzeArgs) -> Result<()> {
    let options = AnalyzeOptions {
        model: args.model.clone(),
        corpus: args.corpus.clone(),
        out: args.out.clone(),
        checkpoints: args.checkpoints,
        shard: args.shard,
        twin: args.twin.clone(),
        threads: args.threads.unwrap_or_else(offline::default_threads),
        export: args.export.clone(),
        part: args.part,
    };
    let mut notices = Vec::new();
    let done = analyze::analyze(&options, &mut |notice| notices.push(notice.to_owned()))?;
    if done.cut > 0 {
        notices.push(format!("{} documents were cut to the context", done.cut));
    }
    let rate = done.computed as f64 / done.seconds.max(1e-9);
    if args.json {
        let object = json!({
            "documents": done.documents, "tokens": done.tokens, "passes": done.passes, "resumed": done.resumed,
            "cut": done.cut, "computed": done.computed, "seconds": done.seconds, "tokens_per_second": rate, "notices": notices,
        });
        return print_line(&object.to_string());
    }
    for notice in &notices {
        print_line(&format!("note: {notice}"))?;
    }
    print_line(&format!(
        "{} documents of {} tokens, {} sets of weights: {rate:.0} tokens/s over {:.1} s",
        done.documents, done.tokens, done.passes, done.seconds
    ))
}

pub fn merge(args: &MergeArgs) -> Result<()> {
    analyze::merge(&args.shards, &args.out, args.export.as_deref())
}
