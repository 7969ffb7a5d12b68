//! Each operation on the GPU against its CPU twin: every buffer of the program, after every operation, over awkward shapes.

use std::rc::Rc;

use pollster::block_on;
use topk_lm::config::{CacheDtype, Config};
use topk_lm::edits::{Action, EditTable, ResolvedEdit, Site, EVERY_ROW};
use topk_lm::exec::gpu::Gpu;
use topk_lm::exec::request::{Batch, BatchOutput, Capture, LogitRows};
use topk_lm::ops::buffers::HIDDEN;
use topk_lm::ops::def::{Point, Rows, Stage};
use topk_lm::ops::{embed, lm_head, pattern};
use topk_lm::program::Program;
use topk_lm::weights::Dtype;

use crate::cases::{biases, device, difference, gpt2, llama, load, topk, Both, Random};

/// Sums of up to a thousand products of numbers near 1, in two orders.
const NEAR: f32 = 2e-4;

/// The same where keys and values that differ by less than that may be rounded to neighbors among f16.
fn near(config: &Config) -> f32 {
    match config.cache_dtype {
        CacheDtype::F32 => NEAR,
        CacheDtype::F16 => 1e-3,
    }
}

/// Everything that the program writes, as captures.
fn everything(config: &Config) -> Vec<Capture> {
    let mut captures = Vec::new();
    if config.rope().is_none() {
        captures.extend([
            Capture::probe(Point::EMBED, &embed::TOKEN_TERM, HIDDEN),
            Capture::probe(Point::EMBED, &embed::POSITION_TERM, HIDDEN),
        ]);
    }
    for step in Program::new(config).steps {
        let written = (step.op.writes)(config, &step)
            .into_iter()
            .filter(|b| b.width(config) > 0);
        captures.extend(written.map(|buffer| Capture::buffer(step.point, buffer)));
        match step.point.stage {
            Stage::Attention => captures.push(Capture::probe(step.point, &pattern::DEF, HIDDEN)),
            Stage::End => {
                captures.push(Capture::probe(step.point, &lm_head::NORM, HIDDEN));
                captures.push(Capture::lens(step.point));
            }
            _ => {}
        }
    }
    captures
}

/// Runs a prompt of `prompt` rows in one batch, then `then` rows as a second batch, on both; compares everything.
pub fn compare(name: &str, config: &Config, both: &Both, prompt: usize, then: usize, mode: Rows) {
    compare_edited(
        name,
        config,
        both,
        prompt,
        then,
        mode,
        &EditTable::none(config.n_layers),
    );
}

fn compare_edited(name: &str, config: &Config, both: &Both, prompt: usize, then: usize, mode: Rows, edits: &EditTable) {
    let mut random = Random::new(prompt as u64 + 7);
    let (mut on_cpu, mut on_gpu) = (both.cpu.new_cache(), both.gpu.new_cache().unwrap());
    let mut start = 0;
    for (rows, mode) in [(prompt, Rows::Sequence), (then, mode)] {
        let ids: Vec<u32> = (0..rows).map(|_| random.below(config.d_vocab) as u32).collect();
        let captures = everything(config);
        let mut done = 0;
        let (mut cpu, mut gpu) = (BatchOutput::default(), BatchOutput::default());
        while done < rows {
            // The CPU may take fewer rows at a time; alternatives are independent.
            let n = (rows - done).min(both.cpu.max_rows());
            let at = if mode == Rows::Sequence { start + done } else { start };
            let batch = Batch {
                ids: &ids[done..done + n],
                start: at,
                rows: mode,
                edits,
                captures: &captures,
                logits: LogitRows::All,
            };
            let part = block_on(both.cpu.forward(&mut on_cpu, &batch)).unwrap();
            cpu.captured.resize(captures.len(), Vec::new());
            for ((all, part), capture) in cpu.captured.iter_mut().zip(part.captured).zip(&captures) {
                let is_longer = capture.is_pattern() && mode == Rows::Sequence;
                all.extend(if is_longer {
                    pattern::fitted(part, at + n, start + rows).unwrap()
                } else {
                    part
                });
            }
            cpu.logits.extend(part.logits);
            done += n;
        }
        if rows > 0 {
            let batch = Batch {
                ids: &ids,
                start,
                rows: mode,
                edits,
                captures: &captures,
                logits: LogitRows::All,
            };
            gpu = block_on(both.gpu.forward(&mut on_gpu, &batch)).unwrap();
            for (capture, (expected, got)) in captures.iter().zip(cpu.captured.iter().zip(&gpu.captured)) {
                let off = difference(expected, got);
                assert!(
                    off < near(config),
                    "{name}, {rows} rows from {start}, {mode:?}: {capture:?} differs by {off}"
                );
            }
        }
        let off = difference(&cpu.logits, &gpu.logits);
        assert!(
            off < near(config),
            "{name}, {rows} rows from {start}, {mode:?}: logits differ by {off}"
        );
        start += rows;
    }
}

