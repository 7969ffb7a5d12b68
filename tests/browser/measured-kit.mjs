// Results as training/claims writes them once all is measured, for the tests of About.

const readsOf = (entropy, f1, more = {}) => ({
  units: 1280,
  at_10: entropy,
  f1,
  f1_shuffled: 0.003,
  f1_even: 0.39,
  token: 0.8,
  layers: { same_index: 0.58, random_index: 0.007 },
  ...more,
});
const saeOf = (kind, k) => ({
  kind,
  k,
  layer: 4,
  width: 8192,
  trained_positions: 500000,
  active_a_position: 48,
  variance_explained: 0.913,
  dead_share: 0.012,
  loss_spliced: 2.84,
  loss_added_by_splice: 0.24,
});
const patchedOf = (units, more = {}) => ({
  pairs: 50,
  differ: 60,
  whole: 0.98,
  together: { 1: 0.6, 2: 0.9, 8: 0.97 },
  units,
  at_most_two: 0.5,
  ...more,
});
/** Read off a curve of so many words times the surprise. */
const atOf = (words) => [0.2, 0.4].map((nats) => ({ nats, words: words * (1 + nats / 2), half: 0.5 }));
const pointOf = (nats, words, later) => ({ nats, words, half: 0.5, later });
const setsOf = (words, works) => ({ base: 0.18, words, two: 0.5, nll_ratio: 1.25, works, harmonic: 0.9 });
const qualityOf = (nats, cost) => ({
  validation: { nats_per_token: nats, bits_per_byte: nats / 2.5, tokens: 213692 },
  held_out: { nats_per_token: nats, bits_per_byte: nats / 2.5 },
  '8bit_minus_f32': { held_out_bits_per_byte: cost },
  stories: { count: 50, name_recurs: 0.7, no_8gram_thrice: 1 },
});
const steeringOf = (judge) => ({
  model: { name: 'T' },
  judge: { name: judge },
  score: { works: 0, works_without_likelihood: 0.65, concepts: [{}, {}] },
});

