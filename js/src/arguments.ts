/** Checks the arguments of JavaScript callers. Rules about the model (edits, hooks, ids) are checked by the engine. */
import { createError, show, TopKError } from './errors.js';
import { unknownName, type Aliases } from './names.js';
import type { PromptData } from './protocol.js';
import { type GivenSource, mapBytes } from './sources/bytes.js';
import { mapFiles } from './sources/files.js';
import { hubFolder } from './sources/hub.js';
import { isFolder, isNode } from './sources/node.js';
import type { WasmGenerateOptions, WasmRunOptions } from './topk_lm.js';
import type {
  BatchOptions,
  BatchRequest,
  Edit,
  EffectOptions,
  FileContent,
  FeatureEdit,
  GenerateOptions,
  LoadOptions,
  LoadProgress,
  ModelSource,
  NeuronEdit,
  NeuronValues,
  Prompt,
  RunOptions,
  SaeOptions,
} from './types.js';

/** Names that other libraries give to what is here called otherwise. */
const ELSEWHERE: Aliases = {
  maxTokens: ['max_new_tokens', 'max_tokens', 'max_length', 'n_predict'],
  temperature: ['do_sample', 'temp'],
  stop: ['stop_strings', 'stop_sequences', 'stopping_criteria'],
  topLogprobs: ['logprobs', 'output_scores', 'return_logprobs'],
  ignoreEos: ['stop_at_eos'],
  hooks: ['names_filter', 'output_hidden_states', 'hook_names'],
  edits: ['fwd_hooks', 'interventions', 'steer', 'steering'],
  backend: ['device', 'device_type', 'engine'],
  dtype: ['precision', 'quantized', 'torch_dtype'],
  kvCache: ['kv_cache', 'kv_cache_dtype', 'cache_type_k', 'cache_type_v', 'type_k', 'type_v'],
  maxContext: ['n_ctx', 'context_window_size', 'max_position_embeddings'],
  onProgress: ['progress_callback', 'initProgressCallback'],
  onStep: ['onToken', 'on_token', 'callback', 'streamer'],
  cache: ['cache_dir', 'use_browser_cache', 'useCache'],
  signal: ['abortSignal', 'abort_signal', 'controller'],
  positions: ['pos', 'token_positions'],
  index: ['neuron', 'feature', 'idx'],
  layer: ['block'],
  sae: ['hook', 'hook_name', 'hook_point'],
  errorTerm: ['use_error_term'],
  hook: ['hook_name', 'hook_point'],
  skipSpecial: ['skip_special_tokens'],
  splitSpecialTokens: ['encode_special_tokens'],
};

function fail(message: string): never {
  throw createError('argument', message);
}

function number(name: string, value: unknown, rule: string, fits: (value: number) => boolean): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !fits(value)) fail(`${name} is ${show(value)}, but must be ${rule}.`);
  return value;
}

/** The engine counts in u32: what is larger would lose its upper bits on the way. */
const MOST = 2 ** 32 - 1;

const isWhole = (value: unknown, least = 0, most = MOST) =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most;

export function wholeNumber(name: string, value: unknown, least = 0, most = MOST): number | undefined {
  return number(name, value, `a whole number from ${least} to ${most}`, (given) => isWhole(given, least, most));
}

export function flag(name: string, value: unknown): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  return fail(`${name} is ${show(value)}, but must be true or false.`);
}

function oneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T | undefined {
  if (value === undefined || choices.includes(value as T)) return value as T | undefined;
  return fail(`${name} is ${show(value)}, but must be one of ${choices.map(show).join(', ')}.`);
}

function list<T>(name: string, value: unknown): T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? [...value] : fail(`${name} must be a list, not ${show(value)}.`);
}

/** `what`: what else it may be, for the error. */
function texts(name: string, value: unknown, what = ''): string[] {
  const all: unknown[] = value === undefined ? [] : Array.isArray(value) ? [...value] : [value];
  const isList = value === undefined || Array.isArray(value);
  if (isList && all.every((item) => typeof item === 'string')) return all;
  return fail(`${name} must be ${what}a list of strings, not ${show(isList ? all.find((item) => typeof item !== 'string') : value)}.`);
}

