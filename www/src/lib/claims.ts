/**
 * What was measured of our models: `models/claims.json`, which the build makes from `training/claims/results/` (one key per file). Any figure may be
 * missing; the page says which.
 */
import {
  at,
  type Fact,
  type FactGroup,
  group,
  listAt,
  MODELS,
  NOT_MEASURED,
  numberAt,
  type Row,
  shown,
  textAt,
  type Tree,
  UNITS,
} from './claims/figures';
import { saeTrace, sweep, trace } from './claims/training';
import { get } from './get';

export interface Claims {
  /** The main figures in sentences, the bad ones too. */
  lead: string[];
  groups: FactGroup[];
  /** What has not been measured and the command that measures it: phrases. */
  gaps: string[];
}

/** `null`: the site was built without any. */
export async function readClaims(signal: AbortSignal): Promise<Claims | null> {
  const response = await get(new URL('models/claims.json', document.baseURI), signal);
  if (!response.ok) return null;
  return claimsOf((await response.json()) as Tree);
}

const QUALITY: readonly Row[] = [
  ['validation.nats_per_token', 'Loss on validation stories', 'Nats per token on the validation text.', 'three'],
  ['held_out.nats_per_token', 'Loss on held-out stories', 'Nats per token on the held-out text.', 'three'],
  ['validation.bits_per_byte', 'Validation, bits per byte', 'The same in bits per byte, which is comparable across tokenizers.', 'three'],
  ['held_out.bits_per_byte', 'Held-out, bits per byte', 'The same in bits per byte, which is comparable across tokenizers.', 'three'],
  ['test.bits_per_byte', 'Test, bits per byte', 'On stories by which nothing was chosen, read once at the end.', 'three'],
  [
    '8bit_minus_f32.held_out_bits_per_byte',
    'Cost of 8-bit weights',
    'Bits per byte on held-out text, 8-bit minus f32. A difference below 0.001 is too small to measure.',
    'cost',
  ],
  ['stories.name_recurs', 'Name recurs', 'Share of generated stories in which the name in the prompt recurs.', 'percent'],
  ['stories.no_8gram_thrice', 'No loops', 'Share of generated stories in which no sequence of eight tokens occurs three times.', 'percent'],
];

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
  `SAE ${KINDS[textAt(of, 'kind')] ?? textAt(of, 'kind')}, k = ${shown(numberAt(of, 'k'), 'count')}, behind block ${shown(numberAt(of, 'layer'), 'count')}${/seed\d+$/.test(name) ? ', another seed' : ''}`;

function controls(tree: unknown): FactGroup {
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
        shown(numberAt(of, 'token'), 'percent'),
        next === null ? NOT_MEASURED : `${UNITS.two(next)} (${shown(numberAt(of, 'layers.random_index'), 'two')})`,
      ],
    };
  });
  const [tokens, units] = [numberAt(tree, 'text.tokens'), numberAt(tree, 'units_a_block')];
  const note =
    tokens === null
      ? ''
      : `Medians over ${shown(units, 'count')} units a block and ${UNITS.count(tokens)} tokens of held-out stories. Entropy: of the tokens at the strongest tenth of the activations. Label: the best few tokens as a detector of where the unit is active (F1, on stories that the label was not made from; in brackets, another unit’s label). Token: the share of the unit’s variance that the token alone explains; the rest is context. Next block: similarity of one index’s tokens in neighboring blocks (in brackets, of random indices).`;
  return {
    title: 'What a unit reads, and what would refute it',
    columns: ['entropy (bits)', 'label', 'token', 'next block'],
    facts,
    note,
  };
}

