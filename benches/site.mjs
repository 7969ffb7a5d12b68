// npm run bench:site [-- --runs N --out FILE]: measures, in headless Chromium from a local server, how soon the site paints without a model,
// how long interactions take to show something (from input to the next paint, by the browser's Event Timing) and page changes to complete, and what a
// frame of scrolling costs in a table of 30,000 rows (from a trace); and, beside their budgets, first useful views at 10 Mbit/s, the start page's scripts, the slowest
// interaction and the longest task after loading. It reports and asserts nothing.
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { paths } from '../scripts/lib/paths.mjs';
import { Failure, main } from '../scripts/lib/run.mjs';
import { serve } from '../scripts/lib/server.mjs';
import { buildSite } from '../scripts/lib/site.mjs';
import { ensureChromium, ensureNodeModules } from '../scripts/lib/system.mjs';
import { BUDGETS, budgetTable, firstViews, startScripts } from './budgets.mjs';
import { machine } from './machine.mjs';
import { scrollCost } from './scroll.mjs';

const toPage = (name) => ({
  name: `to ${name}`,
  to: name.toLowerCase(),
  act: (page) => page.getByRole('link', { name, exact: true }).click(),
});

/** What a person does, on which page; each is one input. `to`: the page that it leads to. */
const INTERACTIONS = [
  toPage('Browse'),
  toPage('Steer'),
  { name: 'Steer: a letter in the search', act: (page) => page.getByRole('searchbox').press('s') },
  { name: 'Steer: another letter', act: (page) => page.getByRole('searchbox').press('u') },
  { name: 'Steer: a letter in the prompt', act: (page) => page.getByLabel('Prompt').press('a') },
  { name: 'Steer: Run', act: (page) => page.getByRole('button', { name: 'Run' }).click() },
  toPage('Trace'),
  toPage('About'),
  {
    name: 'About: one step of k',
    act: async (page) => {
      const slider = page.getByRole('slider', { name: /^k =/ });
      await slider.evaluate((input) => input.scrollIntoView({ block: 'center' })); // with the picture, as a reader has it
      await slider.press('ArrowRight');
    },
  },
  toPage('Explore'),
  { name: 'Explore: another token', act: (page) => page.getByRole('option').nth(5).click() },
  { name: 'Explore: a neuron', act: (page) => page.locator('.cell.current button[aria-pressed=false]').first().click() },
  { name: 'Explore: a letter in the text', act: (page) => page.getByRole('textbox', { name: 'Text' }).press('a') },
  toPage('Gallery'),
  { name: 'Gallery: a letter in the search', act: (page) => page.getByRole('searchbox').press('s') },
  { name: 'Gallery: search emptied', act: (page) => page.getByRole('searchbox').fill('') },
  { name: 'Gallery: one kind', act: (page) => page.getByRole('group', { name: 'Kind' }).getByRole('button').nth(1).click() },
  { name: 'Gallery: all kinds', act: (page) => page.getByRole('group', { name: 'Kind' }).getByRole('button').first().click() },
  toPage('Challenges'),
  {
    name: 'Challenges: another task',
    act: (page) => page.getByRole('navigation', { name: 'Challenges' }).getByRole('link').nth(2).click(),
  },
  { name: 'Challenges: a letter in the search', act: (page) => page.getByRole('searchbox').press('s') },
  { name: 'Challenges: a solution runs', act: (page) => page.getByRole('button', { name: 'Show a solution' }).click() },
];

/** On Browse with 30,000 neurons. */
const IN_TABLE = [
  { name: 'a letter in the search', act: (page) => page.getByRole('searchbox').press('d') },
  { name: 'another letter', act: (page) => page.getByRole('searchbox').press('o') },
  { name: 'search emptied', act: (page) => page.getByRole('searchbox').fill('') },
  { name: 'sorted by a column', act: (page) => page.getByRole('button', { name: 'Density', exact: true }).click() },
  { name: 'one layer', act: (page) => page.getByRole('button', { name: '3', exact: true }).click() },
  { name: 'all layers', act: (page) => page.getByRole('button', { name: '3', exact: true }).click() },
];

