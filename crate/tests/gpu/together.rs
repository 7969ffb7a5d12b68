//! Sequences that step together against the same ones alone: every bit of what comes back, in no more dispatches than one of them takes.

use pollster::block_on;
use topk_lm::config::{CacheDtype, Config, TopK};
use topk_lm::edits::{Action, EditTable, ResolvedEdit, Site, EVERY_ROW};
use topk_lm::error::Code;
use topk_lm::exec::gpu::{GpuCache, GpuEngine, Slot};
use topk_lm::exec::request::{Batch, Capture, Decode, DecodeRow, Drawn, LogitRows};
use topk_lm::ops::buffers::HIDDEN;
use topk_lm::ops::def::{Point, Stage, SEQUENCES};
use topk_lm::ops::qkv::ROTATED;
use topk_lm::ops::residual::TOPK_IN;
use topk_lm::ops::sampling::Sampling;
use topk_lm::ops::{mlp_in, pattern};
use topk_lm::weights::Dtype;

use crate::architectures::{gemma, gpt_neo, neox, qwen3};
use crate::cases::{device, gpt2, llama, load, topk, Random};

const N_CTX: usize = 700;

/// What one of the sequences is asked for.
struct Text {
    ids: Vec<u32>,
    sampling: Sampling,
    edits: EditTable,
    captures: Vec<Capture>,
    logits: bool,
}

/// A text of so many ids, everything else by its number.
fn text(config: &Config, number: usize, length: usize) -> Text {
    let random = &mut Random::new(number as u64 + 7);
    let mut edits = EditTable::none(config.n_layers);
    for _ in 0..number % 3 {
        let edit = ResolvedEdit {
            index: random.below(config.d_model) as u32,
            action: [Action::Add, Action::Clamp, Action::Ablate][random.below(3)],
            value: 2.0 * random.unit(),
            site: [Site::TopkIn, Site::TopkOut][random.below(2)],
            from: random.below(length + 2) as u32,
            to: u32::MAX,
            row: EVERY_ROW,
        };
        edits.push(random.below(config.n_layers), edit);
    }
    let outside = Capture::buffer(Point::end(0), HIDDEN);
    let captures = match number % 5 {
        1 => vec![outside],
        2 => vec![
            Capture::probe(Point::of(1, Stage::Attention), &pattern::DEF, ROTATED),
            Capture::buffer(Point::of(1, Stage::MlpIn), mlp_in::MLP_POST),
        ],
        3 => vec![
            outside,
            Capture::lens(Point::end(1)),
            Capture::buffer(Point::end(1), TOPK_IN),
        ],
        _ => Vec::new(),
    };
    Text {
        ids: (0..length).map(|_| random.below(config.d_vocab) as u32).collect(),
        sampling: Sampling {
            temperature: [0.0, 1.0, 0.7][number % 3],
            top_k: [0, 20][number % 2],
            top_p: [1.0, 0.9][number / 2 % 2],
            repetition_penalty: [1.0, 1.3, 1.0, 1.7][number % 4],
            seed: 0x1234_5678_9abc * number as u64,
        },
        edits,
        captures,
        logits: number % 4 == 3,
    }
}

fn prefilled(engine: &GpuEngine, text: &Text) -> GpuCache {
    let mut cache = engine.new_cache().unwrap();
    let last = text.ids.len() - 1;
    for (number, ids) in text.ids[..last].chunks(engine.max_rows()).enumerate() {
        let batch = Batch {
            start: number * engine.max_rows(),
            ..Batch::text(ids, &text.edits, LogitRows::None)
        };
        block_on(engine.prefill(&mut cache, &batch)).unwrap();
    }
    cache
}

fn alone(engine: &GpuEngine, text: &Text, steps: usize) -> Vec<Drawn> {
    let decode = Decode {
        ids: &text.ids,
        steps,
        sampling: &text.sampling,
        edits: &text.edits,
        captures: &text.captures,
        logits: text.logits,
    };
    block_on(engine.decode(&mut prefilled(engine, text), &decode)).unwrap()
}

fn slot(engine: &GpuEngine, text: &Text, steps: usize) -> Slot {
    let last = text.ids.len() - 1;
    let mut slot = block_on(engine.slot(last + steps)).unwrap();
    engine.fill(&mut slot, &mut prefilled(engine, text), last);
    slot
}

/// One call's steps of some sequences, whose ids grow by them; none are under way behind it.
fn step(engine: &GpuEngine, slots: &mut [&mut Slot], texts: &mut [&mut Text], steps: usize) -> Vec<Vec<Drawn>> {
    step_ahead(engine, slots, texts, [steps, 0, steps])
}

