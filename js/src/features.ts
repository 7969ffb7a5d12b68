/**
 * topk-lm/features: the neuron statistics of a model folder, without loading the model. Files are fetched on demand, stored in the same
 * cache as the model's and verified against the same manifest.
 */
import { cacheOf, flag, optionsOf, signalOf, sourceOf, wholeNumber } from './arguments.js';
import { createError, named, throwIfAborted, typedCalls, until } from './errors.js';
import { marker, markRecord } from './features/beginnings.js';
import {
  type ModelShape,
  objectOf,
  parseClusters,
  parseIndex,
  parseSteps,
  recordOf,
  type ShardLayout,
  trainingOf,
} from './features/check.js';
import type { FeatureIndex, NeuronRecord, StepColumns, TokenClusters } from './features/types.js';
import { isInside } from './manifest.js';
import { type GivenSource, readGiven } from './sources/bytes.js';
import { openSource } from './sources/open.js';
import type { ModelFiles } from './sources/source.js';
import type { ModelSource } from './types.js';

export type * from './features/types.js';
export { TopKError, type ErrorCode } from './errors.js';

const FOLDER = 'features/';

/** How many parsed files of records are kept. */
const RECENT_FILES = 8;

/** How errors call them. */
const CALLS = 'index, neuron, steps and clusters';

/** Option of every call: a signal that ends it. */
export interface FeatureOptions {
  signal?: AbortSignal | undefined;
}

/** Options of {@link Features.file}. */
export interface FileOptions extends FeatureOptions {
  /** Whether the browser has to keep the file: where it does not, the call rejects with code `io` and says why. Files that the page gave are not asked for. */
  keep?: boolean | undefined;
}

/** Neuron statistics of one model. Calls may overlap; each file is read once. */
export class Features {
  readonly #source: GivenSource;
  readonly #cache: string | null;
  /** What the statistics are of, where a loaded model says it. */
  readonly #model: ModelShape | undefined;
  #files: Promise<ModelFiles> | undefined;
  #index: Promise<{ index: FeatureIndex; shards: ShardLayout }> | undefined;
  #steps: Promise<StepColumns | null> | undefined;
  #clusters: Promise<TokenClusters | null> | undefined;
  /** The files of records read last, the newest at the end: neurons are often asked for one after the other. */
  readonly #recent = new Map<string, Record<string, unknown>>();
  /** Those that are being read. */
  readonly #reading = new Map<string, Promise<Record<string, unknown>>>();

  /** Use {@link Features.open}, or `model.features`. */
  constructor(source: GivenSource, cache: string | null, model?: ModelShape) {
    this.#source = source;
    this.#cache = cache;
    this.#model = model;
  }

  /**
   * The statistics of a model folder, given as to `TopKLM.load`. Nothing is fetched yet.
   *
   * @param options - `cache`, `hub`: as for `TopKLM.load`
   * @example
   * const features = Features.open('/models/topk/');
   * const { label, tokenEntropy, examples } = await features.neuron(2, 406);
   */
  static open(source: ModelSource, options?: { cache?: boolean | string | undefined; hub?: string | URL | undefined }): Features {
    const { cache, hub } = optionsOf('Features.open', options);
    return new Features(sourceOf(source, hub), cacheOf(cache));
  }

