// The gallery: its cards are those of the model's files, found by meaning, and tried on Steer as they were measured.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { addressHas, assertUsable, hashOf, loaded, offeredModels, shippedModel, STEP_TIMEOUT, siteModule, withSite } from './page-kit.mjs';
import { SWITCHES, serveSwitches } from './switches-kit.mjs';

const gallery = await siteModule('gallery.ts');
const model = shippedModel();
const search = (page) => page.getByRole('searchbox', { name: 'Search by meaning' });
/** Sets that bring a topic are cards too. */
const topics = fs.existsSync(path.join(model.folder, 'recipes.json')) ? model.read('recipes.json').length : 0;
const found = (page, number) => page.locator(`[data-found="${number}"]`).waitFor();

describe('the gallery of switches', { timeout: 1_800_000, skip: !model.features && 'the shipped model has no statistics' }, () => {
  let page;
  withSite({ hash: '#/gallery', serve: { intercept: serveSwitches(model) } }, (on) => {
    ({ page } = on);
  });

  test('each has a plain name, both texts, what random neurons do, and how it was measured', async () => {
    await found(page, 3 + topics); // an index that does the same in two layers is one card
    const card = page.getByRole('article', { name: 'More than one' });
    const text = await card.innerText();
    for (const part of ['was very happy. He', 'were very happy. They', '3.7 times', 'Layer 3 neuron 452', 'was / were'])
      assert.ok(text.includes(part), part);
    await card.getByText('How we know').click();
    await card.getByText('by −6.83 nats').waitFor();
    await card.getByText('The same index does this in layer 2 too.').waitFor();
    await assertUsable(page);
  });

  test('found by meaning, and by kind; the address keeps both', async () => {
    for (const [query, name] of [
      ['plural', 'More than one'],
      ['opening quotes', 'Opens a quote'],
      ['WERE', 'More than one'],
    ]) {
      await search(page).fill(query);
      await found(page, 1);
      await page.getByRole('article', { name }).waitFor();
    }
    await addressHas(page, 'q', 'WERE');
    await search(page).fill('submarine');
    await found(page, 0);
    const ways = page.getByRole('link', { name: 'Search all neurons' });
    await ways.waitFor();
    assert.ok((await ways.boundingBox()).y < page.viewportSize().height / 2, 'what to do is below the room of the cards');
    // Where the kind hides them, that is said, and one press shows them.
    await search(page).fill('plural');
    await page.getByRole('button', { name: 'punctuation' }).click();
    await found(page, 0);
    assert.equal(await ways.count(), 0);
    await page.locator('[data-hidden="1"]').getByRole('button', { name: 'Show all kinds' }).click();
    await found(page, 1);
    await search(page).fill('');
    await page.getByRole('button', { name: 'punctuation' }).click();
    await found(page, 2);
    await page.getByRole('button', { name: 'all', exact: true }).click();
    await found(page, 3 + topics);
  });

  test('one is tried as it was measured: from the last token of its prompt on', async () => {
    await loaded(page);
    await page
      .getByRole('article', { name: 'More than one' })
      .getByRole('link', { name: /Try it/ })
      .click();
    await page.locator('[data-divergence]').waitFor({ timeout: 2 * STEP_TIMEOUT });
    const { route, params } = hashOf(page);
    assert.deepEqual([route, params.p, params.temp], ['/steer', SWITCHES[1].prompt, '0']);
    assert.equal(params.e, '3.452_clamp_12_out_next');
  });
});

