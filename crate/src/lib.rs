//! topk-lm: TopK language models (arXiv 2506.21468) run, read and edited neuron by neuron, on WebGPU and on the CPU.
//!
//! A [`Model`] is loaded from a folder in the Hugging Face layout. [`Model::run`] gives logits and hooks under TransformerLens' names,
//! [`Model::generate`] writes, an [`Edit`] sets a neuron (or a feature of an attached sparse autoencoder), and [`topk`] is the
//! operator by itself.
//!
//! ```
//! use topk_lm::{BackendChoice, Edit, GenerateOptions, Model, RunOptions, SamplingOptions};
//!
//! # fn main() -> topk_lm::Result<()> {
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/goldens/models/llama-gqa");
//! let model = Model::open_on(folder, BackendChoice::Cpu)?; // Model::open(folder) takes the GPU where there is one
//!
//! // Which neurons are active after block 1?
//! let hook = "blocks.1.hook_topk_out";
//! let options = RunOptions { hooks: vec![hook.into()], ..RunOptions::default() };
//! let output = model.run_now(&[3, 1, 4, 1, 5], &options)?;
//! assert_eq!(output.hooks[hook].shape, [5, model.config().d_model]);
//!
//! // What does it write when one of them is set?
//! let options = GenerateOptions {
//!     edits: vec![Edit::clamp(1, 3, 8.0)],
//!     max_tokens: Some(4),
//!     sampling: SamplingOptions::at(0.0),
//!     ..GenerateOptions::default()
//! };
//! for step in model.generate(&[3, 1, 4], &options)?.steps() {
//!     println!("{}", step?.id);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Model::open`], [`Model::run_now`] and [`Generation::steps`] block. Behind them are `async` functions that also run in a browser, report
//! progress, and end when a [`Cancel`] says so: [`Model::load`] from any [`Source`], [`Model::run`], [`Generation::next`]. They need nothing of an
//! executor: `pollster::block_on` will do. Natively they compute where they are polled, and wait there for a GPU: give them a thread that nothing
//! else waits for.
//!
//! What cannot be done is an [`Error`] of one sentence, and its [`Code`] is what a program branches on. Nothing that comes from outside makes a
//! call panic.
//!
//! A model, and what is made of it, stays in the thread that loaded it (none is `Send`): load one in each thread, or give one thread the work of
//! all; several generations together are a [`GenerationBatch`], and [`LoadOptions::threads`] has several threads compute one model.
//!
//! # Features
//!
//! - `gpu` (default): the WebGPU backend, through wgpu. Without it models run on the CPU, with the same results but for rounding, and wgpu is not built.
//! - `statistics`: what neurons do over a text, in memory. Internal: for the command and the site.
//! - `cli` (default): the command `topk-lm`, native only. A library user needs `default-features = false, features = ["gpu"]`, or no feature at all.
//!
//! What is not shown here is internal: it is public only with the feature `internals`, which the command and the tests use, and promises nothing.

// Modules depend on each other in one direction, from the surface (`wasm`, the command) down to numbers: `layers.txt` has the layers, and
// `npm test -- dependencies` checks them.

// An operation says in one place what both executors need of it; without the GPU, its kernels have no reader.
#![cfg_attr(not(feature = "gpu"), allow(dead_code))]
// Whatever comes in from outside is answered with an `Error`: nothing but a test may end the program.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented
    )
)]

#[cfg(all(feature = "cli", target_arch = "wasm32"))]
compile_error!("the feature `cli` is native only: ask for topk-lm with `default-features = false`");

/// Declares modules that are internal to the crate.
macro_rules! internal {
    ($($(#[$attribute:meta])* $name:ident;)*) => {
        $(
            $(#[$attribute])*
            #[cfg(feature = "internals")]
            #[doc(hidden)]
            pub mod $name;
            $(#[$attribute])*
            #[cfg(not(feature = "internals"))]
            mod $name;
        )*
    };
}

internal! {
    checkpoint;
    edits;
    error;
    exec;
    hooks;
    json;
    memory;
    numerics;
    ops;
    pace;
    program;
    session;
    source;
    tokenizer;
    weights;
}

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod bench;
pub mod config;
#[cfg(feature = "statistics")]
#[doc(hidden)]
pub mod features;
#[cfg(feature = "statistics")]
#[doc(hidden)]
pub mod offline;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod steer;
pub mod topk;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod turn;
#[cfg(target_arch = "wasm32")]
pub mod wasm;

#[cfg(not(target_arch = "wasm32"))]
pub use checkpoint::FolderSource;
pub use checkpoint::MemorySource;
pub use config::{CacheDtype, Config, GenerationDefaults, Sae, TopK};
pub use edits::{Action, Edit, Positions, Propagate, Site};
pub use error::{Code, Error, Result};
pub use exec::request::LogitRows;
pub use hooks::Array;
pub use numerics::order::{Post, Select};
pub use pace::Cancel;
#[cfg(not(target_arch = "wasm32"))]
pub use session::Steps;
pub use session::{
    Ablation, BackendChoice, BackendInfo, BackendKind, EachSet, Finish, GenerateOptions, Generated, Generation,
    GenerationBatch, KeptAs, LoadOptions, Model, Reconstruction, RunOptions, RunOutput, SaeOptions, SaeQuality,
    SamplingOptions, Setting, StepReport, Swap,
};
pub use source::{LocalFuture, Source};
pub use tokenizer::Tokenizer;

/// The README's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
