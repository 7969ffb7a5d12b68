// Tools that are installed for this test only: Rollup.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { serve } from '../../scripts/lib/server.mjs';
import { createProject, modelFolder } from './fixture.mjs';
import { assertGolden, openBrowser } from './page.mjs';
import { installTool } from './tools.mjs';

/** Tests what needs `tool`, with its folder. */
const testIn = (tool, name, work) =>
  test(name, (t) => {
    const folder = installTool(tool);
    return folder ? work(t, folder) : t.skip('the registry does not answer');
  });

testIn('rollup', 'Rollup with node-resolve: topk-lm/bundle', async (t, folder) => {
  const { resolve } = createRequire(path.join(folder, 'package.json'));
  const importTool = (name) => import(pathToFileURL(resolve(name)).href);
  const root = createProject('rollup', 'topk-lm/bundle');
  const [{ rollup }, { nodeResolve }] = await Promise.all([importTool('rollup'), importTool('@rollup/plugin-node-resolve')]);
  const warnings = [];
  const build = await rollup({
    input: path.join(root, 'app.js'),
    plugins: [nodeResolve()],
    onwarn: ({ message }) => warnings.push(message),
  });
  await build.write({ dir: path.join(root, 'dist'), format: 'es' });
  await build.close();
  assert.deepEqual(warnings, []);
  fs.copyFileSync(path.join(root, 'index.html'), path.join(root, 'dist/index.html'));
  const server = await serve({ '/': path.join(root, 'dist'), '/model/': modelFolder });
  t.after(() => server.close());
  const browser = await openBrowser(t);
  await assertGolden(browser, server.url, '/model/', { backend: 'cpu' });
});
