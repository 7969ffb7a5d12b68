// The start page: what it shows before any weights, the switch, the reader's own words, and the ways on.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { paths } from '../../scripts/lib/paths.mjs';
import {
  STEP_TIMEOUT,
  WEIGHTS,
  addressHas,
  assertCount,
  assertUsable,
  hashOf,
  loaded,
  offeredModels,
  openSite,
  shippedModel,
  siteModule,
  withSite,
} from './page-kit.mjs';

const { exampleOf, fileOf } = await siteModule('start/example.ts');
const { compare } = await siteModule('start/compare.ts');
const words = await siteModule('start/words.ts');

const model = shippedModel();
const example = model.start ? exampleOf(model.read('start.json')) : null;

/** Most that the start page's scripts may weigh, gzipped: those before the engine's own. */
const MOST_SCRIPTS = 60 * 1024;

/** What a side shows, without the end of the prompt in front. */
const shownText = async (page, side) => {
  const text = await page.locator(`[data-outcome=${side}] [data-text]`).textContent();
  return text.replace(/\s+/g, ' ').trim();
};
const endsWith = (shown, text) => shown.endsWith(`${text.join('').replace(/\s+/g, ' ').trimEnd()}…`);

describe('the start page', { timeout: 1_800_000, skip: !example && 'the shipped model has no start.json' }, () => {
  let site;
  let browser;
  let page;
  withSite({ hash: '#/', hold: WEIGHTS }, (on) => {
    ({ site, browser, page } = on);
  });

  test('says what it is and shows it before any weights', async () => {
    await page.getByRole('heading', { level: 1, name: /Flip one neuron/ }).waitFor();
    await page.locator('[data-origin=stored]').waitFor();
    for (const side of ['before', 'after']) {
      assert.ok(endsWith(await shownText(page, side), example.stored[side].text), side);
      await assertCount(page.locator(`[data-outcome=${side}] li`), example.stored.next.length);
    }
    assert.ok(fs.statSync(path.join(model.folder, 'start.json')).size < 10_000);
    assert.ok(!site.requests.some((url) => /features\/layer|examples\//.test(url)), 'more was fetched than the page shows');
    const figures = words.figuresText(example);
    await page.getByText(figures).waitFor();
    await assertUsable(page);
  });

  test('its scripts are few', (t) => {
    const entry = /src="\.\/(assets\/index-[^"]+\.js)"/.exec(fs.readFileSync(path.join(paths.site, 'index.html'), 'utf8'))[1];
    // What the entry and the page's own script import at once; the engine is imported on the side.
    const found = new Set();
    const follow = (file) => {
      if (found.has(file)) return;
      found.add(file);
      const text = fs.readFileSync(path.join(paths.site, 'assets', file), 'utf8');
      for (const [, name] of text.matchAll(/(?:from|import)\s*"\.\/([\w-]+\.js)"/g)) follow(name);
    };
    follow(path.basename(entry));
    for (const name of fs.readdirSync(path.join(paths.site, 'assets'))) if (/^Start-.*\.js$/.test(name)) follow(name);
    const bytes = [...found].reduce(
      (sum, name) => sum + gzipSync(fs.readFileSync(path.join(paths.site, 'assets', name)), { level: 9 }).length,
      0,
    );
    t.diagnostic(`${(bytes / 1024).toFixed(1)} KiB in ${found.size} files`);
    assert.ok(bytes <= MOST_SCRIPTS, `${(bytes / 1024).toFixed(1)} KiB`);
  });

  test('the switch turns off and on, by mouse and by key, and the address keeps it', async () => {
    const { layer, index } = example.edit;
    const knob = page.getByRole('switch', { name: `Neuron ${index} of layer ${layer}` });
    assert.equal(await knob.getAttribute('aria-checked'), 'true');
    await knob.click();
    assert.equal(await knob.getAttribute('aria-checked'), 'false');
    await page.waitForFunction(() => {
      const [before, after] = ['before', 'after'].map((side) => document.querySelector(`[data-outcome=${side}] [data-text]`).textContent);
      return before.replace(/\s+/g, ' ').trim() === after.replace(/\s+/g, ' ').trim();
    });
    assert.equal(hashOf(page).params.off, '1');
    await assertUsable(page);
    await page.reload();
    await page.locator('[role=switch][aria-checked=false]').waitFor();
    await knob.focus();
    await page.keyboard.press('Space');
    await page.locator('[role=switch][aria-checked=true]').waitFor();
    assert.ok(endsWith(await shownText(page, 'after'), example.stored.after.text));
    assert.equal(hashOf(page).params.off, undefined);
  });

  test('before the model is there, typed words are not shown as if they had been continued', async () => {
    const box = page.getByRole('textbox', { name: /continues your words/ });
    const stored = await shownText(page, 'before');
    await box.fill('The cow said');
    await page.locator('[data-old=true]').waitFor();
    await page.getByText(/The model will continue your words once it has loaded/).waitFor();
    assert.equal(await shownText(page, 'before'), stored);
    await assertUsable(page);
    const fresh = await openSite(browser, site, '#/?say=The%20cow%20said');
    try {
      // The stored example is there meanwhile, and the box has the words.
      await fresh.page.locator('[data-old=true]').waitFor();
      const own = fresh.page.getByRole('textbox', { name: /continues your words/ });
      assert.equal(await own.inputValue(), 'The cow said');
      assert.equal(await shownText(fresh.page, 'before'), stored);
    } finally {
      await fresh.close();
    }
    await box.fill(example.prompt);
    await page.locator('[data-old=false]').waitFor();
  });

  test('it is live as soon as the model is there, also for the reader’s own words', async () => {
    site.release();
    await page.locator('[data-origin=same]').waitFor({ timeout: 6 * STEP_TIMEOUT });
    const typed = 'In the garden there was a big';
    await page.getByRole('textbox', { name: /continues your words/ }).fill(typed);
    await page.locator('[data-origin=live][data-busy=false]').waitFor();
    const { TopKLM } = await import('topk-lm');
    const engine = await TopKLM.load(model.folder, { backend: 'cpu' });
    try {
      const wanted = await compare(engine, [...(await engine.tokenizer.encode(typed))], example.edit);
      for (const side of ['before', 'after']) assert.ok(endsWith(await shownText(page, side), wanted[side].text), side);
    } finally {
      await engine.dispose();
    }
    await addressHas(page, 'say', typed);
    // It shows the neurons of a token, and says so: behind a full stop these are not its word's.
    const box = page.getByRole('textbox', { name: /continues your words/ });
    await box.fill('Hello there.');
    await page.getByText(/^Layer \d+ at “\.”/).waitFor();
    assert.match(await shownText(page, 'before'), /^Hello there\./, 'nothing was left out in front');
    // Of words beyond the context the end is read, which is what the text stands behind.
    await box.fill(`${'😀'.repeat(190)} The dog`);
    await page.getByText(/Of your words’ \d+ tokens the model reads the last \d+\./).waitFor();
    await page.getByText(/^Layer \d+ at “dog”/).waitFor();
    // A word as long as a page shows its end.
    await box.fill('ab'.repeat(1500));
    await page.locator('[data-origin=live][data-busy=false][data-old=false]').waitFor();
    const long = await shownText(page, 'before');
    assert.ok(long.startsWith(`…${'ab'.repeat(24)}`) && long.length < 1000, long);
    await box.fill(typed);
    await page.locator('[data-origin=live][data-busy=false][data-old=false]').waitFor();
    // A space behind the words, where the next is about to be typed, is none of them.
    const spoken = await shownText(page, 'before');
    // In the page: seen from here, the answer may be there already.
    const isOld = await box.evaluate(async (input, text) => {
      input.value = text;
      input.dispatchEvent(new Event('input', { bubbles: true }));
      await Promise.resolve();
      return document.querySelector('[data-old]').dataset.old;
    }, `${typed} `);
    assert.equal(isOld, 'true');
    await page.locator('[data-origin=live][data-busy=false][data-old=false]').waitFor();
    assert.equal(await shownText(page, 'before'), spoken);
    await box.fill(typed);
    await page.locator('[data-origin=live][data-busy=false][data-old=false]').waitFor();
    // Without words there is nothing to continue: the page says whose texts it goes on showing.
    const shown = await shownText(page, 'before');
    await page.getByRole('textbox', { name: /continues your words/ }).fill('');
    await page.getByText(`Shown: “${typed}”. Type some words for the model to continue.`).waitFor();
    assert.equal(await shownText(page, 'before'), shown);
    await page.getByRole('textbox', { name: /continues your words/ }).fill(typed);
    await page.locator('[data-old=false]').waitFor();
    const fresh = await openSite(browser, site, new URL(page.url()).hash);
    try {
      await fresh.page.locator('[data-origin=live]').waitFor({ timeout: 6 * STEP_TIMEOUT });
      assert.equal(await fresh.page.getByRole('textbox', { name: /continues your words/ }).inputValue(), typed);
    } finally {
      await fresh.close();
    }
  });

  test('the ways on: Steer opens with the same neuron and writes the same text', async () => {
    await page.goto(`${site.url}?backend=cpu#/`);
    await page.locator('[data-origin=same]').waitFor({ timeout: 6 * STEP_TIMEOUT });
    await page
      .getByRole('navigation', { name: 'Ways on' })
      .getByRole('link', { name: /^Steer/ })
      .click();
    await page.locator('[data-divergence]').waitFor({ timeout: 2 * STEP_TIMEOUT });
    await page.locator('[data-doing=nothing]').waitFor({ state: 'attached' });
    const ids = (await page.locator('[data-side=steered]').getAttribute('data-ids')).split(',').map(Number);
    const { TopKLM } = await import('topk-lm');
    const engine = await TopKLM.load(model.folder, { backend: 'cpu' });
    const written = await engine.tokenizer.tokens(ids.slice((await engine.tokenizer.encode(example.prompt)).length));
    await engine.dispose();
    assert.equal(written.join('').trimEnd(), example.stored.after.text.join('').trimEnd());
    await page.getByRole('link', { name: 'topk-lm', exact: true }).click();
    await page.locator('main[data-page=start]').waitFor();
    await page
      .getByRole('navigation', { name: 'Ways on' })
      .getByRole('link', { name: /^Explore/ })
      .click();
    await page.locator('main[data-page=explore]').waitFor();
  });

  test('a bare address with a text is Explore’s, as before', async () => {
    await page.goto('about:blank');
    await page.goto(`${site.url}?backend=cpu#/?p=A%20cat`);
    await page.waitForFunction(() => document.querySelector('main[data-page=explore] #text')?.value === 'A cat');
  });
});

