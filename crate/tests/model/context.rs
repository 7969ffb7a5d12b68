//! A context that is capped at load: smaller caches, the same numbers.

use crate::common::{load_on, root, soak};
use topk_lm::checkpoint::FolderSource;
use topk_lm::error::{Code, Result};
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, Finish, GenerateOptions, LoadOptions, Model, RunOptions, SamplingOptions};

fn capped(name: &str, backend: BackendChoice, max_context: usize) -> Result<Model> {
    let source = FolderSource::new(root().join("tests/goldens/models").join(name))?;
    let options = LoadOptions {
        backend,
        max_context: Some(max_context),
        ..LoadOptions::default()
    };
    pollster::block_on(Model::load_with(&source, &options, &Cancel::default(), &mut |_, _| {}))
}

/// Learned positions, rotations, windows, 8-bit weights.
const MODELS: [&str; 4] = ["gpt2", "llama-rope-llama3", "gemma2", "llama-i8"];

#[test]
fn a_capped_model_gives_the_same_numbers() {
    for name in MODELS {
        for backend in [BackendChoice::Cpu, BackendChoice::Gpu] {
            // There the others have what these two have.
            if backend == BackendChoice::Gpu && !["gpt2", "gemma2"].contains(&name) && !soak() {
                continue;
            }
            let folder = root().join("tests/goldens/models").join(name);
            let Some(whole) = load_on(&folder, backend) else {
                continue;
            };
            let memory = whole.memory().1;
            let ids: Vec<u32> = (0..12).map(|i| (7 * i + 3) % whole.config().d_vocab as u32).collect();
            let expected = whole.run_now(&ids, &RunOptions::default()).unwrap().logits.data;
            let (n_ctx, used) = (whole.config().n_ctx, whole.memory().1);
            drop(whole);
            let model = capped(name, backend, 12).unwrap();
            assert_eq!((model.config().n_ctx, model.config().n_positions), (12, n_ctx));
            let empty = model.memory().1;
            let got = model.run_now(&ids, &RunOptions::default()).unwrap().logits.data;
            assert_eq!(got, expected, "{name}");
            if backend == BackendChoice::Gpu {
                let cache = 8 * model.config().d_kv() * model.config().n_layers;
                assert!(empty < memory, "{name}: {empty} and {memory} bytes");
                // A cache is what a first call adds, besides what is read back through.
                assert!(used - model.memory().1 >= (cache * (n_ctx - 12)) as u64, "{name}");
            }
        }
    }
}

#[test]
fn the_cap_is_the_context() {
    let model = capped("gpt2", BackendChoice::Cpu, 9).unwrap();
    let error = model.run_now(&[1; 10], &RunOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::Context);
    assert_eq!(
        error.to_string(),
        "the prompt has 10 tokens, but the model's context holds 9"
    );
    let options = GenerateOptions {
        max_tokens: Some(50),
        ignore_eos: true,
        sampling: SamplingOptions::at(0.0),
        ..GenerateOptions::default()
    };
    let mut generation = model.generate(&[1; 4], &options).unwrap();
    let mut tokens = 0;
    let finish = loop {
        let generated = pollster::block_on(generation.next(&Cancel::default())).unwrap();
        tokens += generated.steps.len();
        if let Some(finish) = generated.finish {
            break finish;
        }
    };
    assert_eq!((tokens, finish), (6, Finish::Context));
}

#[test]
fn a_cap_above_the_context_changes_nothing_and_none_is_an_error() {
    let model = capped("gpt2", BackendChoice::Cpu, 1 << 40).unwrap();
    assert_eq!(model.config().n_ctx, model.config().n_positions);
    let error = capped("gpt2", BackendChoice::Cpu, 0).err().unwrap();
    assert_eq!(error.code(), Code::Argument);
    assert_eq!(
        error.to_string(),
        "the largest context (maxContext, --max-context) is 0; it must be at least 1"
    );
}
