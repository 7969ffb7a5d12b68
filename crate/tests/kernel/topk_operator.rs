//! The standalone TopK operator: CPU and GPU against a full sort by the ranking, bit for bit.

use std::rc::Rc;

use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};
use topk_lm::error::Code;
use topk_lm::exec::adapter::BackendChoice;
use topk_lm::exec::gpu::{open, Gpu};
use topk_lm::numerics::order::Select;
use topk_lm::ops::tuning::tuning;
use topk_lm::topk::{topk_cpu, Profile, TopKGpu, Tuning};

fn gpu() -> Rc<Gpu> {
    let opened = pollster::block_on(open(BackendChoice::Gpu));
    opened
        .expect("a Vulkan adapter, for example lavapipe")
        .1
        .expect("a device")
}

/// The ranking in floats, by the definition in docs/semantics.md and not by keys.
fn by_sorting(row: &[f32], k: usize, select: Select) -> Vec<u32> {
    let measure = |i: &u32| {
        let value = row[*i as usize];
        if select == Select::Abs {
            value.abs()
        } else {
            value
        }
    };
    let mut order: Vec<u32> = (0..row.len() as u32).collect();
    // Stable: at a tie the lower index stays first.
    order.sort_by(|a, b| {
        let (a, b) = (measure(a), measure(b));
        match (a.is_nan(), b.is_nan()) {
            (true, true) => std::cmp::Ordering::Equal,
            (true, false) => std::cmp::Ordering::Less,
            (false, true) => std::cmp::Ordering::Greater,
            _ => b.partial_cmp(&a).expect("neither is NaN"),
        }
    });
    order.truncate(k);
    order
}

fn expected(input: &[f32], n: usize, k: usize, select: Select) -> (Vec<u32>, Vec<u32>) {
    let rows = input.chunks_exact(n);
    let indices: Vec<Vec<u32>> = rows.clone().map(|row| by_sorting(row, k, select)).collect();
    let values = rows
        .zip(&indices)
        .flat_map(|(row, indices)| indices.iter().map(|&i| row[i as usize].to_bits()))
        .collect();
    (values, indices.concat())
}

/// As on a real device, by subgroups (of whatever size they are here) and without, and as on an emulated one.
fn operators(gpu: &Rc<Gpu>) -> [TopKGpu; 3] {
    assert!(gpu.subgroups(), "an adapter with subgroups, as lavapipe is");
    let by_lanes = tuning(Profile::Gpu);
    assert!(by_lanes.lanes_most > 0);
    [by_lanes, by_lanes.on(false), tuning(Profile::Fallback)].map(|tuning| TopKGpu::tuned(gpu.clone(), tuning))
}

fn check(topk: &TopKGpu, input: &[f32], n: usize, k: usize, select: Select) -> Result<(), TestCaseError> {
    let expected = expected(input, n, k, select);
    for result in [
        topk_cpu(input, n, k, select)?,
        pollster::block_on(topk.run(input, n, k, select))?,
    ] {
        let values: Vec<u32> = result.values.iter().map(|value| value.to_bits()).collect();
        prop_assert_eq!(&result.indices, &expected.1);
        prop_assert_eq!(values, expected.0.clone());
    }
    Ok(())
}

/// Every kind of float, many of them equal.
fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => (-20i32..20).prop_map(|x| x as f32 * 0.5),
        6 => any::<u32>().prop_map(f32::from_bits),
        3 => -1.0f32..1.0,
        2 => prop_oneof![
            Just(0u32), Just(0x8000_0000), Just(1), Just(0x8000_0001), Just(0x007f_ffff), Just(0x7f80_0000), Just(0xff80_0000),
            Just(0x7fc0_0000), Just(0x7fc1_2345), Just(0xffc0_0001), Just(0x7f80_0001)
        ].prop_map(f32::from_bits),
    ]
}

#[derive(Clone, Debug)]
struct Case {
    n: usize,
    k: usize,
    select: Select,
    input: Vec<f32>,
}

fn case() -> impl Strategy<Value = Case> {
    let shape = prop_oneof![
        4 => (1usize..9, 1usize..80),
        4 => (1usize..6, 80usize..3000),
        1 => (1usize..3, 3000usize..40_000),
        1 => (1usize..400, 1usize..9),
    ];
    shape
        .prop_flat_map(|(rows, n)| {
            // Small k, those around the crossovers, large ones.
            let k =
                prop_oneof![3 => 0..=n.min(40), 3 => 0..=n, 1 => Just(n), 1 => Just(n.min(128)), 1 => Just(n.min(129))];
            (Just(n), k, any::<bool>(), prop::collection::vec(value(), rows * n))
        })
        .prop_map(|(n, k, abs, input)| Case {
            n,
            k,
            select: if abs { Select::Abs } else { Select::Value },
            input,
        })
}

