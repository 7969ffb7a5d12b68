// The page's arithmetic and its address, without a browser.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { build } from 'esbuild';
import { inRoot } from '../../scripts/lib/paths.mjs';

/** A module of www/src/lib. */
async function load(name) {
  const { outputFiles } = await build({ entryPoints: [inRoot('www/src/lib', name)], bundle: true, format: 'esm', write: false });
  return import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
}

let activity;
let address;
let format;
before(async () => {
  [activity, address, format] = await Promise.all(['activity.ts', 'address.ts', 'format.ts'].map(load));
});

/** Rows from a dense [T, d] array. */
function rowsOf(dense) {
  const rowStart = [0];
  const indices = [];
  const values = [];
  for (const row of dense) {
    row.forEach((value, index) => {
      if (value === 0) return;
      indices.push(index);
      values.push(value);
    });
    rowStart.push(indices.length);
  }
  return {
    shape: [dense.length, dense[0].length],
    rowStart: Uint32Array.from(rowStart),
    indices: Uint32Array.from(indices),
    values: Float32Array.from(values),
  };
}

const DENSE = [
  [9, 0, 0, 2, -1],
  [0, 0, 0, 0, 0],
  [0, 3, 0, 3, -8],
  [1, 0, 0, 5, 0],
];

test('values of a neuron are those of the dense array', () => {
  const rows = rowsOf(DENSE);
  for (let index = 0; index < 5; index++) {
    assert.deepEqual(
      [...activity.valuesOf(rows, index)],
      DENSE.map((row) => row[index]),
    );
  }
});

test('active neurons stand strongest first, at a tie the lower index', () => {
  const rows = rowsOf(DENSE);
  const indices = (t, select) => activity.activeAt(rows, t, select).map(({ index }) => index);
  assert.deepEqual(indices(2, 'value'), [1, 3, 4]);
  assert.deepEqual(indices(2, 'abs'), [4, 1, 3]);
  assert.deepEqual(indices(1, 'value'), []);
  assert.deepEqual(indices(4, 'value'), [], 'a position that was not read');
});

test('the largest value, from a position on', () => {
  const rows = rowsOf(DENSE);
  assert.deepEqual(activity.largest(rows, 0, 0, 'value'), { value: 9, at: 0 });
  assert.deepEqual(activity.largest(rows, 0, 1, 'value'), { value: 1, at: 3 });
  assert.equal(activity.largest(rows, 2, 0, 'value'), null);
  assert.equal(activity.largest(rows, 4, 0, 'value'), null, 'only negative');
  assert.deepEqual(activity.largest(rows, 4, 0, 'abs'), { value: -8, at: 2 });
  assert.deepEqual(activity.largest(rows, null, 1, 'value'), { value: 5, at: 3 });
});

test('the first difference of two texts', () => {
  assert.equal(activity.divergence([1, 2, 3], [1, 2, 4]), 2);
  assert.equal(activity.divergence([1, 2], [1, 2, 4]), null);
});

test('the layers with a cut', () => {
  assert.deepEqual(activity.topkLayers({ n_layers: 3, n_nontopk: 1, topk_k: 2 }), [0, 1]);
  assert.deepEqual(activity.topkLayers({ n_layers: 3, n_nontopk: 0, topk_k: null }), []);
});

test('the address keeps what was typed', () => {
  const typed = {
    prompt: 'A & B #1 “é”\n%',
    seed: 12345678901,
    temperature: 0.35,
    maxTokens: 7,
    steer: { layer: 1, index: 718, multiple: -0.25 },
  };
  assert.deepEqual(address.readHash(address.writeHash(typed)), typed);
  assert.deepEqual(address.readHash(address.writeHash({ ...typed, steer: null, prompt: '' })), { ...typed, steer: null, prompt: '' });
});

test('an address that was tampered with gives possible values', () => {
  const { prompt, seed, temperature, maxTokens, steer } = address.readHash('#seed=-4&temperature=1e99&tokens=x&steer=1,2,3e9');
  assert.deepEqual({ prompt, seed, temperature, maxTokens, steer }, { ...address.DEFAULTS, seed: 0, temperature: 2, steer: null });
});

test('tokens and numbers as text', () => {
  assert.equal(format.visible(' a'), ' a');
  assert.equal(format.visible(' '), '␣');
  assert.equal(format.visible('   a'), '␣␣␣a');
  assert.equal(format.visible('.\n'), '.↵\n');
  assert.equal(format.quoted(' time'), '“time”');
  assert.equal(format.value(-1.5), '−1.50');
  assert.equal(format.megabytes(40_144_596), '40.1 MB');
});
