//! Alternatives that begin behind blocks, on both executors, against the same ones from the first block on; and how much less that records.

use pollster::block_on;
use proptest::prelude::*;
use topk_lm::config::Config;
use topk_lm::edits::{Action, EditTable, ResolvedEdit, Site, EVERY_ROW};
use topk_lm::exec::request::{Batch, Capture, LogitRows, Resume};
use topk_lm::ops::buffers::HIDDEN;
use topk_lm::ops::def::{Point, Rows, FEW_ROWS};
use topk_lm::session::{BackendChoice, Setting};
use topk_lm::weights::Dtype;

use crate::architectures::{gemma, neox};
use crate::cases::{device, difference, gpt2, llama, load, topk, Both, Random};
use crate::common::{golden, load_on};

/// Sums in two orders, behind a few blocks.
const NEAR: f32 = 2e-4;
const TOKEN: u32 = 5;

/// Four blocks, of which three cut the stream to nine neurons.
fn deep(base: Config) -> Config {
    Config {
        n_layers: 4,
        n_nontopk: 1,
        topk: topk(9),
        ..base
    }
}

fn edit(index: u32, action: Action, value: f32, row: u32) -> ResolvedEdit {
    ResolvedEdit {
        index,
        action,
        value,
        site: Site::TopkOut,
        from: 0,
        to: u32::MAX,
        row,
    }
}

/// What a text leaves behind each of its TopK blocks at the last position, and the neurons (layer, index) that are active there.
struct Prefix {
    ids: Vec<u32>,
    edits: EditTable,
    hidden: Vec<Vec<f32>>,
    active: Vec<(usize, u32)>,
}

/// Runs the text on both; what it leaves is the GPU's. The last position is computed alone.
fn prefix(both: &Both, config: &Config, length: usize, edits: EditTable) -> (Prefix, Caches) {
    let mut random = Random::new(length as u64);
    let ids: Vec<u32> = (0..length).map(|_| random.below(config.d_vocab) as u32).collect();
    let captures: Vec<Capture> = (0..config.n_layers - config.n_nontopk)
        .map(|layer| Capture::buffer(Point::end(layer), HIDDEN))
        .collect();
    let mut caches = Caches {
        cpu: both.cpu.new_cache(),
        gpu: both.gpu.new_cache().unwrap(),
    };
    let last = length - 1;
    if last > 0 {
        let batch = Batch::text(&ids[..last], &edits, LogitRows::None);
        block_on(both.cpu.forward(&mut caches.cpu, &batch)).unwrap();
        block_on(both.gpu.forward(&mut caches.gpu, &batch)).unwrap();
    }
    let batch = Batch {
        start: last,
        captures: &captures,
        ..Batch::text(&ids[last..], &edits, LogitRows::None)
    };
    let hidden = block_on(both.gpu.forward(&mut caches.gpu, &batch)).unwrap().captured;
    let active = hidden.iter().enumerate().flat_map(|(layer, row)| {
        let entries = (0u32..).zip(row).filter(|(_, value)| **value != 0.0);
        entries.map(move |(index, _)| (layer, index))
    });
    let active = active.collect();
    let prefix = Prefix {
        ids,
        edits,
        hidden,
        active,
    };
    (prefix, caches)
}

struct Caches {
    cpu: topk_lm::exec::cpu::CpuCache,
    gpu: topk_lm::exec::gpu::GpuCache,
}

/// Ablates these neurons, one in each row: from the first block on and resumed on the GPU, with the dispatches of both; the same two on the CPU.
fn ablated(both: &Both, prefix: &Prefix, caches: &mut Caches, neurons: &[(usize, u32)]) -> ([Vec<f32>; 4], [usize; 2]) {
    let last = prefix.ids.len() - 1;
    let mut edits = prefix.edits.clone();
    let (mut layers, mut hidden) = (Vec::new(), Vec::new());
    for (row, (layer, index)) in (0u32..).zip(neurons) {
        edits.push(*layer, edit(*index, Action::Ablate, 0.0, row));
        layers.push(*layer);
        let mut stream = prefix.hidden[*layer].clone();
        stream[*index as usize] = 0.0;
        hidden.extend(stream);
    }
    let ids = vec![prefix.ids[last]; neurons.len()];
    let batch = Batch {
        start: last,
        rows: Rows::Alternatives,
        ..Batch::text(&ids, &edits, LogitRows::Token(TOKEN))
    };
    let whole = block_on(both.gpu.forward(&mut caches.gpu, &batch)).unwrap().logits;
    let of_whole = both.gpu.dispatches();
    let from = Resume {
        id: ids[0],
        start: last,
        layers: &layers,
        hidden: &hidden,
        edits: &prefix.edits,
    };
    let resumed = block_on(both.gpu.resumed(&mut caches.gpu, &from, TOKEN)).unwrap();
    let dispatches = [of_whole, both.gpu.dispatches()];
    let on_cpu = block_on(both.cpu.resumed(&mut caches.cpu, &from, TOKEN)).unwrap();
    let whole_on_cpu = block_on(both.cpu.forward(&mut caches.cpu, &batch)).unwrap().logits;
    ([whole, resumed, on_cpu, whole_on_cpu], dispatches)
}

