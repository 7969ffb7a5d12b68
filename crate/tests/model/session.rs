//! Sessions: the cache against fresh runs, edits, stops, aborts, overlapping calls.

use std::future::Future;
use std::task::{Context, Waker};

use crate::common::edits::{an_edit, MODELS};
use crate::common::{load, root};
use proptest::prelude::*;
use topk_lm::edits::{Action, Edit, Positions, Propagate, Site};
use topk_lm::error::Code;
use topk_lm::exec::request::LogitRows;
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, Finish, GenerateOptions, Model, RunOptions, SamplingOptions};

/// A golden model on the CPU.
pub fn model(name: &str) -> Model {
    load(&root().join("tests/goldens/models").join(name), BackendChoice::Cpu).unwrap()
}

/// Of the last position.
pub fn logits(model: &Model, ids: &[u32], edits: &[Edit], prompt_length: usize) -> Vec<f32> {
    let options = RunOptions {
        edits: edits.to_vec(),
        prompt_length: Some(prompt_length),
        ..RunOptions::default()
    };
    pollster::block_on(model.run(ids, &options, &Cancel::default()))
        .unwrap()
        .logits
        .data
}

fn generate(model: &Model, ids: &[u32], options: &GenerateOptions) -> (Vec<u32>, Finish) {
    let mut generation = model.generate(ids, options).unwrap();
    let mut new = Vec::new();
    loop {
        let generated = pollster::block_on(generation.next(&Cancel::default())).unwrap();
        new.extend(generated.steps.iter().map(|step| step.id));
        if let Some(finish) = generated.finish {
            return (new, finish);
        }
    }
}

/// One call of a random sequence: a prompt that shares a beginning with the others, edits, and whether it runs or generates.
#[derive(Clone, Debug)]
struct Call {
    shared: usize,
    own: Vec<u32>,
    edits: Vec<Edit>,
    generates: bool,
    /// Of the other model half the time is taken an old list of edits again.
    repeats: bool,
}

fn a_call(n_layers: usize, d_model: usize) -> impl Strategy<Value = Call> {
    let edits = prop::collection::vec(an_edit(n_layers, d_model), 0..3);
    (
        1usize..9,
        prop::collection::vec(0u32..90, 0..4),
        edits,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(shared, own, edits, generates, repeats)| Call {
            shared,
            own,
            edits,
            generates,
            repeats,
        })
}

/// Runs the calls on one model that keeps its caches, and each on a model of its own.
fn cached_equals_fresh(name: &str, calls: &[Call]) {
    let shared: Vec<u32> = vec![0, 5, 17, 42, 8, 8, 3, 61, 20];
    let warm = model(name);
    let mut last_edits = Vec::new();
    for call in calls {
        let mut ids = shared[..call.shared].to_vec();
        ids.extend(&call.own);
        let edits = if call.repeats {
            last_edits.clone()
        } else {
            call.edits.clone()
        };
        last_edits = edits.clone();
        let fresh = model(name);
        if call.generates {
            let options = GenerateOptions {
                max_tokens: Some(6),
                sampling: SamplingOptions::at(0.9),
                seed: Some(7),
                ignore_eos: true,
                edits,
                ..GenerateOptions::default()
            };
            assert_eq!(generate(&warm, &ids, &options), generate(&fresh, &ids, &options));
        } else {
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            let prompt_length = ids.len().div_ceil(2);
            assert_eq!(
                bits(logits(&warm, &ids, &edits, prompt_length)),
                bits(logits(&fresh, &ids, &edits, prompt_length))
            );
        }
    }
}

