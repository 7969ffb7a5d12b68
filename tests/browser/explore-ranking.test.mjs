// Explore before any weights: what the table ranks first, the background, and the address that keeps both.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { addressHas, hashOf, shippedModel, WEIGHTS, withSite } from './page-kit.mjs';

describe('the ranking of the neurons of a token', { timeout: 1_800_000 }, () => {
  const { read } = shippedModel();
  const { density } = read('features/index.json').columns;
  const { layers, d_model: width } = read('features/index.json');
  const nearlyEverywhere = layers.map((layer, at) => ({
    layer,
    indices: Array.from({ length: width }, (_, index) => index).filter((index) => density[at * width + index] >= 0.9),
  }));
  let page;
  withSite({ hold: WEIGHTS }, (on) => {
    ({ page } = on);
  });
  const grid = () => page.getByRole('table', { name: /one row per token/ });
  const titles = () =>
    grid()
      .locator('[role=cell] button')
      .evaluateAll((all) => all.map((button) => button.title));
  const indexOf = (title) => Number(/neuron (\d+)/.exec(title)[1]);
  const layerOf = (title) => Number(/Layer (\d+)/.exec(title)[1]);

  test('opens with what is special; neurons that are active nearly everywhere are folded away, and said so', async () => {
    await page.getByRole('heading', { name: 'Most special neurons at each token' }).waitFor();
    await grid().locator('[role=cell] button').first().waitFor();
    const shown = await titles();
    assert.ok(shown.length > 10);
    for (const { layer, indices } of nearlyEverywhere) {
      assert.deepEqual(
        shown.filter((title) => layerOf(title) === layer && indices.includes(indexOf(title))),
        [],
      );
      const button = grid().getByRole('button', { name: `Layer ${layer}: background (${indices.length})` });
      assert.equal(await button.count(), Number(indices.length > 0));
    }
    assert.ok(shown.some((title) => /specialness \d\.\d\d$/.test(title)));
  });

  test('one click shows the raw order, kept in the address; another the background', async () => {
    const special = await titles();
    await page.getByRole('group', { name: 'Ranking' }).getByRole('button', { name: 'raw' }).click();
    await page.getByRole('heading', { name: 'Strongest neurons at each token' }).waitFor();
    assert.equal(hashOf(page).params.rank, 'raw');
    assert.notDeepEqual(await titles(), special);
    const folded = nearlyEverywhere.filter(({ indices }) => indices.length > 0);
    if (folded.length > 0) {
      await grid()
        .getByRole('button', { name: `Layer ${folded[0].layer}: background` })
        .click();
      await page.waitForFunction(
        (names) => names.some((name) => document.querySelector(`[role=cell] button[title^="${name},"]`)),
        folded.flatMap(({ layer, indices }) => indices.map((index) => `Layer ${layer} neuron ${index}`)),
      );
      assert.equal(hashOf(page).params.bg, '1');
    }
    // Names come with the statistics, which the order does not wait for.
    const neurons = async () => (await titles()).map((title) => `${layerOf(title)}.${indexOf(title)}`);
    const raw = await neurons();
    await page.reload();
    await grid().locator('[role=cell] button').first().waitFor();
    assert.deepEqual(await neurons(), raw);
    await page.getByRole('group', { name: 'Ranking' }).getByRole('button', { name: 'special' }).click();
    await addressHas(page, 'rank', null);
  });
});
