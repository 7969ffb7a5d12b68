/** Public types. `T` positions, `d` = d_model, shapes row-major, layers and indices count from 0. */

/** Which device was asked for. `auto` takes WebGPU on a real adapter, else the CPU. */
export type BackendChoice = 'auto' | 'webgpu' | 'cpu';

/** Precision of a model's matrices in memory. */
export type WeightDtype = 'stored' | 'f16';

/** Precision of cached keys and values. */
export type CacheDtype = 'f32' | 'f16';

/** The device in use. */
export interface BackendInfo {
  kind: 'webgpu' | 'cpu';
  /** Name of the WebGPU adapter; `null` on the CPU. */
  adapter: string | null;
  /** Why this device was chosen, in a sentence. */
  reason: string;
  /** CPU threads in use; 1 on a GPU. */
  threads: number;
}

/** The contents of `config.json` and `generation_config.json`, with defaults filled in. */
export interface ModelConfig {
  readonly architecture: string;
  /** Number of token ids. */
  readonly d_vocab: number;
  /** Width of the residual stream = neurons per layer. */
  readonly d_model: number;
  readonly n_layers: number;
  readonly n_heads: number;
  readonly n_kv_heads: number;
  readonly d_head: number;
  readonly d_mlp: number;
  /** Longest sequence, in tokens. */
  readonly n_ctx: number;
  /** Active entries kept after a TopK block; `null`: a dense model. */
  readonly topk_k: number | null;
  /** Number of last blocks without a TopK activation. */
  readonly n_nontopk: number;
  readonly topk_select: 'value' | 'abs';
  readonly topk_post: 'identity' | 'relu';
  readonly bos_token_id: number | null;
  readonly eos_token_ids: readonly number[];
  readonly tie_word_embeddings: boolean;
  readonly norm_eps: number;
  /** Base of RoPE; `null` for learned positions. */
  readonly rope_theta: number | null;
  readonly n_parameters: number;
  /** Without a tokenizer, prompts must be ids. */
  readonly has_tokenizer: boolean;
  /** Defaults of {@link GenerateOptions}. */
  readonly generation: { temperature: number; top_k: number; top_p: number; repetition_penalty: number; max_new_tokens: number };
}

/** Where the files came from, and whether they were verified. */
export interface CacheInfo {
  /**
   * `verified`: stored, each file's SHA-256 is the one in `manifest.json` · `unverified`: stored, only lengths were
   * checked · `memory`: nothing is stored, a later visit downloads again.
   */
  state: 'verified' | 'unverified' | 'memory';
  /** Why, in a sentence, with a next step where there is one. */
  reason: string;
}

/** Loading progress. Numbers never decrease within a phase. */
export interface LoadProgress {
  /** `compile`: the engine itself · `download`: the model's files · `load`: weights into the device. */
  phase: 'compile' | 'download' | 'load';
  /** The file being worked on, relative to the model folder. */
  file: string;
  /** Bytes done, over all files of this phase. */
  loadedBytes: number;
  /** Total bytes over all files of this phase; `null` while unknown. */
  totalBytes: number | null;
  /** Whether the last bytes came from the cache. */
  fromCache: boolean;
}

