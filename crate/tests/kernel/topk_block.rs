//! `shaders/topk.wgsl`, `subgroup_topk.wgsl` and `residual.wgsl` against plain Rust on the same bits: random rows full of ties, random edits.

use crate::runner::{bits, Gpu, Slot};
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};
use topk_lm::edits::{Action, ResolvedEdit, Site, EVERY_ROW};
use topk_lm::numerics::order::{topk_indices, Post, Select};
use topk_lm::ops::def::Params;

const LAYER: usize = 1;
const N_LAYERS: usize = 3;
const NO_LAYER: u32 = u32::MAX;

/// The kernels that cut, of those that the device runs.
fn cuts(gpu: &Gpu) -> &'static [&'static str] {
    if gpu.has_subgroups() {
        return &["topk", "subgroup_topk"];
    }
    println!("SKIPPED subgroup_topk.wgsl: the adapter has no subgroups");
    &["topk"]
}

/// One run of a kernel: everything it depends on.
#[derive(Clone, Debug)]
struct Case {
    rows: usize,
    d_model: usize,
    /// `None`: residual.wgsl.
    k: Option<usize>,
    select: Select,
    post: Post,
    start: u32,
    alternatives: bool,
    edits: Vec<ResolvedEdit>,
    resid_mid: Vec<f32>,
    mlp_out: Vec<f32>,
    threads: u32,
}

struct Outcome {
    topk_in: Vec<u32>,
    hidden: Vec<u32>,
    /// Per row (index, value bits).
    active: Vec<Vec<(u32, u32)>>,
    status: u32,
}

/// +0 for either zero: which of them stands in the dense row does not matter.
fn fold(bits: u32) -> u32 {
    if bits << 1 == 0 {
        0
    } else {
        bits
    }
}

impl Case {
    fn capacity(&self) -> usize {
        let edits = self.edits.iter().filter(|edit| edit.site == Site::TopkOut).count();
        (self.k.unwrap_or(0) + edits).min(self.d_model)
    }

    fn expected(&self) -> Outcome {
        let topk_in: Vec<f32> = self.resid_mid.iter().zip(&self.mlp_out).map(|(a, b)| a + b).collect();
        let mut hidden = topk_in.clone();
        let mut finite = topk_in.iter().all(|value| value.is_finite());
        for (row, values) in hidden.chunks_exact_mut(self.d_model).enumerate() {
            let position = self.start as usize + if self.alternatives { 0 } else { row };
            let mut edit = |values: &mut [f32], site| {
                for edit in self
                    .edits
                    .iter()
                    .filter(|edit| edit.site == site && edit.applies(row, position))
                {
                    let value = &mut values[edit.index as usize];
                    *value = edit.apply(*value);
                    finite &= value.is_finite();
                }
            };
            edit(values, Site::TopkIn);
            if let Some(k) = self.k {
                let mut cut = vec![0.0f32; self.d_model];
                for i in topk_indices(values, k, self.select) {
                    let value = values[i as usize];
                    cut[i as usize] = if self.post == Post::Relu { value.max(0.0) } else { value };
                }
                values.copy_from_slice(&cut);
            }
            edit(values, Site::TopkOut);
        }
        let listed = |row: &[f32]| {
            (0u32..)
                .zip(row)
                .filter(|(_, v)| **v != 0.0)
                .map(|(i, v)| (i, v.to_bits()))
                .collect()
        };
        Outcome {
            active: hidden.chunks_exact(self.d_model).map(listed).collect(),
            topk_in: bits(&topk_in),
            hidden: hidden.iter().map(|value| fold(value.to_bits())).collect(),
            status: if finite { NO_LAYER } else { LAYER as u32 },
        }
    }

    fn edit_words(&self) -> Vec<u32> {
        // Another layer's edit before this one's: it must not be applied.
        let mut words = vec![0; 2 * N_LAYERS];
        let first = words.len() as u32;
        (words[0], words[1]) = (first, 1);
        (words[2 * LAYER], words[2 * LAYER + 1]) = (first + 8, self.edits.len() as u32);
        words.extend([0, 1, 5.0f32.to_bits(), 0, u32::MAX, EVERY_ROW, 0, 0]);
        for edit in &self.edits {
            let action = match edit.action {
                Action::Add => 0,
                Action::Clamp => 1,
                Action::Scale => 2,
                Action::Ablate => 3,
            };
            let site = if edit.site == Site::TopkIn { 256 } else { 0 };
            words.extend([
                edit.index,
                action | site,
                edit.value.to_bits(),
                edit.from,
                edit.to,
                edit.row,
                0,
                0,
            ]);
        }
        words
    }

