/** What was measured along the training, and of settings tried on the way. */
import { at, type FactGroup, group, listAt, NOT_MEASURED, numberAt, type Row, shown, textAt, type Tree, UNITS } from './figures';

const TRACE: readonly Row[] = [
  ['layers.same_index_mean', 'Same index, next layer', '1 − Jensen–Shannon distance of the top tokens; 1 means the same tokens.', 'two'],
  ['layers.random_index_mean', 'Random index, next layer', 'The same for random indices.', 'two'],
];

export function trace(tree: unknown): FactGroup {
  const steps = listAt(tree, 'steps');
  const shares = listAt(tree, 'emerged_share');
  const bound = numberAt(tree, 'js_bound');
  // The last four steps before the end, where most of the change happens.
  const facts = steps.flatMap((step, i) => {
    const share = shares[i];
    if (typeof step !== 'number' || typeof share !== 'number' || i < steps.length - 5 || i === steps.length - 1) return [];
    return [
      {
        name: `Final meaning by step ${UNITS.count(step)}`,
        definition: 'Share of neurons whose top tokens stay close to the final ones from this step on.',
        cells: [UNITS.percent(share)],
      },
    ];
  });
  const over = group('', tree, TRACE, [['', 'TopK']]).facts;
  const last = steps.at(-1);
  const note =
    typeof last === 'number' && bound !== null
      ? `Out of ${UNITS.count(last)} steps; close means a Jensen–Shannon distance of at most ${bound}.`
      : '';
  return { title: 'When neurons take on their meaning', columns: ['TopK'], facts: [...facts, ...over], note };
}

/** SAEs of several checkpoints with matched features, next to neurons, which need no matching. */
export function saeTrace(tree: unknown): FactGroup {
  const columns = [
    ['topk_steps', 'topk_neurons.within', 'TopK, same index'],
    ['steps', 'sae_features.by.cosine.within', 'SAE, by direction'],
    ['steps', 'sae_features.by.tokens.within', 'SAE, by nearest tokens'],
    ['steps', 'dense_coordinates.within', 'dense, same index'],
  ] as const;
  const series = columns.map(([steps, path]) => {
    const at = listAt(tree, steps);
    return new Map(
      listAt(tree, path).flatMap((share, i) => (typeof share === 'number' && typeof at[i] === 'number' ? [[at[i], share] as const] : [])),
    );
  });
  const last = Math.max(...series.flatMap((of) => [...of.keys()]));
  const steps = [...new Set(series.flatMap((of) => [...of.keys()]))].filter((step) => step < last).sort((a, b) => a - b);
  const seeds = ['', 'sae_features.another_seed.within_by_cosine', 'sae_features.another_seed.within_by_tokens', ''].map((where) =>
    numberAt(tree, where),
  );
  const layer = numberAt(tree, 'layer');
  return {
    title: `Final meaning already present${layer === null ? '' : `, layer ${layer}`}`,
    columns: columns.map(([, , name]) => name),
    facts: [
      ...steps.map((step) => ({
        name: `Step ${UNITS.count(step)}`,
        definition: 'Share whose top tokens at this step are already close to the final ones.',
        cells: series.map((of) => shown(of.get(step) ?? null, 'percent')),
      })),
      ...(seeds.every((share) => share === null)
        ? []
        : [
            {
              name: 'Final step, another seed',
              definition: 'For comparison: two SAEs on the same final weights that differ only in their seed.',
              cells: seeds.map((share) => shown(share, 'percent')),
            },
          ]),
    ],
    note: 'A new SAE is trained for each checkpoint, so its features must be matched, by direction or by the nearest top tokens. A TopK neuron keeps its index.',
  };
}

/** The parts of a setting's name, in words. */
const SETTINGS: readonly [RegExp, string][] = [
  [/^k(\d+)$/, 'k = $1'],
  [/^nontopk0$/, 'in every layer'],
  [/^nontopk(\d+)$/, 'all but the last $1 layers'],
  [/^anneal$/, 'k lowered while training'],
  [/^abs$/, 'by size, either sign'],
  [/^relu$/, 'positive values only'],
];

const inWords = (part: string): string => {
  const [pattern, words] = SETTINGS.find(([known]) => known.test(part)) ?? [];
  return pattern && words ? part.replace(pattern, words) : part;
};

/** Settings of TopK on a small proxy model. */
export function sweep(tree: unknown): FactGroup {
  const settings = Object.entries((at(tree, 'settings') ?? {}) as Tree);
  const best = textAt(tree, 'best');
  const facts = settings.map(([name, of]) => ({
    name: `${name.split('-').map(inWords).join(', ')}${name === best ? ' (selected)' : ''}`,
    definition: 'A setting of TopK, on a small model of the same kind.',
    cells: [
      shown(numberAt(of, 'loss.validation.nats_per_token'), 'three'),
      name === 'dense' ? NOT_MEASURED : shown(numberAt(of, 'gap_percent'), 'signed'),
      shown(numberAt(of, 'token_entropy_median'), 'two'),
    ],
  }));
  const tokens = numberAt(tree, 'proxy.tokens');
  const note = tokens === null ? '' : `Each trained on ${(tokens / 1e6).toFixed(0)} million tokens, with one seed.`;
  return { title: 'TopK settings on a small proxy model', columns: ['loss (nats)', 'above dense', 'token entropy (bits)'], facts, note };
}