#[test]
fn equals_a_full_sort() {
    let gpu = gpu();
    for (which, topk) in operators(&gpu).iter().enumerate() {
        let mut runner = TestRunner::new(Runs {
            cases: 100,
            max_shrink_iters: 300,
            failure_persistence: None,
            ..Runs::default()
        });
        runner
            .run(&case(), |case| check(topk, &case.input, case.n, case.k, case.select))
            .unwrap_or_else(|error| panic!("{which}: {error}"));
    }
}

/// Any constants that the kernels can do.
fn any_tuning() -> impl Strategy<Value = Tuning> {
    let threads = prop_oneof![Just(4usize), Just(32), Just(256)];
    (
        threads,
        1usize..300,
        0usize..129,
        1usize..40,
        1usize..9,
        1usize..600,
        1usize..600,
        prop_oneof![Just(0usize), 1usize..257],
        (1usize..3000, 1usize..9000),
        1usize..5000,
    )
        .prop_map(
            |(
                threads,
                values_per_thread,
                bitonic_most,
                bitonic_share,
                groups,
                segment_least,
                count_from,
                lanes_most,
                (lanes_part, lanes_segment),
                lanes_whole,
            )| Tuning {
                threads,
                // llvmpipe leaves loops that go round too often, and a radix select goes over its values nine times.
                values_per_thread: (256 * values_per_thread / threads).min(65_535 / 10),
                bitonic_most,
                bitonic_share,
                groups,
                segment_least,
                count_from,
                lanes_most,
                lanes_part,
                lanes_segment,
                lanes_whole,
            },
        )
}

