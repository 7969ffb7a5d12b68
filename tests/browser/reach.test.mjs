// What a mouse and the usual colors hide: room for fingers, high contrast, where the focus goes, what a screen reader is told.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { inRoot, paths } from '../../scripts/lib/paths.mjs';
import { STEP_TIMEOUT, assertCount, eventually, openSite, shippedModel, shown, siteModule, withSite, ranked } from './page-kit.mjs';

const model = shippedModel();
const skip = !model.features && 'the shipped model has no statistics';
/** Least height and width of what a finger has to hit, px, as WCAG 2.2 asks for outside of sentences. */
const FINGER = 24;

describe('by touch', { timeout: 1_800_000, skip }, () => {
  const context = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
  let page;
  withSite({ load: true, context }, (on) => {
    ({ page } = on);
  });

  const VISITS = { steer: `#/steer?n=3.296&len=12`, explore: '#/explore', trace: '#/trace', neuron: `#/m/${model.name}/3/296` };
  for (const name of ['gallery', 'browse', 'patch', 'about']) VISITS[name] = `#/${name}`;
  const LINES = 'input[type=range], input[type=checkbox], summary, header button, li > a, dt button, [role=group] > .name';
  const LINKS = ':is(td, th, [role=rowheader], [role=cell]) > a:first-child, .target';
  for (const [name, hash] of Object.entries(VISITS)) {
    test(`${name}: sliders, boxes to tick, folds and the links of lists and tables are as high as a finger needs`, async () => {
      await page.evaluate((to) => (location.hash = to), hash);
      await page.locator(`main[data-page=${name}]`).waitFor();
      await shown(page, name);
      if (name === 'steer') await page.locator('[data-evicted] li a').first().waitFor();
      const asked = { least: FINGER, selector: `${LINES}, ${LINKS}` };
      const small = await page.evaluate(({ least, selector }) => {
        const all = [...document.querySelectorAll(selector)];
        const seen = all.filter((each) => each.checkVisibility({ visibilityProperty: true }));
        const height = (each) => each.getBoundingClientRect().height;
        return seen.filter((each) => height(each) < least - 0.5).map((each) => `${height(each)} px: ${each.outerHTML.slice(0, 90)}`);
      }, asked);
      assert.deepEqual(small, []);
    });
  }
});

describe('a neuron tapped in the table on a phone', { timeout: 1_800_000, skip }, () => {
  const context = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
  let page;
  /** Answers that wait: what is stored of neurons, while it is kept. */
  let kept = null;
  const intercept = (request, response) => {
    const [, file] = /\/models\/(.*\/features\/layer.*\.json)$/.exec(request.url) ?? [];
    if (!kept || !file) return false;
    kept.push(() => response.setHeader('content-type', 'application/json').end(fs.readFileSync(path.join(paths.site, 'models', file))));
    return true;
  };
  withSite({ load: true, context, serve: { intercept } }, (on) => {
    ({ page } = on);
  });

  test('stays under the finger while its card comes up and goes, also where the browser does not see to that', async () => {
    await ranked(page);
    await page.locator('[data-state=live]').waitFor();
    await page.evaluate(() => (document.documentElement.style.overflowAnchor = 'none'));
    const cell = page
      .getByRole('table', { name: /one row per token/ })
      .locator('.cell.current button')
      .nth(1);
    await cell.scrollIntoViewIfNeeded();
    const top = async () => (await cell.boundingBox()).y;
    const before = await top();
    await cell.tap();
    await page.locator('.side.sheet').waitFor();
    assert.ok(Math.abs((await top()) - before) < 2, `${before} px, then ${await top()}`);
    await page.locator('.side.sheet').getByRole('button', { name: 'Close' }).tap();
    await page.locator('.side.sheet').waitFor({ state: 'detached' });
    assert.ok(Math.abs((await top()) - before) < 2, `${before} px, then ${await top()}`);
  });

  test('its card is as high before it has anything to show', async () => {
    kept = [];
    // A layer of which nothing has been read yet.
    await page
      .getByRole('table', { name: /one row per token/ })
      .locator('.cell.current')
      .last()
      .locator('button')
      .first()
      .click();
    const sheet = page.locator('.side.sheet');
    await sheet.waitFor();
    const { height } = await sheet.boundingBox();
    assert.ok((await eventually(() => kept.length, Boolean)) > 0);
    assert.equal(await sheet.getByText('Strongest at').count(), 0);
    for (const answer of kept) answer();
    kept = null;
    await sheet.getByText('Strongest at').waitFor();
    assert.equal((await sheet.boundingBox()).height, height);
    await sheet.getByRole('button', { name: 'Close' }).tap();
    await sheet.waitFor({ state: 'detached' });
  });

  test('without a neuron there is no empty screen in the place of its card', async () => {
    const side = page.locator('.side');
    assert.ok((await side.boundingBox()).height < 300, `${(await side.boundingBox()).height} px`);
  });
});

