//! Which executor runs a model, and why. The two have the same methods; this is the switch between them.

use std::rc::Rc;

use crate::checkpoint;
use crate::config::Config;
use crate::error::{fail, Result};
use crate::exec::cpu::{CpuCache, CpuEngine};
use crate::exec::gpu::{Gpu, GpuCache, GpuEngine, GpuLoader, Slot};
use crate::exec::request::{Batch, BatchOutput, Capture, Decode, DecodeRow, Drawn, Resume};
use crate::ops::def::Step;
use crate::ops::pass::KvCache;
use crate::ops::weights::CpuWeights;
use crate::pace::now_ms;
use crate::source::Source;
use crate::weights::{KeptAs, Tensor, Weight};

/// An executor with a model's weights.
pub enum Engine {
    Cpu(Box<CpuEngine>),
    Gpu(Box<GpuEngine>),
}

/// The key/value cache of one sequence on its executor.
pub enum EngineCache {
    Cpu(Box<CpuCache>),
    Gpu(Box<GpuCache>),
    /// Beside those of other sequences that it steps with.
    Slot(Box<Slot>),
}

/// Loads weights onto `gpu`, or onto the CPU, which computes with so many threads, in browsers with those that it gets.
pub async fn load(
    gpu: Option<Rc<Gpu>>,
    config: &Rc<Config>,
    source: &dyn Source,
    prefix: &str,
    kept: KeptAs,
    threads: usize,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Engine> {
    if let Some(gpu) = gpu {
        let mut loader = GpuLoader::new(gpu, config.clone())?;
        checkpoint::load_weights(source, prefix, config, kept, &mut loader, progress).await?;
        return Ok(Engine::Gpu(Box::new(loader.finish().await?)));
    }
    let weights = CpuWeights::of_model(config);
    #[cfg(target_arch = "wasm32")]
    let weights = {
        let _ = threads;
        crate::numerics::team::assemble().await;
        weights
    };
    #[cfg(not(target_arch = "wasm32"))]
    let weights = weights.with_team(crate::numerics::threads::Team::of(threads)?);
    load_cpu(weights, config, source, prefix, kept, progress).await
}

/// Loads other weights of the same model onto the device of `engine`.
pub async fn load_beside(
    engine: &Engine,
    config: &Rc<Config>,
    source: &dyn Source,
    prefix: &str,
    kept: KeptAs,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Engine> {
    match engine {
        Engine::Gpu(engine) => {
            let mut loader = GpuLoader::beside(engine)?;
            checkpoint::load_weights(source, prefix, config, kept, &mut loader, progress).await?;
            Ok(Engine::Gpu(Box::new(loader.finish().await?)))
        }
        Engine::Cpu(engine) => {
            let weights = CpuWeights::of_model(config);
            #[cfg(not(target_arch = "wasm32"))]
            let weights = weights.with_team(engine.weights().team());
            #[cfg(target_arch = "wasm32")]
            let _ = engine;
            load_cpu(weights, config, source, prefix, kept, progress).await
        }
    }
}

async fn load_cpu(
    mut weights: CpuWeights,
    config: &Rc<Config>,
    source: &dyn Source,
    prefix: &str,
    kept: KeptAs,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Engine> {
    checkpoint::load_weights(source, prefix, config, kept, &mut weights, progress).await?;
    Ok(Engine::Cpu(Box::new(CpuEngine::new(config, weights).await?)))
}

impl EngineCache {
    /// Bytes of its keys and values.
    pub fn bytes(&self) -> usize {
        match self {
            EngineCache::Cpu(cache) => cache.bytes(),
            EngineCache::Gpu(_) => 0,
            EngineCache::Slot(slot) => slot.bytes(),
        }
    }

    /// Whether only steps with others are to be had of it.
    pub fn is_slot(&self) -> bool {
        matches!(self, EngineCache::Slot(_))
    }

    /// Gives up steps that nobody will ask for.
    pub fn forget_ahead(&mut self) {
        if let EngineCache::Gpu(cache) = self {
            cache.forget_ahead();
        }
    }
}

/// A cache never meets another executor than the one that made it.
fn mismatched_backend<T>() -> Result<T> {
    fail!(Argument, "a cache of one backend was given to the other")
}

impl Engine {
    /// The model's configuration, with the autoencoders attached here.
    pub fn config(&self) -> &Config {
        match self {
            Engine::Cpu(engine) => engine.config(),
            Engine::Gpu(engine) => engine.config(),
        }
    }

    /// The same model with the autoencoders of `config` (steps `inserted`), of which those new have the weights `added`.
    pub async fn with_saes(&self, config: &Config, inserted: &[Step], added: Vec<(Weight, Tensor)>) -> Result<Engine> {
        Ok(match self {
            Engine::Cpu(engine) => Engine::Cpu(Box::new(engine.with_saes(config, inserted, added)?)),
            Engine::Gpu(engine) => Engine::Gpu(Box::new(engine.with_saes(config, inserted, added).await?)),
        })
    }

    /// Most rows of one batch.
    pub fn max_rows(&self) -> usize {
        match self {
            Engine::Cpu(engine) => engine.max_rows(),
            Engine::Gpu(engine) => engine.max_rows(),
        }
    }

    /// Most rows of one batch with these captures, so that no submit of a GPU takes long and their results fit. On the CPU an abort is heard within a batch.
    pub fn rows_with(&self, captures: &[Capture]) -> usize {
        match self {
            Engine::Cpu(engine) => engine.max_rows(),
            Engine::Gpu(engine) => engine.rows_with(captures),
        }
    }

    pub fn new_cache(&self) -> Result<EngineCache> {
        match self {
            Engine::Cpu(engine) => Ok(EngineCache::Cpu(Box::new(engine.new_cache()))),
            Engine::Gpu(engine) => Ok(EngineCache::Gpu(Box::new(engine.new_cache()?))),
        }
    }

    /// Live GPU buffers and their bytes.
    pub fn memory(&self) -> (usize, u64) {
        match self {
            Engine::Cpu(_) => (0, 0),
            Engine::Gpu(engine) => (engine.gpu().ledger().buffers(), engine.gpu().ledger().bytes()),
        }
    }

    /// How long the decode steps of one call should take, in milliseconds, so that an abort takes effect soon. Each call on the CPU
    /// costs a browser a message from the worker to the page. On the GPU two such groups are under way.
    pub fn group_ms(&self) -> f64 {
        match self {
            Engine::Cpu(_) => 24.0,
            Engine::Gpu(_) => 40.0,
        }
    }

    pub async fn forward(&self, cache: &mut EngineCache, batch: &Batch<'_>) -> Result<BatchOutput> {
        match (self, cache) {
            (Engine::Cpu(engine), EngineCache::Cpu(cache)) => engine.forward(cache, batch).await,
            (Engine::Gpu(engine), EngineCache::Gpu(cache)) => engine.forward(cache, batch).await,
            _ => mismatched_backend(),
        }
    }

    /// Whether [`Engine::resumed`] is to be had: not where an autoencoder takes the place of what a block gives, which comes behind the edits of
    /// the block. Those at other points are no obstacle.
    pub fn resumes(&self) -> bool {
        match self {
            Engine::Cpu(engine) => engine.resumes(),
            Engine::Gpu(engine) => engine.resumes(),
        }
    }

    /// Whether rows that begin behind several blocks take no more dispatches than those that begin behind the first of these: then they had
    /// better go together.
    pub fn joins_rows(&self) -> bool {
        matches!(self, Engine::Gpu(_))
    }

    /// Logits of one token, a row each, of at most `max_rows` rows; see [`Resume`].
    pub async fn resumed(&self, cache: &mut EngineCache, from: &Resume<'_>, token: u32) -> Result<Vec<f32>> {
        match (self, cache) {
            (Engine::Cpu(engine), EngineCache::Cpu(cache)) => engine.resumed(cache, from, token).await,
            (Engine::Gpu(engine), EngineCache::Gpu(cache)) => engine.resumed(cache, from, token).await,
            _ => mismatched_backend(),
        }
    }

    /// A batch of which nothing is wanted but what it leaves in the cache; on the GPU it may still be under way.
    pub async fn prefill(&self, cache: &mut EngineCache, batch: &Batch<'_>) -> Result<()> {
        match (self, cache) {
            (Engine::Cpu(engine), EngineCache::Cpu(cache)) => engine.forward(cache, batch).await.map(drop),
            (Engine::Gpu(engine), EngineCache::Gpu(cache)) => engine.prefill(cache, batch).await,
            _ => mismatched_backend(),
        }
    }

    /// How many sequences of so many positions [`Engine::step_together`] takes: one, or none, is better off alone.
    pub fn rows_together(&self, positions: usize) -> usize {
        match self {
            Engine::Cpu(engine) => engine.max_rows(),
            Engine::Gpu(engine) => engine.rows_together(positions),
        }
    }

    /// Bytes of the keys and values of `positions` positions in a step that several take together.
    pub fn cache_bytes(&self, positions: usize) -> usize {
        match self {
            Engine::Cpu(engine) => engine.cache_bytes(positions),
            Engine::Gpu(engine) => KvCache::size(engine.config(), positions),
        }
    }

    /// A place with room for `positions` in the steps that several take together, where those need one: on the GPU.
    pub async fn slot(&self, positions: usize) -> Result<Option<EngineCache>> {
        match self {
            Engine::Cpu(_) => Ok(None),
            Engine::Gpu(engine) => Ok(Some(EngineCache::Slot(Box::new(engine.slot(positions).await?)))),
        }
    }

    /// Copies the first `length` positions of a cache into such a place.
    pub fn fill(&self, slot: &mut EngineCache, from: &mut EngineCache, length: usize) -> Result<()> {
        match (self, slot, from) {
            (Engine::Gpu(engine), EngineCache::Slot(slot), EngineCache::Gpu(from)) => {
                engine.fill(slot, from, length);
                Ok(())
            }
            _ => mismatched_backend(),
        }
    }

    /// Makes room in a cache that grows.
    pub fn reserve(&self, cache: &mut EngineCache, positions: usize) -> Result<()> {
        match (self, cache) {
            (Engine::Cpu(engine), EngineCache::Cpu(cache)) => cache.reserve(engine.config(), positions),
            (Engine::Gpu(_), EngineCache::Gpu(_)) => Ok(()),
            _ => mismatched_backend(),
        }
    }

    /// Copies the first `positions` of one cache into another, and frees what the other has beside keys and values. Whether it could.
    pub fn copy_cache(&self, from: &EngineCache, to: &mut EngineCache, positions: usize) -> Result<bool> {
        match (self, from, to) {
            (Engine::Cpu(engine), EngineCache::Cpu(from), EngineCache::Cpu(to)) => {
                to.forget_scratch();
                to.copy_from(from, engine.config(), positions)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Steps of several sequences, by row, and the milliseconds that they took where that is known: one step, or on the GPU up to `steps`; see
    /// [`DecodeRow`]. There `ahead` more, within `most` in all, are under way then: the next call gets those, and with it none of a row that was
    /// not among these.
    pub async fn step_together(
        &self,
        caches: Vec<&mut EngineCache>,
        rows: &[DecodeRow<'_>],
        steps: [usize; 3],
    ) -> Result<(Vec<Vec<Drawn>>, Option<f64>)> {
        let (mut own, mut slots) = (Vec::new(), Vec::new());
        for cache in caches {
            match cache {
                EngineCache::Cpu(cache) => own.push(&mut **cache),
                EngineCache::Slot(slot) => slots.push(&mut **slot),
                EngineCache::Gpu(_) => return mismatched_backend(),
            }
        }
        match self {
            Engine::Cpu(engine) if own.len() == rows.len() => {
                let started = now_ms();
                let drawn = engine.step_together(&mut own, rows).await?;
                let all = drawn.into_iter().map(|drawn| vec![drawn]).collect();
                Ok((all, Some(now_ms() - started)))
            }
            Engine::Gpu(engine) if slots.len() == rows.len() => engine.step_together(&mut slots, rows, steps).await,
            _ => mismatched_backend(),
        }
    }

    /// Steps, and the milliseconds that they took where that is known. On the GPU `ahead` more, within `most` in all, are under way then: the next call gets those.
    pub async fn decode(
        &self,
        cache: &mut EngineCache,
        decode: &Decode<'_>,
        [ahead, most]: [usize; 2],
    ) -> Result<(Vec<Drawn>, Option<f64>)> {
        match (self, cache) {
            (Engine::Cpu(engine), EngineCache::Cpu(cache)) => {
                let started = now_ms();
                Ok((engine.decode(cache, decode).await?, Some(now_ms() - started)))
            }
            (Engine::Gpu(engine), EngineCache::Gpu(cache)) => engine.decode_ahead(cache, decode, [ahead, most]).await,
            _ => mismatched_backend(),
        }
    }
}
