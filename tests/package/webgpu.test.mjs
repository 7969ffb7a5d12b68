// The API on WebGPU: active neurons as PyTorch has them, overlapping calls, aborts, and a device that is lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goldenFile } from './fixture.mjs';
import { openApi, openBrowser } from './page.mjs';

const browser = await openBrowser(test);
const { greedy, runs } = goldenFile();
const [{ prompt_ids, ids }] = greedy;
const [{ ids: runIds, active }] = runs;

test('one model on WebGPU', { timeout: 1_800_000 }, async (t) => {
  const { page } = await openApi(browser, t);
  page.setDefaultTimeout(0);
  await page.evaluate(async () => {
    const { requestDevice } = GPUAdapter.prototype;
    globalThis.ownRequest = async function (descriptor) {
      globalThis.device = await requestDevice.call(this, descriptor);
      return globalThis.device;
    };
    GPUAdapter.prototype.requestDevice = ownRequest;
    const { createShaderModule } = GPUDevice.prototype;
    globalThis.labels = new Set();
    GPUDevice.prototype.createShaderModule = function (descriptor) {
      labels.add(descriptor.label);
      return createShaderModule.call(this, descriptor);
    };
    globalThis.load = () => topk.TopKLM.load('/model/', { backend: 'webgpu', worker: false, cache: false });
    globalThis.collect = async (generation, onStep = () => {}) => {
      const found = [];
      for await (const step of generation) {
        found.push(step.id);
        onStep(step);
      }
      return found;
    };
    globalThis.failure = (promise) =>
      promise.then(
        () => null,
        ({ name, code, message }) => ({ name, code, message }),
      );
    globalThis.model = await load();
  });
  assert.equal(await page.evaluate(() => model.backend.kind), 'webgpu');

  await t.test('active neurons of every TopK block', async () => {
    const layers = Object.keys(active);
    const rows = await page.evaluate(
      async ([ids, layers]) => {
        const { hooks } = await model.run(ids, { hooks: layers.map((layer) => `blocks.${layer}.hook_topk_out`), logits: 'none' });
        const rowsOf = ({ rowStart, indices }) => ids.map((_, row) => [...indices.subarray(rowStart[row], rowStart[row + 1])]);
        return layers.map((layer) => rowsOf(hooks[`blocks.${layer}.hook_topk_out`]));
      },
      [runIds, layers],
    );
    assert.deepEqual(
      rows,
      layers.map((layer) => active[layer]),
    );
  });

  await t.test('with operations of subgroups where the adapter has them, and without, by the same API', async () => {
    const found = await page.evaluate(
      async ([prompt, count, ids, hook]) => {
        const used = () => ['topk.wgsl', 'subgroup_topk.wgsl'].filter((label) => labels.has(label));
        const results = async (model) => {
          const tokens = await collect(model.generate(prompt, { maxTokens: count, temperature: 0 }));
          const { hooks } = await model.run(ids, { hooks: [hook], logits: 'none' });
          return { tokens, rowStart: [...hooks[hook].rowStart], indices: [...hooks[hook].indices], values: [...hooks[hook].values] };
        };
        const kept = globalThis.device;
        const adapter = await navigator.gpu.requestAdapter();
        const own = {
          isThere: adapter.features.has('subgroups'),
          isAsked: kept.features.has('subgroups'),
          isPagesOwn: GPUAdapter.prototype.requestDevice === ownRequest && !(await adapter.requestDevice()).features.has('subgroups'),
        };
        const first = { used: used(), results: await results(model) };
        const { has } = GPUSupportedFeatures.prototype;
        GPUSupportedFeatures.prototype.has = function (name) {
          return name !== 'subgroups' && has.call(this, name);
        };
        labels.clear();
        const other = await load();
        const second = { used: used(), results: await results(other) };
        await other.dispose();
        GPUSupportedFeatures.prototype.has = has;
        globalThis.device = kept;
        return { own, first, second };
      },
      [prompt_ids, ids.length, runIds, `blocks.${Object.keys(active)[0]}.hook_topk_out`],
    );
    const { own, first, second } = found;
    assert.deepEqual(own, { isThere: true, isAsked: true, isPagesOwn: true }, 'SwiftShader has subgroups');
    assert.deepEqual([first.used, second.used], [['subgroup_topk.wgsl'], ['topk.wgsl']]);
    assert.deepEqual(first.results, second.results);
  });

  await t.test('overlapping generations and runs', async () => {
    const found = await page.evaluate(
      async ([prompt, count]) => {
        const stream = () => collect(model.generate(prompt, { maxTokens: count, temperature: 0 }));
        const run = () => model.run(prompt).then(({ logits }) => logits.data.indexOf(Math.max(...logits.data)));
        return Promise.all([stream(), stream(), run()]);
      },
      [prompt_ids, ids.length],
    );
    assert.deepEqual(found, [ids, ids, ids[0]]);
  });

  await t.test('an abort leaves the model usable', async () => {
    const found = await page.evaluate(
      async ([prompt, count]) => {
        const outcomes = [];
        for (const delay of [0, 5, 50, 200]) {
          const options = { maxTokens: 50, ignoreEos: true, signal: AbortSignal.timeout(delay) };
          outcomes.push(await failure(collect(model.generate(prompt, options))));
        }
        return { outcomes, after: await collect(model.generate(prompt, { maxTokens: count, temperature: 0 })) };
      },
      [prompt_ids, ids.length],
    );
    for (const outcome of found.outcomes) assert.ok(outcome === null || outcome.code === 'aborted', JSON.stringify(outcome));
    assert.equal(found.outcomes[0].name, 'AbortError');
    assert.deepEqual(found.after, ids);
  });

  await t.test('a lost device is a typed error, and loading again works', async () => {
    const found = await page.evaluate(
      async ([prompt, count]) => {
        let steps = 0;
        const lost = await failure(
          collect(model.generate(prompt, { maxTokens: 50, ignoreEos: true }), () => {
            if (++steps === 2) globalThis.device.destroy();
          }),
        );
        const later = await failure(model.run(prompt));
        await model.dispose();
        globalThis.model = await load();
        const after = await collect(model.generate(prompt, { maxTokens: count, temperature: 0 }));
        await model.dispose();
        return { lost, later, after };
      },
      [prompt_ids, ids.length],
    );
    for (const outcome of [found.lost, found.later]) {
      assert.deepEqual([outcome?.name, outcome?.code], ['TopKDeviceError', 'device-lost'], JSON.stringify(outcome));
    }
    assert.deepEqual(found.after, ids);
  });
});

