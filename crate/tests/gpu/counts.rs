//! What is recorded for a token and for a prompt, by counts: a golden, so that a change shows in review. `TOPK_WRITE_COUNTS=1` rewrites it.

use std::collections::BTreeMap;

use pollster::block_on;
use topk_lm::bench::counts::{barriers, Counter, PassCounts};
use topk_lm::config::{Config, Positions, TopK};
use topk_lm::edits::EditTable;
use topk_lm::exec::request::{Batch, Decode, LogitRows};
use topk_lm::numerics::order::{Post, Select};
use topk_lm::ops::def::Rows;
use topk_lm::ops::sampling::Sampling;
use topk_lm::ops::tuning::Profile;
use topk_lm::weights::Dtype;

use crate::cases::{device, gpt2, llama, load, topk};

const SHIPPED: &str = "shipped, 8-bit";

/// The shipped model's shape, that of its dense twin, a narrower one; and larger dense ones: with fused kernels, and with too many heads for them.
fn shapes() -> Vec<(&'static str, Config, Dtype)> {
    let narrower = Config {
        d_vocab: 4096,
        d_model: 640,
        n_layers: 6,
        n_kv_heads: 4,
        d_head: 32,
        d_mlp: 384,
        n_ctx: 256,
        n_positions: 256,
        n_nontopk: 1,
        topk: topk(160),
        ..llama()
    };
    let shipped = Config {
        d_model: 1024,
        d_mlp: 256,
        topk: Some(TopK {
            k: 48,
            select: Select::Value,
            post: Post::Relu,
        }),
        tie_word_embeddings: false,
        ..narrower.clone()
    };
    let twin = Config {
        topk: None,
        n_nontopk: 0,
        ..shipped.clone()
    };
    let wider = |[d_model, n_layers, n_heads, n_kv_heads, d_mlp, d_vocab]: [usize; 6]| Config {
        d_model,
        n_layers,
        n_heads,
        n_kv_heads,
        d_head: 64,
        d_mlp,
        d_vocab,
        n_ctx: 2048,
        n_positions: 2048,
        ..llama()
    };
    vec![
        ("smollm2-135m, 8-bit", wider([576, 30, 9, 3, 1536, 49152]), Dtype::I8),
        (
            "llama of 768, 4-bit",
            wider([768, 12, 12, 4, 2048, 32000]),
            Dtype::I4 { group: 32 },
        ),
        (
            "llama of 2048, 8-bit",
            wider([2048, 16, 32, 8, 8192, 128_256]),
            Dtype::I8,
        ),
        ("narrower, f16", narrower, Dtype::F16),
        (SHIPPED, shipped, Dtype::I8),
        ("twin, 8-bit", twin, Dtype::I8),
    ]
}

#[test]
fn a_token_and_a_prompt_cost_what_the_golden_says() {
    let mut counted: BTreeMap<String, PassCounts> = BTreeMap::new();
    let shapes = shapes();
    let with_subgroups = shapes.iter().find(|(name, ..)| *name == SHIPPED);
    let with_subgroups = with_subgroups.map(|(_, config, dtype)| ("shipped, 8-bit, subgroups", config, dtype, true));
    let others = shapes.iter().map(|(name, config, dtype)| (*name, config, dtype, false));
    for (name, config, dtype, subgroups) in others.chain(with_subgroups) {
        let counter = Counter {
            config,
            profile: Profile::Gpu,
            subgroups,
            stored: &|_| *dtype,
        };
        counted.insert(format!("{name}: a token"), counter.token(128).unwrap());
        counted.insert(
            format!("{name}: a token of each of ten"),
            counter.token_of_each(10, 128).unwrap(),
        );
        counted.insert(format!("{name}: a prompt of 128"), counter.prompt(128).unwrap());
    }
    let read = |name: &str| counted[&format!("{name}: a token")].all.weight_bytes as f64;
    let twin = read("twin, 8-bit") / read(SHIPPED);
    assert!(twin >= 1.3, "the twin reads only {twin} times as many bytes of weights");
    // Four for each fused block, six for another; the head and the sampler.
    let dispatches = |name: &str| counted[&format!("{name}: a token")].all.dispatches;
    assert_eq!(dispatches("smollm2-135m, 8-bit"), 30 * 4 + 2);
    assert_eq!(dispatches("llama of 768, 4-bit"), 12 * 4 + 2);
    assert_eq!(dispatches("llama of 2048, 8-bit"), 16 * 6 + 2);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gpu/counts.json");
    if std::env::var_os("TOPK_WRITE_COUNTS").is_some() {
        let text = serde_json::to_string_pretty(&counted).unwrap();
        std::fs::write(path, format!("{text}\n")).unwrap();
    }
    let golden: BTreeMap<String, PassCounts> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(counted, golden, "{path} differs; TOPK_WRITE_COUNTS=1 rewrites it");
}

