/** What the page asks of the engine's host, in a worker or in the page itself: one entry per method. */
import type { WasmBatchSteps, WasmGenerateOptions, WasmRunOptions, WasmSteps } from './topk_lm.js';
import type {
  ActiveRows,
  AblationResult,
  BackendChoice,
  BackendInfo,
  CacheDtype,
  CacheInfo,
  Edit,
  LoadProgress,
  MemoryInfo,
  ModelConfig,
  SaeInfo,
  SaeQuality,
  Tensor,
  TopkChange,
  WeightDtype,
} from './types.js';

/** A model source in a form that can be posted to a worker. */
export type SourceData =
  /** `named`: the name on a hub that it stands for. */
  | { kind: 'url'; url: string; named?: string }
  | { kind: 'path'; path: string }
  /** Path relative to the model folder → content. */
  | { kind: 'files'; files: Map<string, Blob> };

/** How an engine's worker gets the threads that compute beside it: it posts `{ module, block }`, and is told whether all are there. */
export interface TeamRequest {
  members: number;
  port: MessagePort;
}

export interface LoadRequest {
  source: SourceData;
  backend: BackendChoice;
  maxContext: number | undefined;
  dtype: WeightDtype;
  kvCache: CacheDtype;
  /** The engine's absolute URL or its bytes; default: next to the host's own script. */
  wasm?: string | Uint8Array<ArrayBuffer>;
  /** Name of the cache; `null`: store nothing. */
  cache: string | null;
  /** Left out: the engine computes alone. */
  team?: TeamRequest;
}

/** What the page knows about a model without asking again. */
export interface ModelDescription {
  config: ModelConfig;
  backend: BackendInfo;
  cache: CacheInfo;
  /** Training steps that have a folder `step{N}/`. */
  checkpoints: number[];
}

export type PromptData = string | Uint32Array;

export interface RunData {
  ids: Uint32Array;
  tokens: string[] | null;
  logits: Tensor | null;
  hooks: Record<string, Tensor | ActiveRows>;
  evicted: TopkChange[];
  admitted: TopkChange[];
}

/** Methods by name: arguments, result, and the events it emits on the way. */
export interface Methods {
  load: { args: LoadRequest; result: ModelDescription; event: LoadProgress };
  /** Serves another engine, with the memory that both share, until that lets it go. */
  join: {
    args: { module: WebAssembly.Module; block: SharedArrayBuffer; number: number; members: number };
    result: undefined;
    event: 'joined';
  };
  encode: { args: { text: string; splitSpecialTokens?: boolean }; result: Uint32Array; event: never };
  decode: { args: { ids: Uint32Array; skipSpecial: boolean }; result: string; event: never };
  tokens: { args: { ids: Uint32Array }; result: string[]; event: never };
  run: { args: { prompt: PromptData; options: WasmRunOptions }; result: RunData; event: never };
  openGeneration: {
    args: { prompt: PromptData; options: WasmGenerateOptions };
    result: { handle: number; seed: bigint; promptIds: Uint32Array };
    event: never;
  };
  nextSteps: { args: { handle: number }; result: WasmSteps; event: never };
  closeGeneration: { args: { handle: number }; result: undefined; event: never };
  generateBatch: {
    args: { requests: { prompt: PromptData; options: WasmGenerateOptions }[] };
    result: { seed: bigint; promptIds: Uint32Array }[];
    event: WasmBatchSteps[];
  };
  logitLens: { args: { prompt: PromptData; layers: Uint32Array | undefined; edits: readonly Edit[] }; result: Tensor; event: never };
  ablate: {
    /** `neurons`: layer, index, value, layer, … of `setEach`. */
    args: { prompt: PromptData; target: number; edits: readonly Edit[]; neurons: Float32Array | undefined };
    result: AblationResult;
    event: { done: number; total: number };
  };
  loadCheckpoint: { args: { step: number | 'final' }; result: Pick<ModelDescription, 'cache' | 'checkpoints'>; event: LoadProgress };
  attachSae: { args: { files: Map<string, Blob>; hook: string | undefined; errorTerm: boolean }; result: SaeInfo; event: never };
  detachSaes: { args: undefined; result: undefined; event: never };
  saeQuality: { args: { prompt: PromptData }; result: SaeQuality; event: never };
  memory: { args: undefined; result: MemoryInfo; event: never };
  dispose: { args: undefined; result: undefined; event: never };
}

export type MethodName = keyof Methods;

/** What a handler gets besides its arguments. */
export interface CallContext<K extends MethodName> {
  /** Aborted when the caller gave up; the handler then stops soon and its result is dropped, but for {@link CHANGES}. */
  signal: AbortSignal;
  emit(event: Methods[K]['event']): void;
}

/** The host: one function per method. */
export type Handlers = {
  [K in MethodName]: (args: Methods[K]['args'], context: CallContext<K>) => Promise<Methods[K]['result']>;
};

/** Calls that change the model. An abort ends one when the host says that it did: it may come when the change is already made. */
export const CHANGES: ReadonlySet<MethodName> = new Set<MethodName>(['loadCheckpoint', 'attachSae']);

export interface CallOptions<K extends MethodName> {
  signal?: AbortSignal | undefined;
  onEvent?: ((event: Methods[K]['event']) => void) | undefined;
  /** What of the arguments moves to the host instead of being copied. */
  transfer?: MessagePort[];
}

/** The page's end: the same methods, wherever the host runs. */
export interface Connection {
  call<K extends MethodName>(method: K, args: Methods[K]['args'], options?: CallOptions<K>): Promise<Methods[K]['result']>;
  /** Why it is closed, if it is. */
  readonly closed: Error | undefined;
  /** Ends the connection; calls under way reject with `reason`. */
  close(reason: Error): void;
}
