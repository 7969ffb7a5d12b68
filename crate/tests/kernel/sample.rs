//! `shaders/sample.wgsl` against `sampling.rs`. Both take the same steps on integers; only the exponential is in floats, and an
//! emulated device rounds it as the CPU does, so the same id is asked for without exception.

use crate::runner::{bits, Gpu, Slot};
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};
use topk_lm::ops::def::Params;
use topk_lm::ops::sampling::Sampling;
use topk_lm::ops::sampling::{gpu_words, sample};

const N_LAYERS: u32 = 5;
const UNTOUCHED: u32 = 0xdead_beef;

struct Outcome {
    id: u32,
    logprob: f32,
    status: u32,
}

/// Draws the token of `position` for the second of two sequences, in step 2 of three; the first one takes id 0, the first of equal logits.
fn on_gpu(gpu: &Gpu, logits: &[f32], seen: &[bool], sampling: &Sampling, position: u32, threads: u32) -> Outcome {
    let params = Params {
        step: 2,
        ..Params::each(&[[7, 0], [position as usize - 1, 0]])
    };
    let d_vocab = logits.len();
    let rows = bits(&[vec![9.0; d_vocab], logits.to_vec()].concat());
    let greedy = Sampling {
        temperature: 0.0,
        ..PLAIN
    };
    let words = [gpu_words(&greedy), gpu_words(sampling)].concat();
    let mut scratch = vec![0; 5 * d_vocab];
    scratch.extend(seen.iter().map(|&seen| u32::from(seen)));
    let table: Vec<f32> = (0..4 * d_vocab).map(|i| i as f32).collect();
    let table = bits(&table);
    let slots = [
        (0, Slot::Uniform(bytemuck::cast_slice(std::slice::from_ref(&params)))),
        (1, Slot::Read(&rows)),
        (2, Slot::Read(&table)),
        (3, Slot::Read(&words)),
        (4, Slot::Write(&[UNTOUCHED; 4])),
        (5, Slot::Write(&[UNTOUCHED; 14])),
        (6, Slot::Write(&[u32::MAX])),
        (7, Slot::Write(&scratch)),
        (8, Slot::Write(&[UNTOUCHED; 7])),
    ];
    let constants = [
        ("d_vocab", d_vocab as f64),
        ("n_layers", f64::from(N_LAYERS)),
        ("threads", f64::from(threads)),
        ("stride", 4.0),
        ("d_model", 3.0),
        ("embed_scale", 0.5),
    ];
    let out = gpu.run("sample", &constants, &slots, (2, 1));
    let id = out[1][10];
    assert_eq!(out[0], [UNTOUCHED, 0, id, UNTOUCHED], "each id goes to its row");
    let mut expected_seen = scratch[5 * d_vocab..].to_vec();
    expected_seen[id as usize] = 1;
    assert_eq!(
        out[3][5 * d_vocab..],
        expected_seen,
        "the id counts as seen from now on"
    );
    assert_eq!(out[3][2 * d_vocab], 1, "the first sequence's too");
    assert_eq!(out[1][..8], [UNTOUCHED; 8], "the slots of other steps stay");
    assert_eq!(out[1][12..], [UNTOUCHED; 2]);
    assert_eq!(out[1][8], 0, "the first of equal logits");
    let row = |id: u32| [0, 1, 2].map(|i| (0.5 * (4 * id + i) as f32).to_bits());
    assert_eq!(
        out[4],
        [&row(0)[..], &row(id), &[UNTOUCHED]].concat(),
        "the ids' rows are the next stream"
    );
    Outcome {
        id,
        logprob: f32::from_bits(out[1][11]),
        status: out[2][0],
    }
}

