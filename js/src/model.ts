/** The model's public API. */
import {
  batchOf,
  editsOf,
  flag,
  functionOf,
  generateOptions,
  idsOf,
  layersOf,
  effectsOf,
  neuronsOf,
  loadOptions,
  optionsOf,
  promptOf,
  runOptions,
  saeOptions,
  signalOf,
  sourceOf,
  wholeNumber,
} from './arguments.js';
import { generateBatch } from './batch.js';
import { ownWasm } from './beside.js';
import { connect } from './connection.js';
import { createError, named, throwIfAborted, TopKDisposedError, typedCalls, until } from './errors.js';
import { Features, type NeuronRecord } from './features.js';
import { StepStream, type Generation } from './generation.js';
import type { Connection, ModelDescription } from './protocol.js';
import type {
  AblationResult,
  BackendInfo,
  BatchOptions,
  BatchRequest,
  BatchResults,
  CacheInfo,
  EachSetResult,
  Edit,
  EffectOptions,
  GenerateOptions,
  LoadOptions,
  LoadProgress,
  MemoryInfo,
  ModelConfig,
  ModelSource,
  NeuronValues,
  NoOthers,
  Prompt,
  RunOptions,
  RunResult,
  SaeInfo,
  SaeOptions,
  SaeQuality,
  Tensor,
} from './types.js';
import { eitherOf } from './remote.js';
import { readGiven } from './sources/bytes.js';
import { ofName } from './sources/hub.js';
import { saeFiles } from './sources/sae.js';

/** How long an engine that computes may take to free everything (ms), before its worker is ended anyway. */
const DISPOSE_TIMEOUT = 5000;

/** What `texts.map(encode)` hands on after a text, its place, is no options. */
const unlessPlace = <T>(options: T): T | undefined => (typeof options === 'number' ? undefined : options);

/** The model's tokenizer. It runs where the engine does, hence the promises. */
export interface Tokenizer {
  /**
   * Ids of a text, with the special tokens that the post-processor of `tokenizer.json` adds. One that is written out in the text counts as that token;
   * with `splitSpecialTokens` (default false) it is text like any other, as texts from strangers should be (Unigram models may have it as a piece all the same).
   */
  encode(text: string, options?: { splitSpecialTokens?: boolean | undefined }): Promise<Uint32Array>;
  /** Text of ids. `skipSpecial` (default true) leaves special tokens out. */
  decode(ids: readonly number[] | Uint32Array, options?: { skipSpecial?: boolean | undefined }): Promise<string>;
  /** Each id alone as text; U+FFFD where a token is a part of a character. */
  tokens(ids: readonly number[] | Uint32Array): Promise<string[]>;
}

/**
 * A loaded language model. Calls may overlap: every `generate` has its own KV cache, and the work is interleaved.
 *
 * All methods reject with subclasses of {@link TopKError}; an aborted call rejects with `name: 'AbortError'` and leaves the model usable.
 */
export class TopKLM {
  readonly #connection: Connection;
  readonly #description: ModelDescription;
  /** The neuron statistics of the model folder, which can be read after {@link TopKLM.dispose}, too. */
  readonly features: Features;
  #disposing: Promise<void> | undefined;
  /** Each ends the download of an autoencoder. */
  readonly #fetching = new Set<AbortController>();

  /** Use {@link TopKLM.load}. */
  private constructor(connection: Connection, description: ModelDescription, features: Features) {
    if (!description) throw createError('argument', 'TopKLM.load makes a model, not new TopKLM.');
    this.#connection = connection;
    this.#description = description;
    for (const part of [description.config, description.checkpoints]) Object.freeze(part);
    this.features = features;
  }

