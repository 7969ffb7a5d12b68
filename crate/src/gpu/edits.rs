//! Edits as the kernels read them (`shaders/parts/edits.wgsl`), and the end of a block, whose bind groups see them.

use std::cell::RefCell;

use super::buffers::Buf;
use super::context::Gpu;
use super::pipelines::{Pipeline, Pipelines};
use super::scratch::Scratch;
use crate::edits::{Action, EditTable, Site};

/// Words that the buffer has room for at first.
const FIRST_WORDS: usize = 1 << 12;
/// Bit of a record's kind that says `topk_in`.
const TOPK_IN: u32 = 256;

/// The words of a table: per layer (first record, count), then records of 8 words.
pub fn words(table: &EditTable, n_layers: usize) -> Vec<u32> {
    let mut header = Vec::with_capacity(2 * n_layers);
    let mut records: Vec<u32> = Vec::new();
    for layer in 0..n_layers {
        let edits = table.layer(layer);
        header.extend([(records.len() / 8) as u32, edits.len() as u32]);
        for edit in edits {
            let action = match edit.action {
                Action::Add => 0,
                Action::Clamp => 1,
                Action::Scale => 2,
                Action::Ablate => 3,
            };
            let site = if edit.site == Site::TopkIn { TOPK_IN } else { 0 };
            records.extend([
                edit.index,
                action | site,
                edit.value.to_bits(),
                edit.from,
                edit.to,
                edit.row,
                0,
                0,
            ]);
        }
    }
    header.extend(records);
    header
}

/// The buffer of edits and the bind groups of topk and residual. It grows with the largest table seen.
#[derive(Debug)]
pub struct BlockEnd {
    state: RefCell<(Buf, wgpu::BindGroup, Option<wgpu::BindGroup>)>,
}

impl BlockEnd {
    /// `topk` where the model has a cut.
    pub fn new(gpu: &Gpu, pipelines: &Pipelines, s: &Scratch, residual: &Pipeline, topk: Option<&Pipeline>) -> Self {
        BlockEnd {
            state: RefCell::new(groups(gpu, pipelines, s, residual, topk, FIRST_WORDS)),
        }
    }

    /// Writes a table, in the order of the queue.
    pub fn write(
        &self,
        gpu: &Gpu,
        words: &[u32],
        regrow: impl FnOnce(usize) -> (Buf, wgpu::BindGroup, Option<wgpu::BindGroup>),
    ) {
        let mut state = self.state.borrow_mut();
        if state.0.size() < 4 * words.len() as u64 {
            *state = regrow(words.len().next_power_of_two());
        }
        gpu.write(&state.0, bytemuck::cast_slice(words));
    }

    pub fn residual_group(&self) -> wgpu::BindGroup {
        self.state.borrow().1.clone()
    }

    pub fn topk_group(&self) -> Option<wgpu::BindGroup> {
        self.state.borrow().2.clone()
    }
}

/// A buffer of `words` words and the groups that bind it.
pub fn groups(
    gpu: &Gpu,
    pipelines: &Pipelines,
    s: &Scratch,
    residual: &Pipeline,
    topk: Option<&Pipeline>,
    words: usize,
) -> (Buf, wgpu::BindGroup, Option<wgpu::BindGroup>) {
    let buffer = gpu.storage("edits", 4 * words as u64);
    let residual = pipelines.group(
        residual,
        &[&s.resid_mid, &s.mlp_out, &buffer, &s.topk_in, &s.hidden, &s.status],
    );
    let topk = topk.map(|topk| {
        pipelines.group(
            topk,
            &[
                &s.resid_mid,
                &s.mlp_out,
                &buffer,
                &s.topk_in,
                &s.hidden,
                &s.active,
                &s.status,
            ],
        )
    });
    (buffer, residual, topk)
}
