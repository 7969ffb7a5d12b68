// What the tests of the site share: serving and opening it, doing things a person does, reading what it shows.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { paths } from '../../scripts/lib/paths.mjs';
import { serve } from '../../scripts/lib/server.mjs';
export { siteModule } from '../../scripts/lib/site-module.mjs';
import { launch, openPage, STEP_TIMEOUT } from './harness.mjs';
export { STEP_TIMEOUT } from './harness.mjs';

/** Loading on an emulated GPU beside other work may take long. */
export const LOAD_TIMEOUT = 600_000;

const readJson = (...parts) => JSON.parse(fs.readFileSync(path.join(...parts), 'utf8'));

/** The models as the built site offers them. */
export const offeredModels = () => readJson(paths.site, 'models/index.json').models;

/** The model that the site opens with, and what stands beside its weights. */
export function shippedModel() {
  const [entry] = offeredModels();
  const folder = path.join(paths.site, 'models', entry.name);
  return { ...entry, folder, read: (file) => readJson(folder, file) };
}

/**
 * The site under a folder of a server, as on a project page, with a hand on requests.
 * `hold(pattern)` keeps requests for such URLs waiting until `release()`; `mounts`: further folders of the server.
 */
export async function serveSite({ intercept = () => false, mounts = {} } = {}) {
  let held = null;
  let waiting = [];
  const requests = [];
  const server = await serve(
    { ...mounts, '/some/folder/': paths.site },
    {
      intercept: (request, response) => {
        requests.push(request.url);
        if (held?.test(request.url) && request.method === 'GET') {
          waiting.push({ request, response });
          return true;
        }
        return intercept(request, response);
      },
    },
  );
  return {
    url: `${server.url}some/folder/`,
    origin: server.url,
    requests,
    hold: (pattern) => (held = pattern),
    release: () => {
      held = null;
      // The page's own download goes on: an answer that asks to try again.
      for (const { response } of waiting) response.writeHead(503).end();
      waiting = [];
    },
    close: server.close,
  };
}

/**
 * Opens a hash of the site on the CPU backend; Explore, if none is given. Without `keepsShell` the site's service worker, which takes an eighth of what a
 * page costs, is not registered, as in a private window.
 */
export function openSite(browser, site, hash = '#/explore', { search = '?backend=cpu', keepsShell = false, ...options } = {}) {
  const ignore = [/status of 503/, /HTTP 503/, ...(options.ignore ?? [])]; // what `release` answers
  const context = { serviceWorkers: keepsShell ? 'allow' : 'block', ...(options.context ?? { viewport: { width: 1280, height: 900 } }) };
  return openPage(browser, `${site.url}${search}${hash}`, { ...options, context, ignore });
}

/** From now on the page asks its worker for the next steps of a text only after a while: other work is then quicker than a text. */
export const slowDown = (page, slow = ['nextSteps']) =>
  page.evaluate((methods) => {
    const { postMessage } = Worker.prototype;
    Worker.prototype.postMessage = function (message, ...rest) {
      setTimeout(() => postMessage.call(this, message, ...rest), methods.includes(message.method) ? 300 : 0);
    };
  }, slow);

/**
 * The page asks its worker for no further steps of a text once the unmodified one has more ids than `most`: what else is done meanwhile is done
 * while a text is written, however long it takes. `await page.evaluate(() => goOn())` ends that.
 */
export const holdText = (page, most) =>
  page.evaluate((ids) => {
    const { postMessage } = Worker.prototype;
    const held = [];
    const isEnough = () => document.querySelector('[data-side=base]').dataset.ids.split(',').length > ids;
    Worker.prototype.postMessage = function (message, ...rest) {
      const send = () => postMessage.call(this, message, ...rest);
      if (message.method === 'nextSteps' && isEnough()) held.push(send);
      else send();
    };
    globalThis.goOn = () => {
      Worker.prototype.postMessage = postMessage;
      for (const send of held.splice(0)) send();
    };
  }, most);

/** Waits by a timer of the page: those that it set before for no longer have fired by then, however slow the machine is. */
export const pageTime = (page, ms) => page.evaluate((wait) => new Promise((resolve) => setTimeout(resolve, wait)), ms);

/** Waits until what the page has changed is drawn, and a table that it scrolled has said so and shows other rows. */
export const drawn = (page) => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

/** Explore's tokens. */
export const chips = (page) => page.getByRole('listbox', { name: 'The text' }).getByRole('option');

/** Waits until Explore shows a reading that is `stored` with the site, or `live`. */
export const waitState = (page, wanted) => page.locator(`[data-state=${wanted}]`).waitFor({ timeout: STEP_TIMEOUT });

/** Requests for weights. */
export const WEIGHTS = /model\.safetensors$/;

/** Options of a context that may read and write the clipboard. */
export const CLIPBOARD = { viewport: { width: 1280, height: 900 }, permissions: ['clipboard-read', 'clipboard-write'] };

/**
 * For the tests of a `describe`: the site is served, a browser without WebGPU started and a page opened before them, and all of it closed after
 * them; errors that the page reported fail them.
 * @param {object} options those of {@link openSite}, and `hash`: opened first, `null` for no page · `load`: waits for the model · `serve`:
 *   options of {@link serveSite} · `hold`: requests that wait until `site.release()`
 * @param {(on: {site: object, browser: object, page: object}) => unknown} begin takes what is there
 */
