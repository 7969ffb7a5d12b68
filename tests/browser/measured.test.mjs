// Measurements on the pages: About's figures next to those of the dense twin and an SAE, and the recipes with their price.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { paths } from '../../scripts/lib/paths.mjs';
import { accessibilityFindings, assertUsable, openSite, shippedModel, siteModule, STEP_TIMEOUT, WEIGHTS, withSite } from './page-kit.mjs';

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

/** Results as training/claims writes them once the twin and the SAE are measured. */
const turnedOf = (median, still, switches, mean = 0.99) => ({ same_side: { mean }, times: { median, as_listed: still, switches } });
const WHOLE = {
  quality: { topk: qualityOf(2.662, 0.0002144), dense: qualityOf(2.5, -0.00006407), gap_percent: { validation: 4.25, held_out: 4.61 } },
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
    topk: { steps: [0, 181, 312], last_step: 1600, emerged_share: [0.003, 0.07, 0.12], not_settled: 0.21 },
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

const rowOf = ({ facts }, name) => facts.find((fact) => fact.name === name)?.cells;
const groupOf = ({ groups }, title) => groups.find((group) => group.title === title);

test('figures by name for TopK, dense and SAE; a cost too small to measure is no number', async () => {
  const { claimsOf } = await siteModule('claims.ts');
  const claims = claimsOf(WHOLE);
  // The main figures in sentences.
  assert.equal(claims.lead.length, 11);
  assert.match(claims.lead[0], /held-out stories by 4\.6 %/);
  assert.match(claims.lead[1], /F1 of 0\.25 .*rotated \(0\.06\).*twin’s coordinates \(0\.02\)/);
  assert.match(claims.lead[2], /active at far fewer positions than those: at equally many, .* F1 is 0\.39, 0\.39 and 0\.39/);
  assert.match(
    claims.lead[3],
    /at 0\.4 % of the positions, F1 is 0\.58 for neurons, 0\.42 .* rotated, 0\.25 for coordinates and 0\.12 for SAE features/,
  );
  const sharp = groupOf(claims, 'Where a unit is strong');
  assert.deepEqual(
    [sharp.columns, rowOf(sharp, 'dense coordinates'), rowOf(sharp, 'SAE features')],
    [
      ['0.4 %', '3.2 %'],
      ['0.25', '–'],
      ['0.12', '–'],
    ],
  );
  assert.match(
    claims.lead[4],
    /behind block 4, bring its next word 97 % of the way .*coordinates of the twin 96 %, eight SAE features 95 %, .*rotated, 94 %/,
  );
  assert.match(
    claims.lead[5],
    /^209 times a neuron turns .* still read; behind fresh prompts 36 % still do, and 99\.0 % turn it the same way .*: 0 % and 54\.0 %/,
  );
  assert.match(claims.lead[7], /eight neurons bring 50 %.*twin bring 5 %, one neuron alone 0 %/);
  assert.match(claims.lead[8], /SAE on the twin bring 55 %, one alone 45 %\. .*not the best lever.*without any neuron, brings 100 %/);
  assert.match(
    claims.lead[9],
    /^At the price of 0\.4 nats per token, up to eight neurons bring 2\.40 words .*, as many features 1\.20, coordinates of the twin 0\.60 .*wrote none, neurons and features bring 3\.30 and 3\.10/,
  );
  assert.deepEqual(rowOf(groupOf(claims, 'The paper’s claims, one by one'), 'Stays able'), ['partly', '+2.5 % of loss']);
  const emerged = groupOf(claims, 'When neurons take on their meaning');
  assert.deepEqual(
    [emerged.columns, rowOf(emerged, 'Before training (chance)')],
    [
      ['TopK', 'dense'],
      ['0.3 %', '–'],
    ],
  );
  assert.deepEqual(rowOf(emerged, 'By step 312'), ['12.0 %', '1.0 %']);
  assert.match(emerged.note, /21 % of the neurons are not settled/);
  assert.deepEqual(rowOf(groupOf(claims, 'Compute and size'), 'TopK, as shipped'), ['2.24', '15 %', '2.654', '1,762']);
  const wide = groupOf(claims, 'Wide, sparse settings on a small proxy model');
  assert.deepEqual(
    wide.facts.map(({ name, cells }) => [name, ...cells]),
    [['k48', '3.706', '+2.1 %', '+2.4 %']],
  );
  const reads = groupOf(claims, 'What a unit reads, and what would refute it');
  assert.deepEqual(rowOf(reads, 'TopK neurons'), ['3.52', '0.25 (0.00)', '0.39', '80 %', '0.58 (0.01)']);
  assert.deepEqual(rowOf(reads, 'token embedding alone').at(-1), '–');
  assert.deepEqual(
    reads.facts.map(({ name }) => name),
    ['TopK neurons', 'the same states, rotated', 'token embedding alone', 'dense coordinates', 'SAE TopK, k = 48, behind block 4'],
  );
  assert.match(reads.note, /256 units a block and 132,000 tokens/);
  assert.deepEqual(rowOf(groupOf(claims, 'Does another seed find the same neurons?'), 'its neurons of the same index'), [
    '0.01',
    '0 %',
    '–',
  ]);
  const patched = groupOf(claims, 'How few units decide the next word?');
  assert.deepEqual(rowOf(patched, 'dense coordinates'), ['1,024', '60 %', '60 %', '90 %', '96 %', '384']);
  assert.deepEqual(rowOf(patched, 'SAE features').at(-1), '–');
  assert.match(patched.note, /behind block 4.*over 50 pairs.*80 % of what the model’s whole state brings/);
  const turned = groupOf(claims, 'Do single neurons turn a contrast?');
  assert.deepEqual(rowOf(turned, 'neurons of the Gallery'), ['209', '99.0 %', '1.31', '36 %', '4']);
  assert.deepEqual(rowOf(turned, 'switches among them'), ['3', '99.0 %', '2.50', '67 %', '0']);
  assert.deepEqual(rowOf(turned, 'random neurons'), ['209', '54.0 %', '−0.02', '0 %', '0']);
  assert.match(turned.note, /\(55 contrasts\)/);
  assert.match(
    claims.lead[10],
    /bits per byte 0\.968 → 0\.882; .* 72 % → 97 % right\) and at switches \(3 → 14\), .*F1 0\.25 → 0\.18.*85 % → 35 %/,
  );
  assert.match(
    claims.lead.find((sentence) => sentence.startsWith('Steer finds')),
    /104 pairs \(803 in all\) 100\.0 % turn it the same way .* by 97 % of what .* \(random neurons: 50\.4 % the same way\)\. Coordinates .*\(99\.9 %, by 93 %\), but .* by 0\.9 nats where neurons do by 3\.0\.$/,
  );
  const ahead = groupOf(claims, 'Neurons that foretell what comes later');
  assert.deepEqual(
    ahead.facts.map(({ name, definition, cells }) => [name, definition, ...cells]),
    [
      ['weight 0.3, wide', 'Setting wide, 30 million tokens.', '0.942', '0.35', '73 %', '7', '14'],
      ['another', 'Setting unmeasured, 80 million tokens.', '–', '–', '–', '–', '–'],
    ],
  );
  const trained = groupOf(claims, 'What does longer training do?');
  assert.deepEqual(
    [trained.columns, rowOf(trained, 'which object')],
    [
      ['short', 'long'],
      ['72 %', '97 %'],
    ],
  );
  assert.deepEqual(rowOf(trained, 'of another kind'), ['–', '–']);
  const saes = groupOf(claims, 'Sparse autoencoders on the dense twin');
  assert.deepEqual(
    saes.facts.map(({ name }) => name),
    ['SAE TopK, k = 48, behind block 4', 'SAE TopK, k = 48, behind block 4, another seed', 'SAE JumpReLU, k = 48, behind block 4'],
  );
  assert.deepEqual(rowOf(saes, 'SAE JumpReLU, k = 48, behind block 4'), ['48', '91.3 %', '1.2 %', '+0.240']);
  assert.deepEqual(rowOf(groupOf(claims, 'Who is who, and who has what'), 'TopK, sentences shuffled'), ['61 %', '–', '–']);
  const few = groupOf(claims, 'Steering with a few neurons');
  assert.deepEqual(
    few.facts.map(({ name }) => name),
    [
      '1 neuron',
      'up to 8 neurons',
      'up to 8 random neurons',
      'up to 8 coordinates of the twin',
      '1 SAE feature',
      'up to 8 SAE features',
      'a sentence before the prompt',
      'raised logits, no neuron',
    ],
  );
  assert.deepEqual(rowOf(few, 'up to 8 neurons'), ['3.20', '1.25', '2.40', '50 %', '0.90']);
  assert.deepEqual(rowOf(few, 'raised logits, no neuron')[2], '–');
  const judged = groupOf(claims, 'The same lists, by other judges');
  assert.deepEqual(judged.columns, ['the twin, +0.2', 'the twin, +0.4', 'Dense 22M, +0.2', 'Dense 22M, +0.4']);
  assert.deepEqual(rowOf(judged, 'up to 8 neurons'), ['2.20', '2.40', '1.80', '3.30']);
  assert.deepEqual(rowOf(judged, 'up to 8 SAE features').slice(2), ['1.40', '3.10']);
  const freed = groupOf(claims, 'Lists that are let go');
  assert.deepEqual(
    freed.facts.map(({ name }) => name),
    ['up to 8 neurons', 'raised logits, no neuron'],
  );
  assert.deepEqual(rowOf(freed, 'up to 8 neurons'), ['2.20', '3.10', '2.40', '3.90', '1.20']);
  assert.deepEqual(rowOf(freed, 'raised logits, no neuron'), ['–', '2.80', '–', '–', '0.70']);
  assert.match(freed.note, /the first 12 of 60 new tokens/);
  assert.match(few.note, /0\.18 words of the concept a text without an edit/);
  const quality = groupOf(claims, 'Language modeling');
  assert.deepEqual(rowOf(quality, 'Cost of 8-bit weights'), ['under 0.001', 'under 0.001']);
  assert.match(quality.note, /\+4\.3 % on validation, \+4\.6 % on held-out|\+4\.2 % on validation, \+4\.6 % on held-out/);
  const steering = groupOf(claims, 'Steering with one coordinate');
  assert.deepEqual(rowOf(steering, 'At any surprise'), ['65 %', '65 %', '65 %']);
  assert.deepEqual(rowOf(steering, 'Raising the words’ logits instead'), ['80 %', '–', '–']);
  assert.match(steering.note, /measured by D\.$/);
  assert.deepEqual(rowOf(groupOf(claims, 'TopK settings on a small proxy model'), 'k = 32'), ['3.097', '+4.6 %', '3.20']);
  const across = groupOf(claims, 'Final meaning already present, layer 2');
  assert.deepEqual(rowOf(across, 'Step 928'), ['40 %', '20 %', '40 %', '10 %']);
  assert.deepEqual(rowOf(across, 'Final step, another seed'), ['–', '30 %', '50 %', '–']);
  assert.deepEqual(claims.gaps, []);
  const everything = JSON.stringify(claims);
  assert.doesNotMatch(everything, /640","3200|NaN|undefined|0\.0000/);
});

