//! The adapter and the device, and what can go wrong with them as typed errors.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use super::buffers::{Buf, Ledger};
use super::compiled::Compiled;
use crate::error::{fail, Code, Error, Result};
use crate::exec::adapter::{BackendInfo, BackendChoice, BackendKind};
use crate::ops::tuning::Profile;

/// What the device told us out of turn.
#[derive(Debug, Default)]
struct Events {
    lost: Option<String>,
    uncaptured: Option<Error>,
}

/// An open device. Engines of several checkpoints may share it.
#[derive(Debug)]
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    ledger: Rc<Ledger>,
    pub(super) compiled: Compiled,
    events: Arc<Mutex<Events>>,
    profile: Cell<Profile>,
    subgroups: Cell<bool>,
    max_binding: Cell<u64>,
    /// Most bytes of one buffer.
    pub(super) max_buffer: u64,
    /// Guarded work that failed so far: what it was to make is not there.
    pub(super) failures: Cell<usize>,
    #[cfg(feature = "cli")]
    pub(super) meter: super::meter::Meter,
}

/// The CPU, and why.
fn cpu(is_fallback: bool, reason: String) -> Result<(BackendInfo, Option<Rc<Gpu>>)> {
    Ok((
        BackendInfo {
            kind: BackendKind::Cpu,
            adapter: None,
            is_fallback,
            reason,
        },
        None,
    ))
}

/// Chooses a backend and opens the device where it is the GPU.
pub async fn open(wanted: BackendChoice) -> Result<(BackendInfo, Option<Rc<Gpu>>)> {
    if wanted == BackendChoice::Cpu {
        return cpu(false, "the CPU was asked for".into());
    }
    if !reachable() {
        if wanted == BackendChoice::Auto {
            return cpu(false, format!("there is no WebGPU here: {NEEDS}"));
        }
        fail!(
            Device,
            "there is no WebGPU here: {NEEDS}; the cpu backend runs everywhere"
        );
    }
    match patiently(open_reachable(wanted)).await {
        Some(opened) => opened,
        None if wanted == BackendChoice::Auto => cpu(false, format!("WebGPU did not answer for {PATIENCE_S} s")),
        None => fail!(
            Device,
            "WebGPU did not answer for {PATIENCE_S} s: restart the browser; the cpu backend runs everywhere"
        ),
    }
}

/// How long the browser may take to hand out a device.
const PATIENCE_S: u32 = 20;

/// `None`: no outcome within [`PATIENCE_S`]. Natively the driver is called directly and answers.
async fn patiently<T>(work: impl Future<Output = T>) -> Option<T> {
    #[cfg(target_arch = "wasm32")]
    return super::web::within(PATIENCE_S * 1000, work).await;
    #[cfg(not(target_arch = "wasm32"))]
    Some(work.await)
}

/// A device, where there is something to ask for one.
async fn open_reachable(wanted: BackendChoice) -> Result<(BackendInfo, Option<Rc<Gpu>>)> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let options = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..Default::default()
    };
    // Both are asked before either is waited for.
    #[cfg(target_arch = "wasm32")]
    let asked = super::web::ask_adapter();
    let adapter = match instance.request_adapter(&options).await {
        Ok(adapter) => adapter,
        Err(_) if wanted == BackendChoice::Auto => return cpu(false, "there is no WebGPU adapter here".into()),
        Err(error) => fail!(
            Device,
            "there is no WebGPU adapter here ({error}); the cpu backend runs everywhere"
        ),
    };
    let info = adapter.get_info();
    let is_fallback = info.device_type == wgpu::DeviceType::Cpu;
    let name = info.name;
    #[cfg(target_arch = "wasm32")]
    let asked = super::web::answer(asked).await;
    // For which wgpu mostly has no name there.
    #[cfg(target_arch = "wasm32")]
    let name = match name.is_empty() {
        true => super::web::adapter_name(&asked).unwrap_or_else(|| "of no name".into()),
        false => name,
    };
    if is_fallback && wanted == BackendChoice::Auto {
        let reason = format!("the WebGPU adapter {name} is a software emulation, which the CPU backend outruns");
        return cpu(true, reason);
    }
    let profile = Profile::of(is_fallback, &name);
    let device = Gpu::request(
        &adapter,
        profile,
        #[cfg(target_arch = "wasm32")]
        &asked,
    );
    let gpu = match device.await {
        Ok(gpu) => gpu,
        Err(error) if wanted == BackendChoice::Auto => return cpu(is_fallback, error.to_string()),
        Err(error) => return Err(error),
    };
    let reason = match wanted {
        BackendChoice::Gpu => "WebGPU was asked for".to_string(),
        _ => format!("{name} is a real WebGPU adapter"),
    };
    Ok((
        BackendInfo {
            kind: BackendKind::Gpu,
            adapter: Some(name),
            is_fallback,
            reason,
        },
        Some(Rc::new(gpu)),
    ))
}

