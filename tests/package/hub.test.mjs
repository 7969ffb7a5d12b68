// A model by its name on a hub, from a server with a hub's addresses; the shipped host is never asked.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { serve } from '../../scripts/lib/server.mjs';
import { golden, modelFolder, packageFolder, root } from './fixture.mjs';

const { TopKLM, TopKError } = await import(pathToFileURL(path.join(packageFolder, 'index.js')).href);
const { Features } = await import(pathToFileURL(path.join(packageFolder, 'features.js')).href);

test('owner/name and owner/name@revision', async (t) => {
  const asked = new Set();
  const server = await serve(
    { '/hub/owner/name/resolve/main/': modelFolder, '/hub/owner/name/resolve/v2/': modelFolder },
    {
      intercept: (request) => {
        asked.add(request.url.replace(/[^/]*$/, ''));
        return false;
      },
    },
  );
  t.after(() => server.close());
  const hub = `${server.url}hub`;
  for (const [name, revision] of [
    ['owner/name', 'main'],
    ['owner/name@v2', 'v2'],
  ]) {
    asked.clear();
    const model = await TopKLM.load(name, { hub, backend: 'cpu' });
    const { prompt_ids, ids } = golden();
    const found = [];
    for await (const { id } of model.generate(prompt_ids, { maxTokens: ids.length, temperature: 0 })) found.push(id);
    assert.deepEqual(found, ids);
    assert.deepEqual([...asked], [`/hub/owner/name/resolve/${revision}/`]);
    await model.dispose();
  }
  await assert.rejects(
    TopKLM.load('owner/other', { hub }),
    (error) =>
      error instanceof TopKError &&
      error.code === 'download' &&
      /owner\/other\/resolve\/main\/.* was not found.*"owner\/other" was taken for a name on a hub/.test(error.message),
  );
});

test('autoencoders and statistics are found there, too', async (t) => {
  const asked = new Set();
  const intercept = ({ url }) => {
    asked.add(url);
    return false;
  };
  const server = await serve({ '/hub/owner/sae/resolve/main/': path.join(root, 'tests/goldens/saes/standard-resid-post') }, { intercept });
  t.after(() => server.close());
  const hub = `${server.url}hub`;
  const model = await TopKLM.load(modelFolder, { backend: 'cpu' });
  assert.equal((await model.attachSae('owner/sae', { hub })).kind, 'standard');
  await model.dispose();
  await assert.rejects(Features.open('owner/other', { hub }).index(), { code: 'no-features' });
  assert.ok(asked.has('/hub/owner/other/resolve/main/features/index.json'));
});
