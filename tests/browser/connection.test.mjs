// A connection that breaks while the site arrives, and comes back: what a reader is told, what comes by itself, and that no button leads nowhere.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { paths } from '../../scripts/lib/paths.mjs';
import { launch } from './harness.mjs';
import { LOAD_TIMEOUT, loaded, openSite, serveSite, shippedModel, shown } from './page-kit.mjs';

const model = shippedModel();
const ENGINE = /topk_lm_bg.*\.wasm$/;
const FAILED = [/Failed to load resource/, /dynamically imported module/, /fetching the script/];
/** Two texts as Steer shares them: ids that are words to this model. */
const SHARED =
  '#/steer?p=At+the+zoo%2C+Tom+met+a&len=30&seed=7&e=4.960_add_5.171' +
  '&b=APEMhgLSHQy2B4oJgwKEBL8EkwPKEg62B-wCgwLLBOsMzAKDAssE6wyoAuIRQpMHlgKDAo0UohsOwAOiBpMCpQTYBZYCygQ' +
  '&s=APEMhgLSHQy2B4oJgwKEBPQEkwObCQ6BA6kCgwLLDPQEgwSiBpMCpQTjCQ65CocDDJ0CpAT2DJEX4QLfB5YC9gzxA7sDhwM&pl=8';

/** A file of the site's code whose name begins so. */
const asset = (name, ending = '.js') =>
  fs.readdirSync(path.join(paths.site, 'assets')).filter((file) => file.startsWith(`${name}-`) && file.endsWith(ending));

/** What two pages need and the frame does not: Chromium asks for such a file only once. */
function sharedCode() {
  const code = (name) => fs.readFileSync(path.join(paths.site, 'assets', name), 'utf8');
  const needs = (page) => [...code(asset(page)[0]).matchAll(/from"\.\/([^"]+\.js)"/g)].map(([, file]) => file);
  const [frame] = /assets\/index-[^"]+\.js/.exec(fs.readFileSync(path.join(paths.site, 'index.html'), 'utf8'));
  const known = new Set([...code(path.basename(frame)).matchAll(/from"\.\/([^"]+\.js)"/g)].map(([, file]) => file));
  return needs('Explore').find((file) => !known.has(file) && path.basename(frame) !== file);
}

describe('a connection that breaks', { timeout: 1_800_000 }, () => {
  let browser;
  let site;
  /** Requests that are broken off: whether, by their address. */
  let breaks = () => false;
  before(async () => {
    const intercept = (request, response) => {
      if (!breaks(request.url)) return false;
      response.destroy();
      return true;
    };
    site = await serveSite({ intercept });
    browser = await launch({ webgpu: false, args: ['--host-resolver-rules=MAP school.test 127.0.0.1'] });
  });
  after(async () => {
    await browser.close();
    await site.close();
  });
  const open = (hash, options) => openSite(browser, site, hash, { ignore: FAILED, ...options });
  const alertOf = (page, code) => page.locator(`[role=alert][data-code=${code}]`);

  test('for a moment, while the engine comes: nobody notices', async () => {
    let back = 0;
    breaks = (url) => {
      if (!ENGINE.test(url)) return false;
      back ||= Date.now() + 1000;
      return Date.now() < back;
    };
    const { page, close } = await open('#/');
    await loaded(page);
    assert.ok(back, 'nothing was broken off');
    await close();
  });

  test('for longer: the page says so in plain words, and takes up all of it once the connection is back', {
    skip: !model.challenges && 'the shipped model has no challenges',
  }, async () => {
    let isDown = true;
    breaks = (url) => isDown && (ENGINE.test(url) || /challenges\.json$|features\/index\.json$/.test(url));
    const { page, close } = await open('#/challenges');
    await alertOf(page, 'download').waitFor({ timeout: LOAD_TIMEOUT });
    const told = await alertOf(page, 'download').locator('p').innerText();
    assert.match(told, /^http\S+ could not be fetched; check the connection\. Check your connection and load again;/);
    isDown = false;
    await page.evaluate(() => dispatchEvent(new Event('online')));
    await loaded(page);
    await shown(page, 'challenges');
    assert.equal(await page.getByRole('alert').count(), 0);
    await page.getByRole('searchbox').fill('were');
    await page
      .getByRole('region', { name: 'One dog, many dogs' })
      .getByText(/writes were/)
      .first()
      .waitFor();
    await close();
  });

  test('while code comes that pages share: a reload is offered where loading again is of no use', async () => {
    const file = sharedCode();
    assert.ok(file, 'no code of Explore alone is shared');
    let isDown = true;
    breaks = (url) => isDown && url.endsWith(`/${file}`);
    const { page, close } = await open('#/explore');
    const notice = alertOf(page, 'page-code');
    await notice.waitFor();
    isDown = false;
    await notice.getByRole('button', { name: 'Load again' }).click();
    const shownOrNot = page.locator('main[data-page=explore]').or(notice.getByRole('button', { name: 'Reload the page' }));
    await shownOrNot.first().waitFor();
    if (await notice.isVisible()) await notice.getByRole('button', { name: 'Reload the page' }).click();
    await shown(page, 'explore');
    await close();
  });

  test('while the engine’s own code comes: a reload is the way, and the button does it', async () => {
    const files = asset('npm');
    let isDown = true;
    breaks = (url) => isDown && files.some((file) => url.endsWith(`/${file}`));
    const { page, close } = await open('#/');
    await alertOf(page, 'engine-code').waitFor();
    assert.equal(
      await alertOf(page, 'engine-code').locator('p').innerText(),
      'The engine could not be loaded. Check your connection and reload the page.',
    );
    isDown = false;
    await page.getByRole('button', { name: 'Reload the page' }).click();
    await loaded(page);
    await close();
  });

  test('a shared text shows no numbers before its words are there', async () => {
    breaks = () => false;
    site.hold(/tokenizer\.json|model\.safetensors/);
    const { page, close } = await open(SHARED);
    await page.locator('[data-shared=shown]').waitFor();
    const text = page.locator('[data-side=base] .tokens');
    await text.waitFor();
    assert.equal((await text.innerText()).trim(), '');
    site.release();
    await page.locator('[data-side=base] .tokens').filter({ hasText: 'the zoo' }).waitFor({ timeout: LOAD_TIMEOUT });
    await close();
  });

  test('over plain http, where a browser stores nothing, About does not say that it does', async () => {
    breaks = () => false;
    const elsewhere = { ...site, url: site.url.replace('localhost', 'school.test') };
    const { page, close } = await openSite(browser, elsewhere, '#/about', { ignore: [...FAILED, /Cross-Origin-Opener-Policy/] });
    await loaded(page);
    const told = page.locator('[data-keeping]');
    await told.getByText('Nothing is stored here: each visit downloads the model again.').waitFor();
    assert.match(await told.innerText(), /serve it over https/);
    assert.equal(await told.getByRole('button', { name: /^Keep/ }).count(), 0);
    await close();
  });
});
