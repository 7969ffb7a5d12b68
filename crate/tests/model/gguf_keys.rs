//! What the keys of a GGUF file say of its model, and what they may not say. gguf.rs has whole files.

use std::path::{Path, PathBuf};

use crate::gguf::{changed, golden, read, written};
use topk_lm::checkpoint::{self, GgufSource};
use topk_lm::config::{Config, RopeScaling};

/// The golden file of the kind qwen2 with one more key.
fn with_key(key: &str, kind: u32, value: &[u8]) -> PathBuf {
    with_key_of("qwen2", key, kind, value)
}

/// A golden file with one more key, in front of the others.
fn with_key_of(name: &str, key: &str, kind: u32, value: &[u8]) -> PathBuf {
    let mut bytes = std::fs::read(golden(&format!("{name}.gguf"))).unwrap();
    bytes[16] += 1;
    let entry = [
        &(key.len() as u64).to_le_bytes(),
        key.as_bytes(),
        &kind.to_le_bytes(),
        value,
    ];
    bytes.splice(24..24, entry.concat());
    written(&bytes)
}

#[test]
fn a_name_comes_once() {
    let said = |path: &Path| read(path).unwrap_err().to_string();
    let twice = said(&with_key("qwen2.block_count", 4, &9u32.to_le_bytes()));
    assert_eq!(twice, "key \"qwen2.block_count\" comes twice");
    for (from, to) in [
        ("blk.1.ffn_gate.weight", "blk.0.ffn_gate.weight"),
        ("blk.1.attn_norm.weight", "blk.00.ffn_norm.weight"),
    ] {
        let twice = said(&changed("qwen2", from.as_bytes(), to.as_bytes()));
        assert!(
            twice.starts_with("tensor ") && twice.ends_with(" comes twice"),
            "{twice}"
        );
    }
}

/// A small file would otherwise hold any number of large ones.
#[test]
fn tensors_do_not_share_their_bytes() {
    let mut bytes = std::fs::read(golden("qwen2.gguf")).unwrap();
    let name = b"blk.1.attn_norm.weight";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap() + name.len();
    // Behind the dimensions, the one side and the type.
    bytes[at + 16..at + 24].fill(0);
    let shared = read(&written(&bytes)).unwrap_err().to_string();
    assert!(
        shared.starts_with("tensors ") && shared.ends_with(" share bytes of the file"),
        "{shared}"
    );
}

/// What a value says that nothing here honours, or that other values contradict.
#[test]
fn a_value_that_cannot_be_followed_is_refused() {
    let int = |key: &str, value: u32| with_key(&format!("qwen2.{key}"), 4, &value.to_le_bytes());
    let float = |key: &str, value: f32| with_key(&format!("qwen2.{key}"), 6, &value.to_le_bytes());
    let said = |path: &Path| read(path).unwrap_err().to_string();
    for (path, expected) in [
        (int("expert_count", 8), "qwen2.expert_count = 8 is not supported"),
        (
            int("attention.sliding_window", 64),
            "qwen2.attention.sliding_window = 64 is not supported",
        ),
        (
            float("attention.clamp_kqv", 8.0),
            "qwen2.attention.clamp_kqv = 8 is not supported",
        ),
        (
            float("attention.scale", 0.5),
            "qwen2.attention.scale = 0.5 is not supported",
        ),
        (float("logit_scale", 0.5), "qwen2.logit_scale = 0.5 is not supported"),
        (
            float("embedding_scale", 12.0),
            "qwen2.embedding_scale = 12 is not supported",
        ),
        (
            float("residual_scale", 0.2),
            "qwen2.residual_scale = 0.2 is not supported",
        ),
        (
            float("rope.scaling.attn_factor", 0.5),
            "qwen2.rope.scaling.attn_factor = 0.5 is not supported",
        ),
        (
            float("logit_scale", f32::NAN),
            "qwen2.logit_scale is NaN; it must be finite",
        ),
        (
            with_key("split.count", 2, &3u16.to_le_bytes()),
            "the file is one of 3 parts; llama-gguf-split --merge, of llama.cpp, joins them",
        ),
        (
            with_key("general.type", 8, b"\x07\0\0\0\0\0\0\0adapter"),
            "general.type is \"adapter\"; it must be a model",
        ),
        (
            with_key("qwen2.attention.causal", 7, &[0]),
            "qwen2.attention.causal = false is not supported",
        ),
        (
            int("rope.dimension_count", 8),
            "qwen2.rope.dimension_count is 8; it must be the 16 numbers of a head",
        ),
        (
            int("attention.value_length", 32),
            "qwen2.attention.value_length is 32; it must be the 16 numbers of a head",
        ),
        (
            int("vocab_size", 299),
            "qwen2.vocab_size is 299; it must be the 300 rows of token_embd.weight",
        ),
    ] {
        assert_eq!(said(&path), expected);
    }
    for (key, was, value) in [
        ("attention.layer_norm_rms_epsilon", 1e-5, f32::NAN),
        ("rope.freq_base", 10_000.0, f32::INFINITY),
    ] {
        let entry = |value: f32| [key.as_bytes(), &6u32.to_le_bytes(), &value.to_le_bytes()].concat();
        let said = said(&changed("qwen2", &entry(was), &entry(value)));
        assert!(
            said.starts_with(&format!("qwen2.{key} is ")) && said.ends_with("; it must be finite"),
            "{said}"
        );
    }
    let pair = |second: f32| [32f32.to_le_bytes(), second.to_le_bytes()].concat();
    assert!(said(&changed("llama-k", &pair(32.0), &pair(f32::NAN))).contains("rope_freqs.weight"));
}

