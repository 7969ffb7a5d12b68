// The API in a page, engine in its worker: overlapping calls, aborts, checkpoints, disposal, and workers that die.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { golden, modelFolder, root } from './fixture.mjs';
import { openApi, openBrowser } from './page.mjs';

const browser = await openBrowser(test);
const { prompt_ids, ids } = golden();

/** The model with a second checkpoint: the same weights, with the embedding rows' bytes in reverse order of rows. */
function modelWithCheckpoint() {
  const folder = path.join(root, 'target/package-tests/checkpoints');
  fs.rmSync(folder, { recursive: true, force: true });
  fs.cpSync(modelFolder, folder, { recursive: true });
  const weights = fs.readFileSync(path.join(modelFolder, 'model.safetensors'));
  const headerBytes = Number(weights.readBigUInt64LE());
  const header = JSON.parse(weights.subarray(8, 8 + headerBytes).toString());
  const [from, to] = header['model.embed_tokens.weight'].data_offsets.map((offset) => offset + 8 + headerBytes);
  const rowBytes = (to - from) / header['model.embed_tokens.weight'].shape[0];
  const changed = Buffer.from(weights);
  for (let at = from; at < to; at += rowBytes) weights.copy(changed, at, from + to - at - rowBytes, from + to - at);
  fs.mkdirSync(path.join(folder, 'step5'));
  fs.writeFileSync(path.join(folder, 'step5/model.safetensors'), changed);
  return folder;
}

const checkpoints = modelWithCheckpoint();

/** Functions that the pages of these tests share. */
async function open(t, options) {
  const api = await openApi(browser, t, { mounts: { '/steps/': checkpoints, '/models/': path.join(root, 'models') }, ...options });
  await api.page.evaluate(() => {
    globalThis.load = (options) => topk.TopKLM.load('/steps/', { backend: 'cpu', cache: false, ...options });
    globalThis.collect = async (generation, onStep = () => {}) => {
      const found = [];
      for await (const step of generation) {
        found.push(step.id);
        await onStep(step);
      }
      return found;
    };
    globalThis.failure = (promise) =>
      promise.then(
        (value) => ({ resolved: JSON.stringify(value) ?? 'nothing' }),
        ({ name, code, message }) => ({ name, code, message }),
      );
  });
  return api;
}

/** How long an aborted call may hold the engine (ms): some ten at rest, and no more than this beside other work. */
const PROMPT = 2000;

test('overlapping generations and runs do not disturb each other, and take turns', async (t) => {
  const { page } = await open(t);
  const result = await page.evaluate(
    async ([prompt, count]) => {
      const model = await load();
      const order = [];
      const stream = (name) => collect(model.generate(prompt, { maxTokens: count, temperature: 0 }), () => order.push(name));
      const run = () => model.run(prompt).then(({ logits }) => logits.data.indexOf(Math.max(...logits.data)));
      const [a, b, first] = await Promise.all([stream('a'), stream('b'), run()]);
      await model.dispose();
      return { a, b, first, order };
    },
    [prompt_ids, ids.length],
  );
  assert.deepEqual(result.a, ids);
  assert.deepEqual(result.b, ids);
  assert.equal(result.first, ids[0]);
  const half = result.order.slice(0, ids.length);
  for (const name of ['a', 'b']) assert.ok(half.filter((one) => one === name).length >= ids.length / 4, `turns: ${result.order.join('')}`);
});

test('an abort ends a load at once while its worker starts, or what the caller gave is read', async (t) => {
  let asked = () => {};
  const requested = new Promise((resolve) => {
    asked = resolve;
  });
  // A server that accepts the request for the worker's script and answers late.
  const late = fs.readFileSync(path.join(root, 'dist/npm/worker.js'));
  let answer;
  const intercept = ({ url }, response) => {
    if (url !== '/npm/late.js') return false;
    answer = () => response.writeHead(200, { 'content-type': 'text/javascript' }).end(late);
    asked();
    return true;
  };
  const { page } = await open(t, { serving: { intercept } });
  await page.evaluate(() => {
    globalThis.abort = new AbortController();
    globalThis.ended = new Promise((resolve) => {
      const { terminate } = Worker.prototype;
      Worker.prototype.terminate = function () {
        terminate.call(this);
        resolve('ended');
      };
    });
    globalThis.outcomes = Promise.all([
      failure(load({ workerUrl: '/npm/late.js', signal: abort.signal })),
      failure(topk.TopKLM.load({ 'config.json': new ReadableStream({}) }, { backend: 'cpu', signal: abort.signal })),
    ]);
  });
  await requested;
  const outcomes = await page.evaluate(() => {
    abort.abort();
    globalThis.within = (promise) => Promise.race([promise, new Promise((resolve) => setTimeout(resolve, 120_000, []))]);
    return within(outcomes);
  });
  assert.deepEqual(
    outcomes.map(({ code }) => code),
    ['aborted', 'aborted'],
  );
  answer();
  assert.equal(await page.evaluate(() => within(ended)), 'ended', 'a worker that starts after the abort is ended');
});

