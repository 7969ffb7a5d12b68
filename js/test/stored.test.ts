/** What is stored of a model on a server: verified, resumed, told from other versions, thrown away when it is damaged. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { PART_BYTES } from '../src/cache.ts';
import { TopKAbortError } from '../src/errors.ts';
import { BRIEF_SILENCE } from '../src/remote.ts';
import { UrlFiles } from '../src/sources/url.ts';
import { type FakeCaches, installCaches } from './support/caches.ts';
import { FakeServer, pattern } from './support/server.ts';
import { assertMonotonic, BASE, modelServer, open, readAll, rejectsWith, WEIGHTS, weights } from './support/visit.ts';

test('with a manifest: verified, stored, then served from the cache without any GET of the files', async (t) => {
  installCaches(t);
  const server = modelServer().putManifest({ steps: [254, 10] });
  const first = await open(server);
  assert.deepEqual(await readAll(first), weights);
  await first.folder.complete();
  assert.equal(first.folder.cache.state, 'verified');
  const total = weights.length + 22;
  assertMonotonic(first.progress, total);
  assert.ok(first.progress.every(({ fromCache }) => !fromCache));

  server.log.length = 0;
  const second = await open(server);
  assert.deepEqual(await readAll(second), weights);
  assert.equal(second.folder.cache.state, 'verified');
  assertMonotonic(second.progress, total);
  assert.ok(second.progress.every(({ fromCache }) => fromCache));
  assert.deepEqual(
    server.log.map(({ path }) => path),
    ['manifest.json'],
  );
});

test('an aborted download is no whole entry, and the next visit goes on at the last stored part', async (t) => {
  const caches = installCaches(t);
  const server = modelServer().putManifest();
  const abort = new AbortController();
  let chunks = 0;
  server.onChunk = () => {
    if (++chunks === 100) abort.abort(); // 6.4 MB into 8.4 MB
  };
  const first = await open(server, { signal: abort.signal });
  await assert.rejects(readAll(first), TopKAbortError);
  assert.ok(!caches.keys('file').some((key) => key.includes(WEIGHTS)), 'no record of a file that is not whole');
  assert.equal(caches.keys('part').filter((key) => key.includes(WEIGHTS)).length, 1);

  server.onChunk = () => {};
  const second = await open(server);
  assert.deepEqual(await readAll(second), weights);
  assert.equal(server.gets(WEIGHTS).at(-1)?.range, `bytes=${PART_BYTES}-`);
  assertMonotonic(second.progress, weights.length + 22);
});

test('damaged parts in the cache are found by the SHA-256 and fetched again', async (t) => {
  const caches = installCaches(t);
  const server = modelServer().putManifest();
  await readAll(await open(server));
  for (const url of [...caches.entries.keys()]) {
    if (url.includes('/file/') && url.includes(WEIGHTS)) caches.entries.delete(url);
    if (url.endsWith('/1') && url.includes(WEIGHTS)) caches.entries.set(url, new Blob([new Uint8Array(PART_BYTES)]));
  }
  const opened = await open(server);
  assert.deepEqual(await readAll(opened), weights);
  assert.equal(opened.folder.cache.state, 'verified');
});

test('of several damaged parts all are fetched again, and those before them are not', async (t) => {
  const caches = installCaches(t);
  const server = modelServer().putManifest();
  await (await open(server)).folder.complete();
  for (const url of [...caches.entries.keys()]) {
    if (url.includes(WEIGHTS) && url.endsWith('/1')) caches.entries.set(url, new Blob([new Uint8Array(PART_BYTES)]));
    if (url.includes(WEIGHTS) && url.endsWith('/2')) caches.entries.set(url, new Blob([new Uint8Array(1000)]));
  }
  server.log.length = 0;
  assert.deepEqual(await readAll(await open(server)), weights);
  assert.deepEqual(
    server.gets(WEIGHTS).map(({ range }) => range),
    [`bytes=${PART_BYTES}-`],
  );
});

test('stored weights are there before another file has come; a read may cross parts', async (t) => {
  const caches = installCaches(t);
  const server = modelServer().putManifest();
  await (await open(server)).folder.complete();
  for (const url of [...caches.entries.keys()]) if (url.includes('config.json')) caches.entries.delete(url);
  server.silent.add('GET config.json');
  const over = new AbortController();
  const { folder } = await open(server, { signal: over.signal });
  assert.deepEqual(await folder.read(WEIGHTS, PART_BYTES - 3, 6), weights.slice(PART_BYTES - 3, PART_BYTES + 3));
  over.abort();
  await assert.rejects(folder.complete(), TopKAbortError);
});

test('a part that the browser evicted makes the file not whole', async (t) => {
  const caches = installCaches(t);
  const server = modelServer().putManifest();
  await readAll(await open(server));
  for (const url of [...caches.entries.keys()]) if (url.endsWith('/1') && url.includes(WEIGHTS)) caches.entries.delete(url);
  assert.deepEqual(await readAll(await open(server)), weights);
});

test('without a manifest: HEAD, lengths only, and the state says so', async (t) => {
  installCaches(t);
  const server = modelServer();
  const opened = await open(server);
  assert.deepEqual(await readAll(opened), weights);
  assert.equal(opened.folder.cache.state, 'unverified');
  assertMonotonic(opened.progress, weights.length + 22);
  server.log.length = 0;
  assert.deepEqual(await readAll(await open(server)), weights);
  assert.equal(server.gets(WEIGHTS).length, 0);
});

test('without a manifest a file that changed on the server is fetched again, and its old parts go', async (t) => {
  const caches = installCaches(t);
  const server = modelServer();
  await readAll(await open(server));
  const changed = pattern(PART_BYTES).reverse();
  server.put(WEIGHTS, changed, { modified: 'Tue, 03 Nov 2026 10:00:00 GMT' });
  assert.deepEqual(await readAll(await open(server)), changed);
  assert.equal(caches.keys('part').filter((key) => key.includes(WEIGHTS)).length, 1);
});

test('what is stored is listed for a large file and for one that changed, and not for each of many small ones', async (t) => {
  const caches = installCaches(t);
  const server = modelServer();
  for (let number = 0; number < 9; number++) server.put(`features/layer0/${number}.json`, `{"number":${number}}`);
  const { signal } = new AbortController();
  const readSmall = async () => {
    server.files.delete('manifest.json');
    const files = await UrlFiles.create(BASE, 'name', server.putManifest());
    for (let number = 0; number < 9; number++) await files.file(`features/layer0/${number}.json`, signal, true);
  };
  await readSmall();
  assert.equal(caches.listings, 0);
  await (await open(server)).folder.complete();
  assert.equal(caches.listings, 1); // the weights
  server.put('features/layer0/3.json', '{"number":"three"}');
  const parts = caches.keys('part').length;
  await readSmall();
  assert.equal(caches.listings, 2);
  assert.equal(caches.keys('part').length, parts);
});

test('without a network everything comes from the cache, with and without a manifest', async (t) => {
  for (const manifest of [true, false]) {
    installCaches(t);
    const server = modelServer();
    if (manifest) server.putManifest();
    await readAll(await open(server));
    server.offline = true;
    const opened = await open(server);
    assert.deepEqual(await readAll(opened), weights);
    assert.equal(opened.folder.cache.state, manifest ? 'verified' : 'unverified');
  }
});

test('without a network, a model that is stored whole is known to have no other files; of one that is not, nobody knows', async (t) => {
  const others = ['generation_config', 'tokenizer', 'recipes', 'training', 'hidden_state', 'model.safetensors.index', 'features/index'];
  const caches = installCaches(t);
  const server = modelServer();
  await (await open(server)).folder.complete();
  server.offline = true;
  const { signal } = new AbortController();
  const file = async (path: string) => (await UrlFiles.create(BASE, 'name', server)).file(path, signal);
  for (const name of others) assert.equal(await file(`${name}.json`), undefined, name);
  await rejectsWith(file('step5/model.safetensors'), 'download', /could not be fetched/);
  for (const url of [...caches.entries.keys()]) if (url.includes(WEIGHTS)) caches.entries.delete(url);
  for (const name of others) await rejectsWith(file(`${name}.json`), 'download', /could not be fetched/);
});

test('a stored model without a manifest: what a server that is there does not give may be there all the same', {
  timeout: 600_000,
}, async (t) => {
  const { signal } = new AbortController();
  for (const answer of [408, 429, 503, 'silence'] as const) {
    installCaches(t);
    const server = modelServer().put('recipes.json', '{}');
    await (await open(server)).folder.complete();
    const { fetch } = server;
    const busy: typeof fetch = async (input, init) =>
      /recipes/.test(String(input)) ? new Response(null, { status: answer as number }) : fetch(input, init);
    if (answer === 'silence') server.silent.add('HEAD recipes.json');
    else server.fetch = busy;
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let over = false;
    const reading = (await UrlFiles.create(BASE, 'name', server)).file('recipes.json', signal).finally(() => (over = true));
    const said =
      answer === 'silence' ? /recipes\.json: the server said nothing for 30 s/ : new RegExp(`recipes\\.json .* with ${answer}; try`);
    const failed = rejectsWith(reading, 'download', said);
    while (!over) {
      t.mock.timers.tick(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await failed;
    t.mock.timers.reset();
  }
});

test('without a network, of a checkpoint its own folder tells whether it has other files', async (t) => {
  installCaches(t);
  const server = modelServer();
  const context = { signal: new AbortController().signal, onProgress: () => {} };
  const files = async () => UrlFiles.create(BASE, 'name', server);
  await (await open(server)).folder.complete();
  const { fetch } = server;
  const INDEX = 'step5/model.safetensors.index.json';
  server.fetch = async (input, init) => {
    if (String(input).endsWith(INDEX)) throw new TypeError('Failed to fetch');
    return fetch(input, init);
  };
  await rejectsWith((await files()).open('step5/', context), 'download', /step5\/model\.safetensors\.index\.json could not be fetched/);

  server.fetch = fetch;
  server.put('step5/model.safetensors', pattern(500));
  await (await (await files()).open('step5/', context)).complete();
  server.offline = true;
  assert.equal(await (await files()).file(INDEX, context.signal), undefined);
  await rejectsWith((await files()).file('step6/config.json', context.signal), 'download', /step6\/config\.json could not be fetched/);
});

/** Opens a stored model whose server accepts what `ask` says and never answers: ends after one attempt of three seconds. */
async function openBriefly(t: TestContext, server: FakeServer, ask: string[]) {
  for (const request of ask) server.silent.add(request);
  server.log.length = 0;
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const opening = open(server);
  const isAsked = () => server.log.some(({ method, path }) => ask.includes(`${method} ${path}`));
  while (!isAsked()) await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(BRIEF_SILENCE);
  const opened = await opening;
  t.mock.timers.reset();
  return opened;
}

