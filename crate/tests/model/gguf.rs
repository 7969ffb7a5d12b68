//! GGUF files: what `topk-lm convert` makes of them, against transformers, and what is refused. `tests/goldens/make_gguf.py` wrote the files,
//! with the format's own package.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{folder, ids, json, largest_difference, root};
use proptest::prelude::*;
use serde_json::Value;
use topk_lm::checkpoint::{self, GgufSource};
use topk_lm::source::Source;
use topk_lm::{BackendChoice, LogitRows, Model, RunOptions};

pub fn golden(name: &str) -> PathBuf {
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
pub fn written(bytes: &[u8]) -> PathBuf {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let path = folder(&format!("gguf/changed/{}", FILES.fetch_add(1, Ordering::Relaxed))).join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A golden file in which the first place that holds `from` holds `to`.
pub fn changed(name: &str, from: &[u8], to: &[u8]) -> PathBuf {
    let mut bytes = std::fs::read(golden(&format!("{name}.gguf"))).unwrap();
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes[at..at + from.len()].copy_from_slice(to);
    written(&bytes)
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
pub fn read(path: &Path) -> topk_lm::Result<()> {
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
    fn a_damaged_file_is_read_or_refused(name in prop_oneof![Just("llama-q4_0.gguf"), Just("llama-spm.gguf"), Just("gemma3.gguf")], cut in 0usize..8000, places in proptest::collection::vec((0usize..8000, any::<u8>()), 0..6)) {
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
