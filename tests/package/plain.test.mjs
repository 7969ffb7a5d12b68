// No bundler: `<script type="module">` from a plain file server, and the package on another origin, as from a CDN.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { serve } from '../../scripts/lib/server.mjs';
import { createProject, modelFolder, packageFolder } from './fixture.mjs';
import { assertGolden, goldenParameters, openBrowser, outcomeOf } from './page.mjs';

const root = createProject('plain');
const browser = await openBrowser(test);
const ESM = '/npm/topk-lm@0.1.0/bundle/+esm?v=1';

/** A server of the app whose import map finds the package at the URL `entry`. */
async function serveApp(t, entry, { headers = {}, mounts = {} } = {}) {
  const folder = path.join(root, `page-${new URL(entry, 'http://x').port || 'same'}`);
  fs.mkdirSync(folder, { recursive: true });
  fs.copyFileSync(path.join(root, 'app.js'), path.join(folder, 'app.js'));
  const map = JSON.stringify({ imports: { 'topk-lm': entry } });
  const html = fs
    .readFileSync(path.join(root, 'index.html'), 'utf8')
    .replace('<script', `<script type="importmap">${map}</script>\n<script`);
  fs.writeFileSync(path.join(folder, 'index.html'), html);
  const server = await serve({ '/': folder, '/model/': modelFolder, ...mounts }, { headers });
  t.after(() => server.close());
  return server.url;
}

test('a plain file server', async (t) => {
  const url = await serveApp(t, '/npm/index.js', { mounts: { '/npm/': packageFolder } });
  for (const backend of ['cpu', 'webgpu']) {
    const { phases } = await assertGolden(browser, url, '/model/', { backend });
    assert.deepEqual(phases.sort(), ['compile', 'download', 'load']);
  }
  await assertGolden(browser, url, '/model/', { backend: 'cpu', worker: false });
});

test('the package on another origin', async (t) => {
  const cdn = await serve({ '/npm/': packageFolder }, { headers: { 'access-control-allow-origin': '*' } });
  t.after(() => cdn.close());
  const entry = `${cdn.url}npm/index.js`;
  await t.test('its worker starts through a blob: module', async (t) => {
    const url = await serveApp(t, entry);
    for (const backend of ['cpu', 'webgpu']) await assertGolden(browser, url, 'model/', { backend });
  });
  await t.test('where the policy forbids blob: workers, the error says `worker: false`, and that works', async (t) => {
    const policy = `script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' ${cdn.url}; worker-src 'self'`;
    const url = await serveApp(t, entry, { headers: { 'content-security-policy': policy } });
    const { error } = await outcomeOf(browser, url, goldenParameters('/model/', { backend: 'cpu' }));
    assert.equal(error.code, 'worker');
    assert.match(error.message, /worker: false/);
    await assertGolden(browser, url, '/model/', { backend: 'cpu', worker: false });
  });
});

test('one file of a CDN that makes modules of packages: its address ends in +esm, and nothing is beside it', async (t) => {
  const asked = [];
  const intercept = (request, response) => {
    asked.push(request.url);
    const found = request.url === ESM;
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/javascript; charset=utf-8', 'access-control-allow-origin': '*' });
    response.end(found && fs.readFileSync(path.join(packageFolder, 'bundle.js')));
    return true;
  };
  const cdn = await serve({}, { intercept });
  t.after(() => cdn.close());
  const url = await serveApp(t, new URL(ESM, cdn.url).href);
  for (const worker of [true, false]) await assertGolden(browser, url, '/model/', { backend: 'cpu', worker });
  assert.deepEqual([...new Set(asked)], [ESM]);
});

test('a page that is isolated from other origins (COOP, COEP)', async (t) => {
  const headers = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
  const cdn = await serve({ '/npm/': packageFolder }, { headers: { 'access-control-allow-origin': '*' } });
  t.after(() => cdn.close());
  for (const base of ['/npm/', `${cdn.url}npm/`]) {
    for (const file of ['index.js', 'bundle.js']) {
      const url = await serveApp(t, `${base}${file}`, { headers, mounts: { '/npm/': packageFolder } });
      const { isolated } = await assertGolden(browser, url, '/model/', { backend: 'cpu', worker: true });
      assert.equal(isolated, true, 'the page is isolated, or this shows nothing');
    }
  }
});

test('a page that demands trusted types: the worker starts through the policy `topk-lm`', async (t) => {
  const cdn = await serve({ '/npm/': packageFolder }, { headers: { 'access-control-allow-origin': '*' } });
  t.after(() => cdn.close());
  const policy = (names) => ({ 'content-security-policy': `require-trusted-types-for 'script'; trusted-types ${names}` });
  for (const entry of ['/npm/index.js', '/npm/bundle.js', `${cdn.url}npm/index.js`]) {
    const url = await serveApp(t, entry, { headers: policy('topk-lm'), mounts: { '/npm/': packageFolder } });
    await assertGolden(browser, url, '/model/', { backend: 'cpu', worker: true });
  }
  const url = await serveApp(t, '/npm/index.js', { headers: policy("'none'"), mounts: { '/npm/': packageFolder } });
  const { error } = await outcomeOf(browser, url, goldenParameters('/model/', { backend: 'cpu' }));
  assert.equal(error.code, 'worker');
  assert.match(error.message, /topk-lm/);
});

test('an adapter that is passed over for the CPU is named by the reason only', async (t) => {
  const url = await serveApp(t, '/npm/index.js', { mounts: { '/npm/': packageFolder } });
  const { kind, adapter, reason } = await outcomeOf(browser, url, goldenParameters('/model/', { backend: 'auto' }));
  assert.deepEqual([kind, adapter], ['cpu', null]);
  assert.match(reason, /swiftshader is a software emulation/i);
});

test('a wrong workerUrl or wasmUrl is an error that names it', async (t) => {
  const url = await serveApp(t, '/npm/index.js', { mounts: { '/npm/': packageFolder } });
  const worker = await outcomeOf(browser, url, goldenParameters('/model/', { backend: 'cpu', workerUrl: '/no/worker.js' }));
  assert.deepEqual([worker.error.name, worker.error.code], ['TopKWorkerError', 'worker']);
  assert.match(worker.error.message, /\/no\/worker\.js/);
  const wasm = await outcomeOf(browser, url, goldenParameters('/model/', { backend: 'cpu', wasmUrl: '/no/x.wasm' }));
  assert.deepEqual([wasm.error.name, wasm.error.code], ['TopKWorkerError', 'wasm']);
  assert.match(wasm.error.message, /\/no\/x\.wasm .*404.*wasmUrl/);
});