/// The config that transformers would read, of a file.
fn config(path: &Path) -> Config {
    pollster::block_on(checkpoint::read_config(&GgufSource::new(path).unwrap())).unwrap()
}

/// As llama.cpp reads it: linear where no type is said, by the key of today or that of the first files; 0 is no factor.
#[test]
fn a_linear_scaling_needs_no_type() {
    let scaling = |key: &str, factor: f32| {
        let path = with_key(&format!("qwen2.rope.{key}"), 6, &factor.to_le_bytes());
        config(&path).rope().unwrap().scaling.clone()
    };
    for key in ["scaling.factor", "scale_linear"] {
        assert_eq!(scaling(key, 4.0), RopeScaling::Linear { factor: 4.0 });
        assert_eq!(scaling(key, 0.0), RopeScaling::None);
        assert_eq!(scaling(key, 1.0), RopeScaling::None);
    }
    let both = with_key_of("llama-k", "llama.rope.scaling.factor", 6, &2f32.to_le_bytes());
    let error = GgufSource::new(&both).unwrap_err().to_string();
    assert!(
        error.contains("a linear scaling beside tensor \"rope_freqs.weight\""),
        "{error}"
    );
}

/// The file has Gemma's windows by a period or by a list, or leaves them to what is known of the kind.
#[test]
fn layers_of_gemma_see_windows_as_the_file_says() {
    let windows = |path: &Path| {
        let all = config(path).windows;
        all.iter().map(|window| window.unwrap_or(0)).collect::<Vec<_>>()
    };
    let path = |name: &str| golden(&format!("{name}.gguf"));
    assert_eq!(windows(&path("gemma2")), [5, 0, 5]);
    assert_eq!(windows(&path("gemma3")), [5, 5, 5, 5, 5, 0, 5]);
    let key = "gemma3.attention.sliding_window_pattern";
    let period = |period: u32| windows(&with_key_of("gemma3", key, 4, &period.to_le_bytes()));
    assert_eq!(period(3), [5, 5, 0, 5, 5, 0, 5]);
    assert_eq!(period(0), [5; 7]);
    assert!(period(1).is_empty());
    let list = |yes: &[u8]| {
        let head = [&7u32.to_le_bytes()[..], &(yes.len() as u64).to_le_bytes()].concat();
        with_key_of("gemma3", key, 9, &[&head, yes].concat())
    };
    assert_eq!(windows(&list(&[0, 1, 0, 0, 0, 0, 0])), [0, 5, 0, 0, 0, 0, 0]);
    let error = read(&list(&[0, 1])).unwrap_err().to_string();
    assert!(
        error.contains("a list with a yes or no for each of the 7 layers"),
        "{error}"
    );
    let text = [
        &8u32.to_le_bytes()[..],
        &7u64.to_le_bytes(),
        &[&1u64.to_le_bytes()[..], b"y"].concat().repeat(7),
    ]
    .concat();
    let error = read(&with_key_of("gemma3", key, 9, &text)).unwrap_err().to_string();
    assert!(error.contains("a list with a yes or no"), "{error}");
    let count = |layers: u32| [b"gemma3.block_count", &4u32.to_le_bytes()[..], &layers.to_le_bytes()].concat();
    let error = read(&changed("gemma3", &count(7), &count(u32::MAX)))
        .unwrap_err()
        .to_string();
    assert_eq!(error, "gemma3.block_count is 4294967295; it must be at most 4096");
    let none = [b"gemma3.attention.sliding_window", &4u32.to_le_bytes()[..]].concat();
    let (of_five, of_none) = (
        [&none[..], &5u32.to_le_bytes()].concat(),
        [&none[..], &0u32.to_le_bytes()].concat(),
    );
    let everywhere = config(&changed("gemma3", &of_five, &of_none));
    assert!(everywhere.windows.is_empty());
}

