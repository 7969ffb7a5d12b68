//! What computes the residual streams of many documents for `topk-lm analyze`: threads on the CPU, or the GPU, one document after the other.

use std::rc::Rc;
use std::sync::Mutex;

use super::accumulate::Activations;
use super::streams::streams_of;
use super::threads::in_threads;
use crate::checkpoint::{self, FolderSource};
use crate::config::Config;
use crate::edits::EditTable;
use crate::error::Result;
use crate::exec::adapter::BackendChoice;
use crate::exec::cpu::{CpuCache, CpuEngine};
use crate::exec::gpu::{Gpu, GpuEngine, GpuLoader};
use crate::exec::request::{Batch, Capture, LogitRows};
use crate::offline::load_engine;
use crate::ops::buffers::HIDDEN;
use crate::ops::def::{Point, Rows};
use crate::ops::pass::ActiveRows;
use crate::weights::KeptAs;

/// A model's weights where they run.
pub struct Runner<'a> {
    weights: Weights<'a>,
    /// Of the threads, for the next documents.
    caches: Mutex<Vec<CpuCache>>,
}

enum Weights<'a> {
    Own(&'a CpuEngine),
    Loaded(Box<CpuEngine>),
    Gpu(Box<GpuEngine>),
}

/// The device that `choice` leads to, for all sets of weights; none on the CPU.
pub fn device(choice: BackendChoice) -> Result<Option<Rc<Gpu>>> {
    Ok(pollster::block_on(crate::exec::gpu::open(choice))?.1)
}

impl<'a> Runner<'a> {
    /// The weights under `prefix`. `own`: the engine that has those of the prefix "".
    pub fn new(
        gpu: Option<&Rc<Gpu>>,
        own: Option<&'a CpuEngine>,
        source: &FolderSource,
        prefix: &str,
        config: &Config,
    ) -> Result<Self> {
        let weights = match (gpu, own) {
            (None, Some(engine)) => Weights::Own(engine),
            (None, None) => {
                let engine = pollster::block_on(load_engine(source, prefix, config))?;
                Weights::Loaded(Box::new(engine))
            }
            (Some(gpu), _) => {
                let mut loader = GpuLoader::new(gpu.clone(), Rc::new(config.clone()))?;
                let mut silent = |_: u64, _: u64| {};
                let loading =
                    checkpoint::load_weights(source, prefix, config, KeptAs::Stored, &mut loader, &mut silent);
                pollster::block_on(loading)?;
                Weights::Gpu(Box::new(pollster::block_on(loader.finish())?))
            }
        };
        Ok(Runner {
            weights,
            caches: Mutex::default(),
        })
    }

    /// The residual stream of each document behind each of `layers` (ascending).
    pub fn streams(&self, documents: &[Vec<u32>], layers: &[usize], threads: usize) -> Result<Vec<Vec<Activations>>> {
        match &self.weights {
            Weights::Own(engine) => on_cpu(&self.caches, engine, documents, layers, threads),
            Weights::Loaded(engine) => on_cpu(&self.caches, engine, documents, layers, threads),
            Weights::Gpu(engine) => documents
                .iter()
                .map(|document| on_gpu(engine, document, layers))
                .collect(),
        }
    }
}

/// `caches`: of the threads, kept for the next documents.
fn on_cpu(
    caches: &Mutex<Vec<CpuCache>>,
    engine: &CpuEngine,
    documents: &[Vec<u32>],
    layers: &[usize],
    threads: usize,
) -> Result<Vec<Vec<Activations>>> {
    let work = |(): &mut (), number: usize| {
        let kept = caches.lock().ok().and_then(|mut kept| kept.pop());
        let mut cache = kept.unwrap_or_else(|| engine.new_cache());
        let streams = pollster::block_on(streams_of(engine, &mut cache, &documents[number], layers));
        if let Ok(mut kept) = caches.lock() {
            kept.push(cache);
        }
        streams
    };
    in_threads(threads, documents.len(), || Ok(()), work, |_| {})
}

/// In batches of as many rows as the engine takes.
fn on_gpu(engine: &GpuEngine, document: &[u32], layers: &[usize]) -> Result<Vec<Activations>> {
    let config = engine.config();
    let captures: Vec<Capture> = layers
        .iter()
        .map(|layer| Capture::buffer(Point::end(*layer), HIDDEN))
        .collect();
    let edits = EditTable::none(config.n_layers);
    let mut cache = engine.new_cache()?;
    let mut streams: Vec<Vec<f32>> = vec![Vec::with_capacity(document.len() * config.d_model); layers.len()];
    let mut start = 0;
    for ids in document.chunks(engine.max_rows().max(1)) {
        let batch = Batch {
            ids,
            start,
            rows: Rows::Sequence,
            edits: &edits,
            captures: &captures,
            logits: LogitRows::None,
        };
        let output = pollster::block_on(engine.forward(&mut cache, &batch))?;
        for (stream, rows) in streams.iter_mut().zip(output.captured) {
            stream.extend(rows);
        }
        start += ids.len();
    }
    let width = config.d_model;
    let activations = layers.iter().zip(streams).map(|(layer, rows)| {
        if config.topk_at(*layer).is_none() {
            return Activations::Dense { rows, width };
        }
        let mut active = ActiveRows::default();
        active.clear();
        rows.chunks(width).for_each(|row| active.push_row(row));
        Activations::Active(active)
    });
    Ok(activations.collect())
}
