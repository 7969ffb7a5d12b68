// The path of a first visit, from a stored text to a shared link: by the keyboard alone, and by touch on a phone.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  accessibilityFindings,
  addressHasSteered,
  CLIPBOARD,
  copiedLink,
  hashOf,
  loaded,
  openSite,
  shippedModel,
  sidewaysScroll,
  STEP_TIMEOUT,
  WEIGHTS,
  withSite,
  ranked,
} from './page-kit.mjs';

/** Most presses of Tab to anything that the path needs. */
const MOST_TABS = 150;

const idsOf = (page, side) => page.locator(`[data-side=${side}]`).getAttribute('data-ids');
const settled = async (page) => {
  await page.locator('[data-divergence]').waitFor();
  await page.locator('[data-doing=nothing]').waitFor({ state: 'attached' });
  // The address, which a link is made of, follows a moment behind.
  await addressHasSteered(page, (await idsOf(page, 'steered')).split(',').map(Number));
};

/** Presses Tab until `locator` has the focus, which must be seen. */
async function tabTo(page, locator) {
  for (let presses = 0; presses < MOST_TABS; presses++) {
    await page.keyboard.press('Tab');
    const state = await locator.evaluate((element) => {
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      return { here: element === document.activeElement, seen: outlineStyle !== 'none' && outlineWidth !== '0px' };
    });
    if (!state.here) continue;
    assert.ok(state.seen, `the focus on ${locator} is not seen`);
    return;
  }
  assert.fail(`${locator} was not reached by ${MOST_TABS} presses of Tab`);
}

