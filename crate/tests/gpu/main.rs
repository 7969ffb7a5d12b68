//! The WebGPU executor against the CPU twins, op by op, on whatever adapter there is (an emulated one will do).

mod ahead;
mod architectures;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod counts;
mod decode;
mod fused;
mod growth;
mod kernels;
mod life;
mod narrow;
mod ops;
mod resume;
mod rows;
mod tiles;
mod together;
