// Opens a fixture in Chromium and checks that it gives PyTorch's tokens on the backend asked for.
import assert from 'node:assert/strict';
import { serve } from '../../scripts/lib/server.mjs';
import { launch, STEP_TIMEOUT } from '../browser/harness.mjs';
import { golden, modelFolder, packageFolder } from './fixture.mjs';

/** A browser for one test or file (`test`), closed after it. */
export async function openBrowser(test, args = []) {
  const browser = await launch({ args });
  test.after(() => browser.close());
  return browser;
}

/** What the app at `url` leaves in `outcome`; `console` holds what went wrong in the page. */
export async function outcomeOf(browser, url, parameters) {
  const page = await browser.newPage();
  page.setDefaultTimeout(STEP_TIMEOUT);
  const said = [];
  page.on('console', (message) => message.type() === 'error' && said.push(message.text()));
  page.on('pageerror', (error) => said.push(String(error)));
  try {
    const target = new URL(url);
    for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, String(value));
    await page.goto(target.href);
    await page
      .waitForFunction(() => 'outcome' in globalThis, undefined, { timeout: 600_000 })
      .catch((error) => {
        throw new Error(`The app did not start: ${said.join('; ') || error.message}`);
      });
    return { ...(await page.evaluate(() => globalThis.outcome)), console: said };
  } finally {
    await page.close();
  }
}

/** Parameters that make the app repeat the golden's greedy continuation. */
export function goldenParameters(model, more) {
  const { prompt_ids, ids } = golden();
  return { model, ids: prompt_ids, count: ids.length, ...more };
}

/** Runs the app on a backend and compares. */
export async function assertGolden(browser, url, model, more) {
  const outcome = await outcomeOf(browser, url, goldenParameters(model, more));
  assert.equal(outcome.error, undefined, `${JSON.stringify(outcome.error)} ${outcome.console.join('; ')}`);
  assert.equal(outcome.kind, more.backend);
  assert.deepEqual(outcome.ids, golden().ids);
  return outcome;
}

/**
 * A page that holds the public exports in `topk`, served beside the package (`/npm/`) and the model (`/model/`).
 * `serving`: options of `serve`; `host` replaces localhost in the page's address.
 */
export async function openApi(browser, t, { serving = {}, mounts = {}, host = 'localhost' } = {}) {
  const html = `<!doctype html><link rel="icon" href="data:,"><input type="file" webkitdirectory>
    <script type="module">import * as topk from '/npm/index.js'; globalThis.topk = topk;</script>`;
  const server = await serve(
    { '/npm/': packageFolder, '/model/': modelFolder, ...mounts },
    {
      ...serving,
      intercept: (request, response) => {
        if (request.url !== '/') return serving.intercept?.(request, response) ?? false;
        response.writeHead(200, { 'content-type': 'text/html' }).end(html);
        return true;
      },
    },
  );
  const page = await browser.newPage();
  page.setDefaultTimeout(STEP_TIMEOUT);
  const url = server.url.replace('localhost', host);
  const open = async () => {
    await page.goto(url);
    await page.waitForFunction(() => 'topk' in globalThis);
  };
  await open();
  t.after(async () => {
    await page.close();
    await server.close();
  });
  return { page, url, reopen: open };
}
