// What the Steer page does is pure arithmetic here: search, strengths, recipes, sets, ten seeds, code.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { siteModule } from './page-kit.mjs';

let compare;
let edits;
let swept;
let recipes;
let search;
let strength;
let summary;
let code;
before(async () => {
  [compare, edits, swept, recipes, search, strength, summary, code] = await Promise.all(
    ['compare', 'edits', 'swept', 'recipes', 'neuron-search', 'strength', 'seed-summary', 'steer-code'].map((name) =>
      siteModule(`${name}.ts`),
    ),
  );
});

const VOCABULARY = [' dog', ' cat', ' sun', ' doggy'];
const INDEX = {
  dModel: 3,
  layers: [0, 4],
  entropy: { n: 100, rareBelow: 20 },
  columns: {
    n: [100, 100, 100, 100, 100, 100],
    max: [9, 8, 7, 6, 5, null],
    tokenEntropy: [3, 1, 2, 2, 2, 2],
    topTokens: [[2], [0], [2], [2], [2], []],
    promoted: [[], [], [0], [], [], []],
    suppressed: [[], [], [], [], [], []],
    label: ['a', 'b', 'c', 'd', 'e', 'f'],
  },
};
const WRITES = {
  ...INDEX,
  columns: {
    ...INDEX.columns,
    writesUp: [[0], [1], [2], [2, 0], [0], null],
    specificity: [2, 5, 5, 9, 0.5, null],
    steer: [4, 4, 4, 4, 4, null],
    strong: [2, 2, 2, 2, 2, null],
  },
};
const names = (found) => found.map(({ layer, index, reason }) => `${layer}.${index} ${reason.by}`);

test('a word finds what writes it before what reads it; without measurements, what reads it', () => {
  assert.deepEqual(names(search.findNeurons(INDEX, VOCABULARY, 'dog', 9)), ['0.1 reads', '0.2 promotes']);
  assert.deepEqual(names(search.findNeurons(WRITES, VOCABULARY, 'dog', 9)), [
    '4.0 writes', // 9 times as much as random neurons
    '0.0 writes', // twice
    '4.1 writes', // no more than they
    '0.1 reads',
  ]);
  const columns = { ...WRITES.columns, steer: [4, 4, 4, null, 4, null] };
  assert.equal(
    names(search.findNeurons({ ...WRITES, columns }, VOCABULARY, 'dog', 9))[0],
    '0.0 writes',
    'one that breaks the text comes later',
  );
  const [first] = search.findNeurons(WRITES, VOCABULARY, '4.1', 9);
  assert.deepEqual([first.reason, first.specificity, first.strength], [null, 0.5, { value: 4, from: 'reads' }]);
});

test('the strength: the largest at which text stays readable, else the strong activation, else the maximum', () => {
  const of = (index, at) => strength.strengthOf(index, { layer: 0, index: at });
  assert.deepEqual(of(WRITES, 0), { value: 4, from: 'reads' });
  assert.deepEqual(of({ ...WRITES, columns: { ...WRITES.columns, steer: [null] } }, 0), { value: 2, from: 'strong' });
  assert.deepEqual(of(INDEX, 0), { value: 9, from: 'max' });
  assert.equal(of(null, 0), null);
  assert.equal(strength.strengthOf(WRITES, { layer: 4, index: 2 }), null);
  assert.equal(strength.positionsFor(of(WRITES, 0)), 'next');
  assert.equal(strength.positionsFor(of(INDEX, 0)), 'all');
  assert.deepEqual([1, 1.3, 1.5, 2, 4].map(strength.readsAs), [
    'reads as before',
    'still reads well',
    'reads less well',
    'often breaks',
    'hardly reads',
  ]);
});

const prompted = { promptLength: 5, context: 256 };
const clamp = (index, value, more = {}) => ({
  layer: 1,
  index,
  action: 'clamp',
  value,
  site: 'topk_in',
  positions: 'all',
  propagate: 'layer',
  ...more,
});

