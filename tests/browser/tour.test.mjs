// The tour: six steps on the live pages, by mouse and by key, from links; what it speaks of is there and marked.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openPage } from './harness.mjs';
import { assertUsable, eventually, hashOf, loaded, shippedModel, STEP_TIMEOUT, siteModule, withSite } from './page-kit.mjs';

const { TOUR } = await siteModule('tour.ts');

describe('the tour', { timeout: 1_800_000, skip: !shippedModel().start && 'the shipped model has no start.json' }, () => {
  let browser;
  let page;
  let site;
  withSite({ hash: '#/', load: true }, (on) => {
    ({ browser, page, site } = on);
  });
  const panel = () => page.getByRole('complementary', { name: /./ }).and(page.locator('[data-tour]'));
  const at = async (number) => {
    await page.locator(`[data-tour="${number}"]`).waitFor();
    await page.locator(`main[data-page=${TOUR[number - 1].page}]`).waitFor({ timeout: 2 * STEP_TIMEOUT });
    await page.locator(`${TOUR[number - 1].target}[data-toured]`).waitFor({ timeout: 2 * STEP_TIMEOUT });
    // What is drawn anew is marked a moment later.
    const marked = await eventually(
      () => page.locator('[data-toured]').count(),
      (count) => count === 1,
    );
    assert.equal(marked, 1);
  };

  test('goes from step to step; what each speaks of is marked and in view', async () => {
    await page.getByRole('link', { name: /^How it works/ }).click();
    for (let number = 1; number <= TOUR.length; number++) {
      await at(number);
      await page.waitForFunction(() => {
        const { top = Infinity, bottom } = document.querySelector('[data-toured]')?.getBoundingClientRect() ?? {};
        return top < innerHeight - 100 && bottom > 100;
      });
      await page.waitForFunction(() => document.activeElement.id === 'tour-title');
      // The mark is drawn within it, where nothing that scrolls cuts it off, and the panel lies beside it.
      const lies = () => {
        if (!document.querySelector('[data-toured]')) return { isInside: false, covered: 1 };
        const [marked, over] = ['[data-toured]', '[data-tour]'].map((of) => document.querySelector(of).getBoundingClientRect());
        const width = Math.max(0, Math.min(marked.right, over.right) - Math.max(marked.left, over.left));
        const height = Math.max(0, Math.min(marked.bottom, over.bottom) - Math.max(marked.top, over.top));
        const { outlineOffset, outlineWidth } = getComputedStyle(document.querySelector('[data-toured]'));
        return {
          isInside: Number.parseFloat(outlineOffset) <= -Number.parseFloat(outlineWidth),
          covered: (width * height) / (marked.width * marked.height),
        };
      };
      // It is scrolled there smoothly, and the panel goes to the other side where it has to.
      const { isInside, covered } = await eventually(
        () => page.evaluate(lies),
        (place) => place.isInside && place.covered < 0.3,
      );
      assert.ok(isInside && covered < 0.3, `step ${number}: ${isInside}, ${covered} of it is covered`);
      assert.equal(hashOf(page).params.tour, String(number));
      if (number === 2) await assertUsable(page);
      if (number === 5) await page.locator('[data-evicted]:not([data-evicted="0"])').waitFor({ timeout: 2 * STEP_TIMEOUT });
      await panel()
        .getByRole('button', { name: number < TOUR.length ? 'Next' : 'Done' })
        .click();
    }
    await panel().waitFor({ state: 'detached' });
    await page.locator('[data-toured]').waitFor({ state: 'detached' });
    assert.equal(hashOf(page).params.tour, undefined);
  });

  test('a link opens a step, with what it needs; Escape ends it and the page stays', async () => {
    await page.goto('about:blank');
    await page.goto(`${site.url}?backend=cpu#/?tour=4`);
    await loaded(page);
    await at(4);
    await page.locator('[data-divergence]').waitFor({ timeout: 2 * STEP_TIMEOUT });
    await page.locator('[data-toured]:has([data-side=base]):has([data-side=steered])').waitFor();
    await assertUsable(page);
    await panel().getByRole('button', { name: 'Back' }).click();
    await at(3);
    await page.keyboard.press('Escape');
    await panel().waitFor({ state: 'detached' });
    assert.equal(hashOf(page).route, '/explore');
  });

  test('it is never in the way: another page may be opened, and the tour goes on where it was', async () => {
    await page.evaluate(() => (location.hash = '#/explore?tour=2'));
    await at(2);
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Browse' }).click();
    await page.locator('main[data-page=browse]').waitFor();
    await page.locator('[data-toured]').waitFor({ state: 'detached' });
    await panel().getByRole('button', { name: 'Go there' }).click();
    await at(2);
    await panel()
      .getByRole('button', { name: /^Close/ })
      .click();
    await panel().waitFor({ state: 'detached' });
  });

  test('where its code does not arrive, the page says so, and goes on', async () => {
    const { page, close } = await openPage(browser, 'about:blank', { ignore: [/ERR_FAILED/] });
    await page.route(/\/assets\/Tour-[^/]*\.js$/, (route) => route.abort());
    await page.goto(`${site.url}?backend=cpu#/explore?tour=1`);
    await page.getByRole('alert').getByText('The tour could not be loaded.').waitFor();
    await page.unroute(/\/assets\/Tour-[^/]*\.js$/);
    await page.getByRole('button', { name: 'Reload the page' }).click();
    await page.locator('[data-tour="1"]').waitFor();
    assert.equal(await page.getByRole('alert').count(), 0);
    await close();
  });
});
