//! What every neuron means: statistics over a corpus, their files (`README.md` beside this file), and labels.
//!
//! `accumulate` keeps each neuron's statistics in bounded memory, and `report` makes the files of `features/` from them. Two ways lead there:
//! the command's ([`analyze`]: threads, checkpoints, and shards on disk, which merge into the same bytes as one pass) and the site's
//! ([`live`]: one document after the other, in memory). The second is all there is without the feature `cli`.

mod accumulate;
#[cfg(feature = "cli")]
pub mod analyze;
mod bands;
mod beginnings;
mod cluster;
#[cfg(feature = "cli")]
pub mod control;
mod corpus;
mod examples;
#[cfg(feature = "cli")]
mod export;
mod facts;
#[cfg(feature = "cli")]
mod gather;
mod histogram;
mod json;
mod kinds;
mod labels;
pub mod live;
#[cfg(feature = "cli")]
mod measure;
#[cfg(not(feature = "cli"))]
#[path = "no_measure.rs"]
mod measure;
mod peaks;
mod places;
mod reads;
mod record;
pub mod report;
mod rules;
#[cfg(feature = "cli")]
mod runner;
#[cfg(feature = "cli")]
pub mod saes;
#[cfg(feature = "cli")]
pub mod shard;
#[cfg(feature = "cli")]
mod states;
#[cfg(not(feature = "cli"))]
#[path = "no_states.rs"]
mod states;
pub mod statistics;
mod steps;
#[cfg(feature = "cli")]
mod store;
mod streams;
#[cfg(feature = "cli")]
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
/// Texts stay readable if their surprise is at most so many times that of the model's own.
#[cfg(feature = "cli")]
pub const READS: f64 = 1.3;
/// Active positions drawn for examples by quantile and at random.
pub const SAMPLE: usize = 32;
/// The format of the files; see `README.md`.
pub const FORMAT: u32 = 2;
/// Neurons in one file.
pub const PER_FILE: usize = 16;
