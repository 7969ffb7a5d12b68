//! Keys and values cached in f16: half the bytes, near the numbers of f32, and the same however positions came to be cached.

use std::process::Command;

use crate::common::edits::{an_edit, MODELS};
use crate::common::{generate, golden, golden_models, ids, json, largest_difference, load_on, root, soak, Tensors};
use proptest::prelude::*;
use topk_lm::checkpoint::FolderSource;
use topk_lm::edits::{Edit, Positions};
use topk_lm::error::{Code, Result};
use topk_lm::exec::request::LogitRows;
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, CacheDtype, GenerateOptions, LoadOptions, Model, RunOptions, SamplingOptions};

fn load_in(name: &str, backend: BackendChoice, kv_cache: CacheDtype) -> Result<Model> {
    let options = LoadOptions {
        backend,
        kv_cache,
        ..LoadOptions::default()
    };
    let source = FolderSource::new(golden(name))?;
    pollster::block_on(Model::load_with(&source, &options, &Cancel::default(), &mut |_, _| {}))
}

fn half(name: &str, backend: BackendChoice) -> Model {
    load_in(name, backend, CacheDtype::F16).unwrap()
}

fn on_cpu(name: &str) -> Model {
    half(name, BackendChoice::Cpu)
}

fn all_logits(model: &Model, ids: &[u32], edits: &[Edit], prompt_length: usize) -> Vec<f32> {
    let options = RunOptions {
        edits: edits.to_vec(),
        prompt_length: Some(prompt_length),
        logits: LogitRows::All,
        ..RunOptions::default()
    };
    model.run_now(ids, &options).unwrap().logits.data
}

fn some_ids(model: &Model, count: usize) -> Vec<u32> {
    let d_vocab = model.config().d_vocab;
    (0..count).map(|i| ((7 * i + 3) % d_vocab) as u32).collect()
}

fn sampled(seed: u64, edits: Vec<Edit>) -> GenerateOptions {
    GenerateOptions {
        max_tokens: Some(7),
        sampling: SamplingOptions::at(0.9),
        seed: Some(seed),
        ignore_eos: true,
        edits,
        ..GenerateOptions::default()
    }
}

/// Of what the goldens say: dense models, which no rounding sends another way.
const NEAR: f32 = 1e-2;

/// Rotations of a part of a head, norms of heads, windows, soft-caps: each against what PyTorch makes of it, and the GPU against the CPU.
#[test]
fn dense_models_are_near_the_goldens_on_both_devices() {
    let mut names = 0;
    let has_gpu = load_on(&golden("llama-gqa"), BackendChoice::Gpu).is_some();
    for folder in golden_models() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let Ok(cpu) = load_in(&name, BackendChoice::Cpu, CacheDtype::F16) else {
            continue;
        };
        if cpu.config().topk.is_some() {
            continue;
        }
        let on_gpu = has_gpu && (soak() || ["llama-dense-bias", "gemma2-dense"].contains(&name.as_str()));
        let gpu = on_gpu.then(|| half(&name, BackendChoice::Gpu));
        let tensors = Tensors::open(&folder.join("golden.safetensors"));
        let (tensors, golden) = (tensors.all(), json(&folder.join("golden.json")));
        let plain = golden["runs"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|run| run["edits"].as_array().unwrap().is_empty());
        let mut furthest = [0f32; 2];
        for run in plain {
            let expected = &tensors[&format!("{}/logits", run["name"].as_str().unwrap())].1;
            let ids = ids(&run["ids"]);
            let from = run["logits_from"].as_u64().unwrap() as usize * cpu.config().d_vocab;
            let got = all_logits(&cpu, &ids, &[], ids.len());
            furthest[0] = furthest[0].max(largest_difference(&got[from..], expected));
            if let Some(gpu) = &gpu {
                furthest[1] = furthest[1].max(largest_difference(&all_logits(gpu, &ids, &[], ids.len()), &got));
            }
        }
        println!(
            "{name}: {:e} from the golden, {:e} between the devices",
            furthest[0], furthest[1]
        );
        assert!(
            furthest[0] > 1e-6 && furthest[0] < NEAR && furthest[1] < 2e-3,
            "{name}: {furthest:?}"
        );
        names += 1;
    }
    assert!(names >= 5, "{names} dense models");
}

