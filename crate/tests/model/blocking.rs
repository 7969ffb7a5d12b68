//! The calls that block: the same results as the `async` ones, and the example program.

use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::process::Command;
use std::task::{Context, Waker};

use crate::common::{golden, root};
use topk_lm::{
    BackendChoice, CacheDtype, Cancel, Code, Edit, Finish, FolderSource, GenerateOptions, GenerationBatch, KeptAs,
    LoadOptions, LogitRows, Model, RunOptions, SamplingOptions,
};

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
    let edits = vec![Edit::clamp(1, 296, 18.0)];
    let text = model.write("The baby was tired, so", &greedy(20, edits)).unwrap();
    assert!(text.starts_with(" she decided to go for a walk."), "{text}");
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
    let mut until_stop = model
        .generate(
            &ids,
            &GenerateOptions {
                stop: vec![".".into()],
                ..greedy(40, Vec::new())
            },
        )
        .unwrap()
        .steps();
    let mut last = None;
    while let Some(step) = until_stop.next() {
        assert!(step.is_ok() && last.is_none());
        last = until_stop.finish();
    }
    assert_eq!((last, until_stop.next().is_none()), (Some(Finish::Stop), true));
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

#[test]
fn a_load_ends_once_it_is_cancelled() {
    let source = FolderSource::new(root().join("models/Llama-TopK-Stories-16M")).unwrap();
    let cancel = Cancel::default();
    let mut heard = 0;
    let mut progress = |_, _| {
        heard += 1;
        cancel.cancel();
    };
    let error = pollster::block_on(Model::load(&source, BackendChoice::Cpu, &cancel, &mut progress)).unwrap_err();
    assert_eq!((error.code(), heard < 5), (Code::Aborted, true));
}

#[test]
fn a_run_ends_where_it_is_when_it_is_cancelled() {
    let model = shipped();
    let cancel = Cancel::default();
    let options = RunOptions {
        logits: LogitRows::All,
        ..RunOptions::default()
    };
    let ids = [7; 100];
    let mut run = pin!(model.run(&ids, &options, &cancel));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..5 {
        assert!(run.as_mut().poll(&mut context).is_pending());
    }
    let elsewhere = cancel.clone();
    std::thread::spawn(move || elsewhere.cancel()).join().unwrap();
    assert_eq!(pollster::block_on(run).unwrap_err().code(), Code::Aborted);
    model.run_now(&ids, &options).unwrap();
}

/// Every option can be named, and what is made shows itself: `unwrap_err` and `dbg!` ask for it.
#[test]
fn all_options_are_to_be_had_without_async() {
    fn shown<T: Debug>(what: &T, word: &str) {
        assert!(format!("{what:?}").contains(word), "{what:?}");
    }
    let options = LoadOptions {
        backend: BackendChoice::Cpu,
        max_context: Some(16),
        dtype: KeptAs::F16,
        kv_cache: CacheDtype::F16,
        threads: 2,
    };
    let model = Model::open_with(golden("llama-gqa"), &options).unwrap();
    assert_eq!(
        (model.config().n_ctx, model.config().cache_dtype),
        (16, CacheDtype::F16)
    );
    shown(&model, "n_ctx: 16");
    let generation = model
        .generate(
            &[1, 2],
            &GenerateOptions {
                seed: Some(77),
                ..greedy(1, Vec::new())
            },
        )
        .unwrap();
    shown(&generation, "77");
    shown(&generation.steps(), "Steps");
    let batch: GenerationBatch = model.generate_batch(&[(vec![1], greedy(1, Vec::new()))]).unwrap();
    shown(&batch, "seeds");
    shown(shipped().tokenizer().unwrap(), "len");
    Model::open("no/such/folder").unwrap_err();
}

#[test]
fn a_checkpoint_is_named_with_a_slash() {
    let folder = root().join("models/Llama-TopK-Stories-16M");
    let (model, source) = (shipped(), FolderSource::new(folder).unwrap());
    let load = |prefix| pollster::block_on(model.load_checkpoint(&source, prefix, &Cancel::default(), &mut |_, _| {}));
    let error = load("step928").unwrap_err();
    assert!(
        error.code() == Code::Argument && error.to_string().contains("like step254/, not \"step928\""),
        "{error}"
    );
    load("step928/").unwrap();
    load("").unwrap();
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
    assert!(
        text.contains("so he decided") && text.contains("so she decided"),
        "{text}"
    );
}
