/** What is asked of a server that has a model, whatever it answers. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { PART_BYTES } from '../src/cache.ts';
import { TopKAbortError } from '../src/errors.ts';
import { saeFiles } from '../src/sources/sae.ts';
import { UrlFiles } from '../src/sources/url.ts';
import { installCaches } from './support/caches.ts';
import { FakeServer, headerOf, pattern } from './support/server.ts';
import { assertMonotonic, BASE, changingServer, join, modelServer, open, readAll, rejectsWith, WEIGHTS, weights } from './support/visit.ts';

test('the sizes are known before the weights are there, and a read waits for them', async (t) => {
  installCaches(t);
  const server = modelServer().putManifest();
  let chunks = 0;
  server.onChunk = () => chunks++;
  const opened = await open(server);
  const before = chunks;
  assert.equal(opened.folder.size(WEIGHTS), weights.length);
  assert.equal(opened.folder.size('tokenizer.json'), undefined);
  assert.deepEqual(await opened.folder.read(WEIGHTS, 5000, 100), weights.slice(5000, 5100));
  assert.ok(before < chunks);
});

test('a broken connection is resumed by a range, within a visit', async (t) => {
  installCaches(t);
  const server = modelServer().putManifest();
  server.breakAfter = [undefined, undefined, PART_BYTES + 70_000, 100_000];
  const opened = await open(server);
  assert.deepEqual(await readAll(opened), weights);
  assert.equal(opened.folder.cache.state, 'verified');
  const ranges = server.gets(WEIGHTS).map(({ range }) => range);
  assert.deepEqual(ranges, [null, `bytes=${PART_BYTES + 70_000}-`, `bytes=${PART_BYTES + 170_000}-`]);
  assert.deepEqual(server.pauses, [500, 500]); // the second attempt had made progress
});

test('a server without ranges: the download starts again, progress does not go back', async (t) => {
  installCaches(t);
  const server = modelServer();
  server.ranges = false;
  server.breakAfter = [undefined, PART_BYTES + 70_000];
  const opened = await open(server);
  assert.deepEqual(await readAll(opened), weights);
  assertMonotonic(opened.progress, weights.length + 22);
});

test('bytes that are not what the manifest says: an error after one more try, nothing stored', async (t) => {
  const caches = installCaches(t);
  const server = modelServer().putManifest();
  const wrong = weights.slice();
  wrong.fill(0, 12_345, 12_400);
  server.put(WEIGHTS, wrong);
  await rejectsWith(readAll(await open(server)), 'integrity', /model\.safetensors does not match manifest\.json/);
  assert.equal(server.gets(WEIGHTS).length, 2);
  assert.ok(![...caches.keys('file'), ...caches.keys('part')].some((key) => key.includes(WEIGHTS)));
});

test('a file that changes in the middle never mixes', async (t) => {
  installCaches(t);
  const { server, changed } = changingServer();
  assert.deepEqual(await readAll(await open(server)), changed);
});

test('no validators at all: nothing is resumed over visits', async (t) => {
  const caches = installCaches(t);
  const server = new FakeServer().put('config.json', '{}', { modified: '' }).put(WEIGHTS, weights, { modified: '' });
  const abort = new AbortController();
  let chunks = 0;
  server.onChunk = () => {
    if (++chunks === 100) abort.abort();
  };
  await assert.rejects(readAll(await open(server, { signal: abort.signal })), TopKAbortError);
  assert.equal(caches.keys('part').filter((key) => key.includes(WEIGHTS)).length, 0);
  server.onChunk = () => {};
  assert.deepEqual(await readAll(await open(server)), weights);
  assert.equal(server.gets(WEIGHTS).at(-1)?.range, null);
});

test('a page in place of a missing file counts as missing', async (t) => {
  installCaches(t);
  const server = modelServer();
  server.fallback = true;
  const opened = await open(server);
  assert.deepEqual(await readAll(opened), weights);
  assert.equal(opened.folder.size('tokenizer.json'), undefined);

  // The same from a server that does not say the type.
  const untyped = modelServer().put('manifest.json', ' <!DOCTYPE html><p>start').put('tokenizer.json', '<html>');
  const error = open(untyped).then(({ folder }) => folder.complete());
  await rejectsWith(error, 'download', /tokenizer\.json was not found: the server sent a web page/);
});

test('what may begin like a page is no page in its place', async (t) => {
  installCaches(t);
  const texts = { 'README.md': '<!-- a card -->', 'preview.svg': '<?xml version="1.0"?><svg/>' };
  const server = modelServer();
  for (const [path, text] of Object.entries(texts)) server.put(path, text);
  const files = await UrlFiles.create(BASE, 'name', server);
  for (const [path, text] of Object.entries(texts))
    assert.equal(await (await files.file(path, new AbortController().signal))?.text(), text);
});

test('shards are found by their index, in the manifest and without', async (t) => {
  for (const manifest of [true, false]) {
    installCaches(t);
    const [a, b] = [pattern(1000), pattern(2000)];
    const index = JSON.stringify({ weight_map: { x: 'model-1.safetensors', y: 'model-2.safetensors', z: 'model-1.safetensors' } });
    const server = new FakeServer()
      .put('config.json', '{}')
      .put('model.safetensors.index.json', index)
      .put('model-1.safetensors', a)
      .put('model-2.safetensors', b);
    if (manifest) server.putManifest();
    const opened = await open(server);
    assert.deepEqual(await readAll(opened, 'model-2.safetensors'), b);
    assert.deepEqual(await readAll(opened, 'model-1.safetensors'), a);
    assertMonotonic(opened.progress, 2 + index.length + 3000);
  }
});

test('checkpoints: paths under step{N}/, without the tokenizer, the steps from the manifest', async (t) => {
  installCaches(t);
  const server = modelServer()
    .put('tokenizer.json', '{}')
    .put('step254/model.safetensors', pattern(500))
    .putManifest({ steps: [1000] });
  const files = await UrlFiles.create(BASE, 'name', server);
  const context = { signal: new AbortController().signal, onProgress: () => {} };
  await (await files.open('', context)).complete();
  assert.deepEqual(files.checkpoints, [254, 1000]);
  const step = await files.open('step254/', context);
  assert.deepEqual(await step.read(WEIGHTS, 0, 500), pattern(500));
  assert.equal(step.size('tokenizer.json'), undefined);
  await rejectsWith(files.open('step7/', context), 'download', /step7\/model\.safetensors is not listed in .*manifest\.json/);
});

test('what is not there, what the server refuses, and what does not come back', async (t) => {
  installCaches(t);
  await rejectsWith(open(new FakeServer()), 'download', /m\/config\.json was not found; the URL must point to a model folder/);
  await rejectsWith(open(new FakeServer().put('config.json', '{}')), 'download', /m\/model\.safetensors was not found/);

  const busy = modelServer().putManifest();
  busy.answer = [503, undefined, 503];
  assert.deepEqual(await readAll(await open(busy)), weights);

  const broken = modelServer().putManifest();
  broken.answer = [undefined, undefined, 500, 500, 500, 500];
  await rejectsWith(readAll(await open(broken, { cache: null })), 'download', /the server responded with 500; try again later/);
  assert.deepEqual(broken.pauses, [500, 1000, 2000]);

  const forbidden = modelServer().putManifest();
  forbidden.answer = [undefined, undefined, 403];
  await rejectsWith(readAll(await open(forbidden, { cache: null })), 'download', /the server responded with 403/);

  const unreachable = new FakeServer();
  unreachable.offline = true;
  await rejectsWith(open(unreachable, { cache: null }), 'download', /could not be fetched .* check the connection/);
});

test('a store that refuses what is missing: no manifest is none, and a refused file says so', async (t) => {
  installCaches(t);
  for (const status of [401, 403]) {
    const server = modelServer();
    server.missing = status;
    assert.deepEqual(await readAll(await open(server, { cache: null })), weights);
    server.files.delete('config.json');
    await rejectsWith(open(server, { cache: null }), 'download', new RegExp(`m/config\\.json could not be fetched: .* ${status}\\.$`));
  }
});

test('a server that came to refuse everything: what is stored is used', async (t) => {
  installCaches(t);
  const server = modelServer().putManifest();
  await readAll(await open(server));
  server.files.clear();
  server.missing = 403;
  assert.deepEqual(await readAll(await open(server)), weights);
});

test('that there is no manifest is asked once; of a web app it is another file of that name', async (t) => {
  installCaches(t);
  for (const server of [modelServer(), modelServer().put('manifest.json', '{"name":"An app","start_url":"/"}')]) {
    const files = await UrlFiles.create(BASE, 'name', server);
    const { signal } = new AbortController();
    for (let round = 0; round < 3; round++) assert.ok(await files.file('config.json', signal));
    assert.equal(server.gets('manifest.json').length, 1);
  }
});

test('without AbortSignal.any (Safari below 17.4): files come, and an abort ends them', async (t) => {
  installCaches(t);
  const { any } = AbortSignal;
  Object.defineProperty(AbortSignal, 'any', { value: undefined, configurable: true, writable: true });
  t.after(() => Object.defineProperty(AbortSignal, 'any', { value: any, configurable: true, writable: true }));
  assert.deepEqual(await readAll(await open(modelServer())), weights);
  const server = modelServer();
  server.silent.add('GET manifest.json');
  const abort = new AbortController();
  const opening = open(server, { cache: null, signal: abort.signal });
  setTimeout(() => abort.abort(), 5);
  await assert.rejects(opening, TopKAbortError);
  await assert.rejects(open(modelServer(), { cache: null, signal: abort.signal }), TopKAbortError);
});

test('a server that neither answers HEAD nor says lengths', async (t: TestContext) => {
  installCaches(t);
  const server = modelServer();
  server.head = false;
  server.lengths = false;
  const opened = await open(server);
  assert.equal(opened.folder.size(WEIGHTS), weights.length);
  assert.deepEqual(await readAll(opened), weights);
  assert.equal(opened.progress.at(-1)?.loadedBytes, weights.length + 22);
});

test('two visits at once fetch the same file and both get it whole', async (t) => {
  installCaches(t);
  const server = modelServer().putManifest();
  const both = await Promise.all([open(server), open(server)]);
  for (const opened of both) assert.deepEqual(await readAll(opened), weights);
});

test('a range that is not what was asked for is not appended', async (t) => {
  for (const says of [true, false]) {
    installCaches(t);
    const server = modelServer();
    server.breakAfter = [undefined, PART_BYTES + 5];
    server.contentRange = says;
    server.rangeFrom = 5;
    assert.deepEqual(await readAll(await open(server)), weights);
  }
});

test('a server that accepts and never answers is given up, whatever was asked', { timeout: 600_000 }, async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  for (const [request, manifest] of [
    ['GET manifest.json', true],
    ['HEAD config.json', false],
    ['GET config.json', true],
    [`GET ${WEIGHTS}`, true],
  ] as const) {
    const server = modelServer();
    if (manifest) server.putManifest();
    server.silent.add(request);
    let over = false;
    const loading = open(server)
      .then(({ folder }) => folder.complete())
      .finally(() => (over = true));
    const failed = rejectsWith(loading, 'download', /the server said nothing for 30 s/);
    while (!over) {
      t.mock.timers.tick(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await failed;
  }
});

test('a manifest that promises more bytes than there are: an error, not a download without end', { timeout: 600_000 }, async (t) => {
  installCaches(t);
  const server = modelServer().putManifest();
  const manifest = JSON.parse(new TextDecoder().decode(server.files.get('manifest.json')?.body));
  for (const file of manifest.files) file.bytes += 1000;
  server.put('manifest.json', JSON.stringify(manifest));
  await rejectsWith(
    open(server).then(({ folder }) => folder.complete()),
    'integrity',
    /config\.json is not as long as the 1022 bytes/,
  );
});

test('a file whose length nobody says ends at a limit, unless it is weights with a header', { timeout: 600_000 }, async () => {
  const opening = (server: FakeServer) => open(server, { cache: null }).then(({ folder }) => folder.complete());
  for (const [path, where] of [
    ['manifest.json', 'manifest.json'],
    ['config.json', 'config.json'],
    ['tokenizer.json', 'tokenizer.json'],
  ] as const) {
    const server = modelServer().put(path, '{}');
    server.untold.set(path, Infinity);
    await rejectsWith(opening(server), 'download', new RegExp(`/m/${where} is longer than 128 MiB, the limit for a file whose length`));
  }
  const features = modelServer().put('features/index.json', '{}');
  features.untold.set('features/index.json', Infinity);
  const file = (await UrlFiles.create(BASE, null, features)).file('features/index.json', new AbortController().signal);
  await rejectsWith(file, 'download', /features\/index\.json is longer than 128 MiB/);
  const server = modelServer();
  const header = headerOf(128 << 20);
  server.begun.set(WEIGHTS, header);
  server.untold.set(WEIGHTS, 128 << 20);
  const opened = await open(server, { cache: null });
  assert.equal(opened.folder.size(WEIGHTS), header.length + (128 << 20));
  for (const none of [new Uint8Array(0), new Uint8Array(8).fill(255)]) {
    server.begun.set(WEIGHTS, none);
    server.untold.set(WEIGHTS, Infinity);
    await rejectsWith(opening(server), 'download', /model\.safetensors is longer than 128 MiB/);
  }
});

test('weights whose length nobody says end where their header says', { timeout: 600_000 }, async (t) => {
  const opening = (server: FakeServer) => open(server, { cache: null }).then(({ folder }) => folder.complete());
  const server = modelServer();
  server.begun.set(WEIGHTS, headerOf(3 << 20));
  server.untold.set(WEIGHTS, 3 << 20);
  await opening(server);
  server.untold.set(WEIGHTS, Infinity);
  const beyond = /m\/model\.safetensors continues past the end that its header declares/;
  await rejectsWith(opening(server), 'download', beyond);
  t.mock.method(globalThis, 'fetch', server.fetch);
  server.put('cfg.json', '{}').put('sae_weights.safetensors', '');
  server.begun.set('sae_weights.safetensors', headerOf(5 << 20));
  server.untold.set('sae_weights.safetensors', 5 << 20);
  const autoencoder = () => saeFiles({ kind: 'url', url: BASE }, new AbortController().signal);
  assert.equal((await autoencoder()).get('sae_weights.safetensors')?.size, (5 << 20) + headerOf(5 << 20).length);
  server.untold.set('sae_weights.safetensors', Infinity);
  await rejectsWith(autoencoder(), 'download', /sae_weights\.safetensors continues past/);
});

test('a body that goes on behind the length that was told is not read to its end', { timeout: 600_000 }, async () => {
  const server = modelServer().putManifest();
  server.untold.set('config.json', Infinity);
  const opening = open(server, { cache: null }).then(({ folder }) => folder.complete());
  await rejectsWith(opening, 'integrity', /config\.json is not as long as the 22 bytes that were expected/);
});

const STEP = `step254/${WEIGHTS}`;
const visit = async (server: FakeServer, cache: string | null = null) => {
  const files = await UrlFiles.create(BASE, cache, server);
  const signal = new AbortController().signal;
  return async (folder: string) => {
    const opened = await files.open(folder, { signal, onProgress: () => {} });
    await opened.complete(true);
    return join(await opened.read(WEIGHTS, 0, opened.size(WEIGHTS) as number));
  };
};

test('a checkpoint that is replaced while a page is open: the new manifest holds, if all else is the same', async (t) => {
  installCaches(t);
  for (const cache of [null, 'name']) {
    for (const length of [500, 400, 600]) {
      const server = modelServer().put(STEP, pattern(500)).putManifest();
      const load = await visit(server, cache);
      await load('');
      const replaced = pattern(length).reverse();
      server.put(STEP, replaced);
      server.files.delete('manifest.json');
      server.putManifest();
      assert.deepEqual(await load('step254/'), replaced);
      assert.deepEqual(await load(''), weights);
    }
  }
});

test('a model that is replaced while a page is open: no checkpoint of the new one, and what to do', async (t) => {
  installCaches(t);
  for (const cache of [null, 'name']) {
    const server = modelServer().put(STEP, pattern(500)).putManifest();
    const load = await visit(server, cache);
    await load('');
    server.put(STEP, pattern(500).reverse()).put(WEIGHTS, weights.slice().reverse());
    server.files.delete('manifest.json');
    server.putManifest();
    for (let attempt = 0; attempt < 2; attempt++) {
      await rejectsWith(load('step254/'), 'integrity', /step254\/model\.safetensors is of another version of the model.*reload the page/);
    }
    if (!cache) await rejectsWith(load(''), 'integrity', /\/m\/model\.safetensors is of another version of the model/);
    assert.deepEqual(await (await visit(server, cache))('step254/'), pattern(500).reverse());
  }
});

test('without a manifest: what came is what is in use, whatever the server said before', async (t) => {
  installCaches(t);
  const server = modelServer();
  const { fetch } = server;
  let said = 'a';
  server.fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (!String(input).endsWith(WEIGHTS)) return response;
    const headers = new Headers(response.headers);
    headers.set('etag', init?.method === 'HEAD' ? said : 'b');
    return new Response(response.body, { status: response.status, headers });
  };
  const load = await visit(server, 'name');
  await load('');
  said = 'b'; // it was replaced between the two questions
  assert.deepEqual(await load(''), weights);
  assert.equal(server.gets(WEIGHTS).length, 1);
});

/** The server says these versions of its files, one after the other; the last of each list stays. */
function versioned(server: FakeServer, said: string[], came: string[]): FakeServer {
  const { fetch } = server;
  const next = (list: string[]) => (list.length > 1 ? list.shift() : list[0]) as string;
  server.fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (!String(input).endsWith('.safetensors') || !response.ok) return response;
    const headers = new Headers(response.headers);
    headers.set('etag', next(init?.method === 'HEAD' ? said : came));
    return new Response(response.body, { status: response.status, headers });
  };
  return server;
}

