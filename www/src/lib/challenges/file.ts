/** Challenges of a model: `challenges.json` of its folder, by scripts/make-challenges.mjs, which has solved each of them. */
import { getJson, SiteFileError } from '../get';
import type { ModelEntry } from '../models';
import { parseNeuron } from '../route';
import { isObject, isText, numberOf } from '../values';

interface Searched extends Common {
  /** A search that lists a neuron that solves it. */
  search: string;
}

interface Common {
  /** In the address. */
  id: string;
  title: string;
  /** An answer that solves it, as the address holds it. */
  solution: string;
}

/** The text with one neuron set holds one of the words, at a surprise of at most so many times that of the text without. */
export interface Say extends Searched {
  kind: 'say';
  prompt: string;
  words: readonly string[];
  bound: number;
}
/** With one neuron set, a token becomes more likely next than another. */
export interface Turn extends Searched {
  kind: 'turn';
  prompt: string;
  token: string;
  over: string;
}
/** With one neuron switched off, a token is at most half as likely next. */
export interface Silence extends Searched {
  kind: 'silence';
  prompt: string;
  token: string;
}
/** A neuron whose value tells the marked tokens of a text from the others. */
export interface Find extends Searched {
  kind: 'find';
  text: string;
  /** Positions of the marked tokens. */
  marked: readonly number[];
  /** F1 that is asked for. */
  least: number;
}
/** Which of four neurons has these snippets. */
export interface Guess extends Common {
  kind: 'guess';
  /** `layer.index` */
  options: readonly string[];
}
export type Challenge = Say | Turn | Silence | Find | Guess;

export async function readChallenges(model: ModelEntry, signal: AbortSignal): Promise<Challenge[]> {
  if (!model.hasChallenges) return [];
  const file = await getJson('The list of challenges', new URL('challenges.json', model.url), signal);
  if (!isObject(file) || file.format !== 1 || !Array.isArray(file.challenges))
    throw new SiteFileError('challenges.json is not in the format that this site reads; make it again with scripts/make-challenges.mjs.');
  return file.challenges.filter(isChallenge);
}

const areTexts = (value: unknown): boolean => Array.isArray(value) && value.length > 0 && value.every(isText);

const FIELDS: Readonly<Record<Challenge['kind'], (entry: Record<string, unknown>) => boolean>> = {
  say: ({ prompt, words, bound, search }) => isText(prompt) && isText(search) && areTexts(words) && numberOf(bound) !== null,
  turn: ({ prompt, token, over, search }) => [prompt, token, over, search].every(isText),
  silence: ({ prompt, token, search }) => [prompt, token, search].every(isText),
  find: ({ text, marked, least, search }) =>
    isText(text) && isText(search) && Array.isArray(marked) && marked.every((at) => numberOf(at) !== null) && numberOf(least) !== null,
  guess: ({ options }) =>
    Array.isArray(options) && options.length > 1 && options.every((text) => isText(text) && parseNeuron(text) !== null),
};

export function isChallenge(entry: unknown): entry is Challenge {
  if (!isObject(entry) || ![entry.id, entry.title, entry.solution].every(isText)) return false;
  const fits = Object.entries(FIELDS).find(([kind]) => kind === entry.kind)?.[1];
  return fits?.(entry) ?? false;
}

/** How to begin: a sentence. */
export function hintOf(challenge: Challenge): string {
  switch (challenge.kind) {
    case 'say':
    case 'turn':
      return `Search for “${challenge.search}”, and try the neurons that are found, perhaps at other values.`;
    case 'silence':
      return `Search for “${challenge.search}”, and switch off the neurons that are found, one after the other.`;
    case 'find':
      return `Search for “${challenge.search}”, and try the neurons that are found.`;
    case 'guess':
      return 'Each button is a neuron, with its label.';
  }
}

/** What is asked for: a sentence or two. */
export function taskOf(challenge: Challenge): string {
  switch (challenge.kind) {
    case 'say':
      return `Set one neuron so that the model continues “${challenge.prompt}” with at least one of these words: ${challenge.words.join(', ')}. The text may be at most ${challenge.bound} times as surprising to the model as what it writes on its own.`;
    case 'turn':
      return `Set one neuron so that after “${challenge.prompt}” the token “${challenge.token.trim()}” is more likely than “${challenge.over.trim()}”.`;
    case 'silence':
      return `Switch one neuron off so that after “${challenge.prompt}” the token “${challenge.token.trim()}” is at most half as likely.`;
    case 'find':
      return `Find the neuron that is high at the marked tokens and low at the others: F1 of at least ${challenge.least}.`;
    case 'guess':
      return 'Which neuron has its highest activations here? The marked tokens are where it is active.';
  }
}
