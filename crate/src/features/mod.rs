//! What every neuron means: statistics over a corpus, their files (`README.md` beside this file), and labels. Native only.
//!
//! [`analyze`] goes over whole documents, `accumulate` keeps each neuron's statistics in bounded memory, `shard` stores them on disk,
//! and `report` writes the files of `features/` from one or more shards. One pass and merged shards take the same path, so their
//! files are the same, byte for byte.

mod accumulate;
pub mod analyze;
mod bands;
mod cluster;
mod corpus;
mod examples;
mod export;
mod facts;
mod histogram;
mod json;
mod kinds;
mod labels;
mod measure;
mod peaks;
mod places;
mod reads;
mod record;
pub mod report;
mod rules;
pub mod saes;
pub mod shard;
mod states;
pub mod statistics;
mod steps;
mod store;
mod streams;
pub mod threads;

/// Most positions that an entropy rests on.
pub const TOP: usize = 100;
/// With fewer, a neuron is "rare" and left out of medians.
pub const RARE_BELOW: usize = 20;
/// A neuron has emerged once its top tokens stay within this Jensen–Shannon distance of the final ones.
pub const EMERGENCE_JS: f64 = 0.5;
/// Tokens shown of an example: this many before it, itself, and this many after it.
pub const BEFORE: usize = 13;
pub const AFTER: usize = 6;
/// Most tokens of an example.
pub const WINDOW: usize = BEFORE + 1 + AFTER;
/// Active positions drawn for examples by quantile and at random.
pub const SAMPLE: usize = 32;
/// The format of the files; see `README.md`.
pub const FORMAT: u32 = 2;
/// Neurons in one file.
pub const PER_FILE: usize = 16;
