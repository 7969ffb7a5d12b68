// A reader who has set the browser's text large: rows of tables grow with what is in them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { launchWithPreferences } from './harness.mjs';
import { eventually, openSite, serveSite, shippedModel, shown, sidewaysScroll, STEP_TIMEOUT } from './page-kit.mjs';

const TABLES = [
  ['Explore', '#/explore', '.cell .neuron'],
  ['Browse', '#/browse', '[role=cell]'],
];

const { name: shipped } = shippedModel();
/** Pages that are looked at on a phone. */
const NARROW = ['gallery', 'browse', 'challenges', 'trace', 'patch', 'byo', 'about', 'steer', 'explore', `m/${shipped}/1/296`];

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

    for (const width of [800, 3000]) {
      test(`no name in the picture of the network lies on another, ${width} px wide`, async () => {
        const { page } = await openSite(browser, site);
        page.setDefaultTimeout(STEP_TIMEOUT);
        await page.setViewportSize({ width, height: 1000 });
        await page.locator('[data-state=stored], [data-state=live]').waitFor();
        await page.locator('.names .name').nth(10).waitFor();
        const found = await eventually(
          () =>
            page.evaluate(() => {
              const boxes = [...document.querySelectorAll('.names .name')].map((name) => name.getBoundingClientRect());
              const { left, right, top, bottom } = document.querySelector('.picture').getBoundingClientRect();
              const meet = (a, b) =>
                Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
              const isOut = (box) => box.left < left - 1 || box.right > right + 1 || box.top < top - 1 || box.bottom > bottom + 1;
              const isDown = document.querySelector('.picture').matches('.down');
              return {
                isDown,
                overlaps: boxes.filter((a, i) => boxes.some((b, j) => j > i && meet(a, b))).length,
                out: boxes.filter(isOut).length,
              };
            }),
          ({ overlaps, out }) => overlaps === 0 && out === 0,
        );
        assert.deepEqual(found, { isDown: width < 1000, overlaps: 0, out: 0 });
      });
    }

    test('no page scrolls sideways on a phone', async () => {
      const { page } = await openSite(browser, site, '#/byo');
      page.setDefaultTimeout(STEP_TIMEOUT);
      const wide = [];
      for (const name of NARROW) {
        await page.evaluate((to) => (location.hash = `#/${to}`), name);
        await shown(page, name.startsWith('m/') ? 'neuron' : name);
        for (const width of [390, 320]) {
          await page.setViewportSize({ width, height: 844 });
          const beyond = await eventually(
            () => sidewaysScroll(page),
            (px) => px <= 0,
          );
          if (beyond > 0) wide.push(`${name}, ${width} px wide: ${beyond} px`);
        }
      }
      assert.deepEqual(wide, []);
    });

    test('no row of a table reaches into the next', async () => {
      const { page } = await openSite(browser, site, TABLES[0][1]);
      page.setDefaultTimeout(STEP_TIMEOUT);
      assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).fontSize), `${size}px`);
      for (const [name, hash, inside] of TABLES) {
        await page.evaluate((wanted) => (location.hash = wanted), hash);
        await shown(page, name.toLowerCase());
        await page.locator(`[data-row] ${inside}`).first().waitFor();
        const measure = (selector) => {
          const beside = (a, b) => a.top < b.top - 0.5 || a.bottom > b.bottom + 0.5;
          const heading = document.querySelector('[role=table] [role=row]')?.getBoundingClientRect().height;
          const rows = [...document.querySelectorAll('[data-row]')].map((row) => ({ row, box: row.getBoundingClientRect() }));
          const tops = rows.map(({ box }) => box.top).sort((a, b) => a - b);
          const isApart = tops.every((top, at) => at === 0 || top - tops[at - 1] >= rows[0].box.height - 0.5);
          const out = rows.flatMap(({ row, box }) =>
            [...row.querySelectorAll(selector)].filter((part) => beside(part.getBoundingClientRect(), box)),
          );
          return { rows: rows.length > 0, isApart, out: out.length, heading };
        };
        const wanted = { rows: true, isApart: true, out: 0, heading: 2 * size };
        const found = await eventually(
          () => page.evaluate(measure, inside),
          (now) => isDeepStrictEqual(now, wanted),
        );
        assert.deepEqual({ name, ...found }, { name, ...wanted });
      }
    });
  });
}
