/** The Steer page: one prompt and one seed, generated without and with edits; and the reproduction of a shared text. */
import { untrack } from 'svelte';
import type { Edit, TopKLM } from 'topk-lm';
import { readActivations } from './activations';
import { divergence, valuesOf } from './activity';
import type { App } from './app.svelte';
import { surprise } from './compare';
import { engineEdit, formatEdits, goesOn, letGo, letGoOf, newEdit, parseEdits, type FullEdit, type Prompted } from './edits';
import { beginning, encodeToFit, fitIds } from './fit';
import { whyNoNeuron } from './model-kind';
import { isAbort, problemOf } from './problem';
import { decodeIds, encodeIds, type NeuronId, parseNeuron } from './route';
import { DEFAULTS, type StoredSteering } from './stored-steering';
import { positionsFor, type Strength } from './strength';
import { Writing } from './writing.svelte';

export const LIMITS = {
  seed: { min: 0, max: Number.MAX_SAFE_INTEGER },
  temperature: { min: 0, max: 2 },
  maxTokens: { min: 1, max: 4096 },
} as const;

export type Doing = 'nothing' | 'waiting' | 'writing' | 'comparing' | 'checking';

/** A shared text reproduced on this device: the first position that differs, and both tokens there. */
export interface Departure {
  position: number;
  shared: number | undefined;
  here: number | undefined;
}
export interface Check {
  base: Departure | null;
  steered: Departure | null;
  /** Texts of this device. */
  here: { base: Writing; steered: Writing };
}

type Params = Record<string, string | null>;

function within(text: string | undefined, { min, max }: { min: number; max: number }, fallback: number): number {
  const number = text === undefined || text === '' ? Number.NaN : Number(text);
  return Number.isFinite(number) ? Math.min(max, Math.max(min, number)) : fallback;
}

export class Steering {
  readonly #app: App;
  prompt = $state(DEFAULTS.prompt);
  seed = $state(DEFAULTS.seed);
  temperature = $state(DEFAULTS.temperature);
  maxTokens = $state(DEFAULTS.maxTokens);
  edits = $state.raw<readonly FullEdit[]>([]);
  /** Index of the edit that is open. */
  chosen = $state(0);
  /** What counts as the topic, as typed. */
  words = $state('');

  readonly base = new Writing();
  readonly steered = new Writing();
  doing = $state<Doing>('nothing');
  /** Nats per token under the unmodified model. */
  surprise = $state.raw<{ base: number | null; steered: number | null } | null>(null);
  check = $state.raw<Check | null>(null);
  /** A neuron, and perhaps the ids of a text, that another page sent here: {@link adopt} makes an edit and a prompt of them. */
  sent = $state.raw<{ neuron: NeuronId; ids: readonly number[] | null } | null>(null);
  #written = $state({ base: '', steered: '' });
  /** Whether the last run failed because the model does not take its edits. */
  #wasRefused = $state(false);
  /** What was left out of the prompt or of a shared text: a sentence; '' for nothing. */
  cut = $state('');
  /** The texts come from a link and have not been reproduced yet. */
  isShared = $state(false);
  /** Texts of the page's first settings that the model comes with. */
  stored = $state.raw<StoredSteering | null>(null);
  /** Which texts on screen are of those: not written on this device. */
  isStored = $state.raw({ base: false, steered: false });
  /** A run is due as soon as the weights of the address are in place. */
  isDue = $state(false);
  /** Training step of the weights that wrote a shared text. */
  #sharedStep: number | null = null;
  /** The step of a shared text whose weights could not be loaded. */
  lacking = $state<number | null>(null);
  #job: AbortController | null = null;

  constructor(app: App) {
    this.#app = app;
  }

