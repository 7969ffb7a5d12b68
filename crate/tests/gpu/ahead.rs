//! Steps that are submitted before those in front of them are read: the same tokens, and a GPU that seldom waits for the host.

use pollster::block_on;
use topk_lm::config::Config;
use topk_lm::edits::EditTable;
use topk_lm::exec::request::{Batch, Decode, LogitRows};
use topk_lm::ops::def::Rows;
use topk_lm::ops::sampling::Sampling;
use topk_lm::pace::Cancel;
use topk_lm::session::{BackendChoice, GenerateOptions, RunOptions, SamplingOptions};
use topk_lm::weights::Dtype;

use crate::cases::{device, llama, load, topk};
use crate::common::{load_on, root};

#[test]
fn steps_ahead_are_the_same_steps() {
    let Some(gpu) = device() else { return };
    let config = Config {
        topk: topk(9),
        ..llama()
    };
    let both = load(&gpu, &config, Dtype::F32, 91);
    let edits = EditTable::none(config.n_layers);
    let sampling = Sampling {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        repetition_penalty: 1.3,
        seed: 9,
    };
    let prompt = [3u32, 1, 4, 1, 5];
    // Groups, how many steps are under way behind each, and after which of them another sequence takes its turn.
    let run = |prompt: &[u32], groups: &[[usize; 2]], other: &mut dyn FnMut(usize)| -> Vec<u32> {
        let mut cache = both.gpu.new_cache().unwrap();
        let batch = Batch {
            ids: &prompt[..prompt.len() - 1],
            start: 0,
            rows: Rows::Sequence,
            edits: &edits,
            captures: &[],
            logits: LogitRows::None,
        };
        block_on(both.gpu.prefill(&mut cache, &batch)).unwrap();
        let mut ids = prompt.to_vec();
        for (number, [steps, ahead]) in groups.iter().enumerate() {
            let decode = Decode {
                ids: &ids,
                steps: *steps,
                sampling: &sampling,
                edits: &edits,
                captures: &[],
                logits: false,
            };
            let (drawn, _) = block_on(both.gpu.decode_ahead(&mut cache, &decode, [*ahead, 64])).unwrap();
            ids.extend(drawn.iter().map(|step| step.id));
            other(number);
        }
        ids.split_off(prompt.len())
    };
    let whole = run(&prompt, &[[40, 0]], &mut |_| ());
    assert_eq!(whole.len(), 40);
    // Those under way come, however many are asked for.
    assert_eq!(run(&prompt, &[[3, 5], [1, 7], [1, 25], [1, 0]], &mut |_| ()), whole);
    let mut interrupt = |_: usize| {
        run(&[6, 2], &[[2, 3], [3, 0]], &mut |_| ());
    };
    assert_eq!(
        run(&prompt, &[[3, 5], [1, 7], [1, 4], [24, 9]], &mut interrupt)[..32],
        whole[..32]
    );
}

/// A prompt and 64 tokens: the host makes the GPU wait twice at most, however fast it is.
#[test]
fn the_queue_stays_full() {
    let Some(model) = load_on(
        &root().join("tests/goldens/models/llama-f16-linear"),
        BackendChoice::Gpu,
    ) else {
        return;
    };
    let gpu = model.gpu().unwrap();
    let [submits, awaits, exposed] = gpu.traffic();
    let options = GenerateOptions {
        max_tokens: Some(48),
        sampling: SamplingOptions::at(0.0),
        ignore_eos: true,
        ..GenerateOptions::default()
    };
    let ids: Vec<u32> = (0..12).collect();
    let mut generation = model.generate(&ids, &options).unwrap();
    let mut drawn = Vec::new();
    loop {
        let generated = block_on(generation.next(&Cancel::default())).unwrap();
        drawn.extend(generated.steps.iter().map(|step| step.id));
        if generated.finish.is_some() {
            break;
        }
    }
    let now = gpu.traffic();
    let (submits, awaits, exposed) = (now[0] - submits, now[1] - awaits, now[2] - exposed);
    assert_eq!(drawn.len(), 48);
    assert!(submits >= 3 && awaits == submits, "{submits} submits, {awaits} awaits");
    assert!(exposed <= 2, "{exposed} of {awaits} waits let the GPU idle");
    // What a step drew is what the whole text's logits say.
    let all = [&ids[..], &drawn[..47]].concat();
    let run = RunOptions {
        logits: LogitRows::All,
        ..RunOptions::default()
    };
    let logits = model.run_now(&all, &run).unwrap().logits.data;
    let d_vocab = model.config().d_vocab;
    for (row, id) in logits.chunks_exact(d_vocab).skip(11).zip(&drawn) {
        let best = row.iter().fold(f32::MIN, |best, logit| best.max(*logit));
        assert!(best - row[*id as usize] < 1e-3);
    }
}

/// The same of a batch of ten, and what each of them draws is what it draws alone.
#[test]
fn the_queue_stays_full_for_a_batch() {
    let Some(model) = load_on(
        &root().join("tests/goldens/models/llama-f16-linear"),
        BackendChoice::Gpu,
    ) else {
        return;
    };
    let gpu = model.gpu().unwrap();
    let ids: Vec<u32> = (0..12).collect();
    let all: Vec<(Vec<u32>, GenerateOptions)> = (0..10)
        .map(|seed| {
            let options = GenerateOptions {
                max_tokens: Some(48),
                sampling: SamplingOptions::at(1.0),
                seed: Some(seed),
                ignore_eos: true,
                ..GenerateOptions::default()
            };
            (ids.clone(), options)
        })
        .collect();
    let [submits, awaits, exposed] = gpu.traffic();
    let mut batch = model.generate_batch(&all).unwrap();
    let mut drawn: Vec<Vec<u32>> = vec![Vec::new(); all.len()];
    loop {
        let made = block_on(batch.next(&Cancel::default())).unwrap();
        if made.is_empty() {
            break;
        }
        for (number, generated) in made {
            assert!(!generated.steps.is_empty());
            drawn[number].extend(generated.steps.iter().map(|step| step.id));
        }
    }
    let now = gpu.traffic();
    let (submits, awaits, exposed) = (now[0] - submits, now[1] - awaits, now[2] - exposed);
    println!("{submits} submits, {awaits} awaits, {exposed} exposed");
    assert!(
        submits >= 3 && exposed <= 2,
        "{exposed} of {awaits} waits let the GPU idle"
    );
    for ((ids, options), drawn) in all.iter().zip(&drawn) {
        let alone = model.generate(ids, options).unwrap();
        assert_eq!(&alone.steps().map(|step| step.unwrap().id).collect::<Vec<_>>(), drawn);
    }
}
