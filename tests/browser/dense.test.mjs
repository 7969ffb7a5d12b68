// The shipped dense twin next to the TopK model: Browse and its switch, exports, a coordinate's page and card, Trace.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { paths } from '../../scripts/lib/paths.mjs';
import fs from 'node:fs';
import path from 'node:path';
import {
  STEP_TIMEOUT,
  WEIGHTS,
  assertCount,
  assertUsable,
  eventually,
  hashOf,
  loaded,
  offeredModels,
  openSite,
  saved,
  shippedModel,
  withSite,
} from './page-kit.mjs';

const topk = shippedModel();
const twin = offeredModels().find(({ name }) => name === topk.dense_twin);
const skip = !twin
  ? 'models/Llama-Dense-Stories-16M is not there, or the TopK model does not name it as dense_twin'
  : !twin.features && `${twin.name} has no statistics`;

describe('dense twin', { timeout: 1_800_000, skip }, () => {
  if (skip) return;
  const folder = path.join(paths.site, 'models', twin.name);
  const read = (file) => JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8'));
  const index = read('features/index.json');
  const { columns, d_model: width, layers } = index;
  const total = columns.label.length;
  const shownCount = (count, of = total) => `${count.toLocaleString('en')} of ${of.toLocaleString('en')} coordinates`;
  const usable = (entry) => columns.n[entry] >= index.entropy.rare_below;
  const entries = Array.from({ length: total }, (_, entry) => entry).filter(usable);
  /** The coordinate of lowest entropy whose lowest values are shown, in the middle layer. */
  const layer = layers[Math.floor(layers.length / 2)];
  const lowest = entries
    .filter(
      (entry) => columns.tail[entry] === -1 && Math.floor(entry / width) === layers.indexOf(layer) && columns.token_entropy[entry] > 0,
    )
    .sort((a, b) => columns.token_entropy[a] - columns.token_entropy[b] || a - b)[0];
  const at = lowest % width;
  const shard = index.shards.path.replace('{layer}', layer).replace('{start}', at - (at % index.shards.per_file));
  const record = read(`features/${shard}`).neurons.find((neuron) => neuron.index === at);
  let site;
  let browser;
  let page;
  // Nothing here waits for a model, but Trace.
  withSite({ hash: '#/browse', hold: WEIGHTS }, (on) => {
    ({ site, browser, page } = on);
  });

  const button = (name) => page.getByRole('group', { name: /TopK model or its dense twin/ }).getByRole('button', { name, exact: true });
  const heads = () => page.getByRole('columnheader').allInnerTexts();

  test('the switch shows the twin’s coordinates in place of the neurons, by keyboard, and back', async () => {
    await page.getByRole('heading', { name: 'All neurons' }).waitFor();
    assert.equal(await button('TopK').getAttribute('aria-pressed'), 'true');
    await button('Dense').focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'All coordinates' }).waitFor();
    await page.getByText(shownCount(entries.length)).waitFor();
    assert.equal(await button('Dense').getAttribute('aria-pressed'), 'true');
    assert.ok(await button('Dense').evaluate((element) => element === document.activeElement));
    await page.goBack();
    await page.getByRole('heading', { name: 'All neurons' }).waitFor();
    await page.goForward();
    await page.getByText(shownCount(entries.length)).waitFor();
  });

  test('the address keeps the choice over a reload, and what only one of the two models has is left aside', async () => {
    assert.equal(hashOf(page).params.model, twin.name);
    const last = layers.at(-1);
    await page.getByRole('combobox', { name: 'Layer' }).selectOption(String(last));
    const inLast = entries.filter((entry) => Math.floor(entry / width) === layers.length - 1);
    await page.getByText(shownCount(inLast.length)).waitFor();
    await page.reload();
    await page.getByText(shownCount(inLast.length)).waitFor();
    const other = topk.read('features/index.json');
    await button('TopK').click();
    await page.getByRole('heading', { name: 'All neurons' }).waitFor();
    await page.getByText(/ of [\d,]+ neurons in layers/).waitFor(); // the filters come with the statistics
    await page.locator('[data-row]').first().waitFor();
    assert.equal(await page.getByRole('combobox', { name: 'Layer' }).inputValue(), other.layers.includes(last) ? String(last) : '');
    await button('Dense').click();
    await page.getByText(shownCount(inLast.length)).waitFor();
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await page.getByText(shownCount(entries.length)).waitFor();
  });

  test('the table says which end is shown in place of a density, and keeps either', async () => {
    assert.deepEqual((await heads()).map((text) => text.replace(/ [↑↓]$/, '')).slice(0, 4), [
      'Coordinate',
      'Label (guess)',
      'Tail',
      'Entropy',
    ]);
    assert.ok(!(await heads()).includes('Density'));
    assert.equal(await page.getByLabel('Min. density (%)').count(), 0);
    for (const [end, sign] of [
      ['lowest', -1],
      ['highest', 1],
    ]) {
      await page.getByRole('combobox', { name: 'Tail' }).selectOption(end);
      await page.getByText(shownCount(entries.filter((entry) => columns.tail[entry] === sign).length)).waitFor();
      const ends = await page.locator('[data-row] [data-end]').allTextContents();
      assert.ok(ends.length > 5 && ends.every((text) => text === end));
      assert.equal(hashOf(page).params.end, end);
    }
    await page.getByRole('combobox', { name: 'Tail' }).selectOption('');
    await page.getByText(shownCount(entries.length)).waitFor();
  });

  test('the table is accessible and fits a phone', () => assertUsable(page));

  test('export as CSV with the end, as JSON in the keys of SAEDashboard’s Neuronpedia files', async () => {
    await page.getByRole('combobox', { name: 'Layer' }).selectOption(String(layer));
    await page.getByLabel('Max. entropy (bits)').fill(String(columns.token_entropy[lowest]));
    await page.getByLabel('Max. entropy (bits)').blur();
    const wanted = entries.filter(
      (entry) => Math.floor(entry / width) === layers.indexOf(layer) && columns.token_entropy[entry] <= columns.token_entropy[lowest],
    );
    await page.getByText(shownCount(wanted.length)).waitFor();
    const csv = await saved(page, () => page.getByRole('button', { name: /as CSV/ }).click());
    assert.equal(csv.name, `${index.model}-neurons.csv`);
    const lines = csv.text.trim().split('\r\n');
    assert.equal(lines.length, 1 + wanted.length);
    assert.match(lines[0], /^layer,index,label,end,density,max,n,tokenEntropy/);
    const line = lines.find((text) => text.startsWith(`${layer},${at},`));
    assert.match(line, /,lowest,/);
    assert.ok(line.includes(`,${columns.max[lowest]},`));
    const json = await saved(page, () => page.getByRole('button', { name: /as JSON/ }).click());
    const [batch] = JSON.parse(json.text);
    assert.deepEqual([batch.model_id, batch.layer, batch.sae_set], [index.model, layer, `${index.model}-neurons`]);
    assert.equal(batch.features.length, wanted.length);
    const feature = batch.features.find((one) => one.feature_index === at);
    const keys = 'frac_nonzero freq_hist_data_bar_heights neg_str neg_values pos_str pos_values activations'.split(' ');
    assert.deepEqual(
      keys.filter((key) => feature[key] === undefined),
      [],
    );
    assert.equal(feature.activations[0].values[feature.activations[0].qualifying_token_index], record.examples.top[0].value);
    await page.getByRole('button', { name: 'Clear filters' }).click();
  });

  test('a coordinate’s page: the tail that is shown, no TopK and no density', async () => {
    await page.goto(`${site.url}?backend=cpu#/m/${twin.name}/${layer}/${at}`);
    await page.locator(`[data-neuron="${layer}.${at}"]`).waitFor();
    await page.getByRole('heading', { name: `Layer ${layer} coordinate ${at}`, level: 1 }).waitFor();
    await page.getByRole('heading', { name: 'Where it is lowest' }).waitFor();
    await page.getByText('Figures for researchers').first().click();
    const end = page.locator('.stat', { has: page.getByRole('button', { name: 'Tail', exact: true }) });
    assert.equal(await end.locator('dd').innerText(), 'lowest');
    await page.getByText('without TopK it has a value').waitFor();
    const text = await page.locator('main').innerText();
    assert.doesNotMatch(text, /Active at|Active values|active 100|after TopK|\bneuron\b/);
    await page.getByRole('heading', { name: 'Lowest quarter by rank', exact: true }).waitFor();
    const links = page.getByRole('heading', { name: 'The same index' }).locator('..').getByRole('link');
    await assertCount(links, layers.length);
    await assertUsable(page);
  });

  test('a coordinate’s card, compared with another one', async () => {
    const next = (at + 1) % width;
    await page.getByLabel('Layer.index').fill(`${layer}.${next}`);
    await page.getByRole('button', { name: 'Compare' }).click();
    const card = page.locator(`section[data-neuron="${layer}.${at}"]`);
    await card.getByRole('heading', { name: `Layer ${layer} coordinate ${at}` }).waitFor();
    await card.getByRole('heading', { name: 'Where it is lowest', exact: true }).waitFor();
    await card.getByText('Figures for researchers').click();
    assert.match(await card.innerText(), /Tail\s+lowest/);
    assert.doesNotMatch(await card.innerText(), /evict|Density|Active at/);
    assert.ok((await card.getByRole('link', { name: 'Details' }).getAttribute('href')).includes(twin.name));
    await page.locator(`section[data-neuron="${layer}.${next}"]`).getByText('Figures for researchers').waitFor();
  });

  test('Trace draws what was analyzed, and says so of a step that was not', async () => {
    await page.goto(`${site.url}?backend=cpu#/trace?model=${twin.name}`);
    if (index.steps.length === 0) {
      await page.getByText('Only the final weights were analyzed').waitFor();
      return;
    }
    await page.getByRole('heading', { name: 'When each coordinate took on its meaning' }).waitFor();
    const { steps } = read('features/steps/columns.json');
    const map = page.locator('figure', { hasText: 'similarity to the final' });
    await assertCount(map.locator('tbody tr'), steps.length);
    const ribbon = page.locator('figure', { hasText: 'How early each' });
    await assertCount(ribbon.locator('tbody tr'), layers.length);
    await page.getByRole('slider', { name: 'Coordinate' }).first().focus();
    await page.keyboard.press('ArrowRight');
    await page.getByText(/the distance to its final top tokens is/).waitFor();
    await page.getByRole('link', { name: 'Open the coordinate' }).waitFor();
    // A step of the TopK model alone: an old link, or a checkpoint that was not analyzed.
    const missing = steps[0] + 1;
    await page.goto(`${site.url}?backend=cpu#/trace?model=${twin.name}&ckpt=${missing}`);
    await page.getByRole('heading', { name: 'When each coordinate took on its meaning' }).waitFor();
    await assertUsable(page);
  });

  test('Explore and Steer with the twin: the text stays, every coordinate is shown, none is evicted', async () => {
    site.release();
    const fresh = await openSite(browser, site, '#/explore');
    try {
      const { page: own } = fresh;
      own.setDefaultTimeout(STEP_TIMEOUT);
      assert.equal(await loaded(own), 'cpu');
      const box = own.getByRole('textbox').first();
      await own.locator('[data-state=live]').waitFor();
      // Its words come with the vocabulary, which may come after the model.
      const isLong = ({ length }) => length > 10;
      const text = await eventually(() => box.inputValue(), isLong);
      assert.ok(isLong(text), text);
      await own.getByRole('combobox', { name: 'Model' }).selectOption(twin.name);
      await own.getByText('in a dense model every coordinate has a value').waitFor();
      assert.equal(await loaded(own), 'cpu');
      await own.locator('[data-state=live]').waitFor();
      assert.equal(await box.inputValue(), text);
      const tokens = await own.getByRole('listbox').first().getByRole('option').allInnerTexts();
      const bare = (value) => value.replaceAll(/[\s␣↵]/g, '');
      assert.ok(bare(tokens.join('')).endsWith(bare(text)));
      await own.goto(`${site.url}?backend=cpu#/steer?model=${twin.name}&n=${layer}.${at}&len=6`);
      await own.locator('[data-divergence]').waitFor();
      await own.getByText('1.00 × its extreme').waitFor();
      assert.equal(await own.getByText('Evicted and admitted neurons').count(), 0);
    } finally {
      await fresh.close();
    }
  });
});
