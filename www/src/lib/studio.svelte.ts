/** What a person does on the page: writes a story, looks at a token, sets a neuron, compares. */
import type { ActiveRows, Edit, TopKLM } from 'topk-lm';
import { divergence, largest, topkLayers } from './activity';
import { type Steer, type Typed, readHash } from './address';
import { type Example, REFERENCE_TEXT } from './examples';
import type { Session } from './session.svelte';
import { readRows, Story } from './story.svelte';

export type Side = 'base' | 'steered';

/** What 1 × means for a neuron. */
export interface PresentMaximum {
  value: number;
  /**
   * Where it is: in the base text, in the reference sentences, or (`layer`: silent in both) the largest value of any neuron of
   * that layer in the base text instead.
   */
  source: 'text' | 'reference' | 'layer';
  /** Position there. */
  at: number;
}

export type Doing = 'nothing' | 'waiting' | 'writing' | 'reading' | 'steering';

export class Studio {
  readonly session: Session;
  prompt = $state('');
  seed = $state(0);
  temperature = $state(0);
  maxTokens = $state(0);
  steer = $state.raw<Steer | null>(null);

  doing = $state<Doing>('nothing');
  readonly base = new Story();
  readonly steered = new Story();
  /** The chosen token. */
  side = $state<Side>('base');
  position = $state<number | null>(null);
  /** Rows of the reference sentences, read when first needed; they belong to one load of one model. */
  #reference = $state.raw<{ model: TopKLM; tokens: string[]; rows: ReadonlyMap<number, ActiveRows> } | null>(null);
  /** What the base text was written from; another of these makes it stale. */
  #writtenFrom = $state('');
  #job: AbortController | null = null;
  #stop: AbortController | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(session: Session, typed: Typed) {
    this.session = session;
    this.restore(typed);
  }

  get typed(): Typed {
    const { prompt, seed, temperature, maxTokens, steer } = this;
    return { prompt, seed, temperature, maxTokens, steer };
  }

  restore(typed: Typed): void {
    Object.assign(this, typed);
  }

  get busy(): boolean {
    return this.doing !== 'nothing';
  }

  #textKey = $derived.by(() => JSON.stringify([this.prompt, this.seed, this.temperature, this.maxTokens]));

  /** Whether the shown base text is what the form asks for. */
  get isCurrent(): boolean {
    return this.base.rows !== null && this.#writtenFrom === this.#textKey;
  }

  /** The text of the chosen token. */
  chosen = $derived(this.side === 'steered' && this.steered.ids.length > 0 ? this.steered : this.base);

  /** First position at which the steered text differs. */
  divergedAt = $derived(this.steered.ids.length > this.steered.promptLength ? divergence(this.base.ids, this.steered.ids) : null);

  /** Why the steering asked for is none of this model; `null` if it is one, or no model is loaded. */
  steerFault = $derived.by(() => {
    const config = this.session.model?.config;
    if (!config || !this.steer) return null;
    const layers = topkLayers(config);
    if (!layers.includes(this.steer.layer)) return `Layer ${this.steer.layer} has no TopK cut: choose 0 to ${layers.length - 1}.`;
    if (this.steer.index >= config.d_model) return `Neuron ${this.steer.index} does not exist: choose 0 to ${config.d_model - 1}.`;
    return null;
  });

  presentMaximum = $derived.by(() => this.#maximumOf(this.steer));

  /** The value that the neuron is clamped to; `null` while its present maximum is not known. */
  clampTo = $derived(this.steer && this.presentMaximum ? this.steer.multiple * this.presentMaximum.value : null);

  #maximumOf(steer: Steer | null): PresentMaximum | null {
    const select = this.session.model?.config.topk_select ?? 'value';
    const rows = steer && this.base.rows?.get(steer.layer);
    if (!steer || !rows) return null;
    const reference = this.#reference?.model === this.session.model && this.#reference?.rows.get(steer.layer);
    if (!reference) return null;
    const start = this.#firstCounted;
    const inText = largest(rows, steer.index, start, select);
    const inReference = largest(reference, steer.index, start, select);
    if (inText && (!inReference || Math.abs(inText.value) >= Math.abs(inReference.value))) return { ...inText, source: 'text' };
    if (inReference) return { ...inReference, source: 'reference' };
    const ofLayer = largest(rows, null, start, select);
    return ofLayer && { ...ofLayer, source: 'layer' };
  }

  /** The start token stands in front of every text and has values of its own: it does not count. */
  get #firstCounted(): number {
    const bos = this.session.model?.config.bos_token_id;
    return bos !== null && this.base.ids[0] === bos ? 1 : 0;
  }

  /** Writes the base text, and the steered one where a neuron is set. */
  generate(): Promise<void> {
    return this.#start(async (signal) => {
      await this.#writeBase(signal);
      await this.#writeSteered(signal);
    });
  }

  /** Writes the steered text, and before it the base text where there is none for this form. */
  applySteer(): Promise<void> {
    return this.#start(async (signal) => {
      if (!this.isCurrent) await this.#writeBase(signal);
      await this.#writeSteered(signal);
    });
  }

  try({ layer, index, multiple }: Example): Promise<void> {
    this.steer = { layer, index, multiple };
    return this.applySteer();
  }

  clearSteer(): void {
    this.steer = null;
    this.steered.clear();
    this.side = 'base';
  }

  /** Ends the writing; what is there stays and is read. */
  stop(): void {
    this.#stop?.abort();
    if (this.doing === 'waiting') this.#job?.abort();
  }

  choose(side: Side, position: number | null): void {
    this.side = side;
    this.position = position;
  }

  /** One job at a time: a new one ends the one before. */
  async #start(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#job?.abort();
    const job = new AbortController();
    this.#job = job;
    await this.#running;
    if (job.signal.aborted) return;
    this.#running = this.#run(work, job.signal);
    await this.#running;
  }

  async #run(work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    this.#stop = new AbortController();
    if (this.session.phase === 'ready') this.session.problem = null;
    try {
      await work(signal);
    } catch (error) {
      if (!signal.aborted) this.session.report(error);
    } finally {
      this.doing = 'nothing';
    }
  }

  async #writeBase(signal: AbortSignal): Promise<void> {
    this.doing = 'waiting';
    const model = await this.session.ready(signal);
    this.doing = 'writing';
    this.#writtenFrom = this.#textKey;
    this.steered.clear();
    this.base.clear();
    this.choose('base', null);
    await this.base.write(model, await model.tokenizer.encode(this.prompt), this.#sampling, [], this.#writing(signal));
    signal.throwIfAborted();
    this.doing = 'reading';
    await this.base.read(model, signal);
    this.choose('base', this.base.ids.length > 0 ? Math.min(this.base.promptLength, this.base.ids.length) - 1 : null);
  }

  async #writeSteered(signal: AbortSignal): Promise<void> {
    if (!this.steer || this.steerFault || this.#stop?.signal.aborted) return;
    const model = await this.session.ready(signal);
    this.doing = 'steering';
    await this.#readReference(model, signal);
    const { layer, index } = this.steer;
    const prompt = Uint32Array.from(this.base.ids.slice(0, this.base.promptLength));
    if (this.clampTo === null) return;
    const edit: Edit = { layer, index, action: 'clamp', value: this.clampTo };
    await this.steered.write(model, prompt, this.#sampling, [edit], this.#writing(signal));
    signal.throwIfAborted();
    this.doing = 'reading';
    await this.steered.read(model, signal);
  }

  /** Reads the reference sentences, once for each load. */
  async #readReference(model: TopKLM, signal: AbortSignal): Promise<void> {
    if (this.#reference?.model === model) return;
    const ids = (await model.tokenizer.encode(REFERENCE_TEXT)).slice(0, model.config.n_ctx);
    const tokens = await model.tokenizer.tokens(ids);
    this.#reference = { model, tokens, rows: await readRows(model, [...ids], [], ids.length, signal) };
  }

  /** The token at the present maximum. */
  maximumToken = $derived.by(() => {
    const { presentMaximum: maximum } = this;
    if (!maximum) return '';
    return (maximum.source === 'reference' ? this.#reference?.tokens : this.base.tokens)?.[maximum.at] ?? '';
  });

  get referenceLength(): number {
    return this.#reference?.tokens.length ?? 0;
  }

  get #sampling() {
    return { seed: this.seed, temperature: this.temperature, maxTokens: this.maxTokens };
  }

  #writing(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#stop!.signal]);
  }
}

/** State of the page as its address says. */
export const typedInAddress = (): Typed => readHash(location.hash);
