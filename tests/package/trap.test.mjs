// After a trap inside the engine: nobody calls that instance again, every call says what to do, and the next load gets a sound instance.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { golden, modelFolder, packageFolder, root } from './fixture.mjs';
import { openApi, openBrowser } from './page.mjs';

/** Makes the engine's export `name`, or `a task` that it queued, trap while that is set; `calls` counts calls of any export after that. */
const instrument = () => {
  const faults = { name: '', after: 0, exports: {} };
  const { Instance, instantiate } = WebAssembly;
  const wrapped = (instance) => {
    const state = { trapped: false };
    const exports = {};
    faults.exports = instance.exports;
    for (const [name, value] of Object.entries(instance.exports)) {
      exports[name] =
        typeof value !== 'function'
          ? value
          : (...given) => {
              if (state.trapped) faults.after++;
              if (name === faults.name || (faults.name === 'a task' && /closures_+invoke/.test(name) && given[2] === undefined)) {
                state.trapped = true;
                throw new WebAssembly.RuntimeError('unreachable');
              }
              return value(...given);
            };
    }
    return Object.create(Instance.prototype, { exports: { value: exports } });
  };
  WebAssembly.instantiate = async (module, imports) => wrapped(await instantiate.call(WebAssembly, module, imports));
  WebAssembly.Instance = new Proxy(Instance, { construct: (_, [module, imports]) => wrapped(new Instance(module, imports)) });
  return faults;
};

const faults = instrument();
const { TopKLM, TopKError } = await import(pathToFileURL(path.join(packageFolder, 'index.js')).href);
const saePath = path.join(root, 'tests/goldens/saes');
const textModel = path.join(root, 'models/Llama-TopK-Stories-16M');
const collect = async (stream) => {
  const ids = [];
  for await (const { id } of stream) ids.push(id);
  return ids;
};

const CALLS = {
  encode: ['wasmmodel_encode', (model) => model.tokenizer.encode('a')],
  decode: ['wasmmodel_decode', (model) => model.tokenizer.decode([1])],
  tokens: ['wasmmodel_tokens', (model) => model.tokenizer.tokens([1])],
  run: ['wasmmodel_run', (model) => model.run([1])],
  'run, encoding': ['wasmmodel_encode', (model) => model.run('a')],
  generate: ['wasmmodel_generate', (model) => collect(model.generate([1], { maxTokens: 2 }))],
  'generate, encoding': ['wasmmodel_encode', (model) => collect(model.generate('a', { maxTokens: 2 }))],
  'the next steps': ['wasmgeneration_next', (model) => collect(model.generate([1], { maxTokens: 2 }))],
  generateBatch: ['wasmmodel_generate_batch', (model) => model.generateBatch([{ prompt: [1], maxTokens: 2 }])],
  'generateBatch, encoding': ['wasmmodel_encode', (model) => model.generateBatch([{ prompt: 'a', maxTokens: 2 }])],
  'the next steps of a batch': ['wasmgenerationbatch_next', (model) => model.generateBatch([{ prompt: [1], maxTokens: 2 }])],
  logitLens: ['wasmmodel_logit_lens', (model) => model.logitLens([1])],
  ablate: ['wasmmodel_ablate', (model) => model.ablate([1], 2)],
  setEach: ['wasmmodel_ablate', (model) => model.setEach([1], 2, { layers: [0], indices: [0], values: [1] })],
  loadCheckpoint: ['wasmmodel_load_checkpoint', (model) => model.loadCheckpoint('final')],
  detachSaes: ['wasmmodel_detach_saes', (model) => model.detachSaes()],
  saeQuality: ['wasmmodel_sae_quality', (model) => model.saeQuality([1, 2, 3])],
  attachSae: ['wasmmodel_attach_sae', (model) => model.attachSae(path.join(saePath, fs.readdirSync(saePath)[0]))],
  memory: ['wasmmodel_memory', (model) => model.memory()],
};

const isOver = (error) =>
  error instanceof TopKError &&
  error.code === 'internal' &&
  /^The engine stopped working \(unreachable\); load the model again\.$/.test(error.message);

test('in the process itself: whichever call traps, all others say so, and a new load works', { timeout: 1_800_000 }, async () => {
  for (const [name, [entry, call]] of Object.entries(CALLS)) {
    const source = /encod|code|tokens/.test(name) ? textModel : modelFolder;
    const model = await TopKLM.load(source, { backend: 'cpu' });
    const neighbor = await TopKLM.load(modelFolder, { backend: 'cpu' });
    const running = neighbor.generate([1], { maxTokens: 50, ignoreEos: true });
    await running.next();
    faults.name = entry;
    await assert.rejects(call(model), isOver, name);
    faults.name = '';
    faults.after = 0;
    for (const [other, [, another]] of Object.entries(CALLS)) await assert.rejects(another(model), isOver, `${other} after ${name}`);
    await assert.rejects(neighbor.run([1]), isOver, `a model on the same instance, after ${name}`);
    await assert.rejects(collect(running), isOver);
    await model.dispose();
    await neighbor.dispose();
    assert.equal(faults.after, 0, `${name}: the instance that trapped was called again`);
  }
  const tried = new Set(Object.values(CALLS).map(([entry]) => entry));
  const ways = Object.keys(faults.exports).filter((name) =>
    /^wasm(model|generation|generationbatch)_(?!load$|info$|seeds?$|cancel$|dispose$)/.test(name),
  );
  assert.deepEqual(new Set(ways), tried, 'every way into the engine is tried');
  const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
  const { prompt_ids, ids } = golden();
  assert.deepEqual(await collect(model.generate(prompt_ids, { maxTokens: ids.length, temperature: 0 })), ids);
  await model.dispose();
});

