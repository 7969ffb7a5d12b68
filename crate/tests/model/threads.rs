//! `LoadOptions::threads`: the same numbers, whoever computes them.

use crate::common::root;
use topk_lm::checkpoint::FolderSource;
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, GenerateOptions, KeptAs, LoadOptions, Model, RunOptions, SamplingOptions};

fn load(dtype: KeptAs, threads: usize) -> Model {
    let options = LoadOptions {
        backend: BackendChoice::Cpu,
        dtype,
        threads,
        ..LoadOptions::default()
    };
    let source = FolderSource::new(root().join("models/Llama-TopK-Stories-16M")).unwrap();
    pollster::block_on(Model::load_with(&source, &options, &Cancel::default(), &mut |_, _| {})).unwrap()
}

/// A prompt's logits, and what is written behind it, alone and together with others.
fn made(model: &Model) -> (Vec<f32>, Vec<(u32, f32)>, Vec<u32>) {
    let ids: Vec<u32> = (0..40).map(|i| (97 * i + 3) % 4096).collect();
    let logits = model.run_now(&ids, &RunOptions::default()).unwrap().logits.data;
    let options = |seed| GenerateOptions {
        sampling: SamplingOptions::at(1.0),
        seed: Some(seed),
        max_tokens: Some(20),
        ignore_eos: true,
        ..GenerateOptions::default()
    };
    let mut generation = model.generate(&ids, &options(1)).unwrap();
    let mut steps = Vec::new();
    loop {
        let generated = pollster::block_on(generation.next(&Cancel::default())).unwrap();
        steps.extend(generated.steps.iter().map(|step| (step.id, step.logprob)));
        if generated.finish.is_some() {
            break;
        }
    }
    let requests: Vec<_> = (0..3).map(|seed| (ids.clone(), options(seed))).collect();
    let mut batch = model.generate_batch(&requests).unwrap();
    let mut together = vec![Vec::new(); 3];
    loop {
        let made = pollster::block_on(batch.next(&Cancel::default())).unwrap();
        if made.is_empty() {
            return (logits, steps, together.concat());
        }
        for (number, generated) in made {
            together[number].extend(generated.steps.iter().map(|step| step.id));
        }
    }
}

#[test]
fn more_threads_than_any_machine_has_are_refused() {
    for threads in [1025, 1 << 40, usize::MAX] {
        let options = LoadOptions {
            backend: BackendChoice::Cpu,
            threads,
            ..LoadOptions::default()
        };
        let source = FolderSource::new(root().join("tests/goldens/models/gpt2")).unwrap();
        let loaded = pollster::block_on(Model::load_with(&source, &options, &Cancel::default(), &mut |_, _| {}));
        let error = loaded.unwrap_err();
        assert_eq!(error.code(), topk_lm::Code::Argument);
        assert!(error.to_string().contains("threads is"), "{error}");
    }
}

#[test]
fn several_threads_give_the_bits_of_one() {
    for dtype in [KeptAs::Stored, KeptAs::F16] {
        let expected = made(&load(dtype, 1));
        for threads in [2, 3] {
            assert!(made(&load(dtype, threads)) == expected, "{dtype:?}, {threads} threads");
        }
    }
}

/// Other weights of the same model are shared with the same threads.
#[test]
fn training_checkpoints_are_shared_too() {
    let [one, two] = [1, 2].map(|threads| {
        let model = load(KeptAs::Stored, threads);
        let source = FolderSource::new(root().join("models/Llama-TopK-Stories-16M")).unwrap();
        pollster::block_on(model.load_checkpoint(&source, "step928/", &Cancel::default(), &mut |_, _| {})).unwrap();
        made(&model)
    });
    assert!(one == two);
}
