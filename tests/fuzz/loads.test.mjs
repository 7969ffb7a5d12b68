// Models, autoencoders and statistics, given as files of every kind and with whatever options; and the calls that follow.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { modelFolder, packageFolder, root } from '../package/fixture.mjs';
import { changedText, oddValue } from './random.mjs';
import { fuzz, isFine } from './run.mjs';

const { TopKLM, TopKError, Features } = await import(pathToFileURL(path.join(packageFolder, 'index.js')).href);

const filesOf = (folder, names) =>
  Object.fromEntries(names.map((name) => [name, new Uint8Array(fs.readFileSync(path.join(folder, name)))]));
const MODEL = filesOf(modelFolder, ['config.json', 'model.safetensors']);
const SAE = filesOf(path.join(root, 'tests/goldens/saes/standard-resid-post'), ['cfg.json', 'sae_weights.safetensors']);
const LOAD = [
  'backend',
  'maxContext',
  'dtype',
  'kvCache',
  'threads',
  'worker',
  'workerUrl',
  'wasmUrl',
  'wasm',
  'onProgress',
  'signal',
  'cache',
  'hub',
];

/** Values that a call takes. */
const FINE = {
  backend: (random) => random.pick(['cpu', 'auto']),
  dtype: (random) => random.pick(['stored', 'f16']),
  kvCache: (random) => random.pick(['f32', 'f16']),
  maxContext: (random) => random.pick([1, 8, 64, 2 ** 40]),
  threads: (random) => random.pick([1, 2, 16]),
  worker: () => false,
  workerUrl: () => 'file:///worker.js',
  wasmUrl: () => new URL('file:///engine.wasm'),
  wasm: (random) => new Uint8Array(random.below(9)),
  onProgress: () => () => {},
  signal: aborted,
  cache: (random) => random.pick([true, false, 'name']),
  hub: () => 'https://hub.example/',
  hook: () => 'blocks.1.hook_resid_post',
  errorTerm: (random) => random.chance(0.5),
};

/** A signal that is aborted now, soon, or not. */
function aborted(random) {
  const controller = new AbortController();
  const abort = () => controller.abort(oddValue(random));
  random.pick([abort, () => queueMicrotask(abort), () => setImmediate(abort), () => {}])();
  return controller.signal;
}

function optionsFor(random, names) {
  if (random.chance(0.05)) return oddValue(random);
  const options = {};
  for (let left = random.below(3); left > 0; left--) {
    const name = random.pick(names);
    options[name] = random.chance(0.6) ? FINE[name](random) : oddValue(random);
  }
  return options;
}

/** Bytes as a caller may hold them. */
const HELD = {
  view: (bytes) => bytes,
  buffer: (bytes) => bytes.slice().buffer,
  'part of a buffer': (bytes) => {
    const all = new Uint8Array(bytes.length + 3);
    all.set(bytes, 2);
    return new DataView(all.buffer, 2, bytes.length);
  },
  'growing buffer': (bytes) => {
    const buffer = new ArrayBuffer(bytes.length, { maxByteLength: bytes.length + 8 });
    new Uint8Array(buffer).set(bytes);
    return buffer;
  },
  'shared buffer': (bytes) => {
    const view = new Uint8Array(new SharedArrayBuffer(bytes.length));
    view.set(bytes);
    return view;
  },
  blob: (bytes) => new Blob([bytes]),
  file: (bytes) => new File([bytes], 'x'),
  response: (bytes) => new Response(bytes),
  stream: (bytes) => new Blob([bytes]).stream(),
  pieces: async function* (bytes, random) {
    const cut = random.below(bytes.length + 1);
    yield bytes.subarray(0, cut);
    yield HELD['part of a buffer'](bytes.subarray(cut));
  },
  'Node buffer': (bytes) => Buffer.from(bytes),
};

