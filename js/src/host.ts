/** The engine's host: holds one model of the wasm module and answers the calls of `protocol.ts`. Runs in a worker, a page or Node. */
import { assemble, serveEngine, startEngine, type Instance } from './engine.js';
import { abortError, createError, throwIfAborted, toTopKError, TopKDisposedError, until, type ErrorCode } from './errors.js';
import type { CallContext, Handlers, LoadRequest, ModelDescription, PromptData } from './protocol.js';
import { ByteProgress } from './progress.js';
import { eitherOf } from './remote.js';
import { BlobFiles } from './sources/files.js';
import { openSource } from './sources/open.js';
import { checkpointFolder, type ModelFiles, type OpenFolder } from './sources/source.js';
import type { Cancel, WasmGeneration, WasmModel } from './topk_lm.js';
import { calledByEngine, isOwnTrap, isTrap } from './trap.js';
import type { LoadProgress } from './types.js';

/** A host, and a notification of its end: after a trap the engine no longer answers. */
export interface Host {
  handlers: Handlers;
  onCrash(listener: (error: unknown) => void): void;
}

/** A host without a model; `load` comes first. */
export function createHost(): Host {
  const host = new ModelHost();
  return { handlers: host.handlers, onCrash: (listener) => host.onCrash(listener) };
}

interface OpenGeneration {
  generation: WasmGeneration;
  /** Its `next()` under way. */
  running: Promise<unknown> | undefined;
}

