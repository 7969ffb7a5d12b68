// The documentation in the site: every link leads somewhere, the search finds guides, both references and definitions, pages are usable by keyboard,
// in both themes, on a phone and without a network, and keep to the policy that hosts send as a header.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { SECTIONS, START } from '../../scripts/lib/docs/pages.mjs';
import { paths } from '../../scripts/lib/paths.mjs';
import { projectFiles } from '../../scripts/lib/links.mjs';
import { policy } from '../../scripts/lib/site-files.mjs';
import { filesUnder } from '../../scripts/lib/steps.mjs';
import { openPage } from './harness.mjs';
import { assertUsable, sidewaysScroll, STEP_TIMEOUT, withSite } from './page-kit.mjs';

const folder = path.join(paths.site, 'docs');
const hasRust = fs.existsSync(path.join(folder, 'rust'));
const pages = filesUnder(folder)
  .map((file) => path.relative(folder, file).split(path.sep).join('/'))
  .filter((name) => name.endsWith('.html') && !name.startsWith('rust/'));
const read = (name) => fs.readFileSync(path.join(folder, name), 'utf8');

test('every Markdown file of docs/ is a page', () => {
  const listed = new Set([START, ...SECTIONS.flatMap(({ pages }) => pages)].map(({ source }) => source));
  const missing = projectFiles().filter((file) => /^(docs\/.*\.md|(python|examples\/\w+)\/README\.md)$/.test(file) && !listed.has(file));
  assert.deepEqual(missing, []);
});

test('every link leads to a file of the site and to one place in it', () => {
  const idsOf = new Map();
  const ids = (name) => {
    if (!idsOf.has(name)) {
      idsOf.set(
        name,
        [...read(name).matchAll(/ id="([^"]+)"/g)].map(([, id]) => id),
      );
    }
    return idsOf.get(name);
  };
  const faults = [];
  for (const page of pages) {
    const html = read(page);
    assert.equal([...html.matchAll(/<h1[ >]/g)].length, 1, `${page}: one title`);
    for (const [, href] of html.matchAll(/(?:href|src)="([^"]+)"/g)) {
      if (/^https?:/.test(href)) continue;
      const [file, anchor] = href.split('#');
      const target = file === '' ? page : path.posix.join(path.posix.dirname(page), file);
      if (!fs.existsSync(path.join(folder, target))) faults.push(`${page}: ${href}`);
      else if (anchor && target.endsWith('.html') && ids(target).filter((id) => id === anchor).length !== 1)
        faults.push(`${page}: ${href} has no such place, or several`);
    }
  }
  assert.deepEqual(faults, []);
});

