// Neurons that turn one word into another: what is found holds where it was not looked for, and the page finds it, adds it and shares it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { inRoot } from '../../scripts/lib/paths.mjs';
import {
  assertCount,
  assertUsable,
  hashOf,
  LOAD_TIMEOUT,
  offeredModels,
  shippedModel,
  sidewaysScroll,
  siteModule,
  withSite,
} from './page-kit.mjs';

const { moved, placesFor, RANDOM, ranked, settable, sidesOf, tokenOf, valuesOf } = await siteModule('turn.ts');
const PROMPT = 'The baby was tired, so';
/** Behind which nothing was looked for. */
const FRESH = ['The teacher laughed because', 'When the doctor opened the door,', 'The puppy was hungry, so'];
const { signal } = new AbortController();

describe('the ranking', () => {
  const settableOf = (layer, count) =>
    Array.from({ length: count }, (_, index) => ({ layer, index, strength: { value: 1 + index, from: 'reads' } }));
  /** Effects of which the second word has all. */
  const places = (...all) => all.map((to) => ({ from: new Float64Array(to.length), to: Float64Array.from(to) }));

  test('only what goes the same way everywhere and beats the random neurons of its own layer, the furthest first', () => {
    // Layer 0: as many as are drawn, so that all of them are random. Layer 1: many more, of which all but three do nothing.
    const neurons = [...settableOf(0, RANDOM), ...settableOf(1, 10 * RANDOM)];
    const effects = neurons.map(({ layer }) => (layer === 0 ? 9 : 0));
    const chosen = [200, 201, 202].map((index) => RANDOM + index);
    const [steady, turning, other] = chosen;
    const first = effects.with(steady, 2).with(turning, 5).with(other, 3);
    const second = effects.with(steady, 2).with(turning, -1).with(other, 1.5);
    const found = ranked(neurons, places(first, second));
    const names = found.map(({ layer, index }) => `${layer}.${index}`);
    // Nothing of layer 0 beats the others, and what turns about is left out.
    assert.ok(
      names.every((name) => ['1.200', '1.202'].includes(name)),
      `${names}`,
    );
    assert.ok(names.length > 0 && found.every(({ times }) => times > 1));
    assert.deepEqual(
      found.map(({ effect }) => effect),
      found.map(({ effect }) => effect).sort((a, b) => b - a),
    );
    assert.deepEqual(ranked(neurons, places(neurons.map(() => 1))), [], 'equal ones do not beat each other');
    assert.deepEqual(ranked(neurons, places(first.map((effect) => -effect))), [], 'the other direction');
    // Where all are random ones, each is compared with the others.
    const few = settableOf(0, 64);
    const [best, ...rest] = ranked(few, places(few.map((_, index) => [4, 3][index] ?? 0)));
    assert.deepEqual([best.index, best.times, rest], [0, 4 / 3, []]);
  });

  test('a word is a token after a space, in any case; or none', () => {
    const vocabulary = ['she', ' she', 'He', ' Once', ' dog'];
    assert.deepEqual(
      ['she', ' she ', 'he', 'once', 'Dog', 'cat', ''].map((word) => tokenOf(vocabulary, word)),
      [1, 1, null, 3, 4, null, null],
    );
    assert.equal(tokenOf(vocabulary, 'He'), 2);
  });

  test('several words on a side, none on both', () => {
    const vocabulary = [' he', ' she', ' her', 'him'];
    assert.deepEqual(sidesOf(vocabulary, 'he, him,he', 'she,her'), [
      [0, 3],
      [1, 2],
    ]);
    for (const [from, to, said] of [
      ['he,she', 'her,she', /“she” is on both sides/],
      ['he,', 'she', /between the commas/],
      [`${'he,'.repeat(8)}he`, 'she', /at most 8 words/],
      ['he', 'they', /“they” is not one token/],
    ])
      assert.match(sidesOf(vocabulary, from, to), said);
  });

  test('any of some words counts', () => {
    // As in crate/src/turn.rs: probabilities of 1 and 3 parts become 2 and 6, then 3 and 3.
    const tokens = [
      { logit: 0, effects: Float32Array.of(Math.log(2), Math.log(3)) },
      { logit: Math.log(3), effects: Float32Array.of(Math.log(2), 0) },
    ];
    for (const [at, ratio] of [2, 1.5].entries()) assert.ok(Math.abs(moved(tokens)[at] - Math.log(ratio)) < 1e-6);
    assert.deepEqual([...moved([{ logit: 3, effects: Float32Array.of(0.5, -1) }])], [0.5, -1]);
  });
});

