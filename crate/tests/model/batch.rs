//! Generations side by side against the same ones alone: every bit of every report, whatever their prompts, edits, seeds, lengths and ends.

use crate::common::edits::{an_edit, MODELS};
use crate::common::{json, load_on, root};
use pollster::block_on;
use proptest::prelude::*;
use topk_lm::checkpoint::FolderSource;
use topk_lm::edits::{Edit, Positions, Site};
use topk_lm::error::Code;
use topk_lm::pace::Cancel;
use topk_lm::session::{
    BackendChoice, Finish, GenerateOptions, Generated, Model, SaeOptions, SamplingOptions, StepReport,
};

type Request = (Vec<u32>, GenerateOptions);

fn golden(name: &str) -> Model {
    golden_on(name, BackendChoice::Cpu).unwrap()
}

fn golden_on(name: &str, choice: BackendChoice) -> Option<Model> {
    load_on(&root().join("tests/goldens/models").join(name), choice)
}

fn shipped(choice: BackendChoice) -> Option<Model> {
    load_on(&root().join("models/Llama-TopK-Stories-16M"), choice)
}

fn alone(model: &Model, (ids, options): &Request) -> (Vec<StepReport>, Finish) {
    let mut generation = model.generate(ids, options).unwrap();
    let mut steps = Vec::new();
    loop {
        let generated = block_on(generation.next(&Cancel::default())).unwrap();
        steps.extend(generated.steps);
        if let Some(finish) = generated.finish {
            return (steps, finish);
        }
    }
}

fn together(model: &Model, requests: &[Request]) -> Vec<(Vec<StepReport>, Finish)> {
    let mut batch = model.generate_batch(requests).unwrap();
    let mut all: Vec<(Vec<StepReport>, Option<Finish>)> = vec![Default::default(); requests.len()];
    loop {
        let made = block_on(batch.next(&Cancel::default())).unwrap();
        if made.is_empty() {
            return all
                .into_iter()
                .map(|(steps, finish)| (steps, finish.unwrap()))
                .collect();
        }
        for (number, Generated { steps, finish }) in made {
            assert_eq!(all[number].1, None, "generation {number} went on behind its end");
            all[number].0.extend(steps);
            all[number].1 = finish;
        }
    }
}

/// Everything in a report, floats by their bits.
fn told(steps: &[StepReport]) -> Vec<String> {
    let bits = |numbers: &[f32]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
    let told = |step: &StepReport| {
        let hooks: Vec<_> = step
            .hooks
            .iter()
            .map(|(name, array)| (name, &array.shape, bits(&array.data)))
            .collect();
        let top: Vec<_> = step.top_logprobs.iter().map(|(id, p)| (id, p.to_bits())).collect();
        let logprob = step.logprob.to_bits();
        format!(
            "{} {} {:?} {logprob} {:?} {top:?} {hooks:?}",
            step.index, step.id, step.text, step.swaps
        )
    };
    steps.iter().map(told).collect()
}

fn same(warm: &Model, fresh: impl Fn() -> Model, requests: &[Request]) {
    let made = together(warm, requests);
    for (number, (request, (steps, finish))) in requests.iter().zip(&made).enumerate() {
        let (expected, end) = alone(&fresh(), request);
        assert_eq!(
            (told(steps), *finish),
            (told(&expected), end),
            "generation {number}: {request:?}"
        );
    }
}

fn a_request(n_layers: usize, d_model: usize) -> impl Strategy<Value = Request> {
    let edits = prop::collection::vec(an_edit(n_layers, d_model), 0..3);
    let hooks = prop::sample::subsequence(
        vec![
            "blocks.0.hook_resid_post",
            "blocks.1.attn.hook_pattern",
            "blocks.1.hook_resid_post",
            "blocks.2.mlp.hook_post",
        ],
        0..3,
    );
    let prompt = (1usize..9, prop::collection::vec(0u32..90, 0..4));
    let drawn = (
        prop::sample::select(vec![0.0, 0.7, 1.3]),
        prop::sample::select(vec![1.0, 1.3]),
        0usize..6,
    );
    (
        prompt,
        edits,
        hooks,
        drawn,
        0usize..9,
        any::<u64>(),
        any::<bool>(),
        0usize..3,
    )
        .prop_map(
            |(
                (shared, own),
                edits,
                hooks,
                (temperature, penalty, top_k),
                max_tokens,
                seed,
                ignore_eos,
                top_logprobs,
            )| {
                let mut ids = [0, 5, 17, 42, 8, 8, 3, 61, 20][..shared].to_vec();
                ids.extend(own);
                let options = GenerateOptions {
                    max_tokens: Some(max_tokens),
                    sampling: SamplingOptions {
                        temperature: Some(temperature),
                        top_k: Some(top_k),
                        top_p: None,
                        repetition_penalty: Some(penalty),
                    },
                    seed: Some(seed),
                    ignore_eos,
                    edits,
                    hooks: hooks.into_iter().map(str::to_owned).collect(),
                    top_logprobs,
                    swaps: true,
                    ..GenerateOptions::default()
                };
                (ids, options)
            },
        )
}

