//! `topk-lm analyze`: runs a model over a corpus, in threads. For each batch the threads first share the documents (computing the
//! residual stream behind each block), then the layers (adding statistics, documents in order), so the result does not depend on
//! the number of threads. The state is saved after every part of the corpus, and an interrupted run continues from there.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::accumulate::{Activations, Added, LayerStatistics, Statistics};
use super::bands;
use super::corpus::{self, Cut};
use super::export::Export;
use super::facts::Facts;
use super::gather::gather;
use super::measure;
use super::record::{More, Neuron};
use super::report;
use super::runner::{self, Runner};
use super::saes::{self, SaeSource};
use super::shard::{Shard, Whole};
use super::states;
use super::store;
use super::RARE_BELOW;
use crate::checkpoint::FolderSource;
use crate::config::Config;
use crate::error::{fail, Result};
use crate::exec::adapter::{BackendChoice, BackendKind};
use crate::offline::{files, OfflineModel, Progress};
use crate::session::SaeQuality;

/// Documents per batch and thread, and memory for their activations.
const DOCUMENTS_A_THREAD: usize = 8;
const BATCH_BYTES: usize = 1 << 30;

/// What to analyze.
#[derive(Clone, Debug)]
pub struct AnalyzeOptions {
    pub model: PathBuf,
    pub corpus: Vec<PathBuf>,
    pub out: PathBuf,
    /// Analyze every `step{N}/` too.
    pub checkpoints: bool,
    /// Number of the shard, from 1, and their count.
    pub shard: Option<(u64, u64)>,
    pub twin: Option<PathBuf>,
    pub threads: usize,
    /// Where the residual streams are computed; all else is the CPU's work.
    pub backend: BackendChoice,
    pub export: Option<PathBuf>,
    /// Measure what each neuron writes, too.
    pub writes: bool,
    /// Stories and their true states: which state each neuron marks.
    pub stories: Option<(PathBuf, PathBuf)>,
    /// Autoencoders, whose features are counted too.
    pub saes: Vec<SaeSource>,
    /// Save the state after this many documents.
    pub part: usize,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analyzed {
    pub documents: u64,
    pub tokens: u64,
    /// Sets of weights, including the final ones.
    pub passes: usize,
    /// Documents counted by an earlier run, over all passes.
    pub resumed: u64,
    /// Documents that were cut into windows of the context, and how many windows they made; each counts as a document above.
    pub cut: Cut,
    /// Tokens that this run sent through the model, and the seconds it took, including statistics.
    pub computed: u64,
    pub seconds: f64,
    /// What the autoencoders leave over.
    pub saes: Option<SaeQuality>,
}

/// Runs the analysis; calls `notice` with what the user should know.
pub fn analyze(options: &AnalyzeOptions, notice: &mut dyn FnMut(&str)) -> Result<Analyzed> {
    // What cannot be done is found out before the hours that the counting may take.
    if !options.saes.is_empty() {
        saes::attached(&options.model, &options.saes)?;
    }
    let model = OfflineModel::load(FolderSource::new(&options.model)?, "")?;
    let (documents, corpus, cut) = corpus::read(&model, &options.corpus)?;
    let steps = if options.checkpoints {
        model.source.steps()?
    } else {
        Vec::new()
    };
    if options.checkpoints && steps.is_empty() {
        fail!(
            Argument,
            "--checkpoints: {} has no folder step{{N}}/ with weights",
            options.model.display()
        );
    }
    let mut facts = gather(&model, corpus, &steps, options.twin.as_deref(), notice)?;
    let gpu = runner::device(options.backend)?;
    facts.backend = gpu.as_ref().map(|_| BackendKind::Gpu.name().to_owned());
    if options.export.is_some() && facts.texts.is_none() {
        fail!(
            Argument,
            "--export writes token texts, but the model has no tokenizer.json"
        );
    }
    if options.writes {
        measure::check(&model, &facts)?;
    }
    let stories = options.stories.as_ref();
    let stories = stories
        .map(|(text, states)| states::read(&model, &facts, (text, states), notice))
        .transpose()?;
    let total = documents.len() as u64;
    let (from, to) = match options.shard {
        None => (0, total),
        Some((number, count)) => ((number - 1) * total / count, number * total / count),
    };
    let shard = Shard {
        folder: match options.shard {
            None => options.out.join(files::UNFINISHED),
            Some(_) => options.out.clone(),
        },
    };
    shard.begin(&facts, &documents[from as usize..to as usize])?;
    let mut run = Run {
        options,
        facts: &facts,
        documents: &documents,
        range: (from, to),
        progress: Progress::new("documents"),
        passes: 1 + steps.len() as u64,
        passed: 0,
        report: Analyzed {
            documents: to - from,
            cut,
            passes: 1 + steps.len(),
            ..Analyzed::default()
        },
    };
    let (source, config) = (model.source.clone(), model.config.clone());
    let final_weights = Runner::new(gpu.as_ref(), Some(&model.engine), &source, "", &config)?;
    run.report.tokens = run.pass(&shard, &final_weights, &config, None)?.tokens;
    drop(final_weights);
    drop(model);
    for step in steps {
        let path = shard.statistics_path(Some(step));
        // If nothing is left to do, not even the weights are read.
        let done = path.exists() && store::read_statistics(&path, &facts.empty(false, from))?.to == to;
        if done {
            run.passed += 1;
            run.report.resumed += to - from;
            continue;
        }
        let weights = Runner::new(gpu.as_ref(), None, &source, &format!("step{step}/"), &config)?;
        run.pass(&shard, &weights, &config, Some(step))?;
    }
    let Run {
        mut report, progress, ..
    } = run;
    drop(progress);
    if options.shard.is_none() {
        merge(
            std::slice::from_ref(&shard.folder),
            &options.out,
            options.export.as_deref(),
            Beyond {
                model: Some(&options.model),
                writes: options.writes,
                stories,
                threads: options.threads,
            },
            notice,
        )?;
        if !options.saes.is_empty() {
            let quality = saes::analyze_saes(&options.model, &documents, &options.saes, &options.out)?;
            report.saes = Some(quality);
        }
        std::fs::remove_dir_all(&shard.folder).map_err(|error| files::io_error(&shard.folder, "removed", &error))?;
    }
    Ok(report)
}

/// What is found out beyond counting, which needs the model itself.
#[derive(Default)]
pub struct Beyond<'a> {
    pub model: Option<&'a Path>,
    pub writes: bool,
    pub stories: Option<states::Stories>,
    pub threads: usize,
}

