/** A value that takes time: the old one stays until the new one is there, and a newer request ends the one before. */
import { isAbort } from './problem';

export class Computed<T> {
  value = $state.raw<T | null>(null);
  busy = $state(false);
  #job: AbortController | null = null;
  readonly #report: (error: unknown) => void;

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** Starts; the result becomes {@link value}. The returned function ends it: give it back from an effect. */
  run(work: (signal: AbortSignal) => Promise<T>): () => void {
    this.#job?.abort();
    const job = new AbortController();
    this.#job = job;
    this.busy = true;
    work(job.signal)
      .then(
        (value) => {
          if (this.#job === job) this.value = value;
        },
        (error: unknown) => {
          if (!isAbort(error)) this.#report(error);
        },
      )
      .finally(() => {
        if (this.#job === job) {
          this.#job = null;
          this.busy = false;
        }
      });
    return () => job.abort();
  }

  cancel(): void {
    this.#job?.abort();
  }
}
