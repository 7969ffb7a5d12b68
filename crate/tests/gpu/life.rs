//! What is created is destroyed, and what goes wrong is a typed error.

use std::rc::Rc;

use pollster::block_on;
use topk_lm::config::Config;
use topk_lm::edits::{Action, Edit, EditTable, ResolvedEdit, Site, EVERY_ROW};
use topk_lm::error::Code;
use topk_lm::exec::adapter::{BackendChoice, BackendKind};
use topk_lm::exec::gpu::{self, GpuCache, GpuEngine, GpuLoader};
use topk_lm::exec::request::{Batch, Capture, Decode, LogitRows};
use topk_lm::ops::buffers::HIDDEN;
use topk_lm::ops::def::{Point, Rows, Stage};
use topk_lm::ops::pattern;
use topk_lm::ops::qkv::ROTATED;
use topk_lm::ops::sampling::Sampling;
use topk_lm::session::{Model, RunOptions};
use topk_lm::weights::{Dtype, Weight, WeightSink};

use crate::cases::{device, gpt2, llama, load, load_gpu, topk, weights};
use crate::common::{golden, largest_difference};

fn batch<'a>(ids: &'a [u32], edits: &'a EditTable, captures: &'a [Capture]) -> Batch<'a> {
    Batch {
        ids,
        start: 0,
        rows: Rows::Sequence,
        edits,
        captures,
        logits: LogitRows::Last,
    }
}

#[test]
fn nothing_is_left_behind() {
    let Some(gpu) = device() else { return };
    let config = llama();
    let weights = weights(&config, Dtype::F32, 51);
    let edits = EditTable::none(config.n_layers);
    let sampling = Sampling {
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
        repetition_penalty: 1.1,
        seed: 0,
    };
    for round in 0..5 {
        let engine = load_gpu(&gpu, &config, &weights);
        // What the first use makes, later ones share.
        let mut used = 0;
        for _ in 0..5 {
            let mut cache = engine.new_cache().unwrap();
            let captures = [
                Capture::probe(Point::of(0, Stage::Attention), &pattern::DEF, HIDDEN),
                Capture::lens(Point::end(0)),
            ];
            block_on(engine.forward(&mut cache, &batch(&[1, 2, 3], &edits, &captures))).unwrap();
            let decode = Decode {
                ids: &[1, 2, 3, 4],
                steps: 8,
                sampling: &sampling,
                edits: &edits,
                captures: &[],
                logits: false,
            };
            block_on(engine.decode(&mut cache, &decode)).unwrap();
            drop(cache);
            let left = gpu.ledger().buffers();
            assert!(left > 30 && gpu.ledger().bytes() > 0);
            used = if used == 0 { left } else { used };
            // Up to four read-back buffers wait for their next use.
            assert!(left <= used + 4, "round {round}: {left} of {used}");
        }
        drop(engine);
        assert_eq!((gpu.ledger().buffers(), gpu.ledger().bytes()), (0, 0), "round {round}");
    }
}

/// Another checkpoint loads beside the first: both run, and each stays what it is.
#[test]
fn two_sets_of_weights() {
    let Some(gpu) = device() else { return };
    let config = llama();
    let edits = EditTable::none(config.n_layers);
    let (old, new) = (weights(&config, Dtype::F32, 56), weights(&config, Dtype::F32, 57));
    let run = |engine: &GpuEngine, cache: &mut GpuCache| {
        block_on(engine.forward(cache, &batch(&[1, 2, 3], &edits, &[])))
            .unwrap()
            .logits
    };
    let first = load_gpu(&gpu, &config, &old);
    let mut first_cache = first.new_cache().unwrap();
    let before = run(&first, &mut first_cache);
    let mut loader = GpuLoader::beside(&first).unwrap();
    for (which, tensor) in &new {
        loader.weight(*which, tensor.clone()).unwrap();
        assert_eq!(run(&first, &mut first_cache), before);
    }
    let second = block_on(loader.finish()).unwrap();
    let mut second_cache = second.new_cache().unwrap();
    let after = run(&second, &mut second_cache);
    assert_ne!(before, after);
    assert_eq!(run(&first, &mut first_cache), before);
    drop((first, first_cache));
    assert_eq!(run(&second, &mut second_cache), after);
    drop((second, second_cache));
    assert_eq!(gpu.ledger().buffers(), 0);
}

