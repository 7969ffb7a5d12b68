//! What engines of one set of weights share, and a step made ready for it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use super::buffers::Buf;
use super::cache::Groups;
use super::compiled::Pipeline;
use super::context::Gpu;
use super::pipelines::Pipelines;
use super::record::Recorder;
use super::slots::Slots;
use super::staging::{Staging, StagingPool};
use super::store::Store;
use super::weights::GpuWeights;
use crate::config::Config;
use crate::ops::def::{Kernel, Step};
use crate::program::Program;

/// What engines of one set of weights share: several programs may run on it.
#[derive(Debug)]
pub(super) struct Core {
    pub gpu: Rc<Gpu>,
    pub config: Rc<Config>,
    pub pipelines: Rc<Pipelines>,
    pub uniforms: Rc<Buf>,
    pub store: Store,
    pub weights: GpuWeights,
    pub prepared: RefCell<HashMap<Step, Rc<Prepared>>>,
    pub staging: StagingPool,
    /// Of the sequences that step together, while there are any.
    pub slots: RefCell<Weak<Slots>>,
    pub dispatches: Cell<usize>,
    /// Recordings so far: whoever made the latest one knows what the shared buffers hold.
    pub recordings: Cell<u64>,
    /// Failures of the device up to which all is as it should be.
    pub failures: Cell<usize>,
}

/// A step with everything that does not change from call to call.
#[derive(Debug)]
pub(super) struct Prepared {
    pub step: Step,
    pub kernels: Vec<Prescribed>,
    pub vectors: Option<Buf>,
    /// First row and rows of each shard of its matrix.
    pub shards: Vec<(usize, usize)>,
    pub groups: Groups,
}

/// A kernel of a step, and its pipeline once a dispatch has asked for it.
#[derive(Debug)]
pub(super) struct Prescribed {
    pub kernel: Kernel,
    pub pipeline: RefCell<Option<Rc<Pipeline>>>,
}

impl Core {
    /// Submits a recording.
    pub(super) fn submitted(&self, recorder: Recorder<'_>, staging: &mut Staging) {
        let submitted = recorder.submit();
        self.dispatches.set(submitted.dispatches);
        staging.filled_by(submitted);
        self.raise_recordings();
    }

    /// Nobody else knows what the shared buffers hold from now on.
    pub(super) fn raise_recordings(&self) {
        self.recordings.update(|recordings| recordings + 1);
    }

    /// Gives up what calls of `program` have made on the way, once anything failed: it may not be there, and the next call makes it anew.
    pub(super) fn renew(&self, program: &Program) {
        let failures = self.gpu.failures.get();
        if self.failures.replace(failures) != failures {
            self.forget(program);
        }
    }

    #[cold]
    #[inline(never)]
    fn forget(&self, program: &Program) {
        self.store.renew(&program.buffers(&self.config));
        let mut prepared = self.prepared.borrow_mut();
        prepared.retain(|step, _| program.all().any(|own| own == step));
        for kernel in prepared.values().flat_map(|prepared| &prepared.kernels) {
            kernel.pipeline.take();
        }
        drop(prepared);
        self.pipelines.forget_new();
        self.raise_recordings();
    }
}
