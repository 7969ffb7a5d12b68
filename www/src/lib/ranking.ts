/**
 * Which active neurons are special at a position. docs/statistics.md#what-is-special-at-a-position defines it:
 *
 *     specialness = (value − mean) ÷ (max − mean) · (1 − density)
 *
 * over the corpus of the statistics; 0 is a neuron at its ordinary value, or one that is active everywhere; 1 a rare neuron at its maximum.
 */
import type { FeatureIndex } from 'topk-lm';
import { type Active, activeAt } from './activity';
import type { Activations } from './activations';
import { entryOf } from './neurons';
import type { NeuronId } from './route';

/** By specialness, or by the values alone. */
export type Ranking = 'special' | 'raw';

/** A neuron that is active at this share of the corpus or more is background: it says nothing about one position. */
const BACKGROUND_DENSITY = 0.9;

/** An active neuron; `special` is `null` where no statistics tell. */
export interface Ranked extends Active {
  special: number | null;
}

/** @param select - where the model selects by magnitude, magnitudes are compared */
export function specialness(index: FeatureIndex | null, neuron: NeuronId, value: number, select: 'value' | 'abs' = 'value'): number | null {
  return index && scoreOf(index, entryOf(index, neuron), value, select);
}

function scoreOf({ columns, kind }: FeatureIndex, entry: number, value: number, select: 'value' | 'abs'): number | null {
  const mean = columns.mean[entry] ?? null;
  const most = columns.max[entry] ?? null;
  const density = columns.density[entry] ?? null;
  if (mean === null || most === null || density === null) return null;
  const isDense = kind === 'dense'; // every coordinate is active everywhere there, and either tail may be the one that tells
  const isBySize = select === 'abs' && !isDense;
  const [here, ordinary, greatest] = isBySize ? [Math.abs(value), Math.abs(mean), Math.abs(most)] : [value, mean, most];
  const room = greatest - ordinary;
  const lift = room === 0 ? Number(here >= greatest) : (here - ordinary) / room;
  return lift * (isDense ? 1 : 1 - density);
}

/** Indices of a layer's background neurons, ascending. */
export function backgroundOf(index: FeatureIndex | null, layer: number): number[] {
  const found: number[] = [];
  if (!index || index.kind === 'dense' || !index.layers.includes(layer)) return found;
  const first = entryOf(index, { layer, index: 0 });
  for (let at = 0; at < index.dModel; at++) if ((index.columns.density[first + at] ?? 0) >= BACKGROUND_DENSITY) found.push(at);
  return found;
}

/**
 * Active neurons of a layer at position t, the first the most telling. The first position has no statistics, so it is ranked by value.
 * @param index - the statistics of the weights that made the activations; `null`: there are none, so values alone count
 * @param background - whether neurons that are active nearly everywhere are included
 */
export function rankedAt(
  { rows, select }: Pick<Activations, 'rows' | 'select'>,
  layer: number,
  t: number,
  { index, ranking, background }: { index: FeatureIndex | null; ranking: Ranking; background: boolean },
): Ranked[] {
  const row = rows.get(layer);
  if (!row) return [];
  const hidden = background ? [] : backgroundOf(index, layer);
  const first = index ? entryOf(index, { layer, index: 0 }) : -1;
  const all: Ranked[] = [];
  for (const active of activeAt(row, t, select)) {
    if (hidden.includes(active.index)) continue;
    const special = t === 0 || !index || first < 0 ? null : scoreOf(index, first + active.index, active.value, select);
    all.push({ ...active, special });
  }
  if (ranking === 'raw' || t === 0 || index === null) return all;
  const key = ({ special }: Ranked) => special ?? Number.NEGATIVE_INFINITY;
  return all.sort((a, b) => key(b) - key(a)); // stable: ties stay in the order of values
}

/** The largest magnitude of a layer over a text, which fills a bar. The first token is left out, and so is background unless it is shown. */
export function scaleOf({ rows }: Activations, layer: number, index: FeatureIndex | null, background: boolean): number {
  const row = rows.get(layer);
  if (!row) return 1;
  const hidden = new Set(background ? [] : backgroundOf(index, layer));
  let most = 0;
  for (let i = row.rowStart[1] ?? 0; i < row.values.length; i++) {
    if (!hidden.has(row.indices[i]!)) most = Math.max(most, Math.abs(row.values[i]!));
  }
  return most || 1;
}
