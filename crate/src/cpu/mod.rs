//! The CPU executor: the reference. It runs the program of `model.rs` by calling the CPU twin of each operation.

mod buffers;
mod engine;
pub mod gemm;
mod weights;

pub use buffers::{ActiveRows, Buffers, CpuCache};
pub use engine::CpuEngine;
pub use weights::{CpuTensor, CpuWeights};
