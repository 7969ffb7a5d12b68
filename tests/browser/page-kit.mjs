// What the tests of the site share: serving and opening it, doing things a person does, reading what it shows.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { paths } from '../../scripts/lib/paths.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { openPage } from './harness.mjs';

/** Loading on an emulated GPU beside other work may take long. */
export const LOAD_TIMEOUT = 180_000;

/** Most that any step of a page may take on a busy machine. */
export const STEP_TIMEOUT = 30_000;

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
 * `hold(pattern)` keeps requests for such URLs waiting until `release()`.
 */
export async function serveSite({ intercept = () => false } = {}) {
  let held = null;
  let waiting = [];
  const requests = [];
  const server = await serve(
    { '/some/folder/': paths.site },
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

/** Opens a hash of the site on the CPU backend. */
export function openSite(browser, site, hash = '', { search = '?backend=cpu', ...options } = {}) {
  const ignore = [/status of 503/, /HTTP 503/, ...(options.ignore ?? [])]; // what `release` answers
  return openPage(browser, `${site.url}${search}${hash}`, { context: { viewport: { width: 1280, height: 900 } }, ...options, ignore });
}

/** Waits until the model has been loaded, and gives the kind of its backend. */
export async function loaded(page) {
  const backend = page.locator('[data-backend]');
  await backend.or(page.getByRole('alert')).first().waitFor({ timeout: LOAD_TIMEOUT });
  if (await page.getByRole('alert').isVisible()) throw new Error(`The page reports: ${await page.getByRole('alert').innerText()}`);
  return backend.getAttribute('data-backend');
}

/** Parameters of the hash. */
export const hashOf = (page) => {
  const [route, query = ''] = new URL(page.url()).hash.slice(1).split('?');
  return { route, params: Object.fromEntries(new URLSearchParams(query)) };
};

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
