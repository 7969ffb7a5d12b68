// Browse holds 30,000 rows: few of them in the document, searched, sorted, filtered, exported; TopK and dense.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { D, manyNeurons, serveNeurons } from './many-neurons.mjs';
import { assertUsable, eventually, hashOf, offeredModels, saved, shippedModel, WEIGHTS, withSite } from './page-kit.mjs';

const MOST_ROWS = 100;

/** The table's neurons, with values that a test can foretell; `id` is the token that every 100th fires on. */
const foretold = (id) => ({
  density: (entry) => (entry % 1000) / 1000,
  max: (entry) => 1 + (entry % 7),
  mean: () => 1,
  n: (entry) => (entry % 10 === 9 ? 5 : 100),
  token_entropy: (entry) => ((entry * 7919) % 30000) / 5000,
  semantic_entropy: () => 1,
  next_entropy: () => 2,
  top_tokens: (entry) => (entry % 100 === 0 ? [id] : []),
  promoted: () => [],
  suppressed: () => [],
  label: (entry) => `label ${entry}`,
  emergence: () => null,
  similarity: () => 0.5,
});

const model = shippedModel();

/** The columns that are foretold alone: where more was measured, the search finds more. */
const plain = ({ columns, ...index }) => {
  const kept = Object.keys(foretold(0)).filter((name) => name in columns);
  return { ...index, columns: Object.fromEntries(kept.map((name) => [name, columns[name]])) };
};