/// Any neurons behind any text, with edits of the text: bit for bit where the same kernels do it.
#[test]
fn what_is_resumed_is_what_a_whole_pass_gives() {
    let Some(gpu) = device() else { return };
    proptest!(ProptestConfig { cases: 24, ..ProptestConfig::default() }, |(
        shape in 0usize..4,
        length in 1usize..40,
        picks in prop::collection::vec(0usize..1000, 1..40),
        late in prop::option::of((0usize..4, 0u32..60, -2.0f32..2.0)),
    )| {
        let config = deep([llama(), gpt2(), neox(), gemma()][shape].clone());
        let both = load(&gpu, &config, Dtype::F32, shape as u64 + 60);
        let mut edits = EditTable::none(config.n_layers);
        if let Some((layer, index, value)) = late {
            edits.push(layer, edit(index % config.d_model as u32, Action::Add, value, EVERY_ROW));
        }
        let (prefix, mut caches) = prefix(&both, &config, length, edits);
        let mut neurons: Vec<(usize, u32)> = picks.iter().map(|pick| prefix.active[pick % prefix.active.len()]).collect();
        neurons.sort_unstable();
        let ([whole, resumed, on_cpu, whole_on_cpu], _) = ablated(&both, &prefix, &mut caches, &neurons);
        if neurons.len() <= FEW_ROWS {
            prop_assert_eq!(&whole, &resumed);
        }
        prop_assert!(difference(&whole, &resumed) < NEAR, "{:?} {:?}", whole, resumed);
        // Where two entries rank as good as equal, last bits decide which one a TopK block keeps: such rows differ in whole passes, too.
        let size = whole.iter().fold(1.0f32, |size, value| size.max(value.abs()));
        let agree: Vec<usize> = (0..whole.len()).filter(|row| (whole[*row] - whole_on_cpu[*row]).abs() < NEAR * size).collect();
        prop_assume!(!agree.is_empty());
        for row in agree {
            prop_assert!((on_cpu[row] - resumed[row]).abs() < NEAR * size, "{:?} {:?}", on_cpu, resumed);
        }
    });
}

/// One neuron takes the dispatches of the blocks behind its own; neurons of several blocks together those behind the first.
#[test]
fn blocks_in_front_are_not_recorded() {
    let Some(gpu) = device() else { return };
    let config = deep(llama());
    let both = load(&gpu, &config, Dtype::F32, 77);
    let (prefix, mut caches) = prefix(&both, &config, 12, EditTable::none(config.n_layers));
    let first_of = |layer: usize| *prefix.active.iter().find(|(of, _)| *of == layer).unwrap();
    // The embedding, four dispatches a block, and one for the logit.
    let [whole, of_block] = [ablated(&both, &prefix, &mut caches, &[first_of(0)]).1[0], 4];
    assert_eq!(whole, 1 + 4 * of_block + 1, "of a row from the first block on");
    for layer in 0..3 {
        let (_, dispatches) = ablated(&both, &prefix, &mut caches, &[first_of(layer)]);
        assert_eq!(dispatches, [whole, (3 - layer) * of_block + 1], "block {layer}");
    }
    let (_, dispatches) = ablated(&both, &prefix, &mut caches, &[first_of(0), first_of(1), first_of(2)]);
    assert_eq!(dispatches, [whole, 3 * of_block + 1]);
}

/// All active neurons, by the call that a user makes.
#[test]
fn an_ablation_is_the_same_on_both_executors() {
    for name in ["llama-gqa", "gpt2", "llama-i8"] {
        let Some(gpu) = load_on(&golden(name), BackendChoice::Gpu) else {
            return;
        };
        let Some(cpu) = load_on(&golden(name), BackendChoice::Cpu) else {
            return;
        };
        let ids = [0u32, 9, 33, 71, 12];
        let mut done = Vec::new();
        let mut ablate = |model: &topk_lm::session::Model| {
            let mut progress = |now: usize, all: usize| done.push((now, all));
            block_on(model.ablate(&ids, 7, &[], &Default::default(), &mut progress)).unwrap()
        };
        let (on_cpu, on_gpu) = (ablate(&cpu), ablate(&gpu));
        assert_eq!(
            (&on_cpu.layers, &on_cpu.indices),
            (&on_gpu.layers, &on_gpu.indices),
            "{name}"
        );
        assert!(
            on_gpu.effects.len() > FEW_ROWS && on_cpu.effects.iter().any(|effect| *effect != 0.0),
            "{name}"
        );
        assert!(difference(&on_cpu.effects, &on_gpu.effects) < 1e-3, "{name}");
        assert_eq!(done.last(), Some(&(on_gpu.effects.len(), on_gpu.effects.len())));
    }
}

/// Neurons of all blocks, set, by the call that a user makes; the same where an ablation of an active one is asked for by a value of 0.
#[test]
fn neurons_that_are_set_do_the_same_on_both_executors() {
    for name in ["llama-gqa", "gpt2", "llama-i8", "gemma2-dense"] {
        let Some(gpu) = load_on(&golden(name), BackendChoice::Gpu) else {
            return;
        };
        let Some(cpu) = load_on(&golden(name), BackendChoice::Cpu) else {
            return;
        };
        let ids = [0u32, 9, 33, 71, 12];
        let (layers, width) = (cpu.config().n_layers, cpu.config().d_model);
        let neurons: Vec<Setting> = (0..300)
            .map(|n| Setting {
                layer: n % layers,
                index: n * 11 % width,
                value: (n % 7) as f32,
            })
            .collect();
        let [on_cpu, on_gpu] = [&cpu, &gpu].map(|model| {
            let progress = &mut |_, _| {};
            block_on(model.set_each(&ids, 7, &neurons, &[], &Default::default(), progress)).unwrap()
        });
        assert!(
            on_cpu.effects.iter().filter(|effect| effect.abs() > 1e-3).count() > 100,
            "{name}"
        );
        assert!(difference(&on_cpu.effects, &on_gpu.effects) < 1e-2, "{name}");
    }
}
