// Patching: a state of one text put into another. The map and its parts against edits made by hand with the npm package in Node; the page in Chromium.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  addressHas,
  assertUsable,
  hashOf,
  offeredModels,
  saved,
  shippedModel,
  sidewaysScroll,
  siteModule,
  STEP_TIMEOUT,
  withSite,
} from './page-kit.mjs';
import { inRoot } from '../../scripts/lib/paths.mjs';

const { differences, mostTelling, patchAll, patchOf, readPair, takeApart } = await siteModule('patch/patching.ts');
const { PAIRS } = await siteModule('patch/pairs.ts');
const model = shippedModel();
const { signal } = new AbortController();
const twin = offeredModels().find(({ name }) => name === model.dense_twin);

async function withEngine(name, work) {
  const { TopKLM } = await import('topk-lm');
  const engine = await TopKLM.load(inRoot('models', name), { backend: 'cpu' });
  try {
    await work(engine);
  } finally {
    await engine.dispose();
  }
}

async function mapOf(engine, pair) {
  const map = new Map();
  for await (const { layer, position, share } of patchAll(engine, pair, signal)) map.set(`${layer}.${position}`, share);
  return map;
}

test('the token that tells two distributions apart takes most of their divergence', () => {
  const ln = (...p) => Float32Array.from(p, Math.log);
  assert.equal(mostTelling(ln(0.5, 0.3, 0.2), ln(0.5, 0.1, 0.4)), 1);
  assert.equal(mostTelling(ln(0.5, 0.1, 0.4), ln(0.5, 0.3, 0.2)), 2);
});

test('a patch is what the same edits do, and its parts are what single ones do', { timeout: 1_800_000 }, () =>
  withEngine(model.name, async (engine) => {
    const pair = await readPair(engine, PAIRS[0], signal);
    const logits = async (edits) => (await engine.run(PAIRS[0].into, { edits, logits: 'last' })).logits.data;
    const odds = (data) => data[pair.next.from] - data[pair.next.into];
    const [before, after] = [await logits([]), (await engine.run(PAIRS[0].from, { logits: 'last' })).logits.data];
    const shareOf = async (edits) => (odds(await logits(edits)) - odds(before)) / (odds(after) - odds(before));
    const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-4, `${a} and ${b}`);

    const place = { layer: 2, position: pair.first };
    const neurons = differences(pair, place.layer, place.position);
    const map = await mapOf(engine, pair);
    assert.equal(map.size, pair.layers.length * (pair.ids.into.length - pair.first));
    near(map.get(`2.${pair.first}`), await shareOf(patchOf(neurons, place.layer, place.position)));
    assert.ok(map.get(`2.${pair.first}`) > 0.9, 'the word that differs decides');
    assert.ok(Math.abs(map.get(`2.${pair.first + 1}`)) < 0.1, 'the word behind it does not: the control');

    const { differ, alone, together } = await takeApart(engine, pair, place, signal);
    assert.equal(differ, neurons.length);
    const { index, from, share } = alone[0];
    near(share, await shareOf([{ layer: 2, index, action: 'clamp', value: from, positions: { from: pair.first, to: pair.first + 1 } }]));
    assert.ok(alone.every((neuron, at) => at === 0 || Math.abs(neuron.share) <= Math.abs(alone[at - 1].share)));
    const most = alone.toSorted((a, b) => b.share - a.share);
    near(together[0].share, await shareOf(patchOf(most.slice(0, 2), 2, pair.first)));
  }),
);

test('what cannot be compared is said', { timeout: 1_800_000 }, () =>
  withEngine(model.name, async (engine) => {
    const into = 'The cat sat.';
    for (const [from, sentence] of [
      ['The cat sat.', /are the same/],
      ['The big cat sat.', /same number of tokens.*the first has 6, the second 5/],
      ['', /^Enter two texts\.$/],
      [' ', /^Enter two texts\.$/],
    ]) {
      assert.match(await readPair(engine, { from, into }, signal), sentence);
    }
    const long = (word) => `${'The cat sat. '.repeat(40)}${word}`;
    assert.match(
      await readPair(engine, { from: long('He'), into: long('She') }, signal),
      /at most 128 tokens here; these have up to \d+\.$/,
    );
    // They differ only where the model reads nothing.
    const cut = (word) => 'The cat sat. '.repeat(400) + word;
    assert.match(
      await readPair(engine, { from: cut('He'), into: cut('She') }, signal),
      /at most 128 tokens here; these have up to 256 and more\.$/,
    );
  }),
);

test('of a model without a tokenizer ids are asked for', async () => {
  const ids = { config: { has_tokenizer: false, d_vocab: 4096, n_ctx: 256 } };
  for (const texts of [PAIRS[0], { from: '1 2 3', into: '1 2 9999' }]) {
    assert.equal(await readPair(ids, texts, signal), 'The model has no tokenizer.json: enter token ids below 4,096, like 1 2 3.');
  }
  assert.equal(await readPair(ids, { from: '1 2 3', into: '1,2,3' }, signal), 'Both texts are the same.');
});

