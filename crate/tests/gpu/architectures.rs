//! What architectures beside Llama and GPT-2 have: each property in a small random model, op by op on the GPU against the CPU twins.

use topk_lm::config::{Activation, Biases, CacheDtype, Config, Mlp, Positions, Residual, Rope, RopeScaling};
use topk_lm::edits::EditTable;
use topk_lm::exec::request::{Batch, LogitRows};
use topk_lm::ops::def::Rows;
use topk_lm::program::Program;
use topk_lm::weights::Dtype;

use crate::cases::{biases, device, difference, gpt2, llama, load, topk};
use crate::common::soak;
use crate::ops::{compare, compare_late};

fn rotary(dims: usize, local_theta: Option<f64>) -> Positions {
    Positions::Rotary(Rope {
        theta: 5000.0,
        scaling: RopeScaling::None,
        dims,
        local_theta,
    })
}

/// LayerNorm, RoPE of some numbers of a head, attention and MLP side by side.
pub fn neox() -> Config {
    Config {
        positions: rotary(4, None),
        residual: Residual::Parallel,
        mlp: Mlp {
            gated: false,
            activation: Activation::Gelu,
        },
        tie_word_embeddings: false,
        topk: topk(9),
        ..gpt2()
    }
}

/// Learned positions, scores as they are, every other layer with a window.
pub fn gpt_neo() -> Config {
    Config {
        attn_scale: 1.0,
        windows: vec![None, Some(5)],
        biases: Biases {
            qkv: false,
            ..biases(true)
        },
        mlp: Mlp {
            gated: false,
            activation: Activation::Relu,
        },
        ..gpt2()
    }
}

/// Norms of heads, of which a part is rotated, and biases.
pub fn qwen3() -> Config {
    Config {
        positions: rotary(6, None),
        qk_norm: true,
        windows: vec![Some(7), None],
        biases: Biases {
            qkv: true,
            ..biases(false)
        },
        mlp: Mlp {
            gated: true,
            activation: Activation::Gelu,
        },
        topk: topk(11),
        n_nontopk: 1,
        ..llama()
    }
}

/// Everything that Gemma 2 and Gemma 3 have.
pub fn gemma() -> Config {
    Config {
        n_layers: 3,
        post_norms: true,
        positions: rotary(8, Some(100.0)),
        qk_norm: true,
        attn_scale: 0.2,
        attn_softcap: Some(2.0),
        windows: vec![Some(6), None, Some(1)],
        mlp: Mlp {
            gated: true,
            activation: Activation::GeluTanh,
        },
        embed_scale: 60f32.sqrt(),
        logit_softcap: Some(3.0),
        ..llama()
    }
}

#[test]
fn sequences_and_alternatives() {
    let Some(gpu) = device() else { return };
    for (number, (name, config)) in [
        ("neox", neox()),
        ("gpt-neo", gpt_neo()),
        ("qwen3", qwen3()),
        ("gemma", gemma()),
    ]
    .into_iter()
    .enumerate()
    {
        let dtype = [Dtype::F32, Dtype::F16, Dtype::Bf16][number % 3];
        let both = load(&gpu, &config, dtype, 71 + number as u64);
        compare(name, &config, &both, 1, 3, Rows::Sequence);
        compare(name, &config, &both, 20, 2, Rows::Sequence);
        compare(name, &config, &both, 3, 9, Rows::Alternatives);
        compare(name, &config, &both, 17, 4, Rows::Alternatives);
    }
}

/// Heads as wide as a workgroup, and heads of an odd width that are not rotated.
#[test]
fn head_widths() {
    let Some(gpu) = device() else { return };
    let wide = Config {
        d_head: 256,
        n_heads: 2,
        n_kv_heads: 1,
        n_layers: 1,
        positions: rotary(256, None),
        windows: vec![Some(4)],
        ..gemma()
    };
    let both = load(&gpu, &wide, Dtype::F32, 81);
    compare("wide heads", &wide, &both, 9, 3, Rows::Alternatives);
    let odd = Config {
        d_head: 7,
        n_heads: 4,
        n_kv_heads: 4,
        n_layers: 1,
        qk_norm: true,
        windows: vec![Some(3)],
        ..gpt_neo()
    };
    let both = load(&gpu, &odd, Dtype::F32, 82);
    compare("odd heads", &odd, &both, 9, 3, Rows::Sequence);
}

