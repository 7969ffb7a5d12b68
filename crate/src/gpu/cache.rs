//! The keys and values of one sequence on the GPU, and the bind groups that see them.

use super::buffers::Buf;

/// What a layer's kernels bind: its cache beside the engine's buffers.
#[derive(Debug)]
pub(super) struct LayerCache {
    /// f32 `[n_ctx, 2, d_kv]`: k after RoPE, then v, by position.
    pub data: Buf,
    pub qkv_dense: wgpu::BindGroup,
    /// Where the block's input is an active list.
    pub qkv_sparse: Option<wgpu::BindGroup>,
    pub attention: wgpu::BindGroup,
    /// The same, writing parts.
    pub attention_split: wgpu::BindGroup,
}

/// A KV cache with the capacity of the model's context. It belongs to the engine that made it, and keeps its weights alive
/// no longer than that engine does. Dropping it destroys its buffers.
#[derive(Debug)]
pub struct GpuCache {
    pub(super) layers: Vec<LayerCache>,
    /// Bytes on the device.
    pub bytes: u64,
    /// What the device had to say about making it, asked at its first use.
    pub(super) guard: Option<super::context::Guard>,
}
