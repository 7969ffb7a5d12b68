/** The same prompt and seed at increasing strengths of one edit. */
import { divergence } from './activity';
import type { App } from './app.svelte';
import { countWords, surprise, wordsOf } from './compare';
import { rounded, type FullEdit } from './edits';
import { encodeToFit } from './fit';
import { Job } from './job.svelte';
import type { Steering } from './steering.svelte';
import { writeTogether } from './together';
import { wordingOf } from './wording';

/** Multiples of the neuron's strength, or of the edit's own value if none is known. */
export const MULTIPLES = [0, 0.5, 1, 1.5, 2, 3, 4, 6] as const;

export interface SweepRow {
  multiple: number;
  edit: FullEdit;
  /** New tokens only. */
  text: string;
  found: number;
  words: number;
  /** Nats per token under the unmodified model. */
  surprise: number | null;
  /** New tokens before the first difference from the base text; `null`: no difference. */
  equal: number | null;
}

export class Sweep {
  readonly #app: App;
  readonly #steering: Steering;
  rows = $state.raw<readonly SweepRow[]>([]);
  /** Tokens written so far, at all strengths. */
  progress = $state.raw({ done: 0, total: 1 });
  /** Which neuron the rows belong to. */
  title = $state('');
  /** What the rows were made from. */
  #made = $state('');
  /** Whether the rows are those of the prompt, the model and the edits on the page. */
  isCurrent = $derived.by(() => this.#made === '' || this.#made === this.#key(this.#steering.chosen));
  readonly #job: Job;

  constructor(app: App, steering: Steering) {
    this.#app = app;
    this.#steering = steering;
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

  /** All that decides the rows: the text's settings, and every edit but for the strength of the one that is swept. */
  #key(editIndex: number): string {
    const { textKey, edits, words } = this.#steering;
    return JSON.stringify([textKey, words, editIndex, edits.map((edit, at) => (at === editIndex ? { ...edit, value: 0 } : edit))]);
  }

  /** @param unit the value of 1 × */
  async run(editIndex: number, unit: number): Promise<void> {
    this.stop();
    const { sampling, prompt } = this.#steering;
    const edits = [...this.#steering.edits];
    const chosen = edits[editIndex];
    if (!chosen) return;
    const words = wordsOf(this.#steering.words);
    this.rows = [];
    this.#made = this.#key(editIndex);
    this.title = `layer ${chosen.layer} ${wordingOf(this.#app.session.kind).one} ${chosen.index}`;
    await this.#job.run(async (model, signal) => {
      const { ids } = await encodeToFit(model, prompt);
      const swept = MULTIPLES.map((multiple) => ({ ...chosen, value: rounded(multiple * unit) }));
      const wanted = [[], ...swept.map((edit) => edits.map((other, at) => (at === editIndex ? edit : other)))].map((all) => ({
        sampling,
        edits: this.#steering.engineEdits(model, ids, all),
      }));
      const [base, ...steeredTexts] = await writeTogether(model, ids, wanted, signal, (progress) => {
        this.progress = progress;
      });
      for (const [number, steered] of steeredTexts.entries()) {
        if (signal.aborted) return;
        const apart = divergence(base!.ids, steered.ids);
        const row: SweepRow = {
          multiple: MULTIPLES[number]!,
          edit: swept[number]!,
          text: steered.text,
          ...countWords(steered.text, words),
          surprise: await surprise(model, steered.ids, ids.length, signal),
          equal: apart === null ? null : apart - ids.length,
        };
        this.rows = [...this.rows, row];
      }
    });
  }
}
