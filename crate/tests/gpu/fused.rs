//! The fused kernels of a few rows against the CPU's operations, and against the kernels that they stand for.

use std::rc::Rc;

use pollster::block_on;
use topk_lm::config::{Biases, Config, Mlp};
use topk_lm::edits::{Action, EditTable, ResolvedEdit, Site, EVERY_ROW};
use topk_lm::exec::cpu::CpuCache;
use topk_lm::exec::gpu::{Gpu, GpuCache};
use topk_lm::exec::request::{Batch, Capture, LogitRows};
use topk_lm::ops::attn_out::RESID_MID;
use topk_lm::ops::buffers::HIDDEN;
use topk_lm::ops::def::{Point, Rows, Stage};
use topk_lm::ops::fused;
use topk_lm::ops::residual::TOPK_IN;
use topk_lm::weights::Dtype;

use crate::cases::{biases, device, difference, llama, load, topk, Both, Random};
use crate::common::soak;

const NEAR: f32 = 2e-4;

/// Blocks of many shapes: grouped heads, odd widths, wide heads, MLPs with and without a gate, of which 16 numbers do not divide the width.
fn shapes() -> Vec<Config> {
    let base = Config {
        topk: topk(9),
        n_layers: 3,
        n_nontopk: 1,
        ..llama()
    };
    let mut ungated = base.clone();
    ungated.mlp.gated = false;
    ungated.biases.mlp_in = true;
    let split = Config {
        d_model: 600,
        topk: topk(48),
        ..base.clone()
    };
    vec![
        base.clone(),
        Config {
            d_model: 61,
            d_mlp: 33,
            d_vocab: 97,
            ..base.clone()
        },
        Config {
            d_model: 700,
            d_head: 64,
            n_heads: 8,
            n_kv_heads: 4,
            d_mlp: 500,
            topk: topk(48),
            ..base.clone()
        },
        Config { d_mlp: 1000, ..ungated },
        Config {
            topk: None,
            ..base.clone()
        },
        // Many heads and workgroups of the MLP, and several that end a block.
        Config {
            topk: None,
            d_model: 601,
            n_heads: 9,
            n_kv_heads: 3,
            d_mlp: 700,
            ..base.clone()
        },
        // Behind a TopK block these gather: the attention is narrow.
        split.clone(),
        Config {
            d_mlp: 55,
            biases: Biases {
                mlp_in: true,
                ..biases(false)
            },
            ..split.clone()
        },
        Config {
            d_model: 701,
            mlp: Mlp {
                gated: false,
                ..base.mlp
            },
            d_mlp: 77,
            n_kv_heads: 1,
            ..split
        },
    ]
}

fn an_edit(random: &mut Random, config: &Config) -> ResolvedEdit {
    ResolvedEdit {
        index: random.below(config.d_model) as u32,
        action: Action::Clamp,
        value: 3.0 * random.unit(),
        site: if random.below(2) == 0 {
            Site::TopkIn
        } else {
            Site::TopkOut
        },
        from: 0,
        to: u32::MAX,
        row: EVERY_ROW,
    }
}

/// A model's rows by the CPU's operations, by the kernels that the fused ones stand for, and by those.
struct Ways {
    both: Both,
    number: usize,
    /// Outside of `npm run soak` some shapes do without the kernels that the fused ones stand for: making them takes longest.
    apart: bool,
    edits: EditTable,
    on_cpu: CpuCache,
    on_gpu: GpuCache,
    random: Random,
    start: usize,
}

impl Ways {
    fn new(gpu: &Rc<Gpu>, config: &Config, number: usize, apart: bool) -> Self {
        assert!(fused::fits(config), "{config:?}");
        let dtype = [Dtype::F32, Dtype::F16, Dtype::Bf16][number % 3];
        let both = load(gpu, config, dtype, 71 + number as u64);
        let mut random = Random::new(number as u64);
        let mut edits = EditTable::none(config.n_layers);
        for layer in 0..config.n_layers {
            (0..number).for_each(|_| edits.push(layer, an_edit(&mut random, config)));
        }
        let (on_cpu, on_gpu) = (both.cpu.new_cache(), both.gpu.new_cache().unwrap());
        Self {
            both,
            number,
            apart,
            edits,
            on_cpu,
            on_gpu,
            random,
            start: 0,
        }
    }

