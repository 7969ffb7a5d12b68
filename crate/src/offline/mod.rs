//! Work on many documents on the CPU, in threads: a model that threads share, the documents it reads and writes,
//! and files that exist whole or not at all. Native only.

pub mod convert;
pub mod documents;
pub mod files;
pub mod manifest;
mod model;
mod progress;
pub mod write;
mod writer;

pub use model::{load_engine, OfflineModel};
pub use progress::Progress;

/// The default number of threads: one per processor.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