describe('on the shipped model', { timeout: 1_800_000 }, () => {
  let model;
  before(async () => {
    const { TopKLM } = await import('topk-lm');
    model = await TopKLM.load(inRoot('models', shippedModel().name), { backend: 'cpu' });
  });
  after(() => model.dispose());

  test('an effect is that of an edit, and holds behind fresh prompts', async () => {
    const index = await model.features.index();
    const neurons = settable(index);
    const values = valuesOf(neurons);
    const vocabulary = await model.tokenizer.tokens(Array.from({ length: model.config.d_vocab }, (_, id) => id));
    const vectors = JSON.parse(fs.readFileSync(inRoot('tests/turn_vectors.json'), 'utf8'));
    const ofSide = async (ids, side, some) => {
      const tokens = [];
      for (const target of side) tokens.push(await model.setEach(ids, target, some));
      return moved(tokens);
    };
    const both = async (ids, sides, some = values) => ({ from: await ofSide(ids, sides[0], some), to: await ofSide(ids, sides[1], some) });
    const find = async ({ prompt, from, to }) => {
      const sides = sidesOf(vocabulary, from, to);
      const ids = [...(await model.tokenizer.encode(prompt))];
      const places = await placesFor(model, ids, sides, signal, () => {});
      assert.equal(places.length, 5);
      assert.deepEqual(places[0], ids);
      assert.ok(places.slice(1).every((place) => place.length > ids.length && ids.every((id, at) => place[at] === id)));
      const effects = [];
      for (const place of places) effects.push(await both(place, sides));
      return { sides, places, all: ranked(neurons, effects) };
    };
    // The command finds the same: one word on a side, and several.
    const [one, several] = [vectors.cases[0], vectors.cases.at(-1)];
    assert.deepEqual([one.prompt, one.from, one.to, several.from], [PROMPT, 'he', 'she', 'he, his, him']);
    const made = [];
    for (const expected of [several, one]) {
      const { sides, places, all } = await find(expected);
      assert.deepEqual(await Promise.all(places.map((ids) => model.tokenizer.decode(ids))), expected.places);
      assert.equal(all.length, expected.found);
      for (const [at, [layer, neuron, nats, times]] of expected.turning.entries()) {
        assert.deepEqual([all[at].layer, all[at].index], [layer, neuron]);
        assert.ok(Math.abs(all[at].effect - nats) < 1e-3 && Math.abs(all[at].times - times) < 1e-3, `${at}`);
      }
      made.push({ sides, places, found: all.slice(0, 8) });
    }
    const { sides, places, found } = made[1];
    const pair = sides.map(([id]) => id);

    const [{ layer, index: at, strength, effect }] = found;
    let sum = 0;
    for (const ids of places) {
      const odds = async (edits) => {
        const { logits } = await model.run(ids, { logits: 'last', edits });
        return logits.data[pair[1]] - logits.data[pair[0]];
      };
      const positions = { from: ids.length - 1, to: ids.length };
      sum += (await odds([{ layer, index: at, action: 'clamp', value: strength.value, positions }])) - (await odds([]));
    }
    assert.ok(Math.abs(sum / places.length - effect) < 1e-3, `${sum / places.length} is not ${effect}`);

    for (const text of FRESH) {
      const { from, to } = await both(text, sides, valuesOf(found));
      const turned = [...to].map((value, number) => value - from[number]);
      console.log(`${text}: ${turned.map((value) => value.toFixed(1)).join(', ')} nats`);
      assert.ok(turned.filter((value) => value > 0).length >= 6, `${turned}`);
    }
  });
});

