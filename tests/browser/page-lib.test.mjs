// The site's arithmetic, its addresses and its exported files, without a browser.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { before, test } from 'node:test';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { shippedModel, siteModule } from './page-kit.mjs';

let activity;
let route;
let format;
let browse;
let distribution;
let files;
let vocabulary;
let taken;
let address;
let kinds;
let pages;
let dashboard;
let models;
let neurons;
before(async () => {
  const names = [
    'activity',
    'route',
    'format',
    'browse',
    'distribution',
    'save',
    'vocabulary',
    'explore-code',
    'address',
    'model-kind',
    'pages',
    'dashboard',
    'models',
    'neurons',
  ];
  [activity, route, format, browse, distribution, files, vocabulary, taken, address, kinds, pages, dashboard, models, neurons] =
    await Promise.all(names.map((name) => siteModule(`${name}.ts`)));
});

/** Rows from a dense [T, d] array. */
function rowsOf(dense) {
  const rowStart = [0];
  const indices = [];
  const values = [];
  for (const row of dense) {
    row.forEach((value, index) => {
      if (value === 0) return;
      indices.push(index);
      values.push(value);
    });
    rowStart.push(indices.length);
  }
  return {
    shape: [dense.length, dense[0].length],
    rowStart: Uint32Array.from(rowStart),
    indices: Uint32Array.from(indices),
    values: Float32Array.from(values),
  };
}

const DENSE = [
  [9, 0, 0, 2, -1],
  [0, 0, 0, 0, 0],
  [0, 3, 0, 3, -8],
  [1, 0, 0, 5, 0],
];

test('values of a neuron are those of the dense array', () => {
  const dense = activity.denseRows({ data: Float32Array.from(DENSE.flat()), shape: [4, 5] });
  for (const rows of [rowsOf(DENSE), dense]) {
    for (let index = 0; index < 5; index++) {
      assert.deepEqual(
        [...activity.valuesOf(rows, index)],
        DENSE.map((row) => row[index]),
      );
    }
  }
});

test('active neurons, strongest first, ties by lower index', () => {
  const rows = rowsOf(DENSE);
  const indices = (t, select) => activity.activeAt(rows, t, select).map(({ index }) => index);
  assert.deepEqual(indices(2, 'value'), [1, 3, 4]);
  assert.deepEqual(indices(2, 'abs'), [4, 1, 3]);
  assert.deepEqual(indices(1, 'value'), []);
  assert.deepEqual(indices(4, 'value'), [], 'a position that was not read');
});

test('neurons in SAEDashboard’s keys are those of the shared vectors', async () => {
  const { batch, ...given } = JSON.parse(fs.readFileSync(inRoot('tests/dashboard_vectors.json'), 'utf8'));
  assert.ok(batch.features.length > 0);
  assert.deepEqual(dashboard.dashboardBatch(given), batch);
});

test('the first difference of two texts; the kind of a model and its layers', () => {
  assert.equal(activity.divergence([1, 2, 3], [1, 2, 4]), 2);
  assert.equal(activity.divergence([1, 2], [1, 2, 4]), null);
  assert.deepEqual(kinds.topkLayers({ n_layers: 3, n_nontopk: 1, topk_k: 2 }), [0, 1]);
  assert.deepEqual(kinds.topkLayers({ n_layers: 3, n_nontopk: 0, topk_k: null }), []);
  const shown = (config) => [kinds.kindOf(config), kinds.shownLayers(config), kinds.hookOf(kinds.kindOf(config), 0)];
  assert.deepEqual(shown({ n_layers: 2, n_nontopk: 1, topk_k: 2 }), ['topk', [0], 'blocks.0.hook_topk_out']);
  for (const dense of [
    { n_layers: 2, n_nontopk: 0, topk_k: null },
    { n_layers: 2, n_nontopk: 2, topk_k: 2 },
  ])
    assert.deepEqual(shown(dense), ['dense', [0, 1], 'blocks.0.hook_resid_post']);
});

