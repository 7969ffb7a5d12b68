/** What is asked for at once, and weights that are read while they come: before their file is whole, and before it is verified. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { PART_BYTES } from '../src/cache.ts';
import { TopKAbortError } from '../src/errors.ts';
import { installCaches } from './support/caches.ts';
import { FakeServer, pattern } from './support/server.ts';
import { turns, until } from './support/turns.ts';
import { assertMonotonic, changingServer, modelServer, open, readAll, rejectsWith, WEIGHTS, weights } from './support/visit.ts';

// Time stands still: a server that is held here is not given up, however slow the machine is.
mock.timers.enable({ apis: ['setTimeout'] });

/** A server that stops before the chunk with this number until `go` is called. */
function holding(server: FakeServer, chunk: number) {
  let chunks = 0;
  let go!: () => void;
  const going = new Promise<void>((resolve) => (go = resolve));
  const { fetch } = server;
  server.fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (!String(input).endsWith(WEIGHTS) || !response.body) return response;
    const gate = new TransformStream<Uint8Array, Uint8Array>({
      transform: async (bytes, to) => {
        if (++chunks > chunk) await going;
        to.enqueue(bytes);
      },
    });
    return new Response(response.body.pipeThrough(gate), response);
  };
  return { server, go };
}

test('all files are asked for at once, in their order', async (t) => {
  installCaches(t);
  const server = modelServer().put('generation_config.json', '{}').put('tokenizer.json', '{}').putManifest();
  for (const path of ['config.json', 'generation_config.json', 'tokenizer.json']) server.silent.add(`GET ${path}`);
  const abort = new AbortController();
  const { folder } = await open(server, { signal: abort.signal });
  assert.deepEqual(await folder.read(WEIGHTS, 0, weights.length), weights);
  assert.deepEqual(
    server.log.map(({ path }) => path),
    ['manifest.json', 'config.json', 'generation_config.json', 'tokenizer.json', WEIGHTS],
  );
  abort.abort();
  await assert.rejects(folder.complete(), TopKAbortError);
});

test('files of weights come one after the other', async (t) => {
  installCaches(t);
  const index = JSON.stringify({ weight_map: { x: 'model-1.safetensors', y: 'model-2.safetensors' } });
  const server = new FakeServer()
    .put('config.json', '{}')
    .put('model.safetensors.index.json', index)
    .put('model-1.safetensors', pattern(1000))
    .put('model-2.safetensors', pattern(2000))
    .putManifest();
  server.silent.add('GET model-1.safetensors');
  const abort = new AbortController();
  const { folder } = await open(server, { signal: abort.signal });
  await until(() => server.gets('model-1.safetensors').length > 0);
  await turns(20);
  assert.equal(server.gets('model-1.safetensors').length, 1);
  assert.equal(server.gets('model-2.safetensors').length, 0);
  abort.abort();
  await assert.rejects(folder.complete(), TopKAbortError);
});

const SHARDS = ['model-1.safetensors', 'model-2.safetensors', 'model-3.safetensors'] as const;

/** A server with three shards, of which it holds the first back until `go` is called. */
function shardServer({ manifest = true } = {}) {
  const index = JSON.stringify({ weight_map: Object.fromEntries(SHARDS.map((name, number) => [`w${number}`, name])) });
  const server = new FakeServer().put('config.json', '{}').put('model.safetensors.index.json', index);
  for (const [number, name] of SHARDS.entries()) server.put(name, pattern(200_000 + number));
  if (manifest) server.putManifest();
  const { fetch } = server;
  let go!: () => void;
  const going = new Promise<void>((resolve) => (go = resolve));
  server.fetch = async (input, init) => {
    const answer = await fetch(input, init);
    if (String(input).endsWith(SHARDS[0]) && init?.method !== 'HEAD') await going;
    return answer;
  };
  return { server, go };
}

