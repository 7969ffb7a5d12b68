//! The CPU executor: the reference. It runs the program of `model.rs` by calling the CPU twin of each operation.

mod buffers;
mod engine;
pub mod gemm;
#[cfg(not(target_arch = "wasm32"))]
mod lockstep;
#[cfg(not(target_arch = "wasm32"))]
mod trunk;
mod weights;

pub use buffers::{ActiveRows, Buffers, CpuCache};
pub use engine::CpuEngine;
#[cfg(not(target_arch = "wasm32"))]
pub use lockstep::{Lockstep, Next};
#[cfg(not(target_arch = "wasm32"))]
pub use trunk::Behind;
pub use weights::{CpuTensor, CpuWeights};
