/** How strongly a neuron is set at first, what that rests on, and what a price in surprise means in words. */
import type { FeatureIndex } from 'topk-lm';
import { MEASURED_AT, type FullEdit } from './edits';
import { entryOf } from './neurons';
import type { NeuronId } from './route';

/** `reads`: the largest measured value at which text stays readable. `strong`: its 99th percentile, where no value reads. `max`: its maximum. */
export interface Strength {
  value: number;
  from: 'reads' | 'strong' | 'max';
}

/** The strength from which steering starts; `null`: nothing is known. */
export function strengthOf(index: FeatureIndex | null, neuron: NeuronId): Strength | null {
  if (!index) return null;
  const { steer, strong, max } = index.columns;
  const entry = entryOf(index, neuron);
  const known = (column: readonly (number | null)[] | undefined) => column?.[entry] || null; // 0 is no strength
  const [reads, percentile, largest] = [known(steer), known(strong), known(max)];
  if (reads !== null) return { value: reads, from: 'reads' };
  if (percentile !== null) return { value: percentile, from: 'strong' };
  return largest === null ? null : { value: largest, from: 'max' };
}

/** What the value 1 × of a slider is. */
export function unitOf(strength: Strength | null): string {
  if (strength?.from === 'reads') return 'its largest readable value';
  if (strength?.from === 'strong') return 'its strong activation';
  return strength && strength.value < 0 ? 'its extreme' : 'its maximum';
}

/** Where it is set at first: where it was measured, if it was. */
export const positionsFor = (strength: Strength | null): FullEdit['positions'] =>
  strength === null || strength.from === 'max' ? 'all' : MEASURED_AT;

/** Up to how many times its surprise a text stays readable: what `topk-lm analyze --writes` allows, and gentle recipes. */
const READS = 1.3;

/** How a text reads, by its surprise over that of the model's own. */
export function readsAs(ratio: number): string {
  if (ratio <= 1.05) return 'reads as before';
  if (ratio <= READS) return 'still reads well';
  if (ratio <= 1.6) return 'reads less well';
  return ratio <= 2.2 ? 'often breaks' : 'hardly reads';
}