test('an address holds the whole state', () => {
  const states = [
    { page: 'start', model: null, ckpt: null, tour: null, neuron: null, params: { off: '1' } },
    { page: 'explore', model: null, ckpt: null, tour: 2, neuron: null, params: {} },
    { page: 'steer', model: 'A model/é', ckpt: 254, tour: null, neuron: null, params: { p: 'A & B #1 “é”\n%', n: '4.17' } },
    { page: 'neuron', model: 'Some-Model', ckpt: 0, tour: null, neuron: { layer: 2, index: 406 }, params: { vs: '1.2' } },
    { page: 'browse', model: 'https://host.example/m/', ckpt: null, tour: null, neuron: null, params: { q: 'a=b&c' } },
  ];
  for (const state of states) assert.deepEqual(route.parseRoute(route.formatRoute(state, 'Default')), state);
  assert.match(route.formatRoute({ ...states[3], model: null }, 'Default'), /^#\/m\/Default\/2\/406/);
  // The site opened with Explore once: a bare address with what only Explore has is still Explore's.
  assert.equal(route.parseRoute('#/?t=AQI&n=1.2').page, 'explore');
  assert.equal(route.parseRoute('#/?say=A%20cat&off=1').page, 'start');
  assert.equal(route.parseRoute('#/?model=M').page, 'start');
  const odd = route.formatRoute(route.parseRoute('#/nowhere?x=1'), 'M');
  assert.equal(route.formatRoute(route.parseRoute(odd), 'M'), odd);
});

test('an address that was tampered with gives a possible state', () => {
  for (const hash of ['', '#', '#/', '#/nowhere?ckpt=-1', '#/neuron', '#/m/x/1e9', '#/%E0%A4%A', '#/m/a/b/c?model=']) {
    const { page, ckpt, neuron } = route.parseRoute(hash);
    assert.ok(pages.isPage(page) && page !== 'neuron', hash);
    assert.equal(ckpt, null);
    assert.equal(neuron, null);
  }
  assert.deepEqual(route.visit('?backend=gpu&dtype=f64&embed=yes'), { engine: { backend: 'auto', dtype: 'stored' }, embed: false });
  assert.deepEqual(route.visit('?backend=cpu&dtype=f16&embed=1'), { engine: { backend: 'cpu', dtype: 'f16' }, embed: true });
});

test('token ids in a link', () => {
  const ids = [0, 1, 127, 128, 300, 4095, 70_000, 2_000_000];
  assert.deepEqual(route.decodeIds(route.encodeIds(ids)), ids);
  assert.match(route.encodeIds(Array.from({ length: 500 }, (_, i) => i * 8)), /^[\w-]{1,2048}$/);
  const long = new Uint32Array(300_000).fill(4000);
  assert.deepEqual(route.decodeIds(route.encodeIds(long)), [...long]);
  for (const wrong of [undefined, '', '!!', 'gA', '_____w', 'a'.repeat(3001)]) assert.equal(route.decodeIds(wrong), null, String(wrong));
  assert.deepEqual(route.parseNeuron('4.17'), { layer: 4, index: 17 });
  assert.equal(route.parseNeuron('4.x'), null);
});

test('a link carries what is short enough; a file carries all of it; both are read by the same checks', () => {
  const text = route.encodeIds(new Uint32Array(2000).fill(4000));
  const state = { page: 'steer', model: 'M', ckpt: 12, tour: null, neuron: null, params: { p: 'A dog', b: text, pl: '3' } };
  const link = address.linkOf(state, 'M');
  assert.equal(link.whole, false);
  assert.deepEqual(address.readAddress(link.hash, 'This link').route.params, { p: 'A dog', pl: '3' });
  const file = JSON.stringify(address.fileOf(state, 'M', { base_ids: [1] }));
  assert.deepEqual(address.readFile('a.json', file), { route: state, errors: [] });
  const short = { ...state, params: { ...state.params, b: route.encodeIds([1, 2, 3, 4]) } };
  assert.deepEqual(address.linkOf(short, 'M'), { hash: route.formatRoute(short, 'M'), whole: true });
  // The same damage gives the same sentences, whichever way it comes.
  const damaged = '#/steer?ckpt=soon&b=!!&e=1.2_clamp_3*nonsense&seed=x&temp=9&pl=99&n=7';
  const { route: left, errors } = address.readAddress(damaged, 'This link');
  assert.deepEqual(left, {
    page: 'steer',
    model: null,
    ckpt: null,
    tour: null,
    neuron: null,
    params: { e: '1.2_clamp_3*nonsense', pl: '99' },
  });
  assert.deepEqual(
    errors.map((sentence) =>
      /^This link could|“soon”|base text|1 of its 2 edits|seed is “x”|temperature is “9”|neuron is “7”/.test(sentence),
    ),
    Array(7).fill(true),
  );
  const asFile = address.readFile('b.json', JSON.stringify({ format: 'topk-lm text', version: 1, address: damaged }));
  assert.deepEqual(asFile.route, left);
  assert.deepEqual(asFile.errors.slice(1), errors.slice(1));
  assert.match(asFile.errors[0], /^The file “b\.json” could/);
});

test('a file that is none, and an address of nothing, are said in a sentence', () => {
  const fileOf = (value) => JSON.stringify({ format: 'topk-lm text', version: 1, address: '#/explore', ...value });
  for (const [content, said] of [
    ['once upon a time', /“x\.json” was not saved by this site: it is not JSON/],
    ['[]', /holds no address/],
    ['null', /holds no address/],
    [fileOf({ format: 'other' }), /holds no address/],
    [fileOf({ address: 7 }), /holds no address/],
    [fileOf({ version: 2 }), /a version of this site that/],
  ]) {
    const { route: opened, errors } = address.readFile('x.json', content);
    assert.equal(opened, null);
    assert.equal(errors.length, 1);
    assert.match(errors[0], said);
  }
  for (const [hash, said] of [
    ['#/nowhere', /no page “nowhere”/],
    ['#/m/M/x/1', /no neuron/],
    ['#/explore?n=a', /neuron is “a”/],
    ['#/explore?at=1.5', /position is “1\.5”, not a whole number from 0 to 999999/],
    ['#/steer?seed=1e16', /seed is “1e16”, not a whole number from 0 to 9007199254740991/],
    ['#/steer?len=1.5', /new tokens is “1\.5”, not a whole number/],
    [`#/explore?p=${'a'.repeat(1 << 21)}`, /too long/],
  ]) {
    assert.match(address.readAddress(hash, 'This link').errors.at(-1), said);
  }
  for (const hash of [
    '',
    '#',
    '#/',
    '#/explore?x=2&n=-&at=3',
    '#/m/M/1/2?vs=1.3',
    '#/browse?q=dog',
    '#/steer?seed=0&temp=0&len=1&e=1.2_ablate_0',
  ])
    assert.deepEqual(address.readAddress(hash, 'This link').errors, [], hash);
});

test('tokens and numbers as text', () => {
  assert.equal(format.visible(' a'), ' a');
  assert.equal(format.visible(' '), '␣');
  assert.equal(format.visible('   a'), '␣␣␣a');
  assert.equal(format.visible('.\n'), '.↵\n');
  assert.equal(format.quoted(' time'), '“time”');
  assert.equal(format.value(-1.5), '−1.50');
  assert.deepEqual([-0.001, 0.001, 0.01, -0.01].map(format.signed), ['0.00', '0.00', '+0.01', '−0.01']);
  assert.equal(format.megabytes(40_144_596), '40.1 MB');
  assert.equal(format.share(0.001234), '0.12 %');
  assert.deepEqual([0.99, 0.9949, 0.9951, 0.9999, 1].map(format.share), ['99 %', '99 %', '99.5 %', '> 99.9 %', '100 %']);
  assert.equal(format.bits(null), '–');
});

test('the start token that a tokenizer adds is no part of a text; others are', () => {
  const tokens = ['<s>', '!', '<div>', '<|im_start|>'];
  const of = (ids, bos) => format.withoutStart(ids, tokens, bos).join();
  assert.equal(of([0, 1, 0, 1], 0), '1,0,1');
  assert.equal(of([0, 1], undefined), '1', 'before the model is there, by its text');
  assert.deepEqual([of([1, 1], 0), of([2, 1], 0), of([3, 1], 0), of([0, 1], null), of([], 0)], ['1,1', '2,1', '3,1', '0,1', '']);
});

/** Six neurons in two layers. */
const INDEX = {
  dModel: 3,
  layers: [1, 4],
  entropy: { n: 100, rareBelow: 20 },
  columns: {
    n: [100, 100, 5, 0, 100, 100],
    tokenEntropy: [2, 0.5, 0.1, null, 2, 1],
    density: [0.1, 0.2, 0.3, 0, 0.4, 0.5],
    emergence: [4, null, null, null, 8, 4],
    topTokens: [[0], [1], [1], [], [2], [0, 2]],
    promoted: [[2], [], [], [], [1], []],
    suppressed: [[], [], [], [], [], []],
    label: ['“dog”', 'cat', 'cat', '', 'mixed: sun', 'words in -ed: dog · sun'],
  },
};
const VOCABULARY = [' Dog', ' cat', ' sun'];

test('a label is in words: how many more tokens it holds for, and whether it is sure', () => {
  const { plainLabel, whatItReads } = neurons;
  assert.equal(
    plainLabel('reads cat, toy, …et +9? · writes and, the, .'),
    'reads cat, toy, …et and 9 more (unsure) · writes and, the, period',
  );
  assert.equal(plainLabel('reads mom, dad, …ar +1 · writes …s?'), 'reads mom, dad, …ar and 1 more · writes …s (unsure)');
  // A list of no kind, and punctuation among its tokens.
  assert.equal(plainLabel('reads mixed: cat, dog, One?'), 'reads various: cat, dog, One (unsure)');
  assert.equal(plainLabel('mixed: :, …g, …ag'), 'various: colon, …g, …ag');
  assert.equal(plainLabel('reads ,, a, to +9 · writes a, ., ,'), 'reads comma, a, to and 9 more · writes a, period, comma');
  assert.equal(plainLabel('punctuation: ., !'), 'punctuation: period, !');
  assert.equal(plainLabel('reads after “,”: ., big'), 'reads after “,”: period, big');
  // The token “?” is none of it.
  for (const label of ['“?”', '“.”', 'cat, !, ?', 'reads “?” · writes ?', 'end of a sentence', '']) assert.equal(plainLabel(label), label);
  for (const label of ['reads cat +2?', 'reads mixed: ,, .?']) assert.equal(plainLabel(plainLabel(label)), plainLabel(label));
  assert.equal(whatItReads('reads cat, toy, …et +9? · writes and, the, .'), 'cat, toy, …et …');
  assert.equal(whatItReads('reads mixed: cat, dog? · writes a'), 'cat, dog');
  assert.equal(neurons.plainLabel('A'.repeat(30_000)), `${'A'.repeat(200)}…`);
  assert.equal(neurons.readsOf('reads mixed: cat, dog? · writes a'), 'various: cat, dog (unsure)');
});

/** The table's entries for a query. */
function selected(index, part) {
  const query = { ...browse.DEFAULT_QUERY, ...part };
  return [...browse.selectNeurons(index, query, browse.foundBy(index, query, VOCABULARY))];
}

test('the table of neurons: filters, order, ties, missing values last', () => {
  const select = (part) => selected(INDEX, part);
  assert.deepEqual(select({}), [1, 5, 0, 4]);
  assert.deepEqual(select({ withRare: true }), [2, 1, 5, 0, 4, 3]);
  assert.deepEqual(select({ withRare: true, sort: 'tokenEntropy', descending: true }), [0, 4, 5, 1, 2, 3]);
  assert.deepEqual(select({ text: 'dog' }), [5, 0]);
  assert.deepEqual(select({ text: 'CAT', list: 'raises' }), [4]);
  assert.deepEqual(select({ text: 'zebra' }), []);
  // Words of a label count, and neither parts of the rule's words nor its quotation marks do.
  assert.deepEqual(select({ text: 'various' }), [4]);
  assert.deepEqual(select({ text: 'mixed' }), [], 'what the page calls “various”');
  assert.deepEqual(select({ text: 'ed' }), [5]);
  assert.deepEqual(select({ text: '“' }), []);
  assert.deepEqual(select({ layer: 4, sort: 'index' }), [4, 5]);
  assert.deepEqual(select({ layer: 2 }), [], 'a layer that was not analyzed');
  assert.deepEqual(select({ maxEntropy: 1 }), [1, 5]);
  assert.deepEqual(select({ minDensity: 0.2, maxDensity: 0.4 }), [1, 4]);
  assert.deepEqual(select({ maxEmergence: 4 }), [5, 0]);
});

test('the best labels come first where labels were tested, but of a dense model', () => {
  const columns = { ...INDEX.columns, readsF1: [0.2, 0.9, 0.4, null, 0.9, 0.5] };
  const select = (kind, part) => selected({ ...INDEX, kind, columns }, part);
  assert.deepEqual(select('topk', {}), [1, 4, 5, 0]);
  assert.deepEqual(select('topk', { sort: 'readsF1' }), [0, 5, 1, 4]);
  assert.deepEqual(select('topk', { sort: 'tokenEntropy' }), [1, 5, 0, 4]);
  for (const sort of [null, 'readsF1']) assert.deepEqual(select('dense', { sort }), [1, 5, 0, 4]);
  assert.deepEqual(selected(INDEX, { sort: 'readsF1' }), [1, 5, 0, 4], 'not tested');
});

test('what neurons write, where it was measured, and states of stories are found', () => {
  const columns = { ...INDEX.columns, writesUp: [[1], null, null, null, [], [2]], state: [null, 'inside quotes', null, null, null, null] };
  const select = (part) => selected({ ...INDEX, columns }, part);
  assert.deepEqual(select({ text: 'cat', list: 'raises' }), [0]);
  assert.deepEqual(select({ text: 'sun', list: 'raises' }), [5]);
  assert.deepEqual(select({ text: 'cat' }).sort(), [0, 1], 'both what they write and what they read is searched');
  assert.deepEqual(select({ text: 'cat', list: 'fires' }), [1]);
  assert.deepEqual(select({ text: 'Quotes' }), [1]);
});

test('a query in the address and back', () => {
  const query = {
    ...browse.DEFAULT_QUERY,
    text: 'a b',
    list: 'lowers',
    layer: 0,
    sort: 'max',
    descending: true,
    maxEntropy: 1.5,
    withRare: true,
  };
  const params = Object.fromEntries(Object.entries(browse.paramsOf(query)).filter(([, text]) => text !== null));
  assert.deepEqual(browse.queryOf(params), query);
  assert.deepEqual(browse.queryOf({ sort: 'nonsense', layer: 'x' }), browse.DEFAULT_QUERY);
});

test('the most likely tokens', () => {
  const { top, wanted } = distribution.likeliest(Float32Array.of(1, 3, 3, 2), 3, 0);
  assert.deepEqual(
    top.map(({ id }) => id),
    [1, 2, 3],
  );
  const total = Math.exp(1) + 2 * Math.exp(3) + Math.exp(2);
  assert.ok(Math.abs(top[0].logprob - Math.log(Math.exp(3) / total)) < 1e-6);
  assert.ok(Math.abs(wanted - Math.log(Math.exp(1) / total)) < 1e-6);
});

test('CSV: quotes, line ends, and texts that a spreadsheet would run', () => {
  assert.equal(
    files.csv([
      ['a,b', 'say "x"', 1.5, null],
      ['=1+1', '-x', -1, 'line\nend'],
    ]),
    '"a,b","say ""x""",1.5,\r\n\'=1+1,\'-x,-1,"line\nend"\r\n',
  );
});

test('activations as CSV and safetensors are those of the rows', async () => {
  const reading = {
    ids: [7, 8, 9, 7],
    tokens: ['a', ' b', ',', 'a'],
    rows: new Map([[2, rowsOf(DENSE)]]),
    select: 'value',
    origin: 'live',
  };
  const lines = taken.activationsCsv(reading).trim().split('\r\n');
  assert.equal(lines.length, 1 + DENSE.flat().filter((value) => value !== 0).length);
  assert.equal(lines[1], '0,7,a,2,0,9');
  const bytes = await taken.activationsFile(reading, false).arrayBuffer();
  const length = Number(new DataView(bytes).getBigUint64(0, true));
  assert.equal(length % 8, 0);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, length)));
  const { dtype, shape, data_offsets } = header['blocks.2.hook_topk_out'];
  assert.deepEqual([dtype, shape, data_offsets], ['F32', [4, 5], [0, 80]]);
  assert.deepEqual([...new Float32Array(bytes, 8 + length, 20)], DENSE.flat());
  assert.deepEqual(JSON.parse(header.__metadata__.ids), reading.ids);
});