test('an edit from the prompt’s end on: in the address and back, and in the positions of the engine', () => {
  const edit = clamp(2, 3.5, { positions: 'next' });
  assert.equal(edits.formatEdits([edit]), '1.2_clamp_3.5_in_next');
  assert.deepEqual(edits.parseEdits('1.2_clamp_3.5_in_next'), [edit]);
  assert.deepEqual(edits.engineEdit(edit, prompted).positions, { from: 4, to: 256 });
  assert.deepEqual(edits.engineEdit(edit, { promptLength: 0, context: 8 }).positions, { from: 0, to: 8 });
  assert.match(edits.commandEdit(edit, prompted), /positions=4\.\.256/);
  const run = {
    url: 'u',
    folder: 'f',
    step: null,
    isPicked: false,
    prompt: 'p',
    seed: 7,
    temperature: 0,
    maxTokens: 8,
    edits: [edit],
    prompted,
  };
  assert.match(code.asJavaScript(run), /"positions":\{"from":4,"to":256\}/);
  assert.match(code.asCommand(run), /positions=4\.\.256/);
});

test('a feature of any size goes into the address and back', () => {
  for (const value of [4.5, -0.25, 1e-7, 1e21, -3e30])
    assert.deepEqual(edits.parseFeature(edits.formatFeature({ index: 3, value })), { index: 3, value });
});

test('edits that are let go after some new tokens: in the address and back, and in the positions of the engine', () => {
  const ends = [
    ['all', { from: 0, to: 16 }],
    ['next', { from: 4, to: 16 }],
    ['generated', { from: 5, to: 16 }],
  ];
  for (const [start, positions] of ends) {
    const edit = edits.letGo(clamp(2, 3.5, { positions: start }), 12);
    assert.equal(edits.formatEdits([edit]), `1.2_clamp_3.5_in_${start}12`);
    assert.deepEqual(edits.parseEdits(`1.2_clamp_3.5_in_${start}12`), [edit]);
    assert.deepEqual(edits.engineEdit(edit, prompted).positions, positions);
    assert.equal(edits.kindOf(edit.positions), start);
    assert.equal(edits.letGo(edit, null).positions, start);
    assert.equal(edits.letGo(edit, 3).positions.tokens, 3);
    assert.equal(edits.scaledEdit(edit, 2).positions, edit.positions);
  }
  // One token: the state at the prompt's last position decides it; nothing beyond the context, and never an empty range.
  assert.deepEqual(edits.positionsOf({ start: 'next', tokens: 1 }, prompted), { from: 4, to: 5 });
  assert.deepEqual(edits.positionsOf({ start: 'generated', tokens: 1 }, prompted), { from: 5, to: 6 });
  assert.deepEqual(edits.positionsOf({ start: 'all', tokens: 999 }, prompted), { from: 0, to: 256 });
  assert.match(edits.commandEdit(clamp(2, 1, { positions: { start: 'all', tokens: 12 } }), prompted), /positions=0\.\.16/);
  for (const wrong of ['all0', 'prompt3', 'range4', 'all-3', 'all12345', 'next1.5'])
    assert.deepEqual(edits.parseEdits(`1.2_clamp_3_in_${wrong}`), []);

  const [prompt, range] = [clamp(2, 1, { positions: 'prompt' }), clamp(2, 1, { positions: { from: 1, to: 3 } })];
  for (const edit of [prompt, range]) {
    assert.equal(edits.letGo(edit, 12), edit);
    assert.equal(edits.goesOn(edit), false);
  }
  const both = [clamp(2, 1), clamp(3, 1, { positions: 'next' })].map((edit) => edits.letGo(edit, 8));
  assert.equal(edits.letGoOf(both), 8);
  assert.equal(edits.letGoOf([...both, clamp(4, 1)]), null);
  assert.equal(edits.letGoOf([]), null);
});

