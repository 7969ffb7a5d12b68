// Loading moves nothing that a person may be reading or about to press: the layout shift of each page, while it opens and the model arrives.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openPage } from './harness.mjs';
import { drawn, loaded, offeredModels, shippedModel, shown, STEP_TIMEOUT, withSite } from './page-kit.mjs';

const SIZES = [
  ['a laptop', { width: 1440, height: 900 }],
  ['a phone', { width: 390, height: 844 }],
];

/** What is good by https://web.dev/articles/cls is 0.1. */
const MOST = 0.05;

const PAGES = ['start', 'gallery', 'challenges', 'explore', 'browse', 'steer', 'patch', 'trace', 'byo', 'about', 'neuron'];

// States that a link opens: a switch turned off, a text with an edit, a topic searched, an answer that is run, the tour.
const [challenge] = shippedModel().read('challenges.json').challenges;
PAGES.push(
  'start?off=1',
  'steer?n=2.100&len=20',
  'gallery?q=water',
  `challenges?c=${challenge.id}&a=${challenge.solution}`,
  'explore?tour=1',
);

/** A model that is compared with its twin: the link opens the comparison. */
const compared = offeredModels().find(({ dense_twin: twin }) => offeredModels().some(({ name }) => name === twin));
if (compared) PAGES.push(`explore?model=${compared.name}&vs=0`);

// The dense model has other words, other labels, and parts of its own.
const dense = offeredModels().find(({ kind }) => kind === 'dense');
for (const page of ['explore', 'browse', 'steer?n=2.100&len=20', 'patch', 'trace', 'gallery', 'byo', 'neuron'])
  if (dense) PAGES.push(`${page}${page.includes('?') ? '&' : '?'}model=${dense.name}`);

describe('loading shifts nothing', { timeout: 1_800_000 }, () => {
  let site;
  let browser;
  withSite({ hash: null }, (on) => {
    ({ site, browser } = on);
  });

  /** An empty page, with nothing stored; it notes all shifts that no input preceded, on each page that is opened in its place. */
  async function open() {
    const opened = await openPage(browser, 'about:blank', { ignore: [/status of 503/, /HTTP 503/] }); // what `release` answers
    await opened.page.addInitScript(() => {
      window.shifts = [];
      const note = (entries) => {
        for (const { value, hadRecentInput, sources } of entries) {
          const where = ({ node }) => (node instanceof Element ? node : node?.parentElement)?.outerHTML.slice(0, 80);
          if (!hadRecentInput) window.shifts.push({ value, nodes: sources.map(where) });
        }
      };
      const observer = new PerformanceObserver((list) => note(list.getEntries()));
      observer.observe({ type: 'layout-shift', buffered: true });
      window.allShifts = () => {
        note(observer.takeRecords());
        return window.shifts;
      };
    });
    return opened;
  }

  async function shiftsOf(page, name, viewport) {
    await page.goto('about:blank');
    await page.setViewportSize(viewport);
    const neuronOf = (model) => `m/${model}/${shippedModel().read('features/index.json').layers[0]}/0`;
    const route = name.startsWith('neuron') ? neuronOf(name.split('model=')[1] ?? shippedModel().name) : name;
    await page.goto(`${site.url}?backend=cpu#/${route}`);
    await loaded(page);
    await page.waitForLoadState('networkidle');
    await shown(page, name.split('?')[0]);
    return seen(page);
  }

  /** What is there now has been laid out and drawn after two frames. */
  async function seen(page) {
    await drawn(page);
    return page.evaluate(() => window.allShifts());
  }

  const sumOf = (shifts) => shifts.reduce((all, { value }) => all + value, 0);

  for (const [number, name] of PAGES.entries()) {
    test(name, async (t) => {
      const { page, close } = await open();
      const found = [];
      // In the first size the model is on its way, in the second it is stored.
      for (const [size, viewport] of number % 2 === 0 ? SIZES : SIZES.toReversed())
        found.push([size, await shiftsOf(page, name, viewport)]);
      await close();
      for (const [size, shifts] of found) {
        const sum = sumOf(shifts);
        t.diagnostic(`layout shift on ${size}: ${sum.toFixed(3)}`);
        const largest = shifts.toSorted((a, b) => b.value - a.value).slice(0, 3);
        assert.ok(sum < MOST, `on ${size} ${sum.toFixed(3)}: ${JSON.stringify(largest)}`);
      }
    });
  }

  const [early] = shippedModel().steps;
  for (const width of [390, 360]) {
    test(`a training step that is chosen on a phone of ${width} px`, {
      skip: !early && 'the shipped model has no training steps',
    }, async (t) => {
      const { page, close } = await open();
      await shiftsOf(page, 'explore', { width, height: 844 });
      site.hold(new RegExp(`/step${early.step}/.*safetensors$`));
      await page.evaluate(() => {
        window.shifts = [];
        // Not by a press: what moves soon after one is not counted.
        const slider = document.querySelector('.checkpoint input');
        slider.value = slider.min;
        for (const type of ['input', 'change']) slider.dispatchEvent(new Event(type, { bubbles: true }));
      });
      const cancel = page.locator('.checkpoint').getByRole('button', { name: 'Cancel' });
      await cancel.waitFor({ timeout: STEP_TIMEOUT });
      await seen(page);
      site.release();
      await page
        .getByText(`The weights of training step ${early.step.toLocaleString('en')} are ready.`)
        .waitFor({ state: 'attached', timeout: STEP_TIMEOUT });
      await cancel.waitFor({ state: 'detached' });
      const shifts = await seen(page);
      await close();
      t.diagnostic(`layout shift: ${sumOf(shifts).toFixed(3)}`);
      assert.ok(sumOf(shifts) < MOST, JSON.stringify(shifts));
    });
  }
});
