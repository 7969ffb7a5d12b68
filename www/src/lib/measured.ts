/** What `topk-lm analyze` measured of neurons beside the columns: contrasts, states of stories, clusters of tokens. For searches and a neuron’s page. */
import type { Features, NeuronRecord } from 'topk-lm';
import { nameOfSide } from './contrast-names';
import { clipped } from './format';
import { isObject, isText, numberOf } from './values';

export interface MeasuredContrast {
  /** `was / were` */
  name: string;
  /** Tokens of its first side and of its second. */
  sides: readonly [readonly string[], readonly string[]];
  /** The largest effect of 100 random neurons, by row of {@link Measured.layers}, nats of log odds. */
  controls: readonly (number | null)[];
  /** Those that move it most; a positive effect is towards the first side. */
  neurons: readonly { layer: number; index: number; effect: number }[];
}

export interface MeasuredState {
  /** `mention: plural` */
  name: string;
  /** Of all tokens, where it holds. */
  share: number | null;
  /** Those that mark it best. */
  neurons: readonly { layer: number; index: number; f1: number }[];
}

export interface Measured {
  layers: readonly number[];
  /** By number, as in a neuron’s record. */
  contrasts: readonly MeasuredContrast[];
  states: readonly MeasuredState[];
  /** Cluster of each token; `null`: not computed. */
  cluster: readonly number[] | null;
}

export const NOTHING: Measured = { layers: [], contrasts: [], states: [], cluster: null };

const kept = new WeakMap<Features, Promise<Measured>>();

/** Reads it once for each model; lists of what was not measured are empty. */
export function readMeasured(features: Features): Promise<Measured> {
  const known = kept.get(features);
  if (known) return known;
  const reading = read(features);
  kept.set(features, reading);
  reading.catch(() => kept.delete(features)); // may be tried again
  return reading;
}

/** What a component that shows a neuron's measurements is given. */
export interface MeasuredProps {
  record: NeuronRecord;
  features: Features;
  vocabulary: readonly string[] | null;
}

/** A contrast that a neuron turns, beside what the best of 100 random neurons of its layer does. */
export interface Turn {
  /** `he / she` */
  name: string;
  /** The plain name of what it turns to. */
  side: string;
  effect: number;
  ablated: number | null;
  control: number | null;
  /** Effect over control. */
  times: number | null;
}

export function turnsOf({ layer, writes }: NeuronRecord, { contrasts, layers }: Measured): Turn[] {
  return (writes?.contrasts ?? []).flatMap(([number, effect, ablated]) => {
    const contrast = contrasts[number];
    if (!contrast) return [];
    const control = contrast.controls[layers.indexOf(layer)] ?? null;
    const times = control ? Math.abs(effect) / control : null;
    return [{ name: contrast.name, side: nameOfSide(contrast.name, effect > 0), effect, ablated, control, times }];
  });
}

async function read(features: Features): Promise<Measured> {
  const [contrasts, states, clusters] = await Promise.all([
    jsonOf(features, 'features/contrasts.json'),
    jsonOf(features, 'features/states.json'),
    features.clusters(),
  ]);
  return {
    layers: listOf(contrasts, 'layers').map((layer) => numberOf(layer) ?? -1),
    contrasts: listOf(contrasts, 'contrasts').map(contrastOf),
    states: listOf(states, 'states').map(stateOf),
    cluster: clusters?.cluster ?? null,
  };
}

async function jsonOf(features: Features, path: string): Promise<unknown> {
  const blob = await features.file(path);
  return blob ? JSON.parse(await blob.text()) : null;
}

const listOf = (object: unknown, name: string): readonly unknown[] =>
  isObject(object) && Array.isArray(object[name]) ? (object[name] as unknown[]) : [];

/** Entries `[layer, index, number, …]` of three numbers. */
const triples = (entry: unknown): [number, number, number][] =>
  listOf(entry, 'neurons').flatMap((each) => {
    const [layer, index, value] = Array.isArray(each) ? each.map(numberOf) : [];
    return layer == null || index == null || value == null ? [] : [[layer, index, value]];
  });

const nameOf = (entry: unknown): string => (isObject(entry) && isText(entry.name) ? clipped(entry.name) : '');

const contrastOf = (entry: unknown): MeasuredContrast => ({
  name: nameOf(entry),
  sides: [listOf(entry, 'a').filter(isText), listOf(entry, 'b').filter(isText)],
  controls: listOf(entry, 'controls').map(numberOf),
  neurons: triples(entry).map(([layer, index, effect]) => ({ layer, index, effect })),
});

const stateOf = (entry: unknown): MeasuredState => ({
  name: nameOf(entry),
  share: isObject(entry) ? numberOf(entry.share) : null,
  neurons: triples(entry).map(([layer, index, f1]) => ({ layer, index, f1 })),
});