/// The same with so many under way behind it, within so many in all.
fn step_ahead(
    engine: &GpuEngine,
    slots: &mut [&mut Slot],
    texts: &mut [&mut Text],
    steps: [usize; 3],
) -> Vec<Vec<Drawn>> {
    let rows: Vec<DecodeRow<'_>> = texts
        .iter()
        .map(|text| DecodeRow {
            ids: &text.ids,
            seen: &[],
            sampling: &text.sampling,
            edits: &text.edits,
            captures: &text.captures,
            logits: text.logits,
        })
        .collect();
    let (all, _) = block_on(engine.step_together(slots, &rows, steps)).unwrap();
    for (text, drawn) in texts.iter_mut().zip(&all) {
        text.ids.extend(drawn.iter().map(|step| step.id));
    }
    all
}

/// Floats by their bits.
fn told(step: &Drawn) -> (u32, u32, Vec<Vec<u32>>) {
    let bits = |numbers: &Vec<f32>| numbers.iter().map(|n| n.to_bits()).collect();
    let arrays = step.output.captured.iter().chain([&step.output.logits]);
    (step.id, step.logprob.to_bits(), arrays.map(bits).collect())
}

fn same(name: &str, config: &Config, dtype: Dtype, lengths: &[usize], groups: &[usize]) {
    let Some(gpu) = device() else { return };
    let engine = load(&gpu, config, dtype, 5).gpu;
    let steps: usize = groups.iter().sum();
    let mut texts: Vec<Text> = (0..)
        .zip(lengths)
        .map(|(number, length)| text(config, number, *length))
        .collect();
    let expected: Vec<Vec<Drawn>> = texts.iter().map(|text| alone(&engine, text, steps)).collect();
    assert!(lengths.len() <= engine.rows_together(N_CTX), "{name}");
    let mut slots: Vec<Slot> = texts.iter().map(|text| slot(&engine, text, steps)).collect();
    let mut got: Vec<Vec<Drawn>> = vec![Vec::new(); texts.len()];
    for (number, group) in groups.iter().cycle().enumerate() {
        let left = steps - got[0].len();
        if left == 0 {
            break;
        }
        let mut slots: Vec<&mut Slot> = slots.iter_mut().collect();
        let wanted = [*group.min(&left), number % 3, left];
        let all = step_ahead(&engine, &mut slots, &mut texts.iter_mut().collect::<Vec<_>>(), wanted);
        for (got, drawn) in got.iter_mut().zip(all) {
            got.extend(drawn);
        }
    }
    for (number, (expected, got)) in expected.iter().zip(&got).enumerate() {
        assert_eq!(expected.len(), got.len());
        for (step, (expected, got)) in expected.iter().zip(got).enumerate() {
            assert!(told(expected) == told(got), "{name}, sequence {number}, step {step}");
        }
    }
}

/// Every architecture and type of weights.
#[test]
fn sequences_together_are_those_alone() {
    let cut = |config| Config {
        topk: topk(9),
        n_nontopk: 1,
        ..config
    };
    let wide = Config {
        d_vocab: 301,
        d_model: 700,
        d_head: 64,
        n_heads: 8,
        n_kv_heads: 4,
        d_mlp: 500,
        topk: topk(48),
        ..llama()
    };
    let all = [
        ("llama", cut(llama()), Dtype::F32),
        ("wide", wide, Dtype::F16),
        ("gpt2", cut(gpt2()), Dtype::Bf16),
        ("neox", neox(), Dtype::F32),
        ("gpt-neo", gpt_neo(), Dtype::F16),
        ("qwen3", qwen3(), Dtype::F32),
        ("gemma", gemma(), Dtype::F16),
        ("llama, cached in f16", half(cut(llama())), Dtype::F32),
        ("qwen3, cached in f16", half(qwen3()), Dtype::F32),
    ];
    for (name, config, dtype) in all {
        same(name, &config, dtype, &[1, 2, 9, 30, 5, 77, 140, 6, 6, 3], &[1, 5, 2]);
    }
    same(
        "as many as there may be",
        &cut(llama()),
        Dtype::F32,
        &[4; SEQUENCES],
        &[3],
    );
}

fn half(config: Config) -> Config {
    Config {
        cache_dtype: CacheDtype::F16,
        ..config
    }
}

/// Attention splits what lies far back: those that do so step beside those that do not, and some come to it on the way.
#[test]
fn long_and_short_contexts_step_together() {
    let long = |config| Config {
        n_ctx: N_CTX,
        n_positions: N_CTX,
        ..config
    };
    let lengths = [600, 3, 509, 512, 513, 640, 511, 20];
    let topk = TopK {
        k: 9,
        ..topk(9).unwrap()
    };
    let llama = long(Config {
        topk: Some(topk),
        ..llama()
    });
    same("llama", &llama, Dtype::F32, &lengths, &[1, 7]);
    let windows = Config {
        windows: vec![Some(520), None],
        ..llama
    };
    same("windows", &windows, Dtype::F32, &lengths, &[8]);
    same("gpt2", &long(gpt2()), Dtype::F32, &lengths, &[8]);
    same("gpt2, cached in f16", &half(long(gpt2())), Dtype::F32, &lengths, &[8]);
}

