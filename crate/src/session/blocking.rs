//! The same calls for programs without an executor: they block their thread. Native only.

use std::iter::FusedIterator;
use std::path::Path;

use super::{BackendChoice, Finish, GenerateOptions, Generation, LoadOptions, Model, RunOptions, RunOutput, StepReport};
use crate::checkpoint::FolderSource;
use crate::error::Result;
use crate::pace::Cancel;

impl Model {
    /// Reads a model folder onto the GPU where there is a real one, else onto the CPU.
    pub fn open(folder: impl AsRef<Path>) -> Result<Model> {
        Model::open_on(folder, BackendChoice::Auto)
    }

    /// [`Model::open`] onto a backend of one's choice.
    pub fn open_on(folder: impl AsRef<Path>, choice: BackendChoice) -> Result<Model> {
        let options = LoadOptions { backend: choice, ..LoadOptions::default() };
        Model::open_with(folder, &options)
    }

    /// [`Model::open`] with options.
    pub fn open_with(folder: impl AsRef<Path>, options: &LoadOptions) -> Result<Model> {
        let source = FolderSource::new(folder)?;
        pollster::block_on(Model::load_with(&source, options, &Cancel::default(), &mut |_, _| {}))
            .map_err(|error| source.named(error))
    }

    /// [`Model::run`], blocking.
    pub fn run_now(&self, ids: &[u32], options: &RunOptions) -> Result<RunOutput> {
        pollster::block_on(self.run(ids, options, &Cancel::default()))
    }

    /// What the model writes after `prompt`, whole.
    pub fn write(&self, prompt: &str, options: &GenerateOptions) -> Result<String> {
        let generation = self.generate(&self.encode_prompt(prompt)?, options)?;
        generation.steps().map(|step| Ok(step?.text)).collect()
    }
}

impl Generation {
    /// The new tokens one by one, blocking. An error is the last item.
    pub fn steps(self) -> Steps {
        Steps {
            generation: Some(self),
            finish: None,
            ready: Vec::new().into_iter(),
        }
    }
}

/// The tokens of a generation; see [`Generation::steps`].
#[derive(Debug)]
pub struct Steps {
    /// `None` once it has ended.
    generation: Option<Generation>,
    finish: Option<Finish>,
    /// Tokens of the latest group that were not given out yet.
    ready: std::vec::IntoIter<StepReport>,
}

impl Steps {
    /// Why the generation ended; `None` before the last token was given out, and behind an error.
    pub fn finish(&self) -> Option<Finish> {
        self.finish.filter(|_| self.ready.len() == 0)
    }
}

impl FusedIterator for Steps {}

impl Iterator for Steps {
    type Item = Result<StepReport>;

    fn next(&mut self) -> Option<Result<StepReport>> {
        loop {
            if let Some(step) = self.ready.next() {
                return Some(Ok(step));
            }
            match pollster::block_on(self.generation.as_mut()?.next(&Cancel::default())) {
                Ok(some) => {
                    if some.finish.is_some() {
                        self.finish = some.finish;
                        self.generation = None;
                    }
                    self.ready = some.steps.into_iter();
                }
                Err(error) => {
                    self.generation = None;
                    return Some(Err(error));
                }
            }
        }
    }
}