/// `topk-lm merge`: writes the files of the shards in these folders.
pub fn merge(
    shards: &[PathBuf],
    out: &Path,
    export: Option<&Path>,
    beyond: Beyond<'_>,
    notice: &mut dyn FnMut(&str),
) -> Result<()> {
    let shards: Vec<Shard> = shards.iter().map(|folder| Shard { folder: folder.clone() }).collect();
    let whole = Whole::read(&shards)?;
    let mut more = More::default();
    if let Some(folder) = beyond.model.filter(|_| beyond.writes || beyond.stories.is_some()) {
        let model = OfflineModel::load(FolderSource::new(folder)?, "")?;
        if Some(&model.fingerprint("")?) != whole.facts.weights.first() {
            fail!(Argument, "{} is not the model that was analyzed", folder.display());
        }
        let facts = &whole.facts;
        if let Some(stories) = beyond.stories {
            more.states = Some(states::measure(&model, facts, stories, beyond.threads)?);
        }
        if beyond.writes {
            more.measured = Some(measure::measure(
                &model,
                facts,
                &strong(&whole),
                beyond.threads,
                notice,
            )?);
        }
    }
    let mut exported = export
        .map(|folder| Export::new(folder, &whole.facts, whole.last.tokens))
        .transpose()?;
    // Without it nothing is taken for statistics until all of them are there.
    remove(&out.join("index.json"))?;
    let steps = out.join("steps");
    unlink(&steps)?;
    // What an earlier analysis measured, of other weights perhaps, would be taken for a part of this one. What stays is written anew below; of
    // layers and training steps there may have been more.
    for (name, is_ours) in [
        ("states.json", more.states.is_some()),
        ("contrasts.json", more.measured.is_some()),
        ("switches.json", more.measured.is_some()),
        ("clusters.json", whole.facts.clusters.is_some()),
        ("steps/columns.json", false),
    ] {
        if !is_ours {
            remove(&out.join(name))?;
        }
    }
    remove_numbered(&steps, "layer", "")?;
    let _ = std::fs::remove_dir(&steps); // unless something else is there
    remove_numbered(out, "layer", "")?;
    if let Some(folder) = export {
        remove_numbered(folder, "", "batch-")?;
    }
    for n in 0.. {
        let file = out.join(saes::file(n));
        if !file.is_file() {
            break;
        }
        remove(&file)?;
    }
    pollster::block_on(report::write(
        &whole,
        &more,
        &mut |ground, slot, record| {
            if let Some(export) = &mut exported {
                export.add(ground, slot, record);
            }
        },
        &mut |path, bytes| files::write_whole(&out.join(path), &bytes),
    ))?;
    exported.map_or(Ok(()), Export::finish)
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    std::fs::remove_file(path).map_err(|error| files::io_error(path, "removed", &error))
}

/// Removes a link, which is never followed: what is written next would land elsewhere.
fn unlink(path: &Path) -> Result<()> {
    if !path.is_symlink() {
        return Ok(());
    }
    std::fs::remove_dir_all(path).map_err(|error| files::io_error(path, "removed", &error))
}

