// A browser extension (manifest version 3): its policy forbids code that it does not ship, so the package is inside.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { serve } from '../../scripts/lib/server.mjs';
import { launchExtension } from '../browser/harness.mjs';
import { createProject, golden, modelFolder, packageFolder } from './fixture.mjs';
import { assertGolden, goldenParameters } from './page.mjs';

const model = await serve({ '/': modelFolder }, { headers: { 'access-control-allow-origin': '*' } });
test.after(() => model.close());

const MANIFEST = {
  manifest_version: 3,
  name: 'topk-lm fixture',
  version: '1.0',
  background: { service_worker: 'service.js', type: 'module' },
  content_security_policy: { extension_pages: "script-src 'self' 'wasm-unsafe-eval'" },
};

/** The extension, whose pages import `entry` and whose service worker imports `serviceEntry`. */
async function openExtension(t, name, entry, serviceEntry) {
  const folder = createProject(`extension-${name}`);
  fs.rmSync(path.join(folder, 'node_modules'), { recursive: true });
  fs.cpSync(packageFolder, path.join(folder, 'npm'), { recursive: true });
  const app = fs.readFileSync(path.join(folder, 'app.js'), 'utf8');
  fs.writeFileSync(path.join(folder, 'app.js'), app.replace("'topk-lm'", `'./npm/${entry}'`));
  const query = JSON.stringify(new URLSearchParams(Object.entries(goldenParameters(model.url, { backend: 'cpu' }))).toString());
  const service = app.replace("'topk-lm'", `'./npm/${serviceEntry}'`).replace('location.search', query);
  fs.writeFileSync(path.join(folder, 'service.js'), service);
  fs.writeFileSync(path.join(folder, 'manifest.json'), JSON.stringify(MANIFEST));
  const context = await launchExtension(folder);
  t.after(() => context.close());
  const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'));
  return { context, worker, url: new URL('index.html', worker.url()).href };
}

for (const entry of ['index.js', 'bundle.js']) {
  test(`${entry}: the extension's page and its service worker`, async (t) => {
    const { context, worker, url } = await openExtension(t, entry.replace('.js', ''), entry, entry);
    await assertGolden(context, url, model.url, { backend: 'cpu' });
    await assertGolden(context, url, model.url, { backend: 'cpu', worker: false });
    const outcome = await worker.evaluate(() => globalThis.outcome);
    if (entry === 'bundle.js') return assert.deepEqual(outcome.ids, golden().ids, JSON.stringify(outcome));
    assert.equal(outcome.error?.code, 'worker');
    assert.match(outcome.error.message, /topk-lm\/bundle/);
  });
}
