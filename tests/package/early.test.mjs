// What the engine has while a model's weights still come, counted: its kernels once the header is there, every weight whose bytes are.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { eventually } from '../browser/page-kit.mjs';
import { root } from './fixture.mjs';
import { openApi, openBrowser } from './page.mjs';

const browser = await openBrowser(test);
const folder = path.join(root, 'models/Llama-TopK-Stories-16M');
const weights = fs.readFileSync(path.join(folder, 'model.safetensors'));
/** Where the tensors begin, and not much more: no matrix is whole there. */
const HEADER = 16 + Number(weights.readBigUInt64LE(0));
/** All but the end of the last tensor, for which the last layer waits. */
const NEARLY = weights.length - 64;

/** A page whose weights come as far as `upTo` says. */
async function open(t) {
  let response;
  let answered = 0;
  let sent = 0;
  let end = 0;
  const send = () => {
    if (!response || sent >= end) return;
    response.write(weights.subarray(sent, end));
    sent = end;
    if (end === weights.length) response.end();
  };
  const intercept = (request, answer) => {
    if (request.url !== '/shipped/model.safetensors' || request.method !== 'GET') return false;
    [response, sent] = [answer, 0];
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': weights.length });
    send();
    answered++;
    return true;
  };
  const { page } = await openApi(browser, t, { mounts: { '/shipped/': folder }, serving: { intercept } });
  await page.evaluate(() => {
    globalThis.kernels = 0;
    globalThis.dispatches = 0;
    /** Bytes that the device was given. */
    globalThis.given = 0;
    const { createComputePipeline, createBuffer } = GPUDevice.prototype;
    GPUDevice.prototype.createComputePipeline = function (...all) {
      kernels++;
      globalThis.onKernel?.();
      return createComputePipeline.apply(this, all);
    };
    const { dispatchWorkgroups } = GPUComputePassEncoder.prototype;
    GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...all) {
      dispatches++;
      return dispatchWorkgroups.apply(this, all);
    };
    GPUDevice.prototype.createBuffer = function (descriptor) {
      if (descriptor.mappedAtCreation) given += descriptor.size;
      return createBuffer.call(this, descriptor);
    };
    const { writeBuffer } = GPUQueue.prototype;
    GPUQueue.prototype.writeBuffer = function (...all) {
      given += all[4] ?? all[2].byteLength;
      return writeBuffer.apply(this, all);
    };
    const { instantiate } = WebAssembly;
    WebAssembly.instantiate = async (...all) => {
      const made = await instantiate(...all);
      globalThis.memory = (made.instance ?? made).exports.memory;
      return made;
    };
    globalThis.load = (backend) => {
      globalThis.abort = new AbortController();
      globalThis.loading = topk.TopKLM.load('/shipped/', { backend, worker: false, cache: false, signal: abort.signal }).then(
        async (model) => {
          const ids = [];
          for await (const { id } of model.generate('Once', { maxTokens: 4, temperature: 0 })) ids.push(id);
          await model.dispose();
          return ids;
        },
        ({ code, name, message }) => ({ code, name, message }),
      );
    };
  });
  const upTo = (to) => {
    end = to;
    send();
  };
  return { page, upTo, answered: () => answered };
}

test('kernels are asked for and run over nothing once the header is there, until an abort, and weights are uploaded as they come', {
  timeout: 1_800_000,
}, async (t) => {
  const { page, upTo } = await open(t);
  upTo(weights.length);
  await page.evaluate(() => load('webgpu'));
  assert.equal((await page.evaluate(() => loading)).length, 4);
  const all = await page.evaluate(() => kernels);
  upTo(HEADER);
  const begun = await page.evaluate(async () => {
    kernels = dispatches = given = 0;
    globalThis.onKernel = () => abort.abort();
    load('webgpu');
    await loading;
    await new Promise((resolve) => setTimeout(resolve, 500));
    return kernels;
  });
  assert.ok(begun > 0 && begun < all / 4, `${begun} of ${all} begun, though the load was ended at the first`);
  await page.evaluate(() => {
    kernels = dispatches = given = 0;
    onKernel = undefined;
    load('webgpu');
  });
  await page.waitForFunction((all) => kernels === all && dispatches === all, all, { timeout: 600_000 });
  const sent = await page.evaluate(() => given);
  assert.ok(sent < 1 << 20, `${sent} bytes`);
  upTo(NEARLY);
  await page.waitForFunction((least) => given > least, 0.95 * weights.length, { timeout: 600_000 });
  upTo(weights.length);
  assert.equal((await page.evaluate(() => loading)).length, 4);
  assert.equal(await page.evaluate(() => kernels), all, 'none came later');
});

test('the CPU has the weights that came', { timeout: 1_800_000 }, async (t) => {
  const { page, upTo } = await open(t);
  upTo(HEADER);
  await page.evaluate(() => load('cpu'));
  await page.waitForFunction(() => globalThis.memory?.buffer.byteLength > 0, null, { timeout: 600_000 });
  const before = await page.evaluate(() => memory.buffer.byteLength);
  upTo(NEARLY);
  await page.waitForFunction((least) => memory.buffer.byteLength > least, before + 0.8 * weights.length, { timeout: 600_000 });
  upTo(weights.length);
  assert.equal((await page.evaluate(() => loading)).length, 4);
});

test('an abort while weights come ends the load at once, and the next one succeeds', { timeout: 1_800_000 }, async (t) => {
  const { page, upTo, answered } = await open(t);
  for (const backend of ['cpu', 'webgpu']) {
    for (const to of [HEADER, weights.length >> 1]) {
      upTo(to);
      const before = answered();
      await page.evaluate((wanted) => load(wanted), backend);
      assert.ok((await eventually(answered, (count) => count > before)) > before);
      await page.waitForTimeout(500); // for what the engine makes of the beginning
      await page.evaluate(() => abort.abort());
      const { message, ...error } = await page.evaluate(() => loading);
      assert.deepEqual(error, { code: 'aborted', name: 'AbortError' }, `${backend} ${to}: ${message}`);
    }
    upTo(weights.length);
    await page.evaluate((wanted) => load(wanted), backend);
    const made = await page.evaluate(() => loading);
    assert.equal(made.length, 4, `${backend}: ${JSON.stringify(made)}`);
  }
});
