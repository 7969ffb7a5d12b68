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

test('an address that can be no file is not found, and ends nothing', async () => {
  assert.equal((await get('a.wasm/manifest.json')).status, 404);
  assert.equal((await get('x'.repeat(5000))).status, 404);
  assert.equal((await get('%00')).status, 404);
  assert.equal((await get('')).status, 200);
});

test('a download that its reader ends leaves no file open', { skip: process.platform !== 'linux' && '/proc tells' }, async () => {
  const file = path.join(folder, 'site/large.bin');
  fs.writeFileSync(file, '');
  fs.truncateSync(file, 64e6);
  const isOpen = () =>
    fs.readdirSync('/proc/self/fd').some((fd) => {
      try {
        return fs.readlinkSync(`/proc/self/fd/${fd}`) === file;
      } catch {
        return false; // closed since
      }
    });
  const ended = new AbortController();
  const { body } = await fetch(`${server.url}large.bin`, { signal: ended.signal });
  await body.getReader().read();
  assert.ok(isOpen());
  ended.abort();
  for (let tries = 0; isOpen(); tries++) {
    assert.ok(tries < 100, 'the file is still open');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});

test('text and wasm are compressed for who takes it, if asked for; ranges, small files and weights are not', async () => {
  const site = path.join(folder, 'site');
  const text = 'neurons '.repeat(500);
  for (const name of ['a.js', 'big.wasm', 'a.safetensors']) fs.writeFileSync(path.join(site, name), text);
  const own = await serve({ '/': site }, { compress: true });
  const ask = (name, encodings, headers = {}) => fetch(own.url + name, { headers: { 'accept-encoding': encodings, ...headers } });
  try {
    for (const [name, encodings, expected] of [
      ['a.js', 'gzip, deflate, br', 'br'],
      ['big.wasm', 'gzip', 'gzip'],
      ['a.js', 'br;q=0, gzip;q=0.5', 'gzip'],
      ['a.js', 'identity', null],
      ['a.wasm', 'br', null],
      ['a.safetensors', 'br', null],
    ]) {
      const response = await ask(name, encodings);
      assert.equal(response.headers.get('content-encoding'), expected, `${name} for ${encodings}`);
      assert.equal(response.headers.get('vary'), 'accept-encoding');
      assert.equal(await response.text(), name === 'a.wasm' ? '0123456789' : text);
      if (expected) assert.ok(Number(response.headers.get('content-length')) < 200);
    }
    const etag = (await ask('a.js', 'br')).headers.get('etag');
    assert.match(etag, /-br"$/, 'another representation has another tag');
    assert.equal((await ask('a.js', 'br', { 'if-none-match': etag })).status, 304);
    assert.equal((await ask('a.js', 'br', { 'if-none-match': `"another", W/${etag}` })).status, 304, 'one of several, weakened on its way');
    assert.equal((await ask('a.js', 'gzip', { 'if-none-match': etag })).status, 200);
    const part = await ask('a.js', 'br', { range: 'bytes=0-6' });
    assert.deepEqual([part.status, part.headers.get('content-encoding'), await part.text()], [206, null, 'neurons']);
    fs.writeFileSync(path.join(site, 'a.js'), `${text}changed`);
    assert.equal(await (await ask('a.js', 'br')).text(), `${text}changed`, 'what was compressed before is not sent for another file');
    assert.equal(
      (await fetch(`${own.url}a.js`, { method: 'HEAD', headers: { 'accept-encoding': 'br' } })).headers.get('content-encoding'),
      'br',
    );
  } finally {
    await own.close();
  }
});