/// Rows behind 560 others, where attention splits the context of few.
pub fn compare_late(name: &str, config: &Config, gpu: &Rc<Gpu>, seed: u64) {
    let both = load(gpu, config, Dtype::F32, seed);
    let edits = EditTable::none(config.n_layers);
    let (mut on_cpu, mut on_gpu) = (both.cpu.new_cache(), both.gpu.new_cache().unwrap());
    let mut random = Random::new(seed);
    let ids: Vec<u32> = (0..581).map(|_| random.below(config.d_vocab) as u32).collect();
    let captures = everything(config);
    let batch = |start: usize, rows: usize, mode, captures, logits| Batch {
        ids: &ids[start..start + rows],
        start,
        rows: mode,
        edits: &edits,
        captures,
        logits,
    };
    for start in (0..560).step_by(both.cpu.max_rows()) {
        let rows = both.cpu.max_rows().min(560 - start);
        let batch = batch(start, rows, Rows::Sequence, &[], LogitRows::None);
        block_on(both.cpu.forward(&mut on_cpu, &batch)).unwrap();
    }
    for start in (0..560).step_by(both.gpu.max_rows()) {
        let rows = both.gpu.max_rows().min(560 - start);
        let batch = batch(start, rows, Rows::Sequence, &[], LogitRows::None);
        block_on(both.gpu.forward(&mut on_gpu, &batch)).unwrap();
    }
    for (start, rows, mode) in [
        (560, 1, Rows::Sequence),
        (561, 4, Rows::Alternatives),
        (561, 3, Rows::Sequence),
        (561, 9, Rows::Sequence),
        (561, 20, Rows::Alternatives),
    ] {
        let batch = batch(start, rows, mode, &captures, LogitRows::Last);
        let cpu = block_on(both.cpu.forward(&mut on_cpu, &batch)).unwrap();
        let gpu = block_on(both.gpu.forward(&mut on_gpu, &batch)).unwrap();
        for (capture, (expected, got)) in captures.iter().zip(cpu.captured.iter().zip(&gpu.captured)) {
            let off = difference(expected, got);
            assert!(
                off < near(config),
                "{name}, {rows} rows from {start}, {mode:?}: {capture:?} differs by {off}"
            );
        }
    }
}

#[test]
fn rows_and_drivers() {
    let Some(gpu) = device() else { return };
    for config in [llama(), gpt2()] {
        let both = load(&gpu, &config, Dtype::F32, 1);
        for rows in [1, 2, 3, 8, 9, 17, 64, 65, 129] {
            compare("rows", &config, &both, rows, 3, Rows::Sequence);
        }
    }
}

#[test]
fn alternatives() {
    let Some(gpu) = device() else { return };
    for config in [llama(), gpt2()] {
        let both = load(&gpu, &config, Dtype::F32, 2);
        for (prompt, rows) in [(1, 5), (17, 9), (63, 130), (159, 2)] {
            compare("alternatives", &config, &both, prompt, rows, Rows::Alternatives);
        }
    }
}

