//! The products of many rows (`shaders/parts/rows.wgsl`, `qkv_gather_rows.wgsl`) where rows, inputs and outputs fill no tile: by every number
//! of rows around a tile's, widths of all remainders, with and without norms' means, biases and gates.

use topk_lm::config::Config;
use topk_lm::ops::def::Rows;
use topk_lm::ops::tuning::Profile;
use topk_lm::weights::Dtype;

use crate::cases::{biases, device, gpt2, llama, load, topk};
use crate::common::soak;
use crate::ops::compare;

const COUNTS: [usize; 16] = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 127, 128, 129];

fn sized(base: Config, [d_model, d_mlp, d_head, n_heads]: [usize; 4]) -> Config {
    let n_kv_heads = if base.n_kv_heads == base.n_heads { n_heads } else { 1 };
    Config {
        d_model,
        d_mlp,
        d_head,
        n_heads,
        n_kv_heads,
        d_vocab: 33,
        n_layers: 2,
        ..base
    }
}

/// The model with a prompt of each count of rows and others behind it, by the kernels of this kind of adapter.
fn in_counts(name: &str, config: &Config, dtype: Dtype, seed: u64, (profile, counts): (Profile, &[usize])) {
    let Some(gpu) = device() else { return };
    gpu.assume(profile);
    let both = load(&gpu, config, dtype, seed);
    for &rows in counts {
        compare(name, config, &both, rows, (rows + 8).min(160 - rows), Rows::Sequence);
    }
}

#[test]
fn every_count_of_rows() {
    let dense = sized(llama(), [60, 40, 8, 4]);
    let sparse = Config {
        topk: topk(7),
        ..sized(llama(), [64, 24, 8, 4])
    };
    for (profile, counts) in [(Profile::Fallback, &COUNTS[..]), (Profile::Gpu, &COUNTS[5..13])] {
        in_counts("a dense Llama", &dense, Dtype::F32, 91, (profile, counts));
        in_counts("a TopK Llama", &sparse, Dtype::F16, 92, (profile, counts));
    }
}

#[test]
fn widths_that_fill_no_tile() {
    let dtypes = [Dtype::F32, Dtype::F16, Dtype::Bf16];
    let shapes = [[61, 33, 5, 3], [66, 36, 12, 2], [56, 68, 20, 3], [136, 130, 64, 2]];
    for (number, shape) in shapes.into_iter().enumerate() {
        let llama = Config {
            biases: biases(true),
            n_kv_heads: 4,
            ..llama()
        };
        let bases = [(llama.clone(), false), (gpt2(), true), (gpt2(), false), (llama, true)];
        for (which, (base, sparse)) in bases.into_iter().enumerate() {
            // RoPE turns the first eight dims of a head.
            if base.rope().is_some() && shape[2] < 8 {
                continue;
            }
            // Each shape with two of the bases, each base with two of the shapes.
            if !soak() && (number + which) % 2 == 1 {
                continue;
            }
            let config = Config {
                topk: topk(shape[0] / 8).filter(|_| sparse),
                ..sized(base, shape)
            };
            let profile = [Profile::Fallback, Profile::Gpu][(number + which) / 2 % 2];
            let dtype = dtypes[(number + which) % 3];
            let name = format!("{shape:?} {dtype:?}, {:?}", config.architecture);
            in_counts(&name, &config, dtype, 93 + number as u64, (profile, &[9, 33]));
        }
    }
}
