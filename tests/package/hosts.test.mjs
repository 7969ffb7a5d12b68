// A page of another origin loads a model from `npm start`; the files for static hosts say the same.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { inRoot, paths } from '../../scripts/lib/paths.mjs';
import { ASSET_HEADERS, MODEL_HEADERS } from '../../scripts/lib/site-files.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { modelFolder } from './fixture.mjs';
import { openApi, openBrowser } from './page.mjs';

const browser = await openBrowser(test);

const read = (name) => fs.readFileSync(path.join(paths.site, name), 'utf8');

/** What nginx answers for a path, by the file it includes: `set`, `if ($uri ~ …)` and `add_header`, of which empty ones are left out. */
function nginxHeaders(uri) {
  const variables = {};
  const headers = {};
  for (const line of read('nginx-headers.conf').split('\n')) {
    const [, pattern, rest] = /^if \(\$uri ~ "([^"]*)"\) \{ (.*) \}$/.exec(line) ?? [null, '', line];
    if (!new RegExp(pattern).test(uri)) continue;
    const [, variable, to] = /^set (\$\w+) "([^"]*)";$/.exec(rest) ?? [];
    if (variable) variables[variable] = to;
    const [, name, value] = /^add_header (\S+) (.*);$/.exec(rest) ?? [];
    const sent = value?.startsWith('$') ? variables[value] : value?.replace(/^"|"$/g, '');
    if (sent) headers[name] = sent;
  }
  return headers;
}

/** The section of `_headers` for a path. */
const section = (title) =>
  read('_headers')
    .split(/\n(?=\/)/)
    .find((part) => part.startsWith(`${title}\n`)) ?? '';

test('the files for hosts allow other origins below models/, and there only', () => {
  for (const [name, value] of Object.entries(MODEL_HEADERS)) {
    assert.ok(section('/models/*').includes(`\n  ${name}: ${value}`), name);
    assert.ok(read('models/.htaccess').includes(`Header always set ${name} "${value}"\n`), name);
    assert.equal(nginxHeaders('/explorer/models/A/model.safetensors')[name], value);
  }
  assert.ok(!read('.htaccess').includes('Access-Control'));
  assert.equal(nginxHeaders('/explorer/index.html')['Access-Control-Allow-Origin'], undefined);
  assert.equal(read('_headers').match(/Access-Control-Allow-Origin/g).length, 1);
});

test('assets/ are kept for good, for their names hold a hash; the page, the service worker and models/ are asked about', () => {
  const { 'Cache-Control': forever } = ASSET_HEADERS;
  assert.match(forever, /immutable/);
  const assets = fs.readdirSync(path.join(paths.site, 'assets')).filter((name) => name !== '.htaccess');
  assert.ok(assets.length > 5);
  for (const name of assets) assert.match(name, /-[\w-]{8}\.\w+$/, `${name} holds a hash`);
  assert.ok(section('/assets/*').includes(`\n  Cache-Control: ${forever}`));
  assert.ok(read('assets/.htaccess').includes(`Header set Cache-Control "${forever}"\n`));
  assert.equal(nginxHeaders(`/explorer/assets/${assets[0]}`)['Cache-Control'], forever);
  for (const file of ['/', '/index.html', '/service-worker.js']) {
    assert.ok(section(file).includes('\n  Cache-Control: no-cache'), file);
    assert.equal(nginxHeaders(`/explorer${file}`)['Cache-Control'], 'no-cache', file);
  }
  const [, names, inside] = /<FilesMatch "(.*)">\n(.*)\n<\/FilesMatch>/.exec(read('.htaccess'));
  assert.equal(inside, 'Header set Cache-Control "no-cache"');
  for (const [name, isAsked] of [
    ['index.html', true],
    ['service-worker.js', true],
    ['preview.png', false],
  ])
    assert.equal(new RegExp(names).test(name), isAsked, name);
  assert.equal(nginxHeaders('/explorer/preview.png')['Cache-Control'], undefined);
  // What holds everywhere holds there too.
  for (const file of ['/', '/assets/a.js', '/models/index.json']) assert.equal(nginxHeaders(file)['X-Content-Type-Options'], 'nosniff');
});

test('a page of another origin runs a model of npm start', async (t) => {
  // As printed; npm is a script of the shell on Windows.
  const command = process.platform === 'win32' ? [process.execPath, 'scripts/start.mjs'] : ['npm', 'start'];
  const server = spawn(command[0], command.slice(1), {
    cwd: inRoot(),
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  t.after(() => (process.platform === 'win32' ? server.kill() : process.kill(-server.pid)));
  let output = '';
  const url = await new Promise((resolve, reject) => {
    server.on('exit', () => reject(new Error(output)));
    server.stdout.on('data', (text) => {
      output += text;
      const found = /is at (http:\S+)\s/.exec(output)?.[1];
      if (found) resolve(found);
    });
  });
  const { page } = await openApi(browser, t);
  const found = await page.evaluate(async (folder) => {
    const model = await globalThis.topk.TopKLM.load(folder, { backend: 'cpu' });
    const { ids } = await model.run('The dog ran');
    const tag = (await fetch(`${folder}config.json`)).headers.get('etag');
    return { ids: ids.length, tag, other: await fetch(new URL('../../index.html', folder)).then(String, () => 'refused') };
  }, `${url}models/Llama-TopK-Stories-16M/`);
  assert.ok(found.ids > 2);
  assert.ok(found.tag, 'its ETag can be read');
  assert.equal(found.other, 'refused');
});

test('another origin that compresses says the compressed length, and hides that it is one: a model without a manifest loads', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-compressed-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  fs.copyFileSync(path.join(modelFolder, 'model.safetensors'), path.join(folder, 'model.safetensors'));
  // Long enough to be compressed.
  fs.writeFileSync(path.join(folder, 'config.json'), fs.readFileSync(path.join(modelFolder, 'config.json'), 'utf8').padEnd(2000));
  const server = await serve({ '/': folder }, { compress: true, headers: { 'access-control-allow-origin': '*' } });
  t.after(() => server.close());
  const { page } = await openApi(browser, t);
  const found = await page.evaluate(async (url) => {
    const { headers } = await fetch(`${url}config.json`);
    const model = await globalThis.topk.TopKLM.load(url, { backend: 'cpu' });
    const { ids } = await model.run([1, 2, 3]);
    return { ids: [...ids], length: Number(headers.get('content-length')), encoding: headers.get('content-encoding') };
  }, server.url);
  assert.ok(found.length < 2000, 'the length is of the compressed file');
  assert.equal(found.encoding, null, 'and that it is, is not said');
  assert.deepEqual(found.ids, [1, 2, 3]);
});
