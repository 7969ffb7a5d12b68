/**
 * Which neurons turn one next word, or any of some, into another: each is set in turn, to its strength, behind a prompt and at places of texts that go on
 * from it where both sides fit; how much likelier the one side becomes against the other is compared with random neurons. Twin: crate/src/turn.rs; both
 * are held to tests/turn_vectors.json.
 */
import type { EachSetResult, FeatureIndex, NeuronValues, TopKLM } from 'topk-lm';
import { logTotal } from './distribution';
import { quoted } from './format';
import { neuronAt } from './neurons';
import type { NeuronId } from './route';
import { type Strength, strengthOf } from './strength';
import { writeTogether } from './together';

/** Random neurons of a layer that the others are compared with. */
export const RANDOM = 100;

/** Words of a side at most. */
const WORDS = 8;

/** Texts that are written, tokens of each, and how many places in them are taken. */
const TEXTS = 8;
const LENGTH = 48;
const PLACES = 4;

export interface Turning extends NeuronId {
  strength: Strength;
  /** Nats by which the odds of the second side’s words over the first’s rise, mean over the places; they rise at each. */
  effect: number;
  /** The same, as a multiple of the most that one of the random neurons of its layer moves them, either way. */
  times: number;
}

/** A neuron that can be set, and to what. */
export interface Settable extends NeuronId {
  strength: Strength;
}

/** All neurons of which a strength is known, by layer. */
export function settable(index: FeatureIndex): Settable[] {
  return Array.from({ length: index.columns.label.length }, (_, entry) => {
    const neuron = neuronAt(index, entry);
    const strength = strengthOf(index, neuron);
    return strength === null ? [] : [{ ...neuron, strength }];
  }).flat();
}

/** The same as `setEach` takes them. */
export const valuesOf = (neurons: readonly Settable[]): NeuronValues => ({
  layers: neurons.map(({ layer }) => layer),
  indices: neurons.map(({ index }) => index),
  values: neurons.map(({ strength }) => strength.value),
});