    fn on_gpu(&self, gpu: &Gpu, shader: &str) -> Outcome {
        let size = self.rows * self.d_model;
        let stride = 2 + 2 * self.capacity();
        // Without a cut several workgroups may end a row.
        let ends = if self.k.is_some() { 1 } else { 1 + self.start % 3 };
        let params = Params {
            rows: self.rows as u32,
            start: self.start,
            mode: u32::from(self.alternatives),
            layer: LAYER as u32,
            aux: [1, ends, 0], // parts of mlp_out, workgroups of a row
            ..Params::default()
        };
        let (resid_mid, mlp_out, edits) = (bits(&self.resid_mid), bits(&self.mlp_out), self.edit_words());
        let (untouched, list) = (vec![0xdead_beef; size], vec![0xdead_beef; self.rows * stride]);
        let mut constants = vec![("d_model", self.d_model as f64), ("threads", f64::from(self.threads))];
        let mut slots = vec![
            (0, Slot::Uniform(bytemuck::cast_slice(std::slice::from_ref(&params)))),
            (1, Slot::Read(&resid_mid)),
            (2, Slot::Read(&mlp_out)),
            (3, Slot::Read(&edits)),
            (4, Slot::Write(&untouched)),
            (5, Slot::Write(&untouched)),
            (7, Slot::Write(&[NO_LAYER])),
        ];
        if let Some(k) = self.k {
            slots.push((6, Slot::Write(&list)));
            constants.extend([
                ("k", k as f64),
                ("capacity", self.capacity() as f64),
                ("select_abs", f64::from(u8::from(self.select == Select::Abs))),
                ("post_relu", f64::from(u8::from(self.post == Post::Relu))),
            ]);
        }
        // More workgroups than rows.
        let mut out = gpu
            .run(shader, &constants, &slots, (self.rows as u32 * ends + 2, 1))
            .into_iter();
        let mut next = || out.next().unwrap_or_default();
        let (topk_in, hidden, status, list) = (next(), next(), next(), next());
        let row = |words: &[u32]| -> Vec<(u32, u32)> {
            words[2..]
                .chunks_exact(2)
                .take(words[0] as usize)
                .map(|entry| (entry[0], entry[1]))
                .collect()
        };
        let hidden = hidden.into_iter().map(fold).collect();
        Outcome {
            topk_in,
            hidden,
            status: status[0],
            active: list.chunks_exact(stride).map(row).collect(),
        }
    }

    fn check(&self, gpu: &Gpu, shader: &str) -> Result<(), TestCaseError> {
        let (expected, got) = (self.expected(), self.on_gpu(gpu, shader));
        prop_assert_eq!(got.topk_in, expected.topk_in, "topk_in");
        prop_assert_eq!(got.hidden, expected.hidden, "hidden");
        prop_assert_eq!(got.status, expected.status, "status");
        if self.k.is_some() {
            prop_assert_eq!(got.active, expected.active, "active");
        }
        Ok(())
    }
}

fn value() -> impl Strategy<Value = f32> {
    // Quarters for ties; some odd ones.
    prop_oneof![
        8 => (-12i32..12).prop_map(|x| x as f32 * 0.25),
        4 => -3.0f32..3.0,
        1 => prop_oneof![Just(-0.0f32), Just(0.0), Just(1e30), Just(-1e30), Just(f32::MIN_POSITIVE)],
    ]
}

fn an_edit(d_model: usize, rows: usize, start: u32) -> impl Strategy<Value = ResolvedEdit> {
    let action = prop_oneof![
        Just(Action::Add),
        Just(Action::Clamp),
        Just(Action::Scale),
        Just(Action::Ablate)
    ];
    let value = prop_oneof![Just(0.0f32), Just(-0.0), Just(1.0), Just(0.5), Just(8.0), -4.0f32..4.0];
    let span = prop_oneof![
        Just((0, u32::MAX)),
        (0u32..6, 1u32..5).prop_map(move |(a, b)| (start + a, start + a + b))
    ];
    let row = prop_oneof![2 => Just(EVERY_ROW), 1 => 0..rows as u32];
    // Few indices, so that several edits meet at one.
    (0..d_model.min(9), action, value, any::<bool>(), span, row).prop_map(
        move |(index, action, value, inside, (from, to), row)| {
            let site = if inside { Site::TopkIn } else { Site::TopkOut };
            ResolvedEdit {
                index: (d_model - 1 - index) as u32,
                action,
                value,
                site,
                from,
                to,
                row,
            }
        },
    )
}