test('token texts before the model are the model’s own', async () => {
  const { TopKLM } = await import('topk-lm');
  const model = await TopKLM.load(shippedModel().folder, { backend: 'cpu' });
  try {
    const texts = await vocabulary.readVocabulary(model.features);
    const ids = Array.from({ length: model.config.d_vocab }, (_, id) => id);
    assert.deepEqual(texts, await model.tokenizer.tokens(ids));
    // Characters that are spread over several tokens, and half of one.
    for (const text of ['The café was naïve — 🙂', '日本語, “then” …']) {
      const [start, ...inside] = await model.tokenizer.encode(text);
      assert.equal(vocabulary.textOfIds(texts, inside), text);
      assert.equal(vocabulary.textOfIds(texts, [start, ...inside]), texts[start] + text);
      assert.equal(vocabulary.textOfIds([...texts], inside), inside.map((id) => texts[id]).join('')); // of a vocabulary without bytes
    }
  } finally {
    await model.dispose();
  }
});

test('ids of a tokenizer that leave far too much room make no list', async () => {
  const readIt = (vocab, added_tokens = []) => {
    const file = { model: { vocab }, decoder: { type: 'ByteLevel' }, added_tokens };
    return vocabulary.readVocabulary({ file: async () => ({ text: async () => JSON.stringify(file) }) });
  };
  assert.deepEqual(await readIt({ a: 0, c: 2 }, [{ id: 3, content: '<e>' }]), ['a', '', 'c', '<e>']);
  for (const id of [4294967294, 110_000_000, -1, 1.5, null]) {
    assert.equal(await readIt({ a: 0, g: id }), null, String(id));
    assert.equal(await readIt({ a: 0 }, [{ id, content: 'g' }]), null, String(id));
  }
});

