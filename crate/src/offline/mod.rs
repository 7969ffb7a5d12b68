//! Work on many documents on the CPU, in threads: a model that threads share, the documents it reads and writes,
//! and files that exist whole or not at all. Native only, but for [`documents`], which the site cuts as the command does.

#[cfg(feature = "cli")]
pub mod compare;
#[cfg(feature = "cli")]
pub mod convert;
pub mod documents;
#[cfg(feature = "cli")]
pub mod files;
#[cfg(feature = "cli")]
pub mod manifest;
#[cfg(feature = "cli")]
mod model;
#[cfg(feature = "cli")]
mod progress;
#[cfg(feature = "cli")]
pub mod write;
#[cfg(feature = "cli")]
mod writer;

#[cfg(feature = "cli")]
pub use model::{load_engine, OfflineModel};
#[cfg(feature = "cli")]
pub use progress::Progress;

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The default number of threads: one per processor.
#[cfg(feature = "cli")]
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
