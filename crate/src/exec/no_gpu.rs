//! Stands in for `gpu` in a build without the feature `gpu`: the same names, of which there is never a value, so that callers need no
//! second way of writing.

#[cfg(feature = "cli")]
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;

use crate::config::Config;
use crate::error::{fail, Result};
use crate::exec::adapter::{BackendInfo, BackendChoice, BackendKind};
use crate::exec::request::{Batch, BatchOutput, Capture, Decode, DecodeRow, Drawn, Resume};
use crate::ops::def::Step;
#[cfg(feature = "cli")]
use crate::ops::tuning::Profile;
use crate::weights::{Tensor, Weight, WeightSink};

/// A device that cannot be had.
#[derive(Debug)]
pub struct Gpu(Infallible);
/// Its executor.
#[derive(Debug)]
pub struct GpuEngine(Infallible);
/// A key/value cache on it.
#[derive(Debug)]
pub struct GpuCache(Infallible);
/// One of several side by side.
#[derive(Debug)]
pub struct Slot(Infallible);
/// What would take its weights.
pub struct GpuLoader(Infallible);
/// Its buffers.
pub struct Ledger(Infallible);

/// Always the CPU; asking for the GPU is an error.
pub async fn open(wanted: BackendChoice) -> Result<(BackendInfo, Option<Rc<Gpu>>)> {
    let reason = match wanted {
        BackendChoice::Cpu => "the CPU was asked for",
        BackendChoice::Auto => "this build has no GPU backend (the feature gpu is off)",
        BackendChoice::Gpu => fail!(
            Device,
            "this build has no GPU backend: build topk-lm with its feature gpu; the cpu backend runs everywhere"
        ),
    };
    let choice = BackendInfo {
        kind: BackendKind::Cpu,
        adapter: None,
        is_fallback: false,
        reason: reason.into(),
    };
    Ok((choice, None))
}

impl Gpu {
    /// Whatever is asked of a device that is not there.
    #[cfg(feature = "cli")]
    pub fn never<T>(&self) -> T {
        match self.0 {}
    }

    #[cfg(feature = "cli")]
    pub fn profile(&self) -> Profile {
        match self.0 {}
    }

    #[cfg(feature = "cli")]
    pub fn traffic(&self) -> [usize; 3] {
        match self.0 {}
    }

    #[cfg(feature = "cli")]
    pub fn start_clock(&self) -> bool {
        match self.0 {}
    }

    #[cfg(feature = "cli")]
    pub fn stop_clock(&self) -> Result<BTreeMap<&'static str, f64>> {
        match self.0 {}
    }

    pub fn ledger(&self) -> &Ledger {
        match self.0 {}
    }
}

impl Ledger {
    pub fn buffers(&self) -> usize {
        match self.0 {}
    }

    pub fn bytes(&self) -> u64 {
        match self.0 {}
    }
}

impl GpuCache {
    pub fn forget_ahead(&mut self) {
        match self.0 {}
    }
}

impl Slot {
    pub fn bytes(&self) -> usize {
        match self.0 {}
    }
}

impl GpuLoader {
    pub fn new(gpu: Rc<Gpu>, _: Rc<Config>) -> Result<GpuLoader> {
        match gpu.0 {}
    }

    pub fn beside(engine: &GpuEngine) -> Result<GpuLoader> {
        match engine.0 {}
    }

    pub async fn finish(self) -> Result<GpuEngine> {
        match self.0 {}
    }
}

impl WeightSink for GpuLoader {
    fn weight(&mut self, _: Weight, _: Tensor) -> Result<()> {
        match self.0 {}
    }
}

impl GpuEngine {
    pub fn config(&self) -> &Config {
        match self.0 {}
    }

    pub fn max_rows(&self) -> usize {
        match self.0 {}
    }

    pub fn rows_with(&self, _: &[Capture]) -> usize {
        match self.0 {}
    }

    pub fn gpu(&self) -> &Rc<Gpu> {
        match self.0 {}
    }

    pub fn new_cache(&self) -> Result<GpuCache> {
        match self.0 {}
    }

    pub async fn with_saes(&self, _: &Config, _: &[Step], _: Vec<(Weight, Tensor)>) -> Result<GpuEngine> {
        match self.0 {}
    }

    pub async fn forward(&self, _: &mut GpuCache, _: &Batch<'_>) -> Result<BatchOutput> {
        match self.0 {}
    }

    pub fn resumes(&self) -> bool {
        match self.0 {}
    }

    pub async fn resumed(&self, _: &mut GpuCache, _: &Resume<'_>, _: u32) -> Result<Vec<f32>> {
        match self.0 {}
    }

    pub async fn decode_ahead(&self, _: &mut GpuCache, _: &Decode<'_>, _: [usize; 2]) -> Result<(Vec<Drawn>, Option<f64>)> {
        match self.0 {}
    }

    pub fn rows_together(&self, _: usize) -> usize {
        match self.0 {}
    }

    pub async fn slot(&self, _: usize) -> Result<Slot> {
        match self.0 {}
    }

    pub fn fill(&self, _: &mut Slot, _: &mut GpuCache, _: usize) {
        match self.0 {}
    }

    pub async fn step_together(&self, _: &mut [&mut Slot], _: &[DecodeRow<'_>], _: [usize; 3]) -> Result<(Vec<Vec<Drawn>>, Option<f64>)> {
        match self.0 {}
    }

    pub async fn prefill(&self, _: &mut GpuCache, _: &Batch<'_>) -> Result<()> {
        match self.0 {}
    }
}
