//! The compute pipelines of a model, and their bind groups.

use std::cell::RefCell;
use std::rc::Rc;

use super::buffers::Buf;
use super::compiled::{Found, Pipeline};
use super::context::Gpu;
use super::shader::Shader;
use crate::error::{fail, Result};
use crate::ops::def::{Kernel, Params};

/// The pipelines of a model.
#[derive(Debug)]
pub struct Pipelines {
    gpu: Rc<Gpu>,
    uniforms: Rc<Buf>,
    shaders: &'static [Shader],
    /// For [`Pipelines::take_new`].
    fresh: RefCell<Vec<Rc<Pipeline>>>,
}

impl Pipelines {
    /// `uniforms` is the ring that every kernel binds at 0, `shaders` are the kernels that there are.
    pub fn new(gpu: Rc<Gpu>, uniforms: Rc<Buf>, shaders: &'static [Shader]) -> Self {
        Pipelines {
            gpu,
            uniforms,
            shaders,
            fresh: RefCell::default(),
        }
    }

    /// The pipeline of a kernel; the first request starts its compilation.
    pub fn get(&self, kernel: &Kernel) -> Result<Rc<Pipeline>> {
        let Found { pipeline, is_new } = self.gpu.compiled.get(&self.gpu.device, self.shaders, kernel)?;
        if is_new {
            self.fresh.borrow_mut().push(pipeline.clone());
        }
        Ok(pipeline)
    }

    /// How many [`Pipelines::take_new`] would give.
    #[cfg(target_arch = "wasm32")]
    pub fn count_new(&self) -> usize {
        self.fresh.borrow().len()
    }

    /// Those that this model was the first to ask for, since the last call.
    pub fn take_new(&self) -> Vec<Rc<Pipeline>> {
        self.fresh.take()
    }

    /// Compiles them again when they are asked for again.
    pub fn forget_new(&self) {
        self.gpu.compiled.forget(&self.take_new());
    }

    /// The bind group of a pipeline: a buffer for each of its bindings, by name.
    pub fn group<'a>(
        &self,
        pipeline: &Pipeline,
        buffers: impl IntoIterator<Item = (&'static str, &'a Buf)>,
    ) -> Result<wgpu::BindGroup> {
        let Shader { file, bindings, .. } = pipeline.shader;
        let uniform = wgpu::BufferBinding {
            buffer: self.uniforms.raw(),
            offset: 0,
            size: wgpu::BufferSize::new(Params::BYTES),
        };
        let mut entries = vec![wgpu::BindGroupEntry {
            binding: 0,
            resource: wgpu::BindingResource::Buffer(uniform),
        }];
        for (name, buffer) in buffers {
            let Some(binding) = bindings.iter().find(|binding| binding.name == name) else {
                fail!(Device, "shaders/{file} has no binding {name}")
            };
            entries.push(wgpu::BindGroupEntry {
                binding: binding.number,
                resource: buffer.raw().as_entire_binding(),
            });
        }
        if entries.len() != bindings.len() + 1 {
            let names: Vec<&str> = bindings.iter().map(|binding| binding.name).collect();
            fail!(
                Device,
                "shaders/{file} has the bindings {}, not all of which are bound",
                names.join(", ")
            );
        }
        Ok(self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(file),
            layout: &pipeline.layout,
            entries: &entries,
        }))
    }
}
