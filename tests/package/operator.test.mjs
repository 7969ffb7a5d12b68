// `topk-lm/topk` as a user's bundler takes it: one file, which asks for no other, no worker and no wasm.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serve } from '../../scripts/lib/server.mjs';
import { bundledOperator } from '../../scripts/lib/size.mjs';
import { STEP_TIMEOUT } from '../browser/harness.mjs';
import { openBrowser } from './page.mjs';

const browser = await openBrowser(test);

test('the operator alone, bundled and minified, selects with nothing else loaded', async (t) => {
  const script = await bundledOperator();
  const asked = [];
  const files = {
    '/': ['text/html', '<!doctype html><link rel="icon" href="data:,">'],
    '/topk.js': ['text/javascript', script],
  };
  const intercept = ({ url }, response) => {
    asked.push(url);
    const [type, text] = files[url] ?? [];
    response.writeHead(type ? 200 : 404, { 'content-type': type ?? 'text/plain' }).end(text);
    return true;
  };
  const server = await serve({}, { intercept });
  const page = await browser.newPage();
  page.setDefaultTimeout(STEP_TIMEOUT);
  t.after(async () => {
    await page.close();
    await server.close();
  });
  // A worker or wasm made of bytes in the script would ask the server for nothing.
  await page.addInitScript(() => {
    globalThis.started = [];
    const note = (on, name) => {
      on[name] = new Proxy(on[name], {
        apply: () => started.push(name),
        construct: () => ({ place: started.push(name) }),
      });
    };
    note(globalThis, 'Worker');
    for (const name of ['compile', 'compileStreaming', 'instantiate', 'instantiateStreaming', 'Module']) note(WebAssembly, name);
  });
  await page.goto(server.url);
  const { indices, values, started } = await page.evaluate(async () => {
    const { readTopK, topk } = await import('/topk.js');
    const device = await (await navigator.gpu.requestAdapter()).requestDevice();
    const shape = { rows: 2, n: 300, k: 4 };
    // Each row holds 0 to 299 in another order, the second with its signs turned.
    const rows = Float32Array.from({ length: 600 }, (_, at) => ((at * 7) % 300) * (at < 300 ? 1 : -1));
    const input = device.createBuffer({ size: rows.byteLength, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
    device.queue.writeBuffer(input, 0, rows);
    const found = await readTopK(device, topk(device, { input, ...shape }), shape);
    return { indices: [...found.indices], values: [...found.values], started: globalThis.started };
  });
  assert.deepEqual(values.map(Math.abs), [299, 298, 297, 296, 0, 1, 2, 3]);
  assert.deepEqual(
    indices.map((index) => (index * 7) % 300),
    [299, 298, 297, 296, 0, 1, 2, 3],
  );
  assert.deepEqual(started, []);
  assert.deepEqual(asked, ['/', '/topk.js']);
});