test('the beginnings of all shards are there before the first shard is, each by one request of its own', async (t) => {
  for (const manifest of [true, false]) {
    for (const ranges of [true, false]) {
      installCaches(t);
      const { server, go } = shardServer({ manifest });
      server.ranges = ranges;
      const { folder } = await open(server, { early: true });
      const headers = SHARDS.slice(1).map(async (name) => [await folder.read(name, 0, 8), await folder.read(name, 8, 5000)]);
      for (const [length, header] of await Promise.all(headers)) {
        assert.deepEqual(length, pattern(8));
        assert.deepEqual(header, pattern(5008).slice(8));
      }
      const asked = () => SHARDS.map((name) => server.gets(name).map(({ range }) => range));
      assert.deepEqual(asked(), [[null], ['bytes=0-65535'], ['bytes=0-65535']]);
      let isRead = false;
      const tensor = folder.read(SHARDS[1], 6000, 100).finally(() => (isRead = true));
      await turns(20);
      assert.ok(!isRead, 'what is behind comes in its turn');
      go();
      assert.deepEqual(await tensor, pattern(6100).slice(6000));
      assert.equal(await folder.misled(), false);
      await folder.complete();
      assert.deepEqual(asked(), [[null], ['bytes=0-65535', null], ['bytes=0-65535', null]]);
      assert.equal(folder.cache.state, manifest ? 'verified' : 'unverified');
    }
  }
});

test('a longer header is asked for once more; one that then is another is told, and read again it is right', async (t) => {
  installCaches(t);
  const { server, go } = shardServer({ manifest: false });
  const { folder } = await open(server, { early: true });
  await folder.read(SHARDS[1], 0, 8);
  assert.deepEqual(await folder.read(SHARDS[1], 8, 100_000), pattern(100_008).slice(8));
  assert.deepEqual(
    server.gets(SHARDS[1]).map(({ range }) => range),
    ['bytes=0-65535', 'bytes=0-100007'],
  );
  const changed = pattern(200_001).reverse();
  server.put(SHARDS[1], changed);
  go();
  assert.equal(await folder.misled(), true);
  assert.deepEqual(await folder.read(SHARDS[1], 0, 100), changed.slice(0, 100));
  assert.equal(await folder.misled(), false);
});

test('a beginning that the server refuses comes with its file', async (t) => {
  installCaches(t);
  const { server, go } = shardServer();
  const { folder } = await open(server, { early: true });
  await until(() => server.gets(SHARDS[0]).length > 0); // the last of what is asked for at once
  server.answer = [503];
  const head = folder.read(SHARDS[2], 0, 8);
  await until(() => server.answer.length === 0);
  go();
  assert.deepEqual(await head, pattern(8));
  await folder.complete();
});

test('of several failures the first in order is told', async (t) => {
  installCaches(t);
  const server = modelServer().putManifest();
  server.answer = [undefined, 403, 404];
  const { folder } = await open(server);
  await assert.rejects(folder.complete());
  await until(() => /config\.json/.test(String(folder.failure)));
  assert.match(String(folder.failure), /config\.json could not be fetched: the server responded with 403/);
});

test('weights are read as they come: any range, across parts', async (t) => {
  installCaches(t);
  const chunks = PART_BYTES / 65_536 + 2;
  const { server, go } = holding(modelServer().putManifest(), chunks);
  const { folder, progress } = await open(server, { early: true });
  for (const [offset, length] of [
    [0, 8],
    [8, 5000],
    [PART_BYTES - 3, 6],
    [PART_BYTES + 60_000, 10_000],
    [0, chunks * 65_536],
  ] as const) {
    assert.deepEqual(await folder.read(WEIGHTS, offset, length), weights.slice(offset, offset + length), `${offset}`);
  }
  assert.ok(!folder.isWhole);
  let isRead = false;
  const last = folder.read(WEIGHTS, weights.length - 10, 10).finally(() => (isRead = true));
  await turns(20);
  assert.ok(!isRead);
  go();
  assert.deepEqual(await last, weights.slice(-10));
  assert.equal(await folder.misled(), false);
  await folder.complete();
  assert.ok(folder.isWhole);
  assert.equal(folder.cache.state, 'verified');
  assertMonotonic(progress, weights.length + 22);
});