test('what is not measured is named, and has no column or row', async () => {
  const { claimsOf } = await siteModule('claims.ts');
  const alone = claimsOf({ quality: { topk: WHOLE.quality.topk }, controls: { rows: { topk: WHOLE.controls.rows.topk } } });
  assert.deepEqual(groupOf(alone, 'Language modeling').columns, ['TopK']);
  assert.deepEqual(alone.lead, []);
  assert.equal(groupOf(alone, 'What a unit reads, and what would refute it').facts.length, 1);
  for (const what of [/dense twin’s loss/, /sparse autoencoders/, /dense twin’s coordinates/, /lists of neurons/, /another seed/])
    assert.ok(
      alone.gaps.some((gap) => what.test(gap)),
      String(what),
    );
  const nothing = claimsOf({});
  assert.deepEqual(nothing.groups, []);
  assert.ok(nothing.gaps.length >= 8);
});

test('a query of the table is fitted to the model', async () => {
  const browse = await siteModule('browse.ts');
  const asked = { ...browse.DEFAULT_QUERY, layer: 5, maxEmergence: 300, end: 'lowest', minDensity: 0.1, sort: 'density', descending: true };
  const fitted = (index) => {
    const query = browse.queryFor(index, asked);
    return [query.layer, query.maxEmergence, query.end, query.minDensity, browse.orderOf({ columns: {}, ...index }, query, false).sort];
  };
  assert.deepEqual(fitted({ layers: [0, 1], steps: [100, 200], kind: 'topk' }), [null, 200, null, 0.1, 'density']);
  assert.deepEqual(fitted({ layers: [0, 5], steps: [400], kind: 'dense' }), [5, null, 'lowest', null, 'tokenEntropy']);
});

