//! What every neuron means: statistics over a corpus, their files (`README.md` beside this file), and their labels. Native only.
//!
//! `analyze` goes over whole documents ([`analyze`]), `accumulate` keeps what a neuron needs in bounded memory, `shard` is that on
//! disk, and `report` makes the files of `features/` of one shard or of several: one pass and merged shards go the same way,
//! so their files are the same, byte for byte.

mod accumulate;
pub mod analyze;
mod cluster;
mod corpus;
mod examples;
mod export;
mod facts;
mod histogram;
mod json;
mod labels;
mod peaks;
mod record;
pub mod report;
pub mod shard;
pub mod statistics;
mod steps;
mod store;

/// Positions that the entropies rest on, at most.
pub const TOP: usize = 100;
/// With fewer a neuron is "rare", and left out of medians.
pub const RARE_BELOW: usize = 20;
/// A neuron has emerged where its top tokens stay within this Jensen–Shannon distance of the final ones.
pub const EMERGENCE_JS: f64 = 0.5;
/// Tokens around an example: this many before it, itself, and after it.
pub const BEFORE: usize = 13;
pub const AFTER: usize = 6;
/// Tokens of an example at most.
pub const WINDOW: usize = BEFORE + 1 + AFTER;
/// Active positions that are drawn for examples by quantile and at random.
pub const SAMPLE: usize = 32;
/// Neurons in one file.
pub const PER_FILE: usize = 16;
