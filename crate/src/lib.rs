//! topk-lm: TopK language models (arXiv 2506.21468) run, read and edited neuron by neuron, on WebGPU and on the CPU.
//!
//! The dependencies point one way: `wasm`/`bin` → [`session`] → [`model`] → [`ops`] → {[`cpu`], `gpu`}.

pub mod bench;
pub mod checkpoint;
pub mod config;
pub mod cpu;
pub mod edits;
pub mod engine;
pub mod error;
#[cfg(not(target_arch = "wasm32"))]
pub mod features;
pub mod gpu;
pub mod hooks;
pub mod math;
pub mod model;
#[cfg(not(target_arch = "wasm32"))]
pub mod offline;
pub mod ops;
pub mod order;
pub mod pace;
pub mod sampling;
pub mod session;
pub mod source;
pub mod tokenizer;
pub mod topk;
#[cfg(target_arch = "wasm32")]
pub mod wasm;
pub mod weights;
