//! Runs of sampled steps: ids stay on the GPU, several steps go into one submit.

use pollster::block_on;
use topk_lm::config::Config;
use topk_lm::edits::EditTable;
use topk_lm::exec::request::{Batch, Capture, Decode, LogitRows};
use topk_lm::ops::buffers::HIDDEN;
use topk_lm::ops::def::{Point, Rows};
use topk_lm::ops::sae;
use topk_lm::ops::sampling::Sampling;
use topk_lm::weights::Dtype;

use crate::cases::{device, difference, gpt2, llama, load};

const GREEDY: Sampling = Sampling {
    temperature: 0.0,
    top_k: 0,
    top_p: 1.0,
    repetition_penalty: 1.0,
    seed: 0,
};

#[test]
fn greedy_runs_equal_the_cpu() {
    let Some(gpu) = device() else { return };
    for config in [
        llama(),
        gpt2(),
        Config {
            d_vocab: 1001,
            ..llama()
        },
    ] {
        let both = load(&gpu, &config, Dtype::F32, 41);
        let edits = EditTable::none(config.n_layers);
        let prompt = [3u32, 1, 4, 1, 5];
        let captures = [Capture::buffer(Point::end(0), HIDDEN)];
        let batch = Batch {
            ids: &prompt[..4],
            start: 0,
            rows: Rows::Sequence,
            edits: &edits,
            captures: &[],
            logits: LogitRows::None,
        };
        let decode = Decode {
            ids: &prompt,
            steps: 40,
            sampling: &GREEDY,
            edits: &edits,
            captures: &captures,
            logits: true,
        };
        let mut cache = both.cpu.new_cache();
        block_on(both.cpu.forward(&mut cache, &batch)).unwrap();
        let expected = block_on(both.cpu.decode(&mut cache, &decode)).unwrap();
        let mut cache = both.gpu.new_cache().unwrap();
        block_on(both.gpu.forward(&mut cache, &batch)).unwrap();
        let got = block_on(both.gpu.decode(&mut cache, &decode)).unwrap();
        assert_eq!(expected.len(), got.len());
        for (number, (expected, got)) in expected.iter().zip(&got).enumerate() {
            assert!(
                difference(&expected.output.logits, &got.output.logits) < 2e-4,
                "logits of step {number}"
            );
            assert!(
                difference(&expected.output.captured[0], &got.output.captured[0]) < 2e-4,
                "capture of step {number}"
            );
            let mut sorted = expected.output.logits.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            if sorted[0] - sorted[1] < 1e-2 {
                println!(
                    "step {number}: the two best logits are {} apart; the rest may differ",
                    sorted[0] - sorted[1]
                );
                break;
            }
            assert_eq!(expected.id, got.id, "step {number}");
            assert!(
                (expected.logprob - got.logprob).abs() < 1e-3,
                "step {number}: {} and {}",
                expected.logprob,
                got.logprob
            );
        }
    }
}

/// The sampler's twin draws the same ids from the GPU's own logits, whatever the settings.
#[test]
fn sampled_runs_follow_the_twin() {
    let Some(gpu) = device() else { return };
    let config = Config {
        d_vocab: 301,
        ..llama()
    };
    let both = load(&gpu, &config, Dtype::F32, 42);
    let edits = EditTable::none(config.n_layers);
    let settings = [
        (1.0, 0, 1.0, 1.0),
        (0.7, 20, 1.0, 1.0),
        (1.3, 0, 0.8, 1.0),
        (1.0, 50, 0.9, 1.3),
        (0.0, 0, 1.0, 1.5),
    ];
    for (number, (temperature, top_k, top_p, repetition_penalty)) in settings.into_iter().enumerate() {
        let sampling = Sampling {
            temperature,
            top_k,
            top_p,
            repetition_penalty,
            seed: 0x1234_5678_9abc + number as u64,
        };
        let decode = Decode {
            ids: &[7],
            steps: 50,
            sampling: &sampling,
            edits: &edits,
            captures: &[],
            logits: true,
        };
        let steps = block_on(both.gpu.decode(&mut both.gpu.new_cache().unwrap(), &decode)).unwrap();
        let mut seen = vec![false; config.d_vocab];
        seen[7] = true;
        let mut same = 0;
        for (position, step) in steps.iter().enumerate() {
            let (id, logprob) =
                topk_lm::ops::sampling::sample(&step.output.logits, &seen, &sampling, position as u32 + 1).unwrap();
            same += usize::from(id == step.id);
            if id == step.id {
                assert!(
                    (logprob - step.logprob).abs() < 1e-3,
                    "{sampling:?}, step {position}: {logprob} and {}",
                    step.logprob
                );
            }
            seen[step.id as usize] = true;
        }
        // An exponential may round otherwise at the very edge between two ids.
        assert!(same >= 49, "{sampling:?}: {same} of 50 ids are the twin's");
    }
}