test('every pair of the page can be patched, and its word decides', { timeout: 1_800_000 }, () =>
  withEngine(model.name, async (engine) => {
    for (const texts of PAIRS) {
      const pair = await readPair(engine, texts, signal);
      assert.notEqual(typeof pair, 'string', `${texts.title}: ${pair}`);
      const map = await mapOf(engine, pair);
      assert.ok(map.get(`0.${pair.first}`) > 0.9, `${texts.title}: ${map.get(`0.${pair.first}`)}`);
    }
  }),
);

test('in a dense model the last state of all decides alone', { skip: !twin && 'the shipped model has no twin', timeout: 1_800_000 }, () =>
  withEngine(twin.name, async (engine) => {
    const pair = await readPair(engine, PAIRS[0], signal);
    const [layer, position] = [pair.layers.at(-1), pair.ids.into.length - 1];
    const { differ, together } = await takeApart(engine, pair, { layer, position }, signal);
    assert.equal(differ, engine.config.d_model);
    assert.ok(together.length === 4 && together.every(({ share }) => share < 0.9), 'a few coordinates do not');
    for await (const patched of patchAll(engine, { ...pair, first: position }, signal)) {
      if (patched.layer === layer) assert.ok(Math.abs(patched.share - 1) < 1e-5, patched.share);
    }
  }),
);

describe('patch page', { timeout: 1_800_000 }, () => {
  let page;
  withSite({ hash: '#/patch', load: true }, (on) => {
    ({ page } = on);
  });
  const whole = () => page.locator('[data-patched=whole]').waitFor({ timeout: 2 * STEP_TIMEOUT });
  const cell = (place) => page.locator(`[data-place="${place}"]`);

  test('it opens with a map, and a cell that is taken apart', async () => {
    await whole();
    const parts = page.locator('[data-parts]');
    await parts.waitFor();
    assert.match(await page.locator('[data-patched]').innerText(), /“she” has a probability of \d+ %/);
    const shares = await page.locator('[data-share]').evaluateAll((cells) => cells.map((each) => Number(each.dataset.share)));
    assert.ok(shares.length > 20 && shares.filter((share) => share > 0.9).length === 5, `${shares}`);
    const alone = await page.locator('[data-alone]').evaluateAll((rows) => rows.map((row) => Number(row.dataset.alone)));
    assert.ok(alone[0] > 0.3 && alone.at(-1) < 0.1, `${alone}`);
  });

  test('a cell is chosen by pointer and by arrow keys, and the address holds it', async () => {
    const first = await page.locator('[data-place]').first().getAttribute('data-place');
    await cell(first).click();
    await addressHas(page, 'at', first);
    const [layer, position] = first.split('.').map(Number);
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowDown');
    const at = `${layer + 1}.${position + 1}`;
    await addressHas(page, 'at', at);
    assert.equal(await page.evaluate(() => document.activeElement.dataset.place), at);
    await page.locator(`[data-parts$="${at}"]`).waitFor();
    await page.reload();
    await whole();
    assert.equal(await cell(at).getAttribute('aria-pressed'), 'true');
  });

  test('texts of the reader’s, kept in the address; what does not fit is said', async () => {
    const [from, into] = ['First text', 'Second text'].map((name) => page.getByRole('textbox', { name }));
    await from.fill('The little cat sat on the');
    await page.getByText(/same number of tokens/).waitFor();
    assert.equal(await page.locator('[data-place]').count(), 0, 'no map of other texts');
    await into.fill('The little dog sat on the');
    await whole();
    assert.equal(hashOf(page).params.q, 'The little dog sat on the');
    const { text } = await saved(page, () => page.getByRole('button', { name: 'CSV' }).click());
    assert.match(text, /^layer,position,first,second,share\r\n0,3, cat, dog,[\d.]+\r\n/);
    await page.getByRole('button', { name: PAIRS[1].title }).click();
    await whole();
    assert.equal(await from.inputValue(), PAIRS[1].from);
  });

  test('a next token that is a piece of a word has an ellipsis where the word goes on', async () => {
    await page.getByRole('button', { name: 'A question' }).click();
    await page.locator('[data-patched=whole]', { hasText: /“doll” has a probability of .+ and “cl…” of/ }).waitFor();
  });

  test('a map wider than a phone scrolls by itself, its hidden words too', async () => {
    await page.setViewportSize({ width: 320, height: 800 });
    await page.evaluate(() => (location.hash = '#/patch?p=Ben+had+a+red+ball.+He&q=Anna+said%2C+%22Here+is+my'));
    await page.locator('[data-patched=whole]', { hasText: 'After the first text' }).waitFor();
    const map = page.getByRole('region', { name: 'Map of the patches' });
    await map.getByText('my', { exact: true }).waitFor({ state: 'attached' });
    assert.ok(await map.evaluate((element) => element.scrollWidth > element.clientWidth + 100));
    assert.ok((await sidewaysScroll(page)) <= 0);
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  test('accessible in both themes, no sideways scrolling on a phone', () => assertUsable(page));
});
