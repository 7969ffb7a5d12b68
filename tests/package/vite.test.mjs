// Vite without any settings: the built app, and the development server with its pre-bundled dependencies.
import path from 'node:path';
import { test } from 'node:test';
import { build, createServer } from 'vite';
import { serve } from '../../scripts/lib/server.mjs';
import { createProject, modelFolder } from './fixture.mjs';
import { assertGolden, openBrowser } from './page.mjs';

const root = createProject('vite');
const browser = await openBrowser(test);
const model = await serve({ '/': modelFolder }, { headers: { 'access-control-allow-origin': '*' } });
test.after(() => model.close());

test('vite build', async (t) => {
  await build({ root, configFile: false, logLevel: 'warn' });
  const server = await serve({ '/': path.join(root, 'dist') });
  t.after(() => server.close());
  for (const backend of ['cpu', 'webgpu']) await assertGolden(browser, server.url, model.url, { backend });
  await assertGolden(browser, server.url, model.url, { backend: 'cpu', worker: false });
});

test('vite dev', async (t) => {
  const server = await createServer({ root, configFile: false, logLevel: 'warn', server: { port: 0 } });
  await server.listen();
  t.after(() => server.close());
  const url = server.resolvedUrls.local[0];
  await assertGolden(browser, url, model.url, { backend: 'cpu' });
  await assertGolden(browser, url, model.url, { backend: 'cpu', worker: false });
});
