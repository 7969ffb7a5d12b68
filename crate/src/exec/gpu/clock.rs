//! The time of each kernel by the device's own clock, and how often host and device meet; for benchmarks.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::context::Gpu;
use super::meter::{Clock, TIMESTAMPS};
use crate::error::{fail, Result};

impl Gpu {
    /// So far: submits, waits, and of those the ones with nothing in the queue behind what they waited for.
    pub fn traffic(&self) -> [usize; 3] {
        [&self.meter.submits, &self.meter.awaits, &self.meter.exposed].map(Cell::get)
    }

    /// From now on each dispatch is timed; false where the device has no timestamps.
    pub fn start_clock(&self) -> bool {
        if !self.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return false;
        }
        let set = self.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("clock"),
            ty: wgpu::QueryType::Timestamp,
            count: TIMESTAMPS,
        });
        let files = Vec::new();
        self.meter.clock.replace(Some(Clock { set, files }));
        true
    }

    /// Ends that: milliseconds by the kernel's file. Blocks until the device is done.
    pub fn stop_clock(&self) -> Result<BTreeMap<&'static str, f64>> {
        use wgpu::BufferUsages as Usage;
        let mut times = BTreeMap::new();
        let Some(clock) = self.meter.clock.take().filter(|clock| !clock.files.is_empty()) else {
            return Ok(times);
        };
        let count = 2 * clock.files.len();
        let bytes = 8 * count as u64;
        let resolved = self.buffer("timestamps", bytes, Usage::QUERY_RESOLVE | Usage::COPY_SRC);
        let read = self.buffer("timestamps", bytes, Usage::MAP_READ | Usage::COPY_DST);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.resolve_query_set(&clock.set, 0..count as u32, resolved.raw(), 0);
        encoder.copy_buffer_to_buffer(resolved.raw(), 0, read.raw(), 0, bytes);
        self.queue.submit([encoder.finish()]);
        read.raw().map_async(wgpu::MapMode::Read, 0..bytes, |_| ());
        let polled = self.device.poll(wgpu::PollType::wait_indefinitely());
        let view = read.raw().get_mapped_range(0..bytes);
        let (Ok(_), Ok(view)) = (polled, view) else {
            fail!(Device, "the GPU's timestamps cannot be read")
        };
        let ticks = bytemuck::pod_collect_to_vec::<u8, u64>(&view);
        let period = f64::from(self.queue.get_timestamp_period());
        for (file, pair) in clock.files.iter().zip(ticks.chunks_exact(2)) {
            *times.entry(*file).or_default() += period * pair[1].saturating_sub(pair[0]) as f64 / 1e6;
        }
        Ok(times)
    }
}
