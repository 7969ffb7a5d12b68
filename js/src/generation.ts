/** A stream of new tokens: an async iterator over batches from the host, which works one batch ahead of the reader. */
import { named, throwIfAborted, TopKAbortError, typedCalls, until } from './errors.js';
import type { Connection, PromptData } from './protocol.js';
import type { WasmGenerateOptions, WasmSteps } from './topk_lm.js';
import type { ActiveRows, FinishReason, GenerationStep, Tensor, TopkChange } from './types.js';

/** The result of {@link TopKLM.generate}. It can be read once; leaving the loop early ends the generation. */
export interface Generation<N extends string = string> extends AsyncIterableIterator<GenerationStep<N>> {
  /** The seed in use, also when none was given; `null` before the first step. */
  readonly seed: bigint | null;
  /** The prompt's ids, [P]; `null` before the first step. */
  readonly promptIds: Uint32Array | null;
  /** Why it ended; `null` before that, and if it was aborted or left early. */
  readonly finish: FinishReason | null;
  return(): Promise<IteratorResult<GenerationStep<N>, undefined>>;
  /** Ends it, and rejects with `error`. */
  throw(error?: unknown): Promise<IteratorResult<GenerationStep<N>, undefined>>;
  /** Ends it, at the end of a block with `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Steps as callers get them, each made when it is asked for, then why they end; they share the buffer of {@link WasmSteps.words}. */
export function* stepsOf<N extends string>({
  first,
  words,
  text,
  names,
  finish,
}: WasmSteps): Generator<GenerationStep<N>, FinishReason | null> {
  let at = 0;
  let unit = 0;
  const list = (count: number) => {
    at += count;
    return words.subarray(at - count, at);
  };
  const numbers = (count: number) => {
    at += count;
    return new Float32Array(words.buffer as ArrayBuffer, words.byteOffset + 4 * (at - count), count);
  };
  const word = () => words[at++] as number;
  for (let index = first; at < words.length; index++) {
    const step: Partial<GenerationStep> = { index, id: word(), logprob: numbers(1)[0] as number };
    const from = unit;
    unit += word();
    step.text = text.slice(from, unit);
    const likely = word();
    if (likely > 0) step.topLogprobs = { ids: list(likely), logprobs: numbers(likely) };
    const changes: Record<'evicted' | 'admitted', TopkChange[]> = { evicted: [], admitted: [] };
    for (let swaps = word(); swaps > 0; swaps--) {
      const [layer, position, evicted, admitted] = list(4) as unknown as [number, number, number, number];
      if (evicted > 0) changes.evicted.push({ layer, position, indices: list(evicted) });
      if (admitted > 0) changes.admitted.push({ layer, position, indices: list(admitted) });
    }
    const hooks: Record<string, Tensor | ActiveRows> = {};
    for (const name of names) {
      const dimensions = word();
      if (dimensions > 0) {
        const shape = [...list(dimensions)];
        hooks[name] = { data: numbers(shape.reduce((size, side) => size * side, 1)), shape };
      } else {
        const width = word();
        const rowStart = list(2);
        const count = rowStart[1] as number;
        hooks[name] = { shape: [1, width], rowStart, indices: list(count), values: numbers(count) };
      }
    }
    yield { ...step, ...changes, hooks } as unknown as GenerationStep<N>;
  }
  return finish;
}

const NONE: Iterator<never, null> = { next: () => ({ done: true, value: null }) };

/** What is left of streams that nobody has any more, neither at their end nor left: the host frees what it holds for them. */
const LOST = new FinalizationRegistry<{ connection: Connection; handle: number; signal: AbortSignal | undefined; onAbort: () => void }>(
  ({ connection, handle, signal, onAbort }) => {
    signal?.removeEventListener('abort', onAbort);
    connection.call('closeGeneration', { handle }).catch(() => {}); // disposed or crashed
  },
);

/** Starts on the first `next()`. */
export class StepStream<N extends string> implements Generation<N> {
  seed: bigint | null = null;
  promptIds: Uint32Array | null = null;
  finish: FinishReason | null = null;
  readonly #connection: Connection;
  readonly #prompt: PromptData;
  readonly #options: WasmGenerateOptions;
  readonly #signal: AbortSignal | undefined;
  /** A signal also ends a stream that nobody reads any more. */
  readonly #onAbort = StepStream.#ender(new WeakRef(this));
  #opening: Promise<number> | undefined;
  #pending: Promise<WasmSteps> | undefined;
  #ready: Iterator<GenerationStep<N>, FinishReason | null | undefined> = NONE;
  #ending: Promise<void> | undefined;
  #isLeft = false;
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
    this.#isLeft = true;
    this.#ready = NONE;
    await this.#end();
    return { done: true, value: undefined };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** For `yield*`. No method, whose errors are made {@link TopKError}s below: this one is the caller's. */
  readonly throw = async (error?: unknown): Promise<IteratorResult<GenerationStep<N>, undefined>> => {
    await this.return();
    throw error;
  };

  /** A function of its own, as its result must not hold the stream. */
  static #ender(stream: WeakRef<StepStream<string>>): () => void {
    return () => {
      const living = stream.deref();
      if (living) living.#end();
    };
  }

  async #next(): Promise<IteratorResult<GenerationStep<N>, undefined>> {
    try {
      throwIfAborted(this.#signal);
      if (this.#connection.closed) throw this.#connection.closed;
      for (;;) {
        const step = this.#ready.next();
        if (!step.done) return step;
        this.finish ??= step.value ?? null;
        if (this.#ending) return { done: true, value: undefined };
        await this.#receive();
      }
    } catch (error) {
      await this.#end();
      // Whoever left ended this step too.
      if (this.#isLeft && error instanceof TopKAbortError && !this.#signal?.aborted) return { done: true, value: undefined };
      throw error;
    }
  }

  async #receive(): Promise<void> {
    this.#opening ??= this.#open();
    const handle = await this.#opening;
    this.#pending ??= this.#ask(handle);
    const batch = await this.#pending;
    this.#ready = stepsOf<N>(batch);
    this.#pending = undefined;
    if (batch.finish === null) {
      if (this.#ending) return;
      this.#pending = this.#ask(handle); // the engine works on while the reader looks at these
      this.#pending.catch(() => {}); // reported by the next `next()`
    } else {
      await this.#end();
    }
  }

  async #open(): Promise<number> {
    const opening = this.#connection.call('openGeneration', { prompt: this.#prompt, options: this.#options });
    const { handle, seed, promptIds } = await until(opening, this.#signal).catch((error: Error) => {
      // What opens after an abort has nobody left who would close it.
      opening.then((late) => this.#connection.call('closeGeneration', { handle: late.handle })).catch(() => {});
      throw error;
    });
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
    LOST.register(this, { connection: this.#connection, handle, signal: this.#signal, onAbort: this.#onAbort }, this);
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
    LOST.unregister(this);
    this.#signal?.removeEventListener('abort', this.#onAbort); // which may outlive many streams
  }
}

named({ StepStream });
typedCalls(StepStream.prototype, false);
