// webpack without any settings but the entry.
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import webpack from 'webpack';
import { serve } from '../../scripts/lib/server.mjs';
import { createProject, modelFolder } from './fixture.mjs';
import { assertGolden, openBrowser } from './page.mjs';

const root = createProject('webpack');
const browser = await openBrowser(test);

async function bundle(mode) {
  const stats = await new Promise((resolve, reject) => {
    const compiler = webpack({ context: root, entry: './app.js', mode, output: { path: path.join(root, mode) } });
    compiler.run((error, result) => compiler.close(() => (error ? reject(error) : resolve(result))));
  });
  // That an engine is larger than webpack likes its assets is known.
  const warnings = stats.compilation.warnings.filter(({ name }) => name !== 'AssetsOverSizeLimitWarning');
  if (stats.hasErrors() || warnings.length > 0) throw new Error(stats.toString({ preset: 'errors-warnings' }));
  const html = fs.readFileSync(path.join(root, 'index.html'), 'utf8').replace('type="module" src="./app.js"', 'src="./main.js"');
  fs.writeFileSync(path.join(root, mode, 'index.html'), html);
  return path.join(root, mode);
}

for (const mode of ['production', 'development']) {
  test(`webpack, ${mode}`, async (t) => {
    const server = await serve({ '/': await bundle(mode), '/model/': modelFolder });
    t.after(() => server.close());
    // An emulated GPU takes its time to compile the kernels: once is enough.
    const backends = mode === 'production' ? ['cpu', 'webgpu'] : ['cpu'];
    for (const backend of backends) await assertGolden(browser, server.url, '/model/', { backend });
    await assertGolden(browser, server.url, '/model/', { backend: 'cpu', worker: false });
  });
}
