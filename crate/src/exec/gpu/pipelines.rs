//! Compute pipelines, each made once a device: shader modules by file, layouts by bindings, pipelines by constants.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::buffers::Buf;
use super::context::Gpu;
use super::shader::{shader, Binding, Shader};
use crate::error::{fail, Result};
use crate::ops::def::{Kernel, Params};

/// A compiled kernel and the layout of its one bind group.
#[derive(Debug)]
pub struct Pipeline {
    pub(super) raw: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    shader: &'static Shader,
}

impl Pipeline {
    pub(super) fn bindings(&self) -> &'static [Binding] {
        self.shader.bindings
    }

    /// Its shader's file.
    #[cfg(feature = "cli")]
    pub fn file(&self) -> &'static str {
        self.shader.file
    }
}

type Constants = Vec<(&'static str, u64)>;
type Layout = (wgpu::BindGroupLayout, wgpu::PipelineLayout);

/// What has been made of the kernels on a device; models that share it share them.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    modules: RefCell<HashMap<&'static str, wgpu::ShaderModule>>,
    layouts: RefCell<HashMap<Vec<(u32, bool)>, Layout>>,
    pipelines: RefCell<HashMap<(&'static str, Constants), Rc<Pipeline>>>,
}

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
        let constants = kernel.constants.iter();
        let key = (
            kernel.file,
            constants.map(|(name, value)| (*name, value.to_bits())).collect(),
        );
        let Gpu { device, compiled, .. } = &*self.gpu;
        if let Some(pipeline) = compiled.pipelines.borrow().get(&key) {
            return Ok(pipeline.clone());
        }
        let shader = shader(self.shaders, kernel.file)?;
        let mut modules = compiled.modules.borrow_mut();
        let module = modules.entry(shader.file).or_insert_with(|| {
            device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(shader.file),
                source: wgpu::ShaderSource::Wgsl(shader.source().into()),
            })
        });
        let mut layouts = compiled.layouts.borrow_mut();
        let kinds = shader.bindings.iter().map(|b| (b.number, b.writes)).collect();
        let (layout, pipeline_layout) = layouts
            .entry(kinds)
            .or_insert_with(|| make_layout(device, shader.bindings));
        let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(shader.file),
            layout: Some(pipeline_layout),
            module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &kernel.constants,
                ..Default::default()
            },
            cache: None,
        });
        let pipeline = Rc::new(Pipeline {
            raw,
            layout: layout.clone(),
            shader,
        });
        compiled.pipelines.borrow_mut().insert(key, pipeline.clone());
        self.fresh.borrow_mut().push(pipeline.clone());
        Ok(pipeline)
    }

    /// Those that this model was the first to ask for, since the last call.
    pub fn take_new(&self) -> Vec<Rc<Pipeline>> {
        self.fresh.take()
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

fn make_layout(device: &wgpu::Device, bindings: &[Binding]) -> (wgpu::BindGroupLayout, wgpu::PipelineLayout) {
    let entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty,
            has_dynamic_offset,
            min_binding_size: None,
        },
        count: None,
    };
    let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, true)];
    for binding in bindings {
        let ty = wgpu::BufferBindingType::Storage {
            read_only: !binding.writes,
        };
        entries.push(entry(binding.number, ty, false));
    }
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: None,
        entries: &entries,
    });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    (layout, pipeline_layout)
}