describe('the page', { timeout: 1_800_000 }, () => {
  let page;
  withSite({ hash: `#/steer?p=${encodeURIComponent(PROMPT)}&len=8&temp=0`, load: true }, (on) => {
    ({ page } = on);
  });
  const summary = () => page.getByText('Find neurons that turn one word into another');
  const found = () => page.locator('[data-turning]');
  const field = (name) => page.getByLabel(name, { exact: true });

  test('opened, it suggests two words that could come next; what is no token is said', async () => {
    await summary().click();
    await page.waitForFunction(() =>
      [...document.querySelectorAll('details .ask input')].every((input) => /^\p{L}{2,}$/u.test(input.value)),
    );
    const [from, to] = [await field('From').inputValue(), await field('to').inputValue()];
    assert.notEqual(from, to);
    assert.ok(![from, to].some((word) => ['he', 'she', 'the', 'they', 'and', 'it'].includes(word)), `${from}, ${to}`);
    for (const [first, second, said] of [
      ['he,', 'she', /Enter a word between the commas/],
      ['he', 'qwxyz', /“qwxyz” is not one token of this model/],
      ['', 'she', /Enter two words/],
      ['she', ' she', /Enter two different words/],
    ]) {
      await field('From').fill(first);
      await field('to').fill(second);
      await page.getByRole('button', { name: 'Find', exact: true }).click();
      await page.getByRole('alert').filter({ hasText: said }).waitFor();
    }
    assert.equal(await found().count(), 0);
  });

  test('what is found is listed with its effect; one of them is added, and writes the word', async () => {
    await field('From').fill('he');
    await field('to').fill('she');
    await page.keyboard.press('Tab');
    await page.evaluate(() => {
      window.focused = [];
      addEventListener('focusin', ({ target }) => window.focused.push(target.textContent || target.tagName));
    });
    await page.keyboard.press('Enter');
    await found().waitFor({ timeout: LOAD_TIMEOUT });
    assert.equal(await page.evaluate(() => window.focused[0]), 'Cancel', 'the keyboard is where the search is ended');
    assert.ok(Number(await found().getAttribute('data-turning')) >= 8);
    const rows = found().locator('ul > li');
    await assertCount(rows, 8);
    for (const row of await rows.all()) assert.ok(Number(await row.getAttribute('data-times')) > 1);
    assert.deepEqual([hashOf(page).params.from, hashOf(page).params.to], ['he', 'she']);
    const name = await rows.first().getByRole('link').innerText();
    await rows.first().getByRole('button').click();
    await page.locator('[data-divergence]').waitFor();
    await page.locator('[data-doing=nothing]').waitFor({ state: 'attached' });
    assert.match(await page.locator('[data-side=steered]').innerText(), /\bshe\b/);
    assert.match(await page.locator('[data-side=base]').innerText(), /\bhe\b/);
    await page.waitForFunction((name) => location.hash.includes(`e=${name}_clamp_`), name);
    await assertUsable(page);
  });

  test('words longer than a phone is wide do not widen the page', async () => {
    const long = 'x'.repeat(120);
    const before = page.viewportSize();
    await page.setViewportSize({ width: 320, height: 800 });
    await page.evaluate((word) => (location.hash += `&w=${word}`), long);
    await page.getByText(`Underlined: ${long}.`).waitFor();
    await field('to').fill(long);
    await page.getByRole('button', { name: 'Find', exact: true }).click();
    await page
      .getByRole('alert')
      .filter({ hasText: `“${long}” is not one token` })
      .waitFor();
    assert.equal(await sidewaysScroll(page), 0);
    await page.setViewportSize(before);
  });

  test('another prompt: the list is of the one before until it is asked again', async () => {
    await page.getByRole('textbox', { name: 'Prompt' }).fill('The girl and the');
    await page.getByText('From another prompt or other weights').waitFor();
  });

  test('a link with two words finds them again, unless it is cancelled', async () => {
    const address = page.url().replace(/#.*$/, '');
    const visit = async () => {
      await page.goto('about:blank');
      await page.goto(`${address}#/steer?p=${encodeURIComponent(PROMPT)}&from=he&to=she`);
    };
    await visit();
    const cancel = page.locator('details').getByRole('button', { name: 'Cancel' });
    await cancel.click();
    await cancel.waitFor({ state: 'detached' });
    await field('From').fill('boy');
    await page.getByRole('spinbutton', { name: 'Seed' }).fill('11');
    await page.getByRole('spinbutton', { name: 'Seed' }).blur();
    await page.waitForURL(/[?&]seed=11/);
    assert.equal(await field('From').inputValue(), 'boy');
    assert.equal(await cancel.count(), 0);
    await visit();
    await found().waitFor({ timeout: LOAD_TIMEOUT });
    assert.equal(await field('to').inputValue(), 'she');
    assert.equal(await page.getByText('From another prompt').count(), 0);
  });

  test('a search that was left while it ran begins again with the step back', async () => {
    await field('From').fill('dog');
    await field('to').fill('cat');
    await page.getByRole('button', { name: 'Find', exact: true }).click();
    await page.locator('details').getByRole('button', { name: 'Cancel' }).waitFor();
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'About' }).click();
    await page.locator('main[data-page=about]').waitFor();
    await page.goBack();
    await page.getByText(/turns? “dog” into “cat”/).waitFor({ timeout: LOAD_TIMEOUT });
    await field('From').fill('he');
    await field('to').fill('she');
    await page.getByRole('button', { name: 'Find', exact: true }).click();
    await page.getByText(/turns? “he” into “she”/).waitFor({ timeout: LOAD_TIMEOUT });
  });

  test('another model: what was found goes, and the same words are turned by its own', async () => {
    const [, other] = offeredModels();
    await page.getByRole('combobox', { name: 'Model' }).selectOption(other.name);
    await page.waitForFunction((name) => location.hash.includes(name) && !document.querySelector('[data-turning]'), other.name);
    await found().waitFor({ timeout: LOAD_TIMEOUT });
    assert.match(await found().innerText(), /coordinates? of [\d,]+ turns? “he” into “she”|No coordinate turns/);
  });
});