/** Codes of errors about what is in a model's files. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set(['config', 'checkpoint', 'tokenizer', 'io']);

class ModelHost {
  #instance: Instance | undefined;
  #model: WasmModel | undefined;
  #files: ModelFiles | undefined;
  #disposed = false;
  /** Calls that borrow the model. */
  #inUse = 0;
  /** Disposed, but not freed yet: wasm-bindgen forbids to free what a running call borrows. */
  #retired: WasmModel | undefined;
  /** The last change of weights or autoencoders: each makes a new engine out of the present one, and no third set of weights is in memory. */
  #change: Promise<unknown> = Promise.resolve();
  #generations = new Map<number, OpenGeneration>();
  #nextHandle = 1;
  #onCrash: ((error: unknown) => void) | undefined;
  /** Ends the listeners of the realm. */
  #listening = new AbortController();

  readonly handlers: Handlers = {
    load: (request, context) =>
      this.#load(request, context).catch((error) => {
        this.#listening.abort();
        throw error;
      }),
    join: async ({ module, block, number, members }, { emit }) => {
      await serveEngine(module, block, number, members, () => emit('joined'));
      return undefined;
    },
    encode: ({ text, splitSpecialTokens = false }) => this.#enter((model) => model.encode(text, splitSpecialTokens)),
    decode: ({ ids, skipSpecial }) => this.#enter((model) => model.decode(ids, skipSpecial)),
    tokens: ({ ids }) => this.#enter((model) => model.tokens(ids)),
    run: ({ prompt, options }, { signal }) =>
      this.#cancellable(signal, async (model, cancel) => {
        const ids = encode(model, prompt);
        const result = await model.run(ids, options, cancel);
        return { ids, tokens: model.info().has_tokenizer ? model.tokens(ids) : null, ...result };
      }),
    openGeneration: ({ prompt, options }) =>
      this.#enter((model) => {
        const promptIds = encode(model, prompt);
        const generation = model.generate(promptIds, options);
        const handle = this.#nextHandle++;
        this.#generations.set(handle, { generation, running: undefined });
        return { handle, seed: generation.seed, promptIds };
      }),
    nextSteps: ({ handle }, { signal }) => this.#nextSteps(handle, signal),
    closeGeneration: ({ handle }) => this.#closeGeneration(handle),
    generateBatch: ({ requests }, { signal, emit }) =>
      this.#enter(async (model) => {
        throwIfAborted(signal);
        const all = requests.map(({ prompt, options }) => ({ ids: encode(model, prompt), options }));
        const batch = model.generate_batch(all);
        const onAbort = () => this.#release(() => batch.cancel());
        signal.addEventListener('abort', onAbort, { once: true });
        try {
          for (let made = await batch.next(); made.length > 0; made = await batch.next()) emit(made);
          return batch.seeds.map((seed, number) => ({ seed, promptIds: all[number]?.ids as Uint32Array }));
        } finally {
          signal.removeEventListener('abort', onAbort);
          this.#release(() => batch.free());
        }
      }),
    logitLens: ({ prompt, layers, edits }, { signal }) =>
      this.#cancellable(signal, (model, cancel) => model.logit_lens(encode(model, prompt), layers, edits, cancel)),
    ablate: ({ prompt, target, edits, neurons }, { signal, emit }) =>
      this.#cancellable(signal, (model, cancel) =>
        model.ablate(encode(model, prompt), target, edits, cancel, (done, total) => emit({ done, total }), neurons),
      ),
    loadCheckpoint: ({ step }, context) =>
      this.#inTurn(context.signal, async () => {
        const { folder } = await this.#withFolder(checkpointFolder(step, this.#source()), context, (source, onTensor) =>
          this.#cancellable(context.signal, (model, cancel) => model.load_checkpoint(source, cancel, onTensor)),
        );
        return { cache: folder.cache, checkpoints: this.#files?.checkpoints ?? [] };
      }),
    attachSae: ({ files, hook, errorTerm }, { signal }) =>
      this.#inTurn(signal, async () => {
        const folder = await new BlobFiles(files).open('');
        const read: OpenFolder['read'] = async (...part) => {
          throwIfAborted(signal);
          return folder.read(...part);
        };
        return this.#cancellable(signal, (model, cancel) => model.attach_sae({ ...folder, read }, hook, errorTerm, cancel));
      }),
    detachSaes: (_, { signal }) => this.#inTurn(signal, () => this.#enter((model) => model.detach_saes())),
    saeQuality: ({ prompt }, { signal }) => this.#cancellable(signal, (model, cancel) => model.sae_quality(encode(model, prompt), cancel)),
    memory: () => this.#enter((model) => model.memory()),
    dispose: () => this.#dispose(),
  };

  onCrash(listener: (error: unknown) => void): void {
    this.#onCrash = listener;
  }

  /** A trap inside a task of the engine reaches nobody who waits: only the realm hears of it. */
  #listen(): void {
    const realm = globalThis as Partial<EventTarget>;
    const { signal } = this.#listening;
    const check = (error: unknown) => {
      if (isOwnTrap(error)) this.#checkTrap(error);
    };
    realm.addEventListener?.('error', (event) => check((event as ErrorEvent).error), { signal });
    realm.addEventListener?.('unhandledrejection', (event) => check((event as PromiseRejectionEvent).reason), { signal });
  }

  async #load(request: LoadRequest, context: CallContext<'load'>): Promise<ModelDescription> {
    this.#listen(); // not before: a host whose load was aborted on the way here is never disposed
    // The engine is compiled while the files come; what comes of them before it is there is told then.
    let told: ((progress: LoadProgress) => void) | undefined;
    let untold: LoadProgress | undefined;
    const starting = startEngine(request.wasm, context.emit).then((instance) => {
      this.#instance = instance;
      instance.onTrap((trap) => {
        this.#onCrash?.(crashError(trap));
        // The connection is closed: no `dispose` comes any more.
        this.#listening.abort();
        this.#files = undefined;
      }, this.#listening.signal);
      if (untold) context.emit(untold);
      told = context.emit;
      return instance;
    });
    starting.catch(() => {}); // thrown below, unless the files fail first
    const files = await openSource(request.source, request.cache);
    this.#files = files;
    const emit = (progress: LoadProgress) => {
      untold = progress;
      told?.(progress);
    };
    const build = async (source: OpenFolder, onTensor: (done: number, total: number) => void) => {
      const { engine } = await starting;
      return this.#withCancel(context.signal, (cancel) => {
        const { backend, maxContext, dtype, kvCache, team } = request;
        return engine.WasmModel.load(source, { backend, maxContext, dtype, kvCache }, onTensor, cancel, team && (() => assemble(team)));
      });
    };
    const discard = (model: WasmModel) =>
      this.#release(() => {
        model.dispose();
        model.free();
      });
    const { result: model, folder } = await this.#withFolder('', { signal: context.signal, emit }, build, discard);
    if (context.signal.aborted || this.#disposed) {
      discard(model);
      throw this.#disposed ? new TopKDisposedError() : abortError(context.signal);
    }
    this.#model = model;
    const { backend, ...config } = await this.#enter(() => model.info());
    config.norm_eps = asWritten(config.norm_eps);
    const { generation } = config;
    for (const name of ['temperature', 'top_p', 'repetition_penalty'] as const) generation[name] = asWritten(generation[name]);
    return { config, backend, cache: folder.cache, checkpoints: files.checkpoints ?? [] };
  }

  /**
   * Opens a folder of the model for `use`; a download that failed, or the caller's abort, is what a failure then says. With `discard`, weights may be
   * read before they are verified: what `use` made of wrong ones is discarded, and made anew if the server then had the right ones. Without, all files
   * have to come first.
   */
  async #withFolder<T>(
    path: string,
    context: { signal: AbortSignal; emit(progress: LoadProgress): void },
    use: (source: OpenFolder, onTensor: (done: number, total: number) => void) => Promise<T>,
    discard?: (result: T) => void,
  ): Promise<{ result: T; folder: OpenFolder }> {
    const over = new AbortController();
    const signal = eitherOf(context.signal, over);
    let folder: OpenFolder | undefined;
    try {
      const opened = await this.#source().open(path, { signal, onProgress: context.emit, early: discard !== undefined });
      folder = opened;
      let progress: ByteProgress | undefined;
      let loaded: [number, number] | undefined;
      // The download is told to its end first.
      const tell = () => {
        if (!loaded || !opened.isWhole) return;
        progress ??= new ByteProgress('load', loaded[1], context.emit);
        progress.update(`${path}model.safetensors`, loaded[0]);
      };
      const onTensor = (done: number, total: number) => {
        calledByEngine();
        loaded = [done, total];
        tell();
      };
      for (;;) {
        let made: { result: T } | undefined;
        try {
          if (!discard) await opened.complete(true);
          made = { result: await use(opened, onTensor) };
          if (!(await opened.misled())) {
            await opened.complete();
            tell();
            return { result: made.result, folder: opened };
          }
        } catch (error) {
          if (made) discard?.(made.result);
          // What is wrong with bytes that were not verified says nothing.
          const again = !made && !context.signal.aborted && UNREADABLE.has(toTopKError(error).code) && (await opened.misled());
          if (!again) throw error;
          continue;
        }
        discard?.(made.result);
      }
    } catch (error) {
      throwIfAborted(context.signal);
      if (folder?.failure === undefined && UNREADABLE.has(toTopKError(error).code)) await folder?.distrust();
      throw folder?.failure ?? error;
    } finally {
      over.abort(); // ends downloads that nobody waits for any more
    }
  }

  #nextSteps(handle: number, signal: AbortSignal) {
    return this.#enter(async () => {
      const open = this.#generations.get(handle);
      if (!open) throw createError('aborted', 'The generation has already ended.');
      const onAbort = () => this.#release(() => open.generation.cancel());
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        const steps = open.generation.next();
        open.running = steps;
        return await steps;
      } finally {
        open.running = undefined;
        signal.removeEventListener('abort', onAbort);
      }
    });
  }

  async #closeGeneration(handle: number): Promise<undefined> {
    const open = this.#generations.get(handle);
    this.#generations.delete(handle);
    if (!open) return;
    this.#release(() => open.generation.cancel());
    await open.running?.catch(() => {}); // wasm-bindgen forbids to free what a running call borrows
    this.#release(() => open.generation.free());
  }

  /** Changes weights or autoencoders once the changes that were asked for before are made: what was asked for last holds. */
  #inTurn<T>(signal: AbortSignal, change: () => Promise<T>): Promise<T> {
    const before = this.#change;
    const turn = until(before, signal)
      .then(change)
      .catch((error: unknown) => {
        throwIfAborted(signal); // however the engine says that it stopped
        throw error;
      });
    this.#change = turn.catch(() => before); // which an aborted wait did not end
    return turn;
  }

  /** Runs `call` with the model and a Cancel that follows `signal`. */
  #cancellable<T>(signal: AbortSignal, call: (model: WasmModel, cancel: Cancel) => Promise<T>): Promise<T> {
    return this.#enter((model) => this.#withCancel(signal, (cancel) => call(model, cancel)));
  }

  async #withCancel<T>(signal: AbortSignal, call: (cancel: Cancel) => Promise<T>): Promise<T> {
    throwIfAborted(signal);
    const { engine } = this.#sound() as Instance;
    const cancel = new engine.Cancel();
    const onAbort = () => this.#release(() => cancel.cancel());
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await call(cancel);
    } catch (error) {
      throw this.#failure(error);
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#release(() => cancel.free());
    }
  }

  /** The one way into a loaded model: closed after a trap, and a trap inside closes it. */
  async #enter<T>(call: (model: WasmModel) => T | Promise<T>): Promise<T> {
    const model = this.#live();
    this.#inUse++;
    try {
      return await call(model);
    } catch (error) {
      throw this.#failure(error);
    } finally {
      this.#inUse--;
      this.#freeUnused();
    }
  }

  /** Frees a disposed model once no call borrows it. */
  #freeUnused(): void {
    if (this.#inUse > 0) return;
    const retired = this.#retired;
    this.#retired = undefined;
    this.#release(() => retired?.free());
  }

  /** Gives back what the engine holds. After a trap nothing is left to give back, and nobody waits for a failure. */
  #release(call: () => void): void {
    if (this.#instance?.trap) return;
    try {
      call();
    } catch (error) {
      this.#checkTrap(error);
    }
  }

  async #dispose(): Promise<undefined> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#listening.abort();
    const closing = [...this.#generations.keys()].map((handle) => this.#closeGeneration(handle));
    const model = this.#model;
    this.#model = undefined;
    this.#files = undefined;
    if (!model) return;
    this.#release(() => model.dispose());
    this.#retired = model;
    this.#freeUnused();
    await Promise.all(closing);
  }

  #live(): WasmModel {
    this.#sound();
    if (!this.#model) throw new TopKDisposedError();
    return this.#model;
  }

  /** The engine, unless a trap stopped it. */
  #sound(): Instance | undefined {
    const instance = this.#instance;
    if (instance?.trap) throw crashError(instance.trap);
    return instance;
  }

  #source(): ModelFiles {
    if (!this.#files) throw new TopKDisposedError();
    return this.#files;
  }

  /** What a failed call says: of a disposed model, that it is; of a trap, what to do now. */
  #failure(error: unknown): unknown {
    this.#checkTrap(error);
    if (this.#disposed) return new TopKDisposedError();
    return isTrap(error) ? crashError(error) : error;
  }

  /** A trap leaves the engine's memory in no known state: whoever uses this instance is over. */
  #checkTrap(error: unknown): void {
    if (isTrap(error)) this.#instance?.trapped(error);
  }
}

/** The shortest decimal number that the f32 `value` is: 0.7 as a file had it, not 0.699999988079071. */
function asWritten(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return shorter;
  }
  return value;
}

function crashError(cause: unknown): Error {
  return createError('internal', `The engine stopped working (${toTopKError(cause).message}); load the model again.`, { cause });
}

function encode(model: WasmModel, prompt: PromptData): Uint32Array {
  return typeof prompt === 'string' ? model.encode(prompt, false) : prompt;
}