const turnedOf = (median, still, switches, mean = 0.99) => ({ same_side: { mean }, times: { median, as_listed: still, switches } });
/** Once the twin and the SAE are measured. */
export const WHOLE = {
  quality: {
    topk: { ...qualityOf(2.662, 0.0002144), weights: 'f16' },
    dense: qualityOf(2.5, -0.00006407),
    gap_percent: { validation: 4.25, held_out: 4.61 },
    shipped: { gap_percent: { held_out: 4.7 } },
  },
  controls: {
    text: { what: 'held-out documents', tokens: 132000 },
    units_a_block: 256,
    rows: {
      topk: readsOf(3.519, 0.2468),
      topk_rotated: readsOf(5.2, 0.06),
      dense: readsOf(5.8, 0.02),
      embedding: readsOf(5.2, 0.17, { layers: null }),
      'sae x': readsOf(2, 0.3, { kind: 'topk', k: 48, layer: 4, layers: null }),
    },
  },
  strongest: {
    block: 4,
    tokens: 57_994,
    shares: [0.004, 0.032],
    rows: {
      topk: { 0.004: { f1: 0.58 }, 0.032: { f1: 0.32 } },
      topk_rotated: { 0.004: { f1: 0.42 }, 0.032: { f1: 0.35 } },
      dense: { 0.004: { f1: 0.25 }, 0.032: { f1: null } },
      'sae x': { 0.004: { f1: 0.12 } },
    },
  },
  seeds: {
    mean: { seeds: { correlation: 0.61, above_half: 0.7, mutual: 0.5 }, same_index: { correlation: 0.01, above_half: 0 } },
  },
  sae: { a: saeOf('topk', 48), b: saeOf('jumprelu', 48), 'a-seed2': saeOf('topk', 48) },
  consistency: { items_of_each_kind: 120, topk: { figure: 0.1, who: { right: 0.63 }, shuffled_sentences: { who: { right: 0.61 } } } },
  sets: {
    texts: 60,
    tokens: 60,
    methods: {
      topk: {
        8: { ...setsOf(3.2, 0.5), at: atOf(2) },
        1: setsOf(1.2, 0),
      },
      random: { 8: setsOf(0.5, 0) },
      dense: { 8: { ...setsOf(1, 0.05), at: atOf(0.5) } },
      sae: { 1: setsOf(2.6, 0.45), 8: { ...setsOf(3.2, 0.55), at: atOf(1) } },
      prompt: setsOf(0.4, 0),
      logits: setsOf(4.7, 1),
    },
  },
  judged: {
    judges: {
      'Llama-Dense-Stories-22M': {
        methods: {
          topk: { 8: { at: [pointOf(0.2, 1.8), pointOf(0.4, 3.3)] } },
          sae: { 8: { at: [pointOf(0.2, 1.4), pointOf(0.4, 3.1)] } },
        },
      },
    },
  },
  steering: {
    bounds: { success: 5, relaxed_success: 3, works: 0.5, likelihood: 1.3 },
    search: { middle_margin: 1.6 },
    topk: steeringOf('D'),
    dense: steeringOf('D'),
    sae: steeringOf('D'),
  },
  ceiling: { works: 0.8 },
  letting_go: {
    until: 12,
    methods: {
      'topk 8': { at: [pointOf(0.2, 3.1, 1.2), pointOf(0.4, 3.9)] },
      logits: { at: [pointOf(0.2, 2.8, 0.7)] },
      'sae 8': { at: [] },
    },
  },
  trace: {
    js_bound: 0.5,
    topk: {
      steps: [0, 181, 312],
      last_step: 1600,
      emerged_share: [0.003, 0.07, 0.12],
      not_settled: 0.21,
      trained_with_k: [
        [80, 256],
        [240, 128],
        [1600, 48],
      ],
    },
    dense: { steps: [312], last_step: 1600, emerged_share: [0.01] },
  },
  paper: { claims: [{ claim: 'Stays able', verdict: 'partly', figure: '+2.5 % of loss', rests_on: 'quality, sets' }] },
  compute: {
    sizes: {
      shipped: {
        topk: { name: 'T', flops: 2.24e15, sparse_saves_share: 0.148, loss: { held_out: 2.654 } },
        dense: { name: 'D', flops: 2.24e15, sparse_saves_share: 0, loss: { held_out: 2.593 } },
        decode: { topk: 1762.4, dense: 1500, topk_to_dense: 1.17 },
      },
      proxy: { dense: { name: 'dense', flops: 1.4e14, loss: { held_out: 3.63 } } },
    },
  },
  sweep_wide: {
    proxy: { tokens: 2457600 },
    settings: {
      k48: { loss: { held_out: { nats_per_token: 3.706 } }, gap_percent: { held_out: 2.09, validation: 2.4 } },
      k61: { run: false },
    },
  },
  sae_trace: {
    layer: 2,
    steps: [312, 928, 2200],
    topk_steps: [312, 928, 2200],
    topk_neurons: { within: [0.12, 0.4, 1] },
    dense_coordinates: { within: [0.03, 0.1, 1] },
    sae_features: {
      by: { cosine: { within: [0.05, 0.2, 1] }, tokens: { within: [0.2, 0.4, 1] } },
      another_seed: { within_by_cosine: 0.3, within_by_tokens: 0.5 },
    },
  },
  patches: {
    kept: 50,
    enough: 0.8,
    rows: {
      0: { topk: patchedOf(3) },
      4: {
        topk: patchedOf(2),
        topk_rotated: patchedOf(400, { together: { 8: 0.94 } }),
        dense: patchedOf(384, { differ: 1024, whole: 0.6, together: { 1: 0.6, 2: 0.9, 8: 0.96 } }),
        'sae x': patchedOf(null, { together: { 8: 0.95 } }),
      },
    },
  },
  switches: {
    ...turnedOf(1.31, 0.36, 4),
    listed: 209,
    switches: 3,
    contrasts: 55,
    of_switches: turnedOf(2.5, 0.67, 0),
    random: turnedOf(-0.02, 0, 0, 0.54),
  },
  turning: {
    ...turnedOf(1.09, 0.18, 1, 1),
    pairs: 104,
    listed: 803,
    kept: { median: 0.972 },
    random: turnedOf(0, 0, 0, 0.504),
    nats: { median: 2.96 },
    dense: { same_side: { mean: 0.999 }, kept: { median: 0.925 }, nats: { median: 0.906 } },
  },
  longer: {
    columns: ['short', 'long'],
    rows: [
      { name: 'validation text', definition: 'Bits.', unit: 'three', values: [0.968, 0.882] },
      { name: 'which object', definition: 'Right.', unit: 'percent', values: [0.72, 0.97] },
      { name: '… three times as far', definition: 'Of these.', unit: 'count', values: [3, 14] },
      { name: "F1 of a neuron's label", definition: 'Median.', unit: 'two', values: [0.25, 0.18] },
      { name: '… by up to 8 neurons', definition: 'Of 20.', unit: 'percent', values: [0.85, 0.35] },
      { name: 'of another kind', definition: '', unit: 'furlongs', values: [1, 2] },
    ],
  },
  lasting: {
    concepts: 20,
    settings: {
      wide: {
        why: 'weight 0.3, wide',
        tokens: 29982720,
        validation: { bits_per_byte: 0.9417 },
        f1: 0.347,
        what: 0.725,
        sets: { 1: { works: 0.35 }, 8: { works: 0.7 } },
      },
      unmeasured: { why: 'another', tokens: 79982720 },
    },
  },
  sweep: {
    proxy: { tokens: 5013504 },
    settings: {
      dense: { loss: { validation: { nats_per_token: 2.96 } }, token_entropy_median: 4.116, gap_percent: 0 },
      k32: { loss: { validation: { nats_per_token: 3.097 } }, token_entropy_median: 3.203, gap_percent: 4.643 },
    },
    best: null,
  },
};
