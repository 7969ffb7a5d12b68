/**
 * TopK by other engines on a machine of ours: the table of benches/README.md, stored when that was committed. `npm run bench -- --peers --only topk --site`
 * measures anew and writes the file.
 */
import file from './measured.json';
import type { Shape } from './race';

export interface Measured extends Shape {
  /** Medians of a call. */
  found: readonly { name: string; ms: number }[];
}

export const { date, device, rounds } = file;

export const measured: readonly Measured[] = file.shapes;

export const measuredOf = ({ rows, n, k }: Shape): Measured | undefined =>
  measured.find((one) => one.rows === rows && one.n === n && one.k === k);
