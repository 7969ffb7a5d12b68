//! The CPU executor of one set of weights.

use super::run::{Loaded, Run};
use crate::config::Config;
use crate::edits::EditTable;
use crate::error::{fail, Result};

use crate::exec::request::{Batch, BatchOutput, Decode, Drawn, LogitRows, Resume};
use crate::ops::def::{Rows, Step};
use crate::ops::mlp_in;
use crate::ops::pass::{Buffers, KvCache, Placement, SLICE};
use crate::ops::rope::Frequencies;
use crate::ops::sampling::Draw;
use crate::ops::weights::CpuWeights;
use crate::memory::copied;
use crate::pace::pause;
use crate::numerics::gemm;
use crate::program::Program;
use crate::weights::{Tensor, Weight, WeightSink};

/// Runs batches on the CPU.
pub struct CpuEngine {
    pub(super) loaded: Loaded,
}

/// The cache of one sequence, with the buffers of its passes.
#[derive(Debug, Default)]
pub struct CpuCache {
    pub(super) kv: [KvCache; 1],
    pub(super) buffers: Buffers,
}

impl CpuCache {
    /// Bytes of its keys and values.
    pub fn bytes(&self) -> usize {
        self.kv[0].bytes()
    }

    /// Makes room for `positions` of a model.
    pub fn reserve(&mut self, config: &Config, positions: usize) -> Result<()> {
        self.kv[0].reserve(config, positions)
    }

    /// Takes over the first `positions` of another cache of the same model.
    pub fn copy_from(&mut self, other: &CpuCache, config: &Config, positions: usize) -> Result<()> {
        self.kv[0].copy_from(&other.kv[0], config, positions)
    }

    /// Frees all but keys and values.
    pub fn forget_scratch(&mut self) {
        self.buffers = Buffers::default();
    }
}

/// What copies of logits are called where there is no memory for them.
pub(super) const LOGITS: &str = "a copy of the logits";

impl CpuEngine {
    /// An engine with all weights of a model, and the products of weights that its program wants.
    pub async fn new(config: &Config, mut weights: CpuWeights) -> Result<Self> {
        let program = Program::new(config);
        for step in program.steps.iter().filter(|step| step.op.name == mlp_in::SPLIT.name) {
            let product = mlp_in::product(config, &weights, step.layer)?;
            weights.weight(Weight::MlpInProduct(step.layer), product)?;
            pause().await;
        }
        Ok(CpuEngine {
            loaded: Loaded {
                program,
                rope: Frequencies::new(config),
                weights,
                config: config.clone(),
            },
        })
    }

    /// The same model with the autoencoders of `config`, whose weights are `added`.
    pub fn with_saes(&self, config: &Config, inserted: &[Step], added: Vec<(Weight, Tensor)>) -> Result<CpuEngine> {
        let mut weights = self.loaded.weights.clone();
        for (which, tensor) in added {
            weights.weight(which, tensor)?;
        }
        Ok(CpuEngine {
            loaded: Loaded {
                program: Program::with(config, inserted),
                rope: self.loaded.rope.clone(),
                weights,
                config: config.clone(),
            },
        })
    }

    pub fn config(&self) -> &Config {
        &self.loaded.config
    }

    #[cfg(any(feature = "statistics", not(target_arch = "wasm32")))]
    pub fn weights(&self) -> &CpuWeights {
        &self.loaded.weights
    }

    /// Rows that one batch may have: whole groups of those that share a pass over the weights. Each batch reads and widens all weights anew, so
    /// that 16 rows a batch take twice as long as 64 (wasm, f32, d_model 512); hence a product of it may be larger than a slice.
    pub fn max_rows(&self) -> usize {
        let c = &self.loaded.config;
        let inner = c.d_qkv().max(c.d_query()).max(c.d_mlp_in());
        let rows = 4 * SLICE / c.d_model.saturating_mul(inner).max(1);
        gemm::ROWS * (rows / gemm::ROWS).clamp(2, 16)
    }

