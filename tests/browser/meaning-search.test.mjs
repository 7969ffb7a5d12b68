// One search by meaning for Browse, Steer and the Gallery: what it finds, in which order, and why; on rows of its own and on the shipped model's.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { STEP_TIMEOUT, saved, shippedModel, siteModule, withSite } from './page-kit.mjs';

let search;
let words;
let contrasts;
let contrastWords;
let states;
before(async () => {
  [search, words, contrasts, contrastWords, states] = await Promise.all(
    ['meaning-search', 'words', 'contrast-names', 'contrast-words', 'state-names'].map((name) => siteModule(`${name}.ts`)),
  );
});

const VOCABULARY = [' dog', ' dogs', ' red', ' were', '"', ' puppy', ' red-hot', ' sun'];
const INDEX = {
  kind: 'topk',
  dModel: 4,
  layers: [0, 2],
  entropy: { n: 100, rareBelow: 20 },
  columns: {
    label: Array(8).fill(''),
    n: Array(8).fill(100),
    tokenEntropy: Array(8).fill(1),
    topTokens: [[0], [7], [], [], [], [], [], []],
    promoted: Array(8).fill([]),
    suppressed: Array(8).fill([]),
    reads: ['dog', 'inside quotes', '', '', null, '', '', 'various: sun'],
    readsF1: [0.4, 0.8, 0, 0, null, 0, 0.5, 0.2],
    writesUp: [[], [], [2], [3], null, [], [], []],
    writesDown: [[], [], [], [], null, [], [], []],
    specificity: [0, 0, 3, 1.2, null, 0, 0, 0],
    clusters: [[], [], [], [], [], [], [1], []],
    state: [null, 'inside quotes', null, null, null, 'mention: plural', null, 'feeling: sad'],
    stateF1: [null, 0.9, null, null, null, 0.5, null, 0.3],
    stateShuffled: [null, 0.2, null, null, null, 0.1, null, 0.29],
  },
};
const MEASURED = {
  layers: [0, 2],
  cluster: [1, 1, 2, 3, 4, 1, 2, 6],
  states: [{ name: 'mention: plural', share: 0.01, neurons: [{ layer: 0, index: 3, f1: 0.3 }] }],
  contrasts: [
    {
      name: 'was / were',
      controls: [2, 1],
      neurons: [
        { layer: 2, index: 0, effect: -5 }, // five times a random neuron
        { layer: 0, index: 2, effect: 6 }, // towards the singular
        { layer: 0, index: 0, effect: -1 }, // less than a random neuron
      ],
    },
    { name: 'opening quote / none', controls: [1, 1], neurons: [{ layer: 0, index: 1, effect: 2 }] },
  ],
};

/** Entries in the order of the search, each with its reason. */
const find = (query, options = { measured: MEASURED }) =>
  [...search.searchMeaning(INDEX, VOCABULARY, query, options)].sort((a, b) => b[1].rank - a[1].rank).map(([entry, { by }]) => [entry, by]);

test('by meaning: states, contrasts towards the side that was asked for, kinds of things; the strongest first', () => {
  assert.deepEqual(find('plural'), [
    [4, 'contrast'],
    [5, 'state'],
    [3, 'state'],
  ]);
  assert.deepEqual(find('singular'), [[2, 'contrast']]);
  assert.deepEqual(find('opening quote'), [[1, 'contrast']]);
  assert.deepEqual(find('inside quotes'), [[1, 'reads']]);
  assert.deepEqual(find('colours'), [[2, 'writes']]);
  assert.deepEqual(find('colors'), find('colours'));
  assert.deepEqual(find('feelings'), [[7, 'state']]);
  assert.deepEqual(find('zebra'), []);
});

test('by words: forms of one count as the same, a cluster comes after them, signs count as they are, commas divide', () => {
  assert.deepEqual(find('dogs'), [
    [0, 'reads'],
    [6, 'reads'],
  ]);
  assert.deepEqual(find('dogs'), find('dog'));
  assert.deepEqual(find('dog', {}), [[0, 'reads']], 'without clusters');
  assert.deepEqual(find('were').slice(0, 2), [
    [4, 'contrast'],
    [3, 'writes'],
  ]);
  assert.deepEqual(find('sun, red'), [
    [2, 'writes'],
    [1, 'reads'],
    [7, 'reads'],
  ]);
  assert.deepEqual(find('red', { only: ['reads'] }), []);
});

test('of a query as long as a book the beginning is read', () => {
  assert.deepEqual(find(`dog${', zebra'.repeat(200_000)}, red`), find('dog'));
});

