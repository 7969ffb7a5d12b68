//! Compute pipelines, each made once a device and model: shader modules by file, layouts by bindings, pipelines by constants.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::buffers::Buf;
use super::context::Gpu;
use super::record::Params;
use super::shader::assemble;
use crate::error::Result;
use crate::ops::kernel::{Access, Kernel};

/// A compiled kernel and the layout of its one bind group.
#[derive(Debug)]
pub struct Pipeline {
    pub(super) raw: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
    bindings: &'static [Access],
    file: &'static str,
}

type Constants = Vec<(&'static str, u64)>;

/// All pipelines of a model.
#[derive(Debug)]
pub struct Pipelines {
    gpu: Rc<Gpu>,
    uniforms: Rc<Buf>,
    modules: RefCell<HashMap<&'static str, wgpu::ShaderModule>>,
    layouts: RefCell<HashMap<&'static [Access], (wgpu::BindGroupLayout, wgpu::PipelineLayout)>>,
    made: RefCell<HashMap<(&'static str, Constants), Rc<Pipeline>>>,
}

impl Pipelines {
    /// `uniforms` is the ring that every kernel binds at 0.
    pub fn new(gpu: Rc<Gpu>, uniforms: Rc<Buf>) -> Self {
        Pipelines {
            gpu,
            uniforms,
            modules: RefCell::default(),
            layouts: RefCell::default(),
            made: RefCell::default(),
        }
    }

    /// The pipeline of a kernel; the first request starts its compilation.
    pub fn get(&self, kernel: &Kernel) -> Result<Rc<Pipeline>> {
        let key = (
            kernel.file,
            kernel
                .constants
                .iter()
                .map(|(name, value)| (*name, value.to_bits()))
                .collect(),
        );
        if let Some(pipeline) = self.made.borrow().get(&key) {
            return Ok(pipeline.clone());
        }
        let device = &self.gpu.device;
        let mut modules = self.modules.borrow_mut();
        if !modules.contains_key(kernel.file) {
            let source = wgpu::ShaderSource::Wgsl(assemble(kernel.file)?.into());
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(kernel.file),
                source,
            });
            modules.insert(kernel.file, module);
        }
        let mut layouts = self.layouts.borrow_mut();
        let (layout, pipeline_layout) = layouts
            .entry(kernel.bindings)
            .or_insert_with(|| make_layout(device, kernel.bindings));
        let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.file),
            layout: Some(pipeline_layout),
            module: &modules[kernel.file],
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
            bindings: kernel.bindings,
            file: kernel.file,
        });
        self.made.borrow_mut().insert(key, pipeline.clone());
        Ok(pipeline)
    }

    /// The bind group of a pipeline: `buffers` at its bindings from 1 on, in order.
    pub fn group(&self, pipeline: &Pipeline, buffers: &[&Buf]) -> wgpu::BindGroup {
        let uniform = wgpu::BufferBinding {
            buffer: self.uniforms.raw(),
            offset: 0,
            size: wgpu::BufferSize::new(Params::BYTES),
        };
        let mut entries = vec![wgpu::BindGroupEntry {
            binding: 0,
            resource: wgpu::BindingResource::Buffer(uniform),
        }];
        let present = (1u32..)
            .zip(pipeline.bindings)
            .filter(|(_, access)| **access != Access::Absent);
        for ((binding, _), buffer) in present.zip(buffers) {
            entries.push(wgpu::BindGroupEntry {
                binding,
                resource: buffer.raw().as_entire_binding(),
            });
        }
        let descriptor = wgpu::BindGroupDescriptor {
            label: Some(pipeline.file),
            layout: &pipeline.layout,
            entries: &entries,
        };
        self.gpu.device.create_bind_group(&descriptor)
    }
}

fn make_layout(device: &wgpu::Device, bindings: &[Access]) -> (wgpu::BindGroupLayout, wgpu::PipelineLayout) {
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
    for (binding, access) in (1u32..).zip(bindings) {
        if *access != Access::Absent {
            entries.push(entry(
                binding,
                wgpu::BufferBindingType::Storage {
                    read_only: *access == Access::Read,
                },
                false,
            ));
        }
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