/// At the first position TopK models see one value, rounded by 2^-11 of itself; behind it another neuron may be selected.
#[test]
fn topk_models_are_near_at_the_first_position() {
    for name in [
        "gpt2",
        "gemma2",
        "gemma3",
        "llama-gqa",
        "llama-abs",
        "llama-i8",
        "neox-parallel",
        "qwen2",
        "qwen3",
    ] {
        let model = on_cpu(name);
        let id = some_ids(&model, 3);
        let (got, expected) = (
            all_logits(&model, &id[..1], &[], 1),
            all_logits(&load_on(&golden(name), BackendChoice::Cpu).unwrap(), &id[..1], &[], 1),
        );
        let off = largest_difference(&got, &expected);
        assert!(off > 0.0 && off < 2e-2, "{name}: {off}");
    }
}

/// A call on a model that has cached other positions before equals one on a model of its own, bit for bit.
fn cached_equals_fresh(name: &str, calls: &[(usize, Vec<Edit>, bool)]) {
    let ids: Vec<u32> = vec![0, 5, 17, 42, 8, 8, 3, 61, 20, 11, 2];
    let warm = on_cpu(name);
    for (length, edits, generates) in calls {
        let (ids, fresh) = (&ids[..*length], on_cpu(name));
        if *generates {
            let options = sampled(7, edits.clone());
            assert_eq!(generate(&warm, ids, &options), generate(&fresh, ids, &options));
        } else {
            let on = |model: &Model| {
                let options = RunOptions {
                    edits: edits.clone(),
                    prompt_length: Some(length.div_ceil(2)),
                    ..RunOptions::default()
                };
                let logits = model.run_now(ids, &options).unwrap().logits.data;
                logits.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            assert_eq!(on(&warm), on(&fresh));
        }
    }
}

/// Heads of GPT-Neo's golden have 11 dimensions.
fn even_models() -> Vec<(&'static str, usize, usize)> {
    MODELS.into_iter().filter(|(name, ..)| *name != "gpt-neo").collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn cached_positions_change_nothing((name, calls) in prop::sample::select(even_models()).prop_flat_map(|(name, n_layers, d_model)| {
        let edits = prop::collection::vec(an_edit(n_layers, d_model), 0..3);
        (Just(name), prop::collection::vec((1usize..11, edits, any::<bool>()), 1..6))
    })) {
        cached_equals_fresh(name, &calls);
    }
}

/// One row at a time, through a cache that grows from 64 positions, what one pass makes.
#[test]
fn steps_are_what_a_prompt_is() {
    for name in ["llama-gqa", "qwen3", "gpt2"] {
        let (warm, fresh) = (on_cpu(name), on_cpu(name));
        let ids = some_ids(&warm, warm.config().n_ctx.min(80));
        let d_vocab = warm.config().d_vocab;
        let whole = all_logits(&fresh, &ids, &[], ids.len());
        for length in 1..=ids.len() {
            let last = warm
                .run_now(&ids[..length], &RunOptions::default())
                .unwrap()
                .logits
                .data;
            assert_eq!(
                last,
                whole[(length - 1) * d_vocab..][..d_vocab],
                "{name}, {length} positions"
            );
        }
    }
}

/// Forks of one prompt side by side equal each alone, on both devices.
#[test]
fn generations_side_by_side_equal_each_alone() {
    for backend in [BackendChoice::Cpu, BackendChoice::Gpu] {
        if load_on(&golden("llama-gqa"), backend).is_none() {
            continue;
        }
        let model = half("llama-gqa", backend);
        let ids = some_ids(&model, 9);
        let edits = |number: u64| vec![Edit::clamp(0, 3, number as f64)];
        let requests: Vec<_> = (0..5)
            .map(|number| (ids.clone(), sampled(number, edits(number))))
            .collect();
        let mut batch = model.generate_batch(&requests).unwrap();
        let mut together = vec![Vec::new(); requests.len()];
        loop {
            let steps = pollster::block_on(batch.next(&Cancel::default())).unwrap();
            if steps.is_empty() {
                break;
            }
            for (number, generated) in steps {
                together[number].extend(generated.steps.iter().map(|step| step.id));
            }
        }
        for ((ids, options), together) in requests.iter().zip(together) {
            assert_eq!(
                generate(&half("llama-gqa", backend), ids, options),
                together,
                "{}",
                model.backend().kind.name()
            );
        }
    }
}

/// The last position of an ablation is never stored; its key and value count as if they were.
#[test]
fn an_ablation_is_what_a_run_with_that_edit_gives() {
    for (backend, tolerance) in [(BackendChoice::Cpu, 0.0), (BackendChoice::Gpu, 1e-3)] {
        if load_on(&golden("llama-gqa"), backend).is_none() {
            continue;
        }
        let model = half("llama-gqa", backend);
        let (ids, target) = (some_ids(&model, 9), 7);
        let ablation = pollster::block_on(model.ablate(&ids, target, &[], &Cancel::default(), &mut |_, _| {})).unwrap();
        assert!(ablation.effects.len() > 10);
        for place in (0..ablation.effects.len()).step_by(7) {
            let last = Positions::Range {
                from: ids.len() - 1,
                to: ids.len(),
            };
            let edit = Edit::ablate(ablation.layers[place] as usize, ablation.indices[place] as usize).positions(last);
            let all = all_logits(&model, &ids, &[edit], ids.len());
            let without = all[(ids.len() - 1) * model.config().d_vocab + target as usize];
            let off = (ablation.effects[place] - (ablation.logit - without)).abs();
            assert!(off <= tolerance, "{off} on {}", model.backend().kind.name());
        }
    }
}

#[test]
fn the_gpu_takes_half_the_bytes() {
    if load_on(&golden("llama-gqa"), BackendChoice::Gpu).is_none() {
        return;
    }
    let taken = |kv_cache| {
        let model = load_in("llama-gqa", BackendChoice::Gpu, kv_cache).unwrap();
        let empty = model.memory().1;
        model.run_now(&[1, 2, 3], &RunOptions::default()).unwrap();
        let config = model.config();
        let cache = (config.n_ctx.min(256) * config.n_layers * config.position_bytes()) as u64;
        (model.memory().1 - empty - cache, cache)
    };
    let ((rest, whole), (rest_of_half, half)) = (taken(CacheDtype::F32), taken(CacheDtype::F16));
    assert_eq!((rest_of_half, 2 * half), (rest, whole));
}

#[test]
fn what_has_no_pairs_is_refused() {
    for backend in [BackendChoice::Cpu, BackendChoice::Gpu] {
        let error = load_in("gpt2-odd-f16", backend, CacheDtype::F16).err().unwrap();
        if error.code() != Code::Device {
            assert_eq!(error.code(), Code::Config);
            assert!(error.to_string().contains("a head has 11 numbers"), "{error}");
        }
    }
}

#[test]
fn the_command_takes_it() {
    let run = |arguments: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_topk-lm"))
            .args(arguments)
            .arg("--model")
            .arg(root().join("tests/goldens/models/llama-gqa"))
            .output()
            .unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let info = |kind: &[&str]| {
        let (code, text) = run(&[&["info", "--json"][..], kind].concat());
        assert_eq!(code, Some(0));
        let info: serde_json::Value = serde_json::from_str(&text).unwrap();
        ["keys_and_values", "keys_and_values_per_token"].map(|key| info["memory"][key].as_u64().unwrap())
    };
    assert_eq!(info(&["--kv-cache", "f16"]).map(|bytes| 2 * bytes), info(&[]));
    let generate = [
        "generate",
        "--ids",
        "3,1,4,1,5",
        "--max-tokens",
        "3",
        "--temperature",
        "0",
        "--seed",
        "1",
        "--backend",
        "cpu",
        "--json",
    ];
    let with = |kind: &'static str| run(&[&generate[..], &["--kv-cache", kind]].concat());
    assert_eq!(with("f32"), run(&generate));
    assert_eq!(with("f16").0, Some(0));
    assert_ne!(with("f16"), with("f32"), "its log-probabilities");
    assert_eq!(with("q8").0, Some(2));
}
