//! Whole models against PyTorch and `transformers` (`tests/goldens/make.py`): logits, hidden states, active sets, hooks, edits,
//! evicted and admitted neurons, greedy tokens; on the CPU and on the GPU.

use std::path::Path;

use crate::common::{
    generate, golden_models, golden_models_on_gpu, ids, json, largest_difference, load_on, usizes, Tensors,
};
use serde_json::Value;
use topk_lm::edits::Edit;
use topk_lm::exec::request::LogitRows;
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, GenerateOptions, Model, RunOptions, RunOutput, SamplingOptions};

/// Largest differences allowed (docs/semantics.md, "What is exact, what is near").
const CPU: f32 = 1e-4;
/// Of a model with weights of 8 or 4 bits, for which the CPU rounds inputs.
const CPU_NARROW: f32 = 5e-3;
const GPU: f32 = 1e-3;

#[test]
fn cpu_matches_transformers() {
    for folder in golden_models() {
        let is_narrow = ["llama-i8", "llama-gptq", "qwen2-awq"]
            .iter()
            .any(|name| folder.ends_with(name));
        check(&folder, BackendChoice::Cpu, if is_narrow { CPU_NARROW } else { CPU });
    }
}

#[test]
fn gpu_matches_transformers() {
    for folder in golden_models_on_gpu() {
        check(&folder, BackendChoice::Gpu, GPU);
    }
}

fn check(folder: &Path, choice: BackendChoice, tolerance: f32) {
    let Some(model) = load_on(folder, choice) else { return };
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let golden = json(&folder.join("golden.json"));
    let tensors = Tensors::open(&folder.join("golden.safetensors")).all();
    let mut worst = (0f32, String::new());
    for run in golden["runs"].as_array().unwrap() {
        let run_name = run["name"].as_str().unwrap();
        let prefix = format!("{run_name}/");
        let hooks: Vec<String> = tensors
            .keys()
            .filter_map(|key| key.strip_prefix(&prefix))
            .filter(|hook| *hook != "logits")
            .map(str::to_owned)
            .collect();
        let output = execute(&model, run, hooks.iter().cloned().chain(active_hooks(run)).collect());
        let mut compare = |what: &str, shape: &[usize], ours: &[f32]| {
            let (expected_shape, expected) = &tensors[&format!("{prefix}{what}")];
            assert_eq!(shape, expected_shape, "{name} {run_name} {what}");
            let difference = largest_difference(ours, expected);
            assert!(
                difference <= tolerance,
                "{name} {run_name} {what}: differs by {difference}"
            );
            if difference > worst.0 {
                worst = (difference, format!("{run_name}/{what}"));
            }
        };
        let from = run["logits_from"].as_u64().unwrap() as usize;
        let rows = output.logits.shape[0] - from;
        compare(
            "logits",
            &[rows, output.logits.shape[1]],
            &output.logits.data[from * output.logits.shape[1]..],
        );
        for hook in &hooks {
            compare(hook, &output.hooks[hook].shape, &output.hooks[hook].data);
        }
        check_active(run, &output, &format!("{name} {run_name}"));
        check_swaps(run, &output, &format!("{name} {run_name}"));
    }
    for continuation in golden["greedy"].as_array().unwrap() {
        let options = GenerateOptions {
            sampling: SamplingOptions::at(0.0),
            max_tokens: Some(continuation["ids"].as_array().unwrap().len()),
            ignore_eos: true,
            edits: edits(&continuation["edits"]),
            ..GenerateOptions::default()
        };
        let generated = generate(&model, &ids(&continuation["prompt_ids"]), &options);
        assert_eq!(generated, ids(&continuation["ids"]), "{name} greedy");
    }
    println!(
        "{name} on {}: largest difference {:e} at {}",
        model.backend().kind.name(),
        worst.0,
        worst.1
    );
}

fn edits(value: &Value) -> Vec<Edit> {
    serde_json::from_value(value.clone()).unwrap()
}

fn execute(model: &Model, run: &Value, hooks: Vec<String>) -> RunOutput {
    let options = RunOptions {
        hooks,
        edits: edits(&run["edits"]),
        prompt_length: run["prompt_len"].as_u64().map(|length| length as usize),
        logits: LogitRows::All,
        swaps: true,
    };
    pollster::block_on(model.run(&ids(&run["ids"]), &options, &Cancel::default())).unwrap()
}

/// The hooks that show which neurons are active.
fn active_hooks(run: &Value) -> Vec<String> {
    let layers = run["active"].as_object().unwrap().keys();
    layers.map(|layer| format!("blocks.{layer}.hook_topk_out")).collect()
}

/// The active neurons of every TopK block are the very same.
fn check_active(run: &Value, output: &RunOutput, name: &str) {
    for (layer, positions) in run["active"].as_object().unwrap() {
        let hook = &output.hooks[&format!("blocks.{layer}.hook_topk_out")];
        for (position, expected) in positions.as_array().unwrap().iter().enumerate() {
            let row = &hook.data[position * hook.shape[1]..][..hook.shape[1]];
            let ours: Vec<usize> = (0..row.len()).filter(|i| row[*i] != 0.0).collect();
            assert_eq!(ours, usizes(expected), "{name}: layer {layer}, position {position}");
        }
    }
}

fn check_swaps(run: &Value, output: &RunOutput, name: &str) {
    let as_usize = |indices: &[u32]| indices.iter().map(|i| *i as usize).collect::<Vec<_>>();
    let mut ours: Vec<_> = output
        .swaps
        .iter()
        .map(|s| (s.layer, s.position, as_usize(&s.evicted), as_usize(&s.admitted)))
        .collect();
    let mut expected: Vec<_> = run["swaps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| {
            let number = |key: &str| s[key].as_u64().unwrap() as usize;
            (
                number("layer"),
                number("position"),
                usizes(&s["evicted"]),
                usizes(&s["admitted"]),
            )
        })
        .collect();
    ours.sort();
    expected.sort();
    assert_eq!(ours, expected, "{name}: evicted and admitted");
}