/// Keys and values in f16: stored in pairs, rounded where a row's own are not stored, too.
#[test]
fn caches_in_half_precision() {
    let Some(gpu) = device() else { return };
    let half = |base: Config| Config {
        cache_dtype: CacheDtype::F16,
        topk: None,
        ..base
    };
    let wide = Config {
        d_head: 66,
        n_heads: 2,
        n_kv_heads: 1,
        positions: rotary(66, None),
        ..llama()
    };
    for (number, (name, config)) in [
        ("llama", llama()),
        ("gpt2", gpt2()),
        ("neox", neox()),
        ("gpt-neo", gpt_neo()),
        ("qwen3", qwen3()),
        ("gemma", gemma()),
        ("wide heads", wide),
    ]
    .into_iter()
    .enumerate()
    {
        // Of positions, windows and heads these have all kinds.
        if !soak() && ["llama", "gpt2", "qwen3"].contains(&name) {
            continue;
        }
        let config = half(config);
        let both = load(&gpu, &config, Dtype::F32, 171 + number as u64);
        compare(name, &config, &both, 20, 2, Rows::Sequence);
        compare(name, &config, &both, 3, 9, Rows::Alternatives);
        compare(name, &config, &both, 17, 4, Rows::Alternatives);
    }
    let late = Config {
        n_ctx: 600,
        windows: vec![Some(530), Some(20), None],
        ..gemma()
    };
    compare_late("gemma", &half(late), &gpu, 178);
}

/// Late in a long context: windows that need parts of it, no parts, and one that begins in the middle of a part.
#[test]
fn windows_of_long_contexts() {
    let Some(gpu) = device() else { return };
    let config = Config {
        n_ctx: 600,
        windows: vec![Some(530), Some(20), None],
        ..gemma()
    };
    compare_late("windows", &config, &gpu, 83);
}

/// A single token's logit is that of the whole row, soft-cap included; and the cap holds.
#[test]
fn soft_capped_logits() {
    let Some(gpu) = device() else { return };
    let config = Config { n_layers: 1, ..gemma() };
    let both = load(&gpu, &config, Dtype::F32, 84);
    let edits = EditTable::none(config.n_layers);
    for rows in [1, 12] {
        let ids = vec![5; rows];
        let batch = |logits| Batch {
            ids: &ids,
            start: 0,
            rows: Rows::Sequence,
            edits: &edits,
            captures: &[],
            logits,
        };
        let on_gpu = |logits| {
            let mut cache = both.gpu.new_cache().unwrap();
            pollster::block_on(both.gpu.forward(&mut cache, &batch(logits)))
                .unwrap()
                .logits
        };
        let on_cpu = |logits| {
            let mut cache = both.cpu.new_cache();
            pollster::block_on(both.cpu.forward(&mut cache, &batch(logits)))
                .unwrap()
                .logits
        };
        let all = on_cpu(LogitRows::All);
        assert!(all.iter().all(|logit| logit.abs() <= 3.0) && all.iter().any(|logit| logit.abs() > 1.0));
        let token: Vec<f32> = all.chunks_exact(config.d_vocab).map(|row| row[66]).collect();
        assert_eq!(on_cpu(LogitRows::Token(66)), token);
        assert!(difference(&all, &on_gpu(LogitRows::All)) < 2e-4);
        assert!(difference(&token, &on_gpu(LogitRows::Token(66))) < 2e-4);
    }
}

/// What these properties cost in a program.
#[test]
fn steps_of_a_block() {
    let steps = |config: &Config| Program::new(config).steps.len();
    assert_eq!(steps(&neox()), 1 + 2 * 6);
    assert_eq!(steps(&qwen3()), 1 + 2 * 7);
    assert_eq!(steps(&gemma()), 1 + 3 * 9);
}
