//! Attention of many rows in tiles (`shaders/attention_tile.wgsl`) against the CPU: widths of heads, windows, soft-caps, both kinds of cache, tiles
//! that the end or the beginning of what is seen cuts short.

use topk_lm::config::{CacheDtype, Config, Positions, Rope, RopeScaling};
use topk_lm::ops::def::Rows;
use topk_lm::weights::Dtype;

use crate::cases::{device, gpt2, llama, load};
use crate::common::soak;
use crate::ops::compare;

fn heads(d_head: usize, n_heads: usize, n_kv_heads: usize) -> Config {
    Config {
        d_model: 36,
        d_mlp: 20,
        d_vocab: 41,
        n_layers: 1,
        d_head,
        n_heads,
        n_kv_heads,
        n_ctx: 330,
        n_positions: 330,
        attn_scale: 1.0 / (d_head as f32).sqrt(),
        positions: Positions::Rotary(Rope {
            theta: 10000.0,
            scaling: RopeScaling::None,
            dims: d_head,
            local_theta: None,
        }),
        ..llama()
    }
}

/// A vector of rows or two for each thread, keys in slices or not, threads that have nothing to sum.
const WIDTHS: [(usize, usize, usize); 8] = [
    (4, 3, 1),
    (32, 4, 2),
    (40, 1, 1),
    (64, 3, 1),
    (80, 2, 1),
    (128, 2, 1),
    (132, 1, 1),
    (256, 2, 1),
];

#[test]
fn heads_of_every_width() {
    let Some(gpu) = device() else { return };
    for (number, (d_head, n_heads, n_kv_heads)) in WIDTHS.into_iter().enumerate() {
        // The next test has heads of 32 and 64, and of 40 there is little to learn behind 36, 80 and 132.
        if !soak() && (1..4).contains(&number) {
            continue;
        }
        let mut config = heads(d_head, n_heads, n_kv_heads);
        if number % 2 == 1 {
            config.cache_dtype = CacheDtype::F16;
        } else {
            config.attn_softcap = Some(1.5);
            config.windows = vec![Some(21)];
        }
        let both = load(&gpu, &config, Dtype::F32, 300 + number as u64);
        let name = format!("heads of {d_head}, cached in {:?}", config.cache_dtype);
        compare(&name, &config, &both, 17, 70, Rows::Sequence);
        compare(&name, &config, &both, 67, 19, Rows::Alternatives);
    }
}

#[test]
fn rows_of_every_number() {
    let Some(gpu) = device() else { return };
    let windows = |window| Config {
        windows: vec![Some(window)],
        ..heads(32, 2, 1)
    };
    let unrotated = Config {
        n_layers: 1,
        n_ctx: 330,
        n_positions: 330,
        d_head: 36,
        n_heads: 2,
        n_kv_heads: 2,
        ..gpt2()
    };
    for (number, config) in [heads(64, 2, 1), windows(1), windows(64), windows(100), unrotated]
        .into_iter()
        .enumerate()
    {
        let both = load(&gpu, &config, Dtype::F32, 340 + number as u64);
        for (prompt, then) in [(9, 16), (16, 9), (17, 128), (128, 12), (1, 250)] {
            let name = format!("model {number}, {prompt} rows, then {then}");
            compare(&name, &config, &both, prompt, then, Rows::Sequence);
        }
        compare(&format!("model {number}"), &config, &both, 128, 33, Rows::Alternatives);
    }
}
