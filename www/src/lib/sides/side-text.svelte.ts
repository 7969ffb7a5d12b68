/** One prompt and seed continued by one model twice, without and with an edit: a column of the comparison on Steer. */
import type { Edit, TopKLM } from 'topk-lm';
import { surprise } from '../compare';
import { encodeToFit } from '../fit';
import { Job } from '../job.svelte';
import type { Session } from '../session.svelte';
import { type Sampling, Writing } from '../writing.svelte';

/** Both texts, and their nats per token under the model without edits. */
export interface Texts {
  base: Writing;
  steered: Writing;
  surprise: { base: number | null; steered: number | null } | null;
}

export class SideText implements Texts {
  readonly base = new Writing();
  readonly steered = new Writing();
  surprise = $state.raw<Texts['surprise']>(null);
  readonly job: Job;
  /** What the texts were made from; the steered one of '' did not come to its end. */
  #made = $state.raw({ base: '', steered: '' });
  /** What was to be made where that, or its surprise, did not come to its end. */
  #cut = $state('');

  constructor(session: () => Session) {
    this.job = new Job(session);
  }

  isOf = (key: string, edit: string): boolean => this.#made.base === key && this.#made.steered === key + edit;

  /** Whether just these texts did not come to their end: the same press completes them. */
  isCut = (key: string, edit: string): boolean => this.#cut === key + edit;

  /**
   * Writes both; a base text of the same settings is kept.
   *
   * @param key - what decides the base text
   * @param edit - what the edit is called; '' for none
   */
  write(
    prompt: string,
    sampling: Sampling,
    { key, edit, editsOf }: { key: string; edit: string; editsOf: (model: TopKLM, promptLength: number) => readonly Edit[] },
  ): Promise<void> {
    return this.job.run(async (model, signal) => {
      const isKept = this.#made.base === key && this.base.finish !== null && this.base.finish !== 'stopped';
      const made = { base: key, steered: key + edit };
      this.#made = made;
      this.surprise = null;
      this.#cut = '';
      if (!isKept) this.base.clear();
      this.steered.clear();
      try {
        const { ids } = await encodeToFit(model, prompt);
        signal.throwIfAborted();
        if (!isKept) await this.base.write(model, ids, sampling, [], signal);
        signal.throwIfAborted();
        if (edit !== '') await this.steered.write(model, ids, sampling, editsOf(model, ids.length), signal);
        signal.throwIfAborted();
        const nats = (text: Writing) => surprise(model, text.ids, text.promptLength, signal);
        this.surprise = { base: await nats(this.base), steered: edit === '' ? null : await nats(this.steered) };
      } catch (error) {
        if (this.#made === made) {
          this.#made = { base: key, steered: '' };
          this.#cut = key + edit;
        }
        throw error;
      }
    });
  }
}
