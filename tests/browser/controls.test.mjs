// What a press does to the control itself: where the keyboard goes when it leaves, and what is said of what came of it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  addressHas,
  assertCount,
  CLIPBOARD,
  copiedLink,
  hashOf,
  LOAD_TIMEOUT,
  offeredModels,
  shippedModel,
  withSite,
} from './page-kit.mjs';

const model = shippedModel();
const twin = offeredModels().find(({ name }) => name === model.dense_twin);

describe('controls', { timeout: 1_800_000, skip: !model.features && 'the shipped model has no statistics' }, () => {
  let page;
  withSite({ load: true, context: CLIPBOARD }, (on) => {
    ({ page } = on);
  });
  const open = (hash) => page.evaluate((to) => (location.hash = to), hash);
  /** Presses a control by keyboard. */
  const press = async (control) => {
    await control.focus();
    await page.keyboard.press('Enter');
  };
  const isIn = (selector) => page.waitForFunction((wanted) => document.activeElement?.matches(wanted), selector);

  test('all rows of a ranking: the keyboard goes on at the first that came', async () => {
    await open('#/explore?open=why');
    await page.locator('[data-effect]').nth(19).waitFor();
    await press(page.getByRole('button', { name: /^Show all \d+$/ }));
    await isIn('tr[data-effect]:nth-child(21) button');
  });

  test('a ranking that could not be computed says so, and is asked for again', async () => {
    await open('#/explore?p=The+cat');
    await addressHas(page, 'open', null);
    await page.evaluate(() => {
      const { postMessage } = Worker.prototype;
      Worker.prototype.postMessage = function (message, ...rest) {
        const wrong = message.method === 'ablate' ? { ...message, args: { ...message.args, target: 1e9 } } : message;
        return postMessage.call(this, wrong, ...rest);
      };
      globalThis.mend = () => (Worker.prototype.postMessage = postMessage);
    });
    await open('#/explore?p=The+cat&open=why');
    const ask = page.locator('.ask');
    await ask.getByText('This could not be computed.').waitFor();
    await page.evaluate(() => mend());
    await press(ask.getByRole('button', { name: 'Start again' }));
    await page.locator('[data-effect]').first().waitFor();
    await ask.getByText('This could not be computed.').waitFor({ state: 'detached' });
    await page.getByRole('alert').getByRole('button', { name: 'Close' }).click();
  });

  test('a prompt that recipes were measured on is taken: the keyboard stays with the recipes', async () => {
    await open('#/steer?p=A+prompt+of+mine&len=4');
    await press(page.getByRole('button', { name: /^take “/ }));
    await isIn('.recipes button');
    assert.notEqual(await page.getByRole('textbox', { name: 'Prompt' }).inputValue(), 'A prompt of mine');
  });

  test('nothing found in a list: the search for all that is known leaves the keyboard in the search field', async () => {
    await open('#/browse?q=qqqq');
    await page.locator('main[data-page=browse]').waitFor();
    await page.getByRole('combobox', { name: 'where it' }).selectOption({ index: 1 });
    await press(page.getByRole('button', { name: 'Search all that is known of them' }));
    await isIn('input[type=search]');
  });

  test('a number half typed stays behind when another page is opened', async () => {
    await open('#/browse');
    const bits = page.getByLabel('Max. entropy (bits)');
    await bits.focus();
    await page.keyboard.type('1');
    await open('#/gallery?q=plural');
    await page.locator('main[data-page=gallery]').waitFor();
    assert.deepEqual(hashOf(page).params, { q: 'plural' });
    // On its own page, what is typed is taken when it is left.
    await open('#/browse');
    await page.locator('main[data-page=browse]').waitFor();
    await bits.focus();
    await page.keyboard.type('1');
    await page.keyboard.press('Tab');
    await addressHas(page, 'hmax', '1');
  });

  test('all neurons of a patch, and the same texts in the twin', { skip: !twin && 'the twin is not offered' }, async () => {
    await open('#/patch');
    await page.locator('[data-parts]').waitFor({ timeout: LOAD_TIMEOUT });
    await page.getByText(/In the table, which begins with the 12 that do most, each is set by/).waitFor();
    const button = page.getByRole('button', { name: /^Show all \d+$/ });
    const [, many] = /(\d+)/.exec(await button.innerText());
    await press(button);
    await isIn('tr[data-alone]:nth-child(13) a');
    await assertCount(page.locator('[data-alone]'), Number(many));
    await press(page.getByRole('link', { name: /^The same in/ }));
    await addressHas(page, 'model', twin.name);
    await page.locator('main:focus').waitFor();
  });

  test('the challenges of the other model', { skip: !(twin && model.challenges) && 'there is no twin without challenges' }, async () => {
    await open(`#/challenges?model=${twin.name}`);
    await press(page.getByRole('link', { name: /^Take those of/ }));
    await page.locator('[data-challenge]').waitFor({ timeout: LOAD_TIMEOUT });
    await page.locator('main:focus').waitFor();
  });

  test('a definition is read by touch, where a tap gives no focus, until the next press elsewhere', async () => {
    await open(`#/m/${model.name}/1/100`);
    await page.locator('main[data-page=neuron]').waitFor();
    await page.locator('summary', { hasText: 'Figures for researchers' }).first().click();
    const stat = page.locator('.stat:visible').first();
    const [term, tip] = [stat.getByRole('button'), stat.locator('[role=tooltip]')];
    await term.waitFor();
    const isOpen = (wanted) => tip.waitFor({ state: wanted ? 'visible' : 'hidden' });
    await isOpen(false);
    const touch = (types) =>
      term.evaluate((button, all) => {
        for (const type of all) button.dispatchEvent(new PointerEvent(type, { pointerType: 'touch', bubbles: !/enter|leave/.test(type) }));
        button.click();
      }, types);
    await touch(['pointerenter', 'pointerdown', 'pointerup', 'pointerleave']);
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 300))); // longer than the way to the definition
    await isOpen(true);
    await page
      .locator('h1')
      .evaluate((title) => title.dispatchEvent(new PointerEvent('pointerdown', { pointerType: 'touch', bubbles: true })));
    await isOpen(false);
  });

  test('“Copied” is said of the link that was copied, for a while', async () => {
    await open('#/gallery');
    await page.locator('main[data-page=gallery]').waitFor();
    const share = page.getByRole('button', { name: 'Share' });
    const told = page.locator('[role=status]').getByText('The link is copied.').waitFor({ state: 'attached' });
    await Promise.all([told, copiedLink(page, press)]);
    await share.waitFor();
    assert.equal(await share.evaluate((button) => button === document.activeElement), true);
    // Another link, while that time would not end.
    await page.evaluate(() => {
      const { setTimeout: wait } = globalThis;
      globalThis.setTimeout = (work, ms, ...rest) => (ms === 2_000 ? 0 : wait(work, ms, ...rest));
    });
    assert.match(await copiedLink(page, press), /#\/gallery/);
    await open('#/gallery?q=plural');
    await share.waitFor();
  });

  test('code that the browser does not let us copy says so', async () => {
    await open('#/steer?len=4&temp=0&p=The+dog');
    await page.locator('main[data-page=steer]').waitFor();
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByText('Export: code').click();
    await page.evaluate(() => {
      navigator.clipboard.writeText = () => Promise.reject(new DOMException('no', 'NotAllowedError'));
    });
    await page.getByRole('button', { name: 'Copy JavaScript' }).click();
    await page.getByText('The browser did not allow it: select the code and copy it by hand.').waitFor();
  });

  test('where a prompt ends, and where a neuron is most active, is said beside the colors', async () => {
    const end = page.locator('[data-side=base] [data-prompt-end]');
    assert.match(await end.innerText(), /^The prompt is the first \d+ tokens, up to “ ?dog”; what follows is new\.$/);
    await open(`#/m/${model.name}/1/296`);
    await page.getByText(/^Active at [1-9]\d* of \d+ tokens/).waitFor();
    assert.match(await page.locator('[data-own] [data-strongest]').innerText(), /^Strongest: “.+” at position \d+, [\d.]+/);
    await page.getByRole('textbox', { name: 'Your own text' }).fill('');
    await page.getByText('There is no token after the start token.').waitFor();
  });
});
