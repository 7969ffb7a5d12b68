/** How few units of a hidden state decide the next word. */
import { at, type FactGroup, numberAt, shown, type Tree, UNITS } from './figures';
import { firstSae } from './reading';

const ROWS: Readonly<Record<string, readonly [name: string, definition: string]>> = {
  topk: ['TopK neurons', 'Neurons of the TopK model whose values differ.'],
  topk_rotated: ['the same states, rotated', 'Control: the same hidden states in a random orthogonal basis.'],
  dense: ['dense coordinates', 'Coordinates of the dense twin.'],
  dense_rotated: ['dense states, rotated', 'Control: the twin’s states in a random orthogonal basis.'],
};
const SAE: readonly [string, string] = [
  'SAE features',
  'Features of a sparse autoencoder on the dense twin; what it does not explain stays as it was.',
];

/** The block after which an SAE was measured too, else the one in the middle. */
export function shownBlock(tree: unknown): string | null {
  const rows = (at(tree, 'rows') ?? {}) as Record<string, Tree>;
  const blocks = Object.keys(rows);
  return blocks.find((block) => firstSae(rows[block]) !== undefined) ?? blocks[blocks.length >> 1] ?? null;
}

/** The sentence among the main findings; [] where figures are missing. */
export function eightOf(tree: unknown): string[] {
  const block = shownBlock(tree);
  const rows = (at(tree, `rows.${block}`) ?? {}) as Tree;
  const sae = firstSae(rows);
  const [neurons = null, dense = null, rotated = null, features = null] = [rows.topk, rows.dense, rows.topk_rotated, sae].map((row) =>
    numberAt(row, 'together.8'),
  );
  if (neurons === null || dense === null || rotated === null) return [];
  const [whole, all] = [numberAt(rows.topk, 'whole'), numberAt(sae, 'whole')];
  return [
    `Where two texts differ in one word, eight neurons of one (those that do most in each pair), copied into the other after block ${block}, move its next word ${UNITS.percent(neurons)} of the way (median); eight coordinates of the twin ${UNITS.percent(dense)},${
      features === null ? '' : ` eight SAE features ${UNITS.percent(features)},`
    } eight directions of the same states, rotated, ${UNITS.percent(rotated)}.${
      whole === null || all === null || features === null
        ? ''
        : ` Eight features do about as large a share of what all that differ do: those ${UNITS.percent(all)}, the whole state ${UNITS.percent(whole)}.`
    }`,
  ];
}

export function patching(tree: unknown): FactGroup {
  const block = shownBlock(tree);
  const rows = (at(tree, `rows.${block}`) ?? {}) as Tree;
  const facts = Object.entries(rows).map(([key, of]) => {
    const [name, definition] = ROWS[key] ?? SAE;
    const cells = [
      shown(numberAt(of, 'differ'), 'whole'),
      shown(numberAt(of, 'whole'), 'percent'),
      ...['1', '2', '8'].map((size) => shown(numberAt(of, `together.${size}`), 'percent')),
      shown(numberAt(of, 'units'), 'count'),
    ];
    return { name, definition, cells };
  });
  const kept = numberAt(tree, 'kept');
  const note =
    kept === null
      ? ''
      : `Two texts differ in one word. There, after block ${block}, the state of the one is copied into the other: how far the log odds of the next word move towards the first text’s, medians over ${UNITS.count(kept)} pairs of texts. Units that move them most come first. Last column: the least number of units that do ${shown(numberAt(tree, 'enough'), 'percent')} of what the model’s whole state does; –: not even all of them do. Patch does this with texts of yours.`;
  return {
    title: 'How few units decide the next word?',
    columns: ['differ', 'all', 'one', 'two', 'eight', 'needed'],
    facts,
    note,
  };
}
