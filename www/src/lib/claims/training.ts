/** What was measured along the training, and of settings tried on the way. */
import { at, type FactGroup, listAt, NOT_MEASURED, numberAt, shown, textAt, type Tree, UNITS } from './figures';

const KINDS = [
  ['topk', 'TopK'],
  ['dense', 'dense'],
] as const;

export function trace(tree: unknown): FactGroup {
  const known = KINDS.filter(([key]) => listAt(tree, `${key}.emerged_share`).length > 0);
  const series = known.map(([key]) => {
    const shares = listAt(tree, `${key}.emerged_share`);
    return new Map(
      listAt(tree, `${key}.steps`).flatMap((step, i) => {
        const share = shares[i];
        return typeof step === 'number' && typeof share === 'number' ? [[step, share] as const] : [];
      }),
    );
  });
  const steps = [...new Set(series.flatMap((of) => [...of.keys()]))].sort((a, b) => a - b);
  const facts = steps.map((step) => ({
    name: step === 0 ? 'Before training (chance)' : `By step ${UNITS.count(step)}`,
    definition: 'Share of neurons whose top tokens stay close to the final ones from this step on.',
    cells: series.map((of) => {
      const share = of.get(step);
      return share === undefined ? NOT_MEASURED : UNITS.tenths(share);
    }),
  }));
  const [last, bound, open] = ['topk.last_step', 'js_bound', 'topk.not_settled'].map((path) => numberAt(tree, path));
  const larger = listAt(tree, 'topk.trained_with_k').at(-2); // the last step and k but one: before it k was larger than the model's
  const analyzed = listAt(tree, 'topk.steps');
  const until =
    Array.isArray(larger) && typeof larger[0] === 'number' && analyzed.some((step) => typeof step === 'number' && step < larger[0])
      ? ` Until step ${UNITS.count(larger[0])} the model was trained with a larger k than it is analyzed with.`
      : '';
  const note =
    last == null || bound == null
      ? ''
      : `Out of ${UNITS.count(last)} steps; close means a Jensen–Shannon distance of at most ${bound}. The last step is left out, since a neuron is compared with itself there: ${shown(open ?? null, 'percent')} of the neurons are not settled before it.${until}`;
  return { title: 'When neurons take on their meaning', columns: known.map(([, name]) => name), facts, note };
}

const SIZES = [
  ['shipped', 'as shipped'],
  ['proxy', 'small proxy'],
] as const;

/** Loss against the arithmetic of training, and the speed of decoding. */
export function compute(tree: unknown): FactGroup {
  const facts = SIZES.flatMap(([size, name]) =>
    KINDS.flatMap(([kind, label]) => {
      const [of, flops] = [at(tree, `sizes.${size}.${kind}`), numberAt(tree, `sizes.${size}.${kind}.flops`)];
      return flops === null
        ? []
        : [
            {
              name: `${label}, ${name}`,
              definition: textAt(of, 'name'),
              cells: [
                UNITS.two(flops / 1e15),
                shown(numberAt(of, 'sparse_saves_share'), 'percent'),
                shown(numberAt(of, 'loss.held_out'), 'three'),
                shown(numberAt(tree, `sizes.${size}.decode.${kind}`), 'whole'),
              ],
            },
          ];
    }),
  );
  return {
    title: 'Compute and size',
    columns: ['10¹⁵ FLOPs', 'sparse could save', 'loss (nats)', 'tokens/s'],
    facts,
    note: 'Operations of the whole training, counted from the shapes; what products that read active entries alone could save of them; loss on held-out stories; tokens decoded a second on a CPU, both in turn.',
  };
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

/** Settings with a loss that makes neurons predict later words, beside those without. */
export function lookingAhead(tree: unknown): FactGroup {
  const count = numberAt(tree, 'concepts');
  const topics = (of: unknown, size: string): string => {
    const share = numberAt(of, `sets.${size}.works`);
    return share === null || count === null ? NOT_MEASURED : UNITS.count(Math.round(share * count));
  };
  const facts = Object.entries((at(tree, 'settings') ?? {}) as Tree).map(([name, of]) => ({
    name: textAt(of, 'why'),
    definition: `Setting ${name}, ${((numberAt(of, 'tokens') ?? 0) / 1e6).toFixed(0)} million tokens.`,
    cells: [
      shown(numberAt(of, 'validation.bits_per_byte'), 'three'),
      shown(numberAt(of, 'f1'), 'two'),
      shown(numberAt(of, 'what'), 'percent'),
      topics(of, '1'),
      topics(of, '8'),
    ],
  }));
  return {
    title: 'Neurons that predict later words',
    columns: ['bits per byte', 'label (F1)', 'which object', 'topics by 1', 'topics by 8'],
    facts,
    note: 'Trainings with a second loss, for neurons: what one promotes is to occur within the next 32 tokens. It lowers the loss on text, too. Topics: of 20, by one and by up to eight neurons; uncertain by about three.',
  };
}

/** Wide and sparse settings on a small proxy: those that were trained. */
export function sweepWide(tree: unknown): FactGroup {
  const facts = Object.entries((at(tree, 'settings') ?? {}) as Tree)
    .filter(([, of]) => numberAt(of, 'loss.held_out.nats_per_token') !== null)
    .map(([name, of]) => ({
      name,
      definition: textAt(of, 'why'),
      cells: [
        shown(numberAt(of, 'loss.held_out.nats_per_token'), 'three'),
        ...['held_out', 'validation'].map((text) => shown(numberAt(of, `gap_percent.${text}`), 'signed')),
      ],
    }));
  const tokens = numberAt(tree, 'proxy.tokens');
  return {
    title: 'Wide, sparse settings on a small proxy model',
    columns: ['loss (nats)', 'above dense', 'on validation'],
    facts,
    note:
      tokens === null
        ? ''
        : `Each trained on ${(tokens / 1e6).toFixed(1)} million tokens, with one seed; losses on held-out stories. The dense model’s head is tied to its embedding.`,
  };
}