/// What is measured for an adapter is free to be anything.
#[test]
fn no_constant_changes_a_result() {
    let gpu = gpu();
    let mut runner = TestRunner::new(Runs {
        cases: 150,
        max_shrink_iters: 300,
        failure_persistence: None,
        ..Runs::default()
    });
    runner
        .run(&(case(), any_tuning()), |(case, tuning)| {
            let topk = TopKGpu::tuned(gpu.clone(), tuning);
            check(&topk, &case.input, case.n, case.k, case.select)
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// A reproducible row of floats, every 16th of them out of few.
fn row(length: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state
    };
    (0..length)
        .map(|_| {
            if next() >> 28 == 0 {
                (next() >> 29) as f32
            } else {
                (next() >> 8) as f32 / 16_777_216.0 - 0.5
            }
        })
        .collect()
}

#[test]
fn large_shapes() {
    let gpu = gpu();
    for (which, topk) in operators(&gpu).iter().enumerate() {
        let mut shapes = vec![
            (1, 131_073, 50),
            (1, 131_073, 0),
            (1, 131_073, 1000),
            (1, 32_000, 1024),
            (1, 128_000, 256),
            (3, 40_000, 5000),
            (1, 131_073, 131_073),
            (3, 32_000, 40),
            (2, 5000, 1025),
            (2, 4096, 4096),
            (3000, 1, 1),
        ];
        if which == 2 {
            // More rows than workgroups in one dimension; with large workgroups an emulation takes minutes for them.
            shapes.extend([(70_001, 5, 3), (70_001, 1, 1)]);
        }
        for (rows, n, k) in shapes {
            for select in [Select::Value, Select::Abs] {
                check(topk, &row(rows * n, 7), n, k, select)
                    .unwrap_or_else(|error| panic!("{rows}, {n}, {k}: {error}"));
            }
        }
    }
}

/// Rows at the end of what llvmpipe's loops can do, and beyond: all equal (every digit of a radix select), and such that each value beats
/// those before it (every tile of a bitonic one).
#[test]
fn rows_as_long_as_loops_go() {
    let gpu = gpu();
    for n in [1 << 20, (1 << 20) + 1, 1 << 24] {
        let rising: Vec<f32> = (0..n).map(|i| i as f32).collect();
        for input in [rising, vec![1.0; n]] {
            for profile in [Profile::Llvmpipe, gpu.profile()] {
                let topk = TopKGpu::new(gpu.clone(), profile);
                for k in [1, 128, 1000] {
                    let found = pollster::block_on(topk.run(&input, n, k, Select::Value)).expect("a result");
                    let expected = topk_cpu(&input, n, k, Select::Value).expect("a result");
                    assert_eq!(found.indices, expected.indices, "{n}, {k}, {profile:?}");
                }
            }
        }
    }
}

/// Rows that make filters useless: sorted both ways, all equal, equal but for the end.
#[test]
fn hard_rows() {
    let gpu = gpu();
    let n = 20_000;
    let rows = [
        (0..n).map(|i| i as f32).collect::<Vec<f32>>(),
        (0..n).map(|i| -(i as f32)).collect(),
        vec![f32::NAN; n],
        vec![-0.0; n],
        (0..n).map(|i| if i < n - 40 { 1.0 } else { 2.0 }).collect(),
        (0..n).map(|i| if i % 7 == 0 { i as f32 } else { 0.0 }).collect(),
    ];
    let llvmpipe = TopKGpu::new(gpu.clone(), Profile::Llvmpipe);
    for topk in operators(&gpu).iter().chain([&llvmpipe]) {
        for row in &rows {
            for k in [1, 33, 128, 129, 3000] {
                check(topk, row, n, k, Select::Value).expect("equal");
            }
        }
    }
}

/// A device with small bindings takes the rows in chunks.
#[test]
fn rows_go_in_chunks() {
    let gpu = gpu();
    gpu.limit_binding(1 << 16);
    let topk = TopKGpu::new(gpu.clone(), Profile::Gpu);
    for (rows, n, k) in [(700, 100, 7), (1000, 64, 64), (200, 320, 192)] {
        check(&topk, &row(rows * n, 3), n, k, Select::Value).expect("equal");
    }
    let error = pollster::block_on(topk.run(&row(40_000, 1), 40_000, 5, Select::Value)).expect_err("too long");
    assert_eq!(error.code(), Code::Argument);
}

#[test]
fn nothing_stays_alive() {
    let gpu = gpu();
    let before = gpu.ledger().buffers();
    let topk = TopKGpu::new(gpu.clone(), Profile::Gpu);
    pollster::block_on(topk.run(&row(5000, 1), 1000, 300, Select::Value)).expect("a result");
    drop(topk);
    assert_eq!(gpu.ledger().buffers(), before);
}

#[test]
fn impossible_shapes_are_refused() {
    let topk = TopKGpu::new(gpu(), Profile::Gpu);
    for (length, n, k) in [(6, 3, 4), (7, 3, 1), (5, 0, 0), (0, 0, 1)] {
        let input = vec![0.0; length];
        let cpu = topk_cpu(&input, n, k, Select::Value).expect_err("refused");
        let gpu = pollster::block_on(topk.run(&input, n, k, Select::Value)).expect_err("refused");
        assert_eq!(cpu.code(), Code::Argument);
        assert_eq!(cpu, gpu);
    }
    let nothing = pollster::block_on(topk.time(&[], 3, 1, Select::Value, 0, 1)).expect_err("refused");
    assert_eq!(nothing.code(), Code::Argument);
}

/// tests/goldens/topk_vectors.json, whose answers come from Python's own sorting.
#[test]
fn goldens() {
    #[derive(serde::Deserialize)]
    struct Golden {
        name: String,
        select: Select,
        k: usize,
        input: Vec<u32>,
        indices: Option<Vec<u32>>,
    }
    #[derive(serde::Deserialize)]
    struct Goldens {
        cases: Vec<Golden>,
    }

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/goldens/topk_vectors.json");
    let text = std::fs::read_to_string(path).expect("tests/goldens/topk_vectors.json");
    let goldens: Goldens = serde_json::from_str(&text).expect("goldens");
    assert!(goldens.cases.len() > 50);
    let gpu = gpu();
    for topk in operators(&gpu) {
        for Golden {
            name,
            select,
            k,
            input,
            indices,
        } in &goldens.cases
        {
            let row: Vec<f32> = input.iter().map(|&bits| f32::from_bits(bits)).collect();
            let on_gpu = pollster::block_on(topk.run(&row, row.len(), *k, *select));
            for result in [topk_cpu(&row, row.len(), *k, *select), on_gpu] {
                let Some(indices) = indices else {
                    assert_eq!(result.expect_err(name).code(), Code::Argument, "{name}");
                    continue;
                };
                let result = result.expect(name);
                let values: Vec<u32> = result.values.iter().map(|value| value.to_bits()).collect();
                assert_eq!(&result.indices, indices, "{name}");
                assert_eq!(
                    values,
                    indices.iter().map(|&i| input[i as usize]).collect::<Vec<u32>>(),
                    "{name}"
                );
            }
        }
    }
}
