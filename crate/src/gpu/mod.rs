//! The WebGPU executor: the same program as `cpu`, recorded as dispatches of the kernels in `shaders/`.
//!
//! [`open`] chooses an adapter, [`GpuLoader`] takes the weights, [`GpuEngine`] runs. Everything that is created is counted
//! and explicitly destroyed ([`Ledger`]); no call blocks on the web.

mod buffers;
mod build;
mod cache;
mod capture;
mod context;
mod decode;
mod edits;
mod engine;
mod pipelines;
mod program;
mod record;
mod scratch;
mod shader;
mod staging;
#[cfg(target_arch = "wasm32")]
mod web;
mod weights;

pub use buffers::{Buf, Ledger};
pub use cache::GpuCache;
pub use context::{open, AdapterChoice, BackendChoice, BackendKind, Gpu};
pub use engine::GpuEngine;
pub use pipelines::{Pipeline, Pipelines};
pub use record::{uniform_ring, Params, Recorder};
pub use shader::{assemble, entries};
pub use staging::{Staging, StagingPool};
pub use weights::GpuLoader;
