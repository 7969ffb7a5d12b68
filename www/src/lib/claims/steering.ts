/** Steering, by one unit and by short lists of them. */
import { at, type Fact, type FactGroup, group, listAt, MODELS, numberAt, type Row, shown, textAt, type Tree, UNITS } from './figures';

export function steering(tree: unknown, ceiling: unknown): FactGroup {
  const bound = (path: string) => numberAt(tree, path) ?? '?';
  const [rise, less, share] = [bound('bounds.success'), bound('bounds.relaxed_success'), bound('bounds.works')];
  const [margin, wide] = [bound('bounds.likelihood'), bound('search.middle_margin')];
  const rule = `Share of topics for which setting a single coordinate multiplies the topic’s words (count plus one) by at least ${rise} in ${share} of the texts`;
  const rows: readonly Row[] = [
    ['score.works', 'Topics steered', `${rule}, with at most ${margin} times the surprise.`, 'percent'],
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
    concepts > 0 ? `${concepts} topics; edits chosen on other prompts.${by}` : '',
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
  [
    'index',
    'index after several blocks',
    'indices after several blocks',
    'One index of the TopK model, with one value after blocks 2 to 4 or 3 and 4.',
  ],
  ['random', 'random neuron', 'random neurons', 'Control: as many neurons at random, with the best amounts for them.'],
  ['dense', 'coordinate of the twin', 'coordinates of the twin', 'Coordinates of the dense twin, found by the same rule.'],
  ['dense_index', 'index of the twin after several blocks', 'indices of the twin after several blocks', 'The same of the dense twin.'],
  ['sae', 'SAE feature', 'SAE features', 'Features of a sparse autoencoder on the twin, found by the same rule.'],
];
const OTHER_WAYS: readonly (readonly [key: string, name: string, definition: string])[] = [
  [
    'first',
    'up to 8 neurons by the rule before',
    'The lists that bring two words into most texts at 1.2 times the surprise, with strengths for that surprise.',
  ],
  ['means', 'difference of means', 'One direction: the mean state before a word of the topic, less the mean state.'],
  ['prompt', 'a sentence before the prompt', '“This is a story about …”, and no edit.'],
  ['logits', 'raised logits, no neuron', 'Baseline: the logits of the topic’s words raised, and no edit.'],
];

/** Where ways are compared: nats a token above plain texts (`claims/curves.py` says why nats). */
export const EQUAL = 0.4;

type Point = { nats?: number; words?: number; later?: number };

/** Words a text at so many nats above plain texts, where the curve of a way reaches that; `later`: those after a list was let go. */
export function wordsAt(of: unknown, nats: number, key: 'words' | 'later' = 'words'): number | null {
  const points = listAt(of, 'at') as readonly Point[];
  return points.find((point) => point.nats === nats)?.[key] ?? null;
}

const LET_GO: readonly (readonly [key: string, name: string])[] = [
  ['topk 1', '1 neuron'],
  ['topk 8', 'up to 8 neurons'],
  ['dense 8', 'up to 8 coordinates of the twin'],
  ['sae 1', '1 SAE feature'],
  ['sae 8', 'up to 8 SAE features'],
  ['logits', 'raised logits, no neuron'],
];
/** There letting go helps, nats a token. */
const MILD = 0.2;

/** The same lists let go before the text ends. */
export function lettingGo(tree: unknown, toTheEnd: unknown): FactGroup {
  const facts = LET_GO.flatMap(([key, name]) => {
    const own = at(tree, `methods.${key}`);
    const whole = at(toTheEnd, `methods.${key.replace(' ', '.')}`);
    if (wordsAt(own, MILD) === null) return [];
    const cells = [MILD, EQUAL].flatMap((nats) => [wordsAt(whole, nats), wordsAt(own, nats)]);
    return [
      {
        name,
        definition: 'Words of a topic per text: with the list applied to the end of the text, and with the same list let go.',
        cells: [...cells, wordsAt(own, MILD, 'later')].map((words) => shown(words, 'two')),
      },
    ];
  });
  const until = shown(numberAt(tree, 'until'), 'count');
  return {
    title: 'Lists that are let go',
    columns: [...[MILD, EQUAL].flatMap((nats) => [`to the end, ${nats}`, `let go, ${nats}`]), `of it later, ${MILD}`],
    facts,
    note: `Words of a topic per text, where texts are ${MILD} and ${EQUAL} nats per token more surprising than unedited ones. Let go: applied while the first ${until} of ${shown(numberAt(toTheEnd, 'tokens'), 'count')} new tokens are written. Later: words that come after that, less those of a text without an edit.`,
  };
}

/** The judges of `claims.sets --judge`, by name: models that wrote none of the texts. */
export const judgesOf = (judged: unknown): [name: string, judge: unknown][] => Object.entries((at(judged, 'judges') ?? {}) as Tree);

/** The same lists, their surprise measured by models that wrote none of the texts. */
export function otherJudges(judged: unknown, toTheTwin: unknown): FactGroup {
  const judges = judgesOf(judged);
  const facts = WAYS.flatMap(([key, one, many, definition]) => {
    const sizes = new Set(judges.flatMap(([, judge]) => Object.keys((at(judge, `methods.${key}`) ?? {}) as Tree)));
    return [...sizes]
      .sort((a, b) => Number(a) - Number(b))
      .map((size) => ({
        name: size === '1' ? `1 ${one}` : `up to ${size} ${many}`,
        definition,
        cells: [toTheTwin, ...judges.map(([, judge]) => judge)].flatMap((judge) =>
          [MILD, EQUAL].map((nats) => shown(wordsAt(at(judge, `methods.${key}.${size}`), nats), 'two')),
        ),
      }));
  });
  return {
    title: 'The same lists, by other judges',
    columns: ['the twin', ...judges.map(([name]) => name.replace(/^Llama-/, '').replace('-Stories-', ' '))].flatMap((name) =>
      [MILD, EQUAL].map((nats) => `${name}, +${nats}`),
    ),
    facts,
    note: `Words of a topic per text, with edits just strong enough that the judge finds the texts ${MILD} or ${EQUAL} nats per token more surprising than unedited ones. The twin wrote the texts for its coordinates and for the SAE features itself; the other judges wrote none of the texts.`,
  };
}

/** Steering by short lists of units. */
export function sets(tree: unknown): FactGroup {
  const fact = (name: string, definition: string, of: unknown): Fact[] => {
    const words = numberAt(of, 'words');
    if (words === null) return [];
    const cells = [
      UNITS.two(words),
      shown(numberAt(of, 'nll_ratio'), 'two'),
      shown(wordsAt(of, EQUAL), 'two'),
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
      : `Means over 20 topics, each scored on ${UNITS.count(texts)} texts of ${shown(tokens ?? null, 'count')} tokens, from prompts used only for scoring. Without edits, a text has ${shown(base ?? null, 'two')} words of its topic. Words at +${EQUAL}: words in a text when each method is as strong as it takes to make its texts ${EQUAL} nats per token more surprising than unedited ones, so that methods compare at equal cost. Works: the share of topics for which at least half of the texts have two of the topic’s words, while the texts together are at most 1.3 times as surprising as unedited ones. Score: harmonic mean of topic and fluency, from 0 to 2.`;
  return { title: 'Steering with a few neurons', columns: ['words', 'surprise', `words at +${EQUAL}`, 'works', 'score'], facts, note };
}