/// A matrix that a sparse input chooses rows of counts by these, whole where it is bound.
#[test]
fn gathered_rows_count_and_others_do_not() {
    let config = Config {
        topk: topk(9),
        n_layers: 3,
        ..llama()
    };
    let count = |dtype: Dtype| {
        let counter = Counter {
            config: &config,
            profile: Profile::Gpu,
            subgroups: false,
            stored: &move |_| dtype,
        };
        counter.token(5).unwrap().kernels["qkv_gather.wgsl"]
    };
    let (layers, gain, columns) = (2, 4 * config.d_model, config.d_qkv());
    let bias = 4 * columns;
    assert_eq!(count(Dtype::F16).weight_bytes, layers * (gain + bias + 2 * 9 * columns));
    assert_eq!(
        count(Dtype::I8).weight_bytes,
        layers * (gain + bias + 4 * columns + 9 * columns)
    );
    let four = count(Dtype::I4 { group: 16 }).weight_bytes;
    assert_eq!(four, layers * (gain + bias + 4 * 4 * columns + 9 * columns / 2));
    let bound = |k| {
        let config = Config {
            topk: topk(k),
            ..config.clone()
        };
        let counter = Counter {
            config: &config,
            profile: Profile::Gpu,
            subgroups: false,
            stored: &|_| Dtype::F16,
        };
        counter.token(5).unwrap().kernels["qkv_gather.wgsl"].bytes_bound
    };
    assert_eq!(bound(9), bound(20));
}

/// What is counted without a device is what one gets.
#[test]
fn the_counts_are_those_of_a_device() {
    let Some(gpu) = device() else { return };
    for base in [llama(), gpt2()] {
        let config = Config {
            n_layers: 3,
            n_nontopk: 1,
            topk: topk(9),
            ..base
        };
        let both = load(&gpu, &config, Dtype::F32, 44);
        let edits = EditTable::none(config.n_layers);
        let counter = Counter {
            config: &config,
            profile: gpu.profile(),
            subgroups: gpu.subgroups(),
            stored: &|_| Dtype::F32,
        };
        let ids = [1; 20];
        let batch = Batch {
            ids: &ids,
            start: 0,
            rows: Rows::Sequence,
            edits: &edits,
            captures: &[],
            logits: LogitRows::Last,
        };
        let mut cache = both.gpu.new_cache().unwrap();
        block_on(both.gpu.forward(&mut cache, &batch)).unwrap();
        assert_eq!(both.gpu.dispatches(), counter.prompt(20).unwrap().all.dispatches);
        let decode = Decode {
            ids: &ids,
            steps: 3,
            sampling: &Sampling {
                temperature: 0.0,
                top_k: 0,
                top_p: 1.0,
                repetition_penalty: 1.0,
                seed: 0,
            },
            edits: &edits,
            captures: &[],
            logits: false,
        };
        block_on(both.gpu.decode(&mut cache, &decode)).unwrap();
        // The first token of a submit is looked up by a dispatch of its own.
        let first = usize::from(config.positions != Positions::Learned);
        assert_eq!(
            both.gpu.dispatches(),
            first + 3 * counter.token(19).unwrap().all.dispatches
        );
    }
}

#[test]
fn barriers_are_read_from_the_text() {
    let text = "
fn sum(x: u32) -> u32 {
    workgroupBarrier(); // workgroupBarrier()
    return workgroupUniformLoad(&total);
}

@compute @workgroup_size(64)
fn main() {
    storageBarrier();
    for (var i = 0u; i < sum(sum(1u)); i++) {}
}
";
    assert_eq!(barriers(text), 5);
}
