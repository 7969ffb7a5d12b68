// Threads of the CPU on an isolated page: the same bits as one thread, whatever is asked; where they cannot be had, or end, that is said.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { FOLDER, makeModel } from '../../benches/peers/models/make.mjs';
import { inRoot, paths } from '../../scripts/lib/paths.mjs';
import { launch, openPage, serveBlank, STEP_TIMEOUT } from './harness.mjs';

const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
const TOPK = '/models/Llama-TopK-Stories-16M/';
/** Matrices that are large enough to be shared. */
const FOUR_BITS = { name: 'four-bit', d: 512, layers: 2, heads: 8, ffn: 1024, vocab: 4096, context: 256 };
/** A table that is just large enough to be shared. */
const FEW_WORDS = { name: 'few-words', d: 256, layers: 1, heads: 4, ffn: 512, vocab: 512, context: 64 };
const DENSE = '/models/Llama-Dense-Stories-16M/';

describe('threads', { timeout: 1_800_000 }, () => {
  let browser;
  let isolated;
  let plain;
  before(async () => {
    const mounts = { '/npm/': paths.npmPackage, '/models/': inRoot('models'), '/random/': inRoot(FOLDER) };
    [browser, isolated, plain] = await Promise.all([
      launch({ webgpu: false }),
      serveBlank(mounts, { headers: ISOLATED }),
      serveBlank(mounts),
    ]);
  });
  after(async () => {
    await browser?.close();
    await isolated?.close();
    await plain?.close();
  });

  /** Runs `inPage(argument)` in a page of its own. */
  async function visit(server, inPage, argument) {
    const { page, close } = await openPage(browser, server.url);
    const result = await page.evaluate(inPage, argument);
    await close();
    return result;
  }

  test('weights of 4 bits: one thread, two and three give the same bits', async () => {
    await makeModel(FOUR_BITS, ['int4/model.safetensors']);
    const all = await visit(isolated, async () => {
      const { TopKLM } = await import('/npm/index.js');
      const fetched = ['config.json', 'model.safetensors'].map(async (name) => [
        name,
        await (await fetch(`/random/four-bit/int4/${name}`)).blob(),
      ]);
      const files = Object.fromEntries(await Promise.all(fetched));
      const results = [];
      for (const threads of [1, 2, 3]) {
        const model = await TopKLM.load(files, { backend: 'cpu', threads });
        const ids = Uint32Array.from({ length: 31 }, (_, at) => 3 + ((at * 389) % 4000));
        const { logits } = await model.run(ids, { logits: 'all' });
        const written = [];
        for await (const { id } of model.generate(ids, { maxTokens: 8, temperature: 0, ignoreEos: true })) written.push(id);
        results.push({ threads: model.backend.threads, logits: Array.from(logits.data.subarray(0, 40_000)), written });
        await model.dispose();
      }
      return results;
    });
    const [alone] = all;
    assert.ok(alone.logits.every(Number.isFinite) && new Set(alone.logits).size > 1000);
    for (const [at, { threads, logits, written }] of all.entries()) {
      assert.equal(threads, at + 1);
      assert.deepEqual({ logits, written }, { logits: alone.logits, written: alone.written }, `${threads} threads`);
    }
  });

  test('a table of two blocks of rows, of which the third of three threads has none', async () => {
    await makeModel(FEW_WORDS, ['f32/model.safetensors']);
    const [alone, ...shared] = await visit(isolated, async () => {
      const { TopKLM } = await import('/npm/index.js');
      const names = ['config.json', 'model.safetensors'];
      const blobs = await Promise.all(names.map(async (name) => (await fetch(`/random/few-words/f32/${name}`)).blob()));
      const files = { [names[0]]: blobs[0], [names[1]]: blobs[1] };
      const results = [];
      for (const threads of [1, 2, 3]) {
        const model = await TopKLM.load(files, { backend: 'cpu', threads });
        const { logits } = await model.run(
          Uint32Array.from({ length: 9 }, (_, at) => 3 + 31 * at),
          { logits: 'all' },
        );
        results.push({ threads: model.backend.threads, logits: Array.from(logits.data) });
        await model.dispose();
      }
      return results;
    });
    assert.equal(alone.logits.length, 9 * FEW_WORDS.vocab);
    assert.ok(new Set(alone.logits).size > 1000);
    assert.deepEqual(
      shared,
      [2, 3].map((threads) => ({ threads, logits: alone.logits })),
    );
  });

  for (const [name, entry] of [
    ['the package', '/npm/index.js'],
    ['the one-file build', '/npm/bundle.js'],
  ]) {
    test(`${name}: one thread, two and three give the same bits`, async () => {
      const all = await visit(
        isolated,
        async ({ entry, models }) => {
          const { TopKLM } = await import(entry);
          const sha256 = async (array) => {
            const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength).slice();
            return [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].join(' ');
          };
          const results = [];
          for (const url of models) {
            for (const threads of [1, 2, 3]) {
              const model = await TopKLM.load(url, { backend: 'cpu', threads, cache: false });
              // More rows than go through the weights at once, and a number that no group of them divides.
              const ids = Uint32Array.from({ length: 131 }, (_, at) => 3 + ((at * 389) % 4000));
              const { logits, hooks } = await model.run(ids, { logits: 'all', hooks: ['blocks.2.hook_resid_post'] });
              const edits = [{ layer: 2, index: 100, action: 'clamp', value: 3 }];
              const written = [];
              for await (const { id } of model.generate('Once upon a time', { maxTokens: 12, temperature: 0, edits })) written.push(id);
              const batch = await model.generateBatch([1, 2, 3].map((seed) => ({ prompt: 'The dog', seed, maxTokens: 6 })));
              const lens = await model.logitLens('The dog', { layers: [0, 3] });
              results.push({
                url,
                threads: model.backend.threads,
                bits: [await sha256(logits.data), await sha256(hooks['blocks.2.hook_resid_post'].data), await sha256(lens.data)],
                texts: [written.join(' '), ...batch.map((one) => one.text)],
              });
              await model.dispose();
            }
          }
          return results;
        },
        { entry, models: name === 'the package' ? [TOPK, DENSE] : [TOPK] },
      );
      for (const [at, { url, threads, bits, texts }] of all.entries()) {
        const alone = all[at - (at % 3)];
        assert.equal(threads, (at % 3) + 1, url);
        assert.deepEqual({ bits, texts }, { bits: alone.bits, texts: alone.texts }, `${url} with ${threads} threads`);
      }
    });
  }

  test('by default half of the machine, four at most, and other weights are shared too', async () => {
    const {
      threads,
      cores,
      before: first,
      behind,
    } = await visit(
      isolated,
      async (url) => {
        const { TopKLM } = await import('/npm/index.js');
        const usual = await TopKLM.load(url, { backend: 'cpu' });
        const { threads } = usual.backend;
        await usual.dispose();
        const model = await TopKLM.load(url, { backend: 'cpu', threads: 2 });
        const write = async () => {
          let text = '';
          for await (const step of model.generate('One day', { maxTokens: 8, temperature: 0 })) text += step.text;
          return text;
        };
        const before = await write();
        await model.loadCheckpoint(model.checkpoints[0]);
        await write();
        await model.loadCheckpoint('final');
        const behind = await write();
        await model.dispose();
        return { threads, cores: navigator.hardwareConcurrency, before, behind };
      },
      TOPK,
    );
    assert.equal(threads, Math.min(4, Math.max(1, Math.floor(cores / 2))));
    assert.equal(behind, first);
  });

  test('where memory cannot be shared, one thread computes, and asking for more is refused', async () => {
    const seen = await visit(
      plain,
      async (url) => {
        const { TopKLM } = await import('/npm/index.js');
        const failure = (options) => TopKLM.load(url, options).then(String, ({ code, message }) => ({ code, message }));
        const model = await TopKLM.load(url, { backend: 'cpu' });
        const { threads } = model.backend;
        await model.dispose();
        return { threads, refused: await failure({ threads: 2 }) };
      },
      TOPK,
    );
    assert.equal(seen.threads, 1);
    assert.equal(seen.refused.code, 'argument');
    assert.match(seen.refused.message, /threads is 2, but only the worker of an isolated page \(Cross-Origin-Opener-Policy/);
    const inPage = await visit(
      isolated,
      async (url) => {
        const { TopKLM } = await import('/npm/index.js');
        return TopKLM.load(url, { threads: 2, worker: false }).then(String, ({ code }) => code);
      },
      TOPK,
    );
    assert.equal(inPage, 'argument');
  });

  test('a thread that does not start is done without; one that ends is a typed error, and the next model is as new', async () => {
    const seen = await visit(
      isolated,
      async ([url, timeout]) => {
        const { TopKLM } = await import('/npm/index.js');
        const Usual = Worker;
        const started = [];
        let allowed = Infinity;
        globalThis.Worker = class extends Usual {
          constructor(...rest) {
            if (started.length >= allowed) throw new Error('no more workers');
            super(...rest);
            started.push(this);
          }
        };
        const load = () => TopKLM.load(url, { backend: 'cpu', threads: 2 });
        const write = async (model) => {
          let text = '';
          for await (const step of model.generate('One day', { maxTokens: 8, temperature: 0 })) text += step.text;
          return text;
        };
        allowed = 1;
        const alone = await load();
        const result = { alone: alone.backend.threads, text: await write(alone) };
        await alone.dispose();
        allowed = Infinity;
        started.length = 0;
        const model = await load();
        started[1].terminate();
        // A browser gives a busy worker some seconds before it ends it.
        for (const end = performance.now() + timeout; !result.ended && performance.now() < end; )
          await write(model).catch(({ code, message }) => (result.ended = { code, message }));
        const again = await load();
        result.again = { threads: again.backend.threads, text: await write(again) };
        await again.dispose();
        return result;
      },
      [TOPK, STEP_TIMEOUT],
    );
    assert.equal(seen.alone, 1);
    assert.equal(seen.ended?.code, 'device-lost');
    assert.match(seen.ended.message, /load the model again/);
    assert.deepEqual(seen.again, { threads: 2, text: seen.text });
  });
});
