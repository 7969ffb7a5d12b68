//! GGUF files: what `topk-lm convert` makes of them, against transformers, and what is refused. `tests/goldens/make_gguf.py` wrote the files,
//! with the format's own package.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{folder, ids, json, largest_difference, root};
use proptest::prelude::*;
use serde_json::Value;
use topk_lm::checkpoint::{self, GgufSource};
use topk_lm::config::{Config, RopeScaling};
use topk_lm::source::Source;
use topk_lm::{BackendChoice, LogitRows, Model, RunOptions};

fn golden(name: &str) -> PathBuf {
    root().join("tests/goldens/gguf").join(name)
}

fn topk_lm(arguments: &[&str], from: &Path, to: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_topk-lm"))
        .arg("convert")
        .args([from, to])
        .args(arguments)
        .output()
        .unwrap()
}

fn convert(name: &str, to: &str, arguments: &[&str]) -> (PathBuf, Value) {
    let to = folder(&format!("gguf/{to}"));
    let output = topk_lm(
        &[arguments, &["--json"]].concat(),
        &golden(&format!("{name}.gguf")),
        &to,
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (to, serde_json::from_slice(&output.stdout).unwrap())
}

fn logits(folder: &Path, expected: &Value) -> (Vec<f32>, Vec<f32>) {
    let model = Model::open_on(folder, BackendChoice::Cpu).unwrap();
    let options = RunOptions {
        logits: LogitRows::All,
        ..RunOptions::default()
    };
    let all = model.run_now(&ids(&expected["ids"]), &options).unwrap().logits.data;
    let rows = expected["logits"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap());
    let rows: Vec<f32> = rows.map(|logit| logit.as_f64().unwrap() as f32).collect();
    (all[all.len() - rows.len()..].to_vec(), rows)
}

#[test]
fn every_kind_of_model_gives_transformers_logits() {
    for name in [
        "llama-q4_0",
        "llama-k",
        "llama-spm",
        "qwen2",
        "qwen3",
        "gemma2",
        "gemma3",
    ] {
        let (to, said) = convert(name, name, &[]);
        let expected = json(&golden(&format!("{name}.json")));
        let (ours, theirs) = logits(&to, &expected);
        let off = largest_difference(&ours, &theirs);
        println!("{name}: {off:.5}");
        assert!(off < 5e-3, "{name}: {off}");
        assert_eq!(said["files"], 1);
        // A text is cut and coded as by the tokenizer that the file was made from.
        let texts = expected["texts"].as_array().unwrap();
        if texts.is_empty() {
            let notices = said["notices"].to_string();
            assert!(notices.contains("tokenizer.json"), "{notices}");
            assert!(!to.join("tokenizer.json").exists());
            continue;
        }
        assert_eq!(said["notices"], serde_json::json!([]));
        let tokenizer = tokenizers::Tokenizer::from_file(to.join("tokenizer.json")).unwrap();
        for text in texts {
            let written = text["text"].as_str().unwrap();
            let coded = tokenizer.encode(written, true).unwrap();
            assert_eq!(coded.get_ids(), ids(&text["ids"]), "{name}: {text}");
            let model = Model::open_on(&to, BackendChoice::Cpu).unwrap();
            let plain = written.replace("<|end|>", "");
            assert_eq!(
                model.tokenizer().unwrap().decode(coded.get_ids(), true).unwrap(),
                plain,
                "{name}"
            );
        }
    }
}

#[test]
fn q4_0_stays_as_it_is_and_others_can_be_made_smaller() {
    let (to, said) = convert("llama-q4_0", "as-stored", &[]);
    assert_eq!(json(&to.join("config.json"))["quantization_config"]["group_size"], 32);
    // Half a byte a number, 2.5 bytes for each output of 32 inputs, 4 for each input.
    let matrices = 2 * [(64, 64), (32, 64), (32, 64), (64, 64), (96, 64), (96, 64), (64, 96)]
        .iter()
        .fold(0, |sum, (outputs, inputs)| {
            sum + inputs * outputs / 2 + inputs / 32 * outputs * 5 / 2 + 4 * inputs
        });
    assert_eq!(said["bytes"], matrices + 2 * 300 * 64 * 2 + 5 * 64 * 4);
    let again = folder("gguf/again");
    assert!(topk_lm(&["--dtype", "int4"], &to, &again).status.success());
    let expected = json(&golden("llama-q4_0.json"));
    let (ours, theirs) = logits(&again, &expected);
    assert!(largest_difference(&ours, &theirs) < 0.1); // the head has 8 bits now
    for dtype in ["f16", "int8", "int4"] {
        let (to, small) = convert(
            "qwen2",
            &format!("qwen2-{dtype}"),
            &["--dtype", dtype, "--shard-size", "30kB"],
        );
        assert!(small["files"].as_u64().unwrap() > 1, "{small}");
        let (ours, theirs) = logits(&to, &json(&golden("qwen2.json")));
        let off = [("f16", 5e-3), ("int8", 0.1), ("int4", 1.0)]
            .into_iter()
            .find(|known| known.0 == dtype)
            .unwrap()
            .1;
        assert!(
            largest_difference(&ours, &theirs) < off,
            "{dtype}: {}",
            largest_difference(&ours, &theirs)
        );
    }
}

#[test]
fn the_tokenizer_beside_the_file_comes_first() {
    let from = folder("gguf/beside");
    std::fs::copy(golden("qwen3.gguf"), from.join("qwen3.gguf")).unwrap();
    let (other, _) = convert("qwen2", "beside-tokenizer", &[]);
    std::fs::copy(other.join("tokenizer.json"), from.join("tokenizer.json")).unwrap();
    let to = folder("gguf/beside-to");
    let output = topk_lm(&["--json"], &from.join("qwen3.gguf"), &to);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["notices"], serde_json::json!([]));
    assert_eq!(
        std::fs::read(to.join("tokenizer.json")).unwrap(),
        std::fs::read(other.join("tokenizer.json")).unwrap()
    );
}