#[test]
fn a_step_of_ten_takes_the_dispatches_of_one() {
    let Some(gpu) = device() else { return };
    for base in [llama(), gpt2()] {
        let config = Config { topk: topk(9), ..base };
        let engine = load(&gpu, &config, Dtype::F32, 6).gpu;
        let plain = |number| Text {
            captures: Vec::new(),
            logits: false,
            ..text(&config, number, 5)
        };
        let mut texts: Vec<Text> = (0..10).map(plain).collect();
        alone(&engine, &texts[0], 4);
        let of_one = engine.dispatches();
        let mut slots: Vec<Slot> = texts.iter().map(|text| slot(&engine, text, 4)).collect();
        let mut slots: Vec<&mut Slot> = slots.iter_mut().collect();
        let [submits, awaits, _] = gpu.traffic();
        step(&engine, &mut slots, &mut texts.iter_mut().collect::<Vec<_>>(), 4);
        assert_eq!(engine.dispatches(), of_one);
        // The prompts' status is read with the first steps.
        let [now, waited, _] = gpu.traffic();
        assert_eq!((now - submits, waited - awaits), (1, 1 + 10));
        let [submits, awaits, _] = gpu.traffic();
        step(
            &engine,
            &mut slots[..7],
            &mut texts.iter_mut().take(7).collect::<Vec<_>>(),
            1,
        );
        let [now, waited, _] = gpu.traffic();
        assert_eq!((now - submits, waited - awaits), (1, 1));
    }
}

/// Those that end make room for others, those that go on are not disturbed, and in the end all memory is given back.
#[test]
fn slots_come_and_go() {
    let Some(gpu) = device() else { return };
    let config = Config {
        topk: topk(9),
        ..llama()
    };
    let engine = load(&gpu, &config, Dtype::F32, 8).gpu;
    let mut texts: Vec<Text> = (0..6).map(|number| text(&config, number, 3 + number)).collect();
    let expected: Vec<Vec<Drawn>> = texts.iter().map(|text| alone(&engine, text, 12)).collect();
    let mut first = slot(&engine, &texts[0], 12);
    let mut got = step(&engine, &mut [&mut first], &mut [&mut texts[0]], 2).remove(0);
    drop(first);
    let none = gpu.ledger().bytes();
    // Grows with sequences under way.
    let (early, late) = texts.split_at_mut(3);
    let mut slots: Vec<Slot> = early[1..].iter().map(|text| slot(&engine, text, 12)).collect();
    let mut of_one = Vec::new();
    for other in late.iter() {
        let mut running: Vec<&mut Slot> = slots.iter_mut().collect();
        let mut texts: Vec<&mut Text> = early[1..].iter_mut().collect();
        of_one.extend(step(&engine, &mut running, &mut texts, 3).remove(0));
        drop(slot(&engine, other, 100));
    }
    for (got, expected) in of_one.iter().zip(&expected[1]) {
        assert_eq!(told(got), told(expected));
    }
    assert_eq!(of_one.len(), 9);
    let taken = gpu.ledger().bytes();
    assert!(taken > none);
    // The gap is used again: no more memory than before.
    let again = slot(&engine, &late[0], 12);
    assert_eq!(gpu.ledger().bytes(), taken);
    drop((again, slots));
    assert!(
        gpu.ledger().bytes() <= none,
        "{} bytes stay",
        gpu.ledger().bytes() - none
    );
    got.truncate(2);
    for (got, expected) in got.iter().zip(&expected[0]) {
        assert_eq!(told(got), told(expected));
    }
}

