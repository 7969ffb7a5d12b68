// The site in Firefox and in WebKit, where they are installed: a page in each writes what Node writes, with threads and without, and reports no errors.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { paths } from '../../scripts/lib/paths.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { ENGINES } from './engines.mjs';
import { STEP_TIMEOUT } from './harness.mjs';
import { shippedModel } from './page-kit.mjs';

const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
const LISTENER = '/errors-of-the-page.js';
/** WebKit reports that a layout needed another turn. */
const HARMLESS = /ResizeObserver loop/;
const COLLECT = `
  globalThis.problems = [];
  const note = (...all) => problems.push(all.map(String).join(' '));
  addEventListener('error', (event) => note(event.message ?? event.target.src ?? event.target.href), true);
  addEventListener('unhandledrejection', (event) => note(event.reason?.stack ?? event.reason));
  console.error = note;
`;

/** Answers with the page that first loads what collects its errors. */
function intercept(request, response) {
  const asked = request.url.split('?')[0];
  if (asked !== '/' && asked !== LISTENER) return false;
  const html = () =>
    fs.readFileSync(path.join(paths.site, 'index.html'), 'utf8').replace('<head>', `<head><script src="${LISTENER}"></script>`);
  response.setHeader('content-type', asked === '/' ? 'text/html; charset=utf-8' : 'text/javascript');
  response.end(asked === '/' ? html() : COLLECT);
  return true;
}

for (const [name, engine] of Object.entries(ENGINES)) {
  describe(`the site in ${name}`, { timeout: 600_000, skip: engine.missing ?? false }, () => {
    if (engine.missing) return;
    const edit = { layer: 1, index: 296, action: 'clamp', value: 18 };
    const prompt = 'The baby was tired, so';
    const written = {};
    let page;
    before(async () => {
      page = await engine.open();
      const { TopKLM } = await import(pathToFileURL(path.join(paths.npmPackage, 'index.js')));
      const model = await TopKLM.load(shippedModel().folder, { backend: 'cpu' });
      for (const [side, edits] of Object.entries({ base: [], steered: [edit] })) {
        written[side] = [];
        for await (const { id } of model.generate(prompt, { maxTokens: 24, temperature: 0, edits })) written[side].push(id);
      }
      await model.dispose();
    });
    after(() => page?.close());

    /** Runs `script` until what it returns is there. */
    const until = async (script) => {
      for (const end = Date.now() + STEP_TIMEOUT; ; await wait(200)) {
        const found = await page.run(script);
        if (found) return found;
        if (Date.now() > end) assert.fail(`in vain: ${script}\n${await page.run('return document.body.innerText')}`);
      }
    };

    for (const [kind, headers] of Object.entries({ 'with one thread': {}, 'isolated, with threads': ISOLATED })) {
      test(`${kind}: what is stored is computed, edits steer as in Node, a text is read`, async () => {
        const site = await serve({ '/': paths.site }, { intercept, headers });
        try {
          await page.go(`${site.url}?${kind.length}#/start`);
          await until("return document.body.innerText.includes('Computed here on the CPU, the same as stored.')");
          assert.equal(await page.run('return crossOriginIsolated'), headers === ISOLATED);

          await page.go(`${site.url}?${kind.length}#/steer?len=24&temp=0&p=${encodeURIComponent(prompt)}&e=1.296_clamp_18`);
          for (const [side, ids] of Object.entries(written)) {
            const last = `document.querySelector('[data-side=${side}]')?.dataset.ids?.split(',').slice(-${ids.length}).join()`;
            await until(`return ${last} === '${ids}'`);
          }
          assert.notDeepEqual(written.base, written.steered);

          await page.go(`${site.url}?${kind.length}#/explore`);
          await until("return document.querySelector('[data-backend=cpu]') && document.querySelector('main textarea')");
          await page.run(`
            const text = document.querySelector('main textarea');
            text.value = 'The frog sang';
            text.dispatchEvent(new Event('input', { bubbles: true }));
          `);
          await until(
            "return [...document.querySelectorAll('main h2')].some((title) => title.textContent.includes('“ sang”') || title.textContent.includes('“sang”'))",
          );
          assert.deepEqual(
            (await page.run('return problems')).filter((problem) => !HARMLESS.test(problem)),
            [],
          );
        } finally {
          await site.close();
        }
      });
    }
  });
}
