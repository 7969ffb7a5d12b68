import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { serve } from '../../scripts/lib/server.mjs';

let folder;
let server;
const get = (name, headers = {}) => fetch(server.url + name, { headers });

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-server-'));
  fs.mkdirSync(path.join(folder, 'site'));
  fs.writeFileSync(path.join(folder, 'site/index.html'), '<p>page</p>');
  fs.writeFileSync(path.join(folder, 'site/a.wasm'), '0123456789');
  fs.writeFileSync(path.join(folder, 'secret'), 'no');
  server = await serve({ '/': path.join(folder, 'site') });
});
after(async () => {
  await server.close();
  fs.rmSync(folder, { recursive: true });
});

test('pages and wasm come with their types', async () => {
  const page = await get('');
  assert.equal(await page.text(), '<p>page</p>');
  assert.match(page.headers.get('content-type'), /^text\/html/);
  const wasm = await get('a.wasm');
  assert.equal(wasm.headers.get('content-type'), 'application/wasm');
  assert.equal(wasm.headers.get('content-length'), '10');
});

test('byte ranges, as a resumed download asks for them', async () => {
  const part = async (range, extra) => {
    const response = await get('a.wasm', { range, ...extra });
    return [response.status, await response.text(), response.headers.get('content-range')];
  };
  assert.deepEqual(await part('bytes=4-'), [206, '456789', 'bytes 4-9/10']);
  assert.deepEqual(await part('bytes=2-3'), [206, '23', 'bytes 2-3/10']);
  assert.deepEqual(await part('bytes=-3'), [206, '789', 'bytes 7-9/10']);
  assert.deepEqual(await part('bytes=10-'), [416, '', 'bytes */10']);
  assert.deepEqual(await part('bytes=4-', { 'if-range': '"another"' }), [200, '0123456789', null]);
});

test('an ETag spares the second transfer', async () => {
  const etag = (await get('a.wasm')).headers.get('etag');
  assert.equal((await get('a.wasm', { 'if-none-match': etag })).status, 304);
});

test('nothing outside the folder is served', async () => {
  assert.equal((await get('..%2fsecret')).status, 404);
  assert.equal((await get('%2e%2e/secret')).status, 404);
  assert.equal((await get('absent')).status, 404);
  assert.equal((await get('%ff')).status, 400);
});
