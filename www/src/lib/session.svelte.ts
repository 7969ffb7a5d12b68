/** The chosen model over its life in the page (not loaded, loading, ready, failed), and its training checkpoints. */
import type { FeatureIndex, Features, LoadProgress, ModelSource, TopKLM } from 'topk-lm';
import { EngineCodeError } from './get';
import { kindOf, type ModelKind, topkLayers } from './model-kind';
import type { ModelEntry } from './models';
import type { Engine } from './route';
import { endsModel, fileProblem, isAbort, isDisposed, isFatal, type Problem, problemOf, RELOAD, whyUnread } from './problem';
import { readVocabulary } from './vocabulary';

/** The engine's code, apart from the pages: they are shown first. */
const code = import('topk-lm').catch((cause: unknown) => {
  throw new EngineCodeError('The engine could not be loaded.', { cause });
});
code.catch(() => {}); // said where it is used

/** Largest download that starts without asking. */
const UNASKED_BYTES = 64e6;

/** Whether a download of this size starts without asking; one of unknown size does not, and none where the reader wishes to save data. */
function isModest(bytes: number | null): boolean {
  const { connection } = navigator as { connection?: { saveData?: boolean } };
  return bytes !== null && bytes <= UNASKED_BYTES && !connection?.saveData;
}

/** `asking`: a model on another site, from which the reader has not agreed to download. */
export type Phase = 'idle' | 'asking' | 'loading' | 'ready' | 'failed';

export class Session {
  readonly engine: Engine;
  /** Training step that the address names; `null`: the final weights. */
  readonly #wanted: () => number | null;
  /** Counts the calls of {@link choose}: of two that wait for the same, as for the engine's code, the last one holds, also where both chose one model. */
  #choices = 0;
  /** Counts the calls of {@link adopt}: the last one holds, whichever ends last. */
  #adoptions = 0;
  entry = $state.raw<ModelEntry | null>(null);
  phase = $state<Phase>('idle');
  progress = $state.raw<LoadProgress | null>(null);
  problem = $state.raw<Problem | null>(null);
  /** The last problem that is not of the model, but of one call or of a page's file. */
  #passing: { problem: Problem; of: 'call' | 'file' } | null = null;
  model = $state.raw<TopKLM | null>(null);
  /** The files of the chosen model's folder; works before the model is loaded. */
  folder = $state.raw<Features | null>(null);
  /** Statistics of its neurons: those of its folder, or computed in this tab. */
  features = $state.raw<Features | null>(null);
  /** Whether its folder has no statistics. */
  lacksFeatures = $state(false);
  /** Whether {@link features} were computed in this tab. */
  isOwn = $state(false);
  /** All neurons at a glance, as soon as it is read. */
  index = $state.raw<FeatureIndex | null>(null);
  /** Why there is no {@link index}; a sentence. */
  missing = $state<string | null>(null);
  /** Text of each token id, as soon as tokenizer.json is there. */
  vocabulary = $state.raw<readonly string[] | null>(null);
  /** Whether the model's folder has been asked for its {@link vocabulary}. */
  isVocabularyAsked = $state(false);
  /** Training step of the loaded weights; `null`: the final ones. */
  step = $state<number | null>(null);
  /** The checkpoint being loaded; the old weights stay in use until it is complete. */
  switching = $state.raw<{ step: number | null; progress: LoadProgress | null } | null>(null);
  /** Grows whenever other weights are put in place: earlier results belong to the old ones. */
  weights = $state(0);
  /** By the configuration of the model that was loaded last. */
  #loadedKind = $state<ModelKind | null>(null);
  #source: ModelSource | null = null;
  /** Ends when the folder has been asked for its {@link vocabulary}. */
  #reading: Promise<void> = Promise.resolve();
  #loading: AbortController | null = null;
  #switch: AbortController | null = null;
  /** Fetches checkpoints that may be wanted next. */
  #ahead: AbortController | null = null;
  /** Callers of {@link ready}. */
  #waiting: { resolve: (model: TopKLM) => void; reject: (error: unknown) => void }[] = [];