/** A number that looks random, the same for the same neuron. */
function drawn({ layer, index }: NeuronId): number {
  let x = Math.imul(layer + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** What each neuron is compared with, by its number: the largest effect among `RANDOM` neurons drawn from its layer, but its own. */
function controls(neurons: readonly Settable[], effects: readonly number[]): (number: number) => number {
  const largest = new Map<number, { number: number; effect: number }[]>();
  for (const layer of new Set(neurons.map((neuron) => neuron.layer))) {
    const own = neurons.flatMap((neuron, at) =>
      neuron.layer === layer ? [{ key: drawn(neuron), number: at, effect: Math.abs(effects[at]!) }] : [],
    );
    const random = own.sort((a, b) => a.key - b.key).slice(0, RANDOM);
    largest.set(
      layer,
      random.sort((a, b) => b.effect - a.effect),
    );
  }
  return (number) => largest.get(neurons[number]!.layer)?.find((one) => one.number !== number)?.effect ?? 0;
}

/** Ids of which any may come, and those that are to come instead. */
export type Sides = readonly [from: readonly number[], to: readonly number[]];

/** How far setting each neuron moves the odds of either side, at one place. */
export interface Effects {
  from: Float64Array;
  to: Float64Array;
}

/** How far each neuron moves the odds that any of some tokens comes next, by what it does to the logit of each. */
export function moved(tokens: readonly Pick<EachSetResult, 'logit' | 'effects'>[]): Float64Array {
  const [first] = tokens;
  if (tokens.length === 1) return Float64Array.from(first!.effects);
  const before = logTotal(tokens.map(({ logit }) => logit));
  return Float64Array.from(first!.effects, (_, number) => logTotal(tokens.map(({ logit, effects }) => logit + effects[number]!)) - before);
}

/** Neurons that turn the first side into the second at all places, and in the mean further than the best of the random ones but themselves; those first that do most. */
export function ranked(neurons: readonly Settable[], places: readonly Effects[]): Turning[] {
  const at = ({ from, to }: Effects, number: number) => to[number]! - from[number]!;
  const effects = neurons.map((_, number) => places.reduce((sum, place) => sum + at(place, number), 0) / places.length);
  const control = controls(neurons, effects);
  return neurons
    .map((neuron, number) => ({
      ...neuron,
      number,
      effect: effects[number]!,
      times: effects[number]! / Math.max(control(number), 1e-6),
    }))
    .filter(({ number, times }) => times > 1 && places.every((place) => at(place, number) > 0))
    .sort((a, b) => b.effect - a.effect || a.number - b.number)
    .map(({ number: _, ...turning }) => turning);
}

/** ln p of both sides after each position of logits [T, V]. */
function bothAt({ data, shape }: { data: Float32Array; shape: readonly number[] }, sides: Sides): number[][] {
  const [rows = 0, width = 1] = shape;
  return Array.from({ length: rows }, (_, row) => {
    const logits = data.subarray(row * width, (row + 1) * width);
    const total = logTotal(logits);
    return sides.map((ids) => logTotal(ids.map((id) => logits[id]!)) - total);
  });
}

/**
 * The prompt, and places where both sides fit, in texts that the model writes on from it: of each text the one at which the less likely of the two
 * is likeliest, of these the best few.
 *
 * @param onProgress - tokens written, of how many
 * @returns ids up to each place
 */
export async function placesFor(
  model: TopKLM,
  prompt: readonly number[],
  sides: Sides,
  signal: AbortSignal,
  onProgress: (progress: { done: number; total: number }) => void,
): Promise<number[][]> {
  const wanted = Array.from({ length: TEXTS }, (_, seed) => ({ sampling: { seed, temperature: 0.8, maxTokens: LENGTH }, edits: [] }));
  const written = await writeTogether(model, prompt, wanted, signal, onProgress);
  const best: { ids: number[]; score: number }[] = [];
  for (const text of written) {
    const ids = text.ids.slice(0, model.config.n_ctx); // its last token may lie beyond the context
    if (ids.length === prompt.length) continue;
    const { logits } = await model.run(ids, { logits: 'all', signal });
    let place = { ids: [] as number[], score: Number.NEGATIVE_INFINITY };
    for (const [position, both] of bothAt(logits!, sides).entries()) {
      const score = Math.min(...both);
      const isPlace = position >= prompt.length && !model.config.eos_token_ids.includes(ids[position]!); // after its end a text goes nowhere
      if (isPlace && score > place.score) place = { ids: ids.slice(0, position + 1), score };
    }
    if (place.ids.length > 0) best.push(place);
  }
  best.sort((a, b) => b.score - a.score);
  return [[...prompt], ...best.slice(0, PLACES).map(({ ids }) => ids)];
}

/** The id of a word as the next token, after a space; as it is written, or with the other first letter; `null`: it is not one token. */
export function tokenOf(vocabulary: readonly string[], word: string): number | null {
  const plain = word.trim();
  if (plain === '') return null;
  const other = plain[0] === plain[0]!.toLowerCase() ? plain[0]!.toUpperCase() : plain[0]!.toLowerCase();
  for (const text of [` ${plain}`, plain, ` ${other}${plain.slice(1)}`]) {
    const id = vocabulary.indexOf(text);
    if (id >= 0) return id;
  }
  return null;
}

/** The ids of the words of both sides, which commas separate; or a sentence on what is wrong with them. */
export function sidesOf(vocabulary: readonly string[], from: string, to: string): Sides | string {
  const sides: number[][] = [];
  for (const side of [from, to]) {
    const words = side.split(',').map((word) => word.trim());
    if (words.length > WORDS) return `Enter at most ${WORDS} words on a side.`;
    const ids = new Set<number>();
    for (const word of words) {
      if (word === '') return words.length > 1 ? 'Enter a word between the commas.' : 'Enter two words.';
      const id = tokenOf(vocabulary, word);
      if (id === null) return `${quoted(word)} is not one token of this model: enter another word.`;
      ids.add(id);
    }
    sides.push([...ids]);
  }
  const [first = [], second = []] = sides;
  const common = first.find((id) => second.includes(id));
  if (common !== undefined) {
    return first.length + second.length === 2
      ? 'Enter two different words.'
      : `${quoted(vocabulary[common]!.trim())} is on both sides: enter different words.`;
  }
  return [first, second];
}
