// Weights of a training step in the page: what was written by them is shared and run again by them; a text under way keeps its own.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TopKLM } from 'topk-lm';
import { openPage } from './harness.mjs';
import {
  CLIPBOARD,
  copiedLink,
  hashOf,
  LOAD_TIMEOUT,
  loaded,
  holdText,
  openSite,
  shippedModel,
  siteModule,
  STEP_TIMEOUT,
  withSite,
} from './page-kit.mjs';

const { DEFAULTS } = await siteModule('stored-steering.ts');

const PROMPT = 'Once upon a time';
const idsOf = async (page) => (await page.locator('[data-side=base]').getAttribute('data-ids')).split(',').map(Number);
const doing = (page) => page.locator('[data-doing]').getAttribute('data-doing');
const idle = (page) => page.locator('[data-doing=nothing]').waitFor({ state: 'attached' });
const ready = (page, step) =>
  page
    .getByText(step === null ? 'The model is ready.' : `The weights of training step ${step.toLocaleString('en')} are ready.`)
    .waitFor({ state: 'attached' });

describe('training steps', { timeout: 1_800_000 }, () => {
  const model = shippedModel();
  const [{ step: early }] = model.steps;
  let site;
  let browser;
  let page;
  /** Weights that the server does not have. */
  let gone = null;
  const intercept = (request, response) => {
    if (gone === null || !request.url.includes(`/step${gone}/`)) return false;
    response.writeHead(404).end();
    return true;
  };
  withSite({ hash: `#/steer?len=12&ckpt=${early}`, context: CLIPBOARD, serve: { intercept } }, (on) => {
    ({ site, browser, page } = on);
  });

  /** What the engine itself writes with the weights of a step. */
  async function written(step, { maxTokens, seed = DEFAULTS.seed, temperature = DEFAULTS.temperature }) {
    const engine = await TopKLM.load(model.folder, { backend: 'cpu' });
    try {
      if (step !== null) await engine.loadCheckpoint(step);
      const ids = [...(await engine.tokenizer.encode(PROMPT))];
      for await (const { id } of engine.generate(ids, { maxTokens, seed, temperature })) ids.push(id);
      return ids;
    } finally {
      await engine.dispose();
    }
  }

  let link;
  let expected;
  test('a link that names a step opens with its weights, and no others', async () => {
    expected = await written(early, { maxTokens: 12 });
    assert.notDeepEqual(await written(null, { maxTokens: 12 }), expected);
    await loaded(page);
    await ready(page, early);
    await page.getByRole('button', { name: 'Run' }).click();
    await page.locator('[data-side=base]').getByText('12 new tokens').waitFor();
    await idle(page);
    assert.deepEqual(await idsOf(page), expected);
    await page.waitForFunction(() => new URLSearchParams(location.hash.split('?')[1]).has('b'));
    link = await copiedLink(page);
    assert.match(link, new RegExp(`model=${model.name}&ckpt=${early}`));
  });

  test('shared at a step, a fresh profile shows the same text and writes it again by the same weights', async () => {
    site.hold(/model\.safetensors/);
    const fresh = await openSite(browser, site, new URL(link).hash);
    try {
      fresh.page.setDefaultTimeout(STEP_TIMEOUT);
      await fresh.page.locator('[data-shared=shown]').waitFor();
      assert.deepEqual(await idsOf(fresh.page), expected);
      site.release();
      await fresh.page.locator('[data-shared=same]').and(fresh.page.getByRole('status')).waitFor({ timeout: LOAD_TIMEOUT });
      assert.deepEqual(await idsOf(fresh.page), expected);
      assert.equal(hashOf(fresh.page).params.ckpt, String(early));
      // The same link, opened where the final weights are in place.
      await fresh.page.evaluate(() => (location.hash = '#/steer'));
      await ready(fresh.page, null);
      await fresh.page.evaluate((hash) => (location.hash = hash), new URL(link).hash);
      await fresh.page.locator('[data-shared=same]').waitFor();
      await ready(fresh.page, early);
    } finally {
      site.release();
      await fresh.close();
    }
  });

  test('where those weights cannot be loaded, the text is shown and not run again by others', async () => {
    gone = early;
    const { hash } = new URL(link);
    const fresh = await openSite(browser, site, hash, { ignore: [/404/] });
    try {
      fresh.page.setDefaultTimeout(STEP_TIMEOUT);
      await fresh.page
        .getByText(`written at training step ${early.toLocaleString('en')}, whose weights could not be loaded`)
        .waitFor({ timeout: LOAD_TIMEOUT });
      assert.deepEqual(await idsOf(fresh.page), expected);
      assert.equal(await fresh.page.locator('[data-shared]').getAttribute('data-shared'), 'shown');
      // The advice is one that can be followed: there is no download that would go on.
      await fresh.page.getByText('The previous weights stay in use.').waitFor();
      assert.equal(await fresh.page.getByText('the download continues').count(), 0);
      // Named by an address again, they are asked for once.
      await fresh.page.evaluate((step) => {
        globalThis.asked = 0;
        const { postMessage } = Worker.prototype;
        Worker.prototype.postMessage = function (message, ...rest) {
          if (message.method === 'loadCheckpoint') globalThis.asked++;
          postMessage.call(this, message, ...rest);
        };
        location.hash = `#/steer?ckpt=${step}`;
      }, early);
      await fresh.page.waitForURL(/#\/steer$/);
      assert.equal(await fresh.page.evaluate(() => globalThis.asked), 1);
    } finally {
      gone = null;
      await fresh.close();
    }
  });

  // In Firefox such a drag ends without the event `change`.
  test('a slider that was dragged and put back shows what is chosen elsewhere', async () => {
    const putBack = (slider) =>
      slider.evaluate((input) => {
        const { value } = input;
        for (const at of [input.min, value]) {
          input.value = at;
          input.dispatchEvent(new Event('input', { bubbles: true }));
        }
      });
    const fresh = await openSite(browser, site, '#/steer?e=1.2_clamp_3*1.3_clamp_6');
    try {
      await loaded(fresh.page);
      const training = fresh.page.getByRole('slider', { name: /^Training/ });
      await putBack(training);
      await fresh.page.evaluate((step) => (location.hash += `&ckpt=${step}`), early);
      await fresh.page.waitForFunction((input) => input.value === '0', await training.elementHandle());
      const strength = fresh.page.locator('.slider input[type=range]');
      const times = Number(await strength.inputValue());
      await putBack(strength);
      await fresh.page.getByRole('spinbutton', { name: 'Value' }).fill('9');
      await fresh.page.getByRole('spinbutton', { name: 'Value' }).press('Tab');
      await fresh.page.waitForFunction(([input, before]) => Number(input.value) > before, [await strength.elementHandle(), times]);
    } finally {
      await fresh.close();
    }
  });

  test('the way back to the weights in place ends the download of others', async () => {
    const fresh = await openSite(browser, site, '#/explore', { ignore: [/ERR_FAILED/] });
    try {
      await loaded(fresh.page);
      const failed = fresh.page.waitForEvent('requestfailed', (request) => request.url().endsWith(`/step${early}/model.safetensors`));
      await fresh.page.route(`**/step${early}/model.safetensors`, () => {}); // no answer
      const slider = fresh.page.getByRole('slider', { name: /^Training/ });
      await slider.fill('0');
      await fresh.page.getByText('0 % Cancel').waitFor();
      await slider.fill(String(model.steps.length));
      await failed;
      await fresh.page.getByText('0 % Cancel').waitFor({ state: 'detached' });
      await ready(fresh.page, null);
      assert.equal(hashOf(fresh.page).params.ckpt, undefined);
    } finally {
      await fresh.close();
    }
  });

  test('a cancel that comes when they are in place puts the weights before back', async () => {
    const fresh = await openPage(browser, 'about:blank');
    try {
      await fresh.page.addInitScript(() => {
        const { addEventListener } = Worker.prototype;
        // What the worker answers last is heard when the page calls `goOn()`.
        Worker.prototype.addEventListener = function (type, listener, ...rest) {
          const hear = (event) => {
            if (globalThis.held && event.data.type === 'result') globalThis.held.push(() => listener(event));
            else listener(event);
          };
          addEventListener.call(this, type, type === 'message' ? hear : listener, ...rest);
        };
        globalThis.goOn = () => {
          for (const tell of globalThis.held.splice(0)) tell();
          globalThis.held = null;
        };
      });
      await fresh.page.goto(`${site.url}?backend=cpu#/steer?temp=0&len=8&p=Tom`);
      await loaded(fresh.page);
      const run = async (seed) => {
        await fresh.page.getByRole('spinbutton', { name: 'Seed' }).fill(String(seed));
        await fresh.page.getByRole('button', { name: 'Run', exact: true }).click();
        await fresh.page.waitForFunction((wanted) => new RegExp(`seed=${wanted}&b=`).test(location.hash), seed);
        return idsOf(fresh.page);
      };
      const before = await run(1);
      await fresh.page.evaluate(() => (globalThis.held = []));
      await fresh.page.getByRole('slider', { name: /^Training/ }).fill('0');
      await fresh.page.waitForFunction(() => globalThis.held.length > 0); // they are in place
      await fresh.page.getByRole('button', { name: 'Cancel' }).click();
      await fresh.page.evaluate(() => globalThis.goOn());
      await ready(fresh.page, null);
      assert.deepEqual(await run(2), before, 'greedy texts differ by their weights alone');
      // Asked for again before the engine has answered: they come.
      await fresh.page.evaluate(() => (globalThis.held = []));
      const slider = fresh.page.getByRole('slider', { name: /^Training/ });
      await slider.fill('0');
      await fresh.page.waitForFunction(() => globalThis.held.length > 0);
      await fresh.page.getByRole('button', { name: 'Cancel' }).click();
      await slider.fill('0');
      await fresh.page.getByRole('button', { name: 'Cancel' }).waitFor();
      await fresh.page.evaluate(() => globalThis.goOn());
      await ready(fresh.page, early);
      assert.equal(hashOf(fresh.page).params.ckpt, String(early));
    } finally {
      await fresh.close();
    }
  });

  test('a step that the model does not have is said once, and not asked for', async () => {
    const fresh = await openSite(browser, site, '#/steer');
    try {
      fresh.page.setDefaultTimeout(STEP_TIMEOUT);
      await loaded(fresh.page);
      await fresh.page.evaluate(() => (location.hash = '#/steer?ckpt=987654'));
      await fresh.page.waitForURL(/#\/steer$/);
      const alert = fresh.page.getByRole('alert');
      await alert.getByText('This model has no training step 987,654').waitFor();
      assert.equal(await alert.count(), 1);
    } finally {
      await fresh.close(); // a request for its weights would be an error here
    }
  });

  test('with the weights of a step, pages say that what was measured is of the final ones, and the gallery tries it with those', {
    skip: !model.features && 'the shipped model has no statistics',
  }, async () => {
    for (const [name, filled] of [
      ['browse', '[data-row]'],
      ['gallery', '[data-found]'],
      ['steer', '[data-side=base]'],
    ]) {
      await page.evaluate((to) => (location.hash = to), `#/${name}?ckpt=${early}`);
      await page.locator(`main[data-page=${name}] ${filled}`).first().waitFor();
      await ready(page, early);
      await page
        .locator(`main[data-page=${name}] [data-step-note]`)
        .getByText(`those of the final weights, not of step ${early}`)
        .waitFor();
    }
    await page.evaluate((to) => (location.hash = to), `#/gallery?ckpt=${early}`);
    await page
      .getByRole('link', { name: /Try it/ })
      .first()
      .click();
    await page.locator('main[data-page=steer]').waitFor();
    assert.equal(hashOf(page).params.ckpt, undefined);
    await ready(page, null);
    await page.locator('[data-step-note]').waitFor({ state: 'detached' });
  });

  test('nothing is swept or written with ten seeds until the weights of the address are in place', async () => {
    const { page: fresh, close } = await openSite(browser, site, '#/steer?len=4&e=1.2_clamp_3');
    try {
      fresh.setDefaultTimeout(STEP_TIMEOUT);
      await loaded(fresh);
      await fresh.locator('[data-divergence]').waitFor();
      await idle(fresh);
      const buttons = [/^Sweep \d+ strengths/, /^Write with \d+ seeds/].map((name) => fresh.getByRole('button', { name }));
      for (const button of buttons) assert.equal(await button.isEnabled(), true);
      site.hold(/model\.safetensors/);
      await fresh.getByRole('slider', { name: 'Training' }).press('Home');
      await fresh.getByText('Loading a checkpoint.').waitFor({ state: 'attached' });
      for (const button of buttons) assert.equal(await button.isDisabled(), true);
      site.release();
      await ready(fresh, early);
      for (const button of buttons) assert.equal(await button.isEnabled(), true);
    } finally {
      site.release();
      await close();
    }
  });

  test('other weights while a text is written: it ends by those it began with, the next one uses the new ones', async () => {
    const maxTokens = 240;
    const [before, later] = [
      await written(null, { maxTokens, seed: 5, temperature: 1 }),
      await written(early, { maxTokens: 10, seed: 5, temperature: 1 }),
    ];
    await page.evaluate(() => (location.hash = '#/steer?len=240&temp=1&seed=5'));
    await page.locator('[data-side=base]').getByText('Press Run: the unmodified model continues').waitFor();
    await ready(page, null);
    await holdText(page, 12);
    await page.getByRole('button', { name: 'Run' }).click();
    await page.waitForFunction(() => document.querySelector('[data-side=base]').dataset.ids.split(',').length > 12);
    await page.getByRole('slider', { name: 'Training' }).focus();
    await page.keyboard.press('Home');
    await ready(page, early);
    assert.equal(await doing(page), 'writing');
    await page.evaluate(() => goOn());
    await idle(page);
    assert.deepEqual(await idsOf(page), before);
    await page.locator('[data-side=base]').getByText('from other settings').waitFor();
    assert.equal(await page.getByLabel('Prompt').inputValue(), PROMPT);
    await page.getByRole('spinbutton', { name: 'New tokens' }).fill('10');
    await page.getByRole('spinbutton', { name: 'New tokens' }).press('Tab');
    await page.getByRole('button', { name: 'Run' }).click();
    await page.locator('[data-side=base]').getByText('10 new tokens', { exact: true }).waitFor();
    assert.deepEqual(await idsOf(page), later);
    await page.waitForFunction(() => new URLSearchParams(location.hash.split('?')[1]).has('b'));
    assert.equal(hashOf(page).params.ckpt, String(early));
  });
});