test('a server that says nothing holds up a stored model for three seconds', { timeout: 600_000 }, async (t) => {
  for (const manifest of [true, false]) {
    installCaches(t);
    const server = modelServer();
    if (manifest) server.putManifest({ steps: [7] });
    await (await open(server)).folder.complete();
    const opened = await openBriefly(t, server, ['GET manifest.json', `GET ${WEIGHTS}`]);
    assert.deepEqual(await readAll(opened), weights);
    await opened.folder.complete();
    assert.equal(opened.folder.cache.state, manifest ? 'verified' : 'unverified');
    assert.equal(server.log.length, 1);
  }
});

test('without a manifest: where one question stays open, all files are the stored ones', { timeout: 600_000 }, async (t) => {
  installCaches(t);
  const shard = pattern(3000);
  const index = JSON.stringify({ weight_map: { x: 'model-1.safetensors' } });
  const server = new FakeServer().put('config.json', '{}').put('model.safetensors.index.json', index).put('model-1.safetensors', shard);
  await (await open(server)).folder.complete();
  server.put('config.json', '{"other":1}', { modified: 'Tue, 03 Nov 2026 10:00:00 GMT' });
  const opened = await openBriefly(t, server, ['HEAD model-1.safetensors']);
  assert.equal(new TextDecoder().decode(await readAll(opened, 'config.json')), '{}');
  assert.deepEqual(await readAll(opened, 'model-1.safetensors'), shard);
});

