/** Byte progress over several files: totals do not jump, numbers never go back. */
import type { LoadProgress } from './types.js';

/** Least time between two reports, in ms: a screen cannot show more. */
const INTERVAL = 50;

/** Counts the bytes of one phase and reports them. */
export class ByteProgress {
  readonly #phase: LoadProgress['phase'];
  readonly #report: (progress: LoadProgress) => void;
  readonly #done = new Map<string, number>();
  #total: number | null;
  #reported = 0;
  #lastReport = -Infinity;

  /** `total`: bytes of all files of the phase, `null` while not known. */
  constructor(phase: LoadProgress['phase'], total: number | null, report: (progress: LoadProgress) => void) {
    this.#phase = phase;
    this.#total = total;
    this.#report = report;
  }

  /** The total became known (only from `null`: a known total stays). */
  setTotal(total: number): void {
    this.#total ??= total;
  }

  /** `file` has `bytes` of its bytes. A file that starts again counts only what is beyond its best so far. */
  update(file: string, bytes: number, fromCache = false): void {
    this.#done.set(file, Math.max(bytes, this.#done.get(file) ?? 0));
    let sum = 0;
    for (const done of this.#done.values()) sum += done;
    if (this.#total !== null) sum = Math.min(sum, this.#total);
    const now = performance.now();
    const last = sum === this.#total;
    if (sum < this.#reported || (now - this.#lastReport < INTERVAL && !last)) return;
    if (last && this.#reported === sum && this.#lastReport > -Infinity) return;
    this.#reported = sum;
    this.#lastReport = now;
    this.#report({ phase: this.#phase, file, loadedBytes: sum, totalBytes: this.#total, fromCache });
  }
}