test('another query of the same lists finds the same as in new ones, and reads none of them again', () => {
  let read = 0;
  const watched = (list) =>
    new Proxy(list, {
      get(of, key) {
        if (/^\d+$/.test(String(key))) read++;
        return Reflect.get(of, key);
      },
    });
  const vocabulary = watched(VOCABULARY);
  const index = { ...INDEX, columns: { ...INDEX.columns, reads: watched(INDEX.columns.reads) } };
  const found = (...lists) => [...search.searchMeaning(...lists, { measured: MEASURED })];
  found(index, vocabulary, 'zebra');
  assert.ok(read > 0);
  read = 0;
  for (const query of ['dogs', 'were', '"', 'sun, red', 'inside quotes', 'colours'])
    assert.deepEqual(found(index, vocabulary, query), found(structuredClone(INDEX), [...VOCABULARY], query), query);
  assert.equal(read, 0);
  const other = { ...INDEX, columns: { ...INDEX.columns, reads: INDEX.columns.reads.toReversed() } };
  assert.equal(new Map(found(other, VOCABULARY, 'inside quotes')).get(6)?.by, 'reads', 'of other labels');
});

test('a reason says what was found, and what was measured', () => {
  const text = (query, entry) =>
    search.reasonText(search.searchMeaning(INDEX, VOCABULARY, query, { measured: MEASURED }).get(entry), (id) => VOCABULARY[id]);
  assert.equal(text('plural', 4), 'turns to More than one · 5.0 ×');
  assert.equal(text('plural', 5), 'active where several are named: plural · F1 0.50');
  assert.equal(text('color', 2), 'writes red · 3.0 ×');
  assert.equal(text('dog', 6), 'reads words like dog');
});

test('words in one form: spellings, plurals, endings', () => {
  for (const [one, other] of [
    ['colours', 'color'],
    ['grey', 'gray'],
    ['quotes', 'quote'],
    ['puppies', 'puppy'],
    ['wishes', 'wish'],
    ['talking', 'talked'],
    ['neighbour', 'neighbors'],
    ['dress', 'dresses'],
  ])
    assert.equal(words.stem(one), words.stem(other), `${one}, ${other}`);
  assert.notEqual(words.stem('was'), words.stem('wa'));
  assert.notEqual(words.stem('sing'), words.stem('s'));
});

const model = shippedModel();
describe('on the shipped model', { timeout: 1_800_000, skip: !model.features && 'the shipped model has no statistics' }, () => {
  const has = (file) => fs.existsSync(path.join(model.folder, 'features', file));
  const names = (file, key) => (has(file) ? model.read(`features/${file}`)[key].map(({ name }) => name) : []);

  test('every contrast and every state has a plain name and is found by it', () => {
    for (const name of names('contrasts.json', 'contrasts')) {
      for (const side of [true, false]) {
        assert.notEqual(contrasts.nameOfSide(name, side), name);
        const own = contrastWords.wordsOfSide(name, side);
        assert.ok(own.length > 0, name);
      }
    }
    for (const name of names('states.json', 'states')) {
      const wanted = words.stemsOf(states.nameOfState(name)).filter((word) => !['the', 'is', 'of', 'someon'].includes(word));
      const own = words.stemsOf(states.wordsOfState(name));
      assert.ok(
        wanted.some((word) => own.includes(word)),
        name,
      );
    }
  });

  let page;
  withSite({ hash: '#/browse' }, (on) => {
    ({ page } = on);
  });

  test('Browse and Steer find by meaning and say why', async () => {
    for (const [query, why] of [
      ['plural', /turns to|active where/],
      ['opening quote', /turns to Opens a quote/],
      ['colours', /turns to|writes|reads/],
    ]) {
      await page.getByRole('searchbox', { name: 'Word or meaning' }).fill(query);
      await page.waitForFunction(
        (pattern) => new RegExp(pattern).test(document.querySelector('[data-row] [role=cell]:nth-child(2)')?.textContent ?? ''),
        why.source,
      );
    }
    const [colours] = await page.locator('[data-row]').allInnerTexts();
    await page.getByRole('searchbox', { name: 'Word or meaning' }).fill('colors');
    assert.deepEqual((await page.locator('[data-row]').allInnerTexts())[0], colours);
    // The table as a file has what it shows, its tested labels and measured effects too.
    const { text } = await saved(page, () => page.getByRole('button', { name: /as CSV/ }).click());
    const [head, row] = text.split('\r\n').map((line) => [...line.matchAll(/(?:^|,)("(?:[^"]|"")*"|[^,]*)/g)].map(([, field]) => field));
    assert.deepEqual(head.slice(-3), ['labelF1', 'writes', 'writes_less']);
    const shown = await page.locator('[data-row]').first().getByRole('cell').allInnerTexts();
    assert.equal(Number(row[head.indexOf('labelF1')]).toFixed(2), shown[2]);
    await page.evaluate(() => {
      location.hash = '#/steer';
    });
    await page.locator('main[data-page=steer]').waitFor();
    await page.getByRole('searchbox').fill('plural');
    const first = page.getByRole('list', { name: 'Neurons found' }).getByRole('button').first();
    await first.getByText('turns to').waitFor({ timeout: STEP_TIMEOUT });
  });
});
