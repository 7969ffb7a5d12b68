// A reader who has set the browser's text large: rows of tables grow with what is in them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launchWithPreferences } from './harness.mjs';
import { openSite, serveSite, STEP_TIMEOUT } from './page-kit.mjs';

const TABLES = [
  ['Explore', '#/explore', '.cell .neuron'],
  ['Browse', '#/browse', '[role=cell]'],
];

for (const size of [16, 32]) {
  describe(`text of ${size} px`, { timeout: 1_800_000 }, () => {
    let site;
    let browser;
    before(async () => {
      site = await serveSite();
      browser = await launchWithPreferences({ webkit: { webprefs: { default_font_size: size } } });
    });
    after(async () => {
      await browser?.close();
      await site?.close();
    });

    test('no row of a table reaches into the next', async () => {
      const { page } = await openSite(browser, site, TABLES[0][1]);
      page.setDefaultTimeout(STEP_TIMEOUT);
      assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).fontSize), `${size}px`);
      for (const [name, hash, inside] of TABLES) {
        await page.evaluate((wanted) => (location.hash = wanted), hash);
        await page.locator(`[data-row] ${inside}`).first().waitFor();
        const beyond = await page.evaluate((selector) => {
          const beside = (a, b) => a.top < b.top - 0.5 || a.bottom > b.bottom + 0.5;
          const heading = document.querySelector('[role=table] [role=row]').getBoundingClientRect().height;
          const rows = [...document.querySelectorAll('[data-row]')].map((row) => ({ row, box: row.getBoundingClientRect() }));
          const tops = rows.map(({ box }) => box.top).sort((a, b) => a - b);
          const isApart = tops.every((top, at) => at === 0 || top - tops[at - 1] >= rows[0].box.height - 0.5);
          const out = rows.flatMap(({ row, box }) =>
            [...row.querySelectorAll(selector)].filter((part) => beside(part.getBoundingClientRect(), box)),
          );
          return { isApart, out: out.length, heading };
        }, inside);
        assert.deepEqual(
          { name, isApart: beyond.isApart, out: beyond.out, heading: beyond.heading },
          { name, isApart: true, out: 0, heading: 2 * size },
        );
      }
    });
  });
}