/// Whether kernels with operations of subgroups of so many lanes at least are for this kind of adapter. Each subgroup of a workgroup does the
/// search of the k-th key anew: an emulated device has one in a workgroup, real ones few, but for subgroups that are small. Metal's lanes are
/// 32, though it does not say so.
fn subgroups_pay(profile: Profile, least: u32) -> bool {
    profile.is_software() || profile == Profile::Apple || least >= 32
}

const NEEDS: &str = "it takes a browser that has it, and a page from https or localhost";

/// Whether there is anything to ask for an adapter: on the web, `navigator.gpu` in a page or a worker. Elsewhere (Node) wgpu
/// panics when it looks for it.
fn reachable() -> bool {
    #[cfg(target_arch = "wasm32")]
    return super::web::reachable();
    #[cfg(not(target_arch = "wasm32"))]
    true
}

/// WebGPU's default limits, which every browser's adapter has.
#[cfg(target_arch = "wasm32")]
fn used(_: &wgpu::Limits) -> wgpu::Limits {
    wgpu::Limits::default()
}

/// WebGPU's default limits of what kernels use. Of the others (textures, colors, vertices) what the adapter has will do.
#[cfg(not(target_arch = "wasm32"))]
fn used(has: &wgpu::Limits) -> wgpu::Limits {
    let least = wgpu::Limits::default();
    wgpu::Limits {
        max_bindings_per_bind_group: least.max_bindings_per_bind_group,
        max_dynamic_uniform_buffers_per_pipeline_layout: least.max_dynamic_uniform_buffers_per_pipeline_layout,
        max_storage_buffers_per_shader_stage: least.max_storage_buffers_per_shader_stage,
        max_uniform_buffer_binding_size: least.max_uniform_buffer_binding_size,
        min_uniform_buffer_offset_alignment: least.min_uniform_buffer_offset_alignment,
        min_storage_buffer_offset_alignment: least.min_storage_buffer_offset_alignment,
        max_compute_workgroup_storage_size: least.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: least.max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x: least.max_compute_workgroup_size_x,
        max_compute_workgroup_size_y: least.max_compute_workgroup_size_y,
        max_compute_workgroup_size_z: least.max_compute_workgroup_size_z,
        max_compute_workgroups_per_dimension: least.max_compute_workgroups_per_dimension,
        ..least.or_worse_values_from(has)
    }
}

