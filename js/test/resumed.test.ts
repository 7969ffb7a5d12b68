/** Downloads that go wrong half-way, and stored files that do: what is then asked for, kept and refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PART_BYTES, SealedFile } from '../src/cache.ts';
import { TopKError } from '../src/errors.ts';
import { checksum } from '../src/hash.ts';
import { installCaches } from './support/caches.ts';
import { pattern } from './support/server.ts';
import { changingServer, modelServer, open, readAll, WEIGHTS, weights } from './support/visit.ts';

test('a server that answers 416 to the rest is asked for the whole', async (t) => {
  installCaches(t);
  const server = modelServer();
  server.breakAfter = [undefined, PART_BYTES + 5];
  server.answer = [undefined, undefined, 416];
  assert.deepEqual(await readAll(await open(server)), weights);
});

test('a file that changed in the middle is kept under its new version', async (t) => {
  installCaches(t);
  const { server, changed } = changingServer();
  await readAll(await open(server));
  server.log.length = 0;
  assert.deepEqual(await readAll(await open(server)), changed);
  assert.equal(server.gets(WEIGHTS).length, 0);
});

test('without a manifest: a body longer than HEAD said is an error', async (t) => {
  installCaches(t);
  const server = modelServer();
  const { fetch } = server;
  server.fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (!String(input).endsWith(WEIGHTS) || init?.method === 'HEAD') return response;
    return new Response(new Uint8Array(Buffer.concat([Buffer.from(await response.arrayBuffer()), Buffer.from([1])])));
  };
  await assert.rejects(open(server).then(readAll), (error) => error instanceof TopKError && error.code === 'integrity');
});

test('a stored file: read again behind its end, a storage that fails, an abort', async () => {
  const all = pattern(PART_BYTES + 10) as Uint8Array<ArrayBuffer>;
  const parts = [all.slice(0, PART_BYTES), all.slice(PART_BYTES)];
  const get = async (part: number) => new Blob([parts[part] as Uint8Array<ArrayBuffer>]);
  const sealed = (from: typeof get, signal = new AbortController().signal) =>
    new SealedFile(
      { version: 'v', bytes: all.length, verified: true },
      parts.map((part) => checksum(part)),
      from,
      signal,
      async () => {},
    );
  const file = sealed(get);
  const read = async (at: number, length: number) => new Uint8Array(Buffer.concat((await file.read(at, length)) ?? []));
  assert.deepEqual(await read(0, all.length), all);
  assert.deepEqual(await read(100, 50), all.slice(100, 150), 'no longer held: out of the storage');
  const fails = async (part: number) => {
    if (part === 1) throw new Error('storage');
    return get(part);
  };
  await assert.rejects(sealed(fails).whole);
  await assert.rejects(sealed(get, AbortSignal.abort()).whole);
});
