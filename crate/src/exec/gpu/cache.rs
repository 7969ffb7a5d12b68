//! The keys and values of one sequence on the GPU, and the bind groups that see them.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::{Entry, HashMap};

use super::buffers::Buf;
use super::context::Gpu;
use super::guard::Guard;
use super::staging::Staging;
use crate::config::Config;
use crate::error::{fail, Result};
use crate::ops::def::Step;

/// A kernel of a step, and a shard of its matrix.
pub(super) type Variant = (usize, usize);
/// Bind groups of kernels, which bind what the engine's calls share.
#[derive(Debug, Default)]
pub(super) struct Groups {
    made: RefCell<HashMap<(Step, Variant), wgpu::BindGroup>>,
    /// Of the edits' buffer, which is never older than what else is shared.
    generation: Cell<usize>,
}

impl Groups {
    /// The group of a kernel, made once while the edits' buffer is of this generation.
    pub fn get(
        &self,
        generation: usize,
        of: (Step, Variant),
        make: impl FnOnce() -> Result<wgpu::BindGroup>,
    ) -> Result<wgpu::BindGroup> {
        if self.generation.replace(generation) != generation {
            self.clear();
        }
        let mut made = self.made.borrow_mut();
        Ok(match made.entry(of) {
            Entry::Occupied(group) => group.get().clone(),
            Entry::Vacant(place) => place.insert(make()?).clone(),
        })
    }

    fn clear(&self) {
        self.made.borrow_mut().clear();
    }
}

/// Positions that a cache begins with: with growth come copies and a wait, which short texts should not meet.
const FIRST_POSITIONS: usize = 256;

/// A KV cache that grows with its text. It belongs to the engine that made it, and keeps its weights alive no longer than that engine
/// does. Dropping it destroys its buffers.
#[derive(Debug)]
pub struct GpuCache {
    /// By layer: `[positions, 2, d_kv]`, k after RoPE, then v, by position; in f32, or in f16 as `shaders/parts/cached.wgsl` says.
    pub(super) layers: Vec<Buf>,
    /// Those that it has room for.
    positions: usize,
    pub(super) groups: Groups,
    /// What the device had to say about making it, asked at its first use.
    guard: Option<Guard>,
    /// Batches of a prompt that are submitted, of which only the status is still to be read.
    pub(super) unread: Vec<(Staging, Guard)>,
    /// Steps that are submitted already.
    pub(super) flight: Option<Flight>,
}

/// Decode steps under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub staging: Staging,
    pub guard: Guard,
    /// Position of the first token fed.
    pub start: usize,
    pub steps: usize,
    /// Which recording of its engine it is.
    pub number: u64,
    /// When the GPU began with it, as far as the host knows: at the submit, or when it had read what was before it.
    pub at_ms: f64,
}

impl GpuCache {
    /// An empty one, for one sequence.
    pub(super) fn new(gpu: &Gpu, config: &Config) -> Result<GpuCache> {
        let positions = FIRST_POSITIONS.min(config.n_ctx);
        let (layers, guard) = layers(gpu, config, positions)?;
        Ok(GpuCache {
            layers,
            positions,
            guard: Some(guard),
            ..GpuCache::without_room()
        })
    }

    /// One that is still to be given buffers.
    pub(super) fn without_room() -> GpuCache {
        GpuCache {
            layers: Vec::new(),
            positions: 0,
            groups: Groups::default(),
            guard: None,
            unread: Vec::new(),
            flight: None,
        }
    }

    /// Positions that it has room for.
    pub(super) fn positions(&self) -> usize {
        self.positions
    }

    /// Asks once whether it was really made, and makes room for so many positions (the model's context at most): for more than asked for,
    /// so that a text can grow token by token. Where there is no memory for that, it stays as it was.
    pub(super) async fn ready(&mut self, gpu: &Gpu, config: &Config, positions: usize) -> Result<()> {
        if let Some(guard) = self.guard.take() {
            guard.check(gpu).await?;
        }
        let positions = positions.min(config.n_ctx);
        if positions <= self.positions {
            return Ok(());
        }
        let most = config.n_ctx.min(most_positions(gpu, config));
        let positions = positions.max(most.min(2 * self.positions));
        let (layers, guard) = layers(gpu, config, positions)?;
        guard.check(gpu).await?;
        self.move_to(gpu, config, layers, positions);
        Ok(())
    }

    /// Moves what it holds to buffers for more positions. Steps that are under way were submitted before, and finish on the old ones.
    pub(super) fn move_to(&mut self, gpu: &Gpu, config: &Config, layers: Vec<Buf>, positions: usize) {
        if positions <= self.positions {
            return;
        }
        let bytes = self.positions as u64 * position_bytes(config);
        gpu.copies(self.layers.iter().zip(&layers), 0, bytes);
        self.groups.clear();
        (self.layers, self.positions) = (layers, positions);
    }

    /// Gives up steps that nobody will ask for.
    pub fn forget_ahead(&mut self) {
        self.unread.clear();
        self.flight = None;
    }
}

/// Bytes of a position in one layer.
pub(super) fn position_bytes(config: &Config) -> u64 {
    config.position_bytes() as u64
}

/// Most positions that a buffer holds.
pub(super) fn most_positions(gpu: &Gpu, config: &Config) -> usize {
    (largest(gpu) / position_bytes(config)) as usize
}

/// Most bytes of a buffer that is bound.
pub(super) fn largest(gpu: &Gpu) -> u64 {
    gpu.max_binding().min(gpu.max_buffer)
}

/// A buffer a layer for so many positions.
pub(super) fn layers(gpu: &Gpu, config: &Config, positions: usize) -> Result<(Vec<Buf>, Guard)> {
    let bytes = positions as u64 * position_bytes(config);
    if bytes > largest(gpu) {
        fail!(
            OutOfMemory,
            "a layer's keys and values for {positions} positions are larger than the GPU's largest binding"
        );
    }
    Ok(gpu.guarded("a key/value cache", || {
        (0..config.n_layers)
            .map(|layer| gpu.storage(&format!("cache {layer}"), bytes))
            .collect()
    }))
}