describe('the five-minute path', { timeout: 1_800_000, skip: !shippedModel().features && 'the shipped model has no statistics' }, () => {
  let site;
  let browser;
  withSite({ hash: null }, (on) => {
    ({ site, browser } = on);
  });

  /** Opens what was shared in a fresh profile, and finds the same texts there, before the model and after. */
  async function opensTheSame(link, texts, context) {
    site.hold(WEIGHTS);
    const fresh = await openSite(browser, site, new URL(link).hash, { context });
    try {
      fresh.page.setDefaultTimeout(STEP_TIMEOUT);
      await fresh.page.locator('[data-shared=shown]').waitFor();
      assert.deepEqual([await idsOf(fresh.page, 'base'), await idsOf(fresh.page, 'steered')], texts);
      const { y } = await fresh.page.locator('[data-side=base]').boundingBox();
      assert.ok(y < context.viewport.height, `the text begins at ${y} px, out of sight`);
      site.release();
      await fresh.page.locator('[data-shared=same]').waitFor({ timeout: 4 * STEP_TIMEOUT });
    } finally {
      site.release();
      await fresh.close();
    }
  }

  test('by the keyboard alone', async () => {
    const context = CLIPBOARD;
    const { page, close } = await openSite(browser, site, '#/explore', { context });
    page.setDefaultTimeout(STEP_TIMEOUT);
    await page.locator('[data-state=stored], [data-state=live]').first().waitFor();
    // A link past the frame, then a neuron of the chosen token.
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to content');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    assert.equal(await loaded(page), 'cpu');
    await page.locator('[data-state=live]').waitFor();
    await ranked(page);
    const neuron = page
      .getByRole('table', { name: /one row per token/ })
      .locator('.cell.current button[aria-pressed=false]')
      .first();
    const [, layer, index] = /Layer (\d+) neuron (\d+)/.exec(await neuron.getAttribute('title'));
    // The table is one stop; within it the arrow keys go from button to button.
    await tabTo(page, page.locator('[role=rowheader] button[tabindex="0"]'));
    const wanted = `Layer ${layer} neuron ${index},`;
    while (!(await page.evaluate((title) => document.activeElement.title.startsWith(title), wanted)))
      await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    await page.locator(`[data-lit="${layer}.${index}"]`).waitFor();
    await page.getByRole('heading', { name: `Layer ${layer} neuron ${index}` }).waitFor();
    // Its page: definitions on focus, and on to steering.
    await tabTo(page, page.getByRole('link', { name: 'Details' }));
    await page.keyboard.press('Enter');
    await page.locator(`[data-neuron="${layer}.${index}"]`).first().waitFor();
    await page.getByRole('heading', { name: 'Across training' }).waitFor();
    await tabTo(page, page.getByRole('link', { name: 'Steer with this' }));
    await page.keyboard.press('Enter');
    await settled(page);
    // Another strength.
    const before = await idsOf(page, 'steered');
    const slider = page.locator('input[type=range][aria-valuetext*=" × "]').first();
    await tabTo(page, slider);
    for (let press = 0; press < 5; press++) await page.keyboard.press('ArrowRight');
    await page.locator('input[type=range][aria-valuetext^="1.50 ×"]').waitFor();
    await page.waitForFunction((old) => document.querySelector('[data-side=steered]').dataset.ids !== old, before);
    await settled(page);
    const link = await copiedLink(page, async (button) => {
      await tabTo(page, button);
      await page.keyboard.press('Enter');
    });
    assert.match(link, new RegExp(`e=${layer}\\.${index}_clamp_`));
    await opensTheSame(link, [await idsOf(page, 'base'), await idsOf(page, 'steered')], context);
    await close();
  });

  test('by touch, on a phone in portrait', async () => {
    const context = { ...CLIPBOARD, viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
    const { page, close } = await openSite(browser, site, '#/explore', { context });
    page.setDefaultTimeout(STEP_TIMEOUT);
    const fits = async (where) => assert.equal(await sidewaysScroll(page), 0, `sideways scrolling: ${where}`);
    await page.locator('[data-state=stored], [data-state=live]').first().waitFor();
    await fits('Explore');
    assert.equal(await loaded(page), 'cpu');
    await page.locator('[data-state=live]').waitFor();
    await ranked(page);
    const neuron = page
      .getByRole('table', { name: /one row per token/ })
      .locator('.cell.current button[aria-pressed=false]')
      .first();
    const [, layer, index] = /Layer (\d+) neuron (\d+)/.exec(await neuron.getAttribute('title'));
    await neuron.tap();
    // What the tap changed is in view: the card comes up as a sheet.
    const heading = page.getByRole('heading', { name: `Layer ${layer} neuron ${index}` });
    await heading.waitFor();
    const { y } = await heading.boundingBox();
    assert.ok(y >= 0 && y < 844, `the card's heading is at ${y}`);
    await neuron.waitFor();
    await fits('Explore with a card');
    await page.getByRole('link', { name: 'Details' }).tap();
    // A phone folds what a first reader does not need.
    await page.locator('summary', { hasText: 'Across training' }).tap();
    await page.getByRole('heading', { name: 'Across training' }).waitFor();
    await fits('Neuron');
    assert.deepEqual(await accessibilityFindings(page), []);
    await page.getByRole('link', { name: 'Steer with this' }).first().tap();
    await settled(page);
    await fits('Steer');
    const link = await copiedLink(page, (button) => button.tap());
    await opensTheSame(link, [await idsOf(page, 'base'), await idsOf(page, 'steered')], context);
    // Every page's link is whole and in sight: nothing has to be scrolled sideways to be found.
    const unseen = await page
      .getByRole('navigation', { name: 'Pages' })
      .getByRole('link')
      .evaluateAll((links) => {
        const cut = (link) => {
          const [{ left, right, height }, nav] = [link.getBoundingClientRect(), link.closest('nav').getBoundingClientRect()];
          return height < 24 || left < Math.max(0, nav.left) - 0.5 || right > Math.min(innerWidth, nav.right) + 0.5;
        };
        return links.filter(cut).map((link) => link.textContent);
      });
    assert.deepEqual(unseen, []);
    // The other pages by the bar above.
    for (const [name, heading] of [
      ['Browse', 'All neurons'],
      ['Trace', 'Trace'],
      ['Your model', 'Your model'],
      ['About', 'About'],
    ]) {
      await page.getByRole('navigation').getByRole('link', { name, exact: true }).tap();
      await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
      await fits(name);
    }
    assert.equal(hashOf(page).route, '/about');
    await close();
  });
});
