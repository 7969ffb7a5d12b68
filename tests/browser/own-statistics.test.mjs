// A model without statistics gets them in the tab: over a text of the reader's and of its own, with Stop, kept over a reload, exported, under the
// site's policy and without a network.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { strFromU8, unzipSync } from 'fflate';
import { inRoot, paths } from '../../scripts/lib/paths.mjs';
import { policy } from '../../scripts/lib/site-files.mjs';
import { assertUsable, LOAD_TIMEOUT, loaded, openSite, STEP_TIMEOUT, shippedModel, shown, withSite } from './page-kit.mjs';

const FILES = ['config.json', 'generation_config.json', 'tokenizer.json', 'model.safetensors'];
const names = ['Lily', 'Tom', 'Ben', 'Mia', 'Sam'];
const things = ['ball', 'dog', 'cake', 'boat', 'tree', 'hat', 'box'];
/** Some 20,000 tokens in documents of about 60, by a fixed rule. */
const story = (n) =>
  `One day, ${names[n % 5]} saw a ${things[n % 7]}. "I like the ${things[(n * 3) % 7]}," said ${names[(n + 2) % 5]}. They were happy and played in the park. Then it was late, and ${names[(n * 2) % 5]} ran home to Mom.`;
const TEXT = Array.from({ length: 330 }, (_, n) => story(n)).join('\n<|endoftext|>\n');

/** Whether a file of the site's assets is the worker of the statistics. */
const isStatisticsWorker = (name) =>
  /^worker-[^/]*\.js$/.test(name) && fs.readFileSync(path.join(paths.site, 'assets', name), 'utf8').includes('statistics_bg');
const statisticsWorker = () => `assets/${fs.readdirSync(path.join(paths.site, 'assets')).find(isStatisticsWorker)}`;

/** Answers with the worker of the statistics, for which time runs a thousand times as fast. */
function impatient(url, response) {
  const file = path.join(paths.site, 'assets', path.basename(url));
  if (!isStatisticsWorker(path.basename(url))) return false;
  const hurry = 'const { timeout } = AbortSignal; AbortSignal.timeout = (ms) => timeout.call(AbortSignal, ms / 1000);';
  response.writeHead(200, { 'content-type': 'text/javascript' }).end(`${hurry}\n${fs.readFileSync(file, 'utf8')}`);
  return true;
}