test('an abort ends a generation at once while its text is encoded, and the model stays usable', async (t) => {
  const { page } = await open(t);
  const [aborted, after] = await page.evaluate(async () => {
    const model = await topk.TopKLM.load('/models/Llama-TopK-Stories-16M/', { backend: 'cpu' });
    const abort = new AbortController();
    const outcome = failure(collect(model.generate('The dog '.repeat(300_000), { signal: abort.signal })));
    await new Promise((resolve) => setTimeout(resolve, 20));
    abort.abort();
    const found = [await outcome, await collect(model.generate('The dog', { maxTokens: 2, ignoreEos: true }))];
    await model.dispose();
    return found;
  });
  assert.deepEqual([aborted.name, aborted.code], ['AbortError', 'aborted']); // and not `context`, which it turns out to exceed
  assert.equal(after.length, 2);
});

test('two models at once', async (t) => {
  const { page } = await open(t);
  const both = await page.evaluate(
    async ([prompt, count]) => {
      const models = await Promise.all([load(), load({ worker: false })]);
      const found = await Promise.all(models.map((model) => collect(model.generate(prompt, { maxTokens: count, temperature: 0 }))));
      await Promise.all(models.map((model) => model.dispose()));
      return found;
    },
    [prompt_ids, ids.length],
  );
  assert.deepEqual(both, [ids, ids]);
});

