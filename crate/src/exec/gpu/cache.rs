//! The keys and values of one sequence on the GPU, and the bind groups that see them.

use std::cell::RefCell;
use std::collections::HashMap;

use super::buffers::Buf;
use super::context::Guard;
use super::staging::Staging;
use crate::ops::def::Step;

/// A kernel of a step, and a shard of its matrix.
pub(super) type Variant = (usize, usize);
/// Bind groups of kernels.
pub(super) type Groups = RefCell<HashMap<(Step, Variant), wgpu::BindGroup>>;

/// A KV cache with the capacity of the model's context. It belongs to the engine that made it, and keeps its weights alive
/// no longer than that engine does. Dropping it destroys its buffers.
#[derive(Debug)]
pub struct GpuCache {
    /// By layer: f32 `[n_ctx, 2, d_kv]`, k after RoPE, then v, by position.
    pub(super) layers: Vec<Buf>,
    pub(super) groups: Groups,
    /// What the device had to say about making it, asked at its first use.
    pub(super) guard: Option<Guard>,
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
    /// Gives up steps that nobody will ask for.
    pub fn forget_ahead(&mut self) {
        self.unread.clear();
        self.flight = None;
    }
}