test('a set is scaled as a whole, and known again at any scale', () => {
  const set = [clamp(2, 4), clamp(3, -1.5), clamp(4, 3, { action: 'scale' }), clamp(5, 0, { action: 'ablate' })];
  const twice = set.map((edit) => edits.scaledEdit(edit, 2));
  assert.deepEqual(
    twice.map(({ value }) => value),
    [8, -3, 5, 0],
  );
  assert.equal(edits.timesOf(set, twice), 2);
  assert.equal(edits.timesOf(set, set), 1);
  for (const times of [0, 0.35, 1.05, 2.95]) {
    const scaled = set.map((edit) => edits.scaledEdit(edit, times));
    assert.equal(edits.timesOf(set, scaled), times);
  }
  assert.equal(edits.timesOf(set, set.slice(1)), null);
  assert.equal(edits.timesOf(set, [clamp(2, 8), ...set.slice(1)]), null);
  assert.equal(edits.timesOf([], []), 1);
});

test('a sweep takes one edit in multiples of its strength, and a set as a whole', () => {
  const values = (all) => all.map(({ value }) => value);
  const one = swept.sweptOf([clamp(2, 4)], [clamp(2, 4)], 10, 'neuron');
  assert.equal(one.title, 'layer 1 neuron 2');
  assert.deepEqual(values(one.at(1.5)), [15]);
  assert.equal(one.key, swept.sweptOf([clamp(2, 9)], [clamp(2, 9)], 10, 'neuron').key, 'whatever its value is now');
  assert.deepEqual(values(swept.sweptOf([clamp(2, -4)], [], null, 'neuron').at(2)), [-8], 'of its own value where no strength is known');
  assert.deepEqual(values(swept.sweptOf([clamp(2, 5, { action: 'scale' })], [], 10, 'neuron').at(3)), [3]);

  const set = [clamp(2, 4), clamp(3, -1.5), clamp(5, 0, { action: 'ablate' })];
  const twice = set.map((edit) => edits.scaledEdit(edit, 2));
  const all = swept.sweptOf(twice, set, 10, 'neuron');
  assert.equal(all.title, 'all 3 neurons');
  assert.deepEqual(all.at(2), twice);
  assert.equal(all.key, swept.sweptOf(set, set, 10, 'neuron').key, 'at any scale');
  assert.notEqual(all.key, swept.sweptOf(twice, twice, 10, 'neuron').key, 'but of these strengths');

  for (const nothing of [[], [clamp(5, 0, { action: 'ablate' })]]) assert.equal(swept.sweptOf(nothing, nothing, 10, 'neuron'), null);
});

const fileOf = (value) => ({ file: async () => ({ text: async () => JSON.stringify(value) }) });

test('recipes: one neuron or a set, their rate in words, the prompts they were tried on; what is none is left out', async () => {
  const flat = {
    concept: 'water',
    words: ['Sea', 3],
    layer: 3,
    index: 1,
    action: 'clamp',
    value: 2,
    success: 0.52,
    nll_ratio: 1.2,
  };
  const both = [
    { layer: 1, index: 2, action: 'add', value: 1.5, positions: 'next' },
    { layer: 2, index: 3, action: 'ablate' },
  ];
  const set = { concept: 'dogs', words: ['dog'], edits: both, success: 0.97, prompts: ['One day', 'Once'] };
  const given = [
    flat,
    set,
    { concept: 'x', words: [], edits: [] },
    { concept: 'y', words: [], edits: [{ layer: 1 }] },
    { words: [] },
    null,
    3,
  ];
  const { recipes: read, left } = await recipes.readRecipes(fileOf(given));
  assert.equal(left, 0);
  assert.deepEqual(
    read.map(({ concept }) => concept),
    ['water', 'dogs'],
  );
  assert.deepEqual(read[0].words, ['sea']);
  assert.deepEqual(
    read.map((recipe) => edits.formatEdits(recipe.edits)),
    ['3.1_clamp_2', '1.2_add_1.5_out_next*2.3_ablate_0'],
  );
  assert.deepEqual(read.map(recipes.showsIn), ['shows in 5 of 10 texts', 'shows in nearly every text']);
  assert.deepEqual(recipes.provenPrompts(read, 'Once'), ['Once', 'One day']);
  assert.deepEqual(recipes.provenPrompts(read, 'Else'), ['One day', 'Once']);
  assert.equal(recipes.showsIn({ success: null }), '');
  assert.match(recipes.showsIn({ success: 0.01 }), /hardly any/);
});

