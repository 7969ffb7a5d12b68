/** A text while it is generated: its tokens, their probabilities, and which neurons an edit evicted. */
import type { Edit, FinishReason, TopkChange, TopKLM } from 'topk-lm';
import { isAbort } from './problem';

export interface Sampling {
  seed: number;
  temperature: number;
  maxTokens: number;
}

export class Writing {
  /** [T] prompt and new tokens. */
  ids = $state.raw<readonly number[]>([]);
  promptLength = $state(0);
  /** ln of the model's own probability (under the edits) of each new token. */
  logprobs = $state.raw<readonly number[]>([]);
  evicted = $state.raw<readonly TopkChange[]>([]);
  admitted = $state.raw<readonly TopkChange[]>([]);
  /** Why generation ended; `null` before that. */
  finish = $state<FinishReason | 'stopped' | null>(null);
  isWriting = $state(false);
  /** From the call to the last token, including the prompt; s. */
  seconds = $state(0);
  /** Counts the texts: one that another has replaced ends without a word. */
  #number = 0;

  get newTokens(): number {
    return this.ids.length - this.promptLength;
  }

  clear(): void {
    this.#begin([], 0);
  }

  /** Shows a text that is known already, from a link. */
  show(ids: readonly number[], promptLength: number): void {
    this.#begin(ids, promptLength);
  }

  #begin(ids: readonly number[], promptLength: number): void {
    this.ids = ids;
    this.promptLength = promptLength;
    this.logprobs = [];
    this.evicted = [];
    this.admitted = [];
    this.finish = null;
    this.isWriting = false;
    this.seconds = 0;
    this.#number++;
  }

  /** Generates until the end or until `signal` aborts; what was written by then stays. */
  async write(model: TopKLM, prompt: readonly number[], sampling: Sampling, edits: readonly Edit[], signal: AbortSignal): Promise<void> {
    this.#begin(prompt, prompt.length);
    const number = this.#number;
    this.isWriting = true;
    const began = performance.now();
    const generation = model.generate(prompt, { ...sampling, edits, signal });
    try {
      for await (const { id, logprob, evicted, admitted } of generation) {
        this.ids = [...this.ids, id];
        this.logprobs = [...this.logprobs, logprob];
        if (evicted.length > 0) this.evicted = [...this.evicted, ...evicted];
        if (admitted.length > 0) this.admitted = [...this.admitted, ...admitted];
        this.seconds = (performance.now() - began) / 1000;
      }
      this.finish = generation.finish;
    } catch (error) {
      if (this.#number === number) this.finish = 'stopped';
      if (!isAbort(error)) throw error;
    } finally {
      if (this.#number === number) this.isWriting = false;
    }
  }
}