    /// Bytes of a cache with room for `positions`.
    pub fn cache_bytes(&self, positions: usize) -> usize {
        KvCache::size(&self.loaded.config, positions)
    }

    /// An empty cache for one sequence, which grows with it.
    pub fn new_cache(&self) -> CpuCache {
        CpuCache::default()
    }

    /// In front of the first step of a pass over one sequence, or over alternatives of one position.
    pub fn run<'a>(
        &'a self,
        cache: &'a mut CpuCache,
        ids: &'a [u32],
        start: usize,
        rows: Rows,
        edits: &'a EditTable,
    ) -> Result<Run<'a>> {
        let placement = Placement::One { start, rows };
        Run::new(&self.loaded, ids, placement, edits, &mut cache.kv, &mut cache.buffers)
    }

    /// One forward pass; see [`Batch`].
    pub async fn forward(&self, cache: &mut CpuCache, batch: &Batch<'_>) -> Result<BatchOutput> {
        let rows = batch.ids.len();
        let mut run = self.run(cache, batch.ids, batch.start, batch.rows, batch.edits)?;
        let mut output = BatchOutput::default();
        for capture in batch.captures {
            output.captured.push(run.capture(capture).await?);
        }
        run.finish().await?;
        output.logits = match batch.logits {
            LogitRows::None => Vec::new(),
            LogitRows::Last => copied(run.logits(rows.saturating_sub(1)..rows, None).await?, LOGITS)?,
            LogitRows::All => copied(run.logits(0..rows, None).await?, LOGITS)?,
            LogitRows::Token(id) => copied(run.logits(0..rows, Some(id)).await?, LOGITS)?,
        };
        Ok(output)
    }

    /// Whether nothing comes between a block's edits and the next block.
    pub fn resumes(&self) -> bool {
        self.loaded.program.plain_ends
    }

    /// Logits of one token, a row each, if the stream behind a row's block were that of `hidden` at a position of which all before is cached.
    /// The rows of `edits` count from 0 behind each block.
    pub async fn resumed(&self, cache: &mut CpuCache, from: &Resume<'_>, token: u32) -> Result<Vec<f32>> {
        let mut logits = Vec::with_capacity(from.layers.len());
        let mut hidden = from.hidden;
        for layers in from.layers.chunk_by(|a, b| a == b) {
            let (these, rest) = hidden.split_at(layers.len() * self.loaded.config.d_model);
            hidden = rest;
            let ids = vec![from.id; layers.len()];
            let mut run = self.run(cache, &ids, from.start, Rows::Alternatives, from.edits)?;
            run.resume(layers[0], these);
            run.finish().await?;
            logits.extend_from_slice(run.logits(0..ids.len(), Some(token)).await?);
        }
        Ok(logits)
    }

    /// Feeds a token, draws the next, and so on; see [`Decode`].
    pub async fn decode(&self, cache: &mut CpuCache, decode: &Decode<'_>) -> Result<Vec<Drawn>> {
        let mut ids = decode.ids.to_vec();
        let mut seen = vec![false; self.loaded.config.d_vocab];
        for id in &ids {
            seen[*id as usize] = true;
        }
        let mut steps = Vec::with_capacity(decode.steps);
        for _ in 0..decode.steps {
            let (position, next) = (ids.len() - 1, ids.len() as u32);
            let fed = [ids[position]];
            let mut run = self.run(cache, &fed, position, Rows::Sequence, decode.edits)?;
            let mut output = BatchOutput::default();
            for capture in decode.captures {
                output.captured.push(run.capture(capture).await?);
            }
            run.finish().await?;
            let logits = run.logits(0..1, None).await?;
            if decode.logits {
                output.logits = copied(logits, LOGITS)?;
            }
            let draw = Draw {
                sampling: decode.sampling,
                row: 0,
                seen: &seen,
                position: next,
                drawn: None,
            };
            let Some((id, logprob)) = run.draw(draw).await? else {
                fail!(Device, "no token was drawn")
            };
            seen[id as usize] = true;
            ids.push(id);
            steps.push(Drawn { id, logprob, output });
        }
        Ok(steps)
    }
}