fn a_model_and_batches() -> impl Strategy<Value = (&'static str, Vec<Vec<Request>>)> {
    prop::sample::select(&MODELS[..]).prop_flat_map(|(name, n_layers, d_model)| {
        let batch = prop::collection::vec(a_request(n_layers, d_model), 0..8);
        (Just(name), prop::collection::vec(batch, 1..3))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn random_batches_equal_the_generations_alone((name, batches) in a_model_and_batches()) {
        let warm = golden(name);
        for requests in &batches {
            same(&warm, || golden(name), requests);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    /// Prompts of up to nine tokens: for so many positions the GPU has the same kernels, however many of them there are.
    #[test]
    fn random_batches_on_the_gpu_equal_the_generations_alone((name, mut batches) in a_model_and_batches()) {
        if let Some(model) = golden_on(name, BackendChoice::Gpu) {
            for requests in &mut batches {
                requests.iter_mut().for_each(|(ids, _)| ids.truncate(9));
                same_on(&model, requests);
            }
        }
    }
}

/// Gives up the texts that the model keeps for calls that begin alike: on the GPU positions that were fed token by token may differ from a
/// prompt's in their last bits.
fn forget(model: &Model) {
    let options = GenerateOptions {
        max_tokens: Some(1),
        ..GenerateOptions::default()
    };
    let two = [1, 2].map(|id| model.generate(&[id], &options).unwrap());
    for mut generation in two {
        while block_on(generation.next(&Cancel::default())).unwrap().finish.is_none() {}
    }
}

/// Together, then each alone on the same model.
fn same_on(model: &Model, requests: &[Request]) {
    forget(model);
    let made = together(model, requests);
    for (number, (request, (steps, finish))) in requests.iter().zip(&made).enumerate() {
        forget(model);
        let (expected, end) = alone(model, request);
        assert_eq!(
            (told(steps), *finish),
            (told(&expected), end),
            "generation {number}: {request:?}"
        );
    }
}

#[test]
fn ten_seeds_and_a_sweep_on_the_gpu() {
    let Some(model) = shipped(BackendChoice::Gpu) else {
        return;
    };
    let requests: Vec<Request> = site_requests(&model, 14).into_iter().step_by(3).collect();
    same_on(&model, &requests);
}

/// More than step together, of many lengths; what ends early, errors and aborts leave the model as it was, and no memory behind.
#[test]
fn batches_on_the_gpu_come_to_their_ends() {
    let Some(model) = golden_on("llama-gqa", BackendChoice::Gpu) else {
        return;
    };
    let n_ctx = model.config().n_ctx;
    let one = |number: usize, length: usize, max_tokens: usize| {
        let options = GenerateOptions {
            max_tokens: Some(max_tokens),
            seed: Some(number as u64),
            ignore_eos: true,
            ..GenerateOptions::default()
        };
        ((0..length).map(|at| ((at + number) % 90) as u32).collect(), options)
    };
    let requests: Vec<Request> = (0..24).map(|number| one(number, 1 + number % 8, number % 7)).collect();
    same_on(&model, &requests);
    let made = together(&model, &[one(1, n_ctx, 6), one(2, n_ctx - 2, 6), one(3, 4, 6)]);
    let ends: Vec<_> = made.iter().map(|(steps, finish)| (steps.len(), *finish)).collect();
    assert_eq!(ends, [(1, Finish::Context), (3, Finish::Context), (6, Finish::Length)]);

    let buffers = model.memory();
    let mut out = one(1, 3, 40);
    out.1.edits = vec![Edit::scale(0, 1, 3e38), Edit::add(0, 1, 3e38), Edit::scale(0, 1, 3e38)];
    let mut batch = model.generate_batch(&[one(2, 3, 40), out]).unwrap();
    assert_eq!(
        block_on(batch.next(&Cancel::default())).unwrap_err().code(),
        Code::NonFinite
    );
    assert_eq!(
        block_on(batch.next(&Cancel::default())).unwrap_err().code(),
        Code::Aborted
    );
    let cancel = Cancel::default();
    let mut batch = model.generate_batch(&[one(3, 3, 40), one(4, 3, 40)]).unwrap();
    assert!(!block_on(batch.next(&cancel)).unwrap().is_empty());
    cancel.cancel();
    assert_eq!(block_on(batch.next(&cancel)).unwrap_err().code(), Code::Aborted);
    assert!(model.memory().1 <= buffers.1, "{:?} and {buffers:?}", model.memory());
    same_on(&model, &requests[..5]);
    let mut batch = model.generate_batch(&[one(5, 3, 40), one(6, 3, 40)]).unwrap();
    assert!(!block_on(batch.next(&Cancel::default())).unwrap().is_empty());
    model.dispose();
    assert_eq!(
        block_on(batch.next(&Cancel::default())).unwrap_err().code(),
        Code::Disposed
    );
}

/// Requests as the site makes them: ten seeds without and with an edit, and a sweep of strengths.
fn site_requests(model: &Model, max_tokens: usize) -> Vec<Request> {
    let ids = model.encode_prompt("The baby was tired, so").unwrap();
    let one = |seed: u64, edits: Vec<Edit>| {
        let options = GenerateOptions {
            max_tokens: Some(max_tokens),
            sampling: SamplingOptions::at(0.8),
            seed: Some(seed),
            edits,
            stop: if seed.is_multiple_of(2) {
                vec!["he wa".into(), "e b".into()]
            } else {
                Vec::new()
            },
            swaps: true,
            ..GenerateOptions::default()
        };
        (ids.clone(), options)
    };
    let mut all: Vec<Request> = (0..10).map(|seed| one(seed, Vec::new())).collect();
    let steered = Edit::clamp(3, 296, 24.7).positions(Positions::Generated);
    all.extend((0..10).map(|seed| one(seed, vec![steered.clone()])));
    all.extend((0..9).map(|times| one(3, vec![Edit::clamp(3, 296, 4.0 * f64::from(times)).site(Site::TopkIn)])));
    all
}

#[test]
fn ten_seeds_and_a_sweep_of_the_shipped_model() {
    let model = shipped(BackendChoice::Cpu).unwrap();
    let requests = site_requests(&model, 24);
    let made = together(&model, &requests);
    let ends: Vec<Finish> = made.iter().map(|(_, finish)| *finish).collect();
    assert!(
        ends.contains(&Finish::Stop) && ends.contains(&Finish::Length),
        "{ends:?}"
    );
    let texts: std::collections::BTreeSet<String> = made
        .iter()
        .map(|(steps, _)| steps.iter().map(|step| step.text.as_str()).collect())
        .collect();
    assert!(texts.len() > 15, "the seeds and strengths give {} texts", texts.len());
    for (request, (steps, finish)) in requests.iter().zip(&made) {
        let (expected, end) = alone(&model, request);
        assert_eq!((told(steps), *finish), (told(&expected), end));
    }
}

#[test]
fn more_than_fit_wait_for_their_turn() {
    let model = golden("llama-gqa");
    let one = |number: usize| {
        let options = GenerateOptions {
            max_tokens: Some(number % 5),
            seed: Some(number as u64),
            ignore_eos: true,
            ..GenerateOptions::default()
        };
        (vec![3, 1, 4 + number as u32 % 7], options)
    };
    same(&model, || golden("llama-gqa"), &(0..150).map(one).collect::<Vec<_>>());
}

#[test]
fn the_context_ends_each_for_itself() {
    let model = golden("llama-gqa");
    let n_ctx = model.config().n_ctx;
    let one = |length: usize| {
        let options = GenerateOptions {
            max_tokens: Some(6),
            seed: Some(1),
            ignore_eos: true,
            ..GenerateOptions::default()
        };
        ((0..length as u32).map(|id| id % 90).collect(), options)
    };
    let requests = [one(n_ctx), one(n_ctx - 2), one(4)];
    let made = together(&model, &requests);
    let ends: Vec<_> = made.iter().map(|(steps, finish)| (steps.len(), *finish)).collect();
    assert_eq!(ends, [(1, Finish::Context), (3, Finish::Context), (6, Finish::Length)]);
    same(&model, || golden("llama-gqa"), &requests);
}

#[test]
fn features_of_an_autoencoder_are_edited_row_by_row() {
    let folder = root().join("tests/goldens/saes/standard-resid-post");
    let name = json(&folder.join("golden.json"))["model"].as_str().unwrap().to_owned();
    let attached = || {
        let model = golden(&name);
        let source = FolderSource::new(&folder).unwrap();
        let sae = block_on(model.attach_sae(&source, &SaeOptions::default())).unwrap();
        (model, sae.hook)
    };
    let (model, hook) = attached();
    let one = |strength: f64, max_tokens: usize| {
        let options = GenerateOptions {
            max_tokens: Some(max_tokens),
            sampling: SamplingOptions::at(0.9),
            seed: Some(5),
            ignore_eos: true,
            edits: vec![Edit::add(0, 3, strength).sae(hook.clone())],
            hooks: vec![format!("{hook}.hook_sae_acts_post")],
            ..GenerateOptions::default()
        };
        (vec![0, 5, 17], options)
    };
    let requests: Vec<Request> = (0..5).map(|i| one(f64::from(i), 3 + i as usize)).collect();
    same(&model, || attached().0, &requests);
}

/// Sentencepiece's decoder takes the space off the beginning of a text, which a prompt is.
#[test]
fn a_text_keeps_its_space_after_a_prompt() {
    let folder = root().join("tests/goldens/models/llama-gqa");
    let vocab: serde_json::Map<_, _> = (0..128).map(|id| (format!("▁w{id}"), id.into())).collect();
    let tokenizer = serde_json::json!({"version": "1.0", "added_tokens": [],
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "vocab": vocab, "merges": []}});
    let read = |name: &str| (name.to_owned(), std::fs::read(folder.join(name)).unwrap());
    let source = topk_lm::checkpoint::MemorySource::new([
        read("config.json"),
        read("model.safetensors"),
        ("tokenizer.json".to_owned(), tokenizer.to_string().into_bytes()),
    ]);
    let model = block_on(Model::load(
        &source,
        BackendChoice::Cpu,
        &Cancel::default(),
        &mut |_, _| {},
    ))
    .unwrap();
    let options = GenerateOptions {
        max_tokens: Some(4),
        ..GenerateOptions::default()
    };
    let requests = [(vec![1, 2], options.clone()), (vec![0], options)];
    for ((prompt, _), (steps, _)) in requests
        .iter()
        .zip(together(&model, &requests))
        .chain([(&requests[0], alone(&model, &requests[0]))])
    {
        let decode = |ids: &[u32]| model.tokenizer().unwrap().decode(ids, true).unwrap();
        let all: Vec<u32> = prompt.iter().copied().chain(steps.iter().map(|step| step.id)).collect();
        let text: String = steps.iter().map(|step| step.text.as_str()).collect();
        assert!(text.starts_with(" w"), "{text}");
        assert_eq!(decode(prompt) + &text, decode(&all));
    }
}

#[test]
fn errors_are_typed_and_end_the_batch() {
    let model = golden("llama-gqa");
    let good = || {
        (
            vec![1, 2],
            GenerateOptions {
                max_tokens: Some(40),
                ..GenerateOptions::default()
            },
        )
    };
    let refused = |request: Request, code: Code, said: &str| {
        let Err(error) = model.generate_batch(&[good(), request]) else {
            panic!("{said} was taken")
        };
        assert_eq!(error.code(), code, "{error}");
        assert!(
            error.to_string().starts_with("generation 1: ") && error.to_string().contains(said),
            "{error}"
        );
    };
    let with = |change: fn(&mut GenerateOptions)| {
        let mut request = good();
        change(&mut request.1);
        request
    };
    refused((vec![], GenerateOptions::default()), Code::Argument, "ids is empty");
    refused((vec![1_000_000], GenerateOptions::default()), Code::Argument, "1000000");
    refused(
        with(|options| options.edits = vec![Edit::clamp(99, 0, 1.0)]),
        Code::Edit,
        "layer is 99",
    );
    refused(with(|options| options.hooks = vec!["no".into()]), Code::Hook, "no");
    refused(
        with(|options| options.sampling.top_p = Some(2.0)),
        Code::Argument,
        "top_p",
    );

    // One that goes out of bounds ends all; so do an abort and a disposal, and the model stays usable.
    let mut out = good();
    out.1.edits = vec![Edit::scale(0, 1, 3e38), Edit::add(0, 1, 3e38), Edit::scale(0, 1, 3e38)];
    let mut batch = model.generate_batch(&[good(), out]).unwrap();
    assert_eq!(
        block_on(batch.next(&Cancel::default())).unwrap_err().code(),
        Code::NonFinite
    );
    assert_eq!(
        block_on(batch.next(&Cancel::default())).unwrap_err().code(),
        Code::Aborted
    );
    let cancel = Cancel::default();
    let mut batch = model.generate_batch(&[good(), good()]).unwrap();
    cancel.cancel();
    assert_eq!(block_on(batch.next(&cancel)).unwrap_err().code(), Code::Aborted);
    assert_eq!(together(&model, &[good()]).len(), 1);
    assert!(together(&model, &[]).is_empty());
    let mut batch = model.generate_batch(&[good()]).unwrap();
    model.dispose();
    assert_eq!(
        block_on(batch.next(&Cancel::default())).unwrap_err().code(),
        Code::Disposed
    );
}