    fn feed(&mut self, config: &Config, positions: usize) {
        let end = self.start + positions;
        while self.start < end {
            let rows = self
                .both
                .gpu
                .max_rows()
                .min(self.both.cpu.max_rows())
                .min(end - self.start);
            let ids: Vec<u32> = (0..rows).map(|_| self.random.below(config.d_vocab) as u32).collect();
            let batch = Batch {
                ids: &ids,
                start: self.start,
                rows: Rows::Sequence,
                edits: &self.edits,
                captures: &[],
                logits: LogitRows::None,
            };
            block_on(self.both.cpu.forward(&mut self.on_cpu, &batch)).unwrap();
            block_on(self.both.gpu.forward(&mut self.on_gpu, &batch)).unwrap();
            self.start += rows;
        }
    }

    fn compare(&mut self, config: &Config, rows: usize, mode: Rows) {
        let ends: Vec<Capture> = (0..config.n_layers)
            .flat_map(|layer| [TOPK_IN, HIDDEN].map(|buffer| Capture::buffer(Point::end(layer), buffer)))
            .collect();
        let mut inside = ends.clone();
        inside.insert(0, Capture::buffer(Point::of(0, Stage::AttnOut), RESID_MID));
        let ids: Vec<u32> = (0..rows).map(|_| self.random.below(config.d_vocab) as u32).collect();
        let batch = |captures| Batch {
            ids: &ids,
            start: self.start,
            rows: mode,
            edits: &self.edits,
            captures,
            logits: LogitRows::All,
        };
        let (cpu, gpu, number) = (&self.both.cpu, &self.both.gpu, self.number);
        let expected = block_on(cpu.forward(&mut self.on_cpu, &batch(&ends))).unwrap();
        let fused = block_on(gpu.forward(&mut self.on_gpu, &batch(&ends))).unwrap();
        let dispatches = gpu.dispatches();
        let saved = if rows <= 8 { 2 * config.n_layers } else { 0 };
        let mut all = vec![expected.captured];
        if self.apart {
            let apart = block_on(gpu.forward(&mut self.on_gpu, &batch(&inside))).unwrap();
            assert_eq!(dispatches + saved, gpu.dispatches(), "{rows} rows from {}", self.start);
            all.push(apart.captured[1..].to_vec());
        } else {
            assert_eq!(
                dispatches + saved,
                2 + 6 * config.n_layers,
                "{rows} rows from {}",
                self.start
            );
        }
        for (at, (capture, fused)) in ends.iter().zip(&fused.captured).enumerate() {
            for other in &all {
                let off = difference(&other[at], fused);
                assert!(off < NEAR, "shape {number}, {rows} rows: {capture:?} differs by {off}");
            }
        }
        let off = difference(&expected.logits, &fused.logits);
        assert!(off < NEAR, "shape {number}, {rows} rows: logits differ by {off}");
        if mode == Rows::Sequence {
            self.start += rows;
        }
    }
}

#[test]
fn fused_kernels_equal_the_operations() {
    let Some(gpu) = device() else { return };
    for (number, config) in shapes().into_iter().enumerate() {
        let mut ways = Ways::new(&gpu, &config, number, number % 3 == 0 || soak());
        for (rows, mode) in [
            (12, Rows::Sequence),
            (1, Rows::Sequence),
            (8, Rows::Alternatives),
            (3, Rows::Sequence),
        ] {
            ways.compare(&config, rows, mode);
        }
    }
}

/// Where attention splits the context of few rows: from 513 positions on.
#[test]
fn fused_kernels_join_parts() {
    let Some(gpu) = device() else { return };
    let shapes = shapes();
    let sliding = Config {
        windows: vec![Some(515), None, Some(40)],
        ..shapes[2].clone()
    };
    for (number, config) in [shapes[0].clone(), sliding, shapes[6].clone()].into_iter().enumerate() {
        let config = Config { n_ctx: 540, ..config };
        let mut ways = Ways::new(&gpu, &config, number, true);
        ways.feed(&config, 511);
        for _ in 0..4 {
            ways.compare(&config, 1, Rows::Sequence);
        }
        for (rows, mode) in [
            (1, Rows::Sequence),
            (4, Rows::Alternatives),
            (3, Rows::Sequence),
            (5, Rows::Sequence),
            (9, Rows::Sequence),
        ] {
            ways.compare(&config, rows, mode);
        }
    }
}

#[test]
fn what_is_not_fused() {
    assert!(!fused::fits(&crate::cases::gpt2()));
    for config in [
        Config {
            biases: biases(true),
            ..llama()
        },
        // More heads than pay.
        Config {
            n_heads: 12,
            d_head: 4,
            d_mlp: 1000,
            ..llama()
        },
        // More numbers to add up than one workgroup should.
        Config {
            d_model: 2048,
            d_mlp: 513,
            topk: topk(9),
            ..llama()
        },
        Config {
            post_norms: true,
            ..llama()
        },
        Config {
            d_model: 2049,
            ..llama()
        },
    ] {
        assert!(!fused::fits(&config), "{config:?}");
    }
}