fn check(
    gpu: &Gpu,
    logits: &[f32],
    seen: &[bool],
    sampling: &Sampling,
    position: u32,
    threads: u32,
) -> Result<(), TestCaseError> {
    let (id, logprob) = sample(logits, seen, sampling, position)?;
    let got = on_gpu(gpu, logits, seen, sampling, position, threads);
    prop_assert_eq!((got.id, got.status), (id, u32::MAX));
    prop_assert!(
        (got.logprob - logprob).abs() < 1e-5 + 1e-6 * logprob.abs(),
        "{} and {}",
        got.logprob,
        logprob
    );
    Ok(())
}

fn settings() -> impl Strategy<Value = Sampling> {
    let temperature =
        prop_oneof![1 => Just(0.0f32), 1 => Just(1.0), 4 => 0.1f32..3.0, 1 => Just(1e-30), 1 => Just(1e30)];
    let top_k = prop_oneof![2 => Just(0usize), 1 => Just(1), 3 => 1usize..100, 1 => Just(1 << 20)];
    let top_p = prop_oneof![2 => Just(1.0f32), 3 => 0.05f32..1.0, 1 => Just(1e-30), 1 => Just(0.999_999_94)];
    let penalty = prop_oneof![Just(1.0f32), 0.5f32..2.0];
    (temperature, top_k, top_p, penalty, any::<u64>()).prop_map(
        |(temperature, top_k, top_p, repetition_penalty, seed)| Sampling {
            temperature,
            top_k,
            top_p,
            repetition_penalty,
            seed,
        },
    )
}

fn logits() -> impl Strategy<Value = Vec<f32>> {
    let size = prop_oneof![Just(1usize), Just(37), Just(257), Just(4096), Just(5003)];
    let value = prop_oneof![
        6 => -12.0f32..12.0,
        6 => (-20i32..20).prop_map(|x| x as f32 * 0.5),
        1 => prop_oneof![Just(-0.0f32), Just(0.0), Just(-1e30), Just(1e-40), Just(-90.0)],
    ];
    size.prop_flat_map(move |size| prop::collection::vec(value.clone(), size))
}

#[test]
fn the_gpu_draws_what_the_cpu_draws() {
    let gpu = Gpu::new();
    let mut runner = TestRunner::new(Runs {
        cases: 300,
        max_shrink_iters: 300,
        failure_persistence: None,
        ..Runs::default()
    });
    let cases = (
        logits(),
        settings(),
        1usize..6,
        1u32..3000,
        prop_oneof![Just(16u32), Just(256)],
    );
    runner
        .run(&cases, |(logits, settings, mark, position, threads)| {
            let seen: Vec<bool> = (0..logits.len()).map(|i| i % mark == 1).collect();
            check(&gpu, &logits, &seen, &settings, position, threads)
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

const PLAIN: Sampling = Sampling {
    temperature: 1.0,
    top_k: 0,
    top_p: 1.0,
    repetition_penalty: 1.0,
    seed: 11,
};

#[test]
fn ties_end_at_the_right_place() {
    let gpu = Gpu::new();
    let equal = vec![0.25f32; 3000];
    for top_k in [0, 1, 7, 256, 257, 2999] {
        for top_p in [1.0, 0.5, 1e-9] {
            for temperature in [0.0, 1.0] {
                for position in [1, 2, 3] {
                    let sampling = Sampling {
                        top_k,
                        top_p,
                        temperature,
                        ..PLAIN
                    };
                    check(&gpu, &equal, &vec![false; 3000], &sampling, position, 64)
                        .unwrap_or_else(|error| panic!("{sampling:?}: {error}"));
                }
            }
        }
    }
}

#[test]
fn logits_that_are_not_finite_are_reported() {
    let gpu = Gpu::new();
    for wrong in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        for temperature in [0.0, 1.0] {
            let mut logits = vec![0.5f32; 100];
            logits[61] = wrong;
            let outcome = on_gpu(&gpu, &logits, &[false; 100], &Sampling { temperature, ..PLAIN }, 4, 32);
            assert_eq!(outcome.status, N_LAYERS);
        }
    }
}