describe('the table of neurons under a mouse', { timeout: 1_800_000, skip }, () => {
  let page;
  withSite({ load: true }, (on) => {
    ({ page } = on);
  });
  const table = () => page.getByRole('table', { name: /one row per token/ });
  // Of what scrolls it: within that, the row of the chosen token is brought into view.
  const frame = () => page.locator('.scroller').filter({ has: table() });
  const top = async () => Math.round((await frame().boundingBox()).y + (await page.evaluate(() => scrollY)));
  const drawn = () => page.locator('canvas[data-network=whole]').waitFor();

  for (const width of [1440, 1280, 1024, 768]) {
    test(`stays where it is whatever is pointed at or chosen, ${width} px wide`, async () => {
      await page.setViewportSize({ width, height: 900 });
      await page.mouse.move(5, 5);
      await ranked(page);
      await drawn();
      const tops = new Map([['at first', await top()]]);
      const token = (at) =>
        page
          .getByRole('listbox', { name: /one option per token/ })
          .getByRole('option')
          .nth(at);
      for (const at of [2, 4]) {
        // The picture of another token takes a moment: what stands in its place meanwhile is as high.
        await token(at).click();
        tops.set(`token ${at}`, await top());
        await drawn();
        tops.set(`token ${at}, drawn`, await top());
        for (const cell of await table().locator('.cell.current button').all()) {
          await cell.hover();
          await page.locator(`[data-lit]`).waitFor();
          tops.set(await cell.getAttribute('title'), await top());
        }
      }
      assert.equal(new Set(tops.values()).size, 1, JSON.stringify([...tops], null, 1));
    });
  }
});

