/** A value that takes time to compute: the old one stays until the new one is ready, and a new request cancels the previous one. */
import { isAbort } from './problem';

/** ms after which a frame is no longer waited for: a hidden page paints none. */
const UNSEEN = 100;

/** Settles once what has changed is on the screen, so that work which takes every core does not hold it up. */
const painted = () =>
  new Promise<void>((settle) => {
    setTimeout(settle, UNSEEN);
    requestAnimationFrame(() => setTimeout(settle));
  });

export class Computed<T> {
  value = $state.raw<T | null>(null);
  busy = $state(false);
  /** Whether the last computation ended with an error. */
  failed = $state(false);
  /** Whether {@link value} is of an earlier request. */
  isOld = $derived.by(() => this.busy || this.failed);
  #job: AbortController | null = null;
  readonly #report: (error: unknown) => void;

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** Starts a computation whose result becomes {@link value}. Return the function it returns from an effect: it cancels the computation. */
  run(work: (signal: AbortSignal) => Promise<T>): () => void {
    this.#job?.abort();
    const job = new AbortController();
    this.#job = job;
    this.busy = true;
    this.failed = false;
    painted()
      .then(() => {
        job.signal.throwIfAborted();
        return work(job.signal);
      })
      .then(
        (value) => {
          if (this.#job === job) this.value = value;
        },
        (error: unknown) => {
          if (isAbort(error)) return;
          if (this.#job === job) this.failed = true;
          this.#report(error);
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