/// By their number of blocks, as in llama.cpp: no key says what the scores of the largest are scaled by.
#[test]
fn scores_of_gemma_are_scaled_by_the_size_of_a_head_or_of_the_largest_models() {
    let scaled = |name: &str, layers: u32, to: u32| {
        let key = format!("{name}.block_count");
        let entry = |count: u32| [key.as_bytes(), &4u32.to_le_bytes(), &count.to_le_bytes()].concat();
        config(&changed(name, &entry(layers), &entry(to))).attn_scale
    };
    assert_eq!(scaled("gemma2", 3, 3), 32f32.powf(-0.5));
    assert_eq!(scaled("gemma2", 3, 46), 16f32.powf(-0.5)); // 64 / 4 heads
    assert_eq!(scaled("gemma3", 7, 46), 32f32.powf(-0.5));
    assert_eq!(scaled("gemma3", 7, 2), 32f32.powf(-0.5));
    let said = |key: &str, value: f32| {
        let path = with_key_of(&key[..6], key, 6, &value.to_le_bytes());
        read(&path).unwrap_err().to_string()
    };
    assert_eq!(
        said("gemma3.final_logit_softcapping", 30.0),
        "gemma3.final_logit_softcapping = 30 is not supported"
    );
    assert_eq!(
        said("gemma2.rope.freq_base_swa", 5000.0),
        "gemma2.rope.freq_base_swa must be 10000, as everywhere"
    );
}

/// Chat models have one id for the end of a text and another for that of a turn.
#[test]
fn the_end_of_a_turn_ends_a_text() {
    let eot = with_key("tokenizer.ggml.eot_token_id", 4, &5u32.to_le_bytes());
    assert_eq!(config(&eot).eos_token_ids, [0, 5]);
    let eos = with_key("tokenizer.ggml.eot_token_id", 4, &0u32.to_le_bytes());
    assert_eq!(config(&eos).eos_token_ids, [0]);
    for of_code in ["fim_pad", "fim_rep", "fim_sep"] {
        let path = with_key(&format!("tokenizer.ggml.{of_code}_token_id"), 4, &5u32.to_le_bytes());
        assert_eq!(config(&path).eos_token_ids, [0, 5]);
    }
}

#[test]
fn values_that_change_nothing_are_taken() {
    for (key, kind, value) in [
        ("qwen2.attention.causal", 7, vec![1]),
        ("qwen2.rope.dimension_count", 4, 16u32.to_le_bytes().to_vec()),
        ("qwen2.attention.value_length", 4, 16u32.to_le_bytes().to_vec()),
        ("qwen2.vocab_size", 4, 300u32.to_le_bytes().to_vec()),
        ("qwen2.logit_scale", 6, 1f32.to_le_bytes().to_vec()),
        ("qwen2.expert_count", 4, vec![0; 4]),
    ] {
        GgufSource::new(with_key(key, kind, &value)).unwrap_or_else(|error| panic!("{key}: {error}"));
    }
}