export function withSite({ hash = '#/explore', load = false, serve: serving, hold, ...options }, begin) {
  let site;
  let browser;
  let opened;
  before(async () => {
    site = await serveSite(serving);
    if (hold) site.hold(hold);
    browser = await launch({ webgpu: false });
    if (hash !== null) {
      opened = await openSite(browser, site, hash, options);
      opened.page.setDefaultTimeout(STEP_TIMEOUT);
      if (load) assert.equal(await loaded(opened.page), 'cpu');
    }
    await begin({ site, browser, page: opened?.page });
  });
  after(async () => {
    site?.release();
    // A page with errors fails on closing: a browser or a server left open would keep the run from ending.
    try {
      await opened?.close();
    } finally {
      await browser?.close();
      await site?.close();
    }
  });
}

/** As many elements as `wanted`: waits until the page has drawn the last of them, and fails if there is one more. */
export async function assertCount(locator, wanted, message) {
  if (wanted > 0) await locator.nth(wanted - 1).waitFor({ state: 'attached' });
  assert.equal(await locator.count(), wanted, message);
}

/** What `read` gives once it is as wanted, and what it gives at last where it never is: for an assertion that says what is wrong. */
export async function eventually(read, isWanted) {
  for (const end = Date.now() + STEP_TIMEOUT; ; ) {
    const found = await read();
    if (isWanted(found) || Date.now() > end) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits until the address has a parameter with this value; `null`: until it has none of that name. */
export const addressHas = (page, name, value) =>
  page.waitForFunction(([key, wanted]) => new URLSearchParams(location.hash.split('?')[1]).get(key) === wanted, [name, value]);

/** Explore ranks by the statistics, which may come after the model: what is in its table changes then. */
export const ranked = (page) => page.getByRole('heading', { name: /^Most special/ }).waitFor();

/** Waits until the model has been loaded, and gives the kind of its backend. */
export async function loaded(page) {
  const backend = page.locator('[data-backend]');
  await backend.or(page.getByRole('alert')).first().waitFor({ timeout: LOAD_TIMEOUT });
  if (await page.getByRole('alert').isVisible()) throw new Error(`The page reports: ${await page.getByRole('alert').innerText()}`);
  return backend.getAttribute('data-backend');
}

/** By page: what is there once the model is loaded and the page shows what it opens with. */
const SHOWN = {
  start: ['[data-origin]:not([data-origin=stored])'],
  gallery: ['[data-found]'],
  challenges: ['[data-challenge]'],
  explore: ['[data-state=live]'],
  browse: ['[data-row]'],
  steer: ['[data-side=base]:not([data-ids=""])'],
  patch: ['[data-patched]', '[data-parts]'],
  trace: ['[data-step=final][data-written=true]'],
  byo: ['tr[data-state=there]'],
  about: ['[data-kept]', '[data-facts]'],
  neuron: ['[data-own]'],
};

/** Waits until a page shows what it opens with. @param name - the page’s, as in the table of `www/src/lib/pages.ts` */
export async function shown(page, name) {
  assert.ok(SHOWN[name], `SHOWN in tests/browser/page-kit.mjs does not say what the page ${name} opens with`);
  for (const selector of SHOWN[name]) await page.locator(selector).first().waitFor({ timeout: LOAD_TIMEOUT });
}

/** Parameters of the hash. */
export const hashOf = (page) => {
  const [route, query = ''] = new URL(page.url()).hash.slice(1).split('?');
  return { route, params: Object.fromEntries(new URLSearchParams(query)) };
};

/** The link that is copied when `press` is done to the button: which says so for two seconds, and is therefore watched from before on. */
export async function copiedLink(page, press = (button) => button.click()) {
  const said = page.getByRole('button', { name: 'Copied' }).waitFor();
  await Promise.all([said, press(page.getByRole('button', { name: 'Share' }))]);
  return page.evaluate(() => navigator.clipboard.readText());
}

/** A file that the page saves when `act` is done, as text. */
export async function saved(page, act) {
  const [download] = await Promise.all([page.waitForEvent('download', { timeout: STEP_TIMEOUT }), act()]);
  return { name: download.suggestedFilename(), text: fs.readFileSync(await download.path(), 'utf8') };
}

const axeSource = fs.readFileSync(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

/** Serious and critical findings of axe, in light and dark. */
export async function accessibilityFindings(page) {
  await page.evaluate(axeSource);
  const findings = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    for (const { id, impact, nodes } of violations) {
      if (impact === 'serious' || impact === 'critical')
        findings.push(`${colorScheme}: ${id} at ${nodes[0].html}: ${nodes[0].failureSummary}`);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  return findings;
}

/** How far the page can be scrolled sideways, in px. */
export const sidewaysScroll = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

/** Accessible in both themes, and no sideways scrolling on a phone. */
export async function assertUsable(page) {
  assert.deepEqual(await accessibilityFindings(page), []);
  const before = page.viewportSize();
  await page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await sidewaysScroll(page), 0, 'sideways scrolling at 390 px');
  await page.setViewportSize(before);
}

/** LEB128 varints as base64url, as www/src/lib/route.ts writes them. */
export function encodeIds(ids) {
  const bytes = ids.flatMap((id) =>
    id < 0x80 ? [id] : id < 0x4000 ? [(id & 0x7f) | 0x80, id >> 7] : [(id & 0x7f) | 0x80, ((id >> 7) & 0x7f) | 0x80, id >> 14],
  );
  return Buffer.from(bytes).toString('base64url');
}

/** The address follows a moment behind the page: waits until it has the ids of the steered text. */
export const addressHasSteered = (page, ids) => addressHas(page, 's', encodeIds(ids));