/// A link may lead to what has no end.
#[cfg(unix)]
#[test]
fn only_a_file_is_a_tokenizer_beside_the_file() {
    let from = folder("gguf/endless");
    std::fs::copy(golden("qwen3.gguf"), from.join("qwen3.gguf")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", from.join("tokenizer.json")).unwrap();
    read(&from.join("qwen3.gguf")).unwrap();
}

/// Holes in a file cost nothing, and a value that has a byte there takes 32 in memory.
#[test]
fn lists_have_an_end_whatever_the_size_of_the_file() {
    let path = folder("gguf/holes").join("model.gguf");
    let list = |name: &[u8], count: u64| {
        let counted = [
            &(name.len() as u64).to_le_bytes(),
            name,
            &9u32.to_le_bytes(),
            &0u32.to_le_bytes(),
            &count.to_le_bytes(),
        ];
        counted.concat()
    };
    let head = [
        &b"GGUF"[..],
        &3u32.to_le_bytes(),
        &0u64.to_le_bytes(),
        &2u64.to_le_bytes(),
    ]
    .concat();
    let small = [&list(b"a", 4)[..], &[0; 4], &list(b"b", (1 << 24) - 3)].concat();
    for lists in [list(b"a", (1 << 24) + 1), small] {
        std::fs::write(&path, [&head[..], &lists].concat()).unwrap();
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1 << 26)
            .unwrap();
        let error = GgufSource::new(&path).err().unwrap().to_string();
        assert!(error.contains("values of a list"), "{error}");
    }
}