#[test]
fn widths_and_dtypes() {
    let Some(gpu) = device() else { return };
    let dtypes = [Dtype::F32, Dtype::F16, Dtype::Bf16];
    let shapes = [
        (60, 8, 4, 2, 40, 67),
        (96, 12, 3, 1, 100, 513),
        (200, 64, 4, 4, 77, 130),
        (1024, 128, 2, 1, 512, 301),
    ];
    for (number, (d_model, d_head, n_heads, n_kv_heads, d_mlp, d_vocab)) in shapes.into_iter().enumerate() {
        let untied = number % 2 == 0;
        let sizes = |base: Config| Config {
            d_model,
            d_head,
            n_heads,
            d_mlp,
            d_vocab,
            tie_word_embeddings: !untied,
            ..base
        };
        let llama = Config {
            n_kv_heads,
            biases: biases(untied),
            ..sizes(llama())
        };
        let both = load(&gpu, &llama, dtypes[number % 3], 3 + number as u64);
        compare(&format!("{llama:?}"), &llama, &both, 11, 2, Rows::Sequence);
        let gpt2 = Config {
            n_kv_heads: n_heads,
            ..sizes(gpt2())
        };
        let both = load(&gpu, &gpt2, dtypes[(number + 1) % 3], 13 + number as u64);
        compare(&format!("{gpt2:?}"), &gpt2, &both, 11, 2, Rows::Sequence);
    }
}

#[test]
fn odd_widths() {
    let Some(gpu) = device() else { return };
    let config = Config {
        d_model: 61,
        d_head: 5,
        n_heads: 3,
        n_kv_heads: 3,
        d_mlp: 33,
        d_vocab: 97,
        ..gpt2()
    };
    for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16] {
        let both = load(&gpu, &config, dtype, 21);
        compare("odd GPT-2", &config, &both, 10, 1, Rows::Sequence);
    }
    let config = Config {
        d_model: 61,
        d_mlp: 33,
        d_vocab: 97,
        ..llama()
    };
    let both = load(&gpu, &config, Dtype::F16, 22);
    compare("odd Llama", &config, &both, 10, 1, Rows::Sequence);
}

#[test]
fn long_contexts_split() {
    let Some(gpu) = device() else { return };
    compare_late("long", &Config { n_ctx: 600, ..llama() }, &gpu, 23);
}

#[test]
fn tables_in_shards() {
    let Some(gpu) = device() else { return };
    // 4001 rows of 240 bytes do not fit 128 KiB, nor do 120 rows of logits: a lens takes 120 dispatches, and all of them
    // more blocks than the ring of uniforms has, so that the recording is submitted in pieces.
    let config = Config {
        d_model: 60,
        d_vocab: 4001,
        n_layers: 20,
        tie_word_embeddings: false,
        ..llama()
    };
    gpu.limit_binding(128 << 10);
    let both = load(&gpu, &config, Dtype::F32, 24);
    compare("shards", &config, &both, 120, 3, Rows::Sequence);
}

#[test]
fn single_logits() {
    let Some(gpu) = device() else { return };
    let config = Config {
        d_vocab: 4001,
        ..llama()
    };
    gpu.limit_binding(128 << 10);
    let both = load(&gpu, &config, Dtype::F16, 25);
    let edits = EditTable::none(config.n_layers);
    for (token, rows) in [(0u32, 1), (4000, 20), (1700, 20)] {
        let ids = vec![5; rows];
        let batch = |logits| Batch {
            ids: &ids,
            start: 0,
            rows: Rows::Sequence,
            edits: &edits,
            captures: &[],
            logits,
        };
        let run = |logits| {
            block_on(both.gpu.forward(&mut both.gpu.new_cache().unwrap(), &batch(logits)))
                .unwrap()
                .logits
        };
        let (all, one, last) = (run(LogitRows::All), run(LogitRows::Token(token)), run(LogitRows::Last));
        let expected: Vec<f32> = all
            .chunks_exact(config.d_vocab)
            .map(|row| row[token as usize])
            .collect();
        assert!(difference(&expected, &one) < NEAR);
        assert!(difference(&all[(rows - 1) * config.d_vocab..], &last) < NEAR);
        assert!(run(LogitRows::None).is_empty());
    }
}

