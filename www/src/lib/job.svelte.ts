/** Work with a model that takes a while: a newer request or a press of Stop ends it, and its error is shown. */
import type { TopKLM } from 'topk-lm';
import { isAbort } from './problem';
import type { Session } from './session.svelte';

export class Job {
  isRunning = $state(false);
  readonly #session: () => Session;
  #controller: AbortController | null = null;

  constructor(session: () => Session) {
    this.#session = session;
  }

  stop(): void {
    this.#controller?.abort();
  }

  /** Ends the work before it, waits for the model, and works until the end or until it is stopped. */
  async run(work: (model: TopKLM, signal: AbortSignal) => Promise<void>): Promise<void> {
    this.stop();
    const controller = new AbortController();
    this.#controller = controller;
    this.isRunning = true;
    const session = this.#session();
    try {
      await work(await session.ready(controller.signal), controller.signal);
      session.succeeded();
    } catch (error) {
      if (!isAbort(error)) session.report(error);
    } finally {
      if (this.#controller === controller) this.isRunning = false;
    }
  }
}