describe('the gallery of topics', { timeout: 1_800_000 }, () => {
  let page;
  const recipes = fs.existsSync(path.join(model.folder, 'recipes.json')) ? model.read('recipes.json') : null;
  withSite({ hash: '#/gallery' }, (on) => {
    ({ page } = on);
  });

  test('stands before the switches, and is found by its concept', { skip: !recipes && 'the shipped model has no recipes' }, async () => {
    await page.locator('[data-found]').waitFor();
    const { concept, edits, words } = recipes[0];
    assert.ok((await page.getByRole('article').count()) >= recipes.length);
    await search(page).fill(concept);
    const name = concept[0].toUpperCase() + concept.slice(1);
    const card = page.getByRole('article', { name, exact: true });
    await card.waitFor();
    await addressHas(page, 'q', concept);
    assert.ok((await page.getByRole('article').count()) < recipes.length);
    await search(page).fill('');
    await assertUsable(page);
    await page
      .getByRole('article', { name, exact: true })
      .getByRole('link', { name: /Try it/ })
      .click();
    await page.locator('main[data-page=steer]').waitFor();
    assert.equal(hashOf(page).params.w, words.map((word) => word.toLowerCase()).join(', '));
    assert.match(hashOf(page).params.e, new RegExp(`^${edits[0].layer}\\.${edits[0].index}_`));
  });

  test('of a dense model, the page leads to the TopK model', async () => {
    const twin = offeredModels().find(({ name, kind }) => kind === 'dense' && name !== model.name);
    if (!twin) return;
    await page.evaluate((name) => (location.hash = `#/gallery?model=${name}`), twin.name);
    await page.getByText('The gallery is of TopK models').waitFor();
    await assertUsable(page);
    await page.getByRole('link', { name: /^Show that of / }).click();
    await page.getByText('The gallery is of TopK models').waitFor({ state: 'detached' });
  });
});

describe('texts without and with a topic', { timeout: 1_800_000, skip: !model.topics && 'the shipped model has no topics.json' }, () => {
  let page;
  withSite({ hash: '#/gallery' }, (on) => {
    ({ page } = on);
  });

  test('are those of topics.json, the words marked in the latter alone', async () => {
    const { lines } = model.read('topics.json');
    const { editOf } = await siteModule('recipes.ts');
    const { formatEdits } = await siteModule('edits.ts');
    let marks = 0;
    for (const { concept, edits } of model.read('recipes.json')) {
      const { prompt, before, after } = lines.find((line) => line.edits === formatEdits(edits.map(editOf)));
      const card = page.getByRole('article', { name: concept[0].toUpperCase() + concept.slice(1), exact: true });
      await card.locator('dd').last().waitFor(); // the texts come with the page
      const [without, withIt] = await card.locator('dd').allInnerTexts();
      assert.ok(without.startsWith(prompt + before.trimEnd()), `${concept}: ${without}`);
      assert.ok(withIt.startsWith(prompt + after.trimEnd()), `${concept}: ${withIt}`);
      assert.equal(await card.locator('dd').first().locator('mark').count(), 0);
      if ((await card.locator('dd').last().locator('mark').count()) > 0) marks++;
    }
    assert.ok(marks > lines.length / 2, `words are marked on ${marks} of ${lines.length}`);
  });
});

test('a text stands on a card where its next word is of the side that the neuron turns to; such cards come first, and one side has one', () => {
  const towards = (contrast, effect, after, index) => ({ ...SWITCHES[0], contrast, effect, after, index, times: 3 });
  const switches = [
    towards('he / she', -2, ' the girl was', 1), // not “she”
    towards('he / she', 2, ' her mother', 2), // “he” begins another word
    towards('he / she', 2, ' he ran', 3),
    towards('comma / stop', 1, ', and then', 4),
    towards('of no list', 1, ' anything', 5),
  ];
  const contrasts = [
    { name: 'he / she', sides: [[' he', ' He'], [' she']] },
    { name: 'comma / stop', sides: [[','], ['.']] },
  ];
  const cards = gallery.cardsOf(switches, contrasts, [], null, () => '');
  assert.deepEqual(
    cards.map(({ neuron, line, rates, also }) => [neuron.index, line !== null, rates === '', also.map(({ index }) => index)]),
    [
      [3, true, true, [2]],
      [4, true, true, []],
      [5, true, true, []],
      [1, false, false, []],
    ],
  );
  assert.equal(cards[0].also[0].times, 3);
});

test('texts part at the beginning of a word', () => {
  assert.equal(gallery.partOf(' was very', ' were very'), 1);
  assert.equal(gallery.partOf(' a dog', ' a dog'), 6);
  assert.equal(gallery.partOf('. He', ', "It'), 0);
});