test('a server that refuses holds up no stored model, and one that is not whole is asked for again and again', async (t) => {
  for (const manifest of [true, false]) {
    const caches = installCaches(t);
    const server = modelServer();
    if (manifest) server.putManifest();
    await (await open(server)).folder.complete();
    server.offline = true;
    server.online = () => true;
    const opened = await open(server);
    assert.deepEqual(await readAll(opened), weights);
    assert.deepEqual(server.pauses, []);
    for (const url of [...caches.entries.keys()]) if (url.includes(WEIGHTS)) caches.entries.delete(url);
    await rejectsWith(open(server).then(readAll), 'download', /model\.safetensors/);
    assert.deepEqual(server.pauses.slice(0, 3), [500, 1000, 2000]);
  }
});

test('a full storage: a sentence with a next step, and the model still loads', async (t) => {
  const caches = installCaches(t);
  caches.quota = PART_BYTES + 100_000;
  const opened = await open(modelServer().putManifest());
  assert.deepEqual(await readAll(opened), weights);
  await opened.folder.complete();
  assert.equal(opened.folder.cache.state, 'memory');
  assert.match(opened.folder.cache.reason, /storage for this site is full.*free disk space/);
  assert.ok(![...caches.keys('file'), ...caches.keys('part')].some((key) => key.includes(WEIGHTS)), 'its parts are gone');
});

