/** The wasm module's surface (crate/src/wasm), with the types that wasm-bindgen cannot say. Errors are thrown as `{code, message}`. */
import type {
  AblationResult,
  ActiveRows,
  BackendInfo,
  Edit,
  FinishReason,
  MemoryInfo,
  ModelConfig,
  SaeInfo,
  SaeQuality,
  Tensor,
  TopkChange,
} from './types.js';

export default function init(options: {
  module_or_path: WebAssembly.Module | ArrayBuffer | ArrayBufferView;
}): Promise<{ memory: WebAssembly.Memory }>;

/** A new instance of the compiled module in place of the present one, whose objects can then no longer be used. */
export function __wbg_reset_state(): void;

/** Runs what the engine queued as microtasks: scripts/lib/wasm.mjs puts it into the bindings. */
export const tasks: { run(task: () => void): void };

/** Bytes of the memory that an engine shares with so many threads. */
export function teamBytes(members: number): number;

/** Serves an engine as its member `number` of `members`, until that lets it go. */
export function serveTeam(block: SharedArrayBuffer, number: number, members: number): void;

/** Bytes, whole or as pieces that follow each other. */
export type Pieces = Uint8Array | readonly Uint8Array[];

/** Files of one model folder; sizes are known before anything is read. */
export interface WasmSource {
  size(path: string): number | undefined;
  /** Exactly `length` bytes from `offset`. */
  read(path: string, offset: number, length: number): Promise<Pieces>;
}

export class Cancel {
  cancel(): void;
  free(): void;
}

export interface WasmInfo extends ModelConfig {
  backend: BackendInfo;
}

export interface WasmRunOptions {
  hooks: readonly string[];
  edits: readonly Edit[];
  promptLength?: number;
  logits: 'none' | 'last' | 'all';
}

export interface WasmRunResult {
  logits: Tensor | null;
  hooks: Record<string, Tensor | ActiveRows>;
  evicted: TopkChange[];
  admitted: TopkChange[];
}

export interface WasmGenerateOptions {
  maxTokens?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  repetitionPenalty?: number;
  seed?: bigint;
  stop?: readonly string[];
  ignoreEos?: boolean;
  edits: readonly Edit[];
  hooks: readonly string[];
  topLogprobs?: number;
}

/** Steps in one array; see `generated` in crate/src/wasm/convert.rs. */
export interface WasmSteps {
  /** The number of the first. */
  first: number;
  words: Uint32Array;
  /** That of all of them. */
  text: string;
  /** Those of their hooks. */
  names: string[];
  finish: FinishReason | null;
}

export class WasmGeneration {
  private constructor();
  readonly seed: bigint;
  next(): Promise<WasmSteps>;
  cancel(): void;
  free(): void;
}

export interface WasmBatchSteps extends WasmSteps {
  /** Which generation. */
  number: number;
}

export class WasmGenerationBatch {
  private constructor();
  readonly seeds: bigint[];
  /** Empty once all have ended. */
  next(): Promise<WasmBatchSteps[]>;
  cancel(): void;
  free(): void;
}

export class WasmModel {
  private constructor();
  static load(
    source: WasmSource,
    options: { backend: 'auto' | 'webgpu' | 'cpu'; maxContext: number | undefined; dtype: 'stored' | 'f16'; kvCache: 'f32' | 'f16' },
    onTensor: (bytesDone: number, bytesTotal: number) => void,
    cancel: Cancel,
    /** Starts the threads that compute beside this one, if the model runs on the CPU. */
    team: (() => Promise<{ block: SharedArrayBuffer; members: number } | undefined>) | undefined,
  ): Promise<WasmModel>;
  info(): WasmInfo;
  encode(text: string, split: boolean): Uint32Array;
  decode(ids: Uint32Array, skipSpecial: boolean): string;
  tokens(ids: Uint32Array): string[];
  run(ids: Uint32Array, options: WasmRunOptions, cancel: Cancel): Promise<WasmRunResult>;
  generate(ids: Uint32Array, options: WasmGenerateOptions): WasmGeneration;
  generate_batch(all: { ids: Uint32Array; options: WasmGenerateOptions }[]): WasmGenerationBatch;
  logit_lens(ids: Uint32Array, layers: Uint32Array | undefined, edits: readonly Edit[], cancel: Cancel): Promise<Tensor>;
  ablate(
    ids: Uint32Array,
    target: number,
    edits: readonly Edit[],
    cancel: Cancel,
    onProgress: (done: number, total: number) => void,
    /** layer, index, value, layer, …: what is set instead; `effects` is then logit with it − logit. */
    neurons: Float32Array | undefined,
  ): Promise<AblationResult>;
  load_checkpoint(source: WasmSource, cancel: Cancel, onTensor: (bytesDone: number, bytesTotal: number) => void): Promise<void>;
  attach_sae(source: WasmSource, hook: string | undefined, errorTerm: boolean, cancel: Cancel): Promise<SaeInfo>;
  detach_saes(): Promise<undefined>;
  sae_quality(ids: Uint32Array, cancel: Cancel): Promise<SaeQuality>;
  memory(): MemoryInfo;
  dispose(): void;
  free(): void;
}
