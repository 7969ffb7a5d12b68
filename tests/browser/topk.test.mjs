// The standalone topk() in Chromium against a sort by the ranking, bit for bit.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { generateShaderModule } from '../../scripts/shaders.mjs';
import { launch, openPage, serveBlank } from './harness.mjs';

let server;
let browser;
let opened;

before(async () => {
  await generateShaderModule();
  const bundle = { entryPoints: [inRoot('js/src/topk.ts')], bundle: true, format: 'esm', write: false };
  const { outputFiles } = await build(bundle);
  server = await serveBlank();
  browser = await launch();
  opened = await openPage(browser, server.url);
  opened.page.setDefaultTimeout(0);
  await opened.page.evaluate(setUp, `data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
});

after(async () => {
  await opened?.close();
  await browser?.close();
  await server?.close();
});

/** Runs in the page: device, module, and what the tests there share. */
async function setUp(url) {
  globalThis.api = await import(url);
  const adapter = await navigator.gpu.requestAdapter();
  globalThis.device = await adapter.requestDevice({ requiredFeatures: ['subgroups'] }); // SwiftShader has them, of 4 lanes
  device.addEventListener('uncapturederror', ({ error }) => console.error(`uncaptured: ${error.message}`));

  globalThis.upload = (bits) => {
    const buffer = device.createBuffer({ size: Math.max(bits.byteLength, 4), usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
    device.queue.writeBuffer(buffer, 0, bits);
    return buffer;
  };

  /** Indices by the definition in docs/semantics.md: NaN first, then by value, at a tie the lower index. */
  globalThis.bySorting = (bits, k, select) => {
    const floats = new Float32Array(bits.buffer, bits.byteOffset, bits.length);
    const measure = Float64Array.from(floats, (value) => (Number.isNaN(value) ? Infinity : select === 'abs' ? Math.abs(value) : value));
    const isNaNs = Uint8Array.from(floats, (value) => Number(Number.isNaN(value)));
    const order = Uint32Array.from(bits.keys());
    order.sort((a, b) => isNaNs[b] - isNaNs[a] || (measure[a] === measure[b] ? 0 : measure[b] - measure[a] > 0 ? 1 : -1) || a - b);
    return order.subarray(0, k);
  };

  /** '' or what is wrong with the result for rows of bits. Where the order is open, it is what is found that counts. */
  globalThis.fault = async (bits, rows, n, k, select, run, sorted = true) => {
    // Two of three lie behind NaN, the largest of all.
    const before = 64 * (rows % 3);
    const whole = new Uint32Array(before + bits.length).fill(0x7fc00000, 0, before);
    whole.set(bits, before);
    const input = upload(whole);
    const result = run({ input, inputOffset: before * 4, rows, n, k, select, sorted });
    const { values, indices } = await api.readTopK(device, result, { rows, k });
    const valueBits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    for (const buffer of [input, result.values, result.indices]) buffer.destroy();
    for (let row = 0; row < rows; row++) {
      const part = bits.subarray(row * n, (row + 1) * n);
      const expected = bySorting(part, k, select);
      const places = Uint32Array.from({ length: k }, (_, i) => row * k + i);
      if (!sorted) {
        places.sort((a, b) => indices[a] - indices[b]);
        expected.sort();
      }
      for (let i = 0; i < k; i++) {
        const at = places[i];
        if (indices[at] !== expected[i]) return `row ${row}, position ${i}: index ${indices[at]}, expected ${expected[i]}`;
        if (valueBits[at] !== part[expected[i]]) return `row ${row}, position ${i}: bits ${valueBits[at]}, expected ${part[expected[i]]}`;
      }
    }
    return '';
  };

  /** Reproducible bits of floats: few different ones, any at all, odd ones. */
  globalThis.makeRandom = (seed) => {
    let state = seed;
    const next = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state ^ (state >>> 15)) >>> 0;
    };
    const odd = [0, 0x80000000, 1, 0x80000001, 0x007fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7fc12345, 0xffc00001];
    const float = new Float32Array(1);
    const asBits = new Uint32Array(float.buffer);
    const bits = () => {
      const kind = next() % 8;
      if (kind === 0) return odd[next() % odd.length];
      if (kind < 3) return next();
      float[0] = kind < 6 ? (next() % 40) * 0.5 - 10 : next() / 2 ** 31 - 1;
      return asBits[0];
    };
    return { next, rows: (length) => Uint32Array.from({ length }, bits) };
  };
}

test('the adapter is the emulation, and its profile is taken', async () => {
  assert.equal(await opened.page.evaluate(() => device.adapterInfo.isFallbackAdapter), true);
});

const { gpu } = JSON.parse(fs.readFileSync(inRoot('shaders/topk_plan.json'), 'utf8')).profiles;
const PROFILES = { gpu: 'gpu', 'gpu without subgroups': { ...gpu, lanes_most: 0 }, fallback: 'fallback' };

for (const [name, profile] of Object.entries(PROFILES)) {
  test(`random shapes equal a full sort (${name})`, { timeout: 1_800_000 }, async () => {
    const faults = await opened.page.evaluate(async (profile) => {
      const topk = api.createTopK(device, profile);
      const { next, rows } = makeRandom(JSON.stringify(profile).length);
      const found = [];
      for (let run = 0; run < 60; run++) {
        const n = 1 + (next() % [9, 80, 600, 3000][run % 4]);
        const count = 1 + (next() % 6);
        const k = [next() % (n + 1), Math.min(n, next() % 41), n, Math.min(n, 128), Math.min(n, 129)][run % 5];
        const select = run % 3 === 0 ? 'abs' : 'value';
        const sorted = run % 2 === 0;
        const fault_ = await fault(rows(count * n), count, n, k, select, (options) => topk.run(options), sorted);
        if (fault_) found.push(`${count} × ${n}, k ${k}, ${select}, sorted ${sorted}: ${fault_}`);
      }
      topk.destroy();
      return found;
    }, profile);
    assert.deepEqual(faults, []);
  });
}

test('no constant of the plan changes a result', { timeout: 1_800_000 }, async () => {
  const faults = await opened.page.evaluate(async () => {
    const { next, rows } = makeRandom(77);
    const found = [];
    for (let run = 0; run < 40; run++) {
      const threads = [4, 16, 64][next() % 3];
      const tuning = { threads, values_per_thread: 1 + (next() % 300), bitonic_most: next() % 129, bitonic_share: 1 + (next() % 40) };
      Object.assign(tuning, { groups: 1 + (next() % 8), segment_least: 1 + (next() % 600), count_from: 1 + (next() % 600) });
      Object.assign(tuning, { lanes_most: next() % 257, lanes_part: 1 + (next() % 2000) });
      Object.assign(tuning, { lanes_segment: 1 + (next() % 5000), lanes_whole: 1 + (next() % 5000) });
      const topk = api.createTopK(device, tuning);
      const n = 1 + (next() % [80, 600, 3000, 9000][run % 4]);
      const count = 1 + (next() % 3);
      const k = next() % (1 + Math.min(n, run % 2 ? n : 130));
      const sorted = run % 3 > 0;
      const fault_ = await fault(rows(count * n), count, n, k, run % 5 ? 'value' : 'abs', (options) => topk.run(options), sorted);
      if (fault_) found.push(`${count} × ${n}, k ${k}, ${JSON.stringify(tuning)}: ${fault_}`);
      topk.destroy();
    }
    return found;
  });
  assert.deepEqual(faults, []);
});

test('large shapes', { timeout: 1_800_000 }, async () => {
  const shapes = [
    [1, 131073, 50],
    [1, 131073, 3000],
    [1, 32000, 1024],
    [3, 40000, 200],
    [2, 40000, 128],
    [2, 4096, 4096],
  ];
  const faults = await opened.page.evaluate(
    async ([shapes, profiles]) => {
      const found = [];
      for (const [name, profile] of Object.entries(profiles)) {
        const topk = api.createTopK(device, profile);
        // More rows than workgroups in one dimension: the emulation takes a minute for them with large workgroups.
        for (const [rows, n, k] of profile === 'fallback' ? [...shapes, [70001, 3, 2]] : shapes) {
          const fault_ = await fault(makeRandom(n).rows(rows * n), rows, n, k, 'value', (options) => topk.run(options));
          if (fault_) found.push(`${name}, ${rows} × ${n}, k ${k}: ${fault_}`);
        }
        topk.destroy();
      }
      return found;
    },
    [shapes, PROFILES],
  );
  assert.deepEqual(faults, []);
});

test('goldens from Python', async () => {
  const { cases } = JSON.parse(fs.readFileSync(inRoot('tests/goldens/topk_vectors.json'), 'utf8'));
  const results = await opened.page.evaluate(async (cases) => {
    const results = [];
    for (const { select, k, input } of cases) {
      const bits = Uint32Array.from(input);
      const buffer = upload(bits);
      try {
        const shape = { rows: 1, n: bits.length, k };
        const result = api.topk(device, { input: buffer, select, ...shape });
        const { values, indices } = await api.readTopK(device, result, shape);
        results.push({ indices: [...indices], values: [...new Uint32Array(values.buffer, values.byteOffset, values.length)] });
      } catch ({ name, code }) {
        results.push({ name, code });
      }
    }
    return results;
  }, cases);
  cases.forEach(({ name, input, indices }, i) => {
    const expected = indices ? { indices, values: indices.map((index) => input[index]) } : { name: 'TopKArgumentError', code: 'argument' };
    assert.deepEqual(results[i], expected, name);
  });
});

test('rows go in chunks where a binding is too small, and too long a row is refused', async () => {
  const outcome = await opened.page.evaluate(async () => {
    const small = new Proxy(device, {
      get(target, name) {
        if (name === 'limits') return { maxStorageBufferBindingSize: 65536, minStorageBufferOffsetAlignment: 256 };
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const topk = api.createTopK(small, 'fallback');
    const faults = [];
    for (const [rows, n, k] of [
      [700, 100, 7],
      [1000, 64, 64],
      [200, 320, 192],
    ]) {
      faults.push(await fault(makeRandom(k).rows(rows * n), rows, n, k, 'value', (options) => topk.run(options)));
    }
    const input = upload(new Uint32Array(40000));
    try {
      topk.run({ input, rows: 1, n: 40000, k: 3 });
      faults.push('not refused');
    } catch (error) {
      faults.push(error.code);
    }
    return faults;
  });
  assert.deepEqual(outcome, ['', '', '', 'argument']);
});

test('where there is no memory for it, reading says so', async () => {
  const outcomes = await opened.page.evaluate(async () => {
    const own = await (await navigator.gpu.requestAdapter()).requestDevice(); // its page hears of more than this
    const shape = { rows: 1, n: 100_000, k: 20 };
    const input = own.createBuffer({ size: 4 * shape.n, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
    own.queue.writeBuffer(
      input,
      0,
      Float32Array.from({ length: shape.n }, (_, at) => at),
    );
    const create = own.createBuffer.bind(own);
    let lacks = () => false;
    own.createBuffer = (descriptor) => {
      if (!lacks(descriptor)) return create(descriptor);
      own.createTexture({ format: 'rgba32float', size: [8192, 8192, 256], usage: GPUTextureUsage.COPY_DST }); // an error of memory
      own.pushErrorScope('validation');
      const none = create({ ...descriptor, size: 2 ** 40 });
      own.popErrorScope();
      return none;
    };
    const values = create({ size: 4 * shape.k, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
    const found = [];
    for (const isLacking of [
      ({ usage }) => usage === GPUBufferUsage.STORAGE,
      ({ label }) => label === 'topk indices',
      ({ usage }) => usage & GPUBufferUsage.MAP_READ,
      () => false,
    ]) {
      lacks = isLacking;
      const result = api.topk(own, { input, values, ...shape });
      const read = api.readTopK(own, result, shape);
      found.push(
        await read.then(
          ({ indices }) => indices[0],
          ({ name, code }) => [name, code],
        ),
      );
    }
    own.destroy();
    return found;
  });
  const error = ['TopKDeviceError', 'out-of-memory'];
  assert.deepEqual(outcomes, [error, error, error, 99_999]);
});

test('recorded into an encoder of the caller', async () => {
  const fault_ = await opened.page.evaluate(async () => {
    const bits = makeRandom(5).rows(2 * 1000);
    return fault(bits, 2, 1000, 300, 'value', (options) => {
      const encoder = device.createCommandEncoder();
      const result = api.topk(device, { ...options, encoder });
      device.queue.submit([encoder.finish()]);
      result.release();
      return result;
    });
  });
  assert.equal(fault_, '');
});

test('every buffer that it creates for itself is destroyed', async () => {
  const alive = await opened.page.evaluate(async () => {
    const { createBuffer } = GPUDevice.prototype;
    const { destroy } = GPUBuffer.prototype;
    const living = new Set();
    GPUDevice.prototype.createBuffer = function (descriptor) {
      const buffer = createBuffer.call(this, descriptor);
      living.add(buffer);
      return buffer;
    };
    GPUBuffer.prototype.destroy = function () {
      living.delete(this);
      destroy.call(this);
    };
    try {
      const topk = api.createTopK(device);
      await topk.prepare({ rows: 2, n: 5000, k: 1500 });
      for (let run = 0; run < 100; run++) {
        const input = upload(new Uint32Array(2 * (100 + run)));
        const result = topk.run({ input, rows: 2, n: 100 + run, k: run % 2 ? 10 : 100 });
        await api.readTopK(device, result, { rows: 2, k: 10 });
        for (const buffer of [input, result.values, result.indices]) buffer.destroy();
      }
      const kept = living.size;
      topk.destroy();
      return [kept <= 64, living.size];
    } finally {
      GPUDevice.prototype.createBuffer = createBuffer;
      GPUBuffer.prototype.destroy = destroy;
    }
  });
  assert.deepEqual(alive, [true, 0]);
});