test('of very many recipes the first are read, with texts that can be laid out and edits that a text may have', async () => {
  const flat = { concept: 'water', words: [], layer: 3, index: 1, action: 'ablate' };
  const long = { ...flat, concept: 'A'.repeat(60_000), judge: 'B'.repeat(60_000) };
  const crowded = { concept: 'x', words: [], edits: Array(257).fill({ layer: 1, index: 2, action: 'ablate' }) };
  const { recipes: read, left } = await recipes.readRecipes(fileOf([long, crowded, ...Array(2000).fill(flat)]));
  assert.equal(read.length, 999);
  assert.equal(left, 1002);
  assert.equal(read[0].concept.length, 201);
  assert.equal(read[0].judge.length, 201);
  await assert.rejects(
    recipes.readRecipes({ file: async () => ({ size: 2e7 }) }),
    /^Error: recipes\.json has 20\.0 MB, but at most 16\.0 MB are read\.$/,
  );
});

test('a loss curve of very many points is thinned, its end kept', async () => {
  const { readTraining } = await siteModule('training.ts');
  const read = (points) => readTraining(fileOf({ loss: Array.from({ length: points }, (_, step) => [step, 3]) }));
  assert.equal((await read(366)).loss.length, 366);
  const { loss, every } = await read(250_001);
  assert.equal(every, 3);
  assert.deepEqual([loss.length, loss[1].step, loss.at(-1).step], [83_335, 3, 250_000]);
});

test('words of a concept are marked in a text, whole words only', () => {
  const parts = compare.conceptParts("A dog, hotdogs. Dog's DOG", ['dog']);
  assert.equal(parts.map(({ text }) => text).join(''), "A dog, hotdogs. Dog's DOG");
  assert.deepEqual(
    parts.filter(({ isConcept }) => isConcept).map(({ text }) => text),
    ['dog', 'DOG'],
  );
});

test('a run of four words that comes three times is a repetition', () => {
  assert.equal(compare.repeated('The dream was sad. The dream was sad, the dream was sad.'), 'the dream was sad');
  assert.equal(compare.repeated('The dream was sad. The dream was sad.'), '');
  assert.equal(compare.repeated('so so so so so so'), 'so so so so');
  assert.equal(compare.repeated(''), '');
});

test('ten seeds: in how many texts the words appear, how many, and the price', () => {
  const text = (base, steered, nats = [2, 3]) => ({
    seed: 1,
    base: { text: base, surprise: nats[0] },
    steered: { text: steered, surprise: nats[1] },
  });
  const texts = [text('a cat', 'Dogs and a dog'), text('a dog', 'a dog'), text('x', 'y', [null, 3])];
  const { base, steered, changed, ratio } = summary.summaryOf(texts, ['dog', 'dogs']);
  assert.deepEqual(
    [base.words, steered.words],
    [
      [0, 1, 0],
      [2, 1, 0],
    ],
  );
  assert.deepEqual([base.shown, steered.shown, changed], [1, 2, 2]);
  assert.deepEqual([base.meanSurprise, steered.meanSurprise, ratio], [2, 3, 1.5]);
  assert.equal(steered.meanWords, 1);
  const none = summary.summaryOf([], []);
  assert.deepEqual([none.base.meanWords, none.ratio, none.changed], [0, null, 0]);
});