test('a browser that never hands out an adapter', { timeout: 1_800_000 }, async (t) => {
  const { page } = await openApi(browser, t);
  await page.clock.install();
  await page.evaluate(() => {
    GPU.prototype.requestAdapter = () => {
      globalThis.asked = true;
      return new Promise(() => {});
    };
    globalThis.loads = (backend) => {
      globalThis.asked = false;
      globalThis.loading = topk.TopKLM.load('/model/', { backend, worker: false, cache: false }).then(
        (model) => model.backend,
        ({ code, message }) => ({ code, message }),
      );
    };
  });
  const outcome = async (backend) => {
    await page.evaluate((wanted) => loads(wanted), backend);
    await page.waitForFunction(() => asked, undefined, { timeout: 0, polling: 'raf' });
    await page.clock.fastForward(21_000);
    return page.evaluate(() => loading);
  };
  const auto = await outcome('auto');
  assert.equal(auto.kind, 'cpu');
  assert.match(auto.reason, /WebGPU did not answer for 20 s/);
  const asked = await outcome('webgpu');
  assert.equal(asked.code, 'device');
  assert.match(asked.message, /WebGPU did not answer for 20 s/);
});

test('auto goes on to the CPU where the adapter turns out not to do', { timeout: 600_000 }, async (t) => {
  const { page } = await openApi(browser, t);
  page.setDefaultTimeout(0);
  await page.evaluate(async () => {
    const fake = (prototype, name, value) => {
      const { get } = Object.getOwnPropertyDescriptor(prototype, name);
      Object.defineProperty(prototype, name, { get: () => value, configurable: true });
      return () => Object.defineProperty(prototype, name, { get, configurable: true });
    };
    fake(GPUAdapterInfo.prototype, 'isFallbackAdapter', false); // else it is the CPU from the start
    globalThis.limit = (bytes) => fake(GPUSupportedLimits.prototype, 'maxStorageBufferBindingSize', bytes);
    const { createBuffer } = GPUDevice.prototype;
    GPUDevice.prototype.createBuffer = function (descriptor) {
      if (descriptor.label === globalThis.losesAt) this.destroy();
      return createBuffer.call(this, descriptor);
    };
    globalThis.outcome = async (backend, [prompt, count]) => {
      const told = [];
      try {
        const options = { backend, worker: false, cache: false, onProgress: (progress) => told.push(progress) };
        const model = await topk.TopKLM.load('/model/', options);
        const ids = [];
        for await (const { id } of model.generate(prompt, { maxTokens: count, temperature: 0 })) ids.push(id);
        const { backend: used } = model;
        await model.dispose();
        return { used, ids, told };
      } catch ({ code, message }) {
        return { code, message, told };
      }
    };
  });
  const asked = [prompt_ids, ids.length];
  const outcome = (backend, [limit, losesAt]) =>
    page.evaluate(
      async ([backend, limit, losesAt, asked]) => {
        globalThis.losesAt = losesAt;
        const restore = limit === null ? () => {} : globalThis.limit(limit);
        const found = await globalThis.outcome(backend, asked);
        restore();
        return found;
      },
      [backend, limit, losesAt, asked],
    );
  assert.equal((await outcome('auto', [null, null])).used.kind, 'webgpu', 'the faked adapter does');

  const cases = [
    ['a matrix larger than a binding', [8192, null], 'device', /Qkv\(0\) has \d+ bytes, more than the GPU's largest binding of 8192/],
    ['a row larger than a binding', [64, null], 'device', /a row of this model's activations is larger/],
    ['lost after the download', [null, 'rope'], 'device-lost', /the WebGPU device was lost/],
  ];
  for (const [what, faults, code, message] of cases) {
    const auto = await outcome('auto', faults);
    assert.equal(auto.used?.kind, 'cpu', `${what}: ${auto.message}`);
    assert.match(auto.used.reason, message, what);
    assert.equal(auto.used.adapter, null, what);
    assert.deepEqual(auto.ids, ids, what);
    const loaded = auto.told.filter(({ phase }) => phase === 'load').map(({ loadedBytes }) => loadedBytes);
    assert.deepEqual(
      loaded,
      [...loaded].sort((a, b) => a - b),
      what,
    );
    assert.equal(loaded.at(-1), auto.told.findLast(({ phase }) => phase === 'load').totalBytes, what);
    const chosen = await outcome('webgpu', faults);
    assert.equal(chosen.code, code, what);
    assert.match(chosen.message, message, what);
  }
});

test('a call without memory for its results leaves none of its errors to the next', { timeout: 600_000 }, async (t) => {
  const { page } = await openApi(browser, t);
  page.setDefaultTimeout(0);
  const found = await page.evaluate(async (prompt) => {
    let isFull = false;
    const { createBuffer, createTexture } = GPUDevice.prototype;
    GPUDevice.prototype.createBuffer = function (descriptor) {
      if (!isFull || descriptor.label !== 'staging') return createBuffer.call(this, descriptor);
      createTexture.call(this, { format: 'rgba32float', size: [8192, 8192, 256], usage: GPUTextureUsage.COPY_DST }); // an error of memory
      this.pushErrorScope('validation');
      const none = createBuffer.call(this, { ...descriptor, size: 2 ** 40 });
      this.popErrorScope();
      return none;
    };
    const model = await topk.TopKLM.load('/model/', { backend: 'webgpu', worker: false, cache: false });
    const run = () =>
      model.run(prompt).then(
        ({ logits }) => logits.data.indexOf(Math.max(...logits.data)),
        ({ code }) => code,
      );
    isFull = true;
    const outcomes = [await run(), await run()];
    isFull = false;
    for (let i = 0; i < 3; i++) outcomes.push(await run());
    await model.dispose();
    return outcomes;
  }, prompt_ids);
  assert.deepEqual(found, ['out-of-memory', 'out-of-memory', ids[0], ids[0], ids[0]]);
});
