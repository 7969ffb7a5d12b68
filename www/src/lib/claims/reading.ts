/** What units read, beside controls, sparse autoencoders and another seed. */
import { at, type FactGroup, listAt, NOT_MEASURED, numberAt, shown, textAt, type Tree, UNITS } from './figures';

/** The rows of claims.controls as a reader knows them, and what each is there for. */
const READERS: Readonly<Record<string, readonly [name: string, definition: string]>> = {
  topk: ['TopK neurons', 'Neurons of the TopK blocks.'],
  topk_rotated: [
    'the same states, rotated',
    'Control: the same hidden states in a random orthogonal basis. What is lost is what the neurons themselves say.',
  ],
  early: ['a quarter into training', 'Control: the same neurons after a quarter of the training.'],
  untrained: ['before training', 'Control: the weights that training began with.'],
  embedding: ['token embedding alone', 'Control: a table of tokens without any context.'],
  dense: ['dense coordinates', 'Coordinates of the dense twin after the same blocks, by whichever sign has the lower entropy.'],
  dense_rotated: ['dense states, rotated', 'Control: the twin’s states in a random orthogonal basis.'],
};
const KINDS: Readonly<Record<string, string>> = { topk: 'TopK', jumprelu: 'JumpReLU' };
/** What an SAE is called in a table. */
const saeName = (of: unknown, name: string): string =>
  `SAE ${KINDS[textAt(of, 'kind')] ?? textAt(of, 'kind')}, k = ${shown(numberAt(of, 'k'), 'count')}, after block ${shown(numberAt(of, 'layer'), 'count')}${/seed\d+$/.test(name) ? ', another seed' : ''}`;

export function controls(tree: unknown): FactGroup {
  const rows = (at(tree, 'rows') ?? {}) as Tree;
  const order = [...Object.keys(READERS).filter((name) => name in rows), ...Object.keys(rows).filter((name) => !(name in READERS))];
  const facts = order.map((name) => {
    const of = rows[name];
    const [shownName, definition] = READERS[name] ?? [
      saeName(of, name),
      `Features of a sparse autoencoder on block ${numberAt(of, 'layer')} of the dense twin.`,
    ];
    const next = numberAt(of, 'layers.same_index');
    return {
      name: shownName,
      definition,
      cells: [
        shown(numberAt(of, 'at_10'), 'two'),
        `${shown(numberAt(of, 'f1'), 'two')} (${shown(numberAt(of, 'f1_shuffled'), 'two')})`,
        shown(numberAt(of, 'f1_even'), 'two'),
        shown(numberAt(of, 'token'), 'percent'),
        next === null ? NOT_MEASURED : `${UNITS.two(next)} (${shown(numberAt(of, 'layers.random_index'), 'two')})`,
      ],
    };
  });
  const [tokens, units] = [numberAt(tree, 'text.tokens'), numberAt(tree, 'units_a_block')];
  const note =
    tokens === null
      ? ''
      : `Medians over ${shown(units, 'count')} units a block and ${UNITS.count(tokens)} tokens of held-out stories. Entropy: of the tokens at the strongest tenth of the activations. Label: the best few tokens as a detector of where the unit is active (F1, on stories that the label was not made from; in brackets, another unit’s label). Evenly: the same at equally many positions, the strongest 3.2 % for every unit, with the tokens that fit best. Token: the share of the unit’s variance that the token alone explains; the rest is context. Next block: similarity of one index’s tokens in neighboring blocks (in brackets, of random indices).`;
  return {
    title: 'What a unit reads, and what would refute it',
    columns: ['entropy (bits)', 'label', 'evenly', 'token', 'next block'],
    facts,
    note,
  };
}

/** Where a unit is strong: F1 by the share of all positions. */
export function strongest(tree: unknown): FactGroup {
  const rows = (at(tree, 'rows') ?? {}) as Tree;
  const shares = listAt(tree, 'shares').filter((share) => typeof share === 'number');
  const facts = Object.entries(rows).map(([name, of]) => ({
    name: READERS[name]?.[0] ?? 'SAE features',
    definition: READERS[name]?.[1] ?? 'Features of a sparse autoencoder on the dense twin.',
    cells: shares.map((share) => shown(f1At(of, share), 'two')),
  }));
  const [block, tokens] = [numberAt(tree, 'block'), numberAt(tree, 'tokens')];
  return {
    title: 'Where a unit is strong',
    columns: shares.map((share) => UNITS.tenths(share)),
    facts,
    note:
      tokens === null
        ? ''
        : `How well at most 12 tokens predict where a unit is strongest (F1, median), at the given shares of ${UNITS.count(tokens)} positions of held-out stories, after block ${shown(block, 'count')}; units active at fewer are left out. Rotated states and coordinates count by their better tail.`,
  };
}