for (const worker of [true, false]) {
  const where = worker ? 'in the worker' : 'in the page';

  test(`an abort is answered at once ${where}, the engine stops too, and the model stays usable`, async (t) => {
    const { page } = await open(t);
    const { aborts, before, after, loading } = await page.evaluate(async (worker) => {
      const STORY = '/models/Llama-TopK-Stories-16M/';
      const options = { backend: 'cpu', worker };
      const timed = async (work) => {
        const began = performance.now();
        await work();
        return performance.now() - began;
      };
      const model = await topk.TopKLM.load(STORY, options);
      const long = Array.from({ length: model.config.n_ctx }, (_, at) => 5 + (at % 100));
      const many = { layers: [], indices: [], values: [] };
      for (let n = 0; n < 3000; n++)
        for (const [name, number] of [
          ['layers', n % 5],
          ['indices', n % 1000],
          ['values', 5],
        ])
          many[name].push(number);
      const greedy = () => collect(model.generate('Once upon a time', { maxTokens: 8, temperature: 0 }));
      const before = await greedy();
      const one = await timed(() => model.run([1], { logits: 'none' }));
      const calls = {
        run: (signal) => model.run(long, { logits: 'all', signal }),
        generate: (signal) => collect(model.generate('The', { maxTokens: 200, ignoreEos: true, signal })),
        logitLens: (signal) => model.logitLens(long, { signal }),
        ablate: (signal) => model.ablate(long, 7, { signal }),
        setEach: (signal) => model.setEach(long, 7, many, { signal }),
        loadCheckpoint: (signal) => model.loadCheckpoint('final', { signal }),
      };
      const aborts = [];
      for (const [name, call] of Object.entries(calls)) {
        const whole = () => timed(() => call(new AbortController().signal));
        const shortest = Math.min(await whole(), await whole());
        for (const delay of [0, Math.min(7, shortest / 4), Math.min(60, shortest / 3)]) {
          const abort = new AbortController();
          const outcome = failure(call(abort.signal));
          await new Promise((resolve) => setTimeout(resolve, delay));
          abort.abort();
          let ended;
          const ms = await timed(async () => {
            ended = await outcome;
          });
          const free = (await timed(() => model.run([1], { logits: 'none' }))) - one;
          aborts.push({ name: `${name} after ${delay.toFixed(0)} of ${shortest.toFixed(0)} ms`, code: ended.code, ms, free });
        }
      }
      const loading = [];
      for (const delay of [1, 30]) loading.push(await failure(topk.TopKLM.load(STORY, { ...options, signal: AbortSignal.timeout(delay) })));
      const after = await greedy();
      await model.dispose();
      return { aborts, before, after, loading };
    }, worker);
    for (const { name, code, ms, free } of aborts) {
      assert.equal(code, 'aborted', name);
      assert.ok(ms < PROMPT, `${name}: rejected after ${ms} ms`);
      assert.ok(free < PROMPT, `${name}: the next call waited ${free} ms`);
    }
    const worst = (key) => Math.max(...aborts.map((abort) => abort[key])).toFixed(1);
    console.log(`abort ${where}: rejected within ${worst('ms')} ms, engine free within ${worst('free')} ms`);
    for (const { name, code } of loading) assert.deepEqual([name, code], ['AbortError', 'aborted']);
    assert.deepEqual(after, before);
  });

  test(`checkpoints ${where}: running streams keep their weights, a failure keeps the old ones`, async (t) => {
    const { page } = await open(t);
    const found = await page.evaluate(
      async ([prompt, count, worker]) => {
        const model = await load({ worker });
        const greedy = () => collect(model.generate(prompt, { maxTokens: count, temperature: 0 }));
        const swap = async ({ index }) => {
          if (index === 3) await model.loadCheckpoint(5);
        };
        const running = await collect(model.generate(prompt, { maxTokens: count, temperature: 0 }), swap);
        const step5 = await greedy();
        const missing = await failure(model.loadCheckpoint(6));
        const kept = await greedy();
        await model.loadCheckpoint('final');
        const final = await greedy();
        const last = [];
        for (const steps of [
          [5, 'final'],
          ['final', 5],
          [5, 6, 'final'],
        ]) {
          await Promise.allSettled(steps.map((step) => model.loadCheckpoint(step)));
          last.push(await greedy());
        }
        await model.dispose();
        const fresh = await topk.TopKLM.load('/steps/', { backend: 'cpu', cache: false });
        await fresh.loadCheckpoint(5);
        const again = await collect(fresh.generate(prompt, { maxTokens: count, temperature: 0 }));
        await fresh.dispose();
        return { running, step5, missing, kept, final, last, again };
      },
      [prompt_ids, ids.length, worker],
    );
    assert.deepEqual(found.running, ids);
    assert.notDeepEqual(found.step5, ids);
    assert.deepEqual(found.again, found.step5);
    assert.equal(found.missing.code, 'download');
    assert.match(found.missing.message, /step6\/model\.safetensors was not found/);
    assert.deepEqual(found.kept, found.step5);
    assert.deepEqual(found.final, ids);
    assert.deepEqual(found.last, [ids, found.step5, ids], 'of calls that overlap, the weights of the last one stay');
  });

  test(`checkpoints ${where}: an abort leaves the weights that it says`, async (t) => {
    const { page } = await open(t);
    const found = await page.evaluate(
      async ([prompt, count, worker]) => {
        const model = await load({ worker });
        const greedy = async () => String(await collect(model.generate(prompt, { maxTokens: count, temperature: 0 })));
        const texts = [];
        for (const step of [5, 'final']) {
          await model.loadCheckpoint(step);
          texts.push(await greedy());
        }
        const [step5, final] = texts;
        const began = performance.now();
        await model.loadCheckpoint(5);
        const whole = performance.now() - began;
        await model.loadCheckpoint('final');
        const wrong = [];
        const ends = { resolved: 0, rejected: 0 };
        for (let n = 0; n < 40; n++) {
          const abort = new AbortController();
          const call = model.loadCheckpoint(5, { signal: abort.signal }).then(
            () => 'resolved',
            ({ name }) => (name === 'AbortError' ? 'rejected' : name),
          );
          setTimeout(() => abort.abort(), whole * (n / 25) ** 2);
          const end = await call;
          ends[end]++;
          const text = await greedy();
          if (text !== { resolved: step5, rejected: final }[end]) wrong.push([n, end, text]);
          await model.loadCheckpoint('final');
        }
        // One that waits for another ends at once, and what comes after still waits.
        const first = model.loadCheckpoint(5);
        const abort = new AbortController();
        const second = failure(model.loadCheckpoint('final', { signal: abort.signal }));
        const third = model.loadCheckpoint('final');
        abort.abort();
        const { code } = await second;
        await Promise.all([first, third]);
        const last = await greedy();
        await model.dispose();
        return { differ: step5 !== final, wrong, ends, code, isLast: last === final };
      },
      [prompt_ids, ids.length, worker],
    );
    console.log(`aborts of loadCheckpoint ${where}: ${JSON.stringify(found.ends)}`);
    assert.deepEqual(found.wrong, []);
    assert.ok(found.differ && found.ends.resolved > 0 && found.ends.rejected > 0);
    assert.deepEqual([found.code, found.isLast], ['aborted', true]);
  });

  test(`dispose ${where}: a stream yields nothing after it, also not what had come`, async (t) => {
    const { page } = await open(t);
    const found = await page.evaluate(
      async ([prompt, worker]) => {
        const model = await load({ worker });
        const stream = model.generate(prompt, { maxTokens: 100_000, ignoreEos: true });
        let came = 0;
        const read = async () => {
          for await (const _ of stream) if (++came === 20) await model.dispose();
        };
        const ended = await failure(read());
        return { came, ended, isFrozen: Object.isFrozen(model.config) && Object.isFrozen(model.checkpoints) };
      },
      [prompt_ids, worker],
    );
    assert.deepEqual([found.came, found.ended.code, found.isFrozen], [20, 'disposed', true]);
  });

  test(`dispose ${where}: calls under way and later ones reject, the worker is gone`, async (t) => {
    const { page } = await open(t);
    const found = await page.evaluate(
      async ([prompt, worker]) => {
        const model = await load({ worker });
        const pending = failure(collect(model.generate(prompt, { maxTokens: 100_000, ignoreEos: true })));
        await new Promise((resolve) => setTimeout(resolve, 5));
        await Promise.all([model.dispose(), model.dispose()]);
        return [await pending, await failure(model.run(prompt)), await failure(model.tokenizer.encode('x'))];
      },
      [prompt_ids, worker],
    );
    for (const { name, code } of found.slice(1)) assert.deepEqual([name, code], ['TopKDisposedError', 'disposed']);
    assert.ok(found[0].code === 'disposed' || found[0].resolved, JSON.stringify(found[0]));
    // The test hears of a worker's end some time after it.
    await Promise.all(page.workers().map((worker) => once(worker, 'close', { signal: AbortSignal.timeout(120_000) })));
    assert.equal(page.workers().length, 0);
  });
}