  /** What the address asks for; a text is current if it was written from that, by those weights. */
  textKey = $derived.by(() => this.#keyOf(this.#app.router.route.ckpt));
  #editKey = $derived.by(() => this.textKey + formatEdits(this.edits));
  isBaseCurrent = $derived.by(() => this.base.ids.length > 0 && this.#written.base === this.textKey);
  isSteeredCurrent = $derived.by(() => this.steered.ids.length > 0 && this.#written.steered === this.#editKey);
  /** Whether the model does not take the edits on the page: other texts with them would fail too. */
  isRefused = $derived.by(() => this.#wasRefused && this.isSteeredCurrent);

  #keyOf(step: number | null): string {
    const { router, replaced } = this.#app;
    return JSON.stringify([router.route.model, replaced, step, this.prompt, this.seed, this.temperature, this.maxTokens]);
  }

  get isBusy(): boolean {
    return this.doing !== 'nothing';
  }

  /** Whether the texts of the settings on the page, or their surprise, did not come to their end. */
  isCut = $derived.by(() => {
    const { base, steered, edits, isBusy } = this;
    if (isBusy || this.isRefused || !this.isBaseCurrent) return false;
    if (base.finish === 'stopped') return true;
    if (edits.length === 0 || !this.isSteeredCurrent || steered.finish === null) return false;
    return steered.finish === 'stopped' || this.surprise === null;
  });

  divergedAt = $derived.by(() => (this.steered.ids.length > 0 ? divergence(this.base.ids, this.steered.ids) : null));

  /** What the positions of the run on screen depend on; `null`: these settings have not been run here. */
  prompted = $derived.by((): Prompted | null => {
    const { model } = this.#app.session;
    const { base, steered } = this.isStored;
    const isRun = this.isBaseCurrent && !base && !steered && (this.edits.length === 0 || this.isSteeredCurrent);
    return model && isRun ? { promptLength: this.base.promptLength, context: model.config.n_ctx } : null;
  });

  /** What the address keeps. */
  get params(): Params {
    const nothing = { n: null, t: null }; // they became an edit and a prompt
    const { prompt, seed, temperature, maxTokens, edits, words, base, steered } = this;
    const whole = (text: Writing, isCurrent: boolean) =>
      isCurrent && !this.isStored.base && !this.isStored.steered && !text.isWriting && text.finish !== 'stopped'
        ? encodeIds(text.ids)
        : null;
    const b = whole(base, this.isBaseCurrent);
    const s = b === null ? null : whole(steered, this.isSteeredCurrent);
    return {
      ...nothing,
      p: prompt === DEFAULTS.prompt ? null : beginning(prompt),
      seed: seed === DEFAULTS.seed ? null : String(seed),
      temp: temperature === DEFAULTS.temperature ? null : String(temperature),
      len: maxTokens === DEFAULTS.maxTokens ? null : String(maxTokens),
      e: edits.length > 0 ? formatEdits(edits) : null,
      w: words.trim() === '' ? null : beginning(words),
      b,
      s,
      pl: b === null ? null : String(base.promptLength),
    };
  }

  /** The stored texts, if they are of the settings on the page. */
  #fitting = $derived.by((): StoredSteering | null => {
    const { stored, prompt, seed, temperature, maxTokens } = this;
    const isSame =
      stored?.prompt === prompt && stored.seed === seed && stored.temperature === temperature && stored.maxTokens === maxTokens;
    const { router, session } = this.#app;
    // Before the vocabulary is there, a text would be of numbers, and move the page when it comes.
    return isSame && router.route.ckpt === null && !this.isShared && session.vocabulary ? stored : null;
  });

  /** Shows what is stored of these settings where nothing was written yet, and takes away what is of others: call in an effect. */
  showStored(): void {
    const keys = { base: this.textKey, steered: this.#editKey };
    const of = { base: '', steered: this.edits.length > 0 ? formatEdits(this.edits) : null };
    const fitting = this.#fitting;
    untrack(() => {
      for (const side of ['base', 'steered'] as const) {
        const text = this[side];
        if (text.ids.length > 0 && (!this.isStored[side] || this.#written[side] === keys[side])) continue;
        const found = of[side] === null ? undefined : fitting?.texts.get(of[side]);
        if (!found && !this.isStored[side]) continue;
        text.show(found && fitting ? [...fitting.promptIds, ...found] : [], found && fitting ? fitting.promptIds.length : 0);
        this.#written[side] = found ? keys[side] : '';
        this.isStored = { ...this.isStored, [side]: found !== undefined };
      }
    });
  }

  /** Takes over an address; a text in it is shown immediately. */
  restore(params: Readonly<Record<string, string>>): void {
    this.stop();
    this.prompt = params.p ?? DEFAULTS.prompt;
    this.seed = Math.floor(within(params.seed, LIMITS.seed, DEFAULTS.seed));
    this.temperature = within(params.temp, LIMITS.temperature, DEFAULTS.temperature);
    this.maxTokens = Math.floor(within(params.len, LIMITS.maxTokens, DEFAULTS.maxTokens));
    this.edits = parseEdits(params.e);
    this.chosen = 0;
    this.words = params.w ?? '';
    this.cut = '';
    this.check = null;
    this.surprise = null;
    const ids = decodeIds(params.b);
    const length = ids ? within(params.pl, { min: 0, max: ids.length }, 0) : 0;
    this.isShared = length > 0; // else it cannot be told what wrote the text
    this.#sharedStep = this.#app.router.route.ckpt;
    this.lacking = null;
    this.isStored = { base: false, steered: false };
    this.base.show(ids ?? [], length);
    this.steered.show((ids && decodeIds(params.s)) ?? [], length);
    this.#written = { base: ids ? this.textKey : '', steered: this.steered.ids.length > 0 ? this.#editKey : '' };
    this.isDue = this.isShared || (ids === null && this.edits.length > 0);
    const neuron = parseNeuron(params.n);
    this.sent = neuron && { neuron, ids: decodeIds(params.t) };
  }

  /** Takes what another page sent, beside the edits of the address: the strength of the neuron, if one is known, and the text of the ids. */
  adopt(strength: Strength | null, text: string | null, words: string): void {
    const { sent } = this;
    if (!sent) return;
    this.sent = null;
    const { layer, index } = sent.neuron;
    const at = this.edits.findIndex((edit) => edit.layer === layer && edit.index === index);
    if (at === -1) this.edits = this.withNeuron(sent.neuron, strength);
    this.chosen = at === -1 ? this.edits.length - 1 : at;
    if (text) this.prompt = text;
    if (this.words === '') this.words = words;
    this.isDue = true;
  }

  /** The edits and one of a neuron more, which is let go where they are. */
  withNeuron(neuron: NeuronId, strength: Strength | null): FullEdit[] {
    const tokens = letGoOf(this.edits.filter(goesOn));
    return [...this.edits, letGo(newEdit(neuron, strength?.value ?? null, positionsFor(strength)), tokens)];
  }

  /**
   * The largest value that a neuron has in the prompt and the base text, from which its strength starts where no statistics know its maximum; where
   * it has none, the largest of its layer. `null`: the model could not be asked.
   */
  async valueSeen({ layer, index }: NeuronId): Promise<Strength | null> {
    const { session } = this.#app;
    try {
      const { signal } = new AbortController();
      const model = await session.ready(signal);
      if (whyNoNeuron(model.config, { layer, index })) return null;
      const ids = this.base.ids.length > 1 ? fitIds(this.base.ids, model).ids : (await encodeToFit(model, this.prompt)).ids;
      const rows = (await readActivations(model, ids, signal)).rows.get(layer);
      if (!rows) return null;
      const most = (values: ArrayLike<number>) =>
        Array.from(values).reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
      const counted = valuesOf(rows, index).subarray(1); // the first position is far above the others
      const value = most(counted) || most(rows.values.subarray(rows.rowStart[1] ?? 0));
      return value ? { value, from: 'max' } : null;
    } catch (error) {
      session.report(error);
      return null;
    }
  }

  /** Drops the texts and edits of another model: a neuron's number means something else in this one. */
  forget(): void {
    this.stop();
    for (const text of [this.base, this.steered]) text.clear();
    this.isStored = { base: false, steered: false };
    Object.assign(this, { edits: [], chosen: 0, check: null, surprise: null, isShared: false, sent: null, cut: '' });
    this.#written = { base: '', steered: '' };
  }

  stop(): void {
    this.isDue = false;
    this.#wasRefused = false;
    this.#job?.abort();
    this.#job = null;
  }

  /** Runs what is due, once the model and the weights of the address are in place: the model of the last address still is for a moment. */
  begin(): void {
    const { entry, session, router } = this.#app;
    const { model, step } = session;
    if (!this.isDue || !model || session.entry?.name !== entry?.name || step !== router.route.ckpt) return;
    this.isDue = false;
    if (!this.isShared) void this.run();
    else if (step === this.#sharedStep) void this.rerun();
    else this.lacking = this.#sharedStep;
  }

  /** Generates both texts; a base text that fits the form is kept. */
  run(): Promise<void> {
    return this.#work(async (model, signal) => {
      this.isShared = false;
      this.check = null;
      this.surprise = null;
      this.doing = 'writing';
      const { ids: prompt, cut } = await encodeToFit(model, this.prompt);
      signal.throwIfAborted();
      this.cut = cut;
      if (cut && !model.config.has_tokenizer) this.prompt = prompt.join(' ');
      const { sampling } = this;
      // The current weights; others may be loading, and the address may already name those.
      const key = this.#keyOf(this.#app.session.step);
      const jobs: Promise<void>[] = [];
      if (this.#written.base !== key || this.base.ids.length === 0 || this.base.finish === null || this.base.finish === 'stopped') {
        this.#written.base = key;
        this.isStored = { ...this.isStored, base: false };
        jobs.push(this.base.write(model, prompt, sampling, [], signal));
      }
      this.#written.steered = key + formatEdits(this.edits);
      this.isStored = { ...this.isStored, steered: false };
      if (this.edits.length === 0) this.steered.clear();
      else jobs.push(this.steered.write(model, prompt, sampling, this.engineEdits(model, prompt), signal));
      await settled(jobs);
      await this.#compare(model, signal);
    });
  }

  /** Reproduces a shared text from its seed, next to what is shown. */
  rerun(): Promise<void> {
    return this.#work(async (model, signal) => {
      this.doing = 'checking';
      this.check = null;
      for (const text of [this.base, this.steered]) {
        // The last token of a text was written, and needs no place in the context.
        const { n_ctx } = model.config;
        if (text.ids.length <= n_ctx + 1 && text.promptLength <= n_ctx) continue;
        this.cut = fitIds(text.ids, model).cut;
        text.show(text.ids.slice(0, n_ctx + 1), Math.min(text.promptLength, n_ctx));
      }
      const prompt = this.base.ids.slice(0, this.base.promptLength);
      const here = { base: new Writing(), steered: new Writing() };
      const jobs = [here.base.write(model, prompt, this.sampling, [], signal)];
      const steers = this.edits.length > 0 && this.steered.ids.length > 0;
      if (steers) jobs.push(here.steered.write(model, prompt, this.sampling, this.engineEdits(model, prompt), signal));
      await settled(jobs);
      if (signal.aborted) return;
      this.check = {
        base: departure(this.base.ids, here.base.ids),
        steered: steers ? departure(this.steered.ids, here.steered.ids) : null,
        here,
      };
      if (!this.check.base && !this.check.steered) this.#adopt(here);
      await this.#compare(model, signal);
    });
  }

  /** Shows the texts that this device wrote instead of the shared ones. */
  showHere(): Promise<void> {
    if (this.check) this.#adopt(this.check.here);
    this.check = null;
    this.isShared = false;
    this.surprise = null; // that of the shared ones
    return this.#work((model, signal) => this.#compare(model, signal));
  }

  #adopt(here: Check['here']): void {
    for (const side of ['base', 'steered'] as const) {
      const { ids, promptLength, logprobs, evicted, admitted, finish, seconds } = here[side];
      if (ids.length > 0) Object.assign(this[side], { ids, promptLength, logprobs, evicted, admitted, finish, seconds });
    }
  }