/** The share of positions that is quoted of `claims.strongest`. */
export const SHARPEST = 0.004;

/** F1 of a row at one of the shares, whose keys are numbers with a point. */
export const f1At = (row: unknown, share: number): number | null => numberAt((row as Tree | null | undefined)?.[String(share)], 'f1');

/** The row of the first autoencoder that was measured. */
export const firstSae = (rows: unknown): unknown => Object.entries((rows ?? {}) as Tree).find(([name]) => name.startsWith('sae '))?.[1];

/** The features of `claims.strongest`: only those that are active at such a share of the positions. */
export function shownFeatures(rows: unknown): string {
  const reach = numberAt((firstSae(rows) as Tree | undefined)?.[String(SHARPEST)], 'reach');
  return reach === null ? 'SAE features' : `the ${UNITS.percent(reach)} of SAE features active so often`;
}

/** F1 of the labels of neurons and of SAE features after a block; `null` where one is missing. */
export function labelF1(controls: unknown, block: number | null): { topk: number; sae: number } | null {
  const rows = at(controls, 'rows');
  const [topk, sae] = [at(rows, 'topk'), firstSae(rows)].map((row) => numberAt(row, `blocks.${block}.f1`));
  return topk == null || sae == null ? null : { topk, sae };
}

/** Sparse autoencoders on the dense twin: what they are to a TopK model, which has nothing to reconstruct. */
export function saes(tree: unknown): FactGroup {
  const place = (of: unknown) => [numberAt(of, 'layer') ?? 0, Number(textAt(of, 'kind') === 'jumprelu'), -(numberAt(of, 'k') ?? 0)];
  const entries = Object.entries((tree ?? {}) as Tree)
    .filter(([, of]) => numberAt(of, 'loss_spliced') !== null)
    .sort(([, a], [, b]) => {
      const [first, second] = [place(a), place(b)];
      return first.map((value, at) => value - (second[at] ?? 0)).find((difference) => difference !== 0) ?? 0;
    });
  const facts = entries.map(([name, of]) => ({
    name: saeName(of, name),
    definition: `${shown(numberAt(of, 'width'), 'count')} features on block ${numberAt(of, 'layer')} of the dense twin, trained on ${shown(numberAt(of, 'trained_positions'), 'count')} positions.`,
    cells: [
      shown(numberAt(of, 'active_a_position'), 'brief'),
      shown(numberAt(of, 'variance_explained'), 'tenths'),
      shown(numberAt(of, 'dead_share'), 'tenths'),
      shown(numberAt(of, 'loss_added_by_splice'), 'cost'),
    ],
  }));
  const [, first] = entries[0] ?? [];
  const note =
    first === undefined
      ? ''
      : `On held-out stories, ${shown(numberAt(first, 'width'), 'count')} features each. Loss added: nats per token with the reconstruction in place of the hidden state. A TopK model has nothing to reconstruct.`;
  return {
    title: 'Sparse autoencoders on the dense twin',
    columns: ['active', 'explained', 'never active', 'loss added'],
    facts,
    note,
  };
}

const SEEDS: readonly (readonly [path: string, name: string, definition: string])[] = [
  ['seeds', 'neurons of another seed', 'Each neuron matched to the neuron of the other model whose activations correlate most.'],
  [
    'rotated',
    'its states, rotated',
    'Control: the other model’s states in a random orthogonal basis: the same information, without neurons.',
  ],
  ['untrained', 'its neurons before training', 'Control: the other model before training.'],
  ['same_index', 'its neurons of the same index', 'Control: without matching.'],
];

export function seeds(tree: unknown): FactGroup {
  const facts = SEEDS.flatMap(([path, name, definition]) => {
    const of = at(tree, `mean.${path}`);
    const middle = numberAt(of, 'correlation');
    return middle === null
      ? []
      : [
          {
            name,
            definition,
            cells: [UNITS.two(middle), shown(numberAt(of, 'above_half'), 'percent'), shown(numberAt(of, 'mutual'), 'percent')],
          },
        ];
  });
  const note =
    facts.length === 0
      ? ''
      : 'The shipped model and another training of the same setting, from another seed. Mutual: the two choose each other.';
  return { title: 'Does another seed find the same neurons?', columns: ['correlation', 'above 0.5', 'mutual'], facts, note };
}