test('challenges that were solved in another tab stay solved', async (t) => {
  const kept = new Map();
  globalThis.localStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, text) => kept.set(key, text) };
  t.after(() => delete globalThis.localStorage);
  const { keepSolved, readSolved } = await siteModule('challenges/solved.ts');
  assert.deepEqual(keepSolved(['a']), ['a']);
  assert.deepEqual(keepSolved(['b']), ['a', 'b']);
  assert.deepEqual(readSolved(), ['a', 'b']);
});

test('a model has a short name: without its prefix, or a URL’s folder and host', () => {
  assert.equal(models.shortName('Llama-TopK-Stories-16M'), 'TopK Stories 16M');
  assert.equal(models.shortName('https://models.example/a/My%20model/'), 'My model (models.example)');
  assert.equal(models.shortName('https://models.example/'), 'models.example');
  assert.equal(format.plural(1, 'token'), '1 token');
  assert.equal(format.plural(2000, 'token'), '2,000 tokens');
});

test('no memory: fatal while loading alone, and of the GPU only where that is used', async (t) => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  Object.defineProperty(globalThis, 'navigator', { value: { onLine: true }, configurable: true });
  t.after(() => (before ? Object.defineProperty(globalThis, 'navigator', before) : delete globalThis.navigator));
  const { isFatal, problemOf } = await siteModule('problem.ts');
  const error = Object.assign(new Error('there is no memory for the 8 bytes of 1 row of x'), { code: 'out-of-memory' });
  assert.equal(isFatal(error), false);
  for (const gpu of [true, false]) {
    for (const loading of [true, false]) {
      const { code, message, advice, remedy } = problemOf(error, { gpu, loading });
      assert.equal(code, 'out-of-memory');
      assert.match(message, /of x\.$/);
      assert.equal(remedy, loading ? 'restart' : 'none');
      assert.equal(/GPU/.test(advice), gpu, advice);
      assert.equal(/restart/.test(advice), loading, advice);
    }
  }
});
