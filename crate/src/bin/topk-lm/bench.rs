//! `topk-lm bench`: times prefill and decode of a model, or TopK on a shape, or finds the fastest constants of TopK's kernels; medians after a
//! warm-up, as JSON. Beside the times of a model
//! stand counts: what the WebGPU backend records for a token and for the prompt.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
#[cfg(feature = "gpu")]
use topk_lm::bench::counts::Counter;
use topk_lm::bench::{self, ModelBench};
#[cfg(feature = "gpu")]
use topk_lm::checkpoint::{self, FolderSource};
use topk_lm::config::Config;
use topk_lm::error::{Code, Error, Result};
#[cfg(feature = "gpu")]
use topk_lm::exec::adapter::BackendChoice;
#[cfg(feature = "gpu")]
use topk_lm::exec::gpu::open;
use topk_lm::offline::files;
#[cfg(feature = "gpu")]
use topk_lm::ops::tuning::Profile;
use topk_lm::pace::Cancel;
#[cfg(feature = "gpu")]
use topk_lm::weights::Dtype;

use crate::common::{counted, load, print_line, threads, whole, Backend, KeptDtype, KvCache, ModelArgs};

/// What a flag that is of a model is not for.
const OF_MODEL: [&str; 2] = ["topk", "topk_plan"];

/// Time a model, or TopK on a shape
///
/// Prints medians after a warm-up as JSON. Beside the times of a model stand counts: what the WebGPU backend records for a token and for the
/// prompt.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["model", "topk", "topk_plan"]))]
pub struct BenchArgs {
    /// Time prefill and decode of this model folder
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Time TopK of K on [R, N] random numbers; may be repeated
    #[arg(long, value_name = "R,N,K", value_parser = shape, allow_hyphen_values = true)]
    topk: Vec<[usize; 3]>,
    /// Find the constants of TopK's kernels that are fastest on this adapter; with FILE, write them into that plan (shaders/topk_plan.json)
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    topk_plan: Option<Option<PathBuf>>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    backend: Backend,
    /// Precision in which keys and values are kept in memory
    #[arg(long, value_enum, default_value_t, conflicts_with_all = OF_MODEL)]
    kv_cache: KvCache,
    /// Number of timed runs
    #[arg(long, value_name = "N", value_parser = counted, default_value_t = 15)]
    runs: usize,
    /// Number of warm-up runs before them
    #[arg(long, value_name = "N", value_parser = whole::<usize>, default_value_t = 3)]
    warmup: usize,
    /// Tokens in the prompt
    #[arg(long, value_name = "N", value_parser = whole::<usize>, default_value_t = 128, conflicts_with_all = OF_MODEL)]
    prompt_tokens: usize,
    /// Tokens generated per run
    #[arg(long, value_name = "N", value_parser = whole::<usize>, default_value_t = 32, conflicts_with_all = OF_MODEL)]
    new_tokens: usize,
    /// Number of threads that compute a model on the CPU
    #[arg(long, value_name = "N", value_parser = threads, default_value_t = 1, conflicts_with_all = OF_MODEL)]
    threads: usize,
    /// The kind of WebGPU adapter that the counts are for
    #[cfg(feature = "gpu")]
    #[arg(long, value_enum, default_value_t, conflicts_with_all = OF_MODEL)]
    adapter: AdapterKind,
    /// The counts are for an adapter with operations of subgroups
    #[cfg(feature = "gpu")]
    #[arg(long, conflicts_with_all = OF_MODEL)]
    subgroups: bool,
    /// Also write the JSON to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the JSON on one line
    #[arg(long)]
    json: bool,
}

#[cfg(feature = "gpu")]
#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum AdapterKind {
    #[default]
    Gpu,
    Software,
}

fn shape(text: &str) -> std::result::Result<[usize; 3], String> {
    let numbers: Option<Vec<usize>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
    let three = numbers.and_then(|numbers| numbers.try_into().ok());
    three.ok_or_else(|| "must be three whole numbers R,N,K".to_owned())
}

