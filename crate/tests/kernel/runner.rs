//! Runs one kernel of `shaders/` on a native adapter (an emulation is enough), for tests that compare it with its CPU twin.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use wgpu::util::DeviceExt;

/// What a binding of group 0 is.
pub enum Slot<'a> {
    Uniform(&'a [u32]),
    /// Read-only storage.
    Read(&'a [u32]),
    /// Storage that comes back, with what it starts with.
    Write(&'a [u32]),
}

pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipelines: RefCell<HashMap<String, wgpu::ComputePipeline>>,
}

impl Gpu {
    /// The first adapter, an emulation too; a machine without any cannot run these tests.
    pub fn new() -> Gpu {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        // Validation layers would only slow the emulation down; wgpu's own validation stays.
        descriptor.flags = wgpu::InstanceFlags::empty();
        let instance = wgpu::Instance::new(descriptor);
        let options = wgpu::RequestAdapterOptions::default();
        let adapter =
            pollster::block_on(instance.request_adapter(&options)).expect("a Vulkan adapter, for example lavapipe");
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            required_features: adapter.features() & wgpu::Features::SUBGROUP,
            ..Default::default()
        });
        let (device, queue) = pollster::block_on(request).expect("a device with the default limits");
        Gpu {
            device,
            queue,
            pipelines: RefCell::default(),
        }
    }

    /// Whether there are operations of subgroups.
    #[allow(dead_code)] // not every test that has this module asks
    pub fn has_subgroups(&self) -> bool {
        self.device.features().contains(wgpu::Features::SUBGROUP)
    }

    /// Runs `shaders/{name}.wgsl`; gives the contents of the `Write` slots, in order. `slots`: (binding, what).
    pub fn run(
        &self,
        name: &str,
        constants: &[(&str, f64)],
        slots: &[(u32, Slot)],
        groups: (u32, u32),
    ) -> Vec<Vec<u32>> {
        let pipeline = self.pipeline(name, constants);
        let buffers: Vec<wgpu::Buffer> = slots
            .iter()
            .map(|(_, slot)| {
                let (words, kind) = match slot {
                    Slot::Uniform(words) => (words, wgpu::BufferUsages::UNIFORM),
                    Slot::Read(words) | Slot::Write(words) => (words, wgpu::BufferUsages::STORAGE),
                };
                self.device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
                    label: None,
                    contents: bytemuck::cast_slice(words),
                    usage: kind | wgpu::BufferUsages::COPY_SRC,
                })
            })
            .collect();
        let entries: Vec<wgpu::BindGroupEntry> = slots
            .iter()
            .zip(&buffers)
            .map(|((binding, _), buffer)| wgpu::BindGroupEntry {
                binding: *binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let bind_group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &bind_group, &[]);
            pass.dispatch_workgroups(groups.0, groups.1, 1);
        }
        let staging: Vec<wgpu::Buffer> = slots
            .iter()
            .zip(&buffers)
            .filter(|((_, slot), _)| matches!(slot, Slot::Write(_)))
            .map(|(_, buffer)| {
                let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
                    label: None,
                    size: buffer.size(),
                    usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                });
                encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
                staging
            })
            .collect();
        self.queue.submit([encoder.finish()]);
        staging.iter().map(|buffer| self.read(buffer)).collect()
    }

    /// Compiled once for each set of constants.
    fn pipeline(&self, name: &str, constants: &[(&str, f64)]) -> wgpu::ComputePipeline {
        let key = format!("{name} {constants:?}");
        if let Some(pipeline) = self.pipelines.borrow().get(&key) {
            return pipeline.clone();
        }
        let source = assemble(name);
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: wgpu::PipelineCompilationOptions {
                constants,
                ..Default::default()
            },
            cache: None,
        });
        self.pipelines.borrow_mut().insert(key, pipeline.clone());
        pipeline
    }

    fn read(&self, staging: &wgpu::Buffer) -> Vec<u32> {
        staging.map_async(wgpu::MapMode::Read, .., |mapped| mapped.expect("mapped"));
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .expect("the device answers");
        let words = bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..).expect("mapped"));
        staging.unmap();
        words
    }
}

/// The text of a kernel with its imports, each part once, before its user.
pub fn assemble(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shaders");
    let (mut text, mut done) = (String::new(), BTreeSet::new());
    append(&folder, &format!("{name}.wgsl"), &mut done, &mut text);
    text
}

fn append(folder: &Path, file: &str, done: &mut BTreeSet<String>, text: &mut String) {
    if !done.insert(file.to_string()) {
        return;
    }
    let source = std::fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    for part in source.lines().filter_map(|line| line.strip_prefix("// @import ")) {
        append(folder, part.trim(), done, text);
    }
    text.push_str(&source);
}

/// Bits of floats.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
