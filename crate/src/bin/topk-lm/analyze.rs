//! `topk-lm analyze` and `topk-lm merge`: statistics of every neuron.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use topk_lm::error::Result;
use topk_lm::features::analyze::{self, AnalyzeOptions, Beyond};
use topk_lm::offline;

use crate::common::{counted, print_line, sae_json, sae_lines, Backend, NoBackend, SaeArgs, ThreadArgs};

/// Compute statistics of every neuron over a corpus
///
/// Where each is active, on which tokens, and what it promotes; with --checkpoints, over training too. An interrupted run continues after the last
/// saved part and produces the same files.
#[derive(Args)]
pub struct AnalyzeArgs {
    /// Model folder in the Hugging Face layout
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Documents: .jsonl with {"ids": [...]} or {"text": "..."} per line, or text with <|endoftext|> lines between documents. Longer
    /// ones than the context are cut into windows of it
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    corpus: Vec<PathBuf>,
    /// Output folder: index.json, layer{L}/, clusters.json; with --shard, what `merge` reads
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Analyze every step{N}/ of the model too
    #[arg(long)]
    checkpoints: bool,
    /// Analyze only the i-th of n parts of the documents, with i from 1
    #[arg(long, value_name = "i/n", value_parser = shard, allow_hyphen_values = true, conflicts_with = "saes")]
    shard: Option<(u64, u64)>,
    /// Dense twin, whose embedding defines the clusters of tokens [default: dense_twin in manifest.json or config.json]
    #[arg(long, value_name = "DIR")]
    twin: Option<PathBuf>,
    #[command(flatten)]
    threads: ThreadArgs,
    /// Where blocks are computed. The GPU's last bits differ, so its shards merge with its own alone; --writes, --stories and --sae stay on the
    /// CPU
    #[arg(long, value_enum, default_value = "cpu")]
    backend: Backend,
    /// Also write SAEDashboard's JSON, which Neuronpedia reads
    #[arg(long, value_name = "DIR", conflicts_with = "shard")]
    export: Option<PathBuf>,
    /// Also measure what each neuron writes: set and ablate it after prompts of ours, over contrasts such as was / were
    #[arg(long, conflicts_with = "shard")]
    writes: bool,
    /// True states of stories, as training/storyworlds writes them: which state each neuron marks
    #[arg(long, value_name = "FILE", requires = "stories", conflicts_with = "shard")]
    states: Option<PathBuf>,
    /// The text of these stories
    #[arg(long, value_name = "FILE", requires = "states")]
    stories: Option<PathBuf>,
    #[command(flatten)]
    saes: SaeArgs,
    /// Save the state after this many documents
    #[arg(long, value_name = "DOCUMENTS", value_parser = counted, default_value_t = 512)]
    part: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Merge the shards of an analysis
///
/// The result equals an analysis in one pass, byte for byte.
#[derive(Args)]
pub struct MergeArgs {
    /// Output folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Also write SAEDashboard's JSON, which Neuronpedia reads
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
    /// Also measure what each neuron of this model folder writes, as analyze --writes does
    #[arg(long, value_name = "DIR")]
    writes: Option<PathBuf>,
    /// All folders that `analyze --shard` wrote
    #[arg(value_name = "SHARD", required = true)]
    shards: Vec<PathBuf>,
    #[command(flatten)]
    _backend: NoBackend,
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
        threads: args.threads.number(),
        backend: args.backend.choice(),
        export: args.export.clone(),
        writes: args.writes,
        stories: args.stories.clone().zip(args.states.clone()),
        saes: args.saes.saes.clone(),
        part: args.part,
    };
    let mut notices = Vec::new();
    let done = analyze::analyze(&options, &mut |notice| notices.push(notice.to_owned()))?;
    if done.cut.documents > 0 {
        notices.push(format!(
            "documents longer than the context were cut into windows of it: {} into {}",
            done.cut.documents, done.cut.windows
        ));
    }
    let rate = done.computed as f64 / done.seconds.max(1e-9);
    if args.json {
        let object = json!({
            "documents": done.documents, "tokens": done.tokens, "passes": done.passes, "resumed": done.resumed,
            "cut": done.cut.documents, "windows": done.cut.windows, "computed": done.computed, "seconds": done.seconds, "tokens_per_second": rate, "notices": notices,
            "saes": done.saes.as_ref().map(sae_json),
        });
        return print_line(&object.to_string());
    }
    for notice in &notices {
        print_line(&format!("note: {notice}"))?;
    }
    print_line(&format!(
        "{} documents of {} tokens, {} sets of weights: {rate:.0} tokens/s over {:.1} s",
        done.documents, done.tokens, done.passes, done.seconds
    ))?;
    let lines = done.saes.as_ref().map(sae_lines).unwrap_or_default();
    lines.iter().try_for_each(|line| print_line(line))
}

pub fn merge(args: &MergeArgs) -> Result<()> {
    let beyond = Beyond {
        model: args.writes.as_deref(),
        writes: args.writes.is_some(),
        threads: offline::default_threads(),
        ..Beyond::default()
    };
    let mut notices = Vec::new();
    let mut notice = |text: &str| notices.push(text.to_owned());
    analyze::merge(&args.shards, &args.out, args.export.as_deref(), beyond, &mut notice)?;
    notices
        .iter()
        .try_for_each(|notice| print_line(&format!("note: {notice}")))
}
