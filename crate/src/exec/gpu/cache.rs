//! The keys and values of one sequence on the GPU, and the bind groups that see them.

use std::cell::RefCell;
use std::collections::HashMap;

use super::buffers::Buf;
use super::context::{Gpu, Guard};
use super::staging::Staging;
use crate::config::Config;
use crate::error::{fail, Result};
use crate::ops::def::Step;

/// A kernel of a step, and a shard of its matrix.
pub(super) type Variant = (usize, usize);
/// Bind groups of kernels.
pub(super) type Groups = RefCell<HashMap<(Step, Variant), wgpu::BindGroup>>;

/// Positions that a cache begins with: with growth come copies and a wait, which short texts should not meet.
const FIRST_POSITIONS: usize = 256;

/// A KV cache that grows with its text. It belongs to the engine that made it, and keeps its weights alive no longer than that engine
/// does. Dropping it destroys its buffers.
#[derive(Debug)]
pub struct GpuCache {
    /// By layer: f32 `[positions, 2, d_kv]`, k after RoPE, then v, by position.
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
        let (layers, guard) = layers(gpu, config, positions, &[])?;
        Ok(GpuCache {
            layers,
            positions,
            groups: RefCell::default(),
            guard: Some(guard),
            unread: Vec::new(),
            flight: None,
        })
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
        let most = config.n_ctx.min((largest(gpu) / position_bytes(config)) as usize);
        let positions = positions.max(most.min(2 * self.positions));
        let (layers, guard) = layers(gpu, config, positions, &self.layers)?;
        guard.check(gpu).await?;
        // Steps that are under way were submitted before the copies, and finish on the old buffers.
        self.groups.borrow_mut().clear();
        (self.layers, self.positions) = (layers, positions);
        Ok(())
    }

    /// Gives up steps that nobody will ask for.
    pub fn forget_ahead(&mut self) {
        self.unread.clear();
        self.flight = None;
    }
}

/// Bytes of a position in one layer.
fn position_bytes(config: &Config) -> u64 {
    8 * config.d_kv() as u64
}

/// Most bytes of one layer.
fn largest(gpu: &Gpu) -> u64 {
    gpu.max_binding().min(gpu.max_buffer)
}

/// A buffer a layer for so many positions, which begins with what is in the one `before` it.
fn layers(gpu: &Gpu, config: &Config, positions: usize, before: &[Buf]) -> Result<(Vec<Buf>, Guard)> {
    let bytes = positions as u64 * position_bytes(config);
    if bytes > largest(gpu) {
        fail!(
            OutOfMemory,
            "a layer's keys and values for {positions} positions are larger than the GPU's largest binding"
        );
    }
    Ok(gpu.guarded("a key/value cache", || {
        let layers: Vec<Buf> = (0..config.n_layers)
            .map(|layer| gpu.storage(&format!("cache {layer}"), bytes))
            .collect();
        if !before.is_empty() {
            gpu.copies(before.iter().zip(&layers));
        }
        layers
    }))
}
