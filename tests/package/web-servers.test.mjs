// nginx and Apache with the configuration that docs/hosting.md gives: what they answer, the site in a browser, and a page of another origin.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { describe, test } from 'node:test';
import { paths } from '../../scripts/lib/paths.mjs';
import { ASSET_HEADERS, MODEL_HEADERS, siteHeaders } from '../../scripts/lib/site-files.mjs';
import { openPage } from '../browser/harness.mjs';
import { loaded } from '../browser/page-kit.mjs';
import { openApi, openBrowser } from './page.mjs';
import { NAMES, startWebServer, UNLISTED } from './web-servers.mjs';

const browser = await openBrowser(test);
const MODEL = 'models/Llama-TopK-Stories-16M/';
const lower = (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
const EVERYWHERE = lower(siteHeaders());

/** An answer as it comes, compressed or not; `fetch` hides that. */
const ask = (url, headers = {}) =>
  new Promise((resolve, reject) => {
    const request = http.get(url, { headers, agent: false }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }));
    });
    request.on('error', reject);
  });

function assertHeaders({ headers }, wanted, what) {
  for (const [name, value] of Object.entries(wanted)) assert.equal(headers[name], value, `${name} of ${what}`);
}

const asset = (ending) => `assets/${fs.readdirSync(path.join(paths.site, 'assets')).find((name) => name.endsWith(ending))}`;

for (const name of NAMES) {
  describe(name, { timeout: 1_800_000 }, () => {
    test('its answers', async (t) => {
      const url = await startWebServer(t, name);
      if (!url) return;

      await t.test('pages, assets and models have the headers of scripts/lib/site-files.mjs', async () => {
        for (const [file, own] of [
          ['', { 'cache-control': 'no-cache' }],
          ['?embed=1', { 'cache-control': 'no-cache' }],
          ['index.html', { 'cache-control': 'no-cache' }],
          ['docs/index.html', { 'cache-control': 'no-cache' }],
          ['service-worker.js', { 'cache-control': 'no-cache' }],
          ['preview.png', { 'cache-control': undefined }],
          ['preview.png?/models/', { 'access-control-allow-origin': undefined }],
          [asset('.js'), lower(ASSET_HEADERS)],
          [asset('.wasm'), { ...lower(ASSET_HEADERS), 'content-type': 'application/wasm' }],
          [`${MODEL}config.json`, lower(MODEL_HEADERS)],
          [`${MODEL}model.safetensors`, lower(MODEL_HEADERS)],
        ]) {
          const answer = await ask(url + file);
          assert.equal(answer.status, 200, file);
          assertHeaders(answer, { 'access-control-allow-origin': undefined, ...EVERYWHERE, ...own }, file);
        }
      });

      await t.test('what is not there is a page, never kept; below models/ another origin may read that too', async () => {
        const answer = await ask(`${url}no/such/page`);
        assert.equal(answer.status, 404);
        assert.match(String(answer.body), /<h1>Page not found/);
        assertHeaders(answer, { 'access-control-allow-origin': undefined }, 'a missing page');
        const script = await ask(`${url}assets/none-00000000.js`);
        assert.equal(script.status, 404);
        assert.doesNotMatch(script.headers['cache-control'] ?? '', /immutable/);
        const manifest = await ask(`${url}models/${UNLISTED}/manifest.json`);
        assert.equal(manifest.status, 404);
        assertHeaders(manifest, lower(MODEL_HEADERS), 'a missing manifest.json');
      });

      await t.test('weights come in ranges, and once', async () => {
        const file = `${url}${MODEL}model.safetensors`;
        const bytes = fs.readFileSync(path.join(paths.site, MODEL, 'model.safetensors'));
        const part = await ask(file, { range: 'bytes=1000-' });
        assert.equal(part.status, 206);
        assert.ok(part.body.equals(bytes.subarray(1000)));
        assertHeaders(part, { 'content-range': `bytes 1000-${bytes.length - 1}/${bytes.length}`, ...lower(MODEL_HEADERS) }, 'a range');
        const beyond = await ask(file, { range: `bytes=${bytes.length}-` });
        assert.equal(beyond.status, 416);
        assert.equal(beyond.headers['access-control-allow-origin'], '*');
        const { etag } = part.headers;
        assert.equal((await ask(file, { 'if-none-match': etag })).status, 304);
      });

      await t.test('scripts and the engine are compressed; asked about again, nothing is sent', async () => {
        for (const file of [asset('.js'), asset('.wasm'), '', `${MODEL}tokenizer.json`]) {
          const plain = await ask(url + file);
          const small = await ask(url + file, { 'accept-encoding': 'gzip' });
          assert.equal(small.headers['content-encoding'], 'gzip', file);
          assert.match(small.headers.vary, /accept-encoding/i, file);
          assert.ok(small.body.length < 0.6 * plain.body.length, `${file}: ${small.body.length} of ${plain.body.length} bytes`);
          const again = await ask(url + file, { 'accept-encoding': 'gzip', 'if-none-match': small.headers.etag });
          assert.equal(again.status, 304, file);
        }
      });

      await t.test('the site runs, keeps its shell, and the documentation opens', async () => {
        const { page, close } = await openPage(browser, `${url}?backend=cpu#/explore`);
        assert.equal(await loaded(page), 'cpu');
        await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
        for (const file of ['docs/index.html', 'docs/rust/topk_lm/index.html']) {
          await page.goto(url + file);
          await page.locator('h1').first().waitFor();
        }
        await close();
      });

      await t.test('a page of another origin runs its models, with a manifest and without; the second time from its store', async (t) => {
        const { page, reopen } = await openApi(browser, t);
        for (let visit = 0; visit < 2; visit++) {
          for (const [folder, prompt] of [
            [MODEL, 'The dog ran'],
            [`models/${UNLISTED}/`, [1, 2, 3]],
          ]) {
            const found = await page.evaluate(
              async ([from, text]) => {
                const model = await globalThis.topk.TopKLM.load(from, { backend: 'cpu' });
                const { ids } = await model.run(text);
                const { state } = model.cache;
                await model.dispose();
                return { ids: ids.length, state };
              },
              [url + folder, prompt],
            );
            assert.ok(found.ids > 2);
            assert.equal(found.state, folder === MODEL ? 'verified' : 'unverified');
          }
          await reopen();
        }
        const other = await page.evaluate((from) => fetch(from).then(String, () => 'refused'), `${url}index.html`);
        assert.equal(other, 'refused');
      });
    });
  });
}
