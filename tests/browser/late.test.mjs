// What comes late does not take the place of what the reader has done since, nor stand for another model's.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openPage } from './harness.mjs';
import {
  addressHas,
  CLIPBOARD,
  loaded,
  offeredModels,
  openSite,
  pageTime,
  shippedModel,
  STEP_TIMEOUT,
  WEIGHTS,
  withSite,
  ranked,
} from './page-kit.mjs';

const model = shippedModel();
const twin = offeredModels().find(({ name }) => name === model.dense_twin);

describe('what comes late', { timeout: 1_800_000 }, () => {
  let site;
  let browser;
  withSite({ hash: null }, (on) => {
    ({ site, browser } = on);
  });

  async function visit(hash, work) {
    const options = { ignore: [/404/, /503/], context: CLIPBOARD };
    const { page, close } = hash === null ? await openPage(browser, 'about:blank', options) : await openSite(browser, site, hash, options);
    page.setDefaultTimeout(STEP_TIMEOUT);
    try {
      await work(page);
    } finally {
      site.release();
      await close();
    }
  }
  const box = (page) => page.getByRole('textbox', { name: 'Text' });

  test('the model that gets ready while one types does not replace what is typed', async () => {
    site.hold(WEIGHTS);
    await visit('#/explore', async (page) => {
      await page.locator('[data-state=stored]').waitFor();
      await box(page).fill('The ');
      site.release();
      // Never a pause long enough for the text to be read, until the model is there.
      let typed = 'The ';
      for (let there = false, more = 4; more > 0; there = (await page.locator('[data-backend]').count()) > 0, more -= there) {
        await box(page).press('a');
        typed += 'a';
      }
      await page.locator('[data-state=live]').waitFor();
      await page.waitForFunction(() => /[?&][tp]=/.test(location.hash));
      assert.equal(await box(page).inputValue(), typed);
    });
  });

  test('characters of several tokens are in the text again after a reload, and in what is sent to Steer', async () => {
    const text = 'The café was naïve — 🙂';
    await visit('#/explore', async (page) => {
      await loaded(page);
      await box(page).fill(text);
      await page.waitForFunction(() => /[?&]t=/.test(location.hash));
      await page.reload();
      await page.waitForFunction(() => document.querySelector('textarea')?.value);
      assert.equal(await box(page).inputValue(), text);
      await page.locator('[data-state=live]').waitFor();
      await ranked(page);
      // In sight: the table, which scrolls to the chosen position, makes its rows anew where it is scrolled.
      await page.locator('.cell.current .neuron').first().click();
      await page.getByRole('link', { name: 'Steer with this' }).click();
      const prompt = page.getByRole('textbox', { name: 'Prompt' });
      await page.waitForFunction(() => /[?&]p=/.test(location.hash));
      assert.equal(await prompt.inputValue(), text);
    });
  });

  test('an example that is chosen right after typing is shown', async () => {
    await visit('#/explore', async (page) => {
      await loaded(page);
      const [{ title }] = model.read('examples/index.json').texts;
      await box(page).fill('A cow');
      await page.getByRole('button', { name: title }).click();
      await pageTime(page, 500); // longer than the pause after which a typed text is read
      await page.locator('[data-state=live]').waitFor();
      assert.equal(await page.getByRole('button', { name: title }).getAttribute('aria-pressed'), 'true');
    });
  });

  test('a text that came with a link can be cleared', async () => {
    await visit('#/explore?p=A+cat+sat', async (page) => {
      await loaded(page);
      await page.locator('[data-state=live]').waitFor();
      await box(page).fill('');
      await pageTime(page, 500);
      assert.equal(await box(page).inputValue(), '');
      await box(page).fill('A dog');
      await page.waitForFunction(() => /[?&]t=/.test(location.hash));
      assert.equal(await box(page).inputValue(), 'A dog');
    });
  });

  test('a neuron’s own text is shaded by its own model alone', { skip: !twin && 'the twin is not offered' }, async () => {
    await visit(`#/m/${model.name}/2/100`, async (page) => {
      await loaded(page);
      await page.locator('[data-own]').waitFor();
      site.hold(WEIGHTS);
      await page.getByRole('combobox', { name: 'Model' }).selectOption(twin.name);
      await page.getByText('Shaded once the model is loaded.').waitFor();
      assert.equal(await page.locator('[data-own]').count(), 0);
      site.release();
      await page.locator('[data-own]').waitFor();
    });
  });

  test('a number that was just typed is in the link that is copied, and on the page that is left for another', async () => {
    await visit('#/steer', async (page) => {
      await loaded(page);
      const seed = page.getByRole('spinbutton', { name: 'Seed' });
      await seed.fill('77');
      await page.getByRole('button', { name: 'Share' }).click();
      await page.getByRole('button', { name: 'Copied' }).waitFor();
      assert.match(await page.evaluate(() => navigator.clipboard.readText()), /[?&]seed=77(&|$)/);
      await seed.fill('78');
      await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Explore' }).click();
      await page.locator('main[data-page=explore]').waitFor();
      await page.goBack();
      await page.locator('main[data-page=steer]').waitFor();
      await addressHas(page, 'seed', '78');
      assert.equal(await seed.inputValue(), '78');
    });
  });

  /** Of files that begin so, the one that is read first comes only when the page calls `goOn()`. */
  const holdFirst = (page, beginning) =>
    page.evaluate((wanted) => {
      const { text } = Blob.prototype;
      Blob.prototype.text = async function () {
        const content = await text.call(this);
        if (!globalThis.goOn && content.startsWith(wanted)) await new Promise((resolve) => (globalThis.goOn = resolve));
        return content;
      };
    }, beginning);

  test('a loss curve and a hidden state of the model before do not stand under its twin', {
    skip: !twin && 'the twin is not offered',
  }, async () => {
    const pages = [
      { hash: '#/trace', beginning: '{"loss"', seen: 'main figure tbody >> nth=0' },
      { hash: '#/about', beginning: '{"text"', seen: 'section[aria-labelledby=picture-title]' },
    ];
    for (const { hash, beginning, seen } of pages) {
      await visit('#/explore', async (page) => {
        await loaded(page);
        await holdFirst(page, beginning);
        await page.evaluate((to) => (location.hash = to), hash);
        await page.waitForFunction(() => globalThis.goOn);
        await page.getByRole('combobox', { name: 'Model' }).selectOption(twin.name);
        await loaded(page);
        const rows = page.locator(seen);
        await rows.waitFor({ state: 'attached' });
        await pageTime(page, 1000);
        const before = await rows.textContent();
        await page.evaluate(() => globalThis.goOn());
        await pageTime(page, 500);
        assert.equal(await rows.textContent(), before, hash);
      });
    }
  });

  test('a model that is chosen again before the engine’s code is there is loaded once, and said to be loading', {
    skip: !twin && 'the twin is not offered',
  }, async () => {
    site.hold(WEIGHTS);
    await visit(null, async (page) => {
      let goOn;
      const held = new Promise((resolve) => (goOn = resolve));
      await page.route(/\/assets\/npm-[^/]*\.js$/, async (route) => {
        await held;
        await route.continue();
      });
      await page.goto(`${site.url}?backend=cpu#/explore`);
      const models = page.getByRole('combobox', { name: 'Model' });
      for (const { name } of [twin, model]) await models.selectOption(name);
      goOn();
      const bar = page.locator('[data-phase]');
      await page.locator('[data-phase=loading]').waitFor();
      await pageTime(page, 500);
      assert.equal(await bar.getAttribute('data-phase'), 'loading');
    });
  });
});