/** What only looks like bytes. */
const ODD = {
  'transferred buffer': (bytes) => {
    const copy = bytes.slice();
    structuredClone(copy, { transfer: [copy.buffer] });
    return copy;
  },
  'refusal of a server': () => new Response('no', { status: 404 }),
  'response that was read': (bytes) => {
    const response = new Response(bytes);
    response.text();
    return response;
  },
  'stream of something': (_, random) =>
    new ReadableStream({ pull: (to) => (random.chance(0.5) ? to.enqueue(oddValue(random)) : to.close()) }),
  'stream that fails': (_, random) => new ReadableStream({ start: (to) => to.error(oddValue(random)) }),
  'stream that is read': (bytes) => {
    const stream = new Blob([bytes]).stream();
    stream.getReader();
    return stream;
  },
  'pieces of something': async function* (bytes, random) {
    yield bytes.subarray(0, 5);
    yield oddValue(random);
  },
  'pieces that fail': async function* (bytes, random) {
    yield bytes.subarray(0, 5);
    throw oddValue(random);
  },
  'what iterates wrongly': (_, random) => ({ [Symbol.asyncIterator]: random.chance(0.5) ? oddValue(random) : () => oddValue(random) }),
  something: (_, random) => oddValue(random),
  'another text': (bytes, random) => new TextEncoder().encode(changedText(random, new TextDecoder().decode(bytes.subarray(0, 2000)))),
};

function isBlob(content) {
  try {
    return content instanceof Blob;
  } catch {
    return false; // a proxy that was revoked
  }
}

/** The files, one of them perhaps odd, as an object, a map or a list. */
function given(random, files) {
  const odd = random.chance(0.6) ? random.pick(Object.keys(files)) : undefined;
  const contents = Object.entries(files).map(([name, bytes]) => {
    const kinds = name === odd ? ODD : HELD;
    return [name, kinds[random.pick(Object.keys(kinds))](bytes, random)];
  });
  if (random.chance(0.1)) contents.push([random.pick(['', '../x', '\ud800', '__proto__', 'a/b', 'manifest.json']), oddValue(random)]);
  return random.pick([
    () => Object.fromEntries(contents),
    () => new Map(contents),
    () => contents.map(([name, content]) => (isBlob(content) ? new File([content], name) : content)),
  ])();
}

/** Calls on a model just loaded. */
const THEN = {
  run: async (model) => {
    const { logits } = await model.run([1, 2, 3].slice(0, model.config.n_ctx));
    assert.equal(logits.shape.at(-1), model.config.d_vocab);
  },
  memory: (model, random) => model.memory(oddValue(random)),
  detachSaes: (model, random) => model.detachSaes(oddValue(random)),
  clusters: (model, random) => model.features.clusters(oddValue(random)),
  steps: (model, random) => model.features.steps(oddValue(random)),
  dispose: (model, random) => model.dispose(oddValue(random)),
};

test('loads', async (t) => {
  t.mock.method(console, 'error', () => {}); // where a callback that throws is reported
  const loose = [];
  const note = (error) => loose.push(error);
  process.on('unhandledRejection', note);
  t.after(() => process.off('unhandledRejection', note));
  const kept = await TopKLM.load(MODEL, { backend: 'cpu' });
  const CALLS = {
    load: async (random) => {
      const model = await TopKLM.load(given(random, MODEL), optionsFor(random, LOAD));
      const then = random.pick(Object.keys(THEN));
      try {
        await THEN[then](model, random);
      } finally {
        await model.dispose();
      }
      await assert.rejects(async () => model.run([1]), { code: 'disposed' });
    },
    attachSae: async (random) => {
      await kept.attachSae(given(random, SAE), optionsFor(random, ['hook', 'errorTerm', 'hub', 'signal']));
      await kept.saeQuality([1, 2, 3]);
      await kept.detachSaes();
    },
    'Features.open': (random) => Features.open(given(random, MODEL), optionsFor(random, ['cache', 'hub'])).index(),
  };
  await fuzz(t, 'loads', async (random) => {
    const name = random.pick(Object.keys(CALLS));
    try {
      await CALLS[name](random);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      try {
        isFine(error, TopKError);
      } catch (fault) {
        throw new Error(`${name}: ${fault.message}`, { cause: fault });
      }
    }
  });
  await kept.detachSaes();
  const { ids } = await kept.run([1, 2]);
  assert.deepEqual([...ids], [1, 2], 'the model still works');
  await kept.dispose();
  assert.deepEqual(loose, []);
});
