import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import zlib from 'node:zlib';
import { siteHeaders } from '../../scripts/lib/site-files.mjs';
import { serveSite } from '../../scripts/lib/site-server.mjs';

const DECODE = { br: zlib.brotliDecompressSync, gzip: zlib.gunzipSync };
/** What the site is made of, each file longer than what is too short to compress. */
const FILES = Object.fromEntries(
  ['index.html', 'assets/a.js', 'assets/a.css', 'assets/a.wasm', 'models/index.json', 'favicon.svg'].map((name) => [
    name,
    `${name} `.repeat(200),
  ]),
);
const WEIGHTS = 'models/own/model.safetensors';

let folder;
let server;

/** The answer as it came over the wire; `fetch` would have decoded it. */
const get = (name, headers) =>
  new Promise((resolve, reject) => {
    const answered = (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part)).on('end', () => resolve({ headers: response.headers, body: Buffer.concat(parts) }));
    };
    http.get(server.url + name, { headers }, answered).on('error', reject);
  });

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-site-'));
  for (const [name, text] of Object.entries({ ...FILES, [WEIGHTS]: 'w'.repeat(4096) })) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text);
  }
  server = await serveSite(folder, 0, false);
});
after(async () => {
  await server.close();
  fs.rmSync(folder, { recursive: true });
});

test('pages, scripts, styles, wasm and JSON come compressed, with either encoding', async () => {
  for (const [encoding, decode] of Object.entries(DECODE)) {
    for (const [name, text] of Object.entries(FILES)) {
      const { headers, body } = await get(name, { 'accept-encoding': encoding });
      assert.equal(headers['content-encoding'], encoding, name);
      assert.equal(headers.vary, 'accept-encoding', name);
      assert.equal(decode(body).toString(), text, name);
      assert.ok(body.length * 4 < text.length, `${name}: ${body.length} of ${text.length} bytes`);
    }
  }
});

test('weights come as they are, in ranges too, and other pages may read them', async () => {
  const whole = await get(WEIGHTS, { 'accept-encoding': 'br, gzip' });
  assert.equal(whole.headers['content-encoding'], undefined);
  assert.equal(whole.body.length, 4096);
  assert.equal(whole.headers['access-control-allow-origin'], '*');
  const part = await get(WEIGHTS, { 'accept-encoding': 'br, gzip', range: 'bytes=4090-' });
  assert.equal(part.headers['content-range'], 'bytes 4090-4095/4096');
  assert.equal(part.body.length, 6);
});

test('every answer has the headers that hosts are told to send, the policy and who may frame it among them', async () => {
  const wanted = Object.entries(siteHeaders());
  const [[, policy]] = wanted;
  for (const directive of ["base-uri 'none'", "form-action 'none'", 'frame-ancestors *']) assert.ok(policy.split('; ').includes(directive));
  for (const name of ['', 'index.html', 'assets/a.js', WEIGHTS, 'no/such/page']) {
    const { headers } = await get(name, {});
    for (const [header, value] of wanted) assert.equal(headers[header.toLowerCase()], value, `${header} of ${name}`);
  }
});

test('a taken port gives way to the next, unless it was asked for', async () => {
  const next = await serveSite(folder, server.port, true);
  assert.ok(next.port > server.port);
  await next.close();
  await assert.rejects(serveSite(folder, server.port, false), new RegExp(`Port ${server.port} is in use`));
});

test('so does one that another program has at ::1, where browsers look for localhost too', async (t) => {
  const other = net.createServer();
  const isThere = await new Promise((resolve) => other.once('error', () => resolve(false)).listen(0, '::1', () => resolve(true)));
  if (!isThere) return t.skip('this machine has no ::1');
  const { port } = other.address();
  const served = serveSite(folder, port, false);
  try {
    await assert.rejects(served, new RegExp(`Port ${port} is in use`));
  } finally {
    await served.then(({ close }) => close()).catch(() => {}); // or the test would wait for it
    await new Promise((done) => other.close(done));
  }
});
