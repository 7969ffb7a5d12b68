// esbuild leaves `new URL(…, import.meta.url)` alone, so the package's folder is served beside the bundle and named once:
// the line that the package's README gives.
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { build } from 'esbuild';
import assert from 'node:assert/strict';
import { serve } from '../../scripts/lib/server.mjs';
import { createProject, modelFolder } from './fixture.mjs';
import { assertGolden, goldenParameters, openBrowser, outcomeOf } from './page.mjs';

const root = createProject('esbuild');
const dist = path.join(root, 'dist');
const browser = await openBrowser(test);

await build({ absWorkingDir: root, entryPoints: ['app.js'], bundle: true, format: 'esm', outdir: dist, logLevel: 'warning' });
fs.copyFileSync(path.join(root, 'index.html'), path.join(dist, 'index.html'));
const server = await serve({ '/': dist, '/model/': modelFolder });
test.after(() => server.close());

test('esbuild without the line: the error says what to do', async () => {
  const { error } = await outcomeOf(browser, server.url, goldenParameters('/model/', { backend: 'cpu' }));
  assert.equal(error.code, 'worker');
  assert.match(error.message, /could not be started.*workerUrl.*worker: false/);
});

test('esbuild with the documented line', async () => {
  fs.cpSync(path.join(root, 'node_modules/topk-lm'), path.join(dist, 'topk-lm'), { recursive: true });
  for (const backend of ['cpu', 'webgpu'])
    await assertGolden(browser, server.url, '/model/', { backend, workerUrl: './topk-lm/worker.js' });
  await assertGolden(browser, server.url, '/model/', { backend: 'cpu', worker: false, wasmUrl: './topk-lm/topk_lm_bg.wasm' });
});
