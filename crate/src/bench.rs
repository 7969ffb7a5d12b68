//! Benchmark timings: medians over repeated runs after a warm-up, in milliseconds.

#[cfg(feature = "gpu")]
pub mod counts;
#[cfg(feature = "gpu")]
pub mod plan;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::edits::Edit;
use crate::error::{fail, Result};
use crate::exec::adapter::BackendChoice;
use crate::exec::gpu::open;
use crate::exec::request::LogitRows;
use crate::numerics::order::Select;
use crate::pace::{now_ms, Cancel};
use crate::session::{GenerateOptions, Model, RunOptions, SamplingOptions};
use crate::topk::{topk_cpu, TopKGpu};

/// The spread of repeated timings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub p10: f64,
    pub p90: f64,
    pub runs: usize,
}

impl Spread {
    /// Of at least one sample; percentiles are interpolated between neighbors.
    pub fn of(mut samples: Vec<f64>) -> Result<Spread> {
        if samples.is_empty() {
            fail!(Argument, "runs is 0; a timing needs at least one run");
        }
        samples.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let position = share * (samples.len() - 1) as f64;
            let (low, part) = (position.floor() as usize, position.fract());
            let high = (low + 1).min(samples.len() - 1);
            samples[low] + part * (samples[high] - samples[low])
        };
        Ok(Spread {
            median: at(0.5),
            p10: at(0.1),
            p90: at(0.9),
            runs: samples.len(),
        })
    }
}

/// What to measure of a model.
#[derive(Clone, Debug)]
pub struct ModelBench {
    pub prompt_tokens: usize,
    pub new_tokens: usize,
    pub runs: usize,
    pub warmup: usize,
}

/// Generations one by one and the same together, in milliseconds for all of them; timed in turn.
#[derive(Clone, Debug, Serialize)]
pub struct BatchFigures {
    pub generations: usize,
    pub one_by_one_ms: Spread,
    pub together_ms: Spread,
    /// Of the medians.
    pub ratio: f64,
}

/// A model's timings on its backend.
#[derive(Clone, Debug, Serialize)]
pub struct ModelFigures {
    pub backend: &'static str,
    pub adapter: Option<String>,
    pub prompt_tokens: usize,
    pub new_tokens: usize,
    /// From the prompt to the logits of its last position, nothing cached.
    pub prefill_ms: Spread,
    /// Per new token, over runs of `new_tokens`.
    pub decode_ms_per_token: Spread,
    pub prefill_tokens_per_s: f64,
    pub decode_tokens_per_s: f64,
    /// One prompt with ten seeds.
    pub ten_seeds: BatchFigures,
    /// One prompt and seed with nine strengths of an edit.
    pub nine_strengths: BatchFigures,
    /// Over the new tokens of the timed runs, prefill left out; on the GPU only.
    pub traffic: Option<Traffic>,
    /// Milliseconds of each kernel in one prefill and in the decoding of one token behind it, medians of a few runs, where the device has
    /// timestamps.
    pub prefill_kernels_ms: Option<BTreeMap<&'static str, f64>>,
    pub decode_kernels_ms: Option<BTreeMap<&'static str, f64>>,
}

/// What a token costs between host and GPU.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Traffic {
    pub submits_per_token: f64,
    /// Times that the host waits for results.
    pub awaits_per_token: f64,
    /// Those of them with nothing in the queue behind what they wait for: the GPU then idles until the host has read and submitted.
    pub exposed_awaits_per_token: f64,
}