#[test]
fn a_lost_device_is_a_typed_error() {
    let Some(gpu) = device() else { return };
    let config = llama();
    let weights = weights(&config, Dtype::F32, 52);
    let engine = load_gpu(&gpu, &config, &weights);
    let edits = EditTable::none(config.n_layers);
    let mut cache = engine.new_cache().unwrap();
    block_on(engine.forward(&mut cache, &batch(&[1], &edits, &[]))).unwrap();
    gpu.destroy();
    for _ in 0..2 {
        let error = block_on(engine.forward(&mut cache, &batch(&[1], &edits, &[]))).unwrap_err();
        assert_eq!(error.code(), Code::DeviceLost, "{error}");
    }
    drop((engine, cache));
    let Some(gpu) = device() else { return };
    let engine = load_gpu(&gpu, &config, &weights);
    block_on(engine.forward(&mut engine.new_cache().unwrap(), &batch(&[1], &edits, &[]))).unwrap();
}

#[test]
fn non_finite_activations_name_their_layer() {
    let Some(gpu) = device() else { return };
    let config = llama();
    let edits = EditTable::none(config.n_layers);
    for (which, named) in [(Weight::MlpOut(0), "layer 0"), (Weight::AttnOut(1), "layer 1")] {
        let mut weights = weights(&config, Dtype::F32, 53);
        for (weight, tensor) in &mut weights {
            if *weight == which {
                tensor.data[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
            }
        }
        let engine = load_gpu(&gpu, &config, &weights);
        let error =
            block_on(engine.forward(&mut engine.new_cache().unwrap(), &batch(&[1, 2], &edits, &[]))).unwrap_err();
        assert_eq!(error.code(), Code::NonFinite);
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn edits_that_overflow_name_their_layer() {
    let Some(gpu) = device() else { return };
    for topk in [None, topk(7)] {
        let config = Config { topk, ..llama() };
        let engine = load_gpu(&gpu, &config, &weights(&config, Dtype::F32, 58));
        let mut edits = EditTable::none(config.n_layers);
        for value in [f32::MAX, f32::MAX] {
            let (action, site) = (Action::Add, Site::TopkOut);
            edits.push(
                1,
                ResolvedEdit {
                    index: 3,
                    action,
                    value,
                    site,
                    from: 0,
                    to: u32::MAX,
                    row: EVERY_ROW,
                },
            );
        }
        let result = block_on(engine.forward(&mut engine.new_cache().unwrap(), &batch(&[1, 2], &edits, &[])));
        let error = result.unwrap_err();
        assert_eq!(error.code(), Code::NonFinite);
        assert!(error.to_string().contains("layer 1"), "{error}");
    }
}

/// Values whose squares f32 has no room for: the norms scale them to 0, on both executors and in every kind of row.
#[test]
fn values_beyond_a_norm_are_the_same_on_both() {
    let Some(_) = device() else { return };
    let folder = golden("gpt2-relu");
    let edits = vec![Edit::clamp(0, 1, 1e25)];
    let options = RunOptions {
        edits,
        ..RunOptions::default()
    };
    let [cpu, gpu] = [BackendChoice::Cpu, BackendChoice::Gpu].map(|choice| Model::open_on(&folder, choice).unwrap());
    let ids = [1, 2, 3];
    let [cpu, gpu] = [cpu, gpu].map(|model| model.run_now(&ids, &options).unwrap().logits.data);
    assert!(largest_difference(&cpu, &gpu) <= 1e-3);
}

/// Of many rows behind a narrow cut, whose norm is made on the way.
#[test]
fn values_beyond_a_norm_of_many_rows_are_the_same_on_both() {
    let Some(gpu) = device() else { return };
    let config = Config {
        topk: topk(7),
        ..gpt2()
    };
    let both = load(&gpu, &config, Dtype::F32, 57);
    let mut edits = EditTable::none(config.n_layers);
    let edit = ResolvedEdit {
        index: 1,
        action: Action::Clamp,
        value: 1e25,
        site: Site::TopkOut,
        from: 4,
        to: 5,
        row: EVERY_ROW,
    };
    edits.push(0, edit);
    let ids: Vec<u32> = (0..20).map(|i| i * i % 61).collect();
    let text = Batch::text(&ids, &edits, LogitRows::Last);
    let cpu = block_on(both.cpu.forward(&mut both.cpu.new_cache(), &text)).unwrap();
    let gpu = block_on(both.gpu.forward(&mut both.gpu.new_cache().unwrap(), &text)).unwrap();
    assert!(largest_difference(&cpu.logits, &gpu.logits) <= 1e-3);
}

#[test]
fn a_model_too_large_is_refused_and_leaves_nothing() {
    let Some(gpu) = device() else { return };
    let config = llama();
    gpu.limit_binding(8192);
    let mut loader = GpuLoader::new(gpu.clone(), Rc::new(config.clone())).unwrap();
    // Before its numbers are there.
    let early = loader.expect(&[
        (Weight::Embed, Dtype::F32, 67 * 60 * 4),
        (Weight::Qkv(0), Dtype::F32, 60 * 64 * 4),
    ]);
    let early = early.expect_err("a matrix of 60 × 64 numbers is larger than 8192 bytes");
    let mut refused = None;
    for (which, tensor) in weights(&config, Dtype::F32, 54) {
        if let Err(error) = loader.weight(which, tensor) {
            refused = Some(error);
            break;
        }
    }
    let late = refused.expect("an error");
    for error in [early, late] {
        assert_eq!(error.code(), Code::Device);
        assert!(error.to_string().contains("Qkv(0)"), "{error}");
    }
    drop(loader);
    assert_eq!(gpu.ledger().buffers(), 0);
    // The tables by position, and a row: before any weight.
    for (bytes, code) in [(4096, Code::OutOfMemory), (128, Code::Device)] {
        gpu.limit_binding(bytes);
        let error = GpuLoader::new(gpu.clone(), Rc::new(config.clone()))
            .err()
            .expect("an error");
        assert_eq!(error.code(), code, "{error}");
    }
    assert_eq!(gpu.ledger().buffers(), 0);
}

/// The edits' buffer that has to grow, what captures compute, and the groups that bind them: a model whose device had no room for them works
/// once it has.
#[test]
fn what_could_not_be_made_is_made_by_the_next_call() {
    let Some(gpu) = device() else { return };
    let config = Config {
        topk: topk(7),
        ..llama()
    };
    let weights = weights(&config, Dtype::F32, 59);
    let mut edits = EditTable::none(config.n_layers);
    for value in 0..1000 {
        let edit = ResolvedEdit {
            index: 3,
            action: Action::Clamp,
            value: value as f32 / 1000.0,
            site: Site::TopkOut,
            from: 0,
            to: u32::MAX,
            row: EVERY_ROW,
        };
        edits.push(1, edit);
    }
    let none = EditTable::none(config.n_layers);
    let captures = [
        Capture::probe(Point::of(0, Stage::Attention), &pattern::DEF, ROTATED),
        Capture::lens(Point::end(0)),
    ];
    let [whole, plain] = [batch(&[1, 2, 3], &edits, &captures), batch(&[1, 2, 3], &none, &[])];
    let run = |engine: &GpuEngine, batch: &Batch<'_>| block_on(engine.forward(&mut engine.new_cache().unwrap(), batch));
    let other = load_gpu(&gpu, &config, &weights);
    let engine = load_gpu(&gpu, &config, &weights);
    let [expected, without] = [&whole, &plain].map(|batch| run(&other, batch).unwrap());
    let mut cache = engine.new_cache().unwrap();
    block_on(engine.forward(&mut cache, &plain)).unwrap();
    gpu.refuse_buffers(true);
    block_on(engine.forward(&mut cache, &whole)).unwrap_err();
    gpu.refuse_buffers(false);
    let got = block_on(engine.forward(&mut cache, &plain)).unwrap();
    assert_eq!(got.logits, without.logits);
    let got = block_on(engine.forward(&mut cache, &whole)).unwrap();
    assert_eq!((got.captured, &got.logits), (expected.captured, &expected.logits));
    // A model on the same device, of which nothing failed.
    assert_eq!(run(&other, &whole).unwrap().logits, got.logits);
}

#[test]
fn a_missing_weight_is_named() {
    let Some(gpu) = device() else { return };
    let config = llama();
    for missing in [Weight::Embed, Weight::MlpIn(1), Weight::Norm2Gain(0)] {
        let mut loader = GpuLoader::new(gpu.clone(), Rc::new(config.clone())).unwrap();
        for (which, tensor) in weights(&config, Dtype::F32, 55) {
            if which != missing {
                loader.weight(which, tensor).unwrap();
            }
        }
        let error = block_on(loader.finish()).expect_err("an error");
        assert_eq!(error.code(), Code::Checkpoint);
        assert!(error.to_string().contains(&format!("{missing:?}")), "{error}");
    }
}

#[test]
fn the_choice_says_why() {
    let (cpu, none) = block_on(gpu::open(BackendChoice::Cpu)).unwrap();
    assert!(none.is_none() && cpu.kind == BackendKind::Cpu && cpu.adapter.is_none());
    let (auto, device) = block_on(gpu::open(BackendChoice::Auto)).unwrap();
    assert_eq!(device.is_some(), auto.kind == BackendKind::Gpu);
    assert!(
        !(auto.is_fallback && auto.kind == BackendKind::Gpu),
        "auto took a software adapter: {auto:?}"
    );
    assert!(!auto.reason.is_empty());
}
