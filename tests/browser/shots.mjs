// npm run shots [-- NAME…]: the pages at three widths, light and dark, into dist/shots, for a person to look at.
import fs from 'node:fs';
import path from 'node:path';
import { inRoot, show } from '../../scripts/lib/paths.mjs';
import { main } from '../../scripts/lib/run.mjs';
import { buildSite } from '../../scripts/lib/site.mjs';
import { ensureChromium } from '../../scripts/lib/system.mjs';
import { launch } from './harness.mjs';
import { loaded, offeredModels, openSite, serveSite, shippedModel, shown, STEP_TIMEOUT } from './page-kit.mjs';

const WIDTHS = [1440, 768, 390];
const SCHEMES = ['light', 'dark'];
const folder = inRoot('dist/shots');

const loadTwin = (page) => page.getByRole('button', { name: /^Load .* MB\)$/ }).click();

/** Steps of the tour. */
const TOUR = [1, 2, 3, 4, 5, 6];

/** Pages by name: their address (`file`: of the documentation), what to wait for before the picture, and whether it is of the window alone. */
function pagesOf({ name, dense_twin: twin }) {
  const asOpened = (name, hash = `#/${name}`) => ({ hash, ready: (page) => shown(page, name) });
  return {
    start: asOpened('start'),
    challenges: asOpened('challenges'),
    gallery: asOpened('gallery'),
    explore: asOpened('explore'),
    why: {
      hash: '#/explore?open=next.why.lens.attn',
      ready: async (page) => {
        await shown(page, 'explore');
        await page.locator('[data-effect]').first().waitFor({ timeout: 180_000 });
      },
    },
    neuron: asOpened('neuron', `#/m/${name}/1/100`),
    browse: asOpened('browse'),
    steer: {
      hash: '#/steer?n=2.100&len=40',
      ready: async (page) => {
        await page.locator('[data-divergence]').waitFor();
        await page.getByText(/→ \d+\.\d\d nats per token/).waitFor();
      },
    },
    turn: {
      hash: '#/steer?len=40&p=They%20had%20a%20little&from=dog&to=cat',
      ready: (page) => page.locator('[data-turning]').waitFor(),
    },
    patch: asOpened('patch'),
    trace: asOpened('trace'),
    ...(twin && offeredModels().some((model) => model.name === twin && model.features)
      ? {
          'browse-dense': { hash: `#/browse?model=${twin}`, ready: (page) => page.locator('[data-end]').first().waitFor() },
          'neuron-dense': asOpened('neuron', `#/m/${twin}/1/100`),
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
          'patch-dense': asOpened('patch', `#/patch?model=${twin}`),
          'trace-dense': asOpened('trace', `#/trace?model=${twin}`),
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
        await page.locator('#search-results a').first().waitFor();
      },
    },
    ...Object.fromEntries(
      TOUR.map((step) => [
        `tour-${step}`,
        { hash: `#/?tour=${step}`, ready: (page) => page.locator('[data-toured]').waitFor(), isWindow: true },
      ]),
    ),
    byo: asOpened('byo'),
    about: asOpened('about'),
    tables: {
      hash: '#/about',
      ready: async (page) => {
        await shown(page, 'about');
        await page.getByText('All measurements, in tables').click();
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
    await page.emulateMedia({ reducedMotion: 'reduce' }); // pictures of what stays
    for (const [name, { hash, file, ready, isWindow = false }] of Object.entries(pagesOf(shippedModel()))) {
      if (asked.length > 0 && !asked.includes(name)) continue;
      const open = async () => {
        await page.goto('about:blank'); // a change of the hash alone would load nothing
        await page.goto(file ? site.url + file : `${site.url}?backend=cpu${hash}`);
        if (!file) await loaded(page);
        await ready(page);
      };
      if (!isWindow) await open();
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 900 });
        if (isWindow) await open(); // it scrolls to its place once
        for (const colorScheme of SCHEMES) {
          await page.emulateMedia({ colorScheme });
          const picture = path.join(folder, `${name}-${width}-${colorScheme}.png`);
          await page.screenshot({ path: picture, fullPage: !isWindow });
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
