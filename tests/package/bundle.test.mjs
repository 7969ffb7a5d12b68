// topk-lm/bundle, one file with worker and engine inside, where the package of several files cannot run; and what that one says there.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { build } from 'esbuild';
import { serve } from '../../scripts/lib/server.mjs';
import { createProject, golden, modelFolder, packageFolder } from './fixture.mjs';
import { STEP_TIMEOUT } from '../browser/harness.mjs';
import { assertGolden, goldenParameters, openBrowser, outcomeOf } from './page.mjs';

const root = createProject('bundle', 'topk-lm/bundle');
const browser = await openBrowser(test);
const anywhere = { 'access-control-allow-origin': '*' };

/** A server of the project with a page `index.html`; its address. */
async function serveProject(t, html, headers = {}) {
  fs.writeFileSync(path.join(root, 'index.html'), `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">${html}`);
  const server = await serve({ '/': root, '/npm/': packageFolder, '/model/': modelFolder }, { headers });
  t.after(() => server.close());
  return server.url;
}

const importMap = (entry) => `<script type="importmap">{"imports": {"topk-lm/bundle": "/npm/${entry}"}}</script>`;
const APP = `${importMap('bundle.js')}<script type="module" src="./app.js"></script>`;

test('one file: nothing else is fetched, and nothing in it is imported later', async (t) => {
  const code = fs.readFileSync(path.join(packageFolder, 'bundle.js'), 'utf8');
  assert.doesNotMatch(code, /\bimport\s*\(|import\.meta|^\s*import\b/m);
  const files = new Set();
  const url = await serveProject(t, APP);
  const page = await browser.newPage();
  page.setDefaultTimeout(STEP_TIMEOUT);
  page.on('request', (request) => request.url().includes('/npm/') && files.add(new URL(request.url()).pathname));
  let workers = 0;
  page.on('worker', () => workers++);
  const target = new URL(url);
  for (const [name, value] of Object.entries(goldenParameters('/model/', { backend: 'cpu' }))) target.searchParams.set(name, value);
  await page.goto(target.href);
  const outcome = await page.evaluate(() => globalThis.outcome);
  assert.deepEqual(outcome.ids, golden().ids, JSON.stringify(outcome));
  assert.deepEqual([...files], ['/npm/bundle.js']);
  assert.equal(workers, 1);
  await page.close();
});

test('on WebGPU, and in the page', async (t) => {
  const url = await serveProject(t, APP);
  await assertGolden(browser, url, '/model/', { backend: 'webgpu' });
  await assertGolden(browser, url, '/model/', { backend: 'cpu', worker: false });
});

test('esbuild, as a classic script', async (t) => {
  const { warnings } = await build({
    absWorkingDir: root,
    entryPoints: ['app.js'],
    bundle: true,
    format: 'iife',
    outfile: path.join(root, 'classic.js'),
    logLevel: 'silent',
  });
  assert.deepEqual(warnings, []);
  const url = await serveProject(t, '<body><script src="./classic.js"></script></body>');
  await assertGolden(browser, url, '/model/', { backend: 'cpu' });
});

/** Imports the app from a `blob:` URL, as notebooks do. */
const fromBlob = (entry) => `<script type="module">
  const text = await (await fetch('./app.js')).text();
  const script = text.replace("'topk-lm/bundle'", JSON.stringify(await blobOf('/npm/${entry}')));
  async function blobOf(url) {
    return URL.createObjectURL(new Blob([await (await fetch(url)).text()], { type: 'text/javascript' }));
  }
  await import(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })));
</script>`;

test('a module whose own URL is blob:', async (t) => {
  await assertGolden(browser, await serveProject(t, fromBlob('bundle.js')), '/model/', { backend: 'cpu' });
});

/** The app in a frame without an origin of its own; its outcome comes as a message. */
const SANDBOXED = `<script>
  addEventListener('message', ({ data }) => { globalThis.outcome = data; });
  const frame = document.createElement('iframe');
  frame.sandbox = 'allow-scripts';
  frame.src = './frame.html' + location.search;
  document.documentElement.append(frame);
</script>`;

function writeFrame(entry) {
  const script = `<script type="module">await import('./app.js'); parent.postMessage(await globalThis.outcome, '*');</script>`;
  fs.writeFileSync(path.join(root, 'frame.html'), `<!doctype html><meta charset="utf-8">${importMap(entry)}${script}`);
}

test('a sandboxed frame, which has no origin and no storage', async (t) => {
  writeFrame('bundle.js');
  const url = await serveProject(t, SANDBOXED, anywhere);
  const outcome = await assertGolden(browser, url, `${url}model/`, { backend: 'cpu', cache: 'stored' });
  assert.deepEqual(outcome.cache, 'memory');
  await t.test('its worker is at a short address: Chromium computes slowly at a long one', async (t) => {
    const page = await browser.newPage();
    t.after(() => page.close());
    page.setDefaultTimeout(STEP_TIMEOUT);
    const started = page.waitForEvent('worker');
    const query = new URLSearchParams(goldenParameters(`${url}model/`, { backend: 'cpu' }));
    await page.goto(`${url}?${query}`);
    const address = (await started).url();
    assert.ok(address.startsWith('data:') && address.length < 1000, `${address.slice(0, 100)}, ${address.length} characters`);
  });
  await t.test('where a policy forbids blob: scripts, too', async (t) => {
    const policy = "script-src 'unsafe-inline' 'wasm-unsafe-eval' http: ; worker-src data:";
    const url = await serveProject(t, SANDBOXED, { ...anywhere, 'content-security-policy': policy });
    await assertGolden(browser, url, `${url}model/`, { backend: 'cpu', cache: 'stored', worker: true });
  });
  await t.test('the package of several files too, where its server allows other origins', async (t) => {
    writeFrame('index.js');
    const url = await serveProject(t, SANDBOXED, anywhere);
    await assertGolden(browser, url, `${url}model/`, { backend: 'cpu', cache: 'stored' });
  });
});

/** The app in a service worker, which has no `location.search` of the page's and no dynamic import. */
const IN_SERVICE_WORKER = `<script type="module">
  navigator.serviceWorker.addEventListener('message', ({ data }) => { globalThis.outcome = data; });
  await navigator.serviceWorker.register('./service.js' + location.search, { type: 'module' });
  (await navigator.serviceWorker.ready).active.postMessage('tell');
</script>`;

function writeService(entry) {
  const app = fs.readFileSync(path.join(root, 'app.js'), 'utf8').replace('topk-lm/bundle', `/npm/${entry}`);
  const reply = `addEventListener('message', (event) => event.waitUntil(globalThis.outcome.then((outcome) => event.source.postMessage(outcome))));`;
  fs.writeFileSync(path.join(root, 'service.js'), `${app}\n${reply}\n`);
}

test('where no worker starts, threads that were asked for are an error', async (t) => {
  const url = await serveProject(t, '', {
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'content-security-policy': "worker-src 'none'",
  });
  const page = await browser.newPage();
  page.setDefaultTimeout(STEP_TIMEOUT);
  await page.goto(url);
  const load = (threads) =>
    page.evaluate(async (threads) => {
      const { TopKLM } = await import('/npm/bundle.js');
      const loading = TopKLM.load('/model/', { backend: 'cpu', threads });
      return loading.then(
        ({ backend }) => backend.threads,
        ({ code }) => code,
      );
    }, threads);
  assert.deepEqual([await load(1), await load(2)], [1, 'worker']);
  await page.close();
});

test('a service worker', async (t) => {
  writeService('bundle.js');
  await assertGolden(browser, await serveProject(t, IN_SERVICE_WORKER), '/model/', { backend: 'cpu' });
  await t.test('the package of several files says to take the bundle', async (t) => {
    writeService('index.js');
    const { error } = await outcomeOf(browser, await serveProject(t, IN_SERVICE_WORKER), goldenParameters('/model/', { backend: 'cpu' }));
    assert.deepEqual([error.name, error.code], ['TopKWorkerError', 'worker']);
    assert.match(error.message, /topk-lm\/bundle/);
  });
});

test('policies', async (t) => {
  const policy = (value) => ({ 'content-security-policy': value });
  const page = '<script type="module" src="./app.js"></script>';
  fs.writeFileSync(
    path.join(root, 'app.js'),
    fs.readFileSync(path.join(root, 'app.js'), 'utf8').replace('topk-lm/bundle', '/npm/bundle.js'),
  );
  await t.test('no worker may start: it computes in the page', async (t) => {
    const url = await serveProject(t, page, policy("default-src 'self' data:; script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'"));
    await assertGolden(browser, url, '/model/', { backend: 'cpu' });
    const { error } = await outcomeOf(browser, url, goldenParameters('/model/', { backend: 'cpu', worker: true }));
    assert.equal(error.code, 'worker', 'a worker that was asked for is not left out in silence');
  });
  await t.test('no wasm may run: the advice is about the policy', async (t) => {
    const url = await serveProject(t, page, policy("default-src 'self' data:; script-src 'self'; worker-src 'self' blob:"));
    for (const more of [{}, { worker: false }]) {
      const { error } = await outcomeOf(browser, url, goldenParameters('/model/', { backend: 'cpu', ...more }));
      assert.deepEqual([error.name, error.code], ['TopKWorkerError', 'wasm']);
      assert.match(error.message, /'wasm-unsafe-eval' in the script-src/);
    }
  });
});