impl Gpu {
    /// WebGPU's default limits are enough; larger buffers are asked for where the adapter has them.
    async fn request(
        adapter: &wgpu::Adapter,
        profile: Profile,
        #[cfg(target_arch = "wasm32")] asked: &wasm_bindgen::JsValue,
    ) -> Result<Gpu> {
        let has = adapter.limits();
        let limits = wgpu::Limits {
            max_storage_buffer_binding_size: has.max_storage_buffer_binding_size.min(1 << 31),
            max_buffer_size: has.max_buffer_size.min(1 << 32),
            ..used(&has)
        };
        // In browsers web.rs asks for them.
        #[cfg(not(target_arch = "wasm32"))]
        let wanted = wgpu::Features::SUBGROUP;
        #[cfg(feature = "cli")]
        let wanted = wanted | wgpu::Features::TIMESTAMP_QUERY;
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("topk-lm"),
            required_limits: limits.clone(),
            #[cfg(not(target_arch = "wasm32"))]
            required_features: adapter.features() & wanted,
            ..Default::default()
        };
        let request = || adapter.request_device(&descriptor);
        #[cfg(target_arch = "wasm32")]
        let requested = super::web::with_subgroups(asked, &limits, request);
        #[cfg(not(target_arch = "wasm32"))]
        let requested = request();
        let (device, queue) = requested
            .await
            .map_err(|error| Error::new(Code::Device, format!("the WebGPU adapter gave no device: {error}")))?;
        #[cfg(target_arch = "wasm32")]
        let has_subgroups = device.as_webgpu().is_some_and(|device| super::web::has_subgroups(device));
        #[cfg(not(target_arch = "wasm32"))]
        let has_subgroups = device.features().contains(wgpu::Features::SUBGROUP);
        let least = adapter.get_info().subgroup_min_size;
        let events = Arc::new(Mutex::new(Events::default()));
        let heard = events.clone();
        device.set_device_lost_callback(move |_, message| {
            if let Ok(mut events) = heard.lock() {
                events.lost.get_or_insert(message);
            }
        });
        let heard = events.clone();
        // wgpu's own handler panics.
        device.on_uncaptured_error(Arc::new(move |error| {
            if let Ok(mut events) = heard.lock() {
                events
                    .uncaptured
                    .get_or_insert_with(|| typed("the work submitted", error));
            }
        }));
        Ok(Gpu {
            profile: Cell::new(profile),
            subgroups: Cell::new(has_subgroups && subgroups_pay(profile, least)),
            device,
            queue,
            ledger: Rc::default(),
            compiled: Compiled::default(),
            events,
            max_binding: Cell::new(limits.max_storage_buffer_binding_size),
            max_buffer: limits.max_buffer_size,
            failures: Cell::default(),
            #[cfg(feature = "cli")]
            meter: Default::default(),
        })
    }

    /// Most bytes of one storage binding.
    pub fn max_binding(&self) -> u64 {
        self.max_binding.get()
    }

    /// Makes do with smaller bindings than the device has, as a small device must.
    #[cfg(feature = "internals")]
    #[doc(hidden)]
    pub fn limit_binding(&self, bytes: u64) {
        self.max_binding.set(bytes.min(self.max_binding.get()));
    }

    /// What kernels are tuned for.
    pub fn profile(&self) -> Profile {
        self.profile.get()
    }

    /// Whether kernels with operations of subgroups run.
    pub fn subgroups(&self) -> bool {
        self.subgroups.get()
    }

    /// None of them from now on: those for any device.
    #[cfg(feature = "internals")]
    #[doc(hidden)]
    pub fn without_subgroups(&self) {
        self.subgroups.set(false);
    }

    /// Whether it refuses every new buffer from now on, as a device does that has no memory left.
    #[cfg(feature = "cli")]
    pub fn refuse_buffers(&self, refuse: bool) {
        self.meter.refuses.set(refuse);
    }

    /// Takes the kernels of another kind of adapter from now on.
    #[cfg(feature = "internals")]
    #[doc(hidden)]
    pub fn assume(&self, profile: Profile) {
        self.profile.set(profile);
    }

    /// What is alive.
    #[doc(hidden)]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Buf {
        #[cfg(feature = "cli")]
        let usage = if self.meter.refuses.get() { wgpu::BufferUsages::empty() } else { usage };
        Buf::new(&self.device, &self.ledger, label, bytes, usage)
    }

    /// A storage buffer that can be written and copied.
    pub(crate) fn storage(&self, label: &str, bytes: u64) -> Buf {
        use wgpu::BufferUsages as Usage;
        self.buffer(label, bytes, Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC)
    }

    /// A storage buffer with contents (a multiple of 4 bytes).
    pub(crate) fn storage_with(&self, label: &str, data: &[u8]) -> Buf {
        let buffer = self.storage(label, data.len() as u64);
        if !data.is_empty() {
            self.queue.write_buffer(buffer.raw(), 0, data);
        }
        buffer
    }

    /// Writes at the start of a buffer, in the order of the queue.
    pub(crate) fn write(&self, buffer: &Buf, data: &[u8]) {
        if !data.is_empty() {
            self.queue.write_buffer(buffer.raw(), 0, data);
        }
    }

    /// Writes at a byte offset, in the order of the queue.
    pub(crate) fn write_at(&self, buffer: &Buf, offset: u64, data: &[u8]) {
        if !data.is_empty() {
            self.queue.write_buffer(buffer.raw(), offset, data);
        }
    }

    /// Copies the first `bytes` of each first buffer into its second, from byte `at` on, behind all that is submitted.
    pub(super) fn copies<'a>(&self, pairs: impl Iterator<Item = (&'a Buf, &'a Buf)>, at: u64, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for (from, to) in pairs {
            encoder.copy_buffer_to_buffer(from.raw(), 0, to.raw(), at, bytes);
        }
        self.queue.submit([encoder.finish()]);
        #[cfg(feature = "cli")]
        self.meter.submits.update(|submits| submits + 1);
    }

    /// Ends the device: later calls give `device-lost`.
    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// An error if the device is lost, or if something failed since the last look.
    pub(crate) fn check(&self) -> Result<()> {
        let Ok(mut events) = self.events.lock() else {
            fail!(Device, "the WebGPU device's state is broken")
        };
        if let Some(message) = &events.lost {
            let message = message.trim_end_matches('.');
            fail!(
                DeviceLost,
                "the WebGPU device was lost ({message}); load the model again"
            );
        }
        events.uncaptured.take().map_or(Ok(()), Err)
    }
}

