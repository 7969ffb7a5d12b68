// Downloads with the browser's real Cache API: stored once, resumed, offline, and pages that have none.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { golden, modelFolder, root } from './fixture.mjs';
import { openApi, openBrowser } from './page.mjs';

const browser = await openBrowser(test);
const { prompt_ids, ids } = golden();

/** The model with a manifest. */
function modelWithManifest() {
  const folder = path.join(root, 'target/package-tests/manifest');
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const files = ['config.json', 'model.safetensors'].map((name) => {
    const content = fs.readFileSync(path.join(modelFolder, name));
    fs.writeFileSync(path.join(folder, name), content);
    return { path: name, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
  });
  fs.writeFileSync(path.join(folder, 'manifest.json'), JSON.stringify({ format: 1, files }));
  return { folder, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
}

const listed = modelWithManifest();

/** A page and the log of requests for the model's files. */
async function open(t, options = {}) {
  const log = [];
  const intercept = (request, response) => {
    if (request.url.startsWith('/listed/')) log.push(`${request.method} ${request.url.slice(8)}`);
    return options.intercept?.(request, response) ?? false;
  };
  const api = await openApi(options.browser ?? browser, t, { ...options, mounts: { '/listed/': listed.folder }, serving: { intercept } });
  return { ...api, log };
}

/** Loads, generates, and tells how it went. */
const visit = (page, options = {}) =>
  page.evaluate(
    async ([prompt, count, options]) => {
      const reports = [];
      const onProgress = ({ phase, loadedBytes, totalBytes, fromCache }) =>
        phase === 'download' && reports.push({ loadedBytes, totalBytes, fromCache });
      try {
        const model = await topk.TopKLM.load('/listed/', { backend: 'cpu', onProgress, ...options });
        const found = [];
        for await (const { id } of model.generate(prompt, { maxTokens: count, temperature: 0 })) found.push(id);
        const { cache } = model;
        await model.dispose();
        return { ids: found, cache, reports };
      } catch ({ code, message }) {
        return { code, message, reports };
      }
    },
    [prompt_ids, ids.length, options],
  );

test('the second visit loads nothing but the manifest, and the third works without a network', async (t) => {
  const { page, log, reopen } = await open(t);
  const first = await visit(page);
  assert.deepEqual(first.ids, ids);
  assert.equal(first.cache.state, 'verified');
  log.length = 0;
  await reopen();
  const second = await visit(page);
  assert.deepEqual(second.ids, ids);
  assert.deepEqual(log, ['GET manifest.json']);
  assert.ok(second.reports.every(({ fromCache }) => fromCache));
  for (const { reports } of [first, second]) {
    assert.ok(reports.every(({ totalBytes }) => totalBytes === listed.bytes));
    assert.equal(reports.at(-1).loadedBytes, listed.bytes);
  }
  await page.context().route('**/listed/**', (route) => route.abort());
  const third = await visit(page);
  assert.deepEqual(third.ids, ids);
});

test('a server that accepts requests and says nothing is asked once about a stored model', { timeout: 1_800_000 }, async (t) => {
  let isSilent = false;
  const { page, log, reopen } = await open(t, { intercept: ({ url }) => isSilent && url.startsWith('/listed/') });
  await visit(page);
  await reopen();
  log.length = 0;
  isSilent = true;
  const again = await visit(page);
  assert.deepEqual(again.ids, ids);
  assert.equal(again.cache.state, 'verified');
  assert.deepEqual(log, ['GET manifest.json']);
});

test('clearCache deletes what is stored under its name, and nothing else', async (t) => {
  const { page, log } = await open(t);
  for (const cache of [true, 'mine']) assert.deepEqual((await visit(page, { cache })).ids, ids);
  const asked = async (cache) => {
    log.length = 0;
    assert.deepEqual((await visit(page, { cache })).ids, ids);
    return log.includes('GET model.safetensors');
  };
  const clear = (name) =>
    page.evaluate(
      (given) =>
        topk.clearCache(given).then(
          () => null,
          ({ code, message }) => [code, message],
        ),
      name,
    );
  assert.equal(await clear(), null);
  assert.equal(await asked('mine'), false, 'another name');
  assert.equal(await asked(true), true);
  assert.equal(await clear('mine'), null);
  assert.equal(await asked('mine'), true);
  for (const [wrong, shown] of [
    [3, '3'],
    ['', '""'],
    [{ name: 'mine' }, '[object Object]'],
  ])
    assert.deepEqual(await clear(wrong), ['argument', `The cache is ${shown}, but must be a name.`]);
  assert.equal(await asked('mine'), false);
});

test('a download that breaks off poisons nothing', async (t) => {
  let broken = true;
  const intercept = (request, response) => {
    if (!broken || !request.url.endsWith('/listed/model.safetensors') || request.method !== 'GET') return false;
    response.writeHead(200, { 'content-length': '393568' });
    response.write(Buffer.alloc(1000), () => response.destroy());
    return true;
  };
  const { page, reopen } = await open(t, { intercept });
  const first = await visit(page);
  assert.equal(first.code, 'download');
  assert.match(first.message, /model\.safetensors: the download stopped/);
  broken = false;
  await reopen();
  const second = await visit(page);
  assert.deepEqual(second.ids, ids);
  assert.equal(second.cache.state, 'verified');
});

test('damaged weights, read while they came, are fetched again; from a server that has no others there is no model', async (t) => {
  const whole = fs.readFileSync(path.join(listed.folder, 'model.safetensors'));
  const ends = { header: 12, tensors: whole.length - 40 };
  for (const [place, at] of Object.entries(ends))
    for (const bad of [1, 2]) {
      let asked = 0;
      const damaged = Buffer.from(whole);
      damaged[at] ^= 0x55;
      const intercept = (request, response) => {
        if (request.url !== '/listed/model.safetensors' || ++asked > bad) return false;
        response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': whole.length });
        // The engine has the first half before the rest comes.
        response.write(damaged.subarray(0, whole.length / 2));
        setTimeout(() => response.end(damaged.subarray(whole.length / 2)), 300);
        return true;
      };
      const { page } = await open(t, { intercept });
      const cache = `damaged-${place}-${bad}`;
      const found = await visit(page, { cache });
      const said = `${place}, ${bad}: ${found.code} ${found.message}`;
      if (bad === 1) {
        assert.deepEqual(found.ids, ids, said);
        assert.equal(found.cache.state, 'verified');
      } else {
        assert.equal(found.code, 'integrity', said);
        assert.match(found.message, /model\.safetensors does not match manifest\.json/);
        assert.deepEqual(
          await page.evaluate(
            async (name) => (await (await caches.open(name)).keys()).filter(({ url }) => url.includes('safetensors')).length,
            cache,
          ),
          0,
        );
      }
      assert.equal(asked, 2, said);
    }
});

test('a large download goes on in the next visit where its last whole part ends', async (t) => {
  const folder = path.join(root, 'models/Llama-TopK-Stories-16M');
  const weights = fs.readFileSync(path.join(folder, 'model.safetensors'));
  const CUT = 10_000_000; // two parts of 4 MiB, and some of the third
  let broken = true;
  let breakOff = () => {};
  const ranges = [];
  const intercept = (request, response) => {
    if (request.url.endsWith('/break-off')) {
      breakOff();
      response.writeHead(204).end();
      return true;
    }
    if (request.method !== 'GET' || !request.url.endsWith('/story/model.safetensors')) return false;
    ranges.push(request.headers.range);
    if (!broken) return false;
    if (request.headers.range) response.destroy();
    else {
      response.writeHead(200, { 'content-length': String(weights.length), 'content-type': 'application/octet-stream' });
      // What is on its way when a connection ends may be lost: the page says when it has enough, and hears of it while more comes.
      response.write(weights.subarray(0, CUT));
      let at = CUT;
      const more = setInterval(() => response.write(weights.subarray(at, ++at)), 50);
      response.on('close', () => clearInterval(more));
      breakOff = () => response.destroy();
    }
    return true;
  };
  const { page, reopen } = await openApi(browser, t, { mounts: { '/story/': folder }, serving: { intercept } });
  const load = () =>
    page.evaluate(async () => {
      const fromCache = [];
      let asked = false;
      const onProgress = (report) => {
        if (report.phase !== 'download') return;
        if (report.fromCache) fromCache.push(report.loadedBytes);
        if (report.loadedBytes < 9_500_000 || asked) return;
        asked = true;
        fetch('/story/break-off');
      };
      try {
        const model = await topk.TopKLM.load('/story/', { backend: 'cpu', onProgress });
        const { cache } = model;
        await model.dispose();
        return { state: cache.state, fromCache: Math.max(...fromCache) };
      } catch ({ code, message }) {
        return { code, message };
      }
    });
  const first = await load();
  assert.equal(first.code, 'download', JSON.stringify(first));
  assert.match(first.message, /model\.safetensors.*check the connection/);
  ranges.length = 0;
  broken = false;
  await reopen();
  const second = await load();
  assert.equal(second.state, 'verified', JSON.stringify(second));
  assert.deepEqual(ranges, [`bytes=${2 * 4 * 1024 * 1024}-`]);
  assert.ok(second.fromCache > 8_000_000);
});

test('a picked folder, and bytes', async (t) => {
  const { page } = await open(t);
  await page.locator('input').setInputFiles(listed.folder);
  const found = await page.evaluate(
    async ([prompt, count]) => {
      const bytes = {};
      for (const name of ['config.json', 'model.safetensors']) bytes[name] = await (await fetch(`/listed/${name}`)).arrayBuffer();
      const all = [];
      for (const source of [document.querySelector('input').files, [...document.querySelector('input').files], bytes]) {
        const model = await topk.TopKLM.load(source, { backend: 'cpu' });
        const found = [];
        for await (const { id } of model.generate(prompt, { maxTokens: count, temperature: 0 })) found.push(id);
        all.push([found, model.cache.state]);
        await model.dispose();
      }
      return all;
    },
    [prompt_ids, ids.length],
  );
  assert.deepEqual(found, [
    [ids, 'memory'],
    [ids, 'memory'],
    [ids, 'memory'],
  ]);
});

test('plain http off localhost: from memory, and it says so', async (t) => {
  const plain = await openBrowser(t, ['--host-resolver-rules=MAP plain.test 127.0.0.1']);
  const { page } = await open(t, { browser: plain, host: 'plain.test' });
  assert.equal(await page.evaluate(() => isSecureContext), false);
  const { ids: found, cache } = await visit(page, { backend: 'auto' });
  assert.deepEqual(found, ids);
  assert.equal(cache.state, 'memory');
  assert.match(cache.reason, /not a secure context.*https/);
  const gpu = await visit(page, { backend: 'webgpu' });
  assert.equal(gpu.code, 'device');
});

test('a web page that was kept in place of the engine heals by itself', async (t) => {
  let down = true;
  const intercept = (request, response) => {
    if (!down || !request.url.endsWith('.wasm')) return false;
    response.writeHead(200, { 'content-type': 'text/html', 'cache-control': 'max-age=3600' }).end('<!doctype html><p>back soon');
    return true;
  };
  const { page, reopen } = await open(t, { intercept });
  const first = await visit(page);
  assert.equal(first.code, 'wasm');
  assert.match(first.message, /the server sent a web page instead/);
  down = false;
  await reopen();
  assert.deepEqual((await visit(page)).ids, ids);
});