  /**
   * Loads a model folder (Hugging Face layout: `config.json`, `model.safetensors` or shards, `tokenizer.json`).
   *
   * @param source - URL of the folder, `owner/name` on a hub, files of a picked folder, or files by path
   * @example
   * const model = await TopKLM.load('/models/topk/', { onProgress: ({ phase, loadedBytes }) => console.log(phase, loadedBytes) });
   */
  static async load(source: ModelSource, options?: LoadOptions): Promise<TopKLM> {
    const {
      worker,
      workerUrl,
      wasm = ownWasm(),
      backend,
      maxContext,
      dtype,
      kvCache,
      threads,
      cache,
      hub,
      onProgress,
      signal,
    } = loadOptions(optionsOf('load', options));
    const given = sourceOf(source, hub);
    throwIfAborted(signal);
    const data = await until(readGiven(given, signal), signal);
    const connecting = connect({ worker, workerUrl, threads });
    const { connection, team } = await until(connecting, signal).catch((error: Error) => {
      // A worker that starts after an abort has nobody left who would end it.
      connecting.then((late) => late.connection.close(error)).catch(() => {});
      throw error;
    });
    try {
      const request = {
        source: data,
        backend,
        maxContext,
        dtype,
        kvCache,
        cache,
        ...(wasm === undefined ? {} : { wasm }),
        ...(team === undefined ? {} : { team }),
      };
      const description = await connection.call('load', request, { signal, onEvent: onProgress, transfer: team ? [team.port] : [] });
      return new TopKLM(connection, description, new Features(data, cache, description.config));
    } catch (error) {
      connection.close(error as Error);
      throw ofName(error, data.kind === 'url' ? data.named : undefined);
    }
  }

  /** What `config.json` says, with defaults filled in. */
  get config(): ModelConfig {
    return this.#description.config;
  }

  /** The device in use, and why. */
  get backend(): BackendInfo {
    return this.#description.backend;
  }

  /** Where the files came from and whether they were verified. */
  get cache(): CacheInfo {
    return this.#description.cache;
  }

  /** Training steps for {@link TopKLM.loadCheckpoint}, ascending, as named by `manifest.json` or the given files. */
  get checkpoints(): readonly number[] {
    return this.#description.checkpoints;
  }