test('without a manifest: a server whose HEAD always names another version than its GET is no replaced model', async (t) => {
  installCaches(t);
  const server = versioned(modelServer().put(STEP, pattern(500)), ['a'], ['b']);
  for (const cache of [null, 'name']) {
    const load = await visit(server, cache);
    assert.deepEqual(await load(''), weights);
    assert.deepEqual(await load('step254/'), pattern(500));
    assert.deepEqual(await load(''), weights);
    assert.deepEqual(await load('step254/'), pattern(500));
  }
});

test('without a manifest: two servers behind one address, each with a version of its own, are no replaced model', async () => {
  const load = await visit(versioned(modelServer(), ['a', 'b', 'b', 'a', 'b'], ['b', 'a', 'b', 'a', 'a']));
  for (let round = 0; round < 5; round++) assert.deepEqual(await load(''), weights, `round ${round}`);
});

test('without a manifest: of a server whose HEAD is stale, what comes later is what came before, or the model was replaced', async (t) => {
  installCaches(t);
  for (const came of ['a', 'b']) {
    for (const cache of [null, 'name']) {
      if (came === 'a' && cache) continue; // nothing is fetched again
      const server = versioned(modelServer(), ['a'], [came, came, 'c']);
      const load = await visit(server, cache);
      assert.deepEqual(await load(''), weights);
      assert.deepEqual(await load(''), weights);
      server.put(WEIGHTS, weights.slice().reverse());
      for (let attempt = 0; attempt < 2; attempt++)
        await rejectsWith(load(''), 'integrity', /\/m\/model\.safetensors is of another version of the model/);
      assert.deepEqual(await (await visit(server, cache))(''), weights.slice().reverse());
    }
  }
});

test('without a manifest: two that load at once, behind a stale HEAD, both get the files', async () => {
  const load = await visit(versioned(modelServer(), ['a'], ['b']));
  for (const loaded of await Promise.all([load(''), load('')])) assert.deepEqual(loaded, weights);
  assert.deepEqual(await load(''), weights);
});

test('without a manifest, files that are replaced while a page is open are not taken for the same', async (t) => {
  installCaches(t);
  for (const cache of [null, 'name']) {
    const server = modelServer().put(STEP, pattern(500));
    const load = await visit(server, cache);
    await load('');
    await load('step254/');
    server.put(WEIGHTS, weights.slice().reverse(), { modified: 'Tue, 03 Nov 2026 10:00:00 GMT' });
    await rejectsWith(load(''), 'integrity', /\/m\/model\.safetensors is of another version of the model/);
    assert.deepEqual(await load('step254/'), pattern(500));
    assert.deepEqual(await (await visit(server, cache))(''), weights.slice().reverse());
  }
});