test('who does not ask for early bytes gets verified ones', async (t) => {
  installCaches(t);
  const { server, go } = holding(modelServer().putManifest(), 10);
  const { folder } = await open(server);
  let isRead = false;
  const header = folder.read(WEIGHTS, 0, 8).finally(() => (isRead = true));
  await turns(50);
  assert.ok(!isRead);
  go();
  assert.deepEqual(await header, weights.slice(0, 8));
});

test('wrong bytes that were read early are told, and read again they are right', async (t) => {
  const caches = installCaches(t);
  const server = modelServer().putManifest();
  const wrong = weights.slice();
  wrong.fill(0, 12_345, 12_400);
  const { fetch } = server;
  server.put(WEIGHTS, wrong);
  server.fetch = async (input, init) => {
    if (server.gets(WEIGHTS).length === 1) server.put(WEIGHTS, weights);
    return fetch(input, init);
  };
  const { folder } = await open(server, { early: true });
  assert.deepEqual(await folder.read(WEIGHTS, 12_345, 10), wrong.slice(12_345, 12_355));
  assert.equal(await folder.misled(), true);
  assert.deepEqual(await folder.read(WEIGHTS, 0, weights.length), weights);
  assert.equal(await folder.misled(), false);
  await folder.complete();
  assert.equal(folder.cache.state, 'verified');
  assert.ok(caches.keys('file').some((key) => key.includes(WEIGHTS)));
});

test('wrong bytes that stay wrong: the same error, read early or not, and nothing stored', async (t) => {
  for (const early of [false, true]) {
    const caches = installCaches(t);
    const server = modelServer().putManifest();
    const wrong = weights.slice();
    wrong.fill(0, 12_345, 12_400);
    server.put(WEIGHTS, wrong);
    const { folder } = await open(server, { early });
    const reading = folder.read(WEIGHTS, 0, 8);
    if (early) assert.deepEqual(await reading, wrong.slice(0, 8));
    else await rejectsWith(reading, 'integrity', /does not match/);
    if (early) await rejectsWith(folder.misled(), 'integrity', /model\.safetensors does not match manifest\.json \(its SHA-256 differs\)/);
    await rejectsWith(folder.complete(), 'integrity', /does not match/);
    assert.equal(server.gets(WEIGHTS).length, 2);
    assert.ok(![...caches.keys('file'), ...caches.keys('part')].some((key) => key.includes(WEIGHTS)));
  }
});

test('a file that changes while it is read early is read again', async (t) => {
  installCaches(t);
  const { server, changed } = changingServer();
  const { folder } = await open(server, { early: true });
  assert.deepEqual(await folder.read(WEIGHTS, 0, 8), weights.slice(0, 8));
  assert.equal(await folder.misled(), true);
  assert.deepEqual(await folder.read(WEIGHTS, 0, weights.length), changed);
});

test('an abort, or a connection that stays broken, ends early reads that wait', async (t) => {
  installCaches(t);
  const { server } = holding(modelServer().putManifest(), 10);
  const abort = new AbortController();
  const { folder } = await open(server, { early: true, signal: abort.signal });
  await folder.read(WEIGHTS, 0, 8);
  const waiting = folder.read(WEIGHTS, weights.length - 8, 8);
  abort.abort();
  await assert.rejects(waiting, TopKAbortError);

  const broken = modelServer().putManifest();
  broken.breakAfter = [undefined, undefined, 100_000];
  broken.answer = [undefined, undefined, undefined, 500, 500, 500, 500];
  const opened = await open(broken, { early: true, cache: null });
  await opened.folder.read(WEIGHTS, 0, 8);
  await rejectsWith(readAll(opened), 'download', /the server responded with 500/);
});

