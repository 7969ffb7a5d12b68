//! A loaded model and what is done with it: [`Model::run`], [`Model::generate`], [`Model::logit_lens`], [`Model::ablate`],
//! [`Model::set_each`].

mod ablate;
mod batch;
#[cfg(not(target_arch = "wasm32"))]
mod blocking;
mod defaults;
mod generate;
mod groups;
mod run;
mod sae;
mod sequence;
mod stop;
mod text;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

pub use crate::exec::adapter::{BackendInfo, BackendChoice, BackendKind};
pub use ablate::{Ablation, EachSet, Setting};
pub use batch::GenerationBatch;
#[cfg(not(target_arch = "wasm32"))]
pub use blocking::Steps;
#[cfg(target_arch = "wasm32")]
pub use defaults::max_tokens;
pub use defaults::SamplingOptions;
pub use generate::Generation;
pub use run::{RunOptions, RunOutput, Swap};
pub use sae::{Reconstruction, SaeOptions, SaeQuality};
pub use text::{Finish, GenerateOptions, Generated, StepReport};

use crate::checkpoint;
pub use crate::config::CacheDtype;
use crate::config::{Config, GenerationDefaults};
use crate::error::{fail, quoted, Code, Error, Result};
use crate::exec::backend::{self, Engine};
use crate::exec::gpu::open;
use crate::pace::{beside, Cancel};
use crate::source::Source;
use crate::tokenizer::Tokenizer;
pub use crate::weights::KeptAs;
use groups::StepGroups;
use sequence::Pool;

/// What the argument with the ids to compute is called: here, and in JavaScript.
const IDS: &str = if cfg!(target_arch = "wasm32") { "prompt" } else { "ids" };

/// How to load a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Where it runs.
    pub backend: BackendChoice,
    /// Most positions of a sequence, where the model's own context is longer: keys, values and tables by position are laid out for so many.
    pub max_context: Option<usize>,
    /// In which numbers its matrices are kept, those of its training checkpoints too.
    pub dtype: KeptAs,
    /// In which numbers keys and values are cached.
    pub kv_cache: CacheDtype,
    /// Threads that compute a model on the CPU, this one included; 0 and 1 are this one alone. The results are the same, bit for bit. Browsers
    /// have their own rule.
    pub threads: usize,
}

/// A model: weights on a backend, tokenizer, and defaults. All calls take `&self` and may overlap; each keeps its own cache. Dropping it ends the
/// generations that it began.
pub struct Model {
    config: Rc<Config>,
    tokenizer: Option<Rc<Tokenizer>>,
    defaults: GenerationDefaults,
    choice: BackendChoice,
    dtype: KeptAs,
    backend: BackendInfo,
    /// `None` once disposed.
    engine: RefCell<Option<Rc<Engine>>>,
    disposed: Rc<Cell<bool>>,
    pool: Rc<Pool>,
    groups: Rc<StepGroups>,
}

