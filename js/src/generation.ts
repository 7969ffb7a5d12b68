/** A stream of new tokens: an async iterator over batches from the host, which works one batch ahead of the reader. */
import { throwIfAborted, typedCalls } from './errors.js';
import type { Connection, PromptData } from './protocol.js';
import type { WasmGenerateOptions, WasmStep, WasmSteps } from './topk_lm.js';
import type { ActiveRows, FinishReason, GenerationStep, Tensor } from './types.js';

/** The result of {@link TopKLM.generate}. It can be read once; leaving the loop early ends the generation. */
export interface Generation<N extends string = string> extends AsyncIterableIterator<GenerationStep<N>> {
  /** The seed in use, also when none was given; `null` before the first step. */
  readonly seed: bigint | null;
  /** The prompt's ids, [P]; `null` before the first step. */
  readonly promptIds: Uint32Array | null;
  /** Why it ended; `null` before that, and if it was aborted or left early. */
  readonly finish: FinishReason | null;
  return(): Promise<IteratorResult<GenerationStep<N>, undefined>>;
}

/** A step as callers get it; `names`: of its hooks. */
export function stepOf<N extends string>(step: WasmStep, names: string[]): GenerationStep<N> {
  return { evicted: [], admitted: [], ...step, hooks: step.hooks ? hooksOf(names, step.hooks) : {} } as unknown as GenerationStep<N>;
}

/** The hooks of a step, all in one buffer. */
function hooksOf(names: string[], words: Uint32Array): Record<string, Tensor | ActiveRows> {
  const hooks: Record<string, Tensor | ActiveRows> = {};
  let at = 0;
  const next = (count: number) => {
    at += count;
    return words.subarray(at - count, at);
  };
  const numbers = (count: number) => new Float32Array(words.buffer as ArrayBuffer, next(count).byteOffset, count);
  for (const name of names) {
    const [dimensions] = next(1) as unknown as [number];
    if (dimensions > 0) {
      const shape = [...next(dimensions)];
      hooks[name] = { data: numbers(shape.reduce((size, side) => size * side, 1)), shape };
    } else {
      const [width, count] = next(2) as unknown as [number, number];
      hooks[name] = { shape: [1, width], rowStart: Uint32Array.of(0, count), indices: next(count), values: numbers(count) };
    }
  }
  return hooks;
}

/** Starts on the first `next()`. */
export class StepStream<N extends string> implements Generation<N> {
  seed: bigint | null = null;
  promptIds: Uint32Array | null = null;
  finish: FinishReason | null = null;
  readonly #connection: Connection;
  readonly #prompt: PromptData;
  readonly #options: WasmGenerateOptions;
  readonly #signal: AbortSignal | undefined;
  #opening: Promise<number> | undefined;
  #pending: Promise<WasmSteps> | undefined;
  #ready: WasmStep[] = [];
  #names: string[] = [];
  #ending: Promise<void> | undefined;
  /** Overlapping `next()` calls wait for each other, as those of async generators do. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(connection: Connection, prompt: PromptData, options: WasmGenerateOptions, signal: AbortSignal | undefined) {
    this.#connection = connection;
    this.#prompt = prompt;
    this.#options = options;
    this.#signal = signal;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<GenerationStep<N>, undefined>> {
    const turn = this.#turn.then(() => this.#next());
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async return(): Promise<IteratorResult<GenerationStep<N>, undefined>> {
    this.#ready = [];
    await this.#end();
    return { done: true, value: undefined };
  }

  async #next(): Promise<IteratorResult<GenerationStep<N>, undefined>> {
    try {
      throwIfAborted(this.#signal);
      while (this.#ready.length === 0 && !this.#ending) await this.#receive();
    } catch (error) {
      await this.#end();
      throw error;
    }
    const step = this.#ready.shift();
    if (!step) return { done: true, value: undefined };
    return { done: false, value: stepOf<N>(step, this.#names) };
  }

  async #receive(): Promise<void> {
    this.#opening ??= this.#open();
    const handle = await this.#opening;
    this.#pending ??= this.#ask(handle);
    const batch = await this.#pending;
    this.#ready = batch.steps;
    this.#names = batch.names;
    this.#pending = undefined;
    if (batch.finish === null) {
      if (this.#ending) return;
      this.#pending = this.#ask(handle); // the engine works on while the reader looks at these
      this.#pending.catch(() => {}); // reported by the next `next()`
    } else {
      this.finish = batch.finish;
      await this.#end();
    }
  }

  async #open(): Promise<number> {
    const { handle, seed, promptIds } = await this.#connection.call('openGeneration', { prompt: this.#prompt, options: this.#options });
    // A signal also ends a stream that nobody reads any more.
    this.#signal?.addEventListener('abort', () => void this.#end(), { once: true });
    this.seed = seed;
    this.promptIds = promptIds;
    return handle;
  }

  #ask(handle: number): Promise<WasmSteps> {
    return this.#connection.call('nextSteps', { handle }, { signal: this.#signal });
  }

  /** Ends the stream once; whoever ends it, all wait until the host holds nothing for it. */
  #end(): Promise<void> {
    this.#ending ??= this.#free();
    return this.#ending;
  }

  async #free(): Promise<void> {
    try {
      const handle = await this.#opening;
      if (handle !== undefined) await this.#connection.call('closeGeneration', { handle });
    } catch {
      // disposed or crashed: nothing is left to free
    }
  }
}

typedCalls(StepStream.prototype, false);