/// Times prefill and decode. A fixed rule makes the tokens; each run begins differently, so that nothing is cached.
pub async fn model(model: &Model, bench: &ModelBench, cancel: &Cancel) -> Result<ModelFigures> {
    let config = model.config();
    let tokens = bench.prompt_tokens.saturating_add(bench.new_tokens);
    if bench.prompt_tokens == 0 || bench.new_tokens == 0 || tokens > config.n_ctx + 1 {
        fail!(
            Argument,
            "--prompt-tokens {} and --new-tokens {} must both be at least 1 and fit the context of {}",
            bench.prompt_tokens,
            bench.new_tokens,
            config.n_ctx
        );
    }
    let gpu = model.gpu();
    let traffic = || gpu.as_ref().map_or([0; 3], |gpu| gpu.traffic());
    let (mut prefill, mut decode) = (Vec::new(), Vec::new());
    let mut traffic_of_all = [0; 3];
    for run in 0..bench.warmup.saturating_add(bench.runs) {
        let ids = prompt(run, bench.prompt_tokens, config.d_vocab);
        let started = now_ms();
        prefill_of(model, &ids, cancel).await?;
        let prefilled = now_ms();
        let before = traffic();
        decode_of(model, &ids, bench.new_tokens, cancel).await?;
        let decoded = now_ms();
        if run >= bench.warmup {
            prefill.push(prefilled - started);
            decode.push((decoded - prefilled) / bench.new_tokens as f64);
            let now = traffic();
            (0..3).for_each(|i| traffic_of_all[i] += now[i] - before[i]);
        }
    }
    let ids = prompt(
        bench.warmup.saturating_add(bench.runs),
        bench.prompt_tokens,
        config.d_vocab,
    );
    let (mut prefill_kernels, mut decode_kernels) = (Vec::new(), Vec::new());
    if let Some(gpu) = &gpu {
        for _ in 0..bench.runs.min(CLOCKED_RUNS) {
            if !gpu.start_clock() {
                break;
            }
            prefill_of(model, &ids, cancel).await?;
            prefill_kernels.push(gpu.stop_clock()?);
            gpu.start_clock();
            decode_of(model, &ids, 1, cancel).await?;
            decode_kernels.push(gpu.stop_clock()?);
        }
    }
    let tokens = (bench.runs * bench.new_tokens) as f64;
    let (prefill, decode) = (Spread::of(prefill)?, Spread::of(decode)?);
    let sampled = |seed: u64, edits: Vec<Edit>| GenerateOptions {
        max_tokens: Some(bench.new_tokens),
        sampling: SamplingOptions::at(1.0),
        seed: Some(seed),
        ignore_eos: true,
        edits,
        ..GenerateOptions::default()
    };
    let seeds: Vec<_> = (0..10).map(|seed| sampled(seed, Vec::new())).collect();
    let strengths: Vec<_> = (0..9)
        .map(|times| sampled(1, vec![Edit::clamp(0, 0, f64::from(times))]))
        .collect();
    let ten_seeds = batches(model, bench, &seeds, cancel).await?;
    let nine_strengths = batches(model, bench, &strengths, cancel).await?;
    let backend = model.backend();
    Ok(ModelFigures {
        backend: backend.kind.name(),
        adapter: backend.adapter.clone(),
        prompt_tokens: bench.prompt_tokens,
        new_tokens: bench.new_tokens,
        prefill_tokens_per_s: 1e3 * bench.prompt_tokens as f64 / prefill.median,
        decode_tokens_per_s: 1e3 / decode.median,
        prefill_ms: prefill,
        decode_ms_per_token: decode,
        ten_seeds,
        nine_strengths,
        traffic: gpu.map(|_| Traffic {
            submits_per_token: traffic_of_all[0] as f64 / tokens,
            awaits_per_token: traffic_of_all[1] as f64 / tokens,
            exposed_awaits_per_token: traffic_of_all[2] as f64 / tokens,
        }),
        prefill_kernels_ms: medians(prefill_kernels)?,
        decode_kernels_ms: medians(decode_kernels)?,
    })
}

/// Most runs by the device's own clock.
const CLOCKED_RUNS: usize = 9;