/// Removes the files `{file}{n}.json` in folders `{layer}{L}/` of a folder, and nothing else: it may be somebody's own, named by mistake.
fn remove_numbered(folder: &Path, layer: &str, file: &str) -> Result<()> {
    let is_number = |text: &str| text.parse::<usize>().is_ok();
    for name in FolderSource::new(folder)
        .and_then(|source| source.folders(""))
        .unwrap_or_default()
    {
        if !name.strip_prefix(layer).is_some_and(is_number) {
            continue;
        }
        let inside = folder.join(name);
        unlink(&inside)?;
        for name in FolderSource::new(&inside)
            .and_then(|source| source.files(""))
            .unwrap_or_default()
        {
            let number = name.strip_prefix(file).and_then(|rest| rest.strip_suffix(".json"));
            if number.is_some_and(is_number) {
                remove(&inside.join(name))?;
            }
        }
        let _ = std::fs::remove_dir(&inside); // unless something else is there
    }
    Ok(())
}

/// The strong activation of each neuron of each layer, of the tail that is shown; `None` if it is rare.
fn strong(whole: &Whole) -> Vec<Vec<Option<f32>>> {
    let of = |layer: &LayerStatistics, index: usize| {
        let tail = match layer.ranks.len() {
            1 => 0,
            _ => Neuron::new(&whole.documents, layer, index, None).tail,
        };
        let points = layer.points(tail, index);
        (bands::weight(&points) >= RARE_BELOW as f64).then(|| bands::quantile(&points, measure::STRONG) as f32)
    };
    let layers = whole.last.layers.iter();
    layers
        .map(|layer| (0..layer.d_model).map(|index| of(layer, index)).collect())
        .collect()
}

struct Run<'a> {
    options: &'a AnalyzeOptions,
    facts: &'a Facts,
    documents: &'a [Vec<u32>],
    range: (u64, u64),
    progress: Progress,
    passes: u64,
    passed: u64,
    report: Analyzed,
}

impl Run<'_> {
    /// Counts one set of weights over the range.
    fn pass(&mut self, shard: &Shard, weights: &Runner<'_>, config: &Config, step: Option<u64>) -> Result<Statistics> {
        let (from, to) = self.range;
        let path = shard.statistics_path(step);
        let empty = self.facts.empty(step.is_none(), from);
        let mut statistics = if path.exists() {
            store::read_statistics(&path, &empty)?
        } else {
            empty
        };
        if statistics.from != from || statistics.to > to {
            fail!(
                Argument,
                "{} belongs to another shard; delete that folder, or choose another --out",
                path.display()
            );
        }
        self.report.resumed += statistics.to - from;
        let document_bytes = 6 * config.n_ctx * config.d_model * self.facts.layers.len();
        let threads = self.options.threads.max(1);
        let batch = (threads * DOCUMENTS_A_THREAD).min((BATCH_BYTES / document_bytes).max(1));
        let started = std::time::Instant::now();
        loop {
            let end = to.min(statistics.to.saturating_add(self.options.part.max(1) as u64));
            while statistics.to < end {
                let first = statistics.to as usize;
                let documents = &self.documents[first..(first + batch).min(end as usize)];
                self.report.computed += documents.iter().map(|document| document.len() as u64).sum::<u64>();
                let streams = weights.streams(documents, &self.facts.layers, threads)?;
                self.count(&mut statistics, documents, streams);
                self.show(&statistics, step);
            }
            store::write_statistics(&path, &statistics)?;
            if statistics.to == to {
                break;
            }
        }
        self.report.seconds += started.elapsed().as_secs_f64();
        self.passed += 1;
        Ok(statistics)
    }

    fn show(&mut self, statistics: &Statistics, step: Option<u64>) {
        let (from, to) = self.range;
        let note = match step {
            _ if self.passes == 1 => String::new(),
            None => " (final weights)".to_owned(),
            Some(step) => format!(" (step {step})"),
        };
        let done = self.passed * (to - from) + statistics.to - from;
        self.progress.show(done, self.passes * (to - from), &note);
    }

    /// Adds a batch of documents to the statistics.
    fn count(&self, statistics: &mut Statistics, documents: &[Vec<u32>], streams: Vec<Vec<Activations>>) {
        let counted: Vec<Vec<bool>> = documents
            .iter()
            .map(|document| corpus::counted(document, &self.facts.special))
            .collect();
        let first = statistics.to;
        let layers = Mutex::new(statistics.layers.iter_mut().enumerate());
        std::thread::scope(|scope| {
            for _ in 0..self.options.threads.max(1) {
                let (layers, counted, streams) = (&layers, &counted, &streams);
                scope.spawn(move || loop {
                    let next = layers.lock().ok().and_then(|mut layers| layers.next());
                    let Some((slot, layer)) = next else { break };
                    let added: Vec<Added<'_>> = (first as u32..)
                        .zip(counted)
                        .zip(streams)
                        .map(|((number, counted), stream)| Added {
                            number,
                            counted,
                            activations: &stream[slot],
                        })
                        .collect();
                    layer.add(&added);
                });
            }
        });
        statistics.pass(documents, &counted);
    }
}