/** The options of each call, as the compiler knows them. */
interface CallOptions {
  load: LoadOptions;
  decode: { skipSpecial?: boolean | undefined };
  encode: { splitSpecialTokens?: boolean | undefined };
  run: RunOptions;
  generate: GenerateOptions;
  generateBatch: BatchOptions;
  /** Each of these. */
  'a generation of generateBatch': BatchRequest;
  logitLens: { layers?: readonly number[] | undefined; edits?: readonly Edit[] | undefined; signal?: AbortSignal | undefined };
  ablate: EffectOptions;
  setEach: EffectOptions;
  loadCheckpoint: { onProgress?: ((progress: LoadProgress) => void) | undefined; signal?: AbortSignal | undefined };
  attachSae: SaeOptions;
  saeQuality: { signal?: AbortSignal | undefined };
  'index, neuron, steps and clusters': { signal?: AbortSignal | undefined };
  file: { keep?: boolean | undefined; signal?: AbortSignal | undefined };
  'Features.open': { cache?: boolean | string | undefined; hub?: string | URL | undefined };
}

type Names<T> = { readonly [K in keyof Required<T>]: true };

const GENERATION = {
  maxTokens: true,
  temperature: true,
  topK: true,
  topP: true,
  repetitionPenalty: true,
  seed: true,
  stop: true,
  ignoreEos: true,
  edits: true,
  hooks: true,
  topLogprobs: true,
} as const;

const OPTIONS: { readonly [C in keyof CallOptions]: Names<CallOptions[C]> } = {
  load: {
    backend: true,
    maxContext: true,
    dtype: true,
    kvCache: true,
    threads: true,
    worker: true,
    workerUrl: true,
    wasmUrl: true,
    wasm: true,
    onProgress: true,
    signal: true,
    cache: true,
    hub: true,
  },
  decode: { skipSpecial: true },
  encode: { splitSpecialTokens: true },
  run: { hooks: true, edits: true, promptLength: true, logits: true, signal: true },
  generate: { ...GENERATION, signal: true },
  generateBatch: { onStep: true, signal: true },
  'a generation of generateBatch': { prompt: true, ...GENERATION },
  logitLens: { layers: true, edits: true, signal: true },
  ablate: { edits: true, onProgress: true, signal: true },
  setEach: { edits: true, onProgress: true, signal: true },
  loadCheckpoint: { onProgress: true, signal: true },
  attachSae: { hook: true, errorTerm: true, hub: true, signal: true },
  saeQuality: { signal: true },
  'index, neuron, steps and clusters': { signal: true },
  file: { keep: true, signal: true },
  'Features.open': { cache: true, hub: true },
};

const EDIT: Names<NeuronEdit & FeatureEdit> = {
  layer: true,
  sae: true,
  index: true,
  action: true,
  value: true,
  site: true,
  positions: true,
  propagate: true,
};
const RANGE = ['from', 'to'];

/** The options of a call, or none. An unknown one is refused. */
export function optionsOf<C extends keyof CallOptions, T extends CallOptions[C]>(call: C, options: T | undefined): T {
  if (options === undefined) return {} as T;
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return fail('The options must be an object.');
  const unknown = unknownName(options, Object.keys(OPTIONS[call]), `option of ${call}`, ELSEWHERE);
  return unknown === undefined ? options : fail(unknown);
}