/** Options of {@link TopKLM.load}. */
export interface LoadOptions {
  /**
   * Default `auto`: WebGPU on a real adapter, or the CPU where there is none or the model does not load on it. `webgpu` also takes a software
   * adapter, and fails without any.
   */
  backend?: BackendChoice | undefined;
  /** Most positions of a sequence, where the model's own context is longer: a smaller cache of keys and values. `model.config.n_ctx` says what holds. */
  maxContext?: number | undefined;
  /**
   * Precision in which matrices are kept in memory. `stored` (default): as the files have them. `f16`: rounded to f16, which takes half the memory
   * of f32 and twice that of 8 bits. A result that holds in both cases does not depend on how weights are rounded.
   */
  dtype?: WeightDtype | undefined;
  /**
   * Precision in which keys and values are kept in memory. `f32` (default), or `f16`: rounded to f16 when they are cached, in half the memory; results
   * differ a little, and are the same whether or not positions were cached before.
   */
  kvCache?: CacheDtype | undefined;
  /**
   * CPU threads, at most 16; results are the same with any number. Default: half of the cores, up to 4, if the page is isolated
   * (`crossOriginIsolated`); otherwise 1.
   */
  threads?: number | undefined;
  /** Compute in a module worker. Default: true in browsers; in Node only `false` exists. */
  worker?: boolean | undefined;
  /** Where `worker.js` is served, if not next to this module. */
  workerUrl?: string | URL | undefined;
  /** Where `topk_lm_bg.wasm` is served, if not next to this module. */
  wasmUrl?: string | URL | undefined;
  /** The bytes of `topk_lm_bg.wasm` themselves, as they are or as gzip, instead of `wasmUrl`. */
  wasm?: ArrayBuffer | ArrayBufferView | undefined;
  onProgress?: ((progress: LoadProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** `false`: store nothing. A string names the cache; default `topk-lm`. */
  cache?: boolean | string | undefined;
  /** Where `owner/name` is looked up, as `{hub}/{owner}/{name}/resolve/{revision}/{file}`. Default `https://huggingface.co`. */
  hub?: string | URL | undefined;
}

/** The content of one file. Streams and responses are read once, to their end. */
export type FileContent = Uint8Array | ArrayBuffer | Blob | Response | AsyncIterable<Uint8Array>;

/**
 * A model folder: its URL · `owner/name` or `owner/name@revision` on a model hub (a relative URL ends in a slash or begins with `./`) · the
 * `File`s of a picked folder (paths from `webkitRelativePath`, the common top folder left out) · its files by path
 * (`{'config.json': …, 'model.safetensors': …}`). In Node a string may be a path, and a folder of that name comes before the hub.
 */
export type ModelSource =
  | string
  | URL
  | FileList
  | readonly File[]
  | Readonly<Record<string, FileContent>>
  | ReadonlyMap<string, FileContent>;

/** A text, encoded as `tokenizer.json` says (special tokens that are written out in it count as such; `tokenizer.encode` can split them), or token ids. */
export type Prompt = string | readonly number[] | Uint32Array;

/** A dense array, row-major. */
export interface Tensor {
  data: Float32Array;
  shape: number[];
}

/** The active neurons of each position; row t is `rowStart[t] .. rowStart[t + 1]` of `indices` and `values`. */
export interface ActiveRows {
  /** [T, d] */
  shape: [number, number];
  /** [T + 1] */
  rowStart: Uint32Array;
  /** Neuron indices, ascending within a row. */
  indices: Uint32Array;
  /** Their values; never 0. */
  values: Float32Array;
}

/** What a hook of name `N` gives: `blocks.{i}.hook_topk_out` comes as {@link ActiveRows}, all others as {@link Tensor}. */
export type HookValue<N extends string> = string extends N
  ? Tensor | ActiveRows
  : N extends `blocks.${number}.hook_topk_out`
    ? ActiveRows
    : Tensor;

/** Results by hook name. */
export type Hooks<N extends string> = { [name in N]: HookValue<name> };

/** Positions at which an edit applies; a range is half-open, absolute from 0, BOS counted. */
export type EditPositions = 'all' | 'prompt' | 'generated' | { from: number; to: number };

/** An edit of one neuron, or of one feature of an attached autoencoder. The engine checks it against the model before anything runs. */
export type Edit = NeuronEdit | FeatureEdit;

/** An edit of a feature, after its autoencoder's activation function. */
export interface FeatureEdit extends Pick<NeuronEdit, 'action' | 'value' | 'positions'> {
  /** The hook where the autoencoder is attached, for example `blocks.2.hook_resid_post`. */
  sae: string;
  /** 0 ≤ index < d_sae. */
  index: number;
}

/** An edit of a neuron. */
export interface NeuronEdit {
  /** Block, 0 ≤ layer < n_layers. */
  layer: number;
  /** Coordinate of the residual stream, 0 ≤ index < d_model. */
  index: number;
  /** `add`: v + value · `clamp`: = value · `scale`: v · value · `ablate`: = 0 */
  action: 'add' | 'clamp' | 'scale' | 'ablate';
  /** Finite in f32; required, but for `ablate`. */
  value?: number | undefined;
  /** After TopK (default: the neuron is set unconditionally) or before it (it competes and may evict another). */
  site?: 'topk_out' | 'topk_in' | undefined;
  /** Default `all`. */
  positions?: EditPositions | undefined;
  /** `from_layer`: the same index in that and every later TopK block. Default `layer`. */
  propagate?: 'layer' | 'from_layer' | undefined;
}

/** Neurons that `topk_in` edits pushed out of the k kept at a position, or let in. */
export interface TopkChange {
  layer: number;
  /** Absolute, from 0. */
  position: number;
  /** Ascending. */
  indices: Uint32Array;
}

/** How {@link TopKLM.attachSae} attaches an autoencoder. */
export interface SaeOptions {
  /** `blocks.{i}.` with `hook_resid_pre`, `hook_resid_mid`, `hook_resid_post`, `hook_mlp_out` or `attn.hook_z`. Default: the hook that cfg.json names. */
  hook?: string | undefined;
  /** Add what the autoencoder leaves over to what takes the hook's place, so the model computes what it does without it, except for edits. Default `false`. */
  errorTerm?: boolean | undefined;
  /** As for {@link TopKLM.load}. */
  hub?: string | URL | undefined;
  signal?: AbortSignal | undefined;
}

/** An attached autoencoder. */
export interface SaeInfo {
  hook: string;
  kind: 'standard' | 'topk' | 'jumprelu' | 'matching_pursuit';
  dIn: number;
  dSae: number;
  errorTerm: boolean;
}

/** Result of {@link TopKLM.saeQuality}. */
export interface SaeQuality {
  /** Mean −ln p of the tokens after the first, without any autoencoder. */
  baseLoss: number;
  /** The same with all of them spliced in, without error terms. */
  splicedLoss: number;
  /** Tokens that have a loss. */
  tokens: number;
  /** `fvu`: fraction of variance unexplained · `mse`: mean squared error · `l0`: features active per position */
  saes: { hook: string; fvu: number; mse: number; l0: number }[];
}

/** Options of {@link TopKLM.run}. */
export interface RunOptions<N extends string = string> {
  /** Hook names as in TransformerLens, for example `blocks.0.hook_topk_out`. An unknown one is an error that lists the valid names. */
  hooks?: readonly N[] | undefined;
  edits?: readonly Edit[] | undefined;
  /** Positions below it are "prompt", for edits. Default: all. */
  promptLength?: number | undefined;
  /** Default `last`. */
  logits?: 'none' | 'last' | 'all' | undefined;
  signal?: AbortSignal | undefined;
}

/** Result of {@link TopKLM.run}. */
export interface RunResult<N extends string = string> {
  /** [T] */
  ids: Uint32Array;
  /** Each id as text, [T]; `null` without a tokenizer. */
  tokens: string[] | null;
  /** [1, d_vocab] for `last`, [T, d_vocab] for `all`, `null` for `none`. */
  logits: Tensor | null;
  hooks: Hooks<N>;
  evicted: TopkChange[];
  admitted: TopkChange[];
}

/** Options of {@link TopKLM.generate}. What is left out comes from `generation_config.json`, else from the defaults here. */
export interface GenerateOptions<N extends string = string> {
  /** Most new tokens. Default: `max_new_tokens` of `generation_config.json`, else 64. */
  maxTokens?: number | undefined;
  /** 0: greedy, always the most likely token. Default 1. */
  temperature?: number | undefined;
  /** Samples from this many of the most likely tokens; 0: no limit (default). */
  topK?: number | undefined;
  /** Samples from the smallest set of most likely tokens with at least this probability, 0 < topP ≤ 1. Default 1. */
  topP?: number | undefined;
  /** Hugging Face's rule over prompt and new tokens; 1: none (default). */
  repetitionPenalty?: number | undefined;
  /** 0 ≤ seed < 2^64. The same seed gives the same text on the same device. Default: random, see {@link Generation.seed}. */
  seed?: number | bigint | undefined;
  /** Texts that end the generation. */
  stop?: string | readonly string[] | undefined;
  /** Continues after an end-of-text token. */
  ignoreEos?: boolean | undefined;
  edits?: readonly Edit[] | undefined;
  hooks?: readonly N[] | undefined;
  /** Also gives this many of the tokens with every step that are most likely by the model's own probability, whatever the sampling. Default 0. */
  topLogprobs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** One new token. */
export interface GenerationStep<N extends string = string> {
  /** Number of the new token, from 0. */
  index: number;
  id: number;
  /** What the text grew by: never half a character, so it may be empty, and the next step's longer. */
  text: string;
  /** ln of the model's own probability of this token (temperature 1, no penalty). */
  logprob: number;
  /** Hooks at the position that this token was drawn from; T = 1. The arrays are views of one buffer, which steps that come together share. */
  hooks: Hooks<N>;
  /** At that position alone. */
  evicted: TopkChange[];
  admitted: TopkChange[];
  /** Most likely first, with ln of the model's own probability; there if {@link GenerateOptions.topLogprobs} is above 0. */
  topLogprobs?: { ids: Uint32Array; logprobs: Float32Array };
}

/** Why a generation ended: `maxTokens` reached · an end token or stop text · the context is full. */
export type FinishReason = 'length' | 'stop' | 'context';

/** One generation of {@link TopKLM.generateBatch}. */
export interface BatchRequest<N extends string = string> extends Omit<GenerateOptions<N>, 'signal'> {
  prompt: Prompt;
}

/** Names of the hooks that a request asks for; `never`: it asks for none. */
export type AskedHooks<R> = R extends { hooks?: infer Names }
  ? NonNullable<Names> extends readonly (infer N extends string)[]
    ? N
    : never
  : never;

/** Fields that no request has, so that the compiler refuses a misspelled option. */
export type NoOthers<B extends readonly BatchRequest[]> = {
  readonly [K in keyof B]: { readonly [Name in Exclude<keyof B[K], keyof BatchRequest>]: never };
};

/** A step of a request; of several, one for each. */
export type BatchStep<R extends BatchRequest> = R extends BatchRequest ? GenerationStep<AskedHooks<R>> : never;

/** What {@link TopKLM.generateBatch} gives for a list of requests: a result for each, with the hooks that this one asks for. */
export type BatchResults<B extends readonly BatchRequest[]> = { -readonly [K in keyof B]: BatchResultOf<B[K]> };
/** The result of a request; of several, one for each. */
export type BatchResultOf<R> = R extends BatchRequest ? BatchResult<AskedHooks<R>> : never;

/** Options of {@link TopKLM.generateBatch}. */
export interface BatchOptions<R extends BatchRequest = BatchRequest> {
  /** Called for each new token, with the number of its generation. */
  onStep?: ((step: BatchStep<R>, generation: number) => void) | undefined;
  /** Ends all of them. */
  signal?: AbortSignal | undefined;
}

/** What one generation of {@link TopKLM.generateBatch} gave. */
export interface BatchResult<N extends string = string> {
  /** [P] the prompt's ids */
  promptIds: Uint32Array;
  /** [T] new tokens */
  ids: Uint32Array;
  /** The new text. */
  text: string;
  /** [T] */
  steps: GenerationStep<N>[];
  finish: FinishReason;
  /** The seed in use, also when none was given. */
  seed: bigint;
}

/** Result of {@link TopKLM.ablate}: one entry per active neuron at the last position. */
export interface AblationResult {
  /** The target's logit in the unedited model. */
  logit: number;
  /** [n] */
  layers: Uint32Array;
  /** [n] neuron indices */
  indices: Uint32Array;
  /** [n] the neurons' values */
  values: Float32Array;
  /** [n] logit − logit with that one neuron ablated (site `topk_out`, last position). Positive: the neuron promotes the target. */
  effects: Float32Array;
}

/** Options of {@link TopKLM.ablate} and {@link TopKLM.setEach}. */
export interface EffectOptions {
  /** In effect in every run. */
  edits?: readonly Edit[] | undefined;
  /** Runs done, of how many. */
  onProgress?: ((done: number, total: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Neurons for {@link TopKLM.setEach}, each with the value that it is set to: three lists of one length. */
export interface NeuronValues {
  layers: Uint32Array | readonly number[];
  indices: Uint32Array | readonly number[];
  values: Float32Array | readonly number[];
}

/** Result of {@link TopKLM.setEach}. */
export interface EachSetResult {
  /** The target's logit in the unedited model. */
  logit: number;
  /** [n] logit with that one neuron set (site `topk_out`, last position) − logit, in the order of the neurons. */
  effects: Float32Array;
}

/** GPU memory of one model; all 0 on the CPU. */
export interface MemoryInfo {
  /** Live GPU buffers. */
  buffers: number;
  /** Their bytes. */
  bytes: number;
}