pub fn run(args: &BenchArgs) -> Result<()> {
    let object = match (&args.model, &args.topk_plan) {
        (Some(folder), _) => model(args, folder)?,
        (None, Some(file)) => plan(args, file.as_deref())?,
        (None, None) => topk(args)?,
    };
    let pretty = format!("{object:#}");
    let written = args
        .out
        .as_ref()
        .map(|path| files::replace(path, format!("{pretty}\n").as_bytes()));
    // What took minutes is printed in any case.
    print_line(&if args.json { object.to_string() } else { pretty })?;
    written.unwrap_or(Ok(()))
}

fn model(args: &BenchArgs, folder: &std::path::Path) -> Result<serde_json::Value> {
    let model = load(&ModelArgs {
        model: folder.to_owned(),
        backend: args.backend,
        max_context: None,
        dtype: KeptDtype::default(),
        kv_cache: args.kv_cache,
        threads: args.threads,
    })?;
    let bench = ModelBench {
        prompt_tokens: args.prompt_tokens,
        new_tokens: args.new_tokens,
        runs: args.runs,
        warmup: args.warmup,
    };
    let figures = pollster::block_on(bench::model(&model, &bench, &Cancel::default()))?;
    Ok(
        json!({ "model": folder.display().to_string(), "figures": figures, "counts": counts(args, folder, model.config())? }),
    )
}

/// What the WebGPU backend records, whatever the figures were measured on.
#[cfg(feature = "gpu")]
fn counts(args: &BenchArgs, folder: &std::path::Path, config: &Config) -> Result<serde_json::Value> {
    let stored = pollster::block_on(checkpoint::stored_dtypes(&FolderSource::new(folder)?, config))?;
    let counter = Counter {
        config,
        profile: match args.adapter {
            AdapterKind::Gpu => Profile::Gpu,
            AdapterKind::Software => Profile::Fallback,
        },
        subgroups: args.subgroups,
        stored: &|weight| stored.get(&weight).copied().unwrap_or(Dtype::F32),
    };
    let (token, prefill) = (counter.token(args.prompt_tokens)?, counter.prompt(args.prompt_tokens)?);
    Ok(json!({ "decode_per_token": token, "prefill": prefill }))
}

#[cfg(not(feature = "gpu"))]
fn counts(_: &BenchArgs, _: &std::path::Path, _: &Config) -> Result<serde_json::Value> {
    Ok(serde_json::Value::Null)
}

fn topk(args: &BenchArgs) -> Result<serde_json::Value> {
    let figures = args
        .topk
        .iter()
        .map(|shape| pollster::block_on(bench::topk(args.backend.choice(), *shape, args.warmup, args.runs)))
        .collect::<Result<Vec<_>>>()?;
    Ok(json!({ "topk": figures }))
}

/// Measures TopK's constants, and puts them into the file of the plan.
#[cfg(feature = "gpu")]
fn plan(args: &BenchArgs, file: Option<&std::path::Path>) -> Result<serde_json::Value> {
    if args.backend.choice() == BackendChoice::Cpu {
        let said = "--topk-plan measures kernels of the GPU; leave --backend cpu out";
        return Err(Error::new(Code::Argument, said));
    }
    // Before the minutes that it takes.
    let plan = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| files::io_error(path, "read", &error))?;
            let plan = bench::plan::read(&text).map_err(|error| error.at(path.display()))?;
            Some((path, plan))
        }
        None => None,
    };
    let figures = pollster::block_on(async {
        let (adapter, gpu) = open(BackendChoice::Gpu).await?;
        match gpu {
            Some(gpu) => bench::plan::plan(gpu, adapter.adapter, args.runs).await,
            None => Err(Error::new(Code::Device, "there is no WebGPU adapter here")),
        }
    })?;
    if let Some((path, plan)) = plan {
        let text = bench::plan::written(plan, &figures)?;
        files::replace(path, text.as_bytes())?;
    }
    Ok(json!({ "topk_plan": figures }))
}

#[cfg(not(feature = "gpu"))]
fn plan(_: &BenchArgs, _: Option<&std::path::Path>) -> Result<serde_json::Value> {
    Err(Error::new(Code::Device, "this build has no WebGPU backend"))
}