/** A list of edits. Checks what only JavaScript can get wrong (whole numbers; `undefined` means left out); the engine checks the rest. */
export function editsOf(edits: unknown): Edit[] {
  return list<Edit>('edits', edits).map((edit, position) => {
    const wrong = (what: string): never => {
      throw createError('edit', `edit ${position}: ${what}`);
    };
    if (typeof edit !== 'object' || edit === null) return wrong('must be an object.');
    const { positions } = edit;
    const range =
      typeof positions === 'object' && positions !== null ? unknownName(positions, RANGE, 'field of positions', ELSEWHERE) : undefined;
    const unknown = unknownName(edit, Object.keys(EDIT), 'field of an edit', ELSEWHERE) ?? range;
    if (unknown !== undefined) wrong(unknown);
    const ofFeature = 'sae' in edit && edit.sae !== undefined;
    if (ofFeature && typeof edit.sae !== 'string') wrong(`sae is ${show(edit.sae)}, but must be the name of a hook.`);
    const numbers: Readonly<Record<string, unknown>> = ofFeature
      ? { index: edit.index }
      : { layer: (edit as NeuronEdit).layer, index: edit.index };
    for (const [name, value] of Object.entries(numbers)) {
      if (!isWhole(value)) wrong(`${name} is ${show(value)}, but must be a whole number from 0 to ${MOST}.`);
    }
    const { value } = edit;
    if (value !== undefined && value !== null && typeof value !== 'number') wrong(`value is ${show(value)}, but must be a number.`);
    // A plain copy: an object with code in it, a proxy for example, would throw in the midst of the engine.
    const copy = { ...edit, positions: positions && typeof positions === 'object' ? { ...positions } : positions };
    return structuredClone(Object.fromEntries(Object.entries(copy).filter(([, value]) => value !== undefined))) as unknown as Edit;
  });
}

export function signalOf(signal: unknown): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  try {
    Reflect.get(AbortSignal.prototype, 'aborted', signal); // refuses what only looks like one
    return signal as AbortSignal;
  } catch {
    return fail('signal must be an AbortSignal.');
  }
}

/** A callback. */
export function functionOf<F>(name: string, value: F | undefined): F | undefined {
  if (value === undefined || typeof value === 'function') return value;
  return fail(`${name} must be a function.`);
}

/** Ids as the engine takes them. `item`: what one is, `other`: what else than a list may be given, for the error. */
export function idsOf(name: string, ids: unknown, item = 'token id', other = ''): Uint32Array {
  // Also of another realm, a frame for example; a copy, as the caller may go on changing its own.
  if (ArrayBuffer.isView(ids) && show(ids) === '[object Uint32Array]') {
    try {
      return Uint32Array.from(ids as Uint32Array);
    } catch {
      fail(`${name} is a Uint32Array whose memory was sent elsewhere.`);
    }
  }
  if (!Array.isArray(ids)) return fail(`${name} must be ${other}a list of ${item}s or a Uint32Array, not ${show(ids)}.`);
  for (const [position, id] of ids.entries()) {
    if (!isWhole(id)) fail(`${name}[${position}] is ${show(id)}, but must be a ${item}.`);
  }
  return Uint32Array.from(ids as number[]);
}

/** The layers of `logitLens`; `undefined`: all. */
export function layersOf(layers: unknown): Uint32Array | undefined {
  return layers === undefined ? undefined : idsOf('layers', layers, 'layer number');
}

/** The arguments of a call for effects on the logit of `target`. */
export function effectsOf(
  call: 'ablate' | 'setEach',
  prompt: Prompt,
  target: number,
  options: EffectOptions | undefined,
  neurons?: Float32Array,
) {
  const { onProgress, edits, signal } = optionsOf(call, options);
  if (target === undefined) fail('target is missing; pass the id of the token whose logit you want to explain.');
  const args = { prompt: promptOf(prompt), target: wholeNumber('target', target) as number, edits: editsOf(edits), neurons };
  const report = functionOf('onProgress', onProgress);
  const onEvent = report && (({ done, total }: { done: number; total: number }) => report(done, total));
  return [args, { signal: signalOf(signal), onEvent }] as const;
}

/** The neurons of `setEach`, one after the other; the engine checks that each is one of the model's, with a finite value. */
export function neuronsOf(neurons: NeuronValues): Float32Array {
  const { layers, indices, values } = Object(neurons) as NeuronValues;
  const numbers = [idsOf('neurons.layers', layers, 'layer number'), idsOf('neurons.indices', indices, 'neuron number')] as const;
  const count = numbers[0].length;
  if (values?.length !== count || numbers[1].length !== count) {
    fail('neurons must have layers, indices and values of one length.');
  }
  return Float32Array.from({ length: 3 * count }, (_, at) => {
    const number = (numbers[at % 3] ?? values)[Math.floor(at / 3)];
    return typeof number === 'number' ? number : NaN;
  });
}

