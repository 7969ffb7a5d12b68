//! Stands in for `gpu` in a build without the feature `gpu`.

use std::rc::Rc;

use super::TopK;
use crate::error::Result;
use crate::exec::gpu::Gpu;
use crate::numerics::order::Select;
use crate::ops::tuning::{Profile, Tuning};

/// TopK on a device that cannot be had.
#[derive(Debug)]
pub struct TopKGpu(Rc<Gpu>);

impl TopKGpu {
    pub fn new(gpu: Rc<Gpu>, _: Profile) -> TopKGpu {
        TopKGpu(gpu)
    }

    pub fn tuned(gpu: Rc<Gpu>, _: Tuning) -> TopKGpu {
        TopKGpu(gpu)
    }

    pub async fn run(&self, _: &[f32], _: usize, _: usize, _: Select) -> Result<TopK> {
        self.0.never()
    }

    pub async fn time(&self, _: &[f32], _: usize, _: usize, _: Select, _: usize, _: usize) -> Result<Vec<f64>> {
        self.0.never()
    }
}