  constructor(engine: Engine, wanted: () => number | null) {
    this.engine = engine;
    this.#wanted = wanted;
  }

  /**
   * Which kind of model is chosen, for everything that the pages say and do: by its own configuration once it has been loaded, before that by its
   * statistics or the list of models; `null`: not known yet.
   */
  get kind(): ModelKind | null {
    return this.#loadedKind ?? this.index?.kind ?? this.entry?.kind ?? null;
  }

  /** Layers with a TopK activation, as far as they are known; none in a dense model. */
  get topkLayers(): readonly number[] {
    if (this.model) return topkLayers(this.model.config);
    return this.kind === 'topk' ? (this.index?.layers ?? []) : [];
  }

  /** A sentence where labels and statistics are of other weights than the ones in use; '' where they fit. */
  get stepNote(): string {
    const { step, index } = this;
    if (step === null || index === null || step === index.step) return '';
    return `Labels and statistics are those of the final weights, not of step ${step.toLocaleString('en')}.`;
  }

  /** The device in use, as a sentence names it. */
  get device(): string {
    const backend = this.model?.backend;
    return backend?.kind === 'webgpu' ? (backend.adapter ?? 'the GPU') : 'the CPU';
  }

  /** Whether the model runs on the GPU, or would, as far as that is known before it is loaded. */
  get #onGpu(): boolean {
    return this.model ? this.model.backend.kind === 'webgpu' : this.engine.backend !== 'cpu' && 'gpu' in navigator;
  }

  /** Whether the {@link vocabulary} is on its way: until then a text is of numbers. */
  get isVocabularyAwaited(): boolean {
    return this.vocabulary === null && !this.isVocabularyAsked && (this.phase === 'idle' || this.phase === 'loading');
  }

  /** Training steps of the chosen model, ascending; those of a model on another site are known once it is loaded. */
  get steps(): { step: number; bytes: number | null }[] {
    if (this.entry && this.entry.steps.length > 0) return this.entry.steps;
    return (this.model?.checkpoints ?? []).map((step) => ({ step, bytes: null }));
  }

  /**
   * Chooses another model. It is loaded right away if it is small, from this site, and the reader has not asked to save data.
   *
   * @param agreed - the reader has agreed to fetch from the entry's host
   */
  async choose(entry: ModelEntry, { agreed = false }: { agreed?: boolean } = {}): Promise<void> {
    const source = entry.files ?? entry.url;
    const choice = ++this.#choices;
    this.cancel();
    this.entry = entry;
    this.problem = null;
    this.progress = null;
    this.vocabulary = null;
    this.isVocabularyAsked = false;
    this.index = null;
    this.missing = null;
    this.lacksFeatures = false;
    this.isOwn = false;
    this.#loadedKind = null;
    this.#source = source;
    await this.#drop();
    const loaded = await code.catch((error) => error as Error);
    if (this.#choices !== choice) return;
    if (loaded instanceof Error) return this.#failed(loaded);
    if (entry.url.origin !== location.origin && source === entry.url && !agreed) {
      this.features = this.folder = null;
      this.phase = 'asking';
      return;
    }
    this.phase = 'idle';
    const features = loaded.Features.open(source);
    this.features = this.folder = features;
    this.#reading = this.#readVocabulary(features);
    if (isModest(entry.bytes) || source !== entry.url || agreed) void this.load();
    await Promise.all([this.#readIndex(features), this.#reading]);
  }

  async #readIndex(features: Features): Promise<void> {
    try {
      const index = await features.index();
      if (this.features !== features) return;
      this.index = index;
      this.missing = null;
    } catch (error) {
      if (this.features !== features) return;
      this.missing = whyUnread(error);
      this.lacksFeatures = problemOf(error).code === 'no-features';
    }
  }

  /** Shows statistics that were computed in this tab, files by path, where the folder has none; `null`: none again. */
  async adopt(files: Readonly<Record<string, Blob>> | null): Promise<void> {
    const { folder } = this;
    if (!folder || !this.lacksFeatures) return;
    const number = ++this.#adoptions;
    if (!files) {
      this.features = folder;
      this.index = null;
      this.isOwn = false;
      return this.#readIndex(folder);
    }
    const [{ Features }, config = new Blob()] = await Promise.all([code, folder.file('config.json')]);
    const features = Features.open({ ...files, 'config.json': config }); // which makes it a model folder
    const index = await features.index();
    if (this.folder !== folder || this.#adoptions !== number) return;
    this.features = features;
    this.index = index;
    this.missing = null;
    this.isOwn = true;
  }

  async #readVocabulary(features: Features): Promise<void> {
    const vocabulary = await readVocabulary(features).catch(() => null); // the loaded model's own follows
    if (this.folder !== features) return;
    this.vocabulary ??= vocabulary;
    this.isVocabularyAsked = true;
  }

  /** Loads the model, also after a failure; stored files are not downloaded again. It is ready only with the weights that the address names. */
  async load(): Promise<void> {
    const { entry } = this;
    if (this.#loading || !entry || !this.#source) return;
    if (this.phase === 'asking') return this.choose(entry, { agreed: true });
    const controller = new AbortController();
    this.#loading = controller;
    this.problem = null;
    this.progress = null;
    this.phase = 'loading';
    if (this.folder && this.missing !== null && !this.lacksFeatures) void this.#readIndex(this.folder);
    try {
      await this.#drop();
      const { signal } = controller;
      const onProgress = (progress: LoadProgress) => {
        this.progress = progress;
      };
      const { TopKLM } = await code;
      const model = await TopKLM.load(this.#source, { ...this.engine, signal, onProgress });
      const step = await this.#firstStep(model, signal, onProgress);
      if (this.entry !== entry) {
        void model.dispose();
        return;
      }
      this.step = step;
      this.weights++;
      this.#loadedKind = kindOf(model.config);
      this.model = model;
      this.phase = 'ready';
      for (const { resolve } of this.#waiting.splice(0)) resolve(model);
      await this.#reading; // that of the folder knows the bytes of each token too
      if (this.entry === entry && !this.vocabulary && model.config.has_tokenizer) {
        this.vocabulary = await model.tokenizer.tokens(Array.from({ length: model.config.d_vocab }, (_, id) => id));
      }
    } catch (error) {
      if (this.entry !== entry || (this.#loading && this.#loading !== controller)) return; // another load has begun
      if (isAbort(error)) this.phase = 'idle';
      else this.#failed(error);
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    } finally {
      if (this.#loading === controller) this.#loading = null;
    }
  }

  /** Puts the weights that the address names into a new model; if they cannot be loaded, the final ones stay. */
  async #firstStep(model: TopKLM, signal: AbortSignal, onProgress: (progress: LoadProgress) => void): Promise<number | null> {
    const step = this.#wanted();
    if (step === null) return null;
    try {
      await model.loadCheckpoint(step, { signal, onProgress });
      signal.throwIfAborted();
      return step;
    } catch (error) {
      if (isAbort(error) || endsModel(error)) {
        void model.dispose();
        throw error;
      }
      return null; // asked for again later, with the final weights in place, and reported then
    }
  }

  cancel(): void {
    this.#loading?.abort();
    this.#loading = null;
    this.#ahead?.abort();
    this.cancelCheckpoint();
  }

  /** Ends the engine and forgets the model: nothing is chosen any more. */
  close(): void {
    this.cancel();
    this.#choices++;
    this.entry = null;
    this.features = this.folder = null;
    this.index = null;
    this.problem = null;
    this.phase = 'idle';
    void this.#drop();
  }

  /** The model as soon as there is one; starts loading where nothing does. */
  ready(signal: AbortSignal): Promise<TopKLM> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.model) return Promise.resolve(this.model);
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      this.#waiting.push({ resolve, reject });
      if (this.phase !== 'asking') void this.load();
    });
  }

  /**
   * Puts the weights of a training step in place; the old ones stay in use until then, and if it fails. `null`: the final weights.
   * @returns whether they are in place, and no others asked for since
   */
  async loadCheckpoint(step: number | null): Promise<boolean> {
    const { model } = this;
    if (!model) return false;
    if (step === this.step && !this.#switch) return true;
    this.#switch?.abort();
    const controller = new AbortController();
    this.#switch = controller;
    this.switching = { step, progress: null };
    try {
      await model.loadCheckpoint(step ?? 'final', {
        signal: controller.signal,
        onProgress: (progress) => {
          if (this.#switch === controller) this.switching = { step, progress };
        },
      });
      if (this.model !== model) return false;
      const isLast = this.#switch === controller;
      if (controller.signal.aborted && isLast) {
        void this.loadCheckpoint(this.step); // the cancel came too late
        return false;
      }
      this.step = step;
      this.weights++;
      if (isLast) this.#prefetch(step);
      return isLast;
    } catch (error) {
      if (this.model === model && endsModel(error)) this.#failed(error);
      else if (this.model === model && !isAbort(error)) {
        const kept = 'The previous weights stay in use.';
        const problem = problemOf(error, { gpu: this.#onGpu });
        const { code } = problem;
        if (code === 'integrity') this.problem = { ...problem, ...RELOAD, advice: `${kept} ${RELOAD.advice}` };
        else {
          const advice = `${kept} Check your connection, or choose another training step.`;
          this.problem = { ...problem, ...(code === 'download' && { advice }), remedy: 'none' };
        }
      }
      return false;
    } finally {
      if (this.#switch === controller) {
        this.#switch = null;
        this.switching = null;
      }
    }
  }

  cancelCheckpoint(): void {
    this.#switch?.abort();
    this.switching = null;
  }

  /** Fetches the checkpoints before and after this one into the browser's storage, where their size is known and no reader would be asked. */
  #prefetch(step: number | null): void {
    this.#ahead?.abort();
    this.#ahead = new AbortController();
    const { signal } = this.#ahead;
    const { steps } = this;
    const at = step === null ? steps.length : steps.findIndex((entry) => entry.step === step);
    for (const near of [steps[at - 1], steps[at + 1]]) {
      if (near && isModest(near.bytes)) this.folder?.file(`step${near.step}/model.safetensors`, { signal }).catch(() => {}); // only a head start
    }
  }

  /** Shows the error of a call, and frees the model if it does not survive that error. */
  report(error: unknown): void {
    // A call that outlived its model, which another has replaced since, is no trouble of that one.
    if (isAbort(error) || isDisposed(error)) return;
    if (isFatal(error)) this.#failed(error);
    else this.#pass(problemOf(error, { gpu: this.#onGpu }), 'call');
  }

  /** Reports that a page could not read one of its own files. The model keeps running, and a download continues. */
  reportFile(error: unknown): void {
    if (!isAbort(error)) this.#pass(fileProblem(error), 'file');
  }

  #pass(problem: Problem, of: 'call' | 'file'): void {
    this.problem = problem;
    this.#passing = problem.remedy === 'none' || of === 'file' ? { problem, of } : null;
  }

  /** A call like the one that failed has succeeded: its problem is over. That of a file is not. */
  succeeded(): void {
    if (this.#passing?.of === 'call') this.forgetPassing();
  }

  /** Another page opens, which has nothing to do with what failed on the one before. */
  forgetPassing(): void {
    if (this.problem !== null && this.problem === this.#passing?.problem) this.problem = null;
    this.#passing = null;
  }

  #failed(error: unknown): void {
    this.problem = problemOf(error, { gpu: this.#onGpu, loading: this.model === null });
    this.phase = 'failed';
    void this.#drop();
  }

  async #drop(): Promise<void> {
    const { model } = this;
    this.model = null;
    this.step = null;
    await model?.dispose();
  }
}
