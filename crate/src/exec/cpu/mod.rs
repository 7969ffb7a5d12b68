//! The CPU executor: the reference. One loop runs the CPU twins of a program's steps; single sequences, batches of sequences and the
//! analysis differ in the caches they pass and in where they stop to look.

#[cfg(feature = "cli")]
mod batched;
#[cfg(feature = "cli")]
mod branch;
mod engine;
#[cfg(feature = "cli")]
mod rest;
mod together;
mod run;

#[cfg(feature = "cli")]
pub use batched::{BatchedDecode, TokenInput};
#[cfg(feature = "cli")]
pub use branch::{Branches, Prefix};
pub use engine::{CpuCache, CpuEngine};
#[cfg(feature = "cli")]
pub use rest::Rest;
#[cfg(feature = "internals")]
pub use run::Run;