test('a file that was kept in memory once says nothing of others, or of a later time', async (t) => {
  const caches = installCaches(t);
  const server = modelServer()
    .put('step5/model.safetensors', pattern(PART_BYTES + 10))
    .putManifest();
  const files = await UrlFiles.create(BASE, 'name', server);
  const load = async (folder: string) => {
    const opened = await files.open(folder, { signal: new AbortController().signal, onProgress: () => {} });
    await opened.complete();
    return opened.cache.state;
  };
  assert.equal(await load(''), 'verified');
  caches.quota = caches.bytes() + 100_000;
  assert.equal(await load('step5/'), 'memory');
  assert.equal(await load(''), 'verified');
  caches.quota = Number.POSITIVE_INFINITY;
  assert.equal(await load('step5/'), 'verified');
});

test('no Cache API, or `cache: false`: from memory, with the reason', async (t) => {
  const plain = await open(modelServer().putManifest());
  await plain.folder.complete();
  assert.equal(plain.folder.cache.state, 'memory');
  assert.match(plain.folder.cache.reason, /no Cache API/);
  const caches: FakeCaches = installCaches(t);
  const off = await open(modelServer().putManifest(), { cache: null });
  assert.deepEqual(await readAll(off), weights);
  assert.match(off.folder.cache.reason, /cache: false/);
  assert.equal(caches.entries.size, 0);
});

/** Changes a byte of the stored part `number` of the weights. */
function damage(caches: FakeCaches, number: number): void {
  for (const url of [...caches.entries.keys()]) {
    if (!url.includes(WEIGHTS) || !url.endsWith(`/${number}`)) continue;
    const size = (caches.entries.get(url) as Blob).size;
    caches.entries.set(url, new Blob([new Uint8Array(size)]));
  }
}

test('stored bytes that changed are noticed, thrown away and fetched again, from there on', async (t) => {
  for (const manifest of [true, false]) {
    const caches = installCaches(t);
    const server = modelServer();
    if (manifest) server.putManifest();
    await readAll(await open(server));
    for (const [number, range] of [
      [1, `bytes=${PART_BYTES}-`],
      [0, null],
    ] as const) {
      damage(caches, number);
      server.log.length = 0;
      const again = await open(server);
      assert.deepEqual(await readAll(again), weights);
      assert.equal(again.folder.cache.state, manifest ? 'verified' : 'unverified');
      assert.deepEqual(
        server.gets(WEIGHTS).map((request) => request.range),
        [range],
      );
      server.log.length = 0;
      assert.deepEqual(await readAll(await open(server)), weights);
      assert.equal(server.gets(WEIGHTS).length, 0, 'the good copy stays');
    }
  }
});

test('without a manifest: what the server does not answer about is not taken for missing', async (t) => {
  const caches = installCaches(t);
  const server = modelServer().put('tokenizer.json', '{}');
  await (await open(server)).folder.complete();
  for (const url of [...caches.entries.keys()]) if (/tokenizer|safetensors/.test(url)) caches.entries.delete(url);
  const { fetch } = server;
  server.fetch = async (input, init) => (/tokenizer/.test(String(input)) ? new Response(null, { status: 503 }) : fetch(input, init));
  await rejectsWith(open(server), 'download', /tokenizer\.json could not be fetched: the server responded with 503/);
});

test('a manifest that was taken from the server is forgotten, unless a web page came in its place', async (t) => {
  for (const removed of [true, false]) {
    installCaches(t);
    const server = modelServer().putManifest();
    await (await open(server)).folder.complete();
    server.files.delete('manifest.json');
    server.fallback = !removed;
    await (await open(server)).folder.complete();
    server.offline = true;
    const again = open(server).then(readAll);
    if (removed) assert.deepEqual(await again, weights);
    else await rejectsWith(again, 'download', /could not be fetched/);
  }
});

test('a damaged copy without a network is an error, and no wrong weights', async (t) => {
  const caches = installCaches(t);
  const server = modelServer().putManifest();
  await readAll(await open(server));
  damage(caches, 1);
  server.offline = true;
  await rejectsWith(readAll(await open(server)), 'download', /model\.safetensors could not be fetched/);
});

