//! The two executors of a program. They bind buffers by name and run steps; neither knows an operation.

pub mod adapter;
pub mod backend;
pub mod cpu;
#[cfg(feature = "gpu")]
pub mod gpu;
#[cfg(not(feature = "gpu"))]
pub mod no_gpu;
pub mod request;

#[cfg(not(feature = "gpu"))]
pub use no_gpu as gpu;