/// Widths below and above the number of threads.
fn case(k: impl Fn(usize) -> BoxedStrategy<Option<usize>> + Clone) -> impl Strategy<Value = Case> {
    let width = prop_oneof![3 => 1usize..300, 3 => 300usize..2600, 1 => 4000usize..5000];
    (width, 1usize..8, 0u32..5)
        .prop_flat_map(move |(d_model, rows, start)| {
            let values = || prop::collection::vec(value(), rows * d_model);
            let edits = prop::collection::vec(an_edit(d_model, rows, start), 0..12);
            let threads = prop_oneof![Just(4u32), Just(8), Just(64), Just(256)];
            (
                Just((rows, d_model, start)),
                k(d_model),
                any::<[bool; 3]>(),
                edits,
                values(),
                values(),
                threads,
            )
        })
        .prop_map(
            |((rows, d_model, start), k, flags, edits, resid_mid, mlp_out, threads)| Case {
                rows,
                d_model,
                k,
                select: if flags[0] { Select::Abs } else { Select::Value },
                post: if flags[1] { Post::Relu } else { Post::Identity },
                start,
                alternatives: flags[2],
                edits,
                resid_mid,
                mlp_out,
                threads,
            },
        )
}

fn check_all(shader: &str, cases: impl Strategy<Value = Case>) {
    let gpu = Gpu::new();
    let mut runner = TestRunner::new(Runs {
        cases: 32,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Runs::default()
    });
    runner
        .run(&cases, |case| case.check(&gpu, shader))
        .unwrap_or_else(|error| panic!("{shader}: {error}"));
}

#[test]
fn the_cut_equals_plain_rust() {
    for cut in cuts(&Gpu::new()) {
        check_all(cut, case(|d| (1..=d).prop_map(Some).boxed()));
    }
}

#[test]
fn residual_equals_plain_rust() {
    check_all("residual", case(|_| Just(None).boxed()));
}

/// A row whose sum of residual and MLP output is `values`.
fn plain(d_model: usize, k: usize, values: Vec<f32>) -> Case {
    Case {
        rows: values.len() / d_model,
        d_model,
        k: Some(k),
        select: Select::Value,
        post: Post::Identity,
        start: 0,
        alternatives: false,
        edits: Vec::new(),
        mlp_out: vec![0.0; values.len()],
        resid_mid: values,
        threads: 64,
    }
}

/// Keys in order, all equal, or all in one bin.
#[test]
fn adversarial_rows() {
    let gpu = Gpu::new();
    let rows: Vec<Vec<f32>> = vec![
        (0..5000).map(|i| i as f32).collect(),
        (0..5000).map(|i| -(i as f32)).collect(),
        vec![-1.5; 5000],
        (0..5000).map(|i| if i % 1000 < 990 { 1.0 } else { i as f32 }).collect(),
        (0..5000).map(|i| if i < 4600 { -1.0 } else { i as f32 }).collect(),
        (0..5000).map(|i| (i % 7) as f32 * 1e-42).collect(),
    ];
    for (number, row) in rows.into_iter().enumerate() {
        for k in [1, 2, 31, 64, 128, 4321, 5000] {
            for threads in [4, 256] {
                let case = Case {
                    threads,
                    ..plain(5000, k, row.clone())
                };
                for cut in cuts(&gpu) {
                    case.check(&gpu, cut)
                        .unwrap_or_else(|error| panic!("{cut}, row {number}, k {k}: {error}"));
                }
            }
        }
    }
}

#[test]
fn a_sum_that_is_not_finite_names_its_layer() {
    let gpu = Gpu::new();
    for wrong in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        let mut case = plain(100, 5, vec![0.25; 300]);
        case.resid_mid[217] = wrong;
        for cut in cuts(&gpu) {
            assert_eq!(case.on_gpu(&gpu, cut).status, LAYER as u32);
        }
    }
    for cut in cuts(&gpu) {
        assert_eq!(plain(100, 5, vec![0.25; 300]).on_gpu(&gpu, cut).status, NO_LAYER);
    }
}

/// An `add` of site `topk_in` that lifts a neuron in evicts exactly the k-th.
#[test]
fn lifting_a_neuron_evicts_the_last() {
    let gpu = Gpu::new();
    let mut case = plain(64, 4, (0..64).map(|i| 64.0 - i as f32).collect());
    let edit = ResolvedEdit {
        index: 50,
        action: Action::Add,
        value: 100.0,
        site: Site::TopkIn,
        from: 0,
        to: 9,
        row: EVERY_ROW,
    };
    case.edits.push(edit);
    for cut in cuts(&gpu) {
        let kept: Vec<u32> = case.on_gpu(&gpu, cut).active[0].iter().map(|entry| entry.0).collect();
        assert_eq!(kept, [0, 1, 2, 50], "{cut}");
    }
}