fn a_model_and_calls() -> impl Strategy<Value = (&'static str, Vec<Call>)> {
    prop::sample::select(&MODELS[..]).prop_flat_map(|(name, n_layers, d_model)| {
        let calls = prop::collection::vec(a_call(n_layers, d_model), 1..7);
        (Just(name), calls)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn random_calls_equal_fresh_runs((name, calls) in a_model_and_calls()) {
        cached_equals_fresh(name, &calls);
    }
}

/// Chunks, single tokens and one batch give the same bits.
#[test]
fn prefill_in_any_chunks_is_the_same() {
    let warm = model("llama-gqa");
    let ids: Vec<u32> = (0..14).map(|i| (i * 13 + 5) % 90).collect();
    let whole = logits(&model("llama-gqa"), &ids, &[], ids.len());
    for length in 1..=ids.len() {
        let part = logits(&warm, &ids[..length], &[], length);
        assert_eq!(part, logits(&model("llama-gqa"), &ids[..length], &[], length));
    }
    assert_eq!(logits(&warm, &ids, &[], ids.len()), whole);
}

#[test]
fn an_add_before_the_cut_evicts_exactly_the_kth() {
    let model = model("llama-gqa");
    let cut = model.config().topk.unwrap();
    let ids = [0u32, 9, 33, 71, 12];
    let hook = "blocks.1.hook_topk_in".to_owned();
    let run = |edits: Vec<Edit>| {
        let options = RunOptions {
            hooks: vec![hook.clone()],
            edits,
            logits: LogitRows::All,
            ..RunOptions::default()
        };
        pollster::block_on(model.run(&ids, &options, &Cancel::default())).unwrap()
    };
    let base = run(Vec::new());
    assert!(base.swaps.is_empty());
    let d = model.config().d_model;
    let position = ids.len() - 1;
    let row = &base.hooks[&hook].data[position * d..][..d];
    let ranked = topk_lm::numerics::order::topk_indices(row, d, cut.select);
    let (kth, next) = (ranked[cut.k - 1], ranked[cut.k]);
    let lift = f64::from(row[kth as usize] - row[next as usize]) * 1.5 + 1e-3;
    let edit = Edit {
        layer: 1,
        sae: None,
        index: next as usize,
        action: Action::Add,
        value: Some(lift),
        site: Site::TopkIn,
        positions: Positions::Range {
            from: position,
            to: position + 1,
        },
        propagate: Propagate::Layer,
    };
    let edited = run(vec![edit]);
    assert_eq!(edited.swaps.len(), 1);
    let swap = &edited.swaps[0];
    assert_eq!((swap.layer, swap.position), (1, position));
    assert_eq!((&swap.evicted[..], &swap.admitted[..]), (&[kth][..], &[next][..]));
}

#[test]
fn the_context_ends_a_generation() {
    let model = model("gpt2");
    let n_ctx = model.config().n_ctx;
    let greedy = |max_tokens| GenerateOptions {
        max_tokens: Some(max_tokens),
        sampling: SamplingOptions::at(0.0),
        ignore_eos: true,
        ..GenerateOptions::default()
    };
    let ids: Vec<u32> = (0..n_ctx as u32 - 2).map(|i| i % 50).collect();
    let (new, finish) = generate(&model, &ids, &greedy(100));
    assert_eq!((new.len(), finish), (3, Finish::Context));
    let (new, finish) = generate(&model, &ids, &greedy(3));
    assert_eq!((new.len(), finish), (3, Finish::Length));
    let (new, finish) = generate(&model, &ids, &greedy(0));
    assert_eq!((new.len(), finish), (0, Finish::Length));
    let full: Vec<u32> = (0..n_ctx as u32).map(|i| i % 50).collect();
    assert_eq!(generate(&model, &full, &greedy(5)).0.len(), 1);
    let over: Vec<u32> = (0..=n_ctx as u32).map(|i| i % 50).collect();
    assert_eq!(model.generate(&over, &greedy(5)).err().unwrap().code(), Code::Context);
}

#[test]
fn wrong_arguments_are_errors_of_one_sentence() {
    let model = model("llama-gqa");
    let run = |ids: &[u32], options: RunOptions| {
        pollster::block_on(model.run(ids, &options, &Cancel::default()))
            .err()
            .unwrap()
            .to_string()
    };
    assert!(run(&[], RunOptions::default()).contains("ids is empty"));
    assert!(run(&[100_000], RunOptions::default()).contains("100000"));
    let hooks = |name: &str| RunOptions {
        hooks: vec![name.into()],
        ..RunOptions::default()
    };
    let message = run(&[1], hooks("blocks.0.hook_nothing"));
    assert!(
        message.contains("blocks.0.hook_nothing")
            && message.contains("blocks.0. has attn.hook_{")
            && message.contains(", hook_{attn_out, mlp_out, resid_mid, resid_post, resid_pre"),
        "{message}"
    );
    assert!(!message.contains('\n'));
    let last = model.config().n_layers - 1;
    assert!(run(&[1], hooks(&format!("blocks.{last}.hook_topk_in"))).contains("does not exist"));
    assert!(run(&[1], hooks("hook_pos_embed")).contains("hook_embed"));
    // A layer in other digits is that layer.
    for layer in ["00", "+0"] {
        let message = run(&[1], hooks(&format!("blocks.{layer}.hook_topk_out")));
        assert!(message.contains("blocks.0. has attn.hook_{"), "{message}");
        assert!(message.contains(", hook_{attn_out, "), "{message}");
    }
    let edit = |edit: Edit| RunOptions {
        edits: vec![edit],
        ..RunOptions::default()
    };
    let positions = |from, to| edit(Edit::ablate(0, 0).positions(Positions::Range { from, to }));
    let no_value = Edit {
        value: None,
        ..Edit::add(0, 0, 1.0)
    };
    assert!(run(&[1], edit(Edit::ablate(99, 0))).contains("layer is 99"));
    assert!(run(&[1], edit(Edit::ablate(0, 99_999))).contains("index is 99999"));
    assert!(run(&[1], edit(no_value)).contains("value is missing"));
    assert!(run(&[1], edit(Edit::add(0, 0, 1e300))).contains("finite"));
    assert!(run(&[1], positions(5, 5)).contains("half-open"));
    assert!(run(&[1], positions(0, 99_999)).contains("the context of"));
    let of_token = RunOptions {
        logits: LogitRows::Token(5),
        ..RunOptions::default()
    };
    assert!(run(&[1], of_token).contains("None, Last or All"));
    let of_prompt = RunOptions {
        prompt_length: Some(2),
        ..RunOptions::default()
    };
    assert!(run(&[1], of_prompt).contains("the prompt length (--prompt-len) is 2"));
}

#[test]
fn an_abort_or_a_disposal_is_a_typed_error_and_leaves_the_rest_usable() {
    let model = model("llama-gqa");
    let cancel = Cancel::default();
    cancel.cancel();
    let aborted = pollster::block_on(model.run(&[1, 2, 3], &RunOptions::default(), &cancel));
    assert_eq!(aborted.err().unwrap().code(), Code::Aborted);
    let options = GenerateOptions {
        sampling: SamplingOptions::at(0.0),
        max_tokens: Some(4),
        ..GenerateOptions::default()
    };
    let mut generation = model.generate(&[1, 2], &options).unwrap();
    assert_eq!(
        pollster::block_on(generation.next(&cancel)).err().unwrap().code(),
        Code::Aborted
    );
    let mut under_way = model.generate(&[1, 2], &options).unwrap();
    assert_eq!(generate(&model, &[1, 2], &options).0.len(), 4);
    model.dispose();
    assert_eq!(
        pollster::block_on(under_way.next(&Cancel::default()))
            .err()
            .unwrap()
            .code(),
        Code::Disposed
    );
    assert_eq!(model.generate(&[1], &options).err().unwrap().code(), Code::Disposed);
}

/// Polls a future once and drops it, as where another branch of a `select!` was ready first.
fn dropped(future: impl Future) {
    let mut future = std::pin::pin!(future);
    assert!(future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_pending());
}

#[test]
fn a_dropped_future_ends_a_generation_and_the_next_call_says_so() {
    let model = load(&root().join("models/Llama-TopK-Stories-16M"), BackendChoice::Cpu).unwrap();
    let (ids, cancel) = ((1..200).collect::<Vec<u32>>(), Cancel::default());
    let mut alone = model.generate(&ids, &GenerateOptions::default()).unwrap();
    dropped(alone.next(&cancel));
    for _ in 0..2 {
        assert_eq!(
            pollster::block_on(alone.next(&cancel)).unwrap_err().code(),
            Code::Aborted
        );
    }
    assert!(alone.steps().next().unwrap().is_err());
    let requests = vec![(ids.clone(), GenerateOptions::default()); 2];
    let mut batch = model.generate_batch(&requests).unwrap();
    dropped(batch.next(&cancel));
    assert_eq!(
        pollster::block_on(batch.next(&cancel)).unwrap_err().code(),
        Code::Aborted
    );
    // The model goes on.
    let mut another = model.generate(&ids, &GenerateOptions::default()).unwrap();
    assert_eq!(pollster::block_on(another.next(&cancel)).unwrap().steps.len(), 1);
}

#[test]
fn two_generations_of_one_model_do_not_mix() {
    let model = model("llama-gqa");
    let options = |seed| GenerateOptions {
        seed: Some(seed),
        max_tokens: Some(8),
        ignore_eos: true,
        ..GenerateOptions::default()
    };
    let alone: Vec<_> = [1, 2].map(|seed| generate(&model, &[0, 4, 9], &options(seed)).0).into();
    let mut streams = [1, 2].map(|seed| (model.generate(&[0, 4, 9], &options(seed)).unwrap(), Vec::new(), false));
    while streams.iter().any(|(_, _, done)| !done) {
        for (generation, ids, done) in &mut streams {
            let generated = pollster::block_on(generation.next(&Cancel::default())).unwrap();
            ids.extend(generated.steps.iter().map(|step| step.id));
            *done |= generated.finish.is_some();
        }
    }
    assert_eq!(alone, streams.map(|(_, ids, _)| ids));
}

#[test]
fn the_lens_at_the_last_layer_is_the_output() {
    let model = model("gpt2");
    let ids = [3u32, 1, 4];
    let last = model.config().n_layers - 1;
    let lens = pollster::block_on(model.logit_lens(&ids, Some(&[last, 0]), &[], &Cancel::default())).unwrap();
    assert_eq!(lens.shape, [2, 3, model.config().d_vocab]);
    let options = RunOptions {
        logits: LogitRows::All,
        ..RunOptions::default()
    };
    let output = pollster::block_on(model.run(&ids, &options, &Cancel::default())).unwrap();
    assert_eq!(lens.data[..output.logits.data.len()], output.logits.data);
}

/// The model's own files with part of the weights zeroed: another checkpoint of the same shape.
fn another_checkpoint(name: &str) -> topk_lm::checkpoint::MemorySource {
    let folder = root().join("tests/goldens/models").join(name);
    let mut weights = std::fs::read(folder.join("model.safetensors")).unwrap();
    let end = weights.len();
    weights[end - 4000..].fill(0);
    let config = std::fs::read(folder.join("config.json")).unwrap();
    topk_lm::checkpoint::MemorySource::new([("config.json", config), ("step7/model.safetensors", weights)])
}

#[test]
fn a_checkpoint_swaps_in_whole_and_a_running_stream_keeps_its_weights() {
    let model = model("llama-gqa");
    let options = GenerateOptions {
        sampling: SamplingOptions::at(0.0),
        max_tokens: Some(6),
        ignore_eos: true,
        ..GenerateOptions::default()
    };
    let ids = [0u32, 9, 33];
    let (before, _) = generate(&model, &ids, &options);
    let old_logits = logits(&model, &ids, &[], ids.len());
    let mut running = model.generate(&ids, &options).unwrap();
    let mut seen: Vec<u32> = Vec::new();
    let first = pollster::block_on(running.next(&Cancel::default())).unwrap();
    seen.extend(first.steps.iter().map(|step| step.id));

    let source = another_checkpoint("llama-gqa");
    let cancel = Cancel::default();
    let missing = pollster::block_on(model.load_checkpoint(&source, "step8/", &cancel, &mut |_, _| {}));
    assert!(missing.err().unwrap().to_string().contains("step8/"));
    assert_eq!(logits(&model, &ids, &[], ids.len()), old_logits);

    pollster::block_on(model.load_checkpoint(&source, "step7/", &cancel, &mut |_, _| {})).unwrap();
    assert_ne!(logits(&model, &ids, &[], ids.len()), old_logits);
    loop {
        let generated = pollster::block_on(running.next(&Cancel::default())).unwrap();
        seen.extend(generated.steps.iter().map(|step| step.id));
        if generated.finish.is_some() {
            break;
        }
    }
    assert_eq!(seen, before);
    // And the caches that the old stream leaves behind are not taken for the new weights.
    assert_ne!(logits(&model, &ids, &[], ids.len()), old_logits);
}
