//! Compiles a model's kernels while its weights download, a few at a time: a browser works through all that it was given, also when the load was ended
//! meanwhile, and hands out no device before.

use std::cell::RefCell;
use std::rc::Rc;

use wasm_bindgen_futures::spawn_local;

use super::buffers::Buf;
use super::context::{Gpu, Guard};
use super::pipelines::Pipelines;
use super::record::Recorder;
use crate::error::Result;
use crate::ops::def::{Kernel, Params};

/// Kernels that the browser has at a time. With more than one it does not wait for the next.
const AT_ONCE: usize = 4;

/// Bytes of a buffer that stands for another when kernels are tried: as much as any binding has to have.
const SCRATCH: u64 = 256;

/// Kernels of a model under way; dropped, no more are begun.
pub struct Ahead {
    gpu: Rc<Gpu>,
    pipelines: Rc<Pipelines>,
    uniforms: Rc<Buf>,
    /// The next is the last.
    waiting: RefCell<Vec<Kernel>>,
    begun: RefCell<Vec<(Result<()>, Guard)>>,
}

impl Ahead {
    /// Begins with the first of `kernels`.
    pub fn new(gpu: Rc<Gpu>, pipelines: Rc<Pipelines>, uniforms: Rc<Buf>, mut kernels: Vec<Kernel>) -> Rc<Ahead> {
        kernels.reverse();
        let ahead = Rc::new(Ahead {
            gpu,
            pipelines,
            uniforms,
            waiting: RefCell::new(kernels),
            begun: RefCell::default(),
        });
        let weak = Rc::downgrade(&ahead);
        spawn_local(async move {
            while let Some(compiled) = weak.upgrade().and_then(|ahead| ahead.go_on()) {
                compiled.settle().await;
            }
        });
        ahead
    }

    /// Goes on with those that are left beside what is under way, and checks what became of all.
    pub async fn finish(self: Rc<Ahead>) -> Result<()> {
        while let Some(compiled) = self.go_on() {
            compiled.settle().await;
        }
        for (made, guard) in self.begun.take() {
            guard.check(&self.gpu).await?;
            made?;
        }
        Ok(())
    }

    /// Gives the browser some that are new to it, and says what settles once it has compiled them; `None` if none are left.
    fn go_on(&self) -> Option<Guard> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            return None;
        }
        let begun = self.gpu.guarded("the kernels", || {
            while self.pipelines.count_new() < AT_ONCE {
                let Some(kernel) = waiting.pop() else { break };
                self.pipelines.get(&kernel)?;
            }
            self.rehearse()
        });
        self.begun.borrow_mut().push(begun);
        Some(self.gpu.guarded("", || ()).1)
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
