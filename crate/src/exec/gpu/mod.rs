//! The WebGPU executor: the same program as `cpu`, recorded as dispatches of the kernels in `shaders/`.
//!
//! [`open`] chooses an adapter, [`GpuLoader`] takes the weights, [`GpuEngine`] runs. Everything that is created is counted
//! and explicitly destroyed ([`Ledger`]); no call blocks on the web.

#[cfg(target_arch = "wasm32")]
mod ahead;
mod buffers;
mod cache;
mod capture;
#[cfg(feature = "cli")]
mod clock;
mod compiled;
mod context;
mod core;
mod decode;
mod edits;
mod engine;
mod guard;
mod loader;
#[cfg(feature = "cli")]
mod meter;
mod pipelines;
mod prepared;
mod product;
mod record;
mod resume;
mod shader;
mod slots;
mod staging;
mod store;
mod together;
#[cfg(target_arch = "wasm32")]
mod web;
mod weights;

pub use buffers::Buf;
#[cfg(feature = "internals")]
pub use buffers::Ledger;
pub use cache::GpuCache;
pub use context::{open, Gpu};
pub use engine::GpuEngine;
pub use loader::GpuLoader;
pub use pipelines::Pipelines;
pub use record::{uniform_ring, Recorder};
pub use shader::OPERATOR_SHADERS;
#[cfg(feature = "internals")]
pub use shader::{shader, Binding, Shader, SHADERS};
pub use slots::Slot;
pub use staging::{Staging, StagingPool};
