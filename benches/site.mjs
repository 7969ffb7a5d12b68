// npm run bench:site [-- --runs N --out FILE]: how soon the site paints without a model, and how long interactions take to show something
// (from input to the next paint, by the browser's Event Timing), in headless Chromium from a local server. It reports; it asserts nothing.
import fs from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { paths } from '../scripts/lib/paths.mjs';
import { Failure, main } from '../scripts/lib/run.mjs';
import { serve } from '../scripts/lib/server.mjs';
import { buildSite } from '../scripts/lib/site.mjs';
import { ensureChromium, ensureNodeModules } from '../scripts/lib/system.mjs';

/** What a person does, on which page; each is one input. */
const INTERACTIONS = [
  { name: 'to Browse', act: (page) => page.getByRole('link', { name: 'Browse', exact: true }).click() },
  { name: 'to Steer', act: (page) => page.getByRole('link', { name: 'Steer', exact: true }).click() },
  { name: 'Steer: a letter in the search', act: (page) => page.getByRole('searchbox').press('s') },
  { name: 'Steer: another letter', act: (page) => page.getByRole('searchbox').press('u') },
  { name: 'Steer: a letter in the prompt', act: (page) => page.getByLabel('Prompt').press('a') },
  { name: 'Steer: Run', act: (page) => page.getByRole('button', { name: 'Run' }).click() },
  { name: 'Steer: Stop', act: (page) => page.getByRole('button', { name: 'Stop' }).click() },
  { name: 'to Trace', act: (page) => page.getByRole('link', { name: 'Trace', exact: true }).click() },
  { name: 'to About', act: (page) => page.getByRole('link', { name: 'About', exact: true }).click() },
  { name: 'About: one step of k', act: (page) => page.getByRole('slider', { name: /^k =/ }).press('ArrowRight') },
];

await main(async () => {
  const { values } = parseArgs({ options: { runs: { type: 'string', default: '5' }, out: { type: 'string' } } });
  const runs = Math.max(1, Number.parseInt(values.runs, 10) || 1);
  await ensureNodeModules();
  await buildSite();
  process.env.CHROMIUM = await ensureChromium();
  const { launch } = await import('../tests/browser/harness.mjs');
  const server = await serve({ '/': paths.site });
  const browser = await launch({ webgpu: false });
  try {
    const paints = [];
    for (let run = 0; run < runs; run++) paints.push(await firstPaint(browser, server.url));
    const result = {
      date: new Date().toISOString(),
      device: `${os.cpus()[0]?.model ?? 'unknown CPU'}, ${os.cpus().length} cores, load ${os.loadavg()[0].toFixed(1)}`,
      runs,
      first_paint_ms: spread(paints.map(({ paint }) => paint)),
      first_content_ms: spread(paints.map(({ content }) => content)),
      interactions_ms: await interactions(browser, server.url),
    };
    const text = `${JSON.stringify(result, null, 2)}\n`;
    if (values.out) fs.writeFileSync(values.out, text);
    process.stdout.write(text);
  } finally {
    await browser.close();
    await server.close();
  }
});

/** A first visit, the weights never answered. */
async function firstPaint(browser, url) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.route(/\.safetensors$/, () => {}); // kept waiting
    await page.goto(`${url}?backend=cpu#/explore`);
    await page.getByRole('heading').first().waitFor();
    return await page.evaluate(() => {
      const at = (name) => performance.getEntriesByName(name)[0]?.startTime ?? Number.NaN;
      return { paint: at('first-paint'), content: at('first-contentful-paint') };
    });
  } finally {
    await context.close();
  }
}

/** Milliseconds from each input to the paint after it; below 16 the browser says nothing, which counts as 16. */
async function interactions(browser, url) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.addInitScript(() => {
      window.slowest = 0;
      const look = (list) => {
        for (const { duration } of list.getEntries()) window.slowest = Math.max(window.slowest, duration);
      };
      new PerformanceObserver(look).observe({ type: 'event', durationThreshold: 16 });
    });
    await page.goto(`${url}?backend=cpu#/explore`);
    await page.locator('[data-backend]').waitFor({ timeout: 180_000 });
    const times = {};
    for (const { name, act } of INTERACTIONS) {
      await page.evaluate(() => (window.slowest = 0));
      try {
        await act(page);
      } catch (error) {
        throw new Failure(`The interaction "${name}" could not be made: ${error.message.split('\n')[0]}`);
      }
      await page.waitForTimeout(600); // the entry comes after the paint
      times[name] = Math.max(16, await page.evaluate(() => window.slowest));
    }
    return times;
  } finally {
    await context.close();
  }
}

function spread(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const round = (ms) => Math.round(ms);
  return { median: round(sorted[sorted.length >> 1]), least: round(sorted[0]), most: round(sorted.at(-1)) };
}
