/** Neurons worth a look: the switches of a model and its recipes. */
import { nameOfSide } from './contrast-names';
import { wordsOfSide } from './contrast-words';
import { formatEdits, type FullEdit } from './edits';
import { type Recipe, showsIn } from './recipes';
import type { NeuronId } from './route';
import { rate, topicName } from './start/words';
import type { StoredTopics } from './stored-topics';
import { distinct, editOfSwitch, isShown, type Switch } from './switches';
import type { MeasuredContrast } from './measured';
import { fitAll, stemsOf } from './words';

export interface Card {
  neuron: NeuronId;
  /** In plain words. */
  name: string;
  /** grammar, punctuation, content; topic. */
  kind: string;
  /** What it is about: the contrast, or the topic’s first words. */
  about: string;
  /** How the model continues a prompt, without and with the neuron; `null`: not stored, or nothing to be seen in it. */
  line: { prompt: string; before: string; after: string; seed: number | null; temperature: number; maxTokens: number } | null;
  /** Words to be marked in it. */
  marked: readonly string[];
  /** Others that do the same, those first that do most beside random neurons. */
  also: readonly (NeuronId & { times: number })[];
  /** What it does beside random neurons; `null`: not measured. */
  beside: { effect: number; control: number; times: number; than: string } | null;
  /** What it does in the mean over many texts; '' where that was not counted. */
  rates: string;
  /** How this was measured: sentences. */
  how: readonly string[];
  /** One, or a set that acts together. */
  edits: readonly FullEdit[];
  /** What it is found by. */
  words: string;
}

/** How the texts of switches were written. */
const GREEDY = { seed: null, temperature: 0, maxTokens: 24 };

/** `2`, `2 and 3`, `2, 3 and 4` */
const listed = (numbers: readonly number[]): string => numbers.join(', ').replace(/, (\d+)$/, ' and $1');

const two = (number: number): string => number.toFixed(2).replace('-', '−');

/**
 * Cards of a model: topics, neurons whose turn a continuation shows, the others.
 * @param labelOf - a neuron’s label as a search goes by it, '' where there is none
 */
export function cardsOf(
  switches: readonly Switch[],
  contrasts: readonly MeasuredContrast[],
  recipes: readonly Recipe[],
  topics: StoredTopics | null,
  labelOf: (neuron: NeuronId) => string,
): Card[] {
  const all = distinct(switches).map((each) =>
    cardOfSwitch(each, isShown(each, contrasts.find(({ name }) => name === each.contrast)?.sides)),
  );
  const sorted = [...all.filter(({ line }) => line), ...all.filter(({ line }) => !line)];
  const named = (card: Card): Card => ({
    ...card,
    words: `${card.name} ${card.about} ${card.kind} ${card.words} ${labelOf(card.neuron)}`,
  });
  return [...recipes.flatMap((recipe) => cardOfRecipe(recipe, topics)).map(named), ...bySide(sorted.map(named))];
}

/** One card for all neurons that turn a contrast to the same side: the first of theirs, which names the others. */
function bySide(cards: readonly Card[]): Card[] {
  const first = new Map<string, Card>();
  for (const card of cards) {
    const { neuron, name, about, beside, words } = card;
    const key = `${about}|${name}`;
    const same = first.get(key);
    const also = { ...neuron, times: beside?.times ?? 0 };
    first.set(key, same ? { ...same, also: [...same.also, also], words: `${same.words} ${words}` } : card);
  }
  return [...first.values()];
}