/** Options of `attachSae`. */
export function saeOptions(options: SaeOptions) {
  if (options.hook !== undefined && typeof options.hook !== 'string')
    fail(`hook is ${show(options.hook)}, but must be the name of a hook.`);
  return {
    hook: options.hook,
    errorTerm: flag('errorTerm', options.errorTerm) ?? false,
    hub: options.hub,
    signal: signalOf(options.signal),
  };
}

/** A text or ids. */
export function promptOf(prompt: Prompt): PromptData {
  return typeof prompt === 'string' ? prompt : idsOf('prompt', prompt, 'token id', 'a string, ');
}

export function runOptions(options: RunOptions): WasmRunOptions {
  const promptLength = wholeNumber('promptLength', options.promptLength);
  return {
    hooks: texts('hooks', options.hooks),
    edits: editsOf(options.edits),
    logits: oneOf('logits', options.logits, ['none', 'last', 'all']) ?? 'last',
    ...(promptLength === undefined ? {} : { promptLength }),
  };
}

export function generateOptions(options: GenerateOptions): WasmGenerateOptions {
  // The engine computes in f32, in which a large number may be infinite and a small one 0.
  const real = (name: keyof GenerateOptions, rule: string, fits: (value: number) => boolean) =>
    number(name, options[name], rule, (value) => fits(Math.fround(value)));
  const all: { [K in keyof WasmGenerateOptions]: WasmGenerateOptions[K] | undefined } = {
    maxTokens: wholeNumber('maxTokens', options.maxTokens),
    temperature: real('temperature', 'a finite number of at least 0', (value) => Number.isFinite(value) && value >= 0),
    topK: wholeNumber('topK', options.topK),
    topP: real('topP', 'above 0 and at most 1', (value) => value > 0 && value <= 1),
    repetitionPenalty: real('repetitionPenalty', 'a finite number above 0', (value) => Number.isFinite(value) && value > 0),
    seed: seedOf(options.seed),
    stop: typeof options.stop === 'string' ? [options.stop] : texts('stop', options.stop, 'a string or '),
    ignoreEos: flag('ignoreEos', options.ignoreEos),
    edits: editsOf(options.edits),
    hooks: texts('hooks', options.hooks),
    topLogprobs: wholeNumber('topLogprobs', options.topLogprobs),
  };
  // Missing options stay missing, so that the engine's defaults apply.
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as unknown as WasmGenerateOptions;
}

/** The generations of a batch; what is wrong with one names its number. */
export function batchOf(generations: unknown) {
  if (!Array.isArray(generations)) return fail('The generations must be a list of { prompt, … }.');
  return Array.from(generations, (given: BatchRequest, number) => {
    try {
      if (typeof given !== 'object' || given === null) fail('must be an object.');
      const { prompt, ...options } = optionsOf('a generation of generateBatch', given);
      return { prompt: promptOf(prompt), options: generateOptions(options) };
    } catch (error) {
      if (error instanceof TopKError) throw createError(error.code, `generation ${number}: ${error.message}`);
      throw error;
    }
  });
}

function seedOf(seed: unknown): bigint | undefined {
  if (seed === undefined) return undefined;
  if (typeof seed === 'bigint' && seed >= 0n && seed < 1n << 64n) return seed;
  if (typeof seed === 'number' && Number.isSafeInteger(seed) && seed >= 0) return BigInt(seed);
  return fail(`seed is ${show(seed)}, but must be a whole number from 0 to 2^53 - 1, or a bigint below 2^64.`);
}

/** Name of the cache; `null`: store nothing. */
export function cacheOf(cache: unknown): string | null {
  if (cache !== undefined && typeof cache !== 'boolean' && (typeof cache !== 'string' || cache === '')) {
    fail(`cache is ${show(cache)}, but must be true, false or a name.`);
  }
  return cache === false ? null : typeof cache === 'string' ? cache : 'topk-lm';
}

