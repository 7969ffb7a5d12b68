//! The named buffers of `model.rs` in memory, and the key/value cache of one sequence.

use crate::config::Config;
use crate::model::Buffer;

/// The active entries of a batch of rows: row `r` is `start[r]..start[r + 1]`, index ascending, no value 0.
#[derive(Clone, Debug, Default)]
pub struct ActiveRows {
    pub start: Vec<usize>,
    pub indices: Vec<u32>,
    pub values: Vec<f32>,
}

impl ActiveRows {
    pub fn clear(&mut self) {
        self.start.clear();
        self.start.push(0);
        self.indices.clear();
        self.values.clear();
    }

    /// Appends the non-zero entries of a dense row.
    pub fn push_row(&mut self, row: &[f32]) {
        for (index, value) in (0u32..).zip(row) {
            if *value != 0.0 {
                self.indices.push(index);
                self.values.push(*value);
            }
        }
        self.start.push(self.indices.len());
    }

    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.start[row]..self.start[row + 1];
        (&self.indices[range.clone()], &self.values[range])
    }
}

/// Dense buffers, `[rows, width]` each; see [`Buffer`].
#[derive(Debug, Default)]
pub struct Buffers {
    pub hidden: Vec<f32>,
    pub active: ActiveRows,
    pub qkv: Vec<f32>,
    pub query_rot: Vec<f32>,
    pub key_rot: Vec<f32>,
    pub attended: Vec<f32>,
    /// Filled only when `wants_pattern`.
    pub pattern: Vec<f32>,
    pub attn_out: Vec<f32>,
    pub resid_mid: Vec<f32>,
    pub mlp_pre: Vec<f32>,
    pub mlp_post: Vec<f32>,
    pub mlp_out: Vec<f32>,
    pub topk_in: Vec<f32>,
    pub normalized: Vec<f32>,
    pub logits: Vec<f32>,
    /// Scratch of the operations: normed inputs, and outputs with padding.
    pub input: Vec<f32>,
    pub output: Vec<f32>,
}

impl Buffers {
    /// Makes room for `rows` rows (logits, pattern and scratch are sized by those who fill them).
    pub fn resize(&mut self, config: &Config, rows: usize) {
        for (buffer, which) in [
            (&mut self.hidden, Buffer::Hidden),
            (&mut self.qkv, Buffer::Qkv),
            (&mut self.query_rot, Buffer::QueryRot),
            (&mut self.key_rot, Buffer::KeyRot),
            (&mut self.attended, Buffer::Attended),
            (&mut self.attn_out, Buffer::AttnOut),
            (&mut self.resid_mid, Buffer::ResidMid),
            (&mut self.mlp_pre, Buffer::MlpPre),
            (&mut self.mlp_post, Buffer::MlpPost),
            (&mut self.mlp_out, Buffer::MlpOut),
            (&mut self.topk_in, Buffer::TopkIn),
        ] {
            buffer.resize(rows * which.width(config), 0.0);
        }
    }

    /// A dense buffer by name; `Active` is read through `hidden`.
    pub fn get(&self, which: Buffer) -> &[f32] {
        match which {
            Buffer::Hidden | Buffer::Active => &self.hidden,
            Buffer::Qkv => &self.qkv,
            Buffer::QueryRot => &self.query_rot,
            Buffer::KeyRot => &self.key_rot,
            Buffer::Attended => &self.attended,
            Buffer::Pattern => &self.pattern,
            Buffer::AttnOut => &self.attn_out,
            Buffer::ResidMid => &self.resid_mid,
            Buffer::MlpPre => &self.mlp_pre,
            Buffer::MlpPost => &self.mlp_post,
            Buffer::MlpOut => &self.mlp_out,
            Buffer::TopkIn => &self.topk_in,
            Buffer::Normalized => &self.normalized,
            Buffer::Logits => &self.logits,
        }
    }
}

/// Keys (after RoPE) and values of one sequence, `[n_ctx, d_kv]` a layer, with the buffers of its passes.
#[derive(Debug, Default)]
pub struct CpuCache {
    pub keys: Vec<Vec<f32>>,
    pub values: Vec<Vec<f32>>,
    pub buffers: Buffers,
}

impl CpuCache {
    /// An empty cache of the model's whole context.
    pub fn new(config: &Config) -> Self {
        let layer = || vec![0.0; config.n_ctx * config.d_kv()];
        CpuCache {
            keys: (0..config.n_layers).map(|_| layer()).collect(),
            values: (0..config.n_layers).map(|_| layer()).collect(),
            buffers: Buffers::default(),
        }
    }
}
