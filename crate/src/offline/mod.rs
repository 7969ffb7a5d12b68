//! Work over many documents on the CPU, in threads: a model that threads share, the documents it reads, the ones it writes,
//! and files that are there whole or not at all. Native only.

pub mod documents;
pub mod files;
mod model;
mod progress;
pub mod write;
mod writer;

pub use model::{load_engine, OfflineModel};
pub use progress::Progress;

/// Threads where the caller names no number: one for each processor.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