test('a copy stored before there were seals is verified once, without a download', async (t) => {
  const caches = installCaches(t);
  const server = modelServer().putManifest();
  await readAll(await open(server));
  for (const [url, blob] of [...caches.entries]) {
    if (!url.includes('/file/')) continue;
    const { seal: _, ...record } = JSON.parse(await blob.text());
    caches.entries.set(url, new Blob([JSON.stringify(record)]));
  }
  server.log.length = 0;
  const again = await open(server);
  assert.deepEqual(await readAll(again), weights);
  assert.equal(again.folder.cache.state, 'verified');
  assert.equal(server.gets(WEIGHTS).length, 0);
});

/** Of each part of the weights. */
const digests = () =>
  [0, 1, 2].map((part) =>
    createHash('sha256')
      .update(weights.subarray(part * PART_BYTES, (part + 1) * PART_BYTES))
      .digest('hex'),
  );

test('a copy that an earlier version sealed with SHA-256 is good as long as that matches', async (t) => {
  const caches = installCaches(t);
  const server = modelServer().putManifest();
  await readAll(await open(server));
  for (const [url, blob] of [...caches.entries]) {
    if (!url.includes('/file/') || !url.includes(WEIGHTS)) continue;
    const record = JSON.parse(await blob.text());
    assert.deepEqual(
      record.seal.map((sum: string) => sum.length),
      [32, 32, 32],
    );
    caches.entries.set(url, new Blob([JSON.stringify({ ...record, seal: digests() })]));
  }
  server.log.length = 0;
  assert.deepEqual(await readAll(await open(server)), weights);
  assert.equal(server.gets(WEIGHTS).length, 0);
  damage(caches, 1);
  assert.deepEqual(await readAll(await open(server)), weights);
  assert.equal(server.gets(WEIGHTS).length, 1);
});

test('what the engine cannot read is forgotten, unless the manifest vouches for it', async (t) => {
  for (const manifest of [true, false]) {
    const caches = installCaches(t);
    const server = modelServer();
    if (manifest) server.putManifest();
    const { folder } = await open(server);
    await folder.read(WEIGHTS, 0, 10);
    await folder.complete();
    await folder.distrust();
    assert.ok(
      caches.keys('file').some((key) => key.includes('config.json')),
      'what it did not read stays',
    );
    assert.equal(caches.keys('file').filter((key) => key.includes(WEIGHTS)).length, manifest ? 1 : 0);
  }
});

test('without a manifest: a new ETag is a new file, also in the same second and of the same length', async (t) => {
  installCaches(t);
  const server = modelServer().put(WEIGHTS, weights, { etag: '"one"' });
  await readAll(await open(server));
  server.put(WEIGHTS, weights, { etag: 'W/"one-gzip"' });
  server.log.length = 0;
  assert.deepEqual(await readAll(await open(server)), weights);
  assert.equal(server.gets(WEIGHTS).length, 0, 'the same file, compressed');
  const changed = weights.slice().reverse();
  server.put(WEIGHTS, changed, { etag: '"two"' });
  assert.deepEqual(await readAll(await open(server)), changed);
});

test('without a manifest and without validators the file is fetched anew, and kept for times without a network', async (t) => {
  installCaches(t);
  const unversioned = { modified: '' };
  const server = new FakeServer().put('config.json', '{}', unversioned).put(WEIGHTS, weights, unversioned);
  await readAll(await open(server));
  const changed = weights.slice().reverse();
  server.put(WEIGHTS, changed, unversioned);
  assert.deepEqual(await readAll(await open(server)), changed);
  server.offline = true;
  assert.deepEqual(await readAll(await open(server)), changed);
});

test('a cache that another tab deletes during the download: nothing is stored, and the state says so', async (t) => {
  const caches = installCaches(t);
  const server = modelServer().putManifest();
  let chunks = 0;
  server.onChunk = () => {
    if (++chunks === 100) caches.deleteAll();
  };
  const { folder } = await open(server);
  await folder.complete();
  assert.ok(chunks > 100);
  assert.deepEqual(folder.cache, { state: 'memory', reason: 'The browser did not store the files, or they were deleted since.' });
  server.onChunk = () => {};
  const again = await open(server);
  await again.folder.complete();
  assert.equal(again.folder.cache.state, 'verified');
});