test('the references hold the public API', () => {
  const api = read('js/api.html');
  for (const id of ['topklmload', 'topklmgenerate', 'generateoptions', 'features', 'topkerror'])
    assert.match(api, new RegExp(` id="${id}"`));
  assert.match(read('js/topk.html'), / id="createtopk"/);
  assert.ok(!/#private|\bConnection\b/.test(api), 'nothing internal');
  assert.match(api, /<a href="#loadoptions">LoadOptions<\/a>/);
  if (hasRust) assert.ok(fs.existsSync(path.join(folder, 'rust/topk_lm/struct.Model.html')));
});

describe('the documentation', { timeout: 1_800_000 }, () => {
  let site;
  let browser;
  let page;
  const outside = [];
  const intercept = (_, response) => {
    response.setHeader('content-security-policy', policy());
    return false;
  };
  withSite({ hash: '#/about', keepsShell: true, serve: { intercept }, ignore: [/ERR_INTERNET_DISCONNECTED/] }, async (on) => {
    ({ site, browser, page } = on);
    page.on('request', (request) => {
      if (!request.url().startsWith(site.origin)) outside.push(request.url());
    });
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
        console.error(`policy: ${violatedDirective} forbids ${blockedURI}`);
      });
    });
  });

  const open = (name) => page.goto(`${site.url}docs/${name}`);
  const field = (there = page) => there.getByRole('searchbox', { name: 'Search the documentation' });
  const find = async (text) => {
    // What another text found stays until this one is looked for.
    await page.locator('#search-results li').evaluateAll((old) => {
      for (const item of old) item.setAttribute('data-old', '');
    });
    await field().fill(text);
    await page.locator('#search-results li:not([data-old])').first().waitFor();
    return page.locator('#search-results a strong').allInnerTexts();
  };

  test('the site leads to it, and it leads back', async () => {
    await page.getByRole('navigation').getByRole('link', { name: 'Docs' }).click();
    await page.getByRole('heading', { level: 1, name: 'Documentation' }).waitFor();
    await page.getByRole('banner').getByRole('link', { name: 'topk-lm', exact: true }).click();
    await page.getByRole('navigation', { name: 'Pages' }).waitFor();
  });

  test('every page opens without an error and keeps to the policy', async () => {
    for (const name of pages) {
      await open(name);
      await field().waitFor();
    }
    assert.deepEqual(outside, []);
  });

  test('the search finds guides, definitions and both references, by keyboard', async () => {
    await open('guides/researcher.html');
    await page.keyboard.press('/');
    assert.ok((await find('evicted')).length > 1);
    const found = await find('ablate');
    assert.ok(found.includes('TopKLM.ablate'), found.join());
    if (hasRust) assert.ok(found.includes('Model::ablate'), found.join());
    assert.ok((await find('hook_topk_out')).includes('Hooks'));
    assert.ok((await find('steerin')).length > 0, 'the beginning of a word');
    assert.ok((await find('tempreature')).length > 0, 'a slip of the finger');
    await find('zzzzzz');
    await page.getByText('Nothing found for “zzzzzz”.').waitFor();
    await find('maxTokens');
    await page.keyboard.press('ArrowDown');
    const first = await page.locator('#search-results a').first().getAttribute('href');
    await page.keyboard.press('Enter');
    await page.waitForURL(new URL(first, page.url()).href);
    await find('seed');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Escape');
    await page.locator('#search-results').waitFor({ state: 'hidden' });
    assert.equal(await page.evaluate(() => document.activeElement.type), 'search');
  });

  test('an index that never comes is said in time, and asked for again', async () => {
    site.hold(/search-index\.json$/);
    const fresh = await openPage(browser, `${site.url}docs/index.html`, { context: { serviceWorkers: 'block' }, ignore: [/503/] });
    try {
      const there = fresh.page;
      there.setDefaultTimeout(STEP_TIMEOUT);
      await there.addInitScript(() => {
        const { timeout } = AbortSignal;
        AbortSignal.timeout = (ms) => timeout.call(AbortSignal, globalThis.isPatient ? ms : ms / 1000);
      });
      await there.goto(`${site.url}docs/semantics.html`);
      await field(there).fill('entropy');
      await there.getByText('The index could not be loaded. Check your connection.').waitFor();
      await field(there).fill('');
      await there.locator('#search-results').waitFor({ state: 'hidden' });
      site.release();
      await there.evaluate(() => (globalThis.isPatient = true));
      await field(there).fill('entropy');
      await there.locator('#search-results a').first().waitFor();
    } finally {
      site.release();
      await fresh.close();
    }
  });

  for (const name of [
    'index.html',
    'guides/researcher.html',
    'guides/web-developer.html',
    'semantics.html',
    'js/api.html',
    'js/index.html',
  ]) {
    test(`${name} is accessible, and fits a phone`, async () => {
      await open(name);
      await assertUsable(page);
      await find('edit');
      await assertUsable(page);
    });
  }

  test('on a phone the pages are behind one button', async () => {
    const before = page.viewportSize();
    await page.setViewportSize({ width: 390, height: 844 });
    try {
      await open('semantics.html');
      const link = page.getByRole('navigation', { name: 'Documentation' }).getByRole('link', { name: 'Sampling' });
      assert.equal(await link.isVisible(), false);
      await page.getByText('All pages').click();
      await link.click();
      await page.getByRole('heading', { level: 1, name: 'Sampling' }).waitFor();
      assert.equal(await sidewaysScroll(page), 0);
    } finally {
      await page.setViewportSize(before);
    }
  });

  test('the theme is the one chosen on the site', async () => {
    await open('index.html');
    await page.getByRole('button', { name: 'Theme: system' }).click();
    await page.getByRole('button', { name: 'Theme: light' }).click();
    await open('semantics.html');
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
    await page.getByRole('button', { name: 'Theme: dark' }).click();
  });

  test('the Rust reference keeps to the policy, searches, and leads back', { skip: !hasRust && 'rustdoc was not there' }, async () => {
    await open('rust/topk_lm/struct.Edit.html');
    await page.getByRole('heading', { level: 1, name: /Edit/ }).waitFor();
    await open('rust/topk_lm/index.html?search=ablate');
    await page
      .getByRole('link', { name: /Model::ablate/ })
      .first()
      .waitFor();
    await open('rust/topk_lm/index.html');
    await page.getByRole('link', { name: '← Documentation of topk-lm' }).click();
    await page.getByRole('heading', { level: 1, name: 'Documentation' }).waitFor();
  });

  test('it is there without a network', async () => {
    await page.goto(`${site.url}?backend=cpu#/about`); // its copy is made once the model is there
    await page.evaluate(() => navigator.serviceWorker.ready);
    await open('index.html');
    await page.context().setOffline(true);
    try {
      await open('semantics.html#edits');
      await page.getByRole('heading', { level: 1, name: 'Semantics' }).waitFor();
      assert.ok((await find('entropy')).length > 0);
    } finally {
      await page.context().setOffline(false);
    }
  });
});