describe('statistics in the tab', { timeout: 1_800_000 }, () => {
  const elsewhere = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-alone-'));
  fs.mkdirSync(path.join(elsewhere, 'Alone'));
  for (const file of FILES) fs.copyFileSync(path.join(shippedModel().folder, file), path.join(elsewhere, 'Alone', file));
  fs.cpSync(inRoot('tests/goldens/models/llama-gqa'), path.join(elsewhere, 'Another'), { recursive: true });
  after(() => fs.rmSync(elsewhere, { recursive: true, force: true }));
  let site;
  let browser;
  let page;
  let isImpatient = false;
  const intercept = ({ url }, response) => {
    response.setHeader('content-security-policy', policy()); // a worker keeps to the policy of its own script
    return isImpatient && impatient(url, response);
  };
  const serve = { intercept, mounts: { '/elsewhere/': elsewhere } };
  withSite({ hash: '#/about', keepsShell: true, serve, ignore: [/404/, /ERR_INTERNET_DISCONNECTED/] }, async (on) => {
    ({ site, browser, page } = on);
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
        console.error(`policy: ${violatedDirective} forbids ${blockedURI}`);
      });
    });
  });
  // The service worker has kept its shell before anything is counted.
  before(async () => {
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
    await page.reload();
  });

  const open = async (hash) => {
    await page.evaluate((to) => (location.hash = to), hash);
  };
  const load = async () => {
    await page.getByRole('button', { name: 'Load the model' }).click();
    assert.equal(await loaded(page), 'cpu');
  };
  const address = () => encodeURIComponent(`${site.origin}elsewhere/Alone/`);
  const rows = () => page.getByRole('table', { name: /^All neurons/ }).getByRole('row');
  const phase = (name) => page.locator(`[data-statistics=${name}]`).waitFor({ timeout: LOAD_TIMEOUT });
  const text = () => page.getByRole('textbox', { name: /Your own text/ });
  const keptModules = () =>
    page.evaluate(async () => {
      const names = (await caches.keys()).filter((name) => name.startsWith('topk-lm-shell:'));
      const urls = await Promise.all(names.map(async (name) => (await (await caches.open(name)).keys()).map(({ url }) => url)));
      return urls.flat().filter((url) => /statistics_bg.*\.wasm$/.test(url));
    });
  const section = () => page.getByRole('region', { name: 'Statistics in this tab' });

  test('its module comes when it is first wanted, and offline that is said', async () => {
    await open(`#/browse?model=${address()}`);
    await load();
    assert.deepEqual(await keptModules(), []);
    assert.ok(!site.requests.some((url) => url.includes('statistics_bg')));
    await page.context().setOffline(true);
    await text().fill(TEXT.slice(0, 3000));
    await page.getByRole('button', { name: 'Count over this text' }).click();
    await section().getByRole('alert').getByText('not been downloaded yet').waitFor();
    assert.deepEqual(await keptModules(), []);
    await page.context().setOffline(false);
    await open('#/about');
    await page.reload();
  });

  test('the table fills while the text is counted, and what was counted at Stop stays', async () => {
    await open(`#/browse?model=${address()}`);
    await page.getByText('This model comes without statistics').waitFor();
    await load();
    await assertUsable(page);
    await text().fill(TEXT);
    await page.getByRole('button', { name: 'Count over this text' }).click();
    await rows().nth(3).waitFor({ timeout: LOAD_TIMEOUT });
    await phase('counting');
    assert.match(await section().innerText(), /The table shows the first [\d,]+ tokens/);
    await page.getByRole('button', { name: 'Stop' }).click();
    await phase('done');
    await page.getByText('This browser keeps them.').waitFor({ timeout: STEP_TIMEOUT });
    assert.equal((await keptModules()).length, 1);
    const [, tokens] = /Computed here over ([\d,]+) tokens in [\d,]+ documents of own-text\.txt/.exec(await section().innerText());
    assert.ok(Number(tokens.replaceAll(',', '')) >= 1000 && Number(tokens.replaceAll(',', '')) < 20_000, tokens);
    await assertUsable(page);
  });

  test('a neuron has its page, after a reload too', async () => {
    await rows().nth(1).getByRole('link').click();
    const read = async () => {
      await page.locator('[data-neuron]').waitFor({ timeout: LOAD_TIMEOUT });
      await page.getByText(/computed in this tab over/).waitFor();
      return page.locator('.label').first().innerText();
    };
    const label = await read();
    await assertUsable(page);
    await page.reload();
    await load();
    assert.equal(await read(), label);
    assert.ok((await page.getByRole('heading', { name: 'Examples from the corpus' }).count()) === 1);
  });

  test('the folder features/ can be taken away', async () => {
    await open(`#/browse?model=${address()}`);
    const [download] = await Promise.all([
      page.waitForEvent('download', { timeout: STEP_TIMEOUT }),
      page.getByRole('button', { name: 'Export features/' }).click(),
    ]);
    assert.equal(download.suggestedFilename(), 'Alone-features.zip');
    const files = unzipSync(new Uint8Array(fs.readFileSync(await download.path())));
    const index = JSON.parse(strFromU8(files['features/index.json']));
    assert.equal(index.format, 2);
    assert.equal(index.model, 'Alone');
    const shards = Object.keys(files).filter((name) => /^features\/layer\d+\/\d+\.json$/.test(name));
    assert.equal(shards.length, index.layers.length * Math.ceil(index.d_model / index.shards.per_file));
  });

  test('deleted, they are gone; without a network they are computed again', async () => {
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
    await page.context().setOffline(true);
    await page.reload();
    await load();
    await section().getByRole('button', { name: 'Delete' }).click();
    await page.getByText('This model comes without statistics').waitFor();
    assert.equal(await rows().count(), 0);
    await text().fill(TEXT.slice(0, 3000));
    await page.getByRole('button', { name: 'Count over this text' }).click();
    await phase('done');
    await rows().nth(3).waitFor();
    await page.context().setOffline(false);
  });

  test('the table fills while text comes slower than it is counted', async () => {
    const seen = await page.evaluate(
      async ({ url, model, text }) => {
        const worker = new Worker(url, { type: 'module' });
        const seen = [];
        /** Resolves with the next message that `is` wants. */
        const heard = (is) =>
          new Promise((resolve) => {
            const hear = ({ data }) => {
              if (!is(data)) return;
              worker.removeEventListener('message', hear);
              resolve(data);
            };
            worker.addEventListener('message', hear);
          });
        worker.addEventListener('message', ({ data: { type, files } }) => seen.push(files ? `${type} with files` : type));
        worker.postMessage({ type: 'begin', model, name: 'Alone' });
        let tokens = 0;
        for (let number = 1; tokens < 1000; number++) {
          const counted = heard(
            ({ type, reached }) => type === 'finished' || (type === 'reached' && reached.done && reached.documents === number),
          );
          worker.postMessage({ type: 'add', text: { name: 'slow.jsonl', text: `${JSON.stringify({ text })}\n` } });
          ({
            reached: { tokens },
          } = await counted);
        }
        await heard(({ type }) => type === 'snapshot');
        const finished = heard(({ type }) => type === 'finished');
        worker.postMessage({ type: 'end' });
        await finished;
        worker.terminate();
        return seen.filter((type) => type !== 'reached' && type !== 'loading');
      },
      { url: statisticsWorker(), model: `${site.origin}elsewhere/Alone/`, text: TEXT.slice(0, 600) },
    );
    assert.deepEqual(seen, ['snapshot with files', 'finished with files']);
  });

  test('over what the model writes by itself', async () => {
    await section().getByRole('button', { name: 'Delete' }).click();
    await section().getByRole('combobox').selectOption({ label: '10,000 tokens' });
    await page.getByRole('button', { name: 'Let it write' }).click();
    await rows().nth(3).waitFor({ timeout: LOAD_TIMEOUT });
    await page.getByRole('button', { name: 'Stop' }).click();
    await phase('done');
    assert.match(await section().innerText(), /documents? of written\.jsonl/);
    await page.getByText('This browser keeps them.').waitFor({ timeout: STEP_TIMEOUT });
    await open(`#/about?model=${address()}`);
    await shown(page, 'about');
    await page.getByRole('button', { name: /^Delete all stored/ }).click();
    await page.getByText('Deleted.').waitFor();
    await open(`#/browse?model=${address()}`);
    await page.getByText('They are gone when you close this tab.').waitFor();
  });

  test('what is wrong with a text is said, and what was counted before it stays', async () => {
    await section().getByText('Compute them over another text').click();
    const lines = '{"text": "The dog ran to the park. It was a sunny day."}\n{"words": 1}\n';
    await page.getByLabel(/Or a file/).setInputFiles({ name: 'mine.jsonl', mimeType: 'text/plain', buffer: Buffer.from(lines) });
    await page.getByRole('button', { name: 'Count over this text' }).click();
    await section().getByRole('alert').getByText('mine.jsonl line 2').waitFor({ timeout: LOAD_TIMEOUT });
    // What was there, or the documents before the wrong line if they were counted by then.
    assert.match(await section().innerText(), /Computed here over [\d,]+ tokens in (1 document of mine|\d+ documents? of written)\.jsonl/);
  });

  test('a server that accepts and never answers: Stop ends it, and so does time', async () => {
    site.hold(/\/statistics_bg-[^/]*\.wasm$/);
    const context = { viewport: { width: 1280, height: 900 }, serviceWorkers: 'block' };
    const fresh = await openSite(browser, site, `#/browse?model=${address()}`, { context, ignore: [/404/, /statistics_bg/] });
    try {
      const there = fresh.page;
      there.setDefaultTimeout(STEP_TIMEOUT);
      const begin = async () => {
        await there.getByRole('button', { name: 'Count over this text' }).click();
        await there.locator('[data-statistics=loading]').waitFor();
      };
      await there.getByRole('button', { name: 'Load the model' }).click();
      assert.equal(await loaded(there), 'cpu');
      await there.getByRole('textbox', { name: /Your own text/ }).fill(TEXT.slice(0, 3000));
      await begin();
      await there.getByRole('button', { name: 'Stop' }).click();
      await there.getByRole('button', { name: 'Count over this text' }).waitFor();
      assert.equal(await there.getByRole('alert').count(), 0);
      isImpatient = true;
      await begin();
      await there.getByRole('alert').getByText('The code that counts could not be downloaded').waitFor();
    } finally {
      isImpatient = false;
      site.release();
      await fresh.close();
    }
  });

  test('another model ends the count', async () => {
    assert.equal(await text().isDisabled(), true, 'the file counts');
    await page.getByRole('button', { name: 'Use the text instead of the file' }).click();
    await text().fill(TEXT);
    await page.getByRole('button', { name: 'Count over this text' }).click();
    await phase('counting');
    await open('#/browse');
    await page.getByText(/in layers 0/).waitFor({ timeout: LOAD_TIMEOUT });
    assert.equal(await section().count(), 0);
  });

  test('of a folder of the reader’s they are there again with the step back from another model', async () => {
    const fresh = await openSite(browser, site, '#/byo');
    try {
      const there = fresh.page;
      there.setDefaultTimeout(STEP_TIMEOUT);
      await there.getByLabel(/A folder on this device/).setInputFiles(path.join(elsewhere, 'Another'));
      await loaded(there);
      await there.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Browse' }).click();
      await there.locator('[data-statistics]').getByRole('combobox').selectOption({ label: '2,000 tokens' });
      await there.getByRole('button', { name: 'Let it write' }).click();
      await there.getByText('This browser keeps them.').waitFor({ timeout: LOAD_TIMEOUT });
      await there.getByRole('combobox', { name: 'Model' }).selectOption(shippedModel().name);
      await there.getByText(/in layers 0/).waitFor({ timeout: LOAD_TIMEOUT });
      await loaded(there);
      await there.goBack();
      await there.getByText('This browser keeps them.').waitFor({ timeout: LOAD_TIMEOUT });
    } finally {
      await fresh.close();
    }
  });

  test('what cannot be deleted says so, and stays; of another model nothing is said', async () => {
    await open(`#/browse?model=${address()}`);
    await page.reload();
    await load();
    await section().getByText('Computed here over').waitFor(); // what was kept before
    await page.evaluate(() => {
      Cache.prototype.delete = () => Promise.reject(new Error('denied by the test'));
    });
    await section().getByRole('button', { name: 'Delete' }).click();
    await section().getByRole('alert').getByText('denied by the test').waitFor();
    assert.match(await section().innerText(), /Computed here over/);
    await open(`#/browse?model=${encodeURIComponent(`${site.origin}elsewhere/Another/`)}`);
    await section().getByText('This model comes without statistics').waitFor();
    assert.equal(await section().getByRole('alert').count(), 0);
  });
});
