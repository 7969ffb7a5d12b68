/** What a strength sweep varies: one edit in multiples of its strength, or a set of them together, as its slider does. */
import { type FullEdit, rounded, scaledEdit } from './edits';

export interface Swept {
  /** What is swept, in words. */
  title: string;
  /** All edits of the text, at a multiple of the strength. */
  at: (multiple: number) => FullEdit[];
  /** What two sweeps of the same have in common: what 1 × is, and not which multiple the text has now. */
  key: string;
}

const hasStrength = ({ action }: FullEdit): boolean => action !== 'ablate';

/**
 * @param edits those of the text
 * @param set the same edits at 1 ×, as they were chosen
 * @param unit the value of 1 × where there is one edit; `null`: unknown, so the edit's own is
 * @param one what the model’s coordinates are called
 * @returns `null` where no edit has a strength
 */
export function sweptOf(edits: readonly FullEdit[], set: readonly FullEdit[], unit: number | null, one: string): Swept | null {
  const [first, ...others] = edits;
  if (!first || !edits.some(hasStrength)) return null;
  if (others.length > 0)
    return { title: `all ${edits.length} ${one}s`, at: (times) => set.map((edit) => scaledEdit(edit, times)), key: JSON.stringify(set) };
  const whole = first.action === 'scale' ? 1 : (unit ?? first.value) || 1;
  return {
    title: `layer ${first.layer} ${one} ${first.index}`,
    at: (times) => [{ ...first, value: rounded(times * whole) }],
    key: JSON.stringify({ ...first, value: 0 }),
  };
}
