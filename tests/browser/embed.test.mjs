// The site in a frame of a page on another site, as docs/guides/web-developer.md shows it: it runs, keeps its files in a store of its own, and does
// without one where the browser allows none.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { policy } from '../../scripts/lib/site-files.mjs';
import { launch, launchWithPreferences, openPage } from './harness.mjs';
import { accessibilityFindings, LOAD_TIMEOUT, serveSite, WEIGHTS } from './page-kit.mjs';

const GUIDE = fs.readFileSync(inRoot('docs/guides/web-developer.md'), 'utf8');
const [FRAME] = /<iframe .*<\/iframe>/.exec(GUIDE);
const [SANDBOX] = /sandbox="[^"]*"/.exec(GUIDE);

describe('in a frame of another site', { timeout: 1_800_000 }, () => {
  let site;
  let article;
  before(async () => {
    const intercept = (_, response) => {
      response.setHeader('content-security-policy', `${policy()}; frame-ancestors *`);
      return false;
    };
    site = await serveSite({ intercept });
    const answer = (request, response) => {
      const attributes = request.url === '/sandboxed' ? SANDBOX : '';
      const frame = FRAME.replace('https://HOST/PATH/?embed=1#/steer', `${site.url}?embed=1&backend=cpu#/steer?len=6`);
      const html = `<!doctype html><html lang="en"><title>An article</title><link rel="icon" href="data:,"><main><h1>An article</h1>${frame.replace('<iframe', `<iframe ${attributes}`)}</main>`;
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(html);
      return true;
    };
    article = await serve({}, { intercept: answer });
  });
  after(async () => {
    await article?.close();
    await site?.close();
  });

  /** Another site, not only another origin: a name and an address. */
  const open = (browser, where = '') => openPage(browser, `${article.url.replace('localhost', '127.0.0.1')}${where}`);

  const frameOf = async (page) => (await page.locator('iframe').elementHandle()).contentFrame();

  async function writes(frame) {
    await frame.getByRole('button', { name: 'Run' }).click({ timeout: LOAD_TIMEOUT });
    await frame.locator('[data-side=base]').getByText('6 new tokens').waitFor({ timeout: LOAD_TIMEOUT });
  }

  const goTo = async (frame, hash, heading) => {
    await frame.evaluate((to) => (location.hash = to), hash);
    await frame.getByRole('heading', { name: heading, level: 1 }).waitFor();
  };

  const weights = () => site.requests.filter((url) => WEIGHTS.test(url)).length;

  test('it runs, is accessible, and finds its model again on the next visit', async () => {
    const browser = await launch({ webgpu: false });
    try {
      const { page, close } = await open(browser);
      const frame = await frameOf(page);
      await writes(frame);
      assert.equal(await frame.getByRole('banner').count(), 0);
      const inFrame = { evaluate: frame.evaluate.bind(frame), emulateMedia: page.emulateMedia.bind(page) };
      assert.deepEqual(await accessibilityFindings(inFrame), []);
      await goTo(frame, '#/challenges', 'Challenges');
      await goTo(frame, '#/about', 'About');
      const before = weights();
      assert.ok(before > 0);
      await page.reload();
      await writes(await frameOf(page));
      assert.equal(weights(), before);
      await close();
    } finally {
      await browser.close();
    }
  });

  test('in a sandbox with the permissions that the guide names', async () => {
    const browser = await launch({ webgpu: false });
    try {
      const { page, close } = await open(browser, 'sandboxed');
      await writes(await frameOf(page));
      await close();
    } finally {
      await browser.close();
    }
  });

  test('where the browser lets it store nothing, it runs from memory', async () => {
    const BLOCK = 2; // CONTENT_SETTING_BLOCK
    const browser = await launchWithPreferences({ profile: { default_content_setting_values: { cookies: BLOCK } } });
    try {
      const { page, close } = await open(browser);
      const frame = await frameOf(page);
      await writes(frame);
      const refused = await frame.evaluate(async () => {
        const name = (error) => error.name;
        const local = await (async () => localStorage.length)().catch(name);
        return [local, await caches.keys().catch(name)];
      });
      assert.deepEqual(refused, ['SecurityError', 'SecurityError'], 'or this shows nothing');
      await goTo(frame, '#/challenges', 'Challenges');
      await goTo(frame, '#/about', 'About');
      await close();
    } finally {
      await browser.close();
    }
  });
});
