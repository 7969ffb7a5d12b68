// Every page by Tab alone: whatever can be operated is reached, and the focus on it is seen.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { shippedModel, siteModule, withSite } from './page-kit.mjs';

const { PAGES } = await siteModule('pages.ts');

describe('by keyboard', { timeout: 1_800_000 }, () => {
  const model = shippedModel();
  let page;
  withSite({ load: true }, (on) => {
    ({ page } = on);
  });

  /** By page: an address that fills it, and what is there once it is filled. */
  const visits = {
    start: ['#/', (on) => on.locator('[data-outcome=after]')],
    explore: ['#/explore?open=next', (on) => on.getByRole('table', { name: 'Most likely next tokens' })],
    neuron: [`#/m/${model.name}/1/100`, (on) => on.getByText(/Active at \d+ of/)],
    gallery: ['#/gallery', (on) => on.locator('[data-found]')],
    browse: ['#/browse', (on) => on.locator('[data-row]').first()],
    steer: ['#/steer?len=6&e=1.2_ablate_0', (on) => on.locator('[data-divergence]')],
    patch: ['#/patch', (on) => on.locator('[data-parts]')],
    trace: [
      '#/trace',
      (on) => on.locator('[data-step=final][data-written=true]'),
      (on) => on.getByRole('slider', { name: 'Neuron', exact: true }).nth(1),
    ],
    challenges: ['#/challenges', (on) => on.locator('[data-challenge]')],
    byo: ['#/byo', (on) => on.locator('tr[data-state=there]').first()],
    about: ['#/about', (on) => on.locator('[data-kept]')],
  };
  for (const { name } of PAGES) {
    test(`${name}: all that can be operated has its stop, in sight`, {
      skip: !model.features && 'the shipped model has no statistics',
    }, async () => {
      const [hash, ...filled] = visits[name] ?? assert.fail(`the page ${name} has no visit here`);
      await page.evaluate((to) => (location.hash = to), hash);
      await page.locator(`main[data-page=${name}]`).waitFor();
      for (const part of filled) await part(page).waitFor();
      await page.evaluate(() => {
        document.activeElement?.blur();
        window.reached = new Set();
        window.unseen = [];
        const say = (element) => element.outerHTML.slice(0, 120);
        const look = ({ target }) => {
          if (window.reached.has(target)) return;
          window.reached.add(target);
          const { outlineStyle, outlineWidth } = getComputedStyle(target);
          if (outlineStyle === 'none' || outlineWidth === '0px') window.unseen.push(say(target));
        };
        removeEventListener('focusin', window.look);
        window.look = look;
        addEventListener('focusin', look);
      });
      // A page may still grow while the keys are pressed: what is there now counts, and Tab goes on round the page until all of it was reached,
      // or it went round twice without a new stop.
      const look = () =>
        page.evaluate(() => {
          const all = document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]');
          const wanted = [...all].filter(
            (element) => element.tabIndex >= 0 && !element.disabled && element.checkVisibility({ visibilityProperty: true }),
          );
          const missed = wanted.filter((element) => !window.reached.has(element)).map((element) => element.outerHTML.slice(0, 120));
          return { stops: wanted.length, reached: window.reached.size, missed, unseen: window.unseen };
        });
      let { stops, reached, missed, unseen } = await look();
      assert.ok(stops > 10);
      for (let vain = 0; missed.length > 0 && vain < 2; ) {
        for (let press = 0; press < stops + 4; press++) await page.keyboard.press('Tab');
        const before = reached;
        ({ stops, reached, missed, unseen } = await look());
        vain = reached > before ? 0 : vain + 1;
      }
      assert.deepEqual(missed, [], 'not reached');
      assert.deepEqual(unseen, [], 'reached, and the focus is not seen');
    });
  }
});
