//! Records dispatches and copies into one command encoder, and submits them.

use std::rc::Rc;

use super::buffers::Buf;
use super::compiled::Pipeline;
use super::context::Gpu;
use crate::ops::def::Params;

/// Distance of two blocks of the uniform ring: the largest offset alignment that WebGPU allows a device to ask for.
const BLOCK: usize = 256;
/// Blocks of the ring. A recording that needs more is submitted in pieces.
const BLOCKS: usize = 2048;

/// The ring that every kernel binds at 0. Each submit writes it anew, in the order of the queue.
pub fn uniform_ring(gpu: &Gpu) -> Rc<Buf> {
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    Rc::new(gpu.buffer("uniforms", (BLOCK * BLOCKS) as u64, usage))
}

/// A recording that was submitted.
#[derive(Debug, Default)]
pub struct Submitted {
    pub dispatches: usize,
    /// What to wait for.
    pub index: Option<wgpu::SubmissionIndex>,
    /// Submits of the device up to it.
    #[cfg(feature = "cli")]
    pub number: usize,
}

/// A recording under way. All of it runs in one compute pass, unless copies split it.
pub struct Recorder<'a> {
    gpu: &'a Gpu,
    uniforms: &'a Buf,
    encoder: wgpu::CommandEncoder,
    pass: Option<wgpu::ComputePass<'static>>,
    blocks: Vec<u8>,
    last: Option<Params>,
    /// Dispatches so far.
    pub dispatches: usize,
    /// The latest submit.
    submitted: Option<wgpu::SubmissionIndex>,
}

impl<'a> Recorder<'a> {
    pub fn new(gpu: &'a Gpu, uniforms: &'a Buf) -> Self {
        let encoder = gpu
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        Recorder {
            gpu,
            uniforms,
            encoder,
            pass: None,
            blocks: Vec::new(),
            last: None,
            dispatches: 0,
            submitted: None,
        }
    }

    /// One dispatch of `grid` workgroups. Nothing is recorded for an empty grid.
    pub fn dispatch(&mut self, pipeline: &Pipeline, group: &wgpu::BindGroup, params: Params, grid: [usize; 3]) {
        if grid.contains(&0) {
            return;
        }
        let offset = self.uniform(params);
        #[cfg(feature = "cli")]
        self.begin_timed(pipeline.file());
        let pass = self.pass.get_or_insert_with(|| {
            self.encoder
                .begin_compute_pass(&wgpu::ComputePassDescriptor::default())
                .forget_lifetime()
        });
        pass.set_pipeline(&pipeline.raw);
        pass.set_bind_group(0, group, &[offset]);
        let [x, y, z] = grid.map(|n| n as u32);
        pass.dispatch_workgroups(x, y, z);
        self.dispatches += 1;
    }

    /// A pass of its own for the next dispatch, where it is timed.
    #[cfg(feature = "cli")]
    fn begin_timed(&mut self, file: &'static str) {
        let Some((set, first)) = self.gpu.meter.next(file) else { return };
        self.pass = None;
        let pass = self.encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some(file),
            timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                query_set: &set,
                beginning_of_pass_write_index: Some(first),
                end_of_pass_write_index: Some(first + 1),
            }),
        });
        self.pass = Some(pass.forget_lifetime());
    }

    /// The offset of a block with these parameters; consecutive dispatches share it where they agree.
    fn uniform(&mut self, params: Params) -> u32 {
        if self.last != Some(params) {
            if self.blocks.len() == BLOCK * BLOCKS {
                self.flush();
            }
            self.blocks.extend_from_slice(bytemuck::bytes_of(&params));
            self.blocks.resize(self.blocks.len().next_multiple_of(BLOCK), 0);
            self.last = Some(params);
        }
        (self.blocks.len() - BLOCK) as u32
    }

    /// Copies bytes between buffers after what is recorded so far.
    pub fn copy(&mut self, from: &Buf, from_offset: u64, to: &Buf, to_offset: u64, bytes: u64) {
        self.pass = None;
        self.encoder
            .copy_buffer_to_buffer(from.raw(), from_offset, to.raw(), to_offset, bytes);
    }

    /// Makes a buffer's words 0 after what is recorded so far.
    pub fn clear(&mut self, buffer: &Buf) {
        self.pass = None;
        self.encoder.clear_buffer(buffer.raw(), 0, None);
    }

    /// Submits what is recorded and goes on with an empty recording.
    fn flush(&mut self) {
        self.pass = None;
        self.gpu.write(self.uniforms, &self.blocks);
        let next = self
            .gpu
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let encoder = std::mem::replace(&mut self.encoder, next);
        self.submitted = Some(self.gpu.queue.submit([encoder.finish()]));
        #[cfg(feature = "cli")]
        self.gpu.meter.submits.update(|submits| submits + 1);
        self.blocks.clear();
        self.last = None;
    }

    /// Submits everything.
    pub fn submit(mut self) -> Submitted {
        self.flush();
        Submitted {
            dispatches: self.dispatches,
            index: self.submitted,
            #[cfg(feature = "cli")]
            number: self.gpu.meter.submits.get(),
        }
    }
}
