// The example of nearest neighbors finds what a plain search in JavaScript finds.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { serve } from '../../scripts/lib/server.mjs';
import { packageFolder, root } from './fixture.mjs';
import { launch, STEP_TIMEOUT } from '../browser/harness.mjs';
import { openBrowser } from './page.mjs';

const browser = await openBrowser(test);

async function openExample(t, browser) {
  const server = await serve({ '/': path.join(root, 'examples/nearest'), '/node_modules/topk-lm/': packageFolder });
  const page = await browser.newPage();
  page.setDefaultTimeout(STEP_TIMEOUT);
  const errors = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  t.after(async () => {
    await page.close();
    await server.close();
    assert.deepEqual(errors, []);
  });
  await page.goto(server.url);
  return page;
}

test('the page finds a vector by a noisy copy of it', async (t) => {
  const page = await openExample(t, browser);
  await page.getByText('Ready.').waitFor();
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByText(/^\d+\.\d ms/).waitFor();
  const cells = await page.getByRole('row').nth(1).getByRole('cell').allTextContents();
  assert.deepEqual(cells.slice(0, 2), ['1', '4711']);
  assert.ok(Number(cells[2]) > 0.8 && Number(cells[2]) < 1, `the cosine of a noisy copy: ${cells[2]}`);
  assert.equal(await page.getByRole('row').count(), 11);
  await page.getByRole('spinbutton', { name: 'Vector' }).fill('');
  await page.getByRole('button', { name: 'Search' }).click();
  assert.equal(await page.locator('#which:invalid').count(), 1);
  assert.match(await page.getByRole('status').textContent(), /^\d+\.\d ms/, 'nothing was searched for');
});

test('without WebGPU the page says that it needs it', async (t) => {
  const plain = await launch({ webgpu: false });
  t.after(() => plain.close());
  const page = await openExample(t, plain);
  await page.getByText(/^This page needs WebGPU: /).waitFor();
});

test('several queries at once: each as a plain search finds it', async (t) => {
  const page = await openExample(t, browser);
  const { found, scores, queries, count, k, errors } = await page.evaluate(async () => {
    const { createIndex } = await import('./nearest.js');
    const [count, width, queries, k] = [5000, 12, 3, 7];
    const value = (at) => Math.sin(at * at * 0.37 + at);
    const vectors = Float32Array.from({ length: count * width }, (_, at) => value(at));
    const asked = Float32Array.from({ length: queries * width }, (_, at) => value(at + 0.5));
    const device = await (await navigator.gpu.requestAdapter()).requestDevice();
    const index = await createIndex(device, vectors, width);
    const { indices, values } = await index.search(asked, k);
    const most = Math.floor(device.limits.maxStorageBufferBindingSize / (count * 4));
    const refused = [index.search(asked, count + 1), index.search(new Float32Array((most + 1) * width), 1)];
    const errors = (await Promise.allSettled(refused)).map(({ reason }) => reason?.message);
    index.destroy();
    const dot = (query, at) => {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += asked[query * width + i] * vectors[at * width + i];
      return sum;
    };
    const scores = Array.from({ length: queries }, (_, query) => Array.from({ length: count }, (__, at) => dot(query, at)));
    return { found: { indices: [...indices], values: [...values] }, scores, queries, count, k, errors };
  });
  assert.match(errors[0], /k is 5001, but a row has only 5000 values/);
  assert.match(errors[1], /this device scores at most \d+ at once/);
  for (let query = 0; query < queries; query++) {
    const best = Array.from({ length: count }, (_, at) => at).sort((a, b) => scores[query][b] - scores[query][a]);
    const own = (list) => list.slice(query * k, (query + 1) * k);
    assert.deepEqual(own(found.indices), best.slice(0, k), `query ${query}`);
    own(found.values).forEach((value, place) => {
      assert.ok(Math.abs(value - scores[query][best[place]]) < 1e-4);
    });
  }
});

test('what does not fit into a binding or a dispatch is refused, with what would', async (t) => {
  const page = await openExample(t, browser);
  const { errors, most, best } = await page.evaluate(async () => {
    const { createIndex } = await import('./nearest.js');
    const device = await (await navigator.gpu.requestAdapter()).requestDevice();
    const { maxStorageBufferBindingSize: bytes, maxComputeWorkgroupsPerDimension: groups } = device.limits;
    const most = {
      wideQueries: Math.floor(bytes / (768 * 4)),
      queries: groups,
      vectors: groups * 64,
      wideVectors: Math.floor(bytes / (768 * 4)),
    };
    const refusal = (promise) => promise.then(() => 'none', String);
    const wide = await createIndex(device, new Float32Array(100 * 768), 768);
    const small = await createIndex(
      device,
      Float32Array.from({ length: 16 }, (_, at) => at),
      4,
    );
    const errors = {
      wideQueries: await refusal(wide.search(new Float32Array((most.wideQueries + 1) * 768), 1)),
      queries: await refusal(small.search(new Float32Array((most.queries + 1) * 4), 1)),
      vectors: await refusal(createIndex(device, new Float32Array((most.vectors + 1) * 4), 4)),
      wideVectors: await refusal(createIndex(device, new Float32Array((most.wideVectors + 1) * 768), 768)),
    };
    const { indices } = await small.search(new Float32Array(most.queries * 4).fill(1), 1);
    const best = [...new Set(indices)];
    wide.destroy();
    small.destroy();
    return { errors, most, best };
  });
  assert.deepEqual(errors, {
    wideQueries: `RangeError: There are ${most.wideQueries + 1} queries, but this device scores at most ${most.wideQueries} at once.`,
    queries: `RangeError: There are ${most.queries + 1} queries, but this device scores at most ${most.queries} at once.`,
    vectors: `RangeError: There are ${most.vectors + 1} vectors, but this device searches at most ${most.vectors}.`,
    wideVectors: `RangeError: There are ${most.wideVectors + 1} vectors, but this device searches at most ${most.wideVectors}.`,
  });
  assert.deepEqual(best, [3], 'as many queries as are allowed find their neighbor');
});