describe('the start page where nothing is stored', { timeout: 1_800_000 }, () => {
  let page;
  const without = offeredModels().find(({ start }) => !start);
  withSite({ hash: without ? `#/?model=${without.name}` : null }, (on) => {
    ({ page } = on);
  });

  test('still says what it is, and where to go', { skip: !without && 'every model has a start.json' }, async () => {
    await loaded(page);
    await page.getByRole('heading', { level: 1 }).waitFor();
    assert.equal(await page.locator('[data-outcome]').count(), 0);
    assert.equal(await page.getByRole('switch').count(), 0);
    await page
      .getByRole('navigation', { name: 'Ways on' })
      .getByRole('link', { name: /^Explore/ })
      .click();
    await page.locator('main[data-page=explore]').waitFor();
    assert.equal(hashOf(page).params.model, without.name);
    await assertUsable(page);
  });
});

test('a stored example is read as it was written; one that was changed is none', { skip: !example }, () => {
  const file = JSON.parse(JSON.stringify(fileOf(example)));
  assert.deepEqual(exampleOf(file), example);
  const changed = [
    { format: 2 },
    { edit: { ...example.edit, action: 'boil' } },
    { next: ['a'] },
    { before: { next: [], text: 'x', list: [] } },
    { figures: { kind: 'switch' } },
    { width: '640' },
  ];
  for (const change of changed) assert.equal(exampleOf({ ...file, ...change }), null, JSON.stringify(change));
  assert.equal(exampleOf(null), null);
});

test('a switch has a plain name', () => {
  const figures = { kind: 'switch', contrast: 'was / were', effect: -2, control: 0.2, times: 10, surprise: 1.1 };
  assert.equal(words.plainName({ name: 'was → were', figures }), 'More than one');
  assert.match(words.figuresText({ name: 'was → were', figures }), /10\.0 times as far as the best of 100 random neurons/);
  assert.equal(words.plainName({ name: 'x', figures: { ...figures, contrast: 'new / old' } }), 'old');
});