test('a trap in a task of the engine, which nobody called: Node lives on, and no call hangs', { timeout: 600_000 }, async () => {
  const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
  const calls = [1, 2, 3].map((id) => collect(model.generate([id], { maxTokens: 50, ignoreEos: true })));
  faults.name = 'a task';
  faults.after = 0;
  for (const end of await Promise.allSettled(calls)) assert.ok(isOver(end.reason), String(end.reason));
  faults.name = '';
  await assert.rejects(model.run([1]), isOver);
  await model.dispose();
  assert.equal(faults.after, 0, 'the instance that trapped was called again');
});

/** Another module, whose only function `f` traps. */
const OTHER = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 5, 1, 3, 0, 0, 11);

test('as on a page: of errors that nobody caught, only a trap of the engine ends a model, which then listens no longer', async (t) => {
  const realm = new EventTarget();
  // What Node itself does with `signal` gets lost in a garbage collection.
  globalThis.addEventListener = (type, listener, { signal }) => {
    realm.addEventListener(type, listener);
    signal.addEventListener('abort', () => realm.removeEventListener(type, listener));
  };
  t.after(() => delete globalThis.addEventListener);
  const thrown = (call) => {
    try {
      call();
    } catch (error) {
      return error;
    }
  };
  for (const [type, key] of [
    ['error', 'error'],
    ['unhandledrejection', 'reason'],
  ]) {
    const uncaught = (error) => realm.dispatchEvent(Object.assign(new Event(type), { [key]: error }));
    const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
    const engine = faults.exports;
    const recurse = () => 1 + recurse();
    uncaught(thrown(recurse));
    uncaught(thrown(new WebAssembly.Instance(new WebAssembly.Module(OTHER)).exports.f));
    assert.equal((await model.run([1])).ids.length, 1);
    assert.ok(getEventListeners(realm, type).length > 0);
    uncaught(thrown(() => engine.wasmmodel_memory(-8))); // no place in its memory
    await assert.rejects(model.run([1]), /^TopKWorkerError: The engine stopped working \(.*\); load the model again\.$/);
    assert.equal(getEventListeners(realm, type).length, 0);
    await model.dispose();
  }
});

test('on a page: a load that is aborted before the engine hears of it leaves no listener behind', async (t) => {
  const { page } = await openApi(await openBrowser(t), t);
  const left = await page.evaluate(async () => {
    let count = 0;
    const { addEventListener } = EventTarget.prototype;
    globalThis.addEventListener = (type, listener, options) => {
      if (['error', 'unhandledrejection'].includes(type)) {
        count++;
        options.signal.addEventListener('abort', () => count--);
      }
      addEventListener.call(globalThis, type, listener, options);
    };
    const counts = [];
    for (const later of [queueMicrotask, setTimeout]) {
      const abort = new AbortController();
      const loading = topk.TopKLM.load('/model/', { backend: 'cpu', worker: false, signal: abort.signal });
      later(() => abort.abort());
      await loading.then(
        (model) => model.dispose(),
        () => {},
      );
      counts.push(count);
    }
    const model = await topk.TopKLM.load('/model/', { backend: 'cpu', worker: false });
    counts.push(count);
    await model.dispose();
    return [...counts, count];
  });
  assert.deepEqual(left, [0, 0, 2, 0]);
});

test('in a worker: the same', async (t) => {
  const browser = await openBrowser(t);
  const script = `globalThis.faults = (${instrument})(); faults.name = 'wasmmodel_memory'; await import('/npm/worker.js');`;
  const intercept = (request, response) => {
    if (request.url !== '/faulty.js') return false;
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(script);
    return true;
  };
  const { page } = await openApi(browser, t, { serving: { intercept } });
  const found = await page.evaluate(async () => {
    const model = await topk.TopKLM.load('/model/', { backend: 'cpu', workerUrl: '/faulty.js' });
    const said = [];
    for (const call of [() => model.memory(), () => model.run([1]), () => model.tokenizer.decode([1]), () => model.generate([1]).next()]) {
      said.push(
        await call().then(
          () => 'a result',
          ({ code, message }) => `${code}: ${message}`,
        ),
      );
    }
    await model.dispose();
    const next = await topk.TopKLM.load('/model/', { backend: 'cpu' });
    const { ids } = await next.run([1, 2]);
    await next.dispose();
    return { said, ids: [...ids] };
  });
  assert.deepEqual(new Set(found.said), new Set(['internal: The engine stopped working (unreachable); load the model again.']));
  assert.deepEqual(found.ids, [1, 2]);
});
