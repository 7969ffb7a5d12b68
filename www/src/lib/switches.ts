/** Switches of a model: neurons that turn one contrast far more than random ones do, `features/switches.json` by `topk-lm analyze --writes`. */
import type { Features } from 'topk-lm';
import { MEASURED_AT, type FullEdit } from './edits';
import { clipped } from './format';
import type { NeuronId } from './route';
import { isObject, isText, numberOf } from './values';

export interface Switch extends NeuronId {
  /** `was / were` */
  contrast: string;
  /** Of the contrast: grammar, punctuation, content. */
  kind: string;
  /** What it is set to, from the prompt's last token on. */
  value: number;
  /** Change of the log odds, nats; positive: towards the contrast’s first side. */
  effect: number;
  /** The largest that one of 100 random neurons of the layer makes. */
  control: number;
  times: number;
  /** How far the next token’s distribution moves, nats. */
  kl: number;
  /** The largest value at which its texts stay readable, and their surprise as a multiple of that of the model’s own. */
  steer: { value: number; surprise: number };
  prompt: string;
  before: string;
  after: string;
}

/** The switches of the file; [] where the model has none. */
export async function readSwitches(features: Features, signal: AbortSignal): Promise<Switch[]> {
  const blob = await features.file('features/switches.json', { signal });
  if (!blob) return [];
  const file: unknown = JSON.parse(await blob.text());
  if (!isObject(file) || !Array.isArray(file.switches)) throw new Error('features/switches.json must hold a list “switches”.');
  return file.switches.flatMap((entry) => switchOf(entry) ?? []);
}

function switchOf(entry: unknown): Switch | null {
  if (!isObject(entry) || !isObject(entry.steer)) return null;
  const names = ['layer', 'index', 'value', 'effect', 'control', 'times', 'kl'] as const;
  const numbers = names.map((name) => numberOf(entry[name]));
  const [limit, surprise] = [numberOf(entry.steer.value), numberOf(entry.steer.surprise)];
  const texts = ['contrast', 'kind', 'prompt', 'before', 'after'].map((name) => entry[name]);
  if (numbers.includes(null) || limit === null || surprise === null || !texts.every(isText)) return null;
  const read = entry as unknown as Switch;
  return { ...read, contrast: clipped(read.contrast), kind: clipped(read.kind), steer: { value: limit, surprise } };
}

/** Whether a continuation shows it: it begins with a token of the side that the neuron turns to. Without the sides, all do. */
export function isShown({ effect, after }: Switch, sides: readonly [readonly string[], readonly string[]] | undefined): boolean {
  if (!sides) return true;
  const isWhole = (token: string) => !/\p{L}$/u.test(token) || !/^\p{L}/u.test(after.slice(token.length));
  return sides[effect > 0 ? 0 : 1].some((token) => after.startsWith(token) && isWhole(token));
}

/** The edit with which a switch was measured. */
export function editOfSwitch({ layer, index, value }: Switch): FullEdit {
  return { layer, index, action: 'clamp', value, site: 'topk_out', positions: MEASURED_AT, propagate: 'layer' };
}

/** One switch for an index that turns the same contrast the same way in several layers: the one that does most beside random neurons; that first. */
export function distinct(switches: readonly Switch[]): (Switch & { layers: number[] })[] {
  const found = new Map<string, Switch & { layers: number[] }>();
  for (const each of [...switches].sort((a, b) => b.times - a.times)) {
    const key = `${each.contrast}|${each.effect > 0}|${each.index}`;
    const first = found.get(key);
    if (first) first.layers.push(each.layer);
    else found.set(key, { ...each, layers: [each.layer] });
  }
  return [...found.values()];
}
