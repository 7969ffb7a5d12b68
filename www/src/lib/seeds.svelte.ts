/** The same prompt with ten seeds, without and with the edits: how often the effect shows, and what it costs. */
import type { App } from './app.svelte';
import { surprise, wordsOf } from './compare';
import { formatEdits } from './edits';
import { encodeToFit } from './fit';
import { Job } from './job.svelte';
import { say } from './say.svelte';
import { summaryOf, type SeedText } from './seed-summary';
import type { Steering } from './steering.svelte';
import { writeTogether } from './together';

export const SEEDS = 10;

export class Seeds {
  readonly #steering: Steering;
  /** In the order of the seeds; a steered text follows its base text. */
  texts = $state.raw<readonly SeedText[]>([]);
  /** Tokens written so far, of all texts; of 0 as long as nothing is known. */
  progress = $state.raw({ done: 0, total: 0 });
  /** What the texts were made from. */
  #made = $state({ base: '', steered: '' });
  #baseKey = $derived.by(() => JSON.stringify([this.#steering.textKey, SEEDS]));
  #steeredKey = $derived.by(() => this.#baseKey + formatEdits(this.#steering.edits));
  /** Whether the texts are those of the prompt, the model and the edits on the page. */
  isCurrent = $derived.by(() => this.#made.steered === '' || this.#made.steered === this.#steeredKey);
  /** Words of the topic are counted anew when others are typed. */
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
    this.progress = { done: 0, total: 0 };
    this.#made = { base: this.#baseKey, steered: this.#steeredKey };
    return this.#job.run(async (model, signal) => {
      const { ids } = await encodeToFit(model, prompt);
      const first = Math.min(sampling.seed, Number.MAX_SAFE_INTEGER - SEEDS + 1);
      const seeds = Array.from({ length: SEEDS }, (_, number) => first + number);
      const missing = seeds.filter((seed) => !known.has(seed));
      const textsOf = (some: readonly number[], using: typeof edits) =>
        some.map((seed) => ({ sampling: { ...sampling, seed }, edits: this.#steering.engineEdits(model, ids, using) }));
      const wanted = [...textsOf(missing, []), ...(edits.length > 0 ? textsOf(seeds, edits) : [])];
      const written = await writeTogether(model, ids, wanted, signal, (progress) => {
        if (!signal.aborted) this.progress = progress;
      });
      const base = new Map([...known, ...missing.map((seed, number) => [seed, written[number]!] as const)]);
      for (const [number, seed] of seeds.entries()) {
        const plain = base.get(seed)!;
        const steered = edits.length > 0 ? written[missing.length + number]! : null;
        const price = steered && (await surprise(model, steered.ids, ids.length, signal));
        signal.throwIfAborted();
        this.texts = [...this.texts, { seed, base: plain, steered: steered ? { text: steered.text, surprise: price } : plain }];
      }
      void say(`The texts of ${SEEDS} seeds are written.`);
    });
  }
}
