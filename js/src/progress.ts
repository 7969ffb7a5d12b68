/** Byte progress over several files: totals do not jump, and numbers never decrease. */
import type { LoadProgress } from './types.js';

/** Least time between two reports, in ms: a screen cannot show more. */
const INTERVAL = 50;

/** Counts the bytes of one phase and reports them. */
export class ByteProgress {
  readonly #phase: LoadProgress['phase'];
  readonly #report: (progress: LoadProgress) => void;
  readonly #done = new Map<string, number>();
  #total: number | null;
  #sum = 0;
  #file = '';
  #fromCache = false;
  #reported = -1;
  #lastReport = Number.NEGATIVE_INFINITY;

  /** `total`: bytes of all files of the phase, `null` while not known. */
  constructor(phase: LoadProgress['phase'], total: number | null, report: (progress: LoadProgress) => void) {
    this.#phase = phase;
    this.#total = total;
    this.#report = report;
  }

  /** `file` has `bytes` of its bytes. A file that starts again counts only what is beyond its best so far. */
  update(file: string, bytes: number, fromCache = false): void {
    // What came from the cache, or from the network, is said to its last byte before the other goes on.
    if (fromCache !== this.#fromCache && this.#file !== '') this.#send();
    this.#file = file;
    this.#fromCache = fromCache;
    this.#done.set(file, Math.max(bytes, this.#done.get(file) ?? 0));
    let sum = 0;
    for (const done of this.#done.values()) sum += done;
    this.#sum = this.#total === null ? sum : Math.min(sum, this.#total);
    if (this.#sum === this.#total || performance.now() - this.#lastReport >= INTERVAL) this.#send();
  }

  /** A file is whole; `total` if it is known now (a total that is known stays). */
  fileDone(total: number | null): void {
    this.#total ??= total;
    this.#send();
  }

  #send(): void {
    if (this.#sum <= this.#reported) return;
    this.#reported = this.#sum;
    this.#lastReport = performance.now();
    this.#report({ phase: this.#phase, file: this.#file, loadedBytes: this.#sum, totalBytes: this.#total, fromCache: this.#fromCache });
  }
}