describe('browse', { timeout: 1_800_000, skip: !model.features && 'the shipped model has no statistics' }, () => {
  const index = model.features && {
    ...manyNeurons(plain(model.read('features/index.json')), foretold(model.read('tokenizer.json').model.vocab.Ġdog)),
    steps: [],
  };
  let page;
  let site;
  withSite({ hash: '#/browse?rare=1', serve: { intercept: serveNeurons(model, index) }, hold: WEIGHTS }, (on) => {
    ({ page, site } = on);
  });

  const table = () => page.getByRole('table');
  const rowsInDocument = () => page.locator('[data-row]').count();
  const scrollTo = (share) =>
    page.getByRole('region', { name: /All neurons, sorted/ }).evaluate((region, part) => {
      region.scrollTop = part * region.scrollHeight;
      return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    }, share);
  const first = () => page.locator('[data-row]').first().locator('> *').allTextContents();
  const shown = (wanted) => page.getByText(`${wanted} of 30,000 neurons`).waitFor();

  test('30,000 rows, at most 100 of them in the document, at the top, in the middle and at the end', async () => {
    await shown('30,000');
    assert.equal(await table().getAttribute('aria-rowcount'), '30001');
    const last = () => page.locator('[data-row]').last().getAttribute('aria-rowindex');
    for (const [share, least] of [
      [0, 2],
      [0.5, 14_900],
      [1, 30_001],
    ]) {
      await scrollTo(share);
      const reached = await eventually(last, (row) => Number(row) >= least);
      assert.ok(Number(reached) >= least, `row ${reached} at ${share}`);
      const count = await eventually(rowsInDocument, (rows) => rows >= 10);
      assert.ok(count >= 10 && count <= MOST_ROWS, `${count} rows in the document`);
    }
    await scrollTo(0);
  });

  test('sorted by a click on a column, both ways, and in the address', async () => {
    const entropies = async () =>
      (await page.locator('[data-row]').evaluateAll((rows) => rows.map((row) => Number(row.children[2].textContent)))).slice(0, 10);
    const ascending = await entropies();
    assert.deepEqual(
      ascending,
      ascending.toSorted((a, b) => a - b),
    );
    await page.getByRole('button', { name: 'Entropy' }).click();
    await page.getByRole('region', { name: 'All neurons, sorted by Entropy' }).waitFor();
    await page.locator('[aria-sort=descending]').waitFor();
    const descending = await entropies();
    assert.deepEqual(
      descending,
      descending.toSorted((a, b) => b - a),
    );
    assert.ok(descending[0] > 5.9);
    assert.equal(hashOf(page).params.sort, '-tokenEntropy');
    await page.getByRole('button', { name: 'Neuron', exact: true }).click();
    await page.waitForFunction(() => document.querySelector('[data-row] a')?.textContent === '0 · 0');
  });

  test('searched by token, filtered by layer, entropy and rareness', async () => {
    await page.getByRole('searchbox', { name: 'Word or meaning' }).fill('dog');
    await shown('300');
    await page.getByRole('combobox', { name: 'Layer' }).selectOption('3');
    await shown('50');
    await page.getByLabel('include rare and dead').uncheck();
    await shown('50'); // each of them has its hundred positions
    await page.getByRole('searchbox', { name: 'Word or meaning' }).fill('');
    await shown('4,500');
    await page.getByLabel('Max. entropy (bits)').fill('1');
    await page.getByLabel('Max. entropy (bits)').blur();
    const expected = index.columns.token_entropy.filter(
      (bits, entry) => bits <= 1 && Math.floor(entry / D) === 3 && index.columns.n[entry] === 100,
    ).length;
    await shown(String(expected));
    await page.reload();
    await shown(String(expected));
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await shown('27,000');
  });

  test('it says how many are left out, that it scrolls sideways, and what its columns mean without a pointer that hovers', async () => {
    await page.getByText(/^27,000 of 30,000 neurons .*, without 3,000 active at too few positions/).waitFor();
    const scrolls = page.getByText(/^The table has \d+ columns: it scrolls sideways\.$/);
    assert.equal(await scrolls.isVisible(), false);
    const before = page.viewportSize();
    await page.setViewportSize({ width: 390, height: 844 });
    await scrolls.waitFor();
    await page.setViewportSize(before);
    await page.getByText('What the columns mean').click();
    await page.getByText('Entropy of the input tokens at the N top activations').waitFor();
    const named = (texts) => texts.map((text) => text.replace(/ \(guess\)| [↓↑]/g, '').trim());
    const headings = named(await page.getByRole('columnheader').allInnerTexts());
    assert.deepEqual(named(await page.locator('.meanings dt').allInnerTexts()), headings);
    await page.getByText('What the columns mean').click();
  });

  test('exported as CSV: the rows of the table', async () => {
    await page.getByRole('searchbox', { name: 'Word or meaning' }).fill('dog');
    await shown('300');
    const { text } = await saved(page, () => page.getByRole('button', { name: /as CSV/ }).click());
    const lines = text.trim().split('\r\n');
    assert.equal(lines.length, 301);
    assert.match(lines[0], /^layer,index,label,density,max,n,tokenEntropy/);
    const neuron = (await first())[0].split(' · ');
    assert.deepEqual(lines[1].split(',').slice(0, 2), neuron);
  });

  test('a row leads to its neuron, and back to the same table', async () => {
    const link = page.locator('[data-row] a').first();
    const [layer, at] = (await link.textContent()).split(' · ');
    await link.click();
    await page
      .getByRole('heading', { name: `Layer ${layer} neuron ${at}` })
      .first()
      .waitFor();
    await page.goBack();
    await shown('300');
    assert.equal(await page.getByRole('searchbox', { name: 'Word or meaning' }).inputValue(), 'dog');
  });

  test('by keyboard the table is one stop; arrow keys go from row to row, as far as there are rows', async () => {
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await shown('27,000');
    await scrollTo(0);
    const focused = () =>
      page.evaluate(() => document.activeElement.closest('[data-row]')?.dataset.row ?? document.activeElement.innerText);
    const at = (row) => page.waitForFunction((wanted) => document.activeElement.closest('[data-row]')?.dataset.row === wanted, String(row));
    await page.getByRole('region', { name: /All neurons, sorted/ }).focus();
    const { length } = await page.getByRole('columnheader').getByRole('button').all();
    for (let press = 0; press < length; press++) await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), '0');
    await page.keyboard.press('ArrowDown');
    await at(1);
    await page.keyboard.press('PageDown');
    await page.waitForFunction(() => Number(document.activeElement.closest('[data-row]')?.dataset.row) > 10);
    await page.keyboard.press('End');
    await at(26_999);
    assert.ok((await rowsInDocument()) <= MOST_ROWS);
    await page.keyboard.press('ArrowDown');
    await at(26_999);
    await page.keyboard.press('Home');
    await at(0);
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'What the columns mean');
    await page.keyboard.press('Tab');
    assert.match(await focused(), /as CSV/);
  });

  test('accessible, and fits a phone', () => assertUsable(page));

  test('the dense twin’s coordinates, in the same table', async (t) => {
    const twin = offeredModels().find(({ name }) => name === model.dense_twin);
    if (!twin?.features) return t.skip('no dense twin with statistics is shipped');
    // An export that has not ended goes with its table: a file that it needs does not come.
    site.hold(new RegExp(`${WEIGHTS.source}|/layer0/512\\.json$`));
    await page.getByRole('button', { name: 'Export as JSON' }).click();
    const region = page.getByRole('region', { name: 'Export' });
    await region.getByRole('button', { name: 'Cancel' }).waitFor();
    // It is of the rows that the table had when it began.
    await page.getByRole('searchbox', { name: 'Word or meaning' }).fill('dog');
    await shown('300');
    await region.getByText(/^Loaded [\d,]+ of 27,000$/).waitFor();
    await page.getByRole('searchbox', { name: 'Word or meaning' }).fill('');
    await shown('27,000');
    await page.getByRole('button', { name: 'Dense', exact: true }).click();
    await page.getByText(/coordinates of the residual stream in layers/).waitFor();
    assert.equal(hashOf(page).params.model, twin.name);
    assert.equal(await page.getByRole('alert').count(), 0);
    assert.ok((await rowsInDocument()) <= MOST_ROWS);
    // The keyboard is in a row, its table scrolls, and another model's takes its place; an error would fail the test of the page.
    for (const name of [model.name, twin.name]) {
      const before = await table().elementHandle();
      await page.locator('[data-row] a').first().focus();
      await page.evaluate((to) => {
        document.activeElement.closest('[data-scrolls]').scrollTop = 400;
        location.hash = to;
      }, `#/browse?model=${name}&sort=emergence`);
      await page.waitForFunction((old) => !old.isConnected && document.querySelector('[data-row]'), before);
    }
  });
});