  /** Columns over all neurons. Rejects with code `no-features` where the model has none. */
  async index(options?: FeatureOptions): Promise<FeatureIndex> {
    return (await this.#opened(options)).index;
  }

  /** Everything known about one neuron. */
  async neuron(layer: number, index: number, options?: FeatureOptions): Promise<NeuronRecord> {
    const signal = signalOf(optionsOf(CALLS, options).signal);
    const wanted = { layer: wholeNumber('layer', layer), index: wholeNumber('index', index) };
    if (wanted.layer === undefined || wanted.index === undefined) throw createError('argument', 'neuron needs a layer and an index.');
    const opened = await this.#opened(options);
    const { layers, dModel, steps, beginnings } = opened.index;
    if (!layers.includes(layer)) throw createError('argument', `layer is ${layer}, but only layers ${layers.join(', ')} were analyzed.`);
    if (index >= dModel) throw createError('argument', `index is ${index}, but must be below ${dModel}.`);
    const path = opened.shards.path.replace('{layer}', String(layer)).replace('{start}', String(index - (index % opened.shards.perFile)));
    const [record, training] = await Promise.all([
      this.#records(path, signal).then((file) => recordOf(file, FOLDER + path, layer, index)),
      steps.length > 0
        ? this.#records(`steps/${path}`, signal).then((file) => trainingOf(file, `${FOLDER}steps/${path}`, layer, index, steps))
        : [],
    ]);
    return { ...markRecord(record, marker(beginnings)), steps: training };
  }

  /** Statistics of all neurons at every analyzed training step; `null` if there are none. */
  async steps(options?: FeatureOptions): Promise<StepColumns | null> {
    const { index } = await this.#opened(options);
    if (index.steps.length === 0) return null;
    this.#steps ??= this.#once(
      this.#read('steps/columns.json').then((text) => parseSteps(text, `${FOLDER}steps/columns.json`, index.dModel * index.layers.length)),
      () => (this.#steps = undefined),
    );
    return until(this.#steps, signalOf(options?.signal));
  }

  /** Which tokens the semantic entropy counts as one; `null` if it was not computed. */
  async clusters(options?: FeatureOptions): Promise<TokenClusters | null> {
    const file = (await this.#opened(options)).index.clusters?.file;
    if (file === undefined) return null;
    this.#clusters ??= this.#once(
      this.#read(file).then((text) => parseClusters(text, FOLDER + file)),
      () => (this.#clusters = undefined),
    );
    return until(this.#clusters, signalOf(options?.signal));
  }

  /**
   * Another file of the model folder, for example `tokenizer.json`, or weights to fetch in advance; `undefined`: there is no such file.
   *
   * @param path - relative to the model folder
   * @param options - `keep`: reject where the browser does not store it
   */
  async file(path: string, options?: FileOptions): Promise<Blob | undefined> {
    if (typeof path !== 'string' || !isInside(path)) throw createError('argument', 'path must be relative to the model folder.');
    const { signal, keep } = optionsOf('file', options);
    return this.#open(path, signalOf(signal), flag('keep', keep));
  }

  #opened(options: FeatureOptions | undefined): Promise<{ index: FeatureIndex; shards: ShardLayout }> {
    const signal = signalOf(optionsOf(CALLS, options).signal);
    this.#index ??= this.#once(
      this.#file('index.json').then(async (blob) => {
        if (!blob) {
          throw createError('no-features', 'The model folder has no features/index.json; make it with topk-lm analyze.');
        }
        return parseIndex(await textOf(blob, `${FOLDER}index.json`), `${FOLDER}index.json`, this.#model);
      }),
      () => (this.#index = undefined),
    );
    return until(this.#index, signal);
  }

  /** A read that failed (offline, say) may be tried again. It follows no signal: several callers may wait for it. */
  #once<T>(reading: Promise<T>, forget: () => void): Promise<T> {
    reading.catch(forget);
    return reading;
  }

  async #records(path: string, signal: AbortSignal | undefined): Promise<Record<string, unknown>> {
    const file = this.#recent.get(path) ?? (await until(this.#readOnce(path), signal));
    this.#keep(path, file);
    return file;
  }

  /** One read for all who ask while it is under way. */
  #readOnce(path: string): Promise<Record<string, unknown>> {
    const read = async () => {
      const file = objectOf(await this.#read(path), FOLDER + path);
      this.#keep(path, file);
      return file;
    };
    const reading = this.#reading.get(path) ?? read().finally(() => this.#reading.delete(path));
    this.#reading.set(path, reading);
    return reading;
  }

  #keep(path: string, file: Record<string, unknown>): void {
    this.#recent.delete(path);
    this.#recent.set(path, file);
    for (const oldest of this.#recent.keys()) if (this.#recent.size > RECENT_FILES) this.#recent.delete(oldest);
  }

  async #read(path: string): Promise<string> {
    const blob = await this.#file(path);
    if (!blob) throw createError('features', `${FOLDER}${path} is missing; make the folder again with topk-lm analyze.`);
    return textOf(blob, FOLDER + path);
  }

  #file(path: string): Promise<Blob | undefined> {
    return this.#open(FOLDER + path);
  }

  async #open(path: string, signal = new AbortController().signal, keep = false): Promise<Blob | undefined> {
    throwIfAborted(signal);
    this.#files ??= this.#once(
      readGiven(this.#source).then((source) => openSource(source, this.#cache)),
      () => (this.#files = undefined),
    );
    return (await until(this.#files, signal)).file(path, signal, keep);
  }
}

const textOf = (blob: Blob, path: string) =>
  blob.text().catch((cause) => {
    throw createError('io', `${path} can no longer be read (${cause}); try again, or choose the folder again.`, { cause });
  });

named({ Features });
typedCalls(Features);
typedCalls(Features.prototype);