/// Sequences that go and come while steps are under way, and another one in between that uses the same buffers.
#[test]
fn steps_under_way_outlive_those_who_go() {
    let Some(gpu) = device() else { return };
    let config = Config {
        topk: topk(9),
        ..llama()
    };
    let engine = load(&gpu, &config, Dtype::F32, 10).gpu;
    // None that looks within blocks: those step apart from the others.
    let numbers = [0, 1, 3, 4, 6];
    let mut texts: Vec<Text> = numbers
        .iter()
        .map(|number| text(&config, *number, 4 + number))
        .collect();
    let expected: Vec<Vec<Drawn>> = texts.iter().map(|text| alone(&engine, text, 30)).collect();
    let mut slots: Vec<Option<Slot>> = texts.iter().map(|text| Some(slot(&engine, text, 40))).collect();
    let mut got: Vec<Vec<Drawn>> = vec![Vec::new(); texts.len()];
    let mut take = |slots: &mut [Option<Slot>], of: &[usize], steps: [usize; 3]| -> Vec<usize> {
        let mut running: Vec<&mut Slot> = Vec::new();
        for (number, slot) in slots.iter_mut().enumerate() {
            running.extend(slot.as_mut().filter(|_| of.contains(&number)));
        }
        let mut stepping: Vec<&mut Text> = Vec::new();
        for (number, text) in texts.iter_mut().enumerate() {
            stepping.extend(Some(text).filter(|_| of.contains(&number)));
        }
        let all = step_ahead(&engine, &mut running, &mut stepping, steps);
        let lengths = all.iter().map(Vec::len).collect();
        for (number, drawn) in of.iter().zip(all) {
            got[*number].extend(drawn);
        }
        lengths
    };
    assert_eq!(take(&mut slots, &[0, 1, 2, 3], [3, 5, 30]), [3; 4]);
    assert_eq!(take(&mut slots, &[0, 1, 2, 3], [1, 4, 27]), [5; 4]);
    // One goes: what is under way is still that of the others.
    slots[1] = None;
    assert_eq!(take(&mut slots, &[0, 2, 3], [1, 7, 22]), [4; 3]);
    assert_eq!(take(&mut slots, &[0, 2, 3], [2, 3, 18]), [2; 3]);
    // One comes, whose turn is with the next steps.
    assert_eq!(take(&mut slots, &[0, 2, 3, 4], [1, 2, 16]), [3, 3, 3, 0]);
    assert_eq!(take(&mut slots, &[0, 2, 3, 4], [1, 2, 13]), [1; 4]);
    let other = text(&config, 7, 9);
    alone(&engine, &other, 3);
    assert_eq!(take(&mut slots, &[0, 2, 3, 4], [1, 2, 12]), [2; 4]);
    assert_eq!(take(&mut slots, &[0, 2, 3, 4], [4, 9, 10]), [4; 4]);
    assert_eq!(take(&mut slots, &[0, 2, 3, 4], [1, 9, 6]), [6; 4]);
    // All go with steps under way, whose memory is not kept.
    take(&mut slots, &[0, 2, 3, 4], [1, 2, 3]);
    let with = gpu.ledger().bytes();
    slots.clear();
    assert!(gpu.ledger().bytes() < with);
    for (number, (expected, got)) in expected.iter().zip(&got).enumerate() {
        assert!(got.len() >= [30, 8, 30, 30, 14][number], "sequence {number}");
        for (step, (expected, got)) in expected.iter().zip(got).enumerate() {
            assert!(told(expected) == told(got), "sequence {number}, step {step}");
        }
    }
}

#[test]
fn a_device_without_room_says_so() {
    let Some(gpu) = device() else { return };
    let config = llama();
    gpu.limit_binding(3 * 8 * (config.d_kv() * config.n_ctx) as u64);
    let engine = load(&gpu, &config, Dtype::F32, 9).gpu;
    assert_eq!(engine.rows_together(config.n_ctx), 3);
    assert!(engine.rows_together(10) > 3);
    let slots: Vec<Slot> = (0..3).map(|_| block_on(engine.slot(config.n_ctx)).unwrap()).collect();
    assert_eq!(block_on(engine.slot(1)).unwrap_err().code(), Code::OutOfMemory);
    drop(slots);
    block_on(engine.slot(1)).unwrap();
    // Nor for what only steps together need, which the next ones have.
    let mut sequence = text(&config, 0, 5);
    sequence.sampling.repetition_penalty = 1.5;
    let expected = alone(&engine, &sequence, 3);
    let mut own = slot(&engine, &sequence, 5);
    let row = DecodeRow {
        ids: &sequence.ids,
        seen: &[],
        sampling: &sequence.sampling,
        edits: &sequence.edits,
        captures: &[],
        logits: false,
    };
    let mut refused = slot(&engine, &sequence, 5);
    gpu.refuse_buffers(true);
    block_on(engine.step_together(&mut [&mut refused], &[row], [3, 0, 3])).unwrap_err();
    gpu.refuse_buffers(false);
    drop(refused);
    let got = step(&engine, &mut [&mut own], &mut [&mut sequence], 3);
    assert_eq!(
        got[0].iter().map(told).collect::<Vec<_>>(),
        expected.iter().map(told).collect::<Vec<_>>()
    );
    drop(own);
    gpu.limit_binding(8 * (config.d_kv() * config.n_ctx) as u64);
    assert_eq!(engine.rows_together(config.n_ctx), 1);
}