/// What the device still holds, it gives back now and not when the garbage is collected.
impl Drop for Gpu {
    fn drop(&mut self) {
        self.device.destroy();
    }
}

/// An error of the device; `what` names the work in its message.
pub(super) fn typed(what: &str, error: wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => {
            Error::new(Code::OutOfMemory, format!("the GPU has no memory left for {what}"))
        }
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            Error::new(Code::Device, format!("the GPU refused {what}: {description}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small device may have less for pictures; one with less for kernels is asked for all the same, and refuses.
    #[test]
    fn limits_of_pictures_are_not_asked_for() {
        let small = wgpu::Limits {
            max_texture_dimension_2d: 4096,
            max_color_attachments: 4,
            max_color_attachment_bytes_per_sample: 16,
            max_vertex_attributes: 8,
            ..wgpu::Limits::default()
        };
        assert!(!wgpu::Limits::default().check_limits(&small));
        assert!(used(&small).check_limits(&small));
        let few_threads = wgpu::Limits {
            max_compute_invocations_per_workgroup: 128,
            ..wgpu::Limits::default()
        };
        assert!(!used(&few_threads).check_limits(&few_threads));
        assert_eq!(used(&wgpu::Limits::default()), wgpu::Limits::default());
    }

    #[test]
    fn device_errors_are_typed() {
        let source = || Box::new(std::io::Error::other("below"));
        let memory = typed("the weight Embed", wgpu::Error::OutOfMemory { source: source() });
        assert_eq!(memory.code(), Code::OutOfMemory);
        assert_eq!(memory.to_string(), "the GPU has no memory left for the weight Embed");
        let refused = typed(
            "decoding",
            wgpu::Error::Validation {
                source: source(),
                description: "too\nlarge".into(),
            },
        );
        assert_eq!(
            (refused.code(), refused.to_string().as_str()),
            (Code::Device, "the GPU refused decoding: too large")
        );
    }
}
