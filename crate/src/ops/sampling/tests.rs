//! Against a sampler that sorts everything and walks, and against published words of Philox.

use super::*;
use crate::error::Code;
use proptest::prelude::*;

const PLAIN: Sampling = Sampling {
    temperature: 1.0,
    top_k: 0,
    top_p: 1.0,
    repetition_penalty: 1.0,
    seed: 7,
};

fn draw(logits: &[f32], sampling: &Sampling, position: u32) -> u32 {
    sample(logits, &vec![false; logits.len()], sampling, position)
        .expect("finite logits")
        .0
}

/// The known-answer vectors of the paper's own implementation (Random123).
#[test]
fn philox_gives_the_published_words() {
    assert_eq!(philox(0, [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    assert_eq!(
        philox(u64::MAX, [u32::MAX; 4]),
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
    );
    assert_eq!(
        philox(
            0x299f_31d0_a409_3822,
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]
        ),
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
    );
}

/// Steps 2 to 6 word for word: sort everything, walk.
fn by_sorting(logits: &[f32], seen: &[bool], sampling: &Sampling, position: u32) -> u32 {
    let settings = Settings::new(sampling);
    let scaled: Vec<f32> = logits
        .iter()
        .zip(seen)
        .map(|(&l, &s)| settings.penalise(l, s))
        .collect();
    let mut order: Vec<usize> = (0..scaled.len()).collect();
    order.sort_by(|&a, &b| scaled[b].total_cmp(&scaled[a]).then(a.cmp(&b)));
    if sampling.temperature == 0.0 {
        return order[0] as u32;
    }
    let max = scaled[order[0]];
    if sampling.top_k > 0 {
        order.truncate(sampling.top_k);
    }
    let mass = |i: usize| u128::from(mass((scaled[i] - max) * settings.inverse_temperature));
    let total: u128 = order.iter().map(|&i| mass(i)).sum();
    if sampling.top_p < 1.0 {
        let needed = (total * u128::from(settings.top_p)).div_ceil(1 << 24);
        let mut sum = 0;
        let length = order
            .iter()
            .position(|&i| {
                sum += mass(i);
                sum >= needed
            })
            .unwrap_or(order.len());
        order.truncate(length + 1);
    }
    let kept: u128 = order.iter().map(|&i| mass(i)).sum();
    let target = (kept * u128::from(philox(sampling.seed, [position, 0, 0, 0])[0] >> 8)) >> 24;
    let mut sum = 0;
    *order
        .iter()
        .find(|&&i| {
            sum += mass(i);
            sum > target
        })
        .expect("the target is below the sum") as u32
}

proptest! {
    #[test]
    fn equals_a_full_sort(
        logits in prop::collection::vec((-40i32..40).prop_map(|x| x as f32 * 0.25 + 0.01), 1..400),
        mark in 1usize..5, top_k in 0usize..50, top_p in 0.001f32..=1.0,
        temperature in prop_oneof![Just(0.0f32), 0.05f32..3.0], penalty in 0.5f32..2.0, seed: u64, position in 0u32..5000,
    ) {
        let seen: Vec<bool> = (0..logits.len()).map(|i| i % mark == 1).collect();
        let sampling = Sampling { temperature, top_k, top_p, repetition_penalty: penalty, seed };
        let (id, logprob) = sample(&logits, &seen, &sampling, position)?;
        prop_assert_eq!(id, by_sorting(&logits, &seen, &sampling, position));
        let sum: f64 = logits.iter().map(|&l| f64::from(l - logits[id as usize]).exp()).sum();
        prop_assert!((f64::from(logprob) + sum.ln()).abs() < 1e-5);
    }
}

#[test]
fn frequencies_follow_the_softmax() {
    let logits = [1.0f32, -0.5, 2.0, 0.25, -30.0];
    let sampling = Sampling {
        temperature: 0.8,
        ..PLAIN
    };
    let mut counts = [0u32; 5];
    let draws = 20_000;
    for position in 0..draws {
        counts[draw(&logits, &sampling, position) as usize] += 1;
    }
    let weights = logits.map(|l| f64::from(l / 0.8).exp());
    let total: f64 = weights.iter().sum();
    let chi_square: f64 = (0..4)
        .map(|i| {
            let expected = f64::from(draws) * weights[i] / total;
            (f64::from(counts[i]) - expected).powi(2) / expected
        })
        .sum();
    assert!(
        chi_square < 16.3,
        "three degrees of freedom, one in a thousand: {chi_square}"
    );
    assert_eq!(counts[4], 0);
}

#[test]
fn edge_cases() {
    let equal = [0.5f32; 9];
    assert_eq!(
        draw(
            &equal,
            &Sampling {
                temperature: 0.0,
                ..PLAIN
            },
            3
        ),
        0
    );
    assert_eq!(draw(&equal, &Sampling { top_k: 1, ..PLAIN }, 3), 0);
    assert_eq!(draw(&equal, &Sampling { top_p: 1e-30, ..PLAIN }, 3), 0);
    let all: std::collections::BTreeSet<u32> = (0..200).map(|position| draw(&equal, &PLAIN, position)).collect();
    assert_eq!(all.len(), 9);
    // A tiny temperature overflows nothing; a huge one makes all alike.
    assert_eq!(
        draw(
            &[1e30, 2e30, -1e30],
            &Sampling {
                temperature: 1e-40,
                ..PLAIN
            },
            0
        ),
        1
    );
    assert_eq!(
        draw(
            &[1.0, 2.0, -1.0],
            &Sampling {
                temperature: 1e-30,
                ..PLAIN
            },
            0
        ),
        1
    );
    assert!((0..50).any(|p| draw(
        &[1.0, 2.0, -100.0],
        &Sampling {
            temperature: 1e30,
            ..PLAIN
        },
        p
    ) == 2));
    // The penalty lowers what was seen, whatever its sign.
    let penalised = Sampling {
        temperature: 0.0,
        repetition_penalty: 2.0,
        ..PLAIN
    };
    assert_eq!(sample(&[2.0, 1.5], &[true, false], &penalised, 1).expect("finite").0, 1);
    assert_eq!(
        sample(&[-1.0, -1.5], &[true, false], &penalised, 1).expect("finite").0,
        1
    );
    for wrong in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        let error = sample(&[0.0, wrong], &[false; 2], &PLAIN, 5).expect_err("must be refused");
        assert_eq!(error.code(), Code::NonFinite);
    }
}

#[test]
fn settings_outside_their_ranges_are_refused() {
    for (sampling, name) in [
        (
            Sampling {
                temperature: -1.0,
                ..PLAIN
            },
            "temperature",
        ),
        (
            Sampling {
                temperature: f32::NAN,
                ..PLAIN
            },
            "temperature",
        ),
        (Sampling { top_p: 0.0, ..PLAIN }, "top_p"),
        (Sampling { top_p: 1.1, ..PLAIN }, "top_p"),
        (
            Sampling {
                repetition_penalty: 0.0,
                ..PLAIN
            },
            "repetition_penalty",
        ),
    ] {
        let error = check(&sampling).expect_err("must be refused");
        assert!(error.to_string().starts_with(name));
    }
    assert_eq!(check(&PLAIN), Ok(()));
}

/// More logits than one f64 takes, and a rest: at first all with the largest mass, so that the sums are as large as they get.
#[test]
fn masses_add_up_exactly() {
    for (n, step) in [(EXACT, 0.0), (2 * EXACT + 5, 0.0), (50_001, 7e-4), (19, 0.5), (1, 1.0)] {
        let logits: Vec<f32> = (0..n).map(|i| 3.0 - i as f32 * step).collect();
        let exact: u64 = logits.iter().map(|logit| mass(logit - 3.0)).sum();
        for id in [0, n as u32 / 2] {
            let expected = (logits[id as usize] - 3.0) - math::ln(exact as f32 / ONE);
            assert_eq!(logprob(&logits, id), expected, "{n} logits");
            assert_eq!(logprobs(&logits)(id), expected, "{n} logits");
        }
        let parts = logits.chunks(EXACT).map(|logits| total_mass(logits, 3.0));
        assert_eq!(parts.sum::<u64>(), exact, "{n} logits");
    }
}
