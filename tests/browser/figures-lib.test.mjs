// Figures that the site works out in the tab, against numbers that were worked out by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { siteModule } from './page-kit.mjs';

const near = (found, expected) => assert.ok(Math.abs(found - expected) < 1e-5, `${found} instead of ${expected}`);

test('surprise is the mean of −ln p over new tokens', async () => {
  const { surprise } = await siteModule('compare.ts');
  // Token 1 of a vocabulary of two has these probabilities behind positions 0, 1 and 2; logits are off by 3.
  const row = (p) => [Math.log(1 - p) + 3, Math.log(p) + 3];
  const logits = { data: Float32Array.from([...row(0.8), ...row(0.25), ...row(0.125)]), shape: [3, 2] };
  const model = { config: { n_ctx: 8 }, run: async () => ({ logits }) };
  const both = (-Math.log(0.8) - Math.log(0.25)) / 2;
  near(await surprise(model, [0, 1, 1], 1, null), both);
  near(await surprise(model, [0, 1, 1], 0, null), both);
  near(await surprise(model, [0, 1, 1], 2, null), -Math.log(0.25));
  assert.equal(await surprise(model, [0, 1, 1], 3, null), null);
});

test('specialness where TopK selects by magnitude', async () => {
  const { specialness } = await siteModule('ranking.ts');
  const index = { kind: 'topk', layers: [0], dModel: 1, columns: { mean: [-4], max: [-8], density: [0.5] } };
  near(specialness(index, { layer: 0, index: 0 }, 6, 'abs'), 0.25);
});

test('what neurons do alone and together', async () => {
  const { takeApart } = await siteModule('patch/patching.ts');
  // Neuron 0 differs most and does least.
  const gain = [0.1, 0.6, -0.9];
  const row = (values) => ({
    shape: [1, 3],
    rowStart: Uint32Array.of(0, 3),
    indices: Uint32Array.of(0, 1, 2),
    values: Float32Array.from(values),
  });
  const pair = {
    from: { rows: new Map([[0, row([9, 2, 1])]]) },
    into: { rows: new Map([[0, row([0, 0, 0])]]) },
    ids: { into: [5] },
    next: { from: 0, into: 1 },
    odds: { from: 1, into: 0 },
    first: 0,
    layers: [0],
  };
  const model = {
    run: async (_, { edits }) => ({
      logits: {
        data: Float32Array.of(
          edits.reduce((sum, { index }) => sum + gain[index], 0),
          0,
        ),
      },
    }),
  };
  const { alone, together, differ } = await takeApart(model, pair, { layer: 0, position: 0 }, null);
  assert.deepEqual(
    alone.map(({ index }) => index),
    [2, 1, 0],
  );
  assert.equal(differ, 3);
  assert.equal(together.length, 1);
  near(together[0].share, 0.7);
});

test('bars name the model and its controls', async () => {
  const { glanceOf } = await siteModule('claims/glance.ts');
  const [{ bars }] = glanceOf({ consistency: { topk: { holder: { right: 0.6 } }, dense: { holder: { right: 0.7 } } } });
  assert.deepEqual(
    bars.map(({ name, isOurs }) => [name, isOurs]),
    [
      ['TopK model', true],
      ['its dense twin', false],
      ['guessing', false],
    ],
  );
});

test('numbers and tokens as they are shown', async () => {
  const { percent, share, visibleAt } = await siteModule('format.ts');
  assert.deepEqual([0, -0.001, 0.5, -0.25].map(percent), ['0 %', '0 %', '50 %', '−25 %']);
  assert.equal(share(0), '0 %');
  assert.equal(visibleAt('<|endoftext|>', 0), '⟨start⟩');
  assert.equal(visibleAt('<|endoftext|>', 3), '<|endoftext|>');
});

test('a token that the vocabulary does not have has no probability', async () => {
  const { likeliest } = await siteModule('distribution.ts');
  const logits = Float32Array.of(0, Math.log(3));
  assert.equal(likeliest(logits, 1, 2).wanted, null);
  near(likeliest(logits, 1, 0).wanted, -Math.log(4));
});

test('an edit of a recipe that Steer has no form for is none', async () => {
  const { editOf } = await siteModule('recipes.ts');
  const edit = { layer: 1, index: 2, action: 'clamp', value: 3 };
  assert.equal(editOf(edit).positions, 'all');
  assert.equal(editOf({ ...edit, positions: 'generated' }).positions, 'generated');
  assert.equal(editOf({ ...edit, positions: { from: 3, to: 5 } }), null);
});
