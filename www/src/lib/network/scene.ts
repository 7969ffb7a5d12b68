/** What the picture of the network shows at one position: for each layer its values before the cut, which were kept, and their names. */
import type { FeatureIndex } from 'topk-lm';
import { type Active, rowAt } from '../activity';
import type { Activations } from '../activations';
import { rankedAt, type Ranking } from '../ranking';
import { whatItReads } from '../neurons';
import type { NeuronId } from '../route';

/** Neurons pushed out that are named. */
const MOST_OUT = 2;

export interface Named {
  index: number;
  value: number;
  /** A label in few letters; the index where there is no label. */
  name: string;
  /** Pushed out by the neuron that was set. */
  isOut?: boolean;
}

/** A neuron that was set, and what that pushed out of the k that are kept, or let in. */
export interface Push {
  index: number;
  value: number;
  out: readonly number[];
  in: readonly number[];
}

export interface Stage {
  layer: number;
  /** Values of all neurons before the cut, [d]; `null` while they are not known. */
  before: Float32Array | null;
  /** What the cut left, by ascending index. */
  kept: readonly Active[];
  /** The least value that was kept (magnitude, where the model selects by it); `null`: nothing is cut. */
  threshold: number | null;
  /** The value that fills the length of a bar: the largest of this position that is not background. */
  scale: number;
  names: readonly Named[];
  push: Push | null;
}

export interface Scene {
  /** Neurons of a layer. */
  width: number;
  stages: readonly Stage[];
}

/** What of a run the picture needs beyond the table: at one position, by layer. */
export interface Beyond {
  before: ReadonlyMap<number, Float32Array>;
  /** Where a neuron was set: what the cut left then, in every layer. */
  kept: ReadonlyMap<number, readonly Active[]> | null;
  push: (Push & { layer: number }) | null;
}

/** As much of what a neuron reads as there is room for: whole words of its list, without what kind of list it is. */
export function shortName(label: string, room: number): string {
  const [first = '', ...rest] = whatItReads(label)
    .replace(/^[^:“]{4,}: (?=.)/, '')
    .replaceAll(/[“”]/g, '')
    .replace(/ …$/, '')
    .trim()
    .split(', ');
  let name = first;
  for (const word of rest) {
    if (name.length + 2 + word.length > room) break;
    name += `, ${word}`;
  }
  return name;
}

/**
 * @param options - as in the table; `names`: how many neurons of a layer are named, in at most `room` letters; `one`: named too, if it is active
 */
export function sceneOf(
  activations: Activations,
  position: number,
  beyond: Beyond | null,
  options: {
    index: FeatureIndex | null;
    /** What a neuron is called; '' where nothing is known. */
    nameOf: (neuron: NeuronId) => string;
    ranking: Ranking;
    background: boolean;
    isCut: boolean;
    names: number;
    room: number;
    one: NeuronId | null;
  },
): Scene {
  const size = activations.select === 'abs' ? Math.abs : (value: number) => value;
  const nameOf = (neuron: NeuronId) => shortName(options.nameOf(neuron), options.room) || String(neuron.index);
  let width = 0;
  const stages = [...activations.rows].map(([layer, rows]): Stage => {
    width = rows.shape[1];
    const pushed = beyond?.kept?.get(layer);
    const ranked = pushed
      ? rankedAt({ ...activations, rows: new Map([[layer, rowsOf(pushed, width)]]) }, layer, 1, options)
      : rankedAt(activations, layer, position, options);
    const kept = pushed ?? rowAt(activations.rows.get(layer)!, position);
    const push = beyond?.push?.layer === layer ? beyond.push : null;
    const chosen = ranked.slice(0, options.names);
    const wanted = push?.index ?? (options.one?.layer === layer ? options.one.index : null);
    const extra = kept.find(({ index }) => index === wanted);
    if (extra && !chosen.some(({ index }) => index === extra.index)) chosen.splice(-1, 1, { ...extra, special: null });
    return {
      layer,
      before: beyond?.before.get(layer) ?? null,
      kept,
      threshold: options.isCut && kept.length > 0 ? Math.min(...kept.map(({ value }) => size(value))) : null,
      scale: Math.max(...ranked.map(({ value }) => size(value)), push ? size(push.value) : 0) || 1,
      names: [
        ...chosen.map(({ index, value }) => ({ index, value, name: nameOf({ layer, index }) })),
        ...(push?.out ?? [])
          .slice(0, MOST_OUT)
          .map((index) => ({ index, value: beyond?.before.get(layer)?.[index] ?? 0, name: nameOf({ layer, index }), isOut: true })),
      ],
      push,
    };
  });
  return { width, stages };
}

/** Neurons of one position as rows of two, the first empty: the position is not the first of its text. */
const rowsOf = (kept: readonly Active[], width: number) => ({
  shape: [2, width] as [number, number],
  rowStart: Uint32Array.of(0, 0, kept.length),
  indices: Uint32Array.from(kept, ({ index }) => index),
  values: Float32Array.from(kept, ({ value }) => value),
});

/** The picture in words. */
export function inWords({ stages, width }: Scene, token: string, one: 'neuron' | 'coordinate'): string {
  const layers = stages.map(({ layer, kept, threshold, names, push }) => {
    const strongest = names
      .filter(({ isOut }) => !isOut)
      .map(({ index, name }) => (name === String(index) ? name : `${index} (${name})`))
      .join(', ');
    const cut =
      threshold === null ? `${kept.length} ${one}s` : `${kept.length} of ${width} ${one}s kept, the least at ${threshold.toFixed(2)}`;
    const pushed = push ? ` ${one} ${push.index} set to ${push.value.toFixed(2)} pushed out ${push.out.join(', ') || 'nothing'}.` : '';
    return `Layer ${layer}: ${cut}; named: ${strongest}.${pushed}`;
  });
  return `The network at ${token}. ${layers.join(' ')}`;
}