impl Model {
    /// Reads a model folder. `progress` hears bytes of weights done and in all.
    pub async fn load(
        source: &dyn Source,
        choice: BackendChoice,
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Model> {
        let options = LoadOptions {
            backend: choice,
            ..LoadOptions::default()
        };
        Model::load_with(source, &options, cancel, progress).await
    }

    /// [`Model::load`] with options.
    pub async fn load_with(
        source: &dyn Source,
        options: &LoadOptions,
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Model> {
        let choice = options.backend;
        let files = async {
            let config = Rc::new(checkpoint::read_config_within(source, options.max_context, options.kv_cache).await?);
            let defaults = checkpoint::read_generation_defaults(source, &config).await?;
            let tokenizer = checkpoint::read_tokenizer(source, &config).await?.map(Rc::new);
            Ok((config, defaults, tokenizer))
        };
        // The device opens while files come; what is wrong with these is said first.
        let (device, (config, defaults, tokenizer)) = cancel.guard(beside(Box::pin(open(choice)), Box::pin(files))).await?;
        let (mut backend, mut gpu) = device?;
        let engine = loop {
            let load = backend::load(gpu.take(), &config, source, "", options.dtype, options.threads, progress);
            match cancel.guard(load).await {
                // What the files have to say against the model has been said.
                Err(error) if choice == BackendChoice::Auto && backend.kind == BackendKind::Gpu && error.is_of_device() => {
                    backend.kind = BackendKind::Cpu;
                    backend.adapter = None;
                    backend.reason = error.to_string();
                }
                loaded => break loaded?,
            }
        };
        Ok(Model {
            config,
            tokenizer,
            defaults,
            choice,
            dtype: options.dtype,
            backend,
            engine: RefCell::new(Some(Rc::new(engine))),
            disposed: Rc::default(),
            pool: Rc::default(),
            groups: Rc::default(),
        })
    }

    /// Loads other weights of the same shape (`prefix` is `"step254/"`, or empty for the final ones) and swaps when they are
    /// whole. Generations under way end on the weights they began with; after an error the old weights stay. Of calls that change weights or
    /// autoencoders at the same time the first to end counts, and the others are an error of code `argument`.
    pub async fn load_checkpoint(
        &self,
        source: &dyn Source,
        prefix: &str,
        cancel: &Cancel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        if !prefix.is_empty() && !prefix.ends_with('/') {
            fail!(Argument, "the prefix of a checkpoint must be a folder with a slash behind it, like step254/, not {}", quoted(prefix));
        }
        let current = self.engine()?;
        let engine = cancel
            .guard(backend::load_beside(&current, &self.config, source, prefix, self.dtype, progress))
            .await?;
        self.replace_engine(&current, Rc::new(engine))
    }

    /// Later calls run on `engine`, which was made of `current`; those under way end on what they began with.
    fn replace_engine(&self, current: &Rc<Engine>, engine: Rc<Engine>) -> Result<()> {
        if !Rc::ptr_eq(current, &self.engine()?) {
            fail!(Argument, "another call has changed the weights or autoencoders meanwhile; call again");
        }
        self.pool.serve(Some(&engine));
        self.groups.forget();
        self.engine.replace(Some(engine));
        Ok(())
    }

    /// Frees everything. Later calls, and generations under way, end with an error of code `disposed`.
    pub fn dispose(&self) {
        self.disposed.set(true);
        self.pool.serve(None);
        self.engine.replace(None);
    }

    /// What `config.json` says, with a context that may have been capped at load.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What `generation_config.json` says: how a generation draws where its options are `None`.
    pub fn defaults(&self) -> &GenerationDefaults {
        &self.defaults
    }

    /// What was asked for at load.
    pub fn choice(&self) -> BackendChoice {
        self.choice
    }

    /// What was chosen, and why.
    pub fn backend(&self) -> &BackendInfo {
        &self.backend
    }

    /// Live buffers of its device, whose weights, caches and autoencoders they are, and their bytes; zeros on the CPU.
    pub fn memory(&self) -> (usize, u64) {
        self.engine.borrow().as_ref().map_or((0, 0), |engine| engine.memory())
    }

    /// The device it runs on, where that is a GPU.
    #[cfg(feature = "cli")]
    pub fn gpu(&self) -> Option<Rc<crate::exec::gpu::Gpu>> {
        match self.engine.borrow().as_deref() {
            Some(Engine::Gpu(engine)) => Some(engine.gpu().clone()),
            _ => None,
        }
    }

    /// The tokenizer, or an error that says there is none.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        match &self.tokenizer {
            Some(tokenizer) => Ok(tokenizer),
            None => fail!(
                Tokenizer,
                "the model has no tokenizer.json; give token ids instead of text"
            ),
        }
    }

    /// Whether the folder has a `tokenizer.json`.
    pub fn has_tokenizer(&self) -> bool {
        self.tokenizer.is_some()
    }

    /// Ids of a prompt, exactly as the tokenizer's post-processor says; an empty result is BOS if there is one, else an error.
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>> {
        self.not_empty(self.tokenizer()?.encode(text)?)
    }

    /// The same, but special tokens that are written out in the text are text like any other ([`Tokenizer::encode_split`]).
    pub fn encode_split(&self, text: &str) -> Result<Vec<u32>> {
        self.not_empty(self.tokenizer()?.encode_split(text)?)
    }

    fn not_empty(&self, ids: Vec<u32>) -> Result<Vec<u32>> {
        match (ids.is_empty(), self.config.bos_token_id) {
            (false, _) => Ok(ids),
            (true, Some(bos)) => Ok(vec![bos]),
            (true, None) => fail!(
                Argument,
                "the prompt is empty and the model has no bos_token_id; give at least one token"
            ),
        }
    }

    /// The ids that end a text: generation_config's if it names any, else the config's.
    pub fn eos_token_ids(&self) -> &[u32] {
        self.defaults.ends(&self.config)
    }

    fn engine(&self) -> Result<Rc<Engine>> {
        match &*self.engine.borrow() {
            Some(engine) => Ok(engine.clone()),
            None => Err(gone()),
        }
    }

    /// Ids that fit the model: at least one, each in the vocabulary, no more than the context holds.
    fn check_ids(&self, ids: &[u32]) -> Result<()> {
        if ids.is_empty() {
            fail!(Argument, "{IDS} is empty; give at least one token");
        }
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.config.d_vocab) {
            fail!(
                Argument,
                "{IDS} holds {id}, but the model's tokens are 0 to {}",
                self.config.d_vocab - 1
            );
        }
        if ids.len() > self.config.n_ctx {
            fail!(
                Context,
                "the prompt has {} tokens, but the model's context holds {}",
                ids.len(),
                self.config.n_ctx
            );
        }
        Ok(())
    }
}

/// Of what is asked of a model that is no more.
fn gone() -> Error {
    Error::new(Code::Disposed, "the model was disposed; load it again")
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Model");
        shown.field("config", &self.config).field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.dispose();
    }
}
