//! A step made ready for the device: its kernels, its packed vectors and its bind groups, found by the names that its operation gives.

use std::cell::RefCell;
use std::rc::Rc;

use super::buffers::Buf;
use super::cache::{Groups, GpuCache};
use super::compiled::Pipeline;
use super::core::{Core, Prepared, Prescribed};
use crate::error::{fail, Result};
use crate::ops::def::{Dispatch, Kernel, KernelContext, Resource, Step};
use crate::weights::Dtype;

impl Core {
    /// A step made ready, once.
    pub(super) fn prepare(&self, step: &Step) -> Result<Rc<Prepared>> {
        if let Some(prepared) = self.prepared.borrow().get(step) {
            return Ok(prepared.clone());
        }
        let weights = &self.weights;
        let matrix = (step.op.matrix)(&self.config, step).map(|which| weights.stored(which));
        let (dtype, shards) = match matrix.transpose()? {
            None => (Dtype::F32, vec![(0, 0)]),
            Some(stored) => (
                stored.dtype,
                stored.shards.iter().map(|shard| (shard.first, shard.rows)).collect(),
            ),
        };
        let cx = KernelContext {
            config: &self.config,
            step,
            dtype,
            stored: &|which| weights.stored(which).ok().map(|stored| stored.dtype),
            profile: self.gpu.profile(),
            subgroups: self.gpu.subgroups(),
        };
        let kernels: Vec<_> = (step.op.kernels)(&cx)
            .into_iter()
            .map(|kernel| Prescribed {
                kernel,
                pipeline: RefCell::default(),
            })
            .collect();
        let packed = (step.op.vectors)(&self.config, step);
        let binds_vectors = kernels
            .iter()
            .any(|own| own.kernel.binds.iter().any(|(_, resource)| *resource == Resource::Vectors));
        let prepared = Rc::new(Prepared {
            step: *step,
            vectors: binds_vectors.then(|| weights.pack(&self.gpu, &packed)).transpose()?,
            kernels,
            shards,
            groups: Groups::default(),
        });
        self.prepared.borrow_mut().insert(*step, prepared.clone());
        Ok(prepared)
    }

    /// The pipeline and the bind group of a dispatch.
    pub(super) fn bound(
        &self,
        prepared: &Prepared,
        cache: &GpuCache,
        dispatch: &Dispatch,
    ) -> Result<(Rc<Pipeline>, wgpu::BindGroup)> {
        let Some(Prescribed { kernel, pipeline }) = prepared.kernels.get(dispatch.kernel) else {
            fail!(
                Device,
                "the operation {:?} has no kernel {}",
                prepared.step,
                dispatch.kernel
            )
        };
        let pipeline = match &mut *pipeline.borrow_mut() {
            Some(pipeline) => pipeline.clone(),
            none => none.insert(self.pipelines.get(kernel)?).clone(),
        };
        let of_cache = kernel.binds.iter().any(|(_, resource)| *resource == Resource::Cache);
        let groups = if of_cache { &cache.groups } else { &prepared.groups };
        let of = (prepared.step, (dispatch.kernel, dispatch.shard));
        let make = || self.group(prepared, cache, kernel, &pipeline, dispatch.shard);
        let group = groups.get(self.store.edits.generation(), of, make)?;
        Ok((pipeline, group))
    }

    fn group(
        &self,
        prepared: &Prepared,
        cache: &GpuCache,
        kernel: &Kernel,
        pipeline: &Pipeline,
        shard: usize,
    ) -> Result<wgpu::BindGroup> {
        let layer = prepared.step.layer;
        let weights = &self.weights;
        let mut named: Vec<(&'static str, Rc<Buf>)> = Vec::new();
        let mut others: Vec<(&'static str, &Buf)> = Vec::new();
        for (name, resource) in &kernel.binds {
            match *resource {
                Resource::Buffer(buffer) => named.push((name, self.store.get(buffer))),
                Resource::Rope => named.push((name, self.store.rope(layer).clone())),
                Resource::Edits => named.push((name, self.store.edits.buffer())),
                Resource::Weight(which) | Resource::RowsOf(which, _) => match weights.stored(which)?.shards.get(shard) {
                    Some(shard) => others.push((name, &shard.data)),
                    None => fail!(Device, "the weight {which:?} has no shard {shard}"),
                },
                Resource::Vectors => match &prepared.vectors {
                    Some(vectors) => others.push((name, vectors)),
                    None => fail!(Device, "the operation {:?} has no vectors", prepared.step),
                },
                Resource::Cache => match cache.layers.get(layer) {
                    Some(data) => others.push((name, data)),
                    None => fail!(Device, "the operation {:?} has no cache", prepared.step),
                },
            }
        }
        others.extend(named.iter().map(|(name, buffer)| (*name, &**buffer)));
        self.pipelines.group(pipeline, others)
    }
}