describe('in high contrast', { timeout: 1_800_000, skip }, () => {
  let page;
  const context = { viewport: { width: 1280, height: 900 }, forcedColors: 'active' };
  withSite({ load: true, context }, (on) => {
    ({ page } = on);
  });
  const style = (locator, name) => locator.evaluate((element, property) => getComputedStyle(element)[property], name);

  test('the tokens at which a neuron is active differ from the others, and what is pressed from what is not', async () => {
    await page.locator('[data-lit]').waitFor();
    const tokens = page.getByRole('listbox', { name: /one option per token/ });
    const lit = tokens.locator('.s1, .s2, .s3, .s4').first();
    const plain = tokens.locator('.s0').first();
    assert.notEqual(await style(lit, 'boxShadow'), 'none', 'a lit token has its line');
    assert.notEqual(await style(lit, 'backgroundColor'), await style(plain, 'backgroundColor'));
    const [pressed, other] = ['true', 'false'].map((is) =>
      page.getByRole('button', { name: /^(special|raw)$/ }).and(page.locator(`[aria-pressed=${is}]`)),
    );
    assert.equal(await style(pressed, 'outlineStyle'), 'solid');
    assert.equal(await style(other, 'outlineStyle'), 'none');
  });

  test('the page that is open is underlined in the navigation, and no other', async () => {
    const lines = await page
      .getByRole('navigation', { name: 'Pages' })
      .getByRole('link')
      .evaluateAll((links) => links.map((link) => [link.getAttribute('aria-current'), getComputedStyle(link).borderBottomColor]));
    const open = lines.filter(([is]) => is === 'page').map(([, color]) => color);
    const others = lines.filter(([is]) => is !== 'page').map(([, color]) => color);
    assert.equal(open.length, 1);
    assert.ok(!others.includes(open[0]), `${open[0]} among ${others}`);
  });

  test('the cells of maps keep their shades', async () => {
    for (const [hash, cells] of [
      ['#/explore?open=next.lens', page.getByRole('region', { name: 'Logit lens over positions' }).locator('tbody td')],
      ['#/patch', page.locator('[data-share]')],
    ]) {
      await page.evaluate((to) => (location.hash = to), hash);
      await cells.nth(20).waitFor({ timeout: 2 * STEP_TIMEOUT });
      // Where the browser forces colors, all cells are painted alike.
      assert.equal(await style(cells.first(), 'forcedColorAdjust'), 'none', hash);
      const shades = await cells.evaluateAll((all) => all.map((cell) => getComputedStyle(cell).backgroundColor));
      assert.ok(new Set(shades).size > 3, `${hash}: ${[...new Set(shades)]}`);
    }
  });

  test('filled buttons show their names', async () => {
    await page.evaluate(() => (location.hash = '#/steer'));
    const run = page.getByRole('button', { name: 'Run', exact: true });
    await run.waitFor();
    // Where the browser forces the colors of a filled button, it puts a plate behind the text.
    assert.equal(await style(run, 'forcedColorAdjust'), 'none');
    assert.notEqual(await style(run, 'color'), await style(run, 'backgroundColor'));
  });
});

describe('by keyboard on Steer', { timeout: 1_800_000, skip }, () => {
  let page;
  withSite({ hash: '#/steer?len=6', load: true }, (on) => {
    ({ page } = on);
  });
  const focused = () => page.evaluate(() => document.activeElement.getAttribute('type') ?? document.activeElement.tagName);
  const until = (condition) => page.waitForFunction(condition, undefined, { timeout: STEP_TIMEOUT });
  const inSearch = () => document.activeElement?.matches('[role=search] input');
  const add = async (word) => {
    await page.getByRole('searchbox').fill(word);
    await page.getByRole('list', { name: 'Neurons found' }).getByRole('button').first().waitFor();
    await page.getByRole('searchbox').focus();
    for (let press = 0; press < 2; press++) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.locator('[data-doing=nothing]').waitFor({ state: 'attached' });
  };

  test('who adds a neuron, or takes one away, goes on from there, not from the top of the page', async () => {
    await add('dog');
    await until(inSearch);
    await add('happy');
    await until(inSearch);
    const remove = page.getByRole('button', { name: /^Remove the edit/ });
    await assertCount(remove, 2);
    await remove.nth(1).focus();
    await page.keyboard.press('Enter');
    await until(() => document.activeElement?.matches('.remove'));
    await page.keyboard.press('Enter');
    await until(inSearch);
    assert.equal(await remove.count(), 0);
  });

  test('by mouse the focus is not moved into a field, which would bring up a phone’s keyboard', async () => {
    await page.getByRole('searchbox').fill('dog');
    await page.getByRole('list', { name: 'Neurons found' }).getByRole('button').first().click();
    await page.getByRole('button', { name: /^Remove the edit/ }).waitFor();
    assert.notEqual(await focused(), 'search');
  });

  test('a screen reader is told that the texts are being written, and when they are there', async () => {
    await page
      .locator('[role=status]')
      .getByText(
        /^Both texts are written, the same for \d+ new tokens?\.$|^Both texts are written, and (are the same|differ from the first new token)\.$/,
      )
      .waitFor({ state: 'attached' });
    await page.getByRole('button', { name: /^Remove the edit/ }).click();
    await page.getByText('The text is written.').waitFor({ state: 'attached' });
  });
});

