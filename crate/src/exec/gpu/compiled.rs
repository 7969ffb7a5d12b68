//! What has been compiled on a device: shader modules by file, layouts by bindings, pipelines by constants.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::shader::{shader, Binding, Shader};
use crate::error::Result;
use crate::ops::def::Kernel;

/// A compiled kernel and the layout of its one bind group.
#[derive(Debug)]
pub struct Pipeline {
    pub(super) raw: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
    pub(super) shader: &'static Shader,
}

impl Pipeline {
    #[cfg(target_arch = "wasm32")]
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

/// A pipeline, and whether it was not there before.
pub(super) struct Found {
    pub pipeline: Rc<Pipeline>,
    pub is_new: bool,
}

impl Compiled {
    /// The pipeline of a kernel, one of `shaders`; the first request starts its compilation.
    pub fn get(&self, device: &wgpu::Device, shaders: &'static [Shader], kernel: &Kernel) -> Result<Found> {
        let constants = kernel.constants.iter();
        let key = (
            kernel.file,
            constants.map(|(name, value)| (*name, value.to_bits())).collect(),
        );
        if let Some(pipeline) = self.pipelines.borrow().get(&key) {
            return Ok(Found {
                pipeline: pipeline.clone(),
                is_new: false,
            });
        }
        let shader = shader(shaders, kernel.file)?;
        let mut modules = self.modules.borrow_mut();
        let module = modules.entry(shader.file).or_insert_with(|| {
            device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(shader.file),
                source: wgpu::ShaderSource::Wgsl(shader.source().into()),
            })
        });
        let mut layouts = self.layouts.borrow_mut();
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
        self.pipelines.borrow_mut().insert(key, pipeline.clone());
        Ok(Found { pipeline, is_new: true })
    }

    /// Gives up these pipelines, and what pipelines are made of.
    pub fn forget(&self, gone: &[Rc<Pipeline>]) {
        self.pipelines.borrow_mut().retain(|_, pipeline| !gone.iter().any(|gone| Rc::ptr_eq(gone, pipeline)));
        self.modules.borrow_mut().clear();
        self.layouts.borrow_mut().clear();
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
