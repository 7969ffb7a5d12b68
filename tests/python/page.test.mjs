// The page's half of the widget: its grid of tokens by neurons while a generation runs and another block is chosen, and a model that was disposed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Engine } from '../../python/src/topk_lm/widget.js';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** In each of `length` rows one neuron is active, whose number is the hook's layer. */
const hooksOf = (hooks, length) =>
  Object.fromEntries(
    hooks.map((hook) => {
      const indices = new Uint32Array(length).fill(Number(hook.split('.')[1]));
      return [
        hook,
        { rowStart: Uint32Array.from({ length: length + 1 }, (_, at) => at), indices, values: new Float32Array(length).fill(1) },
      ];
    }),
  );

const TOKENS = 12;
/** A model without an engine. A pass takes as long as several tokens. */
const lm = {
  config: { topk_k: 2, n_layers: 4, n_nontopk: 1 },
  dispose: async () => {},
  run: async (prompt, { hooks }) => {
    const ids = Uint32Array.from(prompt === 'x' ? [1, 2, 3] : prompt);
    await pause(20);
    return { ids, tokens: [...ids].map(String), hooks: hooksOf(hooks, ids.length) };
  },
  generate: (_, { hooks }) => ({
    promptIds: Uint32Array.of(1, 2, 3),
    async *[Symbol.asyncIterator]() {
      for (let index = 0; index < TOKENS; index++) {
        await pause(5);
        yield { index, id: 100 + index, text: `t${index}`, hooks: hooksOf(hooks, 1) };
      }
    },
  }),
};

/** The widget's model, as a notebook has it; `answered` resolves with the answer to a call. */
function notebook() {
  const _loaded = { step: null, saes: [] };
  const state = { status: { phase: 'starting' }, _source: { url: 'x' }, _options: {}, _loaded, layer: 0, settled: 0 };
  let hear;
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  const model = {
    get: (name) => state[name],
    set: (name, value) => (state[name] = value),
    save_changes() {},
    on: (_, listener) => (hear = listener),
    send(message) {
      if (message.kind === 'hello') queueMicrotask(() => hear({ kind: 'welcome' }, []));
      if (message.kind === 'answer') answer(message);
    },
  };
  return { model, answered, call: (method, args = { prompt: 'x', options: {} }) => hear({ kind: 'call', id: 1, method, args }, []) };
}

test('a model that was disposed is not loaded again when the page is', async () => {
  let loads = 0;
  const load = async () => {
    loads++;
    return lm;
  };
  globalThis[Symbol.for('topk-lm/python')] = { TopKLM: { load } };
  const { model, answered, call } = notebook();
  new Engine(model);
  call('dispose');
  await answered;
  new Engine(model);
  await pause(20);
  assert.equal(loads, 1);
  assert.equal(model.get('status').error.code, 'disposed');
});

test('a page that is reloaded loads the checkpoint and the autoencoders again', async () => {
  const done = [];
  const load = async () => ({
    ...lm,
    loadCheckpoint: async (step) => void done.push(step),
    attachSae: async (source, { hook = 'named by it' }) => {
      done.push([source, hook]);
      return { hook };
    },
  });
  globalThis[Symbol.for('topk-lm/python')] = { TopKLM: { load } };
  const { model, call } = notebook();
  const settled = async (count) => {
    while (model.get('settled') < count) await pause(1);
  };
  new Engine(model);
  call('loadCheckpoint', { step: 9 });
  await settled(1);
  call('attachSae', { source: { url: 'here' }, options: {} });
  await settled(2);
  assert.deepEqual(done, [9, ['here', 'named by it']]);
  new Engine(model);
  call('loadCheckpoint', { step: 'final' });
  await settled(3);
  assert.deepEqual(done.slice(2), [9, ['here', 'named by it'], 'final']);
  assert.deepEqual(model.get('_loaded'), { step: null, saes: [] });
});

test('another block, chosen while a call runs: all its tokens stay, and all rows are of that block', async () => {
  globalThis[Symbol.for('topk-lm/python')] = { TopKLM: { load: async () => lm } };
  for (const [method, wait, length] of [
    ['generate', 60, 3 + TOKENS],
    ['generate', 10, 3 + TOKENS],
    ['run', 5, 3],
  ]) {
    const { model, answered, call } = notebook();
    const engine = new Engine(model);
    call(method);
    await pause(wait);
    model.set('layer', 1);
    const showing = engine.showLayer(1);
    assert.ok((await answered).value);
    await showing;
    const layers = () => Array.from(engine.grid.rows, (row) => row && [...row.keys()].join());
    for (let turn = 0; turn < 200 && !(layers().length === length && layers().every((layer) => layer === '1')); turn++) await pause(10);
    assert.deepEqual(layers(), Array(length).fill('1'));
    assert.equal(engine.grid.ids.length, length);
    assert.equal(engine.grid.tokens.length, length);
  }
});
