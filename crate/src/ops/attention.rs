//! `Attention`: `QueryRot` `[rows, n_heads, d_head]` against the cached keys and values up to each row's position →
//! `Attended` `[rows, n_heads, d_head]`; probabilities go to `Pattern` `[rows, n_heads, n_ctx]` where a hook wants them.
//! Query head `h` reads KV head `h / (n_heads / n_kv_heads)`. Rows that are alternatives see the cache below their position, and themselves.

use super::kernel::{self, Access, Kernel};
use super::Pass;
use crate::config::Config;
use crate::cpu::gemm::dot_portable;
use crate::engine::Rows;
use crate::math;

/// Largest head that attention's workgroup memory holds.
pub const MAX_D_HEAD: usize = 256;

/// `shaders/attention.wgsl`: rotated q and k, cache, Qkv; Attended or its parts.
pub fn kernel(config: &Config) -> Kernel {
    use Access::{Read, Write};
    let constants = kernel::heads(config)
        .into_iter()
        .chain([kernel::scale(config)])
        .collect();
    Kernel {
        file: "attention.wgsl",
        bindings: &[Read, Read, Read, Write],
        constants,
    }
}

/// `shaders/attention_merge.wgsl`: parts; Attended.
pub fn merge_kernel(config: &Config) -> Kernel {
    let constants = kernel::heads(config)
        .into_iter()
        .filter(|(name, _)| *name != "n_kv_heads")
        .collect();
    Kernel {
        file: "attention_merge.wgsl",
        bindings: &[Access::Read, Access::Write],
        constants,
    }
}

/// `shaders/pattern.wgsl`: rotated q and k, cache; Pattern.
pub fn pattern_kernel(config: &Config) -> Kernel {
    let constants = kernel::heads(config)
        .into_iter()
        .chain([kernel::scale(config)])
        .collect();
    Kernel {
        file: "pattern.wgsl",
        bindings: &[Access::Read, Access::Read, Access::Write],
        constants,
    }
}

/// CPU twin of `shaders/attention.wgsl`, for `rows` of the batch (a slice of it, so that no call takes long).
pub fn cpu(pass: &mut Pass, rows: std::ops::Range<usize>, keys: &[f32], values: &[f32], wants_pattern: bool) {
    let config = pass.config;
    let (d_head, d_kv, d_qkv, d_query) = (config.d_head, config.d_kv(), config.d_qkv(), config.d_query());
    let group = config.n_heads / config.n_kv_heads;
    let scale = 1.0 / (d_head as f32).sqrt();
    let mut scores: Vec<f32> = Vec::new();
    for row in rows {
        let position = pass.position(row);
        let buffers = &mut *pass.buffers;
        for head in 0..config.n_heads {
            let column = head / group * d_head;
            let query = &buffers.query_rot[row * d_query + head * d_head..][..d_head];
            // Key and value of the row itself: of an alternative they are not in the cache.
            let own = pass.batch.rows == Rows::Alternatives;
            let own_key = &buffers.key_rot[row * d_kv + column..][..d_head];
            let own_value = &buffers.qkv[row * d_qkv + d_query + d_kv + column..][..d_head];
            let key = |j: usize| {
                if own && j == position {
                    own_key
                } else {
                    &keys[j * d_kv + column..][..d_head]
                }
            };
            let value = |j: usize| {
                if own && j == position {
                    own_value
                } else {
                    &values[j * d_kv + column..][..d_head]
                }
            };

            scores.clear();
            scores.extend((0..=position).map(|j| dot_portable(query, key(j)) * scale));
            softmax(&mut scores);
            let out = &mut buffers.attended[row * d_query + head * d_head..][..d_head];
            out.fill(0.0);
            for (j, p) in scores.iter().enumerate() {
                for (out, v) in out.iter_mut().zip(value(j)) {
                    *out += p * v;
                }
            }
            if wants_pattern {
                let pattern = &mut buffers.pattern[(row * config.n_heads + head) * config.n_ctx..][..config.n_ctx];
                pattern[..=position].copy_from_slice(&scores);
                pattern[position + 1..].fill(0.0);
            }
        }
    }
}

/// Scores → probabilities, in place.
fn softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for s in scores.iter_mut() {
        *s = math::exp(*s - max);
        total += *s;
    }
    for s in scores.iter_mut() {
        *s /= total;
    }
}