#[test]
fn half_precision_keeps_subnormals() {
    let Some(gpu) = device() else { return };
    let config = llama();
    let mut weights = crate::cases::weights(&config, Dtype::F16, 26);
    // Id 0: the smallest subnormal and the largest, of both signs.
    for (which, tensor) in &mut weights {
        if *which == topk_lm::weights::Weight::Embed {
            for (word, bits) in [1u16, 0x8001, 0x03ff, 0x83ff].into_iter().enumerate() {
                tensor.data[2 * word..2 * word + 2].copy_from_slice(&bits.to_le_bytes());
            }
        }
    }
    let engine = crate::cases::load_gpu(&gpu, &config, &weights);
    let captures = [Capture::buffer(Point::EMBED, HIDDEN)];
    let edits = EditTable::none(config.n_layers);
    let batch = Batch {
        ids: &[0],
        start: 0,
        rows: Rows::Sequence,
        edits: &edits,
        captures: &captures,
        logits: LogitRows::None,
    };
    let out = block_on(engine.forward(&mut engine.new_cache().unwrap(), &batch)).unwrap();
    let tiny = 2f32.powi(-24);
    assert_eq!(out.captured[0][..4], [tiny, -tiny, 1023.0 * tiny, -1023.0 * tiny]);
}

/// With operations of subgroups, where the device has them, and without.
#[test]
fn topk_blocks() {
    let Some(gpu) = device() else { return };
    check_topk_blocks(&gpu);
    gpu.without_subgroups();
    check_topk_blocks(&gpu);
}

fn check_topk_blocks(gpu: &Rc<Gpu>) {
    let wide = Config {
        d_model: 300,
        ..llama()
    };
    for (base, k) in [(llama(), 7), (gpt2(), 12), (gpt2(), 30), (wide, 40)] {
        let config = Config {
            topk: topk(k),
            n_layers: 3,
            n_nontopk: 1,
            ..base
        };
        let both = load(gpu, &config, Dtype::F32, 31 + k as u64);
        for rows in [1, 5, 20] {
            compare(&format!("k {k}"), &config, &both, rows, 2, Rows::Sequence);
        }
        compare(&format!("k {k}"), &config, &both, 9, 12, Rows::Alternatives);
    }
}

/// Random edits of every kind, also of single rows; more of them than the buffer first holds, too.
#[test]
fn edited_blocks() {
    let Some(gpu) = device() else { return };
    check_edited_blocks(&gpu);
    gpu.without_subgroups();
    check_edited_blocks(&gpu);
}

fn check_edited_blocks(gpu: &Rc<Gpu>) {
    let config = Config {
        topk: topk(9),
        n_layers: 4,
        n_nontopk: 1,
        ..llama()
    };
    let both = load(gpu, &config, Dtype::F32, 61);
    let mut random = Random::new(62);
    for count in [1, 3, 10, 40, 2000] {
        for mode in [Rows::Sequence, Rows::Alternatives] {
            let mut table = EditTable::none(config.n_layers);
            for _ in 0..count {
                let action = [Action::Add, Action::Clamp, Action::Scale, Action::Ablate][random.below(4)];
                let from = random.below(12) as u32;
                let edit = ResolvedEdit {
                    index: random.below(config.d_model) as u32,
                    action,
                    value: if action == Action::Scale {
                        0.8 + 0.5 * random.unit()
                    } else {
                        3.0 * random.unit()
                    },
                    site: if random.below(2) == 0 {
                        Site::TopkIn
                    } else {
                        Site::TopkOut
                    },
                    from,
                    to: if random.below(2) == 0 {
                        u32::MAX
                    } else {
                        from + random.below(9) as u32
                    },
                    row: if random.below(3) == 0 {
                        random.below(14) as u32
                    } else {
                        EVERY_ROW
                    },
                };
                table.push(random.below(config.n_layers), edit);
            }
            compare_edited(&format!("{count} edits"), &config, &both, 9, 12, mode, &table);
        }
    }
}
