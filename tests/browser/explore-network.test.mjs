// The picture of the network: drawn from the same reading as the table, used by pointer and by keys, and what a neuron that is set pushes out.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import {
  STEP_TIMEOUT,
  WEIGHTS,
  addressHas,
  assertCount,
  assertUsable,
  hashOf,
  loaded,
  pageTime,
  shippedModel,
  siteModule,
  withSite,
} from './page-kit.mjs';

describe('the layout of the picture', () => {
  let layout;
  let scene;
  before(async () => {
    [layout, scene] = await Promise.all([siteModule('network/layout.ts'), siteModule('network/scene.ts')]);
  });

  test('names keep their order and never lie on each other', () => {
    const tops = layout.spread([10, 12, 13, 90, 98, 99], 20, 0, 100);
    for (const [i, top] of tops.entries()) assert.ok(i === 0 || top - tops[i - 1] >= 20, String(tops));
    assert.equal(tops.at(-1), 100);
  });

  for (const width of [300, 900]) {
    test(`every name has its place at ${width} px, for any number of layers and neurons`, () => {
      for (const [layers, neurons] of [
        [1, 32],
        [8, 4096],
      ]) {
        const names = Array.from({ length: layout.roomFor(width, layers).names }, (_, i) => ({ index: i * 3, value: 1, name: 'n' }));
        const stages = Array.from({ length: layers }, (_, layer) => ({
          layer,
          names,
          kept: [],
          before: null,
          push: null,
          threshold: 1,
          scale: 1,
        }));
        const made = layout.layoutOf({ width: neurons, stages }, width);
        assert.equal(made.names.length, layers * names.length);
        for (const { left, top, width: wide } of made.names)
          assert.ok(left >= 0 && left + wide <= width && top >= 0 && top + 18 <= made.height, JSON.stringify({ left, top, wide }));
        for (const index of [0, neurons - 1]) assert.equal(layout.indexAt(made, neurons, layout.acrossOf(made, neurons, index)), index);
      }
    });
  }

  test('a label is shortened by whole words', () => {
    assert.equal(scene.shortName('words in -s: ones, birds, stars', 12), 'ones, birds');
    assert.equal(scene.shortName('“big”', 12), 'big');
    assert.equal(scene.shortName('reads mixed: wooden, Without? · writes the, a', 12), 'wooden');
    assert.equal(scene.shortName('reads “very” · writes quiet', 12), 'very');
    assert.equal(scene.shortName('mixed: wooden, Without', 3), 'wooden');
    assert.equal(scene.shortName('reads cat, toy, …et +9?', 20), 'cat, toy, …et');
    assert.equal(scene.shortName('“:”', 3), ':');
    assert.equal(scene.shortName('', 3), '');
  });
});