/// A file of its own.
fn written(bytes: &[u8]) -> PathBuf {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let path = folder(&format!("gguf/changed/{}", FILES.fetch_add(1, Ordering::Relaxed))).join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A golden file in which the first place that holds `from` holds `to`.
fn changed(name: &str, from: &[u8], to: &[u8]) -> PathBuf {
    let mut bytes = std::fs::read(golden(&format!("{name}.gguf"))).unwrap();
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes[at..at + from.len()].copy_from_slice(to);
    written(&bytes)
}

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

#[test]
fn what_is_not_read_is_refused_by_name() {
    let path = folder("gguf/bad").join("model.gguf");
    let whole = std::fs::read(golden("qwen2.gguf")).unwrap();
    let (to, empty) = (folder("gguf/refused"), Vec::new());
    let fails = |path: &Path, word: &str| {
        let output = topk_lm(&[], path, &to);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.lines().count() == 1 && stderr.contains(word) && stderr.contains("model.gguf"),
            "{stderr}"
        );
    };
    for (bytes, word) in [
        (empty, "cut off"),
        (b"PK\x03\x04 and more of it".to_vec(), "does not begin with GGUF"),
        (whole[..200].to_vec(), "cut off"),
        (whole[..whole.len() - 1].to_vec(), "cut off: tensor"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        fails(&path, word);
    }
    fails(&changed("qwen2", b"GGUF\x03", b"GGUF\x01"), "version 1");
    fails(
        &changed("llama-q4_0", b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0mamba"),
        "\"mamba\" is not supported",
    );
    fails(
        &changed("qwen2", b"blk.1.ffn_gate", b"blk.1.ffn_gaze"),
        "ffn_gaze.weight",
    );
    fails(
        &changed("qwen2", b"qwen2.block_count", b"qwen2.block_caunt"),
        "qwen2.block_count is missing",
    );
    fails(
        &changed(
            "llama-q4_0",
            b"attention.head_count\x04\0\0\0\x04",
            b"attention.head_count\x04\0\0\0\x05",
        ),
        "no heads of 12",
    );
    fails(
        &changed("llama-spm", b"tokenizer.ggml.scores", b"tokenizer.ggml.spores"),
        "tokenizer.ggml.scores must be a list with a score for each of the 400 tokens",
    );
    // The frequencies of another scaling.
    let [low, lower] = [32f32, 31f32].map(|divisor| [divisor.to_le_bytes(); 2].concat());
    fails(&changed("llama-k", &low, &lower), "rope_freqs.weight");
}

/// All that is read of a file.
fn read(path: &Path) -> topk_lm::Result<()> {
    let source = GgufSource::new(path)?;
    pollster::block_on(async {
        let config = checkpoint::read_config(&source).await?;
        checkpoint::read_tokenizer(&source, &config).await?;
        let size = source.size("model.safetensors").unwrap();
        source.read("model.safetensors", 0, size as usize).await?;
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Damage is an error, or numbers; it is never a panic.
    #[test]
    fn a_damaged_file_is_read_or_refused(name in prop_oneof![Just("llama-q4_0.gguf"), Just("llama-spm.gguf")], cut in 0usize..8000, places in proptest::collection::vec((0usize..8000, any::<u8>()), 0..6)) {
        let mut bytes = std::fs::read(golden(name)).unwrap();
        for (at, byte) in places {
            bytes[at] = byte;
        }
        if cut < 4000 {
            bytes.truncate(cut);
        }
        let path = folder("gguf/damaged").join("model.gguf");
        std::fs::write(&path, bytes).unwrap();
        let _ = read(&path);
    }

    /// Any range of the weights is that part of all of them.
    #[test]
    fn ranges_are_parts(from in 0.0f64..1.0, length in 0usize..70_000) {
        let source = GgufSource::new(golden("qwen2.gguf")).unwrap();
        let size = source.size("model.safetensors").unwrap() as usize;
        let read = |from: usize, length: usize| pollster::block_on(source.read("model.safetensors", from as u64, length));
        let from = (from * size as f64) as usize;
        let length = length.min(size - from);
        prop_assert_eq!(&read(from, length).unwrap()[..], &read(0, size).unwrap()[from..from + length]);
        prop_assert!(read(size - 1, 2).is_err());
    }
}
