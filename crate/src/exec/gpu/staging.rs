//! Reading results back: regions planned first, copied into while recording, mapped when the work is done.

use std::cell::RefCell;
use std::future::poll_fn;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use super::buffers::Buf;
use super::context::Gpu;
use super::record::{Recorder, Submitted};
use crate::error::{fail, Result};

/// Read-back buffers up to this size are kept for the next call, and so many of them.
const KEPT_BYTES: u64 = 1 << 20;
const KEPT: usize = 4;

/// Mappable buffers waiting for their next use.
#[derive(Debug, Default)]
pub struct StagingPool(RefCell<Vec<Buf>>);

impl StagingPool {
    fn take(&self, gpu: &Gpu, bytes: u64) -> Buf {
        let mut free = self.0.borrow_mut();
        if let Some(index) = free.iter().position(|buffer| buffer.size() >= bytes) {
            return free.swap_remove(index);
        }
        let size = if bytes <= KEPT_BYTES {
            bytes.next_power_of_two().max(4096)
        } else {
            bytes
        };
        gpu.buffer(
            "staging",
            size,
            wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        )
    }

    fn give(&self, buffer: Buf) {
        let mut free = self.0.borrow_mut();
        if buffer.size() <= KEPT_BYTES && free.len() < KEPT {
            free.push(buffer);
        }
    }
}

/// Regions of f32 or u32 words that a recording fills and the host then reads.
#[derive(Debug, Default)]
pub struct Staging {
    /// Per region: its buffer and its bytes there.
    regions: Vec<(usize, Range<u64>)>,
    /// Bytes of each buffer.
    sizes: Vec<u64>,
    buffers: Vec<Buf>,
    /// What fills them.
    submitted: Submitted,
    /// Of each buffer, whether it could be mapped.
    mapped: Vec<Signal>,
}

impl Staging {
    /// Says which submit fills it, and asks for the results: in the guard of that submit, where it lands if there was no memory for them.
    pub fn filled_by(&mut self, submitted: Submitted) {
        self.submitted = submitted;
        let ask = |(buffer, bytes): (&Buf, &u64)| {
            let done = Signal::default();
            let set = done.clone();
            match bytes {
                0 => done.set(true),
                _ => buffer.raw().map_async(wgpu::MapMode::Read, 0..*bytes, move |result| set.set(result.is_ok())),
            }
            done
        };
        self.mapped = self.buffers.iter().zip(&self.sizes).map(ask).collect();
    }

    /// Plans a region of `words` words; its number.
    pub fn region(&mut self, gpu: &Gpu, words: usize) -> Result<usize> {
        let bytes = 4 * words as u64;
        if bytes > gpu.max_buffer {
            fail!(
                OutOfMemory,
                "a result of {bytes} bytes is larger than this GPU's largest buffer; ask for fewer positions at a time"
            );
        }
        let buffer = match self.sizes.last_mut() {
            Some(size) if *size + bytes <= gpu.max_buffer => {
                *size += bytes;
                self.sizes.len() - 1
            }
            _ => {
                self.sizes.push(bytes);
                self.sizes.len() - 1
            }
        };
        let end = self.sizes[buffer];
        self.regions.push((buffer, end - bytes..end));
        Ok(self.regions.len() - 1)
    }

    /// Makes the buffers, once all regions are planned.
    pub fn allocate(&mut self, gpu: &Gpu, pool: &StagingPool) {
        self.buffers = self.sizes.iter().map(|bytes| pool.take(gpu, *bytes)).collect();
    }

    /// Records a copy of `words` words of `from` to word `at` of a region.
    pub fn copy(&self, recorder: &mut Recorder<'_>, region: usize, at: usize, from: &Buf, words: usize) {
        if words == 0 {
            return;
        }
        let (buffer, range) = &self.regions[region];
        recorder.copy(
            from,
            0,
            &self.buffers[*buffer],
            range.start + 4 * at as u64,
            4 * words as u64,
        );
    }

    /// Waits for the submitted work and reads every region, as words.
    pub async fn read(mut self, gpu: &Gpu, pool: &StagingPool) -> Result<Vec<Vec<u32>>> {
        #[cfg(feature = "cli")]
        gpu.meter.count_await(self.submitted.number);
        for done in std::mem::take(&mut self.mapped) {
            if !done.wait(gpu, self.submitted.index.take()).await {
                gpu.check()?;
                fail!(
                    DeviceLost,
                    "the WebGPU device gave no result back; load the model again"
                );
            }
        }
        let mut words: Vec<Vec<u32>> = vec![Vec::new(); self.regions.len()];
        for (number, (buffer, bytes)) in self
            .buffers
            .iter()
            .zip(&self.sizes)
            .enumerate()
            .filter(|(_, (_, bytes))| **bytes > 0)
        {
            let view = match buffer.raw().get_mapped_range(0..*bytes) {
                Ok(view) => view,
                Err(error) => fail!(Device, "the GPU's result cannot be read: {error}"),
            };
            for (words, (_, range)) in words
                .iter_mut()
                .zip(&self.regions)
                .filter(|(_, (buffer, _))| *buffer == number)
            {
                *words = bytemuck::pod_collect_to_vec::<u8, u32>(&view[range.start as usize..range.end as usize]);
            }
        }
        for buffer in self.buffers {
            buffer.raw().unmap();
            pool.give(buffer);
        }
        gpu.check()?;
        Ok(words)
    }
}

/// A value that a callback sets and a future waits for.
#[derive(Clone, Debug, Default)]
struct Signal(Arc<Mutex<(Option<bool>, Option<Waker>)>>);

impl Signal {
    fn set(&self, value: bool) {
        if let Ok(mut state) = self.0.lock() {
            state.0 = Some(value);
            if let Some(waker) = state.1.take() {
                waker.wake();
            }
        }
    }

    /// Natively the device is polled until the submit is done, not those behind it; on the web the event loop does that.
    async fn wait(&self, gpu: &Gpu, submission_index: Option<wgpu::SubmissionIndex>) -> bool {
        #[cfg(not(target_arch = "wasm32"))]
        {
            let polled = gpu.device.poll(wgpu::PollType::Wait {
                submission_index,
                timeout: None,
            });
            // A lost device knows no submit; it says that it is lost when it is asked for everything.
            let polled = polled.or_else(|_| gpu.device.poll(wgpu::PollType::wait_indefinitely()));
            if polled.is_err() {
                self.set(false);
            }
        }
        #[cfg(target_arch = "wasm32")]
        let _ = (gpu, submission_index);
        poll_fn(|context| match self.0.lock() {
            Err(_) => Poll::Ready(false),
            Ok(mut state) => match state.0 {
                Some(value) => Poll::Ready(value),
                None if cfg!(not(target_arch = "wasm32")) => Poll::Ready(false), // polled to the end, and never called
                None => {
                    state.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            },
        })
        .await
    }
}