describe('the picture of the network', { timeout: 1_800_000 }, () => {
  const model = shippedModel();
  const { topk_k: k, hidden_size: width } = model.read('config.json');
  let site;
  let page;
  withSite({ hold: WEIGHTS, context: { viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce' } }, (on) => {
    ({ site, page } = on);
  });
  const names = () => page.getByRole('group', { name: /^Named neurons/ }).getByRole('button');
  const section = () => page.locator('section', { has: page.getByRole('heading', { name: /^The network at/ }) });

  test('before the model, what is kept is drawn of the stored reading, and it says what is missing', async () => {
    await page.locator('[data-network=kept][data-still=true]').waitFor({ timeout: STEP_TIMEOUT });
    const { layers } = model.read('examples/0.json');
    const shown = await names().evaluateAll((all) => all.map((name) => name.ariaLabel));
    assert.ok(shown.length >= layers.length * 3);
    const [{ at }] = model.read('examples/index.json').texts;
    for (const label of shown) {
      const [, layer, index] = /Layer (\d+) neuron (\d+)/.exec(label);
      const row = layers.find((each) => each.layer === Number(layer));
      assert.ok(row.indices.slice(row.row_start[at], row.row_start[at + 1]).includes(Number(index)), label);
    }
    await section().getByText('What fell away is drawn once the model is loaded').waitFor();
  });

  test('with the model it is whole, has the next tokens, and stands still where motion is not wanted', async () => {
    site.release();
    await loaded(page);
    await page.locator('[data-network=whole][data-still=true]').waitFor({ timeout: STEP_TIMEOUT });
    const words = await section().locator('p.visually-hidden').innerText();
    assert.ok(words.includes(`${k} of ${width} neurons kept, the least at`), words);
    await assertCount(section().getByRole('list', { name: 'Most likely next tokens' }).getByRole('listitem'), 5);
    await section()
      .getByText(`Each layer keeps at most ${k} of ${width.toLocaleString('en')} values.`)
      .waitFor();
  });

  test('the canvas is drawn on, and a click on it pins the neuron there', async () => {
    const canvas = section().locator('canvas');
    const drawn = await canvas.evaluate((element) => {
      const { data } = element.getContext('2d').getImageData(0, 0, element.width, element.height);
      return data.filter((value, i) => i % 4 === 3 && value > 0).length / (data.length / 4);
    });
    assert.ok(drawn > 0.02, `${drawn} of the canvas is drawn on`);
    const before = hashOf(page).params.n;
    const { width: wide, height } = await canvas.boundingBox();
    for (const share of [0.3, 0.4, 0.5, 0.6]) {
      await canvas.click({ position: { x: wide * 0.135, y: height * share } });
      const { n } = hashOf(page).params;
      if (n !== before && n !== '-') break;
    }
    const { n } = hashOf(page).params;
    assert.match(n ?? '', /^\d+\.\d+$/);
    await page.locator(`[data-neuron="${n}"]`).waitFor();
  });

  test('one stop for Tab; arrow keys go from name to name; Enter pins one', async () => {
    const stops = await names().evaluateAll((all) => all.filter((name) => name.tabIndex === 0).length);
    assert.equal(stops, 1);
    await names().first().focus();
    const layerOf = () => page.evaluate(() => /Layer (\d+)/.exec(document.activeElement.ariaLabel)[1]);
    const first = await page.evaluate(() => document.activeElement.ariaLabel);
    const begin = await layerOf();
    await page.keyboard.press('ArrowDown');
    assert.notEqual(await page.evaluate(() => document.activeElement.ariaLabel), first);
    assert.equal(await layerOf(), begin);
    await page.keyboard.press('ArrowRight');
    assert.notEqual(await layerOf(), begin);
    const [, layer, index] = /Layer (\d+) neuron (\d+)/.exec(await page.evaluate(() => document.activeElement.ariaLabel));
    await page.keyboard.press('Enter');
    await page.locator(`[data-neuron="${layer}.${index}"]`).waitFor();
    assert.equal(hashOf(page).params.n, `${layer}.${index}`);
  });

  test('a neuron that is set pushes out the weakest, which the engine names; a link shows the same', async () => {
    const { layers } = model.read('examples/0.json');
    const row = layers[1];
    const [{ at }] = model.read('examples/index.json').texts;
    const active = row.indices.slice(row.row_start[at], row.row_start[at + 1]);
    const idle = Array.from({ length: width }, (_, index) => index).find((index) => !active.includes(index));
    await page.goto(`${page.url().split('#')[0]}#/explore?n=${row.layer}.${idle}&set=9`);
    const status = page.locator('[data-pushed]');
    await status.waitFor({ timeout: STEP_TIMEOUT });
    const out = (await status.getAttribute('data-pushed')).split(' ').filter(Boolean).map(Number);
    assert.equal(out.length, 1);
    const values = row.values.slice(row.row_start[at], row.row_start[at + 1]);
    const weakest = Math.min(...values);
    // Stored values have three digits, so several may be the least.
    assert.ok(values[active.indexOf(out[0])] <= weakest * 1.01, `${out[0]} is not the weakest`);
    await page.getByText(`Let in: ${idle}`).waitFor();
    const name = section().locator('[data-out=true]');
    assert.match(await name.getAttribute('aria-label'), new RegExp(`neuron ${out[0]}\\b`));
    assert.match(await section().getByRole('list', { name: 'Most likely next tokens' }).innerText(), /→/);
    const slider = section().getByRole('slider');
    await slider.press('ArrowRight');
    await page.waitForFunction(() => !/[?&]set=9(&|$)/.test(location.hash));
    await section().getByRole('button', { name: 'Reset' }).click();
    await page.waitForFunction(() => !/[?&]set=/.test(location.hash));
    await status.waitFor({ state: 'detached' });
    // Neither without its neuron nor in another text, which has a neuron of its own, is the value kept.
    for (const name of ['Close', model.read('examples/index.json').texts[1].title]) {
      await page.evaluate((to) => (location.hash = to), `#/explore?n=${row.layer}.${idle}&set=9`);
      await status.waitFor();
      await page.getByRole('button', { name, exact: true }).click();
      await page.waitForFunction(() => !/[?&]set=/.test(location.hash));
    }
  });

  test('a value is set of the neuron that it was chosen for, not of the one that is chosen right after', async () => {
    const { layers } = model.read('examples/0.json');
    await page.evaluate((to) => (location.hash = to), `#/explore?n=${layers[1].layer}.7`);
    const slider = section().getByRole('slider', { name: `Set layer ${layers[1].layer} neuron 7 here` });
    await slider.waitFor();
    const name = names().and(page.locator('[aria-pressed=false]')).first();
    const [, layer, index] = /Layer (\d+) neuron (\d+)/.exec(await name.getAttribute('aria-label'));
    const handle = await name.elementHandle();
    await slider.evaluate((element, other) => {
      element.value = element.max;
      element.dispatchEvent(new Event('input', { bubbles: true }));
      other.click();
    }, handle);
    await addressHas(page, 'n', `${layer}.${index}`);
    await pageTime(page, 500); // longer than the pause after which a value is set
    assert.equal(hashOf(page).params.set, undefined);
  });

  test('play goes through the text; the picture follows', async () => {
    await section().getByRole('button', { name: 'Play the text' }).click();
    await page.waitForFunction(() => Number(new URLSearchParams(location.hash.split('?')[1]).get('at')) >= 2);
    await section().getByRole('button', { name: 'Pause' }).click();
    const at = Number(hashOf(page).params.at);
    await page.getByRole('heading', { name: /^The network at/ }).waitFor();
    assert.ok(at >= 2);
  });

  test('accessible, and fits a phone', () => assertUsable(page));
});
