// What is special at a position: the definition, on statistics made by hand and on the shipped ones.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { shippedModel, siteModule } from './page-kit.mjs';

let ranking;
before(async () => {
  ranking = await siteModule('ranking.ts');
});

/** Statistics of one layer, neuron by neuron: [mean, max, density]. */
const statistics = (kind, neurons) => ({
  kind,
  layers: [2],
  dModel: neurons.length,
  columns: { mean: neurons.map(([mean]) => mean), max: neurons.map(([, max]) => max), density: neurons.map(([, , density]) => density) },
});

/** A reading of layer 2 from a dense [T, d] array. */
function reading(dense, select = 'value') {
  const rowStart = [0];
  const indices = [];
  const values = [];
  for (const row of dense) {
    for (const [index, value] of row.entries()) {
      if (value === 0) continue;
      indices.push(index);
      values.push(value);
    }
    rowStart.push(indices.length);
  }
  const rows = {
    shape: [dense.length, dense[0].length],
    rowStart: Uint32Array.from(rowStart),
    indices: Uint32Array.from(indices),
    values: Float32Array.from(values),
  };
  return { rows: new Map([[2, rows]]), select };
}

const order = (activations, t, options) => ranking.rankedAt(activations, 2, t, options).map(({ index }) => index);

describe('what is special at a position', () => {
  // 0 is active nearly everywhere, 1 at an ordinary value, 2 rare and at its maximum, 3 rare and below its mean.
  const index = statistics('topk', [
    [20, 40, 0.98],
    [4, 12, 0.5],
    [2, 6, 0.1],
    [3, 9, 0.1],
  ]);
  const activations = reading([
    [90, 1, 1, 1],
    [30, 4, 6, 1.5],
  ]);

  test('0 at the mean, 1 − density at the maximum, below 0 under the mean', () => {
    const at = (number, value) => ranking.specialness(index, { layer: 2, index: number }, value);
    assert.equal(at(1, 4), 0);
    assert.equal(at(2, 6), 0.9);
    assert.equal(at(1, 8), 0.25);
    assert.ok(at(3, 1.5) < 0);
    assert.equal(ranking.specialness(index, { layer: 3, index: 1 }, 8), null);
    assert.equal(ranking.specialness(null, { layer: 2, index: 1 }, 8), null);
  });

  test('a neuron that was seen once has its maximum for a mean', () => {
    const once = statistics('topk', [[5, 5, 0.01]]);
    assert.equal(ranking.specialness(once, { layer: 2, index: 0 }, 5), 0.99);
    assert.equal(ranking.specialness(once, { layer: 2, index: 0 }, 4), 0);
  });

  test('special ranks by it and folds the background away; raw ranks by value; the first position has no statistics', () => {
    const special = { index, ranking: 'special', background: false };
    assert.deepEqual(order(activations, 1, special), [2, 1, 3]);
    assert.deepEqual(order(activations, 1, { ...special, background: true }), [2, 0, 1, 3]);
    assert.deepEqual(order(activations, 1, { ...special, ranking: 'raw' }), [2, 1, 3]);
    assert.deepEqual(order(activations, 1, { ...special, ranking: 'raw', background: true }), [0, 2, 1, 3]);
    assert.deepEqual(order(activations, 0, special), [1, 2, 3]);
    assert.deepEqual(order(activations, 1, { ...special, index: null }), [0, 2, 1, 3]);
    assert.deepEqual(ranking.backgroundOf(index, 2), [0]);
    assert.deepEqual(ranking.backgroundOf(index, 3), []);
  });

  test('no scale goes by the first position, nor by what is folded away', () => {
    assert.equal(ranking.scaleOf(activations, 2, index, false), 6);
    assert.equal(ranking.scaleOf(activations, 2, index, true), 30);
    assert.equal(ranking.scaleOf(activations, 2, null, false), 30);
  });

  test('magnitudes where the model selects by them; either tail in a dense model, which has no background', () => {
    const abs = reading([[1], [-8]], 'abs');
    const [only] = ranking.rankedAt(abs, 2, 1, { index: statistics('topk', [[-4, -8, 0.5]]), ranking: 'special', background: false });
    assert.equal(only.special, 0.5);
    const dense = statistics('dense', [
      [1, 3, 1],
      [-2, -8, 1],
    ]);
    assert.deepEqual(ranking.backgroundOf(dense, 2), []);
    const both = ranking.rankedAt(
      reading(
        [
          [1, 1],
          [3, -5],
        ],
        'abs',
      ),
      2,
      1,
      { index: dense, ranking: 'special', background: false },
    );
    assert.deepEqual(
      both.map(({ index: number, special }) => [number, special]),
      [
        [0, 1],
        [1, 0.5],
      ],
    );
  });

  test('on the shipped model, no neuron is in front at half of the tokens of a layer', () => {
    const { read, layers } = { ...shippedModel(), layers: shippedModel().read('examples/0.json').layers };
    const { layers: analyzed, d_model: dModel, kind, columns } = read('features/index.json');
    const shipped = { layers: analyzed, dModel, kind, columns };
    const rows = new Map(
      layers.map(({ layer, row_start, indices, values }) => [
        layer,
        { shape: [row_start.length - 1, dModel], rowStart: row_start, indices, values },
      ]),
    );
    for (const [layer, { rowStart }] of rows) {
      const front = new Map();
      const positions = rowStart.length - 2;
      for (let t = 1; t <= positions; t++) {
        const options = { index: shipped, ranking: 'special', background: false };
        for (const { index: number } of ranking.rankedAt({ rows, select: 'value' }, layer, t, options).slice(0, 3))
          front.set(number, (front.get(number) ?? 0) + 1);
      }
      assert.ok(Math.max(...front.values()) < positions / 2, `layer ${layer}`);
    }
  });
});

test('effects of an index are summed over its layers, the largest sum by size first', async () => {
  const { sumByIndex } = await siteModule('effects.ts');
  const sums = sumByIndex([
    { layer: 3, index: 7, effect: -0.5 },
    { layer: 1, index: 7, effect: -0.25 },
    { layer: 0, index: 2, effect: 0.6 },
    { layer: 2, index: 1, effect: 0.6 },
  ]);
  assert.deepEqual(
    sums.map(({ index, sum }) => [index, sum]),
    [
      [7, -0.75],
      [1, 0.6],
      [2, 0.6],
    ],
  );
  assert.deepEqual(
    sums[0].layers.map(({ layer }) => layer),
    [1, 3],
  );
});
