//! The cache of a long context grows with its text: the same tokens as with room from the start, and memory for what is there.

use pollster::block_on;
use topk_lm::config::{CacheDtype, Config};
use topk_lm::edits::EditTable;
use topk_lm::error::Code;
use topk_lm::exec::gpu::{GpuCache, GpuEngine};
use topk_lm::exec::request::{Batch, Capture, Decode, LogitRows};
use topk_lm::ops::def::{Point, Stage};
use topk_lm::ops::pattern;
use topk_lm::ops::qkv::ROTATED;
use topk_lm::ops::sampling::Sampling;
use topk_lm::weights::Dtype;

use crate::cases::{device, llama, load, topk};

const N_CTX: usize = 800;

fn config(cache_dtype: CacheDtype) -> Config {
    Config {
        n_ctx: N_CTX,
        topk: topk(9),
        cache_dtype,
        ..llama()
    }
}

const BOTH: [CacheDtype; 2] = [CacheDtype::F32, CacheDtype::F16];

fn feed(engine: &GpuEngine, cache: &mut GpuCache, ids: &[u32], edits: &EditTable) {
    for (number, chunk) in ids.chunks(engine.max_rows()).enumerate() {
        let batch = Batch {
            start: number * engine.max_rows(),
            ..Batch::text(chunk, edits, LogitRows::None)
        };
        block_on(engine.prefill(cache, &batch)).unwrap();
    }
}

#[test]
fn a_cache_that_grew_holds_what_one_with_room_holds() {
    BOTH.into_iter().for_each(grows_with_its_text);
}

fn grows_with_its_text(cache_dtype: CacheDtype) {
    let Some(gpu) = device() else { return };
    let config = config(cache_dtype);
    let both = load(&gpu, &config, Dtype::F32, 17);
    let edits = EditTable::none(config.n_layers);
    let sampling = Sampling {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        repetition_penalty: 1.0,
        seed: 4,
    };
    let text: Vec<u32> = (0..500).map(|i| i * i % 61).collect();
    // Over the two ends at which a cache of 256 grows, with steps under way while it does so.
    let drawn = |cache: &mut GpuCache, prompt: usize, groups: &[(usize, usize)]| {
        feed(&both.gpu, cache, &text[..prompt - 1], &edits);
        let mut ids = text[..prompt].to_vec();
        for (steps, ahead) in groups.iter().copied() {
            let decode = Decode {
                ids: &ids,
                steps,
                sampling: &sampling,
                edits: &edits,
                captures: &[],
                logits: false,
            };
            let (drawn, _) = block_on(both.gpu.decode_ahead(cache, &decode, [ahead, 400])).unwrap();
            ids.extend(drawn.iter().map(|step| step.id));
        }
        ids
    };
    let mut has_room = both.gpu.new_cache().unwrap();
    let bytes = || gpu.ledger().bytes();
    let (small, ids) = (bytes(), vec![1; N_CTX]);
    feed(&both.gpu, &mut has_room, &ids, &edits);
    assert!(bytes() > small);
    // The last: fewer steps are asked for than are under way, and more begin behind those.
    let groups = [(3, 2), (4, 0), (1, 9), (16, 3)];
    for (prompt, groups, length) in [
        (245, &groups[..], 269),
        (500, &groups, 524),
        (220, &[(1, 30), (8, 24), (24, 0), (8, 0)], 283),
    ] {
        let ids = drawn(&mut both.gpu.new_cache().unwrap(), prompt, groups);
        assert_eq!(ids.len(), length);
        assert_eq!(ids, drawn(&mut has_room, prompt, groups));
    }
}

#[test]
fn memory_is_taken_for_the_text_and_given_back() {
    BOTH.into_iter().for_each(takes_memory_for_its_text);
}

fn takes_memory_for_its_text(cache_dtype: CacheDtype) {
    let Some(gpu) = device() else { return };
    let config = config(cache_dtype);
    let both = load(&gpu, &config, Dtype::F32, 18);
    let edits = EditTable::none(config.n_layers);
    let position = [8, 4][usize::from(cache_dtype == CacheDtype::F16)] * (config.d_kv() * config.n_layers) as u64;
    // What any first batch leaves behind, such as read-back buffers, is not a text's.
    feed(&both.gpu, &mut both.gpu.new_cache().unwrap(), &[2; N_CTX], &edits);
    let none = gpu.ledger().bytes();
    let mut cache = both.gpu.new_cache().unwrap();
    let taken = || gpu.ledger().bytes() - none;
    let first = taken() / position;
    assert!((1..=N_CTX as u64 / 2).contains(&first), "{first} positions at first");
    let mut last = first;
    for length in [first as usize, first as usize + 1, 500, N_CTX] {
        feed(&both.gpu, &mut cache, &vec![2; length], &edits);
        // The read-back buffers of the batches are not a position's.
        let positions = taken() / position;
        assert!(
            positions >= length as u64 && positions < 2 * length as u64 + 64,
            "{positions} positions for {length}"
        );
        assert!(positions >= last);
        last = positions;
    }
    drop(cache);
    assert!(taken() < position, "{} bytes stay", taken());
}

/// Where a binding does not hold the whole context: texts run as far as it goes, and one that is too long for the device is said to be so.
#[test]
fn a_context_larger_than_a_binding_runs_short_texts() {
    let Some(gpu) = device() else { return };
    let config = config(CacheDtype::F32);
    gpu.limit_binding(8 * (N_CTX as u64 - 1) * config.d_kv() as u64);
    let both = load(&gpu, &config, Dtype::F32, 19);
    let edits = EditTable::none(config.n_layers);
    let mut cache = both.gpu.new_cache().unwrap();
    feed(&both.gpu, &mut cache, &vec![1; N_CTX - 1], &edits);
    let beyond = Batch {
        start: N_CTX - 1,
        ..Batch::text(&[1], &edits, LogitRows::None)
    };
    let error = block_on(both.gpu.forward(&mut cache, &beyond)).unwrap_err();
    assert_eq!(error.code(), Code::OutOfMemory);
    feed(&both.gpu, &mut cache, &[1, 2, 3], &edits);
}

/// A pattern has as many numbers as the context at each position: batches are of as many as a buffer has room for.
#[test]
fn what_captures_give_fits_a_buffer() {
    let Some(gpu) = device() else { return };
    let config = config(CacheDtype::F32);
    let engine = load(&gpu, &config, Dtype::F32, 20).gpu;
    let pattern = Capture::probe(Point::of(0, Stage::Attention), &pattern::DEF, ROTATED);
    assert_eq!(engine.rows_with(&[pattern]), engine.max_rows());
    let row = 4 * (config.n_heads * N_CTX) as u64;
    gpu.limit_binding(10 * row);
    assert_eq!(
        (engine.rows_with(&[]), engine.rows_with(&[pattern])),
        (engine.max_rows(), 10)
    );
    assert_eq!(engine.rows_with(&[pattern; 3]), 3);
    assert_eq!(engine.rows_with(&[pattern; 30]), 1);
}
