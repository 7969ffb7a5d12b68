// Sparse autoencoders through the package: in Node from a path and from bytes, in Chromium from a URL, on both backends.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { modelFolder, packageFolder, root } from './fixture.mjs';
import { openApi, openBrowser } from './page.mjs';

const { TopKLM, TopKError } = await import(pathToFileURL(path.join(packageFolder, 'index.js')).href);
const browser = await openBrowser(test);

const saes = path.join(root, 'tests/goldens/saes');
const golden = JSON.parse(fs.readFileSync(path.join(saes, 'standard-resid-post/golden.json'), 'utf8'));
const expected = readTensors(path.join(saes, 'standard-resid-post/golden.safetensors'));
const HOOK = 'blocks.1.hook_resid_post';
const [withError, spliced, , dropped] = golden.runs;

/** F32 tensors of a file. */
function readTensors(file) {
  const bytes = fs.readFileSync(file);
  const end = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, end).toString());
  const entries = Object.entries(header).filter(([name]) => name !== '__metadata__');
  return Object.fromEntries(
    entries.map(
      ([
        name,
        {
          data_offsets: [from, to],
        },
      ]) => [name, new Float32Array(bytes.buffer.slice(bytes.byteOffset + end + from, bytes.byteOffset + end + to))],
    ),
  );
}

const difference = (a, b) => {
  assert.equal(a.length, b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
};

test('Node: from a path and from bytes, activations, logits and losses are those of the golden', async () => {
  const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
  const { ids, prompt_len: promptLength } = spliced;
  const before = (await model.run(ids, { logits: 'all' })).logits.data;
  const folder = path.join(saes, 'standard-resid-post');
  const names = ['cfg.json', 'sae_weights.safetensors'];
  const bytes = Object.fromEntries(names.map((name) => [name, new Uint8Array(fs.readFileSync(path.join(folder, name)))]));
  for (const source of [folder, bytes]) {
    const sae = await model.attachSae(source);
    assert.deepEqual(sae, { hook: HOOK, kind: 'standard', dIn: 52, dSae: 96, errorTerm: false });
    const { hooks, logits } = await model.run(ids, { hooks: [`${HOOK}.hook_sae_acts_post`], logits: 'all', promptLength });
    assert.ok(difference(hooks[`${HOOK}.hook_sae_acts_post`].data, expected[`spliced/${HOOK}.hook_sae_acts_post`]) < 1e-3);
    assert.ok(difference(logits.data, expected['spliced/logits']) < 1e-3);
    const edited = await model.run(ids, { edits: dropped.edits, logits: 'all', promptLength });
    assert.ok(difference(edited.logits.data, expected['edit_dropped/logits']) < 1e-3);
    const quality = await model.saeQuality(Uint32Array.from(ids));
    assert.ok(Math.abs(quality.baseLoss - golden.base_loss) < 1e-3 && Math.abs(quality.splicedLoss - spliced.loss) < 1e-3);
    assert.ok(Math.abs(quality.saes[0].fvu - golden.fvu[HOOK]) < 1e-3);
    await model.detachSaes();
    assert.deepEqual((await model.run(ids, { logits: 'all' })).logits.data, before, 'detached, the model is what it was');
  }
  const rejects = (promise, code, pattern) =>
    assert.rejects(promise, (error) => error instanceof TopKError && error.code === code && pattern.test(error.message));
  await rejects(model.attachSae(modelFolder), 'argument', /cfg\.json is missing/);
  await rejects(model.attachSae(folder, { hook: 'blocks.0.attn.hook_pattern' }), 'hook', /can't be attached/);
  await rejects(model.attachSae(folder, { hook: 3 }), 'argument', /hook is 3/);
  await rejects(model.run(ids, { edits: [{ sae: HOOK, index: 0, action: 'ablate' }] }), 'edit', /no autoencoder is attached/);
  await model.dispose();
});

test('Chromium: from a URL, on the CPU and on WebGPU, with the error term', async (t) => {
  const { page } = await openApi(browser, t, { mounts: { '/sae/': path.join(saes, 'standard-resid-post') } });
  for (const backend of ['cpu', 'webgpu']) {
    const logits = await page.evaluate(
      async ([backend, ids]) => {
        const model = await globalThis.topk.TopKLM.load('/model/', { backend });
        await model.attachSae('./sae/', { errorTerm: true });
        const { logits } = await model.run(ids, { logits: 'all' });
        await model.dispose();
        return [...logits.data];
      },
      [backend, withError.ids],
    );
    assert.ok(difference(logits, expected['error_term/logits']) < 1e-2, backend);
  }
});

test('autoencoders attached at once, and behind a checkpoint that is still being loaded, are all there', async (t) => {
  const { page } = await openApi(browser, t, { mounts: { '/sae/': path.join(saes, 'standard-resid-post') } });
  const places = [HOOK, 'blocks.0.hook_resid_post'];
  for (const backend of ['cpu', 'webgpu']) {
    const found = await page.evaluate(
      async ([backend, ids, places]) => {
        const names = ['cfg.json', 'sae_weights.safetensors'];
        const blobs = await Promise.all(names.map(async (name) => [name, await (await fetch(`./sae/${name}`)).blob()]));
        const source = Object.fromEntries(blobs); // so that the engine is asked at once
        const model = await globalThis.topk.TopKLM.load('/model/', { backend });
        const attach = () => places.map((hook) => model.attachSae(source, { hook }));
        const attached = async () => {
          const seen = await Promise.all(
            places.map((hook) => model.run(ids, { hooks: [`${hook}.hook_sae_acts_post`] }).then(Boolean, () => false)),
          );
          await model.detachSaes();
          return seen;
        };
        await Promise.all(attach());
        const both = await attached();
        await Promise.all([model.loadCheckpoint('final'), ...attach()]);
        const behindCheckpoint = await attached();
        await model.dispose();
        return { both, behindCheckpoint };
      },
      [backend, spliced.ids, places],
    );
    assert.deepEqual(found, { both: [true, true], behindCheckpoint: [true, true] }, backend);
  }
});

test('dispose() ends an attachSae whose files still come', async (t) => {
  const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
  let signal;
  const fetching = new Promise((fetched) => {
    t.mock.method(globalThis, 'fetch', (_, init) => {
      signal = init.signal;
      fetched();
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
  });
  const attaching = assert.rejects(model.attachSae('https://host.example/sae/'), { code: 'disposed' });
  await fetching;
  await model.dispose();
  await attaching;
  assert.ok(signal.aborted);
});

test('an aborted attachSae attaches nothing', async () => {
  const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
  const folder = path.join(saes, 'standard-resid-post');
  const abort = new AbortController();
  /** Aborts when the engine first reads it. */
  class Aborting extends Blob {
    slice(...part) {
      abort.abort();
      return super.slice(...part);
    }
  }
  const names = ['cfg.json', 'sae_weights.safetensors'];
  const contents = names.map((name) => [name, new Aborting([fs.readFileSync(path.join(folder, name))])]);
  await assert.rejects(model.attachSae(Object.fromEntries(contents), { signal: abort.signal }), { name: 'AbortError' });
  await model.attachSae(folder);
  await model.dispose();
});
