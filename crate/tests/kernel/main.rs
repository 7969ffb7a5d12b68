//! Kernels of `shaders/` that have a twin outside of the engine, run alone: TopK and the sampler.

mod runner;
mod sample;
mod topk_block;
mod topk_operator;
