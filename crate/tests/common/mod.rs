//! What the integration tests share: the golden models, the backends at hand, comparisons.
#![allow(dead_code)] // each test binary uses its own part

pub mod edits;
pub mod tiny;
pub mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use topk_lm::checkpoint::FolderSource;
use topk_lm::error::{Code, Result};
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, GenerateOptions, Model};

/// The tokens behind a prompt, until the generation ends.
pub fn generate(model: &Model, prompt: &[u32], options: &GenerateOptions) -> Vec<u32> {
    let mut generation = model.generate(prompt, options).unwrap();
    let mut new = Vec::new();
    loop {
        let generated = pollster::block_on(generation.next(&Cancel::default())).unwrap();
        new.extend(generated.steps.iter().map(|step| step.id));
        if generated.finish.is_some() {
            return new;
        }
    }
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of a golden model.
pub fn golden(name: &str) -> PathBuf {
    root().join("tests/goldens/models").join(name)
}

/// An empty folder of this name, for what a test writes.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The golden model folders.
pub fn golden_models() -> Vec<PathBuf> {
    let folder = root().join("tests/goldens/models");
    let mut models: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    models.sort();
    assert!(models.len() >= 10, "the golden models are missing");
    models
}

/// `SOAK=1`: everything at full length.
pub fn soak() -> bool {
    std::env::var_os("SOAK").is_some()
}

/// Those that go through the GPU, where each has kernels of its own to be compiled: of every architecture, kind of block, cut and stored number
/// one; with `SOAK=1` all. What kernels do, `gpu/` checks operation by operation.
const ON_GPU: [&str; 18] = [
    "gemma2",
    "gemma3",
    "gpt-neo",
    "gpt2",
    "gpt2-by-layer",
    "gpt2-odd-f16",
    "llama-abs-relu",
    "llama-dense-bias",
    "llama-gptq",
    "llama-gqa",
    "llama-i8",
    "llama-odd-bf16",
    "mistral",
    "neox-parallel",
    "neox-serial",
    "qwen2-awq",
    "qwen2-dense-window",
    "qwen3",
];

/// Golden models for the GPU.
pub fn golden_models_on_gpu() -> Vec<PathBuf> {
    let all = golden_models();
    if soak() {
        return all;
    }
    let some: Vec<PathBuf> = ON_GPU.iter().map(|name| golden(name)).collect();
    assert!(some.iter().all(|folder| all.contains(folder)));
    let kinds = |models: &[PathBuf]| -> BTreeSet<String> {
        let kind = |folder: &PathBuf| json(&folder.join("config.json"))["model_type"].to_string();
        models.iter().map(kind).collect()
    };
    assert_eq!(kinds(&some), kinds(&all), "ON_GPU has none of an architecture");
    some
}

pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// An f32 tensor file, read by a library that is not ours.
pub struct Tensors(Vec<u8>);

impl Tensors {
    pub fn open(path: &Path) -> Self {
        Tensors(std::fs::read(path).unwrap())
    }

    pub fn all(&self) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
        let file = safetensors::SafeTensors::deserialize(&self.0).unwrap();
        file.iter()
            .filter(|(_, view)| view.dtype() == safetensors::Dtype::F32)
            .map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), f32s(view.data()))))
            .collect()
    }

    /// A tensor of u32.
    pub fn u32s(&self, name: &str) -> Vec<u32> {
        let file = safetensors::SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap();
        assert_eq!(view.dtype(), safetensors::Dtype::U32);
        view.data()
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    }
}

fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

pub fn load(folder: &Path, choice: BackendChoice) -> Result<Model> {
    pollster::block_on(Model::load(
        &FolderSource::new(folder)?,
        choice,
        &Cancel::default(),
        &mut |_, _| {},
    ))
}

/// The same, or `None` with a line that says so where there is no GPU adapter at all.
pub fn load_on(folder: &Path, choice: BackendChoice) -> Option<Model> {
    match load(folder, choice) {
        Ok(model) => {
            let kind = model.backend().kind.name();
            assert_eq!(kind, if choice == BackendChoice::Cpu { "cpu" } else { "webgpu" });
            Some(model)
        }
        Err(error) if choice == BackendChoice::Gpu && error.code() == Code::Device => {
            println!("SKIPPED: no GPU adapter on this machine ({error})");
            None
        }
        Err(error) => panic!("{}: {error}", folder.display()),
    }
}

pub fn usizes(value: &Value) -> Vec<usize> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap() as usize)
        .collect()
}

pub fn ids(value: &Value) -> Vec<u32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap() as u32)
        .collect()
}

pub fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |max, d| if d.is_nan() { f32::NAN } else { max.max(d) })
}
