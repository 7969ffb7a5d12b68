// Every public call with whatever arguments: the outcome is a result, or a typed error that a person can read.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { modelFolder, packageFolder } from '../package/fixture.mjs';
import { oddValue } from './random.mjs';
import { fuzz, isFine } from './run.mjs';

const open = (name) => import(pathToFileURL(path.join(packageFolder, name)).href);
const { TopKLM, TopKError, Features, clearCache } = await open('index.js');
const { topk, createTopK, readTopK, TopKError: OfTopK } = await open('topk.js');

const OPTIONS = [
  'hooks',
  'edits',
  'logits',
  'promptLength',
  'signal',
  'maxTokens',
  'temperature',
  'topK',
  'topP',
  'repetitionPenalty',
  'seed',
].concat([
  'stop',
  'ignoreEos',
  'topLogprobs',
  'layers',
  'onProgress',
  'hook',
  'errorTerm',
  'skipSpecial',
  'splitSpecialTokens',
  'backend',
  'worker',
  'threads',
  'workerUrl',
  'wasmUrl',
  'wasm',
  'cache',
]);
const FINE = {
  hooks: ['blocks.0.hook_topk_out'],
  edits: [{ layer: 0, index: 1, action: 'add', value: 1 }],
  logits: 'last',
  maxTokens: 2,
  temperature: 0,
  seed: 1,
  layers: [0],
  backend: 'cpu',
  worker: false,
};

function optionsFor(random, names = OPTIONS) {
  if (random.chance(0.1)) return oddValue(random);
  const options = {};
  for (let left = random.below(3); left > 0; left--) {
    const name = random.pick(names);
    options[name] =
      random.chance(0.3) && name in FINE ? FINE[name] : name === 'edits' && random.chance(0.7) ? [oddEdit(random)] : oddValue(random);
  }
  return options;
}

function oddEdit(random) {
  const edit = { layer: 0, index: 1, action: 'add', value: 1 };
  const name = random.pick(['layer', 'index', 'action', 'value', 'site', 'positions', 'propagate', 'sae', 'extra']);
  return random.chance(0.1) ? oddValue(random) : { ...edit, [name]: oddValue(random) };
}

const prompt = (random) => (random.chance(0.6) ? [1, 2, 3] : oddValue(random));
const only = (names) => (random) => optionsFor(random, names);

/** No name of a server: nothing here goes out. */
const local = (value) => typeof value !== 'string' || !/^[a-z]+:/i.test(value);

const GENERATION = [
  'maxTokens',
  'temperature',
  'topK',
  'topP',
  'repetitionPenalty',
  'seed',
  'stop',
  'ignoreEos',
  'edits',
  'hooks',
  'topLogprobs',
];

const CALLS = {
  run: (random, model) => model.run(prompt(random), only(['hooks', 'edits', 'logits', 'promptLength', 'signal'])(random)),
  generate: async (random, model) => {
    const stream = model.generate(prompt(random), only([...GENERATION, 'signal'])(random));
    await stream.next();
    await stream.next(oddValue(random));
    await stream.return(oddValue(random));
  },
  generateBatch: (random, model) => {
    const one = () => {
      const options = only(GENERATION)(random);
      try {
        return { prompt: prompt(random), ...options };
      } catch {
        return options; // an odd value, whose fields throw
      }
    };
    const all = random.chance(0.1) ? oddValue(random) : Array.from({ length: random.below(4) }, one);
    return model.generateBatch(all, random.chance(0.8) ? undefined : optionsFor(random, ['signal', 'onStep']));
  },
  logitLens: (random, model) => model.logitLens(prompt(random), only(['layers', 'edits', 'signal'])(random)),
  ablate: (random, model) =>
    model.ablate(prompt(random), random.chance(0.5) ? 3 : oddValue(random), only(['edits', 'onProgress', 'signal'])(random)),
  neuron: (random, model) => model.neuron(oddValue(random), oddValue(random), optionsFor(random)),
  loadCheckpoint: (random, model) => model.loadCheckpoint(oddValue(random), only(['onProgress', 'signal'])(random)),
  attachSae: (random, model) => {
    const source = oddValue(random);
    return local(source) ? model.attachSae(source, only(['hook', 'errorTerm', 'signal'])(random)) : undefined;
  },
  saeQuality: (random, model) => model.saeQuality(prompt(random), optionsFor(random)),
  encode: (random, model) => model.tokenizer.encode(oddValue(random), optionsFor(random, ['splitSpecialTokens'])),
  decode: (random, model) => model.tokenizer.decode(oddValue(random), optionsFor(random)),
  tokens: (random, model) => model.tokenizer.tokens(oddValue(random)),
  index: (random, model) => model.features.index(optionsFor(random)),
  file: (random, model) => model.features.file(oddValue(random), optionsFor(random)),
  'Features.open': (random) => Features.open(oddValue(random), optionsFor(random)),
  load: (random) => {
    const source = random.chance(0.3) ? { 'config.json': oddValue(random) } : oddValue(random);
    return local(source) ? TopKLM.load(source, only(['backend', 'cache', 'onProgress', 'signal'])(random)) : undefined;
  },
  clearCache: (random) => clearCache(oddValue(random)),
  topk: (random) => topk(oddValue(random), oddValue(random)),
  createTopK: (random) => createTopK(oddValue(random)).run(oddValue(random)),
  readTopK: (random) => readTopK(oddValue(random), oddValue(random), oddValue(random)),
};

test('arguments', async (t) => {
  t.mock.method(console, 'error', () => {}); // where a callback that throws is reported
  const loose = [];
  const note = (error) => loose.push(error);
  process.on('unhandledRejection', note);
  t.after(() => process.off('unhandledRejection', note));
  const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
  await fuzz(t, 'arguments', async (random) => {
    const name = random.pick(Object.keys(CALLS));
    try {
      await CALLS[name](random, model);
    } catch (error) {
      // The caller's own values, made a getter throw or a signal's reason, come back as the cause only.
      try {
        isFine(error, /topk/i.test(name) ? OfTopK : TopKError);
      } catch (fault) {
        throw new Error(`${name}: ${fault.message}`, { cause: fault });
      }
    }
  });
  const { ids } = await model.run([1, 2]);
  assert.deepEqual([...ids], [1, 2], 'the model still works');
  await model.dispose();
  assert.deepEqual(loose, []);
});
