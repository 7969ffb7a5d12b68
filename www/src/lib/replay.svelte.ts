/** One prompt, continued by the weights of each training step. */
import type { App } from './app.svelte';
import { DEFAULT_PROMPT, LENGTH } from './continuations';
import { encodeToFit, textOf } from './fit';
import { isAbort } from './problem';
import { say } from './say.svelte';

export class Replay {
  readonly #app: App;
  prompt = $state(DEFAULT_PROMPT);
  /** What was left out of the prompt: a sentence; '' for nothing. */
  cut = $state('');
  /** By training step; `null`: the final weights. */
  texts = $state.raw<ReadonlyMap<number | null, string>>(new Map());
  /** The step whose text is being generated. */
  writing = $state.raw<{ step: number | null } | null>(null);
  /** Progress through all checkpoints. */
  round = $state.raw<{ done: number; total: number } | null>(null);
  #job: AbortController | null = null;
  #round: AbortController | null = null;

  constructor(app: App) {
    this.#app = app;
    this.prompt = app.router.route.params.p ?? DEFAULT_PROMPT;
    app.holds(() => this.round !== null || this.texts.size > 1); // one of them comes by itself
  }

  /** Clears the texts, which belong to the old prompt. */
  forget(): void {
    this.stop();
    this.texts = new Map();
  }

  stop(): void {
    if (this.round) this.#app.session.cancelCheckpoint();
    this.#round?.abort();
    this.#job?.abort();
  }

  /** Generates greedily with the current weights. @returns whether the text was written to its end */
  async write(): Promise<boolean> {
    const { session } = this.#app;
    const { model, step } = session;
    if (!model) return false;
    this.#job?.abort();
    const controller = new AbortController();
    this.#job = controller;
    this.writing = { step };
    let text: string | undefined;
    try {
      const { ids, cut } = await encodeToFit(model, this.prompt);
      controller.signal.throwIfAborted();
      this.cut = cut;
      const generation = model.generate(ids, { maxTokens: LENGTH, temperature: 0, ignoreEos: true, signal: controller.signal });
      // Decoded with the prompt: by themselves the new tokens of some tokenizers begin without their space.
      const all = [...ids];
      const before = (await textOf(model, all)).length;
      for await (const { id } of generation) {
        all.push(id);
        const longer = (await textOf(model, all)).slice(before);
        controller.signal.throwIfAborted();
        text = longer;
        this.texts = new Map(this.texts).set(step, text);
      }
      return true;
    } catch (error) {
      // A row that was cut off would pass for a whole one.
      if (this.texts.get(step) === text) this.texts = new Map([...this.texts].filter(([at]) => at !== step));
      if (!isAbort(error)) session.report(error);
      return false;
    } finally {
      if (this.#job === controller) this.writing = null;
    }
  }

  /** Runs every checkpoint, the final weights last; the address keeps its step, whose weights come back at the end. */
  async all(): Promise<void> {
    const { session } = this.#app;
    this.#round?.abort();
    const controller = new AbortController();
    this.#round = controller;
    const { signal } = controller;
    const stops = [...session.steps.map(({ step }) => step), null];
    this.round = { done: 0, total: stops.length };
    this.#app.isLent = true;
    try {
      await session.ready(signal);
      for (const [done, step] of stops.entries()) {
        this.round = { done, total: stops.length };
        if (this.texts.has(step) && session.step !== step) continue;
        if (!(await session.loadCheckpoint(step)) || signal.aborted) return;
        if (!(await this.write()) || signal.aborted) return;
      }
      void say('Every checkpoint has written its text.');
    } catch (error) {
      if (!isAbort(error)) session.report(error);
    } finally {
      if (this.#round === controller) {
        this.round = null;
        this.#app.isLent = false;
      }
    }
  }
}
