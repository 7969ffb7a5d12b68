//! What engines of one set of weights share, and a step made ready for it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use super::buffers::Buf;
use super::cache::Variant;
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
}

/// A step with everything that does not change from call to call.
#[derive(Debug)]
pub(super) struct Prepared {
    pub step: Step,
    pub kernels: Vec<(Kernel, Rc<Pipeline>)>,
    pub vectors: Option<Buf>,
    /// First row and rows of each shard of its matrix.
    pub shards: Vec<(usize, usize)>,
    pub groups: RefCell<HashMap<Variant, wgpu::BindGroup>>,
    /// Of the edits' buffer that the groups bind.
    pub edits: Cell<usize>,
}

impl Core {
    /// Submits a recording.
    pub(super) fn submitted(&self, recorder: Recorder<'_>, staging: &mut Staging) {
        let submitted = recorder.submit();
        self.dispatches.set(submitted.dispatches);
        staging.filled_by(submitted);
        self.recordings.set(self.recordings.get() + 1);
    }
}