/** Holds back reads of stored parts of so many bytes until `go` is called; `sizes`: of all that were read. */
function holdingReads(test: { after(done: () => void): void }, held: number) {
  const sizes: number[] = [];
  let go!: () => void;
  const going = new Promise<void>((resolve) => (go = resolve));
  const { arrayBuffer } = Blob.prototype;
  Blob.prototype.arrayBuffer = async function () {
    sizes.push(this.size);
    if (this.size === held) await going;
    return arrayBuffer.call(this);
  };
  test.after(() => {
    Blob.prototype.arrayBuffer = arrayBuffer;
  });
  return { sizes, go };
}

const LAST = weights.length % PART_BYTES;

test('stored weights are read as their parts are checked, each part once', async (t) => {
  installCaches(t);
  const server = modelServer().putManifest();
  await (await open(server)).folder.complete();
  const { sizes, go } = holdingReads(t, LAST);
  const { folder, progress } = await open(server, { early: true });
  assert.deepEqual(await folder.read(WEIGHTS, PART_BYTES - 3, 6), weights.slice(PART_BYTES - 3, PART_BYTES + 3));
  assert.deepEqual(await folder.read(WEIGHTS, 0, PART_BYTES), weights.slice(0, PART_BYTES));
  assert.ok(!folder.isWhole);
  let isRead = false;
  const last = folder.read(WEIGHTS, weights.length - 10, 10).finally(() => (isRead = true));
  await turns(20);
  assert.ok(!isRead, 'not before it is checked');
  go();
  assert.deepEqual(await last, weights.slice(-10));
  assert.equal(await folder.misled(), false);
  await folder.complete();
  assert.equal(folder.cache.state, 'verified');
  assert.deepEqual(
    sizes.filter((size) => size >= LAST).sort((a, b) => a - b),
    [LAST, PART_BYTES, PART_BYTES],
  );
  assertMonotonic(progress, weights.length + 22);
});

test('a stored part that is damaged: what was read before it is told, and read again all is right', async (t) => {
  for (const manifest of [true, false]) {
    const caches = installCaches(t);
    const server = modelServer();
    if (manifest) server.putManifest();
    await (await open(server)).folder.complete();
    for (const url of caches.entries.keys())
      if (url.includes(WEIGHTS) && url.endsWith('/2')) caches.entries.set(url, new Blob([new Uint8Array(LAST)]));
    const { go } = holdingReads(t, LAST);
    const { folder } = await open(server, { early: true });
    assert.deepEqual(await folder.read(WEIGHTS, 0, 8), weights.slice(0, 8));
    const last = folder.read(WEIGHTS, weights.length - 10, 10);
    go();
    assert.deepEqual(await last, weights.slice(-10));
    assert.equal(await folder.misled(), true);
    assert.deepEqual(await folder.read(WEIGHTS, 0, weights.length), weights);
    assert.equal(await folder.misled(), false);
    await folder.complete();
    assert.equal(server.gets(WEIGHTS).at(-1)?.range, `bytes=${2 * PART_BYTES}-`);
  }
});

test('what is stored is read while the server is asked, and given out once that says it is the same', async (t) => {
  for (const manifest of [true, false]) {
    const caches = installCaches(t);
    const server = modelServer();
    if (manifest) server.putManifest();
    await (await open(server)).folder.complete();
    const { fetch } = server;
    let answer!: () => void;
    const answering = new Promise<void>((resolve) => (answer = resolve));
    server.fetch = async (input, init) => {
      await answering;
      return fetch(input, init);
    };
    const { sizes } = holdingReads(t, 0);
    const opening = open(server, { early: true });
    await until(() => sizes.filter((size) => size >= LAST).length >= 3);
    await turns(20);
    assert.equal(sizes.filter((size) => size >= LAST).length, 3);
    const changed = pattern(weights.length).reverse();
    server.put(WEIGHTS, changed, { modified: 'Tue, 03 Nov 2026 10:00:00 GMT' });
    if (manifest) server.putManifest();
    answer();
    const { folder } = await opening;
    assert.deepEqual(await folder.read(WEIGHTS, 0, weights.length), changed);
    await folder.complete(); // it is read before it is stored
    assert.ok(caches.keys('file').some((key) => key.includes(WEIGHTS)));
  }
});