test('a worker that dies rejects all calls with a typed error, and loading again works', async (t) => {
  const { page } = await open(t);
  await page.evaluate(async () => {
    globalThis.model = await load();
  });
  const [worker] = page.workers();
  // A second a step, so that the context is not full before the worker dies.
  const pending = page.evaluate(
    (prompt) =>
      failure(
        collect(model.generate(prompt, { maxTokens: 100_000, ignoreEos: true }), () => new Promise((resolve) => setTimeout(resolve, 1000))),
      ),
    prompt_ids,
  );
  await worker.evaluate(() => {
    setTimeout(() => {
      throw new WebAssembly.RuntimeError('unreachable');
    });
  });
  const outcome = await pending;
  assert.equal(outcome.name, 'TopKWorkerError', JSON.stringify(outcome));
  assert.match(outcome.message, /stopped working.*load the model again/);
  const later = await page.evaluate((prompt) => failure(model.run(prompt)), prompt_ids);
  assert.equal(later.name, 'TopKWorkerError');
  const again = await page.evaluate(
    async ([prompt, count]) => collect((await load()).generate(prompt, { maxTokens: count, temperature: 0 })),
    [prompt_ids, ids.length],
  );
  assert.deepEqual(again, ids);
});

test('sampling: a seed repeats, the seed in use is reported, zero tokens are fine', async (t) => {
  const { page } = await open(t);
  const found = await page.evaluate(async (prompt) => {
    const model = await load();
    const sample = async (options) => {
      const generation = model.generate(prompt, { maxTokens: 12, ignoreEos: true, ...options });
      return { ids: await collect(generation), seed: String(generation.seed), finish: generation.finish };
    };
    const [a, b, c] = [await sample({ seed: 5 }), await sample({ seed: 5n }), await sample({ seed: (1n << 64n) - 1n })];
    const random = await sample({});
    const repeated = await sample({ seed: BigInt(random.seed) });
    const none = await sample({ maxTokens: 0 });
    const step = await model.generate(prompt, { maxTokens: 1, topLogprobs: 3, hooks: ['blocks.0.hook_topk_out'] }).next();
    await model.dispose();
    return {
      a,
      b,
      c,
      random,
      repeated,
      none,
      top: step.value.topLogprobs.ids.length,
      rows: step.value.hooks['blocks.0.hook_topk_out'].shape[0],
    };
  }, prompt_ids);
  assert.deepEqual(found.a, found.b);
  assert.deepEqual([found.a.seed, found.a.finish, found.c.seed], ['5', 'length', '18446744073709551615']);
  assert.deepEqual(found.repeated, found.random);
  assert.deepEqual(found.none.ids, []);
  assert.deepEqual([found.top, found.rows], [3, 1]);
});