describe('the guide for teachers', { timeout: 1_800_000, skip }, () => {
  let page;
  withSite({ hash: '#/gallery' }, (on) => {
    ({ page } = on);
  });
  const guide = fs.readFileSync(inRoot('docs/guides/curious.md'), 'utf8');

  test('the searches that it names find something in the gallery', async () => {
    await shown(page, 'gallery');
    const [sentence] = /Search it by meaning[^.]*/.exec(guide);
    const searches = [...sentence.matchAll(/“([^”]+)”/g)].map(([, words]) => words).filter((words) => words !== 'How we know');
    assert.ok(searches.length >= 3);
    for (const words of searches) {
      await page.getByRole('searchbox', { name: 'Search by meaning' }).fill(words);
      await page.waitForFunction((said) => location.hash.includes(`q=${said}`), encodeURIComponent(words).replaceAll('%20', '+'));
      const found = () => page.locator('[data-found]').getAttribute('data-found');
      assert.ok(Number(await eventually(found, (number) => Number(number) > 0)) > 0, words);
      await page.getByRole('article').first().waitFor();
    }
  });

  test('its figures are those of the start page and of the measurements', async () => {
    const { figuresText } = await siteModule('start/words.ts');
    const { exampleOf } = await siteModule('start/example.ts');
    const figure = /it moves the odds ([\d.]+) times as far/.exec(figuresText(exampleOf(model.read('start.json'))))[1];
    assert.ok(guide.includes(`${figure} times as far as the best of 100 random neurons`), figure);
    const results = fs.readFileSync(inRoot('training/claims/README.md'), 'utf8');
    const [, one, eight] = /one neuron brings up (\d+) of 20 topics, up to eight (\d+) of 20/.exec(results);
    const [, saidOne, saidEight] = /For (\d+) of 20 topics one neuron is enough.*?up to eight together do it\s+for (\d+)/s.exec(guide);
    assert.deepEqual([saidOne, saidEight], [one, eight]);
  });

  test('a search for signs alone that no card has finds none', async () => {
    await page.getByRole('searchbox', { name: 'Search by meaning' }).fill('🦊');
    await page.locator('[data-found="0"]').waitFor();
    await page.getByText('No neuron here is about that.').waitFor();
  });
});

describe('another model and back', { timeout: 1_800_000, skip: !model.dense_twin && 'the shipped model has no twin' }, () => {
  let site;
  let browser;
  withSite({ hash: null }, (on) => {
    ({ site, browser } = on);
  });

  test('Steer shows the edit and its texts again, written by their own model', async () => {
    const { page, close } = await openSite(browser, site, '#/steer?n=3.296&len=12');
    page.setDefaultTimeout(2 * STEP_TIMEOUT);
    const done = async () => {
      await page.locator('[data-divergence]').waitFor();
      await page.locator('[data-doing=nothing]').waitFor({ state: 'attached' });
    };
    await done();
    await page.waitForFunction(() => /[?&]s=/.test(location.hash));
    const idsOf = (side) => page.locator(`[data-side=${side}]`).getAttribute('data-ids');
    const texts = [await idsOf('base'), await idsOf('steered')];
    await page.getByRole('combobox', { name: 'Model' }).selectOption(model.dense_twin);
    await page.getByText('The edits were those of another model').waitFor();
    await page.locator('[data-backend]').waitFor();
    await page.goBack();
    // Run again by the model of the link: not by the one that is about to go, whose end is no error.
    await page.locator('[data-shared=same]').waitFor();
    assert.deepEqual([await idsOf('base'), await idsOf('steered')], texts);
    assert.equal(await page.getByRole('alert').count(), 0);
    await close();
  });
});
