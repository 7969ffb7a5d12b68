//! Which executor runs a model, and why. The two have the same methods; this is the switch between them.

use std::rc::Rc;

use crate::checkpoint;
use crate::config::Config;
use crate::cpu::{CpuCache, CpuEngine, CpuWeights};
use crate::engine::{Batch, BatchOutput, Decode, Step};
use crate::error::{fail, Result};
use crate::source::Source;

/// What the caller asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// WebGPU on a real adapter, the CPU where there is none or only a software emulation.
    #[default]
    Auto,
    /// WebGPU, an emulated adapter included; without any adapter an error.
    Gpu,
    Cpu,
}

/// What it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    WebGpu,
    Cpu,
}

impl BackendKind {
    /// The name in the public API.
    pub fn name(self) -> &'static str {
        match self {
            BackendKind::WebGpu => "webgpu",
            BackendKind::Cpu => "cpu",
        }
    }
}

/// The backend of a loaded model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendInfo {
    pub kind: BackendKind,
    /// The adapter's name, where one was found.
    pub adapter: Option<String>,
    /// Why it is this one, in a sentence.
    pub reason: String,
}

/// An executor with a model's weights.
pub enum Engine {
    Cpu(CpuEngine),
}

/// The key/value cache of one sequence on its executor.
pub enum EngineCache {
    Cpu(CpuCache),
}

/// Loads weights onto the backend that `choice` leads to.
pub async fn load(
    choice: BackendChoice,
    config: &Rc<Config>,
    source: &dyn Source,
    prefix: &str,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Engine, BackendInfo)> {
    let reason = match choice {
        BackendChoice::Cpu => "the CPU was asked for".to_owned(),
        _ => "".to_owned(),
    };
    let mut weights = CpuWeights::default();
    checkpoint::load_weights(source, prefix, config, &mut weights, progress).await?;
    let info = BackendInfo { kind: BackendKind::Cpu, adapter: None, reason };
    Ok((Engine::Cpu(CpuEngine::new(config.clone(), weights)), info))
}

impl Engine {
    /// Most rows of one batch.
    pub fn max_rows(&self) -> usize {
        match self {
            Engine::Cpu(engine) => engine.max_rows(),
        }
    }

    pub fn new_cache(&self) -> Result<EngineCache> {
        match self {
            Engine::Cpu(engine) => engine.new_cache().map(EngineCache::Cpu),
        }
    }

    /// Live GPU buffers and their bytes.
    pub fn memory(&self) -> (usize, u64) {
        match self {
            Engine::Cpu(_) => (0, 0),
        }
    }

    /// Whether several decode steps should go into one call.
    pub fn batches_steps(&self) -> bool {
        match self {
            Engine::Cpu(_) => false,
        }
    }

    pub async fn forward(&self, cache: &mut EngineCache, batch: &Batch<'_>) -> Result<BatchOutput> {
        match (self, cache) {
            (Engine::Cpu(engine), EngineCache::Cpu(cache)) => engine.forward(cache, batch).await,
        }
    }

    pub async fn decode(&self, cache: &mut EngineCache, decode: &Decode<'_>) -> Result<Vec<Step>> {
        match (self, cache) {
            (Engine::Cpu(engine), EngineCache::Cpu(cache)) => engine.decode(cache, decode).await,
        }
    }
}
