/** A copy of a model with an autoencoder attached: an engine of its own, so that the page's model and its twin compute as before. */
import type { ModelSource, SaeInfo } from 'topk-lm';
import type { ModelEntry } from '../models';
import { isAbort, problemOf } from '../problem';
import { Session } from '../session.svelte';

export class SaeSide {
  readonly session: Session;
  /** What is attached; `null`: nothing. */
  info = $state.raw<SaeInfo | null>(null);
  isAttaching = $state(false);
  /** Why it could not be attached: a sentence. */
  fault = $state('');
  #job: AbortController | null = null;

  constructor(backend: Session['backend']) {
    this.session = new Session(backend, () => null);
  }

  /** The layer whose hook the features are read at. */
  get layer(): number {
    return Number(/^blocks\.(\d+)\./.exec(this.info?.hook ?? '')?.[1] ?? 0);
  }

  /**
   * Attaches an autoencoder to a copy of a model.
   *
   * @param errorTerm - what it leaves over is added, so that the model computes as before, but for edits
   * @returns whether it is attached
   */
  async attach(entry: ModelEntry, source: ModelSource, errorTerm: boolean): Promise<boolean> {
    this.stop();
    const job = new AbortController();
    this.#job = job;
    const { session } = this;
    Object.assign(this, { info: null, fault: '', isAttaching: true });
    try {
      if (session.entry?.name !== entry.name) await session.choose(entry, { agreed: true });
      const model = await session.ready(job.signal);
      await model.detachSaes();
      const info = await model.attachSae(source, { errorTerm, signal: job.signal });
      job.signal.throwIfAborted();
      this.info = info;
    } catch (error) {
      if (!isAbort(error) && session.phase !== 'failed') this.fault = problemOf(error).message;
    } finally {
      if (this.#job === job) this.isAttaching = false;
    }
    return this.info !== null;
  }

  stop(): void {
    this.#job?.abort();
  }

  close(): void {
    this.stop();
    this.info = null;
    this.session.close();
  }
}
