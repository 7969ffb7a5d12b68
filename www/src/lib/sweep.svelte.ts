/** The same prompt and seed at increasing strengths of one edit, or of a set of them. */
import { divergence } from './activity';
import type { App } from './app.svelte';
import { countWords, surprise, wordsOf } from './compare';
import type { FullEdit } from './edits';
import { encodeToFit } from './fit';
import { Job } from './job.svelte';
import { say } from './say.svelte';
import type { Steering } from './steering.svelte';
import type { Swept } from './swept';
import { writeTogether } from './together';

/** Multiples of the neuron's strength, or of the edit's own value if none is known. */
export const MULTIPLES = [0, 0.5, 1, 1.5, 2, 3, 4, 6] as const;

export interface SweepRow {
  multiple: number;
  /** All edits of the text. */
  edits: readonly FullEdit[];
  /** New tokens only. */
  text: string;
  /** Words of the topic; `null`: none were given. */
  found: number | null;
  words: number;
  /** Nats per token under the unmodified model. */
  surprise: number | null;
  /** New tokens before the first difference from the base text; `null`: no difference. */
  equal: number | null;
}

export class Sweep {
  readonly #steering: Steering;
  rows = $state.raw<readonly SweepRow[]>([]);
  /** Tokens written so far, at all strengths; of 0 as long as nothing is known. */
  progress = $state.raw({ done: 0, total: 0 });
  /** Which neuron, or set, the rows belong to. */
  title = $state('');
  /** What the rows were made from. */
  #made = $state('');
  /** What a sweep would vary now; `null`: there is nothing. */
  readonly #swept: () => Swept | null;
  /** All that decides the rows. */
  readonly #key = $derived.by(() => JSON.stringify([this.#steering.textKey, this.#steering.words, this.#swept()?.key]));
  /** Whether the rows are those of the prompt, the model and the edits on the page. */
  isCurrent = $derived.by(() => this.#made === '' || this.#made === this.#key);
  readonly #job: Job;

  constructor(app: App, steering: Steering, swept: () => Swept | null) {
    this.#steering = steering;
    this.#swept = swept;
    this.#job = new Job(() => app.session);
  }

  get isRunning(): boolean {
    return this.#job.isRunning;
  }

  stop(): void {
    this.#job.stop();
  }

  /** Drops the rows, which belong to another model. */
  forget(): void {
    this.stop();
    this.rows = [];
    this.#made = '';
  }

  async run(): Promise<void> {
    this.stop();
    const { sampling, prompt } = this.#steering;
    const swept = this.#swept();
    if (!swept) return;
    const words = wordsOf(this.#steering.words);
    this.rows = [];
    this.progress = { done: 0, total: 0 };
    this.#made = this.#key;
    this.title = swept.title;
    await this.#job.run(async (model, signal) => {
      const { ids } = await encodeToFit(model, prompt);
      const sets = MULTIPLES.map((multiple) => swept.at(multiple));
      const wanted = [[], ...sets].map((edits) => ({ sampling, edits: this.#steering.engineEdits(model, ids, edits) }));
      const [base, ...steeredTexts] = await writeTogether(model, ids, wanted, signal, (progress) => {
        if (!signal.aborted) this.progress = progress;
      });
      for (const [number, steered] of steeredTexts.entries()) {
        if (signal.aborted) return;
        const apart = divergence(base!.ids, steered.ids);
        const row: SweepRow = {
          multiple: MULTIPLES[number]!,
          edits: sets[number]!,
          text: steered.text,
          ...countWords(steered.text, words),
          ...(words.length === 0 && { found: null }),
          surprise: await surprise(model, steered.ids, ids.length, signal),
          equal: apart === null ? null : apart - ids.length,
        };
        this.rows = [...this.rows, row];
      }
      void say(`The texts at ${MULTIPLES.length} strengths are written.`);
    });
  }
}