await main(async () => {
  const { values } = parseArgs({ options: { runs: { type: 'string', default: '5' }, out: { type: 'string' } } });
  const runs = Math.max(1, Number.parseInt(values.runs, 10) || 1);
  await ensureNodeModules();
  await buildSite();
  process.env.CHROMIUM = await ensureChromium();
  const { launch } = await import('../tests/browser/harness.mjs');
  const { manyNeurons, serveNeurons } = await import('../tests/browser/many-neurons.mjs');
  const { shippedModel } = await import('../tests/browser/page-kit.mjs');
  const server = await serve({ '/': paths.site }, { compress: true });
  const model = shippedModel();
  const intercept = model.features ? serveNeurons(model, manyNeurons(model.read('features/index.json'))) : undefined;
  const many = await serve({ '/': paths.site }, { intercept });
  const browser = await launch({ webgpu: false });
  try {
    const paints = [];
    for (let run = 0; run < runs; run++) paints.push(await firstPaint(browser, server.url));
    const views = await firstViews(browser, server.url, runs);
    const scriptsKib = startScripts();
    const { times, longest } = await interactions(browser, `${server.url}?backend=cpu#/explore`, '[data-backend]', INTERACTIONS, runs);
    const result = {
      date: new Date().toISOString(),
      device: machine(),
      runs,
      first_paint_ms: spread(paints.map(({ paint }) => paint)),
      first_content_ms: spread(paints.map(({ content }) => content)),
      first_useful_view_ms: Object.fromEntries(Object.entries(views).map(([name, samples]) => [name, spread(samples)])),
      start_scripts_gzip_kib: Math.round(scriptsKib),
      interactions_ms: times,
      longest_task: longest,
      ...(model.features
        ? {
            table_interactions_ms: (await interactions(browser, `${many.url}?backend=cpu#/browse?rare=1`, '[data-row]', IN_TABLE, runs))
              .times,
            scroll_frame_ms: await scrolling(browser, many.url),
          }
        : {}),
    };
    const text = `${JSON.stringify(result, null, 2)}\n`;
    if (values.out) fs.writeFileSync(values.out, text);
    process.stdout.write(text);
    console.log(
      budgetTable([
        ...Object.entries(result.first_useful_view_ms).map(([name, { median: ms }]) => ({
          what: `first useful view, ${name}, 10 Mbit/s`,
          unit: 'ms',
          measured: ms,
          budget: BUDGETS.view_ms,
        })),
        { what: 'scripts of the start page, gzip', unit: 'KiB', measured: scriptsKib, budget: BUDGETS.start_scripts_kib },
        ...slowest(times).map(([name, { median: ms }]) => ({
          what: `slowest interaction, ${name}`,
          unit: 'ms',
          measured: ms,
          budget: BUDGETS.interaction_ms,
        })),
        { what: `longest task after loading (${longest.in})`, unit: 'ms', measured: longest.ms, budget: BUDGETS.long_task_ms },
      ]),
    );
  } finally {
    await browser.close();
    await server.close();
    await many.close();
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

/**
 * Milliseconds from each input to the paint after it (below 16 the browser says nothing, which counts as 16), and of a change of page also
 * to the frame in which the new page is complete; and the longest task in all of that, of those over 50 ms, with the interaction that it was in.
 */
async function interactions(browser, url, ready, list, rounds) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  try {
    const page = await context.newPage();
    await page.addInitScript(() => {
      window.slowest = 0;
      const look = (list) => {
        for (const { duration } of list.getEntries()) window.slowest = Math.max(window.slowest, duration);
      };
      new PerformanceObserver(look).observe({ type: 'event', durationThreshold: 16 });
      window.longest = 0;
      const longTasks = (list) => {
        for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
      };
      new PerformanceObserver(longTasks).observe({ type: 'longtask' });
      addEventListener(
        'click',
        ({ timeStamp }) => {
          const { awaited } = window;
          if (!awaited) return;
          const watch = () => {
            if (!document.querySelector(`main[data-page="${awaited}"]`)) requestAnimationFrame(watch);
            else requestAnimationFrame(() => setTimeout(() => (window.whole = performance.now() - timeStamp)));
          };
          watch();
        },
        true,
      );
    });
    await page.goto(url);
    await page.locator(ready).first().waitFor({ timeout: 180_000 });
    const longest = { ms: 0, in: 'none over 50 ms' };
    const times = new Map();
    const note = (name, ms) => times.set(name, [...(times.get(name) ?? []), ms]);
    for (let round = 0; round < rounds; round++) {
      for (const { name, to = null, act } of list) {
        await page.evaluate((awaited) => Object.assign(window, { slowest: 0, longest: 0, whole: null, awaited }), to);
        try {
          await act(page);
          if (to) await page.waitForFunction(() => window.whole !== null);
        } catch (error) {
          throw new Failure(`The interaction "${name}" failed: ${error.message.split('\n')[0]}`);
        }
        await page.waitForTimeout(600); // the entry comes after the paint
        note(to ? `${name}: answers` : name, Math.max(16, await page.evaluate(() => window.slowest)));
        if (to) note(`${name}: whole`, await page.evaluate(() => window.whole));
        const task = Math.round(await page.evaluate(() => window.longest));
        if (task > longest.ms) Object.assign(longest, { ms: task, in: name });
      }
    }
    return { times: Object.fromEntries([...times].map(([name, samples]) => [name, spread(samples)])), longest };
  } finally {
    await context.close();
  }
}

/** CPU time of scripting and layout in a frame of scrolling Browse in which every row is new. */
async function scrolling(browser, url) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  try {
    const page = await context.newPage();
    await page.route(/\.safetensors$/, () => {}); // the table needs no model
    await page.goto(`${url}?backend=cpu#/browse?rare=1`);
    await page.getByText('30,000 of 30,000 neurons').waitFor({ timeout: 60_000 });
    const { frames, rows, ms } = await scrollCost(browser, page, page.getByRole('region', { name: /All neurons, sorted/ }));
    const sorted = ms.toSorted((a, b) => a - b);
    const at = (share) => Number(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(2));
    return { rows_of_table: 30_000, row_nodes_at_most: rows, frames, median: at(0.5), p95: at(0.95), largest: at(1) };
  } finally {
    await context.close();
  }
}

/** Of each page (by the name before the colon) and of the changes between pages, the interaction with the largest median. */
function slowest(times) {
  const most = new Map();
  for (const [name, spread] of Object.entries(times)) {
    if (name.endsWith(': whole')) continue;
    const page = name.startsWith('to ') ? 'to' : name.split(':')[0];
    if (spread.median > (most.get(page)?.[1].median ?? -1)) most.set(page, [name, spread]);
  }
  return [...most.values()];
}

function spread(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const round = (ms) => Math.round(ms);
  return { median: round(sorted[sorted.length >> 1]), least: round(sorted[0]), most: round(sorted.at(-1)) };
}
