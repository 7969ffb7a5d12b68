//! Models as a program in Rust sees them: loaded, run and generating on both executors, against transformers and against themselves.

mod batch;
mod blocking;
#[path = "../common/mod.rs"]
mod common;
mod context;
mod dtype;
mod effects;
mod four_bit;
mod gguf;
mod gguf_keys;
mod goldens;
mod kv_cache;
mod large;
mod sae;
mod sae_files;
mod session;
mod shipped;
mod threads;