/** Sparse autoencoders on the dense twin: what they are to a TopK model, which has nothing to reconstruct. */
function saes(tree: unknown): FactGroup {
  const place = (of: unknown) => [numberAt(of, 'layer') ?? 0, Number(textAt(of, 'kind') === 'jumprelu'), -(numberAt(of, 'k') ?? 0)];
  const entries = Object.entries((tree ?? {}) as Tree)
    .filter(([, of]) => numberAt(of, 'loss_spliced') !== null)
    .sort(([, a], [, b]) => {
      const [first, second] = [place(a), place(b)];
      return first.map((value, at) => value - (second[at] ?? 0)).find((difference) => difference !== 0) ?? 0;
    });
  const facts = entries.map(([name, of]) => ({
    name: saeName(of, name),
    definition: `${shown(numberAt(of, 'width'), 'count')} features on block ${numberAt(of, 'layer')} of the dense twin.`,
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
      : `On held-out stories, after ${shown(numberAt(first, 'trained_positions'), 'count')} positions of training; ${shown(numberAt(first, 'width'), 'count')} features each. Loss added: nats per token with the reconstruction in place of the hidden state. That is a short training: a longer one explains more. A TopK model has nothing to reconstruct.`;
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

function seeds(tree: unknown): FactGroup {
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
  const tokens = numberAt(tree, 'tokens');
  const note =
    tokens === null
      ? ''
      : `Two small models of the same kind, trained on ${(tokens / 1e6).toFixed(1)} million tokens, which differ only in their seed. Mutual: the two choose each other.`;
  return { title: 'Does another seed find the same neurons?', columns: ['correlation', 'above 0.5', 'mutual'], facts, note };
}

/** The kinds of questions, in the order of the columns. */
const QUESTIONS = { who: 'who is meant', holder: 'who has it', what: 'which thing' };
const ASKED: readonly (readonly [path: string, name: string, definition: string])[] = [
  ['topk', 'TopK', 'The TopK model.'],
  ['topk.shuffled_sentences', 'TopK, sentences shuffled', 'Control: the sentences of the story in random order.'],
  ['dense', 'dense', 'The dense twin.'],
  ['dense.shuffled_sentences', 'dense, sentences shuffled', 'Control: the sentences of the story in random order.'],
];

function consistency(tree: unknown): FactGroup {
  const facts = ASKED.filter(([path]) => at(tree, path) != null).map(([path, name, definition]) => ({
    name,
    definition,
    cells: Object.keys(QUESTIONS).map((kind) => shown(numberAt(at(tree, path), `${kind}.right`), 'percent')),
  }));
  const items = numberAt(tree, 'items_of_each_kind');
  const note =
    items === null
      ? ''
      : `Share of ${UNITS.count(items)} questions of each kind answered rightly, about generated stories that no model was trained on; 50 % is guessing. With the sentences shuffled the answers should be lost.`;
  return { title: 'Who is who, and who has what', columns: Object.values(QUESTIONS), facts, note };
}

function quality(tree: unknown): FactGroup {
  const [validation, held, test] = ['validation', 'held_out', 'test'].map((text) => numberAt(tree, `gap_percent.${text}`));
  const last = test == null ? '' : `, ${UNITS.signed(test)} on test stories`;
  const gap =
    validation == null || held == null
      ? ''
      : `Loss of TopK relative to its dense twin: ${UNITS.signed(validation)} on validation, ${UNITS.signed(held)} on held-out stories${last} (nats per token).`;
  return group('Language modeling', tree, QUALITY, MODELS, gap);
}

function steering(tree: unknown, ceiling: unknown): FactGroup {
  const bound = (path: string) => numberAt(tree, path) ?? '?';
  const [rise, less, share] = [bound('bounds.success'), bound('bounds.relaxed_success'), bound('bounds.works')];
  const [margin, wide] = [bound('bounds.likelihood'), bound('search.middle_margin')];
  const rule = `Share of concepts for which setting a single coordinate multiplies the concept’s words (count plus one) by at least ${rise} in ${share} of the texts`;
  const rows: readonly Row[] = [
    ['score.works', 'Concepts steered', `${rule}, with at most ${margin} times the surprise.`, 'percent'],
    ['score.works_relaxed', `With ${less} times the words`, `The same with a factor of ${less} instead of ${rise}.`, 'percent'],
    [
      'score.works_with_middle_margin',
      `At up to ${wide} times the surprise`,
      `${rule}, with at most ${wide} times the surprise.`,
      'percent',
    ],
    ['score.works_without_likelihood', 'At any surprise', `${rule}, however surprising they become.`, 'percent'],
  ];
  const concepts = listAt(tree, 'topk.score.concepts').length;
  const judge = textAt(tree, 'topk.judge.name');
  const own = judge !== '' && judge === textAt(tree, 'topk.model.name');
  const by = judge === '' ? '' : ` Surprise (mean −ln p per token) is measured by ${own ? 'the unmodified model itself' : judge}.`;
  const steered = group(
    'Steering with one coordinate',
    tree,
    rows,
    MODELS,
    concepts > 0 ? `${concepts} concepts; edits chosen on other prompts.${by}` : '',
  );
  const works = numberAt(ceiling, 'works');
  if (works === null || !steered.columns.includes('TopK')) return steered;
  const fact = {
    name: 'Raising the words’ logits instead',
    definition: 'For comparison: the same criterion when the logits of the words are raised and no neuron is set.',
    cells: steered.columns.map((name) => shown(name === 'TopK' ? works : null, 'percent')),
  };
  return { ...steered, facts: [...steered.facts, fact] };
}

/** The ways of claims.sets, and whether they come in several sizes. */
const WAYS: readonly (readonly [key: string, one: string, many: string, definition: string])[] = [
  ['topk', 'neuron', 'neurons', 'Neurons of the TopK model, each with a value that is added to it.'],
  ['random', 'random neuron', 'random neurons', 'Control: as many neurons at random, with the best amounts for them.'],
  ['dense', 'coordinate of the twin', 'coordinates of the twin', 'Coordinates of the dense twin, found by the same rule.'],
  ['sae', 'SAE feature', 'SAE features', 'Features of a sparse autoencoder on the twin, found by the same rule.'],
];
const OTHER_WAYS: readonly (readonly [key: string, name: string, definition: string])[] = [
  [
    'first',
    'up to 8 neurons by the rule before',
    'The lists that bring two words into most texts at 1.2 times the surprise, with strengths for that surprise.',
  ],
  ['means', 'difference of means', 'One direction: the mean state before a word of the concept, less the mean state.'],
  ['prompt', 'a sentence before the prompt', '“This is a story about …”, and no edit.'],
  ['logits', 'raised logits', 'The logits of the concept’s words raised, and no edit.'],
];

/** Steering by short lists of units. */
function sets(tree: unknown): FactGroup {
  const fact = (name: string, definition: string, of: unknown): Fact[] => {
    const words = numberAt(of, 'words');
    if (words === null) return [];
    const cells = [
      UNITS.two(words),
      shown(numberAt(of, 'nll_ratio'), 'two'),
      shown(numberAt(of, 'works'), 'percent'),
      shown(numberAt(of, 'harmonic'), 'two'),
    ];
    return [{ name, definition, cells }];
  };
  const facts = [
    ...WAYS.flatMap(([key, one, many, definition]) =>
      Object.entries((at(tree, `methods.${key}`) ?? {}) as Tree)
        .sort(([a], [b]) => Number(a) - Number(b))
        .flatMap(([size, of]) => fact(size === '1' ? `1 ${one}` : `up to ${size} ${many}`, definition, of)),
    ),
    ...OTHER_WAYS.flatMap(([key, name, definition]) => fact(name, definition, at(tree, `methods.${key}`))),
  ];
  const [texts, tokens, base] = ['texts', 'tokens', 'methods.topk.8.base'].map((path) => numberAt(tree, path));
  const note =
    texts == null
      ? ''
      : `Means over 20 concepts, each on ${UNITS.count(texts)} texts of ${shown(tokens ?? null, 'count')} tokens from prompts on which nothing was chosen; ${shown(base ?? null, 'two')} words of the concept a text without an edit. Works: the share of concepts for which half of the texts have two of its words within 1.3 times the surprise. Score: harmonic mean of concept and fluency, 0 to 2.`;
  return { title: 'Steering with a few neurons', columns: ['words', 'surprise', 'works', 'score'], facts, note };
}

/** The main findings, a sentence each; one whose figures were not measured is left out. */
function leadOf({ quality: written, controls: reads, sets: steered }: Tree): string[] {
  const sentence = (paths: readonly (readonly [tree: unknown, path: string])[], say: (...figures: number[]) => string): string[] => {
    const figures = paths.map(([tree, path]) => numberAt(tree, path));
    return figures.some((figure) => figure === null) ? [] : [say(...(figures as number[]))];
  };
  const f1 = (row: string) => [reads, `rows.${row}.f1`] as const;
  const works = (way: string) => [steered, `methods.${way}.works`] as const;
  return [
    ...sentence(
      [[written, 'gap_percent.held_out']],
      (gap) => `Keeping only k neurons raises the loss on held-out stories by ${gap.toFixed(1)} %.`,
    ),
    ...sentence(
      [f1('topk'), f1('topk_rotated'), f1('dense')],
      (neuron, rotated, dense) =>
        `A label of a few tokens tells where a neuron is active with an F1 of ${UNITS.two(neuron)} (median): better than for the same states rotated (${UNITS.two(rotated)}) and for the dense twin’s coordinates (${UNITS.two(dense)}), and far from 1.`,
    ),
    ...sentence(
      [works('topk.1'), works('topk.8'), works('dense.8')],
      (one, eight, dense) =>
        `Lists of up to eight neurons bring ${UNITS.percent(eight)} of the concepts into half of the texts that still read; up to eight coordinates of the twin bring ${UNITS.percent(dense)}, one neuron alone ${UNITS.percent(one)}.`,
    ),
  ];
}

/** What has no figure yet. */
function gapsOf(claims: Tree): string[] {
  const { quality: written, controls: reads, sae } = claims;
  const has = (tree: unknown, path: string) => numberAt(tree, path) !== null;
  const checks: [there: boolean, what: string][] = [
    [has(written, 'topk.held_out.nats_per_token'), 'the TopK model’s loss'],
    [has(written, 'dense.held_out.nats_per_token'), 'the dense twin’s loss'],
    [has(reads, 'rows.topk.f1'), 'what neurons read'],
    [has(reads, 'rows.dense.f1'), 'what the dense twin’s coordinates read'],
    [saes(sae).facts.length > 0, 'sparse autoencoders on the twin'],
    [has(claims.seeds, 'mean.seeds.correlation'), 'neurons of another seed'],
    [has(claims.consistency, 'topk.figure'), 'consistency of stories'],
    [has(claims.sets, 'methods.topk.8.words'), 'steering by lists of neurons'],
    [listAt(claims.sae_trace, 'steps').length > 0, 'an SAE’s features across checkpoints'],
    [listAt(claims.trace, 'emerged_share').length > 0, 'emergence over the checkpoints'],
  ];
  return checks.filter(([there]) => !there).map(([, what]) => what);
}

export function claimsOf(claims: Tree): Claims {
  const groups = [
    quality(claims.quality),
    controls(claims.controls),
    seeds(claims.seeds),
    saes(claims.sae),
    consistency(claims.consistency),
    sets(claims.sets),
    steering(claims.steering, claims.ceiling),
    trace(claims.trace),
    saeTrace(claims.sae_trace),
    sweep(claims.sweep),
  ];
  return { lead: leadOf(claims), groups: groups.filter(({ facts }) => facts.length > 0), gaps: gapsOf(claims) };
}