  readonly tokenizer: Tokenizer = typedCalls({
    encode: async (text, options) => {
      if (typeof text !== 'string') throw createError('argument', 'text must be a string.');
      const { splitSpecialTokens } = optionsOf('encode', unlessPlace(options));
      return this.#connection.call('encode', { text, splitSpecialTokens: flag('splitSpecialTokens', splitSpecialTokens) ?? false });
    },
    decode: async (ids, options) =>
      this.#connection.call('decode', {
        ids: idsOf('ids', ids),
        skipSpecial: flag('skipSpecial', optionsOf('decode', unlessPlace(options)).skipSpecial) ?? true,
      }),
    tokens: async (ids) => this.#connection.call('tokens', { ids: idsOf('ids', ids) }),
  });

  /**
   * One forward pass over a text or ids, with hooks and edits.
   *
   * @example
   * const { hooks } = await model.run('Once upon a time', { hooks: ['blocks.0.hook_topk_out'], logits: 'none' });
   * const { rowStart, indices, values } = hooks['blocks.0.hook_topk_out'];
   */
  async run<const N extends string = never>(prompt: Prompt, options?: RunOptions<N>): Promise<RunResult<N>> {
    const given = optionsOf('run', options);
    const args = { prompt: promptOf(prompt), options: runOptions(given) };
    const result = await this.#connection.call('run', args, { signal: signalOf(given.signal) });
    return result as RunResult<N>;
  }

  /**
   * New tokens after a prompt, as they are made.
   *
   * @example
   * for await (const { text } of model.generate('Once upon a time', { maxTokens: 100, temperature: 0 })) output.append(text);
   */
  generate<const N extends string = never>(prompt: Prompt, options?: GenerateOptions<N>): Generation<N> {
    const given = optionsOf('generate', options);
    return new StepStream<N>(this.#connection, promptOf(prompt), generateOptions(given), signalOf(given.signal));
  }

  /**
   * Several generations side by side, each with its own prompt, seed, edits and end: ten seeds of one prompt, or one seed at nine strengths of an
   * edit. Each step does all of them at once (on WebGPU sixteen), and each gives what {@link TopKLM.generate} gives, bit for bit. Prompts that
   * begin alike are computed once up to where they, or their edits, differ. An abort or an error ends all.
   *
   * @param generations - the prompt and the options of {@link TopKLM.generate} for each
   * @param options - `onStep`: hears each token as it is made, with the number of its generation
   * @example
   * const seeds = [1, 2, 3, 4, 5].map((seed) => ({ prompt: 'Once upon a time', seed, maxTokens: 40 }));
   * for (const { text } of await model.generateBatch(seeds)) console.log(text);
   */
  async generateBatch<const B extends readonly BatchRequest[]>(
    generations: B & NoOthers<B>,
    options?: BatchOptions<B[number]>,
  ): Promise<BatchResults<B>> {
    const { onStep, signal } = optionsOf('generateBatch', options as BatchOptions | undefined);
    const given = { onStep: functionOf('onStep', onStep), signal: signalOf(signal) };
    return (await generateBatch(this.#connection, batchOf(generations), given)) as BatchResults<B>;
  }

  /**
   * Logits as if the residual stream after a layer were the last one.
   *
   * @param options - `layers`: which; default all · `edits`: in effect at all of them
   * @returns [layers, T, d_vocab]
   */
  async logitLens(
    prompt: Prompt,
    options?: { layers?: readonly number[] | undefined; edits?: readonly Edit[] | undefined; signal?: AbortSignal | undefined },
  ): Promise<Tensor> {
    const { layers, edits, signal } = optionsOf('logitLens', options);
    const args = { prompt: promptOf(prompt), layers: layersOf(layers), edits: editsOf(edits) };
    return this.#connection.call('logitLens', args, { signal: signalOf(signal) });
  }

  /**
   * The exact effect of every neuron that is active at the last position on the logit of `target`: that neuron is ablated
   * (site `topk_out`, last position) and the model run again.
   *
   * @param target - a token id
   * @param options - `edits`: in effect in every run · `onProgress`: runs done, of how many
   */
  async ablate(prompt: Prompt, target: number, options?: EffectOptions): Promise<AblationResult> {
    return this.#connection.call('ablate', ...effectsOf('ablate', prompt, target, options));
  }

  /**
   * Sets each of some neurons alone to its value (site `topk_out`, last position), runs the model again, and gives the effect on the logit of
   * `target`: thousands of neurons in one call, each computed from its own block on. The difference of the effects on two tokens says which
   * neurons turn the one into the other.
   *
   * @param target - a token id
   * @param neurons - `layers`, `indices`, `values`: of any blocks, in any order
   * @param options - as of {@link TopKLM.ablate}
   * @example
   * const neurons = { layers: [1, 1], indices: [296, 12], values: [18, 18] };
   * const { effects } = await model.setEach('The baby was tired, so', she, neurons);
   */
  async setEach(prompt: Prompt, target: number, neurons: NeuronValues, options?: EffectOptions): Promise<EachSetResult> {
    const [args, more] = effectsOf('setEach', prompt, target, options, neuronsOf(neurons));
    const { logit, effects } = await this.#connection.call('ablate', args, more);
    return { logit, effects };
  }

  /**
   * The statistics of a neuron from `features/` of the model folder, fetched when first asked for and kept like the model's files.
   * Rejects with code `no-features` where the folder has none. {@link TopKLM.features} gives the index over all neurons.
   *
   * @example
   * const { label, tokenEntropy, examples } = await model.neuron(2, 406);
   */
  async neuron(layer: number, index: number, options?: { signal?: AbortSignal | undefined }): Promise<NeuronRecord> {
    return this.features.neuron(layer, index, options);
  }

  /**
   * Loads the weights of a training step (files under `step{N}/`, cached likewise) and swaps when they are whole; `final` loads
   * the model's own again. Generations under way end on the weights they began with. If both do not fit, or on any other error, the old ones stay.
   * Calls that overlap are carried out one after the other. An abort rejects if it came before the swap; after it, the call resolves.
   */
  async loadCheckpoint(
    step: number | 'final',
    options?: { onProgress?: ((progress: LoadProgress) => void) | undefined; signal?: AbortSignal | undefined },
  ): Promise<void> {
    const { onProgress, signal } = optionsOf('loadCheckpoint', options);
    if (step === undefined) throw createError('argument', "step is missing; pass a training step or 'final'.");
    const args = { step: step === 'final' ? step : (wholeNumber('step', step, 0, Number.MAX_SAFE_INTEGER) as number) };
    const onEvent = functionOf('onProgress', onProgress);
    Object.assign(this.#description, await this.#connection.call('loadCheckpoint', args, { signal: signalOf(signal), onEvent }));
  }

  /**
   * Attaches a sparse autoencoder in SAELens' layout (`cfg.json`, `sae_weights.safetensors`) at a hook. Calls from now on run through it: its
   * hooks are `{hook}.hook_sae_input`, `.hook_sae_acts_post`, `.hook_sae_recons` and `.hook_sae_error`, and edits `{ sae: hook, index, … }` set its
   * features. One per hook; {@link TopKLM.loadCheckpoint} detaches all.
   *
   * @param source - URL of the folder, `owner/name` on a hub, files of a picked folder, or files by path
   * @example
   * const { hook } = await model.attachSae('./sae/', { errorTerm: true });
   * const { hooks } = await model.run('The dog ran', { hooks: [`${hook}.hook_sae_acts_post`] });
   */
  async attachSae(source: ModelSource, options?: SaeOptions): Promise<SaeInfo> {
    const { hook, errorTerm, hub, signal } = saeOptions(optionsOf('attachSae', options));
    if (this.#disposing) throw new TopKDisposedError(); // before anything is fetched
    const over = new AbortController();
    this.#fetching.add(over);
    try {
      const within = eitherOf(signal ?? over.signal, over);
      const files = await until(saeFiles(sourceOf(source, hub, 'autoencoder'), within), within);
      return await this.#connection.call('attachSae', { files, hook, errorTerm }, { signal });
    } catch (error) {
      throw this.#disposing ? new TopKDisposedError() : error;
    } finally {
      over.abort();
      this.#fetching.delete(over);
    }
  }

  /** Detaches all autoencoders. */
  async detachSaes(): Promise<void> {
    await this.#connection.call('detachSaes', undefined);
  }

  /** Reconstruction errors over a text, and the loss with the attached autoencoders spliced in next to the loss without them. */
  async saeQuality(prompt: Prompt, options?: { signal?: AbortSignal | undefined }): Promise<SaeQuality> {
    const { signal } = optionsOf('saeQuality', options);
    return this.#connection.call('saeQuality', { prompt: promptOf(prompt) }, { signal: signalOf(signal) });
  }

  /** The memory that the model uses on the device. */
  async memory(): Promise<MemoryInfo> {
    return this.#connection.call('memory', undefined);
  }

  /** Frees everything, including GPU memory, and ends the worker. Calls that have not ended by then, and later ones, reject with code `disposed`. */
  async dispose(): Promise<void> {
    this.#disposing ??= this.#dispose();
    return this.#disposing;
  }

  /** For `await using`. An engine that has no such symbol has this under a name that nobody calls. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #dispose(): Promise<void> {
    for (const over of this.#fetching) over.abort();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, DISPOSE_TIMEOUT);
    });
    // A worker that crashed has nothing left to free.
    await Promise.race([this.#connection.call('dispose', undefined).catch(() => {}), late]);
    clearTimeout(timer);
    this.#connection.close(new TopKDisposedError());
  }
}

named({ TopKLM });
typedCalls(TopKLM);
typedCalls(TopKLM.prototype);
