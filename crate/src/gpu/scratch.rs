//! The activation buffers of an engine. Every call writes, submits and copies out without giving way in between, so calls
//! that overlap share them: the queue keeps their submits in order.

use super::buffers::Buf;
use super::context::Gpu;
use crate::config::Config;
use crate::error::{fail, Result};
use crate::model::Buffer;
use crate::ops::kernel::Linear;

/// Rows of one batch: at most, and at least (a tile of the products).
const MAX_ROWS: usize = 256;
const TILE_ROWS: usize = 64;
/// Multiplications of one batch, so that no submit keeps the GPU, and an abort, waiting for long.
const BATCH_WORK: u64 = 32_000_000_000;
/// Bytes of `Logits` and `Pattern`, of which large results go through in chunks of rows.
const CHUNK_BYTES: usize = 32 << 20;
/// Decode steps of one submit.
pub const MAX_STEPS: usize = 32;
/// Most parts that attention splits a context into, and most rows for which it does.
pub const MAX_PARTS: usize = 64;
pub const SPLIT_ROWS: usize = 4;

/// Buffers of `[rows, width]` f32 unless it says otherwise.
#[derive(Debug)]
pub struct Scratch {
    pub rows: usize,
    /// Rows that `logits` holds.
    pub logit_rows: usize,
    pub hidden: Buf,
    /// `[rows, 2 + 2·d_model]` words: count, 0, then (index, value bits).
    pub active: Buf,
    pub qkv: Buf,
    /// q after RoPE, then k after RoPE, side by side.
    pub rotated: Buf,
    pub attended: Buf,
    /// `[SPLIT_ROWS, n_heads, MAX_PARTS, 2 + d_head]`.
    pub parts: Buf,
    pub attn_out: Buf,
    pub resid_mid: Buf,
    pub mlp_pre: Buf,
    pub mlp_post: Buf,
    pub mlp_out: Buf,
    pub topk_in: Buf,
    pub normalized: Buf,
    /// `[logit_rows, d_vocab]`.
    pub logits: Buf,
    /// u32: ids by position, or of the alternatives from `start` on.
    pub ids: Buf,
    /// u32: the first layer with a non-finite value.
    pub status: Buf,
    /// 8 words, see `sampling::gpu_words`.
    pub sampling: Buf,
    /// u32 `[d_vocab]`: whether an id occurred.
    pub seen: Buf,
    /// u32 `[MAX_STEPS, 2]`: id, bits of its log-probability.
    pub results: Buf,
    /// Two words an id.
    pub sampler: Buf,
    /// Rope table `[n_ctx, d_head/2, 2]`.
    pub rope: Buf,
}

impl Scratch {
    pub fn new(gpu: &Gpu, config: &Config, rope: &[f32]) -> Result<Scratch> {
        let widest = [2 + 2 * config.d_model, config.d_qkv(), config.d_mlp_in()];
        let bytes = 4 * widest.iter().max().copied().unwrap_or(1);
        let layer: u64 = Linear::ALL
            .iter()
            .map(|linear| linear.inputs(config) as u64 * linear.outputs(config) as u64)
            .sum();
        let work = (BATCH_WORK / (layer * config.n_layers as u64).max(1)) as usize;
        let rows = work.clamp(TILE_ROWS, MAX_ROWS).min(gpu.max_binding() as usize / bytes);
        let chunk = CHUNK_BYTES.min(gpu.max_binding() as usize);
        if rows == 0 || 4 * config.d_vocab > gpu.max_binding() as usize {
            fail!(
                Device,
                "a row of this model's activations is larger than the GPU's largest binding of {} bytes",
                gpu.max_binding()
            );
        }
        let logit_rows = (chunk / (4 * config.d_vocab)).clamp(1, rows);
        let wide = |label: &str, width: usize| gpu.storage(label, (4 * rows * width) as u64);
        let words = |label: &str, count: usize| gpu.storage(label, 4 * count as u64);
        let rope = gpu.storage_with("rope", bytemuck::cast_slice(rope));
        Ok(Scratch {
            rows,
            logit_rows,
            hidden: wide("hidden", config.d_model),
            active: wide("active", 2 + 2 * config.d_model),
            qkv: wide("qkv", config.d_qkv()),
            rotated: wide("rotated", config.d_query() + config.d_kv()),
            attended: wide("attended", config.d_query()),
            parts: words(
                "attention parts",
                SPLIT_ROWS * config.n_heads * MAX_PARTS * (2 + config.d_head),
            ),
            attn_out: wide("attn_out", config.d_model),
            resid_mid: wide("resid_mid", config.d_model),
            mlp_pre: wide("mlp_pre", config.d_mlp_in()),
            mlp_post: wide("mlp_post", config.d_mlp),
            mlp_out: wide("mlp_out", config.d_model),
            topk_in: wide("topk_in", config.d_model),
            normalized: wide("normalized", config.d_model),
            logits: words("logits", logit_rows * config.d_vocab),
            ids: words("ids", config.n_ctx + rows + 1),
            status: words("status", 4),
            sampling: words("sampling", 8),
            seen: words("seen", config.d_vocab),
            results: words("results", 2 * MAX_STEPS),
            sampler: words("sampler", 2 * config.d_vocab),
            rope,
        })
    }

    /// Where a buffer of the program lies; `Pattern` is made for the call that wants it, q and k after RoPE share one.
    pub fn buffer(&self, buffer: Buffer) -> Option<&Buf> {
        Some(match buffer {
            Buffer::Hidden => &self.hidden,
            // The same entries, dense.
            Buffer::Active => &self.hidden,
            Buffer::Qkv => &self.qkv,
            Buffer::QueryRot | Buffer::KeyRot => &self.rotated,
            Buffer::Attended => &self.attended,
            Buffer::Pattern => return None,
            Buffer::AttnOut => &self.attn_out,
            Buffer::ResidMid => &self.resid_mid,
            Buffer::MlpPre => &self.mlp_pre,
            Buffer::MlpPost => &self.mlp_post,
            Buffer::MlpOut => &self.mlp_out,
            Buffer::TopkIn => &self.topk_in,
            Buffer::Normalized => &self.normalized,
            Buffer::Logits => &self.logits,
        })
    }
}

/// Rows of `Pattern` that one dispatch fills.
pub fn pattern_rows(gpu: &Gpu, config: &Config, rows: usize) -> usize {
    let row = 4 * Buffer::Pattern.width(config);
    (CHUNK_BYTES.min(gpu.max_binding() as usize) / row).clamp(1, rows.max(1))
}