/** Options of `load`, URLs absolute. */
export function loadOptions(options: LoadOptions) {
  return {
    backend: oneOf('backend', options.backend, ['auto', 'webgpu', 'cpu']) ?? 'auto',
    maxContext: wholeNumber('maxContext', options.maxContext, 1),
    dtype: oneOf('dtype', options.dtype, ['stored', 'f16']) ?? 'stored',
    kvCache: oneOf('kvCache', options.kvCache, ['f32', 'f16']) ?? 'f32',
    threads: number('threads', options.threads, 'a whole number from 1 to 16', (n) => Number.isSafeInteger(n) && n >= 1 && n <= 16),
    worker: flag('worker', options.worker),
    workerUrl: options.workerUrl === undefined ? undefined : absolute('workerUrl', options.workerUrl),
    wasm: wasmOf(options),
    cache: cacheOf(options.cache),
    hub: options.hub,
    onProgress: functionOf('onProgress', options.onProgress),
    signal: signalOf(options.signal),
  } as const;
}

/** Where the engine is, or its bytes: a copy, so the caller may go on changing its own. */
function wasmOf({ wasm, wasmUrl }: LoadOptions): string | Uint8Array<ArrayBuffer> | undefined {
  if (wasm === undefined) return wasmUrl === undefined ? undefined : absolute('wasmUrl', wasmUrl);
  if (wasmUrl !== undefined) fail('wasm and wasmUrl are both given; leave one of them out.');
  if (wasm instanceof ArrayBuffer) return new Uint8Array(wasm.slice());
  if (!ArrayBuffer.isView(wasm)) return fail('wasm must be the bytes of topk_lm_bg.wasm: a Uint8Array or an ArrayBuffer.');
  return new Uint8Array(new Uint8Array(wasm.buffer, wasm.byteOffset, wasm.byteLength));
}

/** A URL as seen from the page: a worker started from a blob could not resolve it. */
function absolute(name: string, url: unknown): string {
  if (typeof url !== 'string' && !(url instanceof URL)) fail(`${name} must be a string or a URL.`);
  try {
    return new URL(String(url), typeof document === 'undefined' ? globalThis.location?.href : document.baseURI).href;
  } catch {
    return fail(`${name} is ${show(String(url))}, which is no URL.`);
  }
}

/** Addresses that nothing here can fetch from. */
const NO_WEB = /^(?:s?ftps?|ssh|scp|git|s3|gs|hf):/i;

const A_FOLDER = 'an http(s) URL, owner/name on a hub, a list of files, or files by path (in Node also the path of a folder)';

/** What the folders are told by. */
const NEEDED = { model: 'config.json', autoencoder: 'cfg.json' } as const;

/** What was given to `load` or `attachSae`. */
export function sourceOf(source: ModelSource, hub?: string | URL, what: keyof typeof NEEDED = 'model'): GivenSource {
  const needed = NEEDED[what];
  const base = hub === undefined ? undefined : absolute('hub', hub);
  if (typeof source === 'string' || source instanceof URL) {
    const text = String(source);
    if (text === '' || NO_WEB.test(text)) fail(`The ${what} is ${show(text)}, but must be ${A_FOLDER}.`);
    const folder = isNode && isFolder(text) ? undefined : hubFolder(text, base);
    if (folder !== undefined) return { kind: 'url', url: folder, named: text };
    if (isNode && !/^(https?|data|blob):/i.test(text)) return { kind: 'path', path: text };
    return { kind: 'url', url: absolute(`The ${what}`, source) };
  }
  if (typeof source === 'object' && source !== null) {
    const files: Map<string, FileContent> = isFiles(source) ? mapFiles(source) : mapBytes(source as Readonly<Record<string, FileContent>>);
    if (!files.has(needed)) {
      fail(`${needed} is not among the ${files.size} files; choose the folder that contains it, or pass it as {'${needed}': …}.`);
    }
    return { kind: 'files', files };
  }
  return fail(`The ${what} is ${show(source)}, but must be ${A_FOLDER}.`);
}

function isFiles(source: unknown): source is Iterable<File> {
  if (typeof FileList !== 'undefined' && source instanceof FileList) return true;
  if (!Array.isArray(source)) return false;
  const all = source.every((file) => typeof File !== 'undefined' && file instanceof File);
  return all || fail('The list must hold files only.');
}
