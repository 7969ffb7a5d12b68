/** What the Trace page draws, from the statistics of all neurons at all analyzed training steps. */
import { ascending, median } from 'd3-array';
import type { FeatureIndex, StepColumns } from 'topk-lm';

/** How many neurons emerge at each analyzed step. */
function emergedAt({ columns, steps }: FeatureIndex): { step: number; neurons: number }[] {
  const counts = new Map(steps.map((step) => [step, 0]));
  for (const step of columns.emergence) if (step !== null) counts.set(step, (counts.get(step) ?? 0) + 1);
  return [...counts].map(([step, neurons]) => ({ step, neurons })).sort((a, b) => a.step - b.step);
}

/**
 * How many neurons have emerged by each analyzed step. The last step is left out: there a neuron is compared with itself, so all those that were
 * not close before count as emerging.
 */
export function emergedBy(index: FeatureIndex): { step: number; neurons: number }[] {
  let neurons = 0;
  return emergedAt(index)
    .slice(0, -1)
    .map(({ step, neurons: more }) => {
      neurons += more;
      return { step, neurons };
    });
}

/** Indices of a layer's neurons that emerged: earliest first, at a tie those closer to their final state along the way; others are left out. */
export function byEmergence({ columns, dModel, layers }: FeatureIndex, { columns: scalars }: StepColumns, layer: number): number[] {
  const first = layers.indexOf(layer) * dModel;
  const indices = Array.from({ length: dModel }, (_, at) => at).filter((at) => columns.emergence[first + at] != null);
  const distance = new Map(indices.map((at) => [at, scalars.jsToFinal.reduce((sum, column) => sum + (column[first + at] ?? 1), 0)]));
  return indices.sort(
    (a, b) =>
      ascending(columns.emergence[first + a]!, columns.emergence[first + b]!) || ascending(distance.get(a), distance.get(b)) || a - b,
  );
}

/** For a layer at each step: how many neurons are near their final state, and the median distance. */
export function stepSummary(index: FeatureIndex, { steps, columns }: StepColumns, layer: number): (string | number)[][] {
  const first = index.layers.indexOf(layer) * index.dModel;
  return steps.map((step, row) => {
    const distances = (columns.jsToFinal[row] ?? []).slice(first, first + index.dModel).filter((value) => value !== null);
    const near = distances.filter((value) => value <= index.emergenceJs).length;
    return [step, `${near} of ${distances.length}`, median(distances)?.toFixed(3) ?? '–'];
  });
}

/** Index of the analyzed step shown for `step`: the last one at or below it, else the first; for `null` the last. */
export function rowOf(steps: readonly number[], step: number | null): number {
  if (step === null) return Math.max(0, steps.length - 1);
  return Math.max(
    0,
    steps.findLastIndex((analyzed) => analyzed <= step),
  );
}

/** Highest possible token entropy among n tokens, bits. */
const ceiling = (n: number): number => Math.log2(Math.max(2, n));

/** How specialized a neuron is: 1 − token entropy ÷ its highest possible value; 1: always one token. `null`: rare. */
export function specialization(index: FeatureIndex, { columns }: StepColumns, row: number, column: number): number | null {
  const entropy = columns.tokenEntropy[row]?.[column] ?? null;
  const n = columns.n[row]?.[column] ?? 0;
  return entropy === null || n < index.entropy.rareBelow ? null : 1 - Math.min(1, entropy / ceiling(index.entropy.n));
}

/** Median specialization of each layer at a step, for the table. */
export function ribbonSummary(index: FeatureIndex, scalars: StepColumns, row: number): (string | number)[][] {
  return index.layers.map((layer, layerRow) => {
    const values = Array.from({ length: index.dModel }, (_, at) => specialization(index, scalars, row, layerRow * index.dModel + at));
    const known = values.filter((value) => value !== null);
    return [layer, known.length, median(known)?.toFixed(3) ?? '–'];
  });
}
