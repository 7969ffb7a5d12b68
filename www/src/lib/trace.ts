/** What the Trace page draws, from the statistics of all neurons at all analyzed training steps. */
import { ascending, median } from 'd3-array';
import type { FeatureIndex, StepColumns } from 'topk-lm';

/** How many neurons emerge at each analyzed step. */
function emergedAt({ columns, steps }: FeatureIndex): { step: number; neurons: number }[] {
  const counts = new Map(steps.map((step) => [step, 0]));
  for (const step of columns.emergence) if (step !== null) counts.set(step, (counts.get(step) ?? 0) + 1);
  return [...counts].map(([step, neurons]) => ({ step, neurons })).sort((a, b) => a.step - b.step);
}

export interface Emerged {
  step: number;
  neurons: number;
  /** Of those that are not rare. */
  share: number;
}

/**
 * How many neurons have emerged by each analyzed step. The last step is left out: there a neuron is compared with itself, so all those that were
 * not close before count as emerging.
 */
export function emergedBy(index: FeatureIndex): Emerged[] {
  const known = index.columns.n.filter((n) => (n ?? 0) >= index.entropy.rareBelow).length;
  let neurons = 0;
  return emergedAt(index)
    .slice(0, -1)
    .map(({ step, neurons: more }) => {
      neurons += more;
      return { step, neurons, share: neurons / Math.max(1, known) };
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

/** How early a neuron settled, 1 at the first analyzed step; 0: only at the last one, where it is compared with itself. `null`: rare. */
export function earliness({ steps, columns }: FeatureIndex, entry: number): number | null {
  const step = columns.emergence[entry] ?? null;
  const last = Math.max(1, steps.length - 1);
  return step === null ? null : 1 - Math.max(0, steps.indexOf(step)) / last;
}

/** Of each layer: how many neurons are not rare, and the share that has settled by each analyzed step but the last. */
export function settledSummary(index: FeatureIndex): (string | number)[][] {
  const { columns, dModel, layers, steps } = index;
  return layers.map((layer, row) => {
    const of = columns.emergence.slice(row * dModel, (row + 1) * dModel).filter((step) => step !== null);
    const shares = steps.slice(0, -1).map((step) => of.filter((emerged) => emerged <= step).length / Math.max(1, of.length));
    return [layer, of.length, ...shares.map((part) => `${(100 * part).toFixed(0)} %`)];
  });
}