describe('measured, on the pages', { timeout: 600_000 }, () => {
  const model = shippedModel();
  let claims = JSON.stringify(WHOLE);
  let site;
  let browser;

  const intercept = (request, response) => {
    if (!request.url.endsWith('/models/claims.json')) return false;
    if (claims === null) response.writeHead(404).end();
    else response.setHeader('content-type', 'application/json').end(claims);
    return true;
  };
  withSite({ hash: null, serve: { intercept }, hold: WEIGHTS }, (on) => {
    ({ site, browser } = on);
  });

  /** They are folded: what opens them. */
  const tables = (page) => page.getByText('All measurements, in tables');

  async function about(work, options) {
    const opened = await openSite(browser, site, '#/about', options);
    opened.page.setDefaultTimeout(STEP_TIMEOUT);
    try {
      await work(opened.page);
    } finally {
      await opened.close();
    }
  }

  test('About shows them as tables', () =>
    about(async (page) => {
      await tables(page).click();
      const table = page.getByRole('table', { name: 'What a unit reads, and what would refute it' });
      await table.waitFor();
      assert.deepEqual(
        await table
          .getByRole('row', { name: /^TopK neurons/ })
          .getByRole('cell')
          .allInnerTexts(),
        ['3.52', '0.25 (0.00)', '0.39', '80 %', '0.58 (0.01)'],
      );
      assert.equal(await page.locator('[data-gaps]').count(), 0);
      await assertUsable(page);
    }));

  test('About says what has not been measured, and that nothing was', async () => {
    claims = JSON.stringify({ quality: { topk: WHOLE.quality.topk } });
    await about(async (page) => {
      await tables(page).click();
      await page.getByText(/Not measured yet: .*the dense twin’s loss/).waitFor();
      await page.getByText(/has not been measured yet/).waitFor();
    });
    claims = null;
    const ignore = [/404/];
    await about((page) => page.getByText('This build includes no measurements').waitFor(), { ignore });
  });

  test('About as it is built shows the results that there are', async (t) => {
    const file = path.join(paths.site, 'models/claims.json');
    if (!fs.existsSync(file)) return t.skip('no results in training/claims/results');
    claims = fs.readFileSync(file, 'utf8');
    await about(async (page) => {
      await page.locator('[data-facts]:not([data-facts="0"])').waitFor();
      await tables(page).click();
      const text = await page.locator('[data-facts]').innerText();
      assert.doesNotMatch(text, /NaN|undefined|null|\d\.\d{5}/);
      const { claimsOf } = await siteModule('claims.ts');
      for (const { title, facts } of claimsOf(JSON.parse(claims)).groups)
        assert.equal(new Set(facts.map(({ name }) => name)).size, facts.length, `${title}: every row has a name of its own`);
      assert.deepEqual(await accessibilityFindings(page), []);
    });
  });

  test('recipes: the gentle ones apart from the strong ones, each with its rates and its price', async (t) => {
    const has = model.read('manifest.json').files.some(({ path: name }) => name === 'recipes.json');
    if (!has) return t.skip('the shipped model has no recipes.json');
    const recipes = model.read('recipes.json');
    const { shortName } = await siteModule('models.ts');
    assert.ok(recipes.length >= 5, `${recipes.length} recipes`);
    const opened = await openSite(browser, site, '#/steer');
    const { page } = opened;
    page.setDefaultTimeout(STEP_TIMEOUT);
    try {
      await page.getByRole('heading', { name: 'Measured recipes' }).waitFor();
      await page.getByRole('button', { name: `Show all ${recipes.length}` }).click();
      for (const [kind, mine] of [
        ['gentle', recipes.filter(({ gentle }) => gentle)],
        ['strong', recipes.filter(({ gentle }) => !gentle)],
      ]) {
        const texts = await page.locator(`[data-recipes=${kind}]`).getByRole('button').allInnerTexts();
        assert.equal(texts.length, mine.length, kind);
        for (const [place, { concept, nll_ratio: ratio, steered_rate: steered }] of mine.entries()) {
          assert.ok(texts[place].startsWith(concept[0].toUpperCase() + concept.slice(1)));
          assert.ok(texts[place].includes(`${ratio.toFixed(2)} ×`), texts[place]);
          assert.ok(texts[place].includes(steered.toFixed(steered < 10 ? 1 : 0)), texts[place]);
          assert.equal(kind === 'gentle', ratio <= 1.35 + 1e-9);
        }
      }
      const judge = await page.getByText(/how much more surprising/).innerText();
      assert.ok(judge.includes(shortName(recipes[0].judge)), judge);
      await assertUsable(page);
    } finally {
      await opened.close();
    }
  });
});
