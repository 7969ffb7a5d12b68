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

/** A server of the app whose import map finds the package at `base`. */
async function serveApp(t, base, { headers = {}, mounts = {} } = {}) {
  const folder = path.join(root, `page-${new URL(base, 'http://x').port || 'same'}`);
  fs.mkdirSync(folder, { recursive: true });
  fs.copyFileSync(path.join(root, 'app.js'), path.join(folder, 'app.js'));
  const map = JSON.stringify({ imports: { 'topk-lm': `${base}index.js` } });
  const html = fs
    .readFileSync(path.join(root, 'index.html'), 'utf8')
    .replace('<script', `<script type="importmap">${map}</script>\n<script`);
  fs.writeFileSync(path.join(folder, 'index.html'), html);
  const server = await serve({ '/': folder, '/model/': modelFolder, ...mounts }, { headers });
  t.after(() => server.close());
  return server.url;
}

test('a plain file server', async (t) => {
  const url = await serveApp(t, '/npm/', { mounts: { '/npm/': packageFolder } });
  for (const backend of ['cpu', 'webgpu']) {
    const { phases } = await assertGolden(browser, url, '/model/', { backend });
    assert.deepEqual(phases.sort(), ['compile', 'download', 'load']);
  }
  await assertGolden(browser, url, '/model/', { backend: 'cpu', worker: false });
});

test('the package on another origin', async (t) => {
  const cdn = await serve({ '/npm/': packageFolder }, { headers: { 'access-control-allow-origin': '*' } });
  t.after(() => cdn.close());
  const base = `${cdn.url}npm/`;
  await t.test('its worker starts through a blob: module', async (t) => {
    const url = await serveApp(t, base);
    for (const backend of ['cpu', 'webgpu']) await assertGolden(browser, url, 'model/', { backend });
  });
  await t.test('where the policy forbids blob: workers, the error says `worker: false`, and that works', async (t) => {
    const policy = `script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' ${cdn.url}; worker-src 'self'`;
    const url = await serveApp(t, base, { headers: { 'content-security-policy': policy } });
    const { error } = await outcomeOf(browser, url, goldenParameters('/model/', { backend: 'cpu' }));
    assert.equal(error.code, 'worker');
    assert.match(error.message, /worker: false/);
    await assertGolden(browser, url, '/model/', { backend: 'cpu', worker: false });
  });
});

test('an adapter that is passed over for the CPU is named by the reason only', async (t) => {
  const url = await serveApp(t, '/npm/', { mounts: { '/npm/': packageFolder } });
  const { kind, adapter, reason } = await outcomeOf(browser, url, goldenParameters('/model/', { backend: 'auto' }));
  assert.deepEqual([kind, adapter], ['cpu', null]);
  assert.match(reason, /swiftshader is a software emulation/i);
});

test('a wrong workerUrl or wasmUrl is an error that names it', async (t) => {
  const url = await serveApp(t, '/npm/', { mounts: { '/npm/': packageFolder } });
  const worker = await outcomeOf(browser, url, goldenParameters('/model/', { backend: 'cpu', workerUrl: '/no/worker.js' }));
  assert.deepEqual([worker.error.name, worker.error.code], ['TopKWorkerError', 'worker']);
  assert.match(worker.error.message, /\/no\/worker\.js/);
  const wasm = await outcomeOf(browser, url, goldenParameters('/model/', { backend: 'cpu', wasmUrl: '/no/x.wasm' }));
  assert.deepEqual([wasm.error.name, wasm.error.code], ['TopKWorkerError', 'wasm']);
  assert.match(wasm.error.message, /\/no\/x\.wasm .*404.*wasmUrl/);
});
