/** What the Trace page draws, from the statistics of all neurons at all analysed training steps. */
import { ascending, median } from 'd3-array';
import type { FeatureIndex, StepColumns } from 'topk-lm';

/** How many neurons emerge at each analysed step. */
export function emergedAt({ columns, steps }: FeatureIndex): { step: number; neurons: number }[] {
  const counts = new Map(steps.map((step) => [step, 0]));
  for (const step of columns.emergence) if (step !== null) counts.set(step, (counts.get(step) ?? 0) + 1);
  return [...counts].map(([step, neurons]) => ({ step, neurons })).sort((a, b) => a.step - b.step);
}

/** Indices of a layer's neurons that emerged, the earliest first, then those nearest to their final self on the way; the others are left out. */
export function byEmergence({ columns, dModel, layers }: FeatureIndex, { columns: scalars }: StepColumns, layer: number): number[] {
  const first = layers.indexOf(layer) * dModel;
  const indices = Array.from({ length: dModel }, (_, at) => at).filter((at) => columns.emergence[first + at] != null);
  const distance = new Map(indices.map((at) => [at, scalars.jsToFinal.reduce((sum, column) => sum + (column[first + at] ?? 1), 0)]));
  return indices.sort(
    (a, b) =>
      ascending(columns.emergence[first + a]!, columns.emergence[first + b]!) || ascending(distance.get(a), distance.get(b)) || a - b,
  );
}

/** Of a layer at each step: how many neurons are near their final self, and the median distance. */
export function stepSummary(index: FeatureIndex, { steps, columns }: StepColumns, layer: number): (string | number)[][] {
  const first = index.layers.indexOf(layer) * index.dModel;
  return steps.map((step, place) => {
    const distances = (columns.jsToFinal[place] ?? []).slice(first, first + index.dModel).filter((value) => value !== null);
    const near = distances.filter((value) => value <= index.emergenceJs).length;
    return [step, `${near} of ${distances.length}`, median(distances)?.toFixed(3) ?? '–'];
  });
}

/** Place of the analysed step that stands for `step`: the nearest at or below it, else the first; of `null` the last. */
export function placeOf(steps: readonly number[], step: number | null): number {
  if (step === null) return Math.max(0, steps.length - 1);
  return Math.max(
    0,
    steps.findLastIndex((analysed) => analysed <= step),
  );
}

/** Highest token entropy that there can be among n tokens, bits. */
const ceiling = (n: number): number => Math.log2(Math.max(2, n));

/** How specialised a neuron is: 1 − token entropy over its highest possible value; 1: always one token. `null`: rare. */
export function specialisation(index: FeatureIndex, { columns }: StepColumns, place: number, column: number): number | null {
  const entropy = columns.tokenEntropy[place]?.[column] ?? null;
  const n = columns.n[place]?.[column] ?? 0;
  return entropy === null || n < index.entropy.rareBelow ? null : 1 - Math.min(1, entropy / ceiling(index.entropy.n));
}

/** Median specialisation of each layer at a step, for the table. */
export function ribbonSummary(index: FeatureIndex, scalars: StepColumns, place: number): (string | number)[][] {
  return index.layers.map((layer, row) => {
    const values = Array.from({ length: index.dModel }, (_, at) => specialisation(index, scalars, place, row * index.dModel + at));
    const known = values.filter((value) => value !== null);
    return [layer, known.length, median(known)?.toFixed(3) ?? '–'];
  });
}
