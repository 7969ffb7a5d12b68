//! Compiles a model's kernels while its weights download, a few at a time: a browser works through all that it was given, also when the load was ended
//! meanwhile, and hands out no device before.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use wasm_bindgen_futures::spawn_local;

use super::buffers::Buf;
use super::context::Gpu;
use super::guard::Guard;
use super::pipelines::Pipelines;
use super::product;
use super::record::Recorder;
use crate::config::Config;
use crate::error::Result;
use crate::ops::def::{Kernel, KernelContext, Params};
use crate::ops::mlp_in;
use crate::program::Program;
use crate::weights::{Dtype, Weight};

/// Kernels that the browser has at a time. With more than one it does not wait for the next.
const AT_ONCE: usize = 4;

/// Bytes of a buffer that stands for another when kernels are tried: as much as any binding has to have.
const SCRATCH: u64 = 256;

/// The kernels of all steps, and of the products that are made of weights, which will be stored as `weights` says.
pub fn kernels(gpu: &Gpu, config: &Config, program: &Program, weights: &[(Weight, Dtype, usize)]) -> Vec<Kernel> {
    let stored = |which| weights.iter().find(|weight| weight.0 == which).map(|weight| weight.1);
    let layers = (0..config.n_layers).filter(|layer| product::reads(config, program, *layer));
    let dtypes = layers.filter_map(|layer| stored(Weight::MlpIn(layer)));
    let mut kernels: Vec<Kernel> = dtypes.map(|dtype| mlp_in::product_kernel(config, dtype)).collect();
    for step in program.all() {
        let matrix = (step.op.matrix)(config, step);
        let cx = KernelContext {
            config,
            step,
            dtype: matrix.and_then(stored).unwrap_or(Dtype::F32),
            stored: &stored,
            profile: gpu.profile(),
            subgroups: gpu.subgroups(),
        };
        kernels.extend((step.op.kernels)(&cx));
    }
    kernels
}

/// Kernels of a model under way; dropped, no more are begun.
pub struct Ahead(Rc<Work>);

impl Ahead {
    /// Begins with the first of `kernels`.
    pub fn new(gpu: Rc<Gpu>, pipelines: Rc<Pipelines>, uniforms: Rc<Buf>, mut kernels: Vec<Kernel>) -> Ahead {
        kernels.reverse();
        let device = gpu.clone();
        let work = Rc::new(Work {
            gpu,
            pipelines,
            uniforms,
            outcome: RefCell::new(kernels.is_empty().then_some(Ok(()))),
            waiting: RefCell::new(kernels),
            waker: Cell::default(),
        });
        let weak = Rc::downgrade(&work);
        spawn_local(async move {
            while let Some((made, guard)) = weak.upgrade().and_then(|work| work.go_on()) {
                let made = guard.check(&device).await.and(made);
                if let Some(work) = weak.upgrade() {
                    work.note(made);
                }
            }
        });
        Ahead(work)
    }

    /// Waits for the last one, or for the first that fails.
    pub async fn finish(self) -> Result<()> {
        poll_fn(|cx| match self.0.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                self.0.waker.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}

struct Work {
    gpu: Rc<Gpu>,
    pipelines: Rc<Pipelines>,
    uniforms: Rc<Buf>,
    /// The next is the last.
    waiting: RefCell<Vec<Kernel>>,
    /// Of all, once they are made.
    outcome: RefCell<Option<Result<()>>>,
    /// Of who waits for it.
    waker: Cell<Option<Waker>>,
}

impl Work {
    /// Gives the browser some that are new to it; `None` if none are left.
    fn go_on(&self) -> Option<(Result<()>, Guard)> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            return None;
        }
        Some(self.gpu.guarded("the kernels", || {
            while self.pipelines.count_new() < AT_ONCE {
                let Some(kernel) = waiting.pop() else { break };
                self.pipelines.get(&kernel)?;
            }
            self.rehearse()
        }))
    }

    /// What became of them. After a failure no more are begun.
    fn note(&self, made: Result<()>) {
        let mut waiting = self.waiting.borrow_mut();
        if made.is_err() {
            waiting.clear();
        }
        if waiting.is_empty() {
            self.outcome.replace(Some(made));
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
    }

    /// Runs one workgroup of every kernel that is new, over no rows: what a driver compiles at the first use, it compiles now.
    fn rehearse(&self) -> Result<()> {
        let scratch = |_| self.gpu.storage("rehearsal", SCRATCH);
        // A buffer cannot be written under two names, nor read under one and written under another.
        let read = scratch(0);
        let mut written: Vec<Buf> = Vec::new();
        let mut recorder = Recorder::new(&self.gpu, &self.uniforms);
        for pipeline in &self.pipelines.take_new() {
            let bindings = pipeline.bindings();
            let writes = bindings.iter().filter(|binding| binding.writes).count();
            written.extend((written.len()..writes).map(scratch));
            let mut free = written.iter();
            let buffers = bindings.iter().map(|binding| {
                let own = if binding.writes { free.next() } else { None };
                (binding.name, own.unwrap_or(&read))
            });
            let group = self.pipelines.group(pipeline, buffers)?;
            recorder.dispatch(pipeline, &group, Params::default(), [1, 1, 1]);
        }
        recorder.submit();
        Ok(())
    }
}