/// The median of each kernel; none without runs.
fn medians(runs: Vec<BTreeMap<&'static str, f64>>) -> Result<Option<BTreeMap<&'static str, f64>>> {
    let mut kernels = BTreeMap::<_, Vec<f64>>::new();
    for (kernel, ms) in runs.into_iter().flatten() {
        kernels.entry(kernel).or_default().push(ms);
    }
    let medians = kernels
        .into_iter()
        .map(|(kernel, ms)| Ok((kernel, Spread::of(ms)?.median)))
        .collect::<Result<BTreeMap<_, _>>>()?;
    Ok(Some(medians).filter(|medians| !medians.is_empty()))
}

/// The ids of a run's prompt, by a fixed rule.
fn prompt(run: usize, tokens: usize, d_vocab: usize) -> Vec<u32> {
    (0..tokens)
        .map(|i| ((run * 7919 + i * 104_729 + 1) % d_vocab) as u32)
        .collect()
}

async fn prefill_of(model: &Model, ids: &[u32], cancel: &Cancel) -> Result<()> {
    let options = RunOptions {
        logits: LogitRows::Last,
        ..RunOptions::default()
    };
    model.run(ids, &options, cancel).await.map(drop)
}

async fn decode_of(model: &Model, ids: &[u32], tokens: usize, cancel: &Cancel) -> Result<()> {
    let options = GenerateOptions {
        max_tokens: Some(tokens),
        sampling: SamplingOptions::at(0.0),
        ignore_eos: true,
        ..GenerateOptions::default()
    };
    let mut generation = model.generate(ids, &options)?;
    while generation.next(cancel).await?.finish.is_none() {}
    Ok(())
}

/// Most timed runs of batches, which are long.
const BATCH_RUNS: usize = 7;

/// Times generations of one prompt one by one and together, in turn.
async fn batches(model: &Model, bench: &ModelBench, all: &[GenerateOptions], cancel: &Cancel) -> Result<BatchFigures> {
    let (mut one_by_one, mut together) = (Vec::new(), Vec::new());
    for run in 0..1 + bench.runs.min(BATCH_RUNS) {
        // Each time another prompt, so that nothing is cached.
        let ids = |part: usize| prompt(1000 + 2 * run + part, bench.prompt_tokens, model.config().d_vocab);
        let (first, second) = (ids(0), ids(1));
        let started = now_ms();
        for options in all {
            let mut generation = model.generate(&first, options)?;
            while generation.next(cancel).await?.finish.is_none() {}
        }
        let between = now_ms();
        let requests: Vec<_> = all.iter().map(|options| (second.clone(), options.clone())).collect();
        let mut batch = model.generate_batch(&requests)?;
        while !batch.next(cancel).await?.is_empty() {}
        let ended = now_ms();
        if run > 0 {
            one_by_one.push(between - started);
            together.push(ended - between);
        }
    }
    let (one_by_one_ms, together_ms) = (Spread::of(one_by_one)?, Spread::of(together)?);
    Ok(BatchFigures {
        generations: all.len(),
        ratio: one_by_one_ms.median / together_ms.median,
        one_by_one_ms,
        together_ms,
    })
}

/// Largest input of [`topk`], in values.
const MAX_INPUT: usize = 1 << 28;

/// Timings of TopK on one shape.
#[derive(Clone, Debug, Serialize)]
pub struct TopKFigures {
    pub backend: &'static str,
    pub adapter: Option<String>,
    pub rows: usize,
    pub n: usize,
    pub k: usize,
    /// On the GPU with the input already there, including submit and wait.
    pub topk_ms: Spread,
    /// Of its kernels alone, by the device's own clock, where it has one.
    pub kernels_ms: Option<Spread>,
    /// For scale: the same result by sorting every row on the CPU.
    pub full_sort_ms: Spread,
}

/// The same numbers everywhere, from -1 to 1.
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 12_345u32;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Times TopK of `k` on `rows` rows of `n` values made by a fixed rule.
pub async fn topk(choice: BackendChoice, [rows, n, k]: [usize; 3], warmup: usize, runs: usize) -> Result<TopKFigures> {
    if rows == 0 || n == 0 || rows.checked_mul(n).is_none_or(|all| all > MAX_INPUT) {
        fail!(
            Argument,
            "topk {rows},{n},{k}: R and N must be at least 1 and R times N at most {MAX_INPUT}"
        );
    }
    let input = numbers(rows * n);
    let timed = |work: &dyn Fn() -> Result<()>, runs: usize| -> Result<Spread> {
        let mut samples = Vec::with_capacity(runs);
        for run in 0..warmup.saturating_add(runs) {
            let started = now_ms();
            work()?;
            if run >= warmup {
                samples.push(now_ms() - started);
            }
        }
        Spread::of(samples)
    };
    let full_sort = || topk_cpu(&input, n, n, Select::Value).map(drop);
    let (backend, gpu) = open(choice).await?;
    let mut kernels = Vec::new();
    let topk_ms = match gpu {
        Some(gpu) => {
            let operator = TopKGpu::new(gpu.clone(), gpu.profile());
            let times = operator.time(&input, n, k, Select::Value, warmup, runs).await?;
            for _ in 0..runs.min(CLOCKED_RUNS) {
                if !gpu.start_clock() {
                    break;
                }
                operator.time(&input, n, k, Select::Value, 0, 1).await?;
                kernels.push(gpu.stop_clock()?.values().sum());
            }
            Spread::of(times)?
        }
        None => timed(&|| topk_cpu(&input, n, k, Select::Value).map(drop), runs)?,
    };
    let full_sort_ms = timed(&full_sort, runs.min(5))?;
    Ok(TopKFigures {
        backend: backend.kind.name(),
        adapter: backend.adapter,
        rows,
        n,
        k,
        topk_ms,
        kernels_ms: (!kernels.is_empty()).then(|| Spread::of(kernels)).transpose()?,
        full_sort_ms,
    })
}