/// A call that fails while it is recorded has written how to draw already: nobody draws on after that.
#[test]
fn what_fails_to_be_recorded_is_not_gone_on_with() {
    let Some(gpu) = device() else { return };
    let config = llama();
    let engine = load(&gpu, &config, Dtype::F32, 44).gpu;
    let edits = EditTable::none(config.n_layers);
    let sampled = Sampling {
        temperature: 1.0,
        ..GREEDY
    };
    let first = Decode {
        ids: &[7],
        steps: 12,
        sampling: &sampled,
        edits: &edits,
        captures: &[],
        logits: false,
    };
    let expected = block_on(engine.decode(&mut engine.new_cache().unwrap(), &first)).unwrap();
    // Of an autoencoder that is not there.
    let captures = [Capture::probe(Point::end(0), &sae::ENCODE, HIDDEN)];
    let failing = Decode {
        captures: &captures,
        sampling: &GREEDY,
        ..first
    };
    let (mut cache, mut ids) = (engine.new_cache().unwrap(), vec![7]);
    for _ in 0..4 {
        let next = Decode {
            ids: &ids,
            steps: 3,
            ..first
        };
        let (drawn, _) = block_on(engine.decode_ahead(&mut cache, &next, [3, 12])).unwrap();
        ids.extend(drawn.iter().map(|step| step.id));
        block_on(engine.decode(&mut engine.new_cache().unwrap(), &failing)).unwrap_err();
    }
    assert_eq!(ids[1..], expected.iter().map(|step| step.id).collect::<Vec<_>>());
}

/// However many steps a submit has, the ids are the same; and two sequences may take turns.
#[test]
fn submits_of_any_length_and_turns() {
    let Some(gpu) = device() else { return };
    let config = llama();
    let both = load(&gpu, &config, Dtype::F32, 43);
    let edits = EditTable::none(config.n_layers);
    let sampling = Sampling {
        temperature: 1.0,
        seed: 9,
        ..GREEDY
    };
    let run = |first: u32, sizes: &[usize], other: &mut dyn FnMut()| -> Vec<u32> {
        let mut cache = both.gpu.new_cache().unwrap();
        let mut ids = vec![first];
        for steps in sizes {
            let decode = Decode {
                ids: &ids,
                steps: *steps,
                sampling: &sampling,
                edits: &edits,
                captures: &[],
                logits: false,
            };
            let drawn = block_on(both.gpu.decode(&mut cache, &decode)).unwrap();
            ids.extend(drawn.iter().map(|step| step.id));
            other();
        }
        ids
    };
    let whole = run(5, &[40], &mut || {});
    assert_eq!(whole.len(), 41);
    assert_eq!(run(5, &[1, 1, 2, 3, 33], &mut || {}), whole);
    assert_eq!(run(5, &[10; 4], &mut || drop(run(6, &[3, 2], &mut || {}))), whole);
}

/// Four dispatches a layer where kernels are fused, all of a step in one pass.
#[test]
fn few_dispatches() {
    let Some(gpu) = device() else { return };
    let config = Config { n_layers: 3, ..llama() };
    let both = load(&gpu, &config, Dtype::F32, 44);
    let edits = EditTable::none(config.n_layers);
    let decode = Decode {
        ids: &[1],
        steps: 1,
        sampling: &GREEDY,
        edits: &edits,
        captures: &[],
        logits: false,
    };
    block_on(both.gpu.decode(&mut both.gpu.new_cache().unwrap(), &decode)).unwrap();
    assert_eq!(both.gpu.dispatches(), 1 + 4 * 3 + 2);
}
