//! The calls that block: the same results as the `async` ones, and the example program.

mod common;

use std::process::Command;

use common::root;
use topk_lm::{BackendChoice, Cancel, Code, Edit, GenerateOptions, Model, RunOptions, SamplingOptions};

fn shipped() -> Model {
    Model::open_on(root().join("models/Llama-TopK-Stories-16M"), BackendChoice::Cpu).unwrap()
}

fn greedy(max_tokens: usize, edits: Vec<Edit>) -> GenerateOptions {
    GenerateOptions {
        edits,
        max_tokens: Some(max_tokens),
        sampling: SamplingOptions::at(0.0),
        ..GenerateOptions::default()
    }
}

#[test]
fn a_text_is_written_with_and_without_an_edit() {
    let model = shipped();
    let text = model.write("The baby was tired, so", &greedy(20, Vec::new())).unwrap();
    assert!(text.starts_with(" he decided to take a nap."), "{text}");
    let edits = vec![Edit::clamp(3, 296, 24.7)];
    let text = model.write("The baby was tired, so", &greedy(20, edits)).unwrap();
    assert!(text.starts_with(" she went to bed."), "{text}");
}

#[test]
fn steps_and_runs_equal_their_async_forms() {
    let model = shipped();
    let ids = model.encode_prompt("The dog ran").unwrap();
    let steps: Vec<u32> = model
        .generate(&ids, &greedy(40, Vec::new()))
        .unwrap()
        .steps()
        .map(|step| step.unwrap().id)
        .collect();
    assert_eq!(steps.len(), 40);
    let mut generation = model.generate(&ids, &greedy(40, Vec::new())).unwrap();
    let mut slow = Vec::new();
    loop {
        let some = pollster::block_on(generation.next(&Cancel::default())).unwrap();
        slow.extend(some.steps.iter().map(|step| step.id));
        if some.finish.is_some() {
            break;
        }
    }
    assert_eq!(steps, slow);
    let now = model.run_now(&ids, &RunOptions::default()).unwrap();
    let later = pollster::block_on(model.run(&ids, &RunOptions::default(), &Cancel::default())).unwrap();
    assert_eq!(now.logits, later.logits);
}

#[test]
fn an_error_ends_the_steps_and_a_missing_folder_is_named() {
    let model = shipped();
    let mut steps = model.generate(&[1, 2, 3], &greedy(8, Vec::new())).unwrap().steps();
    assert!(steps.next().unwrap().is_ok());
    model.dispose();
    let left: Vec<_> = steps.collect();
    assert_eq!(left.last().unwrap().as_ref().unwrap_err().code(), Code::Disposed);
    assert_eq!(left.iter().filter(|step| step.is_err()).count(), 1);
    let error = Model::open("no/such/folder").err().unwrap().to_string();
    assert!(error.contains("no/such/folder"), "{error}");
}

/// `cargo test` builds the examples beside the command.
#[test]
fn the_example_steers() {
    let command = std::path::Path::new(env!("CARGO_BIN_EXE_topk-lm"));
    let example = command
        .with_file_name("examples")
        .join(command.with_file_name("steer").file_name().unwrap());
    let example = example.with_extension(std::env::consts::EXE_EXTENSION);
    if !example.exists() {
        eprintln!("skipped: {} is built by `cargo test` without --test", example.display());
        return;
    }
    let output = Command::new(example)
        .arg(root().join("models/Llama-TopK-Stories-16M"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(text.contains("so he decided") && text.contains("so she went"), "{text}");
}