  /** The edits as the engine takes them with a prompt. */
  engineEdits(model: TopKLM, { length: promptLength }: readonly number[], edits = this.edits): Edit[] {
    return edits.map((edit) => engineEdit(edit, { promptLength, context: model.config.n_ctx }));
  }

  get sampling() {
    const { seed, temperature, maxTokens } = this;
    return { seed, temperature, maxTokens };
  }

  async #compare(model: TopKLM, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.steered.ids.length === 0) return;
    this.doing = 'comparing';
    const base = await surprise(model, this.base.ids, this.base.promptLength, signal);
    const steered = await surprise(model, this.steered.ids, this.steered.promptLength, signal);
    this.surprise = { base, steered };
  }

  async #work(job: (model: TopKLM, signal: AbortSignal) => Promise<void>): Promise<void> {
    this.stop();
    const controller = new AbortController();
    this.#job = controller;
    this.doing = 'waiting';
    const { session } = this.#app;
    try {
      await job(await session.ready(controller.signal), controller.signal);
      if (!controller.signal.aborted) session.succeeded();
    } catch (error) {
      if (!isAbort(error)) {
        if (this.#job === controller) this.#wasRefused = problemOf(error).code === 'edit';
        session.report(error);
      }
    } finally {
      if (this.#job === controller || this.#job === null) this.doing = 'nothing';
      if (this.#job === controller) this.#job = null;
    }
  }
}

/** Waits for all, so that none goes on after the error of another is shown. */
async function settled(jobs: Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(jobs)) if (result.status === 'rejected') throw result.reason;
}

function departure(shared: readonly number[], here: readonly number[]): Departure | null {
  const at = divergence(shared, here) ?? (shared.length === here.length ? null : Math.min(shared.length, here.length));
  return at === null ? null : { position: at, shared: shared[at], here: here[at] };
}
