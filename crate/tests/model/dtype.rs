//! In which numbers matrices are kept: `LoadOptions::dtype`.

use std::path::Path;
use std::process::Command;

use crate::common::{largest_difference, load_on, root, soak};
use topk_lm::checkpoint::FolderSource;
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, KeptAs, LoadOptions, Model, RunOptions};

fn as_f16(folder: &Path, backend: BackendChoice) -> Model {
    let options = LoadOptions {
        backend,
        dtype: KeptAs::F16,
        ..LoadOptions::default()
    };
    let source = FolderSource::new(folder).unwrap();
    pollster::block_on(Model::load_with(&source, &options, &Cancel::default(), &mut |_, _| {})).unwrap()
}

fn logits(model: &Model) -> Vec<f32> {
    let ids: Vec<u32> = (0..12).map(|i| (7 * i + 3) % model.config().d_vocab as u32).collect();
    model.run_now(&ids, &RunOptions::default()).unwrap().logits.data
}

/// f16 matrices stay as they are; of others both backends make the same.
#[test]
fn matrices_are_kept_as_f16() {
    for (name, is_f16) in [
        ("gpt2-odd-f16", true),
        ("llama-f16-linear", true),
        ("gpt2", false),
        ("llama-tied-bf16", false),
        ("llama-i8", false),
    ] {
        let folder = root().join("tests/goldens/models").join(name);
        let on = |backend| {
            let stored = load_on(&folder, backend)?;
            let kept = as_f16(&folder, backend);
            if name == "llama-i8" && backend == BackendChoice::Gpu {
                let (stored, kept) = (stored.memory().1, kept.memory().1);
                assert!(kept > stored, "{kept} and {stored} bytes");
            }
            let (stored, kept) = (logits(&stored), logits(&kept));
            assert_eq!(kept == stored, is_f16, "{name}");
            Some(kept)
        };
        let cpu = on(BackendChoice::Cpu).unwrap();
        // Kernels of their own have f16, f32 and 8 bits.
        if !soak() && ["llama-f16-linear", "llama-tied-bf16"].contains(&name) {
            continue;
        }
        if let Some(gpu) = on(BackendChoice::Gpu) {
            let apart = largest_difference(&cpu, &gpu);
            assert!(apart < 1e-3, "{name}: {apart}");
        }
    }
}

#[test]
fn the_command_takes_it() {
    let model = root().join("tests/goldens/models/llama-i8");
    let generate = |more: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_topk-lm"))
            .args([
                "generate",
                "--ids",
                "3,1,4",
                "--max-tokens",
                "3",
                "--temperature",
                "0",
                "--backend",
                "cpu",
                "--json",
                "--model",
            ])
            .arg(&model)
            .args(more)
            .output()
            .unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let (code, stored) = generate(&[]);
    let (_, kept) = generate(&["--dtype", "f16"]);
    assert_eq!(code, Some(0));
    assert_ne!(stored, kept, "its log-probabilities");
    assert_eq!(generate(&["--dtype", "f64"]).0, Some(2));
}
