// npm run shots [-- NAME…]: the pages at three widths, light and dark, into dist/shots, for a person to look at.
import fs from 'node:fs';
import path from 'node:path';
import { inRoot, show } from '../../scripts/lib/paths.mjs';
import { main } from '../../scripts/lib/run.mjs';
import { buildSite } from '../../scripts/lib/site.mjs';
import { ensureChromium } from '../../scripts/lib/system.mjs';
import { launch } from './harness.mjs';
import { loaded, offeredModels, openSite, serveSite, shippedModel, STEP_TIMEOUT } from './page-kit.mjs';

const WIDTHS = [1440, 768, 390];
const SCHEMES = ['light', 'dark'];
const folder = inRoot('dist/shots');

const loadTwin = (page) => page.getByRole('button', { name: /^Load .* MB\)$/ }).click();

/** Pages by name: their address (`file`: of the documentation), and what to wait for before the picture. */
function pagesOf({ name, dense_twin: twin }) {
  const live = (page) => page.locator('[data-state=live]').waitFor();
  return {
    start: { hash: '#/', ready: (page) => page.locator('[data-origin]:not([data-origin=stored])').waitFor() },
    challenges: { hash: '#/challenges', ready: (page) => page.locator('[data-challenge]').waitFor() },
    gallery: { hash: '#/gallery', ready: (page) => page.locator('[data-found]').waitFor() },
    explore: { hash: '#/explore', ready: live },
    why: {
      hash: '#/explore?open=next.why.lens.attn',
      ready: async (page) => {
        await live(page);
        await page.locator('[data-effect]').first().waitFor({ timeout: 180_000 });
      },
    },
    neuron: { hash: `#/m/${name}/1/100`, ready: (page) => page.getByText(/Active at \d+ of/).waitFor() },
    browse: { hash: '#/browse', ready: (page) => page.locator('[data-row]').first().waitFor() },
    steer: {
      hash: '#/steer?n=2.100&len=40',
      ready: async (page) => {
        await page.locator('[data-divergence]').waitFor();
        await page.getByText(/→ \d+\.\d\d nats per token/).waitFor();
      },
    },
    trace: { hash: '#/trace', ready: (page) => page.locator('[data-step=final][data-written=true]').waitFor() },
    ...(twin && offeredModels().some((model) => model.name === twin && model.features)
      ? {
          'browse-dense': { hash: `#/browse?model=${twin}`, ready: (page) => page.locator('[data-end]').first().waitFor() },
          'neuron-dense': { hash: `#/m/${twin}/1/100`, ready: (page) => page.getByText(/A value at each of/).waitFor() },
          compare: {
            hash: '#/explore?vs=2',
            ready: async (page) => {
              await loadTwin(page);
              await page.locator('[data-column=twin] [data-read]').waitFor();
            },
          },
          'steer-compare': {
            hash: '#/steer?n=2.100&len=40&vs=1.100_clamp_20',
            ready: async (page) => {
              await loadTwin(page);
              for (const column of ['own', 'twin']) await page.locator(`[data-column=${column}] [data-outcome=done]`).waitFor();
            },
          },
          'trace-dense': { hash: `#/trace?model=${twin}`, ready: (page) => page.locator('[data-step=final][data-written=true]').waitFor() },
        }
      : {}),
    ...Object.fromEntries(
      Object.entries({ docs: 'index', guide: 'guides/researcher', semantics: 'semantics', api: 'js/api', rust: 'rust/topk_lm/index' }).map(
        ([name, file]) => [name, { file: `docs/${file}.html`, ready: (page) => page.locator('h1').waitFor() }],
      ),
    ),
    'docs-search': {
      file: 'docs/index.html',
      ready: async (page) => {
        await page.getByRole('searchbox').fill('edit');
        await page.locator('#results a').first().waitFor();
      },
    },
    byo: { hash: '#/byo', ready: loaded },
    about: {
      hash: '#/about',
      ready: async (page) => {
        await page.locator('[data-kept]').waitFor();
        await page.locator('[data-facts]').waitFor();
      },
    },
  };
}

await main(async () => {
  process.env.CHROMIUM = await ensureChromium();
  await buildSite();
  fs.mkdirSync(folder, { recursive: true });
  const asked = process.argv.slice(2);
  const site = await serveSite();
  const browser = await launch({ webgpu: false });
  const { page, close } = await openSite(browser, site);
  page.setDefaultTimeout(STEP_TIMEOUT);
  try {
    for (const [name, { hash, file, ready }] of Object.entries(pagesOf(shippedModel()))) {
      if (asked.length > 0 && !asked.includes(name)) continue;
      await page.goto(file ? site.url + file : `${site.url}?backend=cpu${hash}`);
      if (!file) await loaded(page);
      await ready(page);
      for (const width of WIDTHS) {
        for (const colorScheme of SCHEMES) {
          await page.setViewportSize({ width, height: 900 });
          await page.emulateMedia({ colorScheme });
          const picture = path.join(folder, `${name}-${width}-${colorScheme}.png`);
          await page.screenshot({ path: picture, fullPage: true });
          console.log(show(picture));
        }
      }
    }
  } finally {
    await close();
    await browser.close();
    await site.close();
  }
});