function cardOfSwitch(each: ReturnType<typeof distinct>[number], isSeen: boolean): Card {
  const { layer, index, contrast, kind, effect, control, times, kl, value, steer, layers } = each;
  const others = layers.slice(1).sort((a, b) => a - b);
  return {
    neuron: { layer, index },
    name: nameOfSide(contrast, effect > 0),
    kind,
    about: contrast,
    line: isSeen ? { prompt: each.prompt, before: each.before, after: each.after, ...GREEDY } : null,
    marked: [],
    also: [],
    beside: { effect: Math.abs(effect), control, times, than: 'as far as the best of 100 random neurons' },
    rates: isSeen ? '' : 'It shifts the odds, but after the test prompts a third word stays the most likely.',
    how: [
      `Set to ${two(value)} from the last token of a prompt on, it moves the log odds of “${contrast}” by ${two(effect)} nats, to the same side at every test prompt.`,
      `Of 100 random neurons of its layer, each at the largest value at which its texts stay readable, the best moves them by ${two(control)}.`,
      `It moves the next token’s distribution by ${two(kl)} nats. Texts stay readable with the neuron set to at most ${two(steer.value)}; at that value they surprise the model ${two(steer.surprise)} times as much as its own.`,
      ...(others.length > 0 ? [`The same index does this in ${others.length === 1 ? 'layer' : 'layers'} ${listed(others)} too.`] : []),
    ],
    edits: [editOfSwitch(each)],
    words: wordsOfSide(contrast, effect > 0).join(' '),
  };
}

function cardOfRecipe(recipe: Recipe, topics: StoredTopics | null): Card[] {
  const { concept, words, edits, baseRate, steeredRate, controlRate, tokens, nllRatio, judge, prompts } = recipe;
  const first = edits[0];
  if (!first) return [];
  const measured = baseRate !== null && steeredRate !== null && tokens !== null;
  const shows = showsIn(recipe);
  const stored = topics?.lines.get(formatEdits(edits));
  const others = edits.length === 1 ? 'a random neuron' : `${edits.length} random neurons`;
  return [
    {
      neuron: { layer: first.layer, index: first.index },
      name: topicName(concept),
      kind: 'topic',
      about: words.slice(0, 4).join(', '),
      line: stored && topics ? { ...stored, seed: topics.seed, temperature: topics.temperature, maxTokens: topics.maxTokens } : null,
      marked: words,
      also: [],
      beside:
        steeredRate === null || !controlRate
          ? null
          : {
              effect: steeredRate,
              control: controlRate,
              times: steeredRate / controlRate,
              than: `as many as with ${others} at their best strengths`,
            },
      rates: measured ? `${rate(baseRate)} → ${rate(steeredRate)} of these words per text` : '',
      how: [
        ...(edits.length > 1 ? [`${edits.length} neurons act together: a value is added to each.`] : []),
        ...(stored && topics
          ? [
              `The text shown is that of the first of ${prompts.length} prompts after which such a word appears with it and not without, at seed ${topics.seed} and within ${topics.maxTokens} tokens.`,
            ]
          : []),
        ...(shows ? [`It ${shows}, counted over many prompts${tokens === null ? '' : `, each continued by ${tokens} tokens`}.`] : []),
        ...(nllRatio === null
          ? []
          : [`The texts surprise ${judge || 'another model'} ${two(nllRatio)} times as much as texts without it.`]),
        controlRate === null
          ? 'It was chosen for its words, and was not compared with random neurons.'
          : `With ${others}, and the best amounts for these words, a text has ${rate(controlRate)} of them.`,
      ],
      edits,
      words: words.join(' '),
    },
  ];
}

/** Cards that every word of a query fits a word of, by the rule of all searches; without a query, all. */
export function findCards(cards: readonly Card[], query: string): Card[] {
  const wanted = stemsOf(query);
  return query.trim() === '' ? [...cards] : cards.filter(({ words }) => fitAll(wanted, stemsOf(words)) > 0);
}

/** Two texts, and where they part, at the beginning of a word. */
export function partOf(before: string, after: string): number {
  let at = 0;
  while (at < Math.min(before.length, after.length) && before[at] === after[at]) at++;
  while (at > 0 && /\p{L}/u.test(after[at - 1]!) && /\p{L}/u.test(after[at] ?? '')) at--;
  return at;
}
