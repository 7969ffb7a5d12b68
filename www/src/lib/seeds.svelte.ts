/** The same prompt with ten seeds, without and with the edits: how often the effect shows, and what it costs. */
import type { TopKLM } from 'topk-lm';
import type { App } from './app.svelte';
import { surprise, wordsOf } from './compare';
import { formatEdits } from './edits';
import { encodeToFit, textOf } from './fit';
import { Job } from './job.svelte';
import { summaryOf, type SeedText } from './seed-summary';
import type { Steering } from './steering.svelte';
import { Writing } from './writing.svelte';

export const SEEDS = 10;

export class Seeds {
  readonly #steering: Steering;
  /** In the order of the seeds; a steered text follows its base text. */
  texts = $state.raw<readonly SeedText[]>([]);
  /** What the texts were made from. */
  #made = $state({ base: '', steered: '' });
  #baseKey = $derived.by(() => JSON.stringify([this.#steering.textKey, SEEDS]));
  #steeredKey = $derived.by(() => this.#baseKey + formatEdits(this.#steering.edits));
  /** Whether the texts are those of the prompt, the model and the edits on the page. */
  isCurrent = $derived.by(() => this.#made.steered === '' || this.#made.steered === this.#steeredKey);
  /** Words of the concept are counted anew when others are typed. */
  summary = $derived.by(() => summaryOf(this.texts, wordsOf(this.#steering.words)));
  readonly #job: Job;

  constructor(app: App, steering: Steering) {
    this.#steering = steering;
    this.#job = new Job(() => app.session);
  }

  get isRunning(): boolean {
    return this.#job.isRunning;
  }

  stop(): void {
    this.#job.stop();
  }

  /** Drops the texts, which belong to another model. */
  forget(): void {
    this.stop();
    this.texts = [];
    this.#made = { base: '', steered: '' };
  }

  /** Writes the texts; base texts of the same settings are kept. */
  run(): Promise<void> {
    const { sampling, prompt, edits } = this.#steering;
    const known = this.#made.base === this.#baseKey ? new Map(this.texts.map(({ seed, base }) => [seed, base])) : new Map<number, never>();
    this.texts = [];
    this.#made = { base: this.#baseKey, steered: this.#steeredKey };
    return this.#job.run(async (model, signal) => {
      const { ids } = await encodeToFit(model, prompt);
      for (let seed = sampling.seed; seed < sampling.seed + SEEDS; seed++) {
        const write = async (using: typeof edits) => {
          const writing = new Writing();
          await writing.write(model, ids, { ...sampling, seed }, this.#steering.engineEdits(model, ids, using), signal);
          signal.throwIfAborted();
          return this.#read(model, writing, signal);
        };
        const base = known.get(seed) ?? (await write([]));
        const steered = edits.length > 0 ? await write(edits) : base;
        signal.throwIfAborted();
        this.texts = [...this.texts, { seed, base, steered }];
      }
    });
  }

  async #read(model: TopKLM, { ids, promptLength }: Writing, signal: AbortSignal) {
    return {
      text: await textOf(model, ids.slice(promptLength)),
      surprise: await surprise(model, ids, promptLength, signal),
    };
  }
}
