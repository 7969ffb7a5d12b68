/**
 * Calls between page and worker over any port, with ids, results, events and cancellation. A call never hangs: it ends with
 * its result, its error, its signal, or the error that closed the connection.
 */
import { abortError, errorData, isPlain, TopKAbortError, toTopKError, type ErrorData } from './errors.js';
import { CHANGES } from './protocol.js';
import type { CallContext, CallOptions, Connection, Handlers, MethodName, Methods } from './protocol.js';

/** `Worker`, `MessagePort` and a worker's own global scope all fit. */
export interface Port {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  addEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
  removeEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
}

type ToHost = { type: 'call'; id: number; method: MethodName; args: unknown } | { type: 'cancel'; id: number };

type ToPage =
  | { type: 'ready' }
  | { type: 'result'; id: number; value: unknown }
  | { type: 'error'; id: number; error: ErrorData }
  | { type: 'event'; id: number; value: unknown }
  /** The engine stopped working for good. */
  | { type: 'crash'; error: ErrorData };

interface Pending {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  onEvent: ((value: unknown) => void) | undefined;
}

/** Calls a caller's callback. If it throws, the error is reported like any uncaught one, and the call goes on. */
export function notify<E>(callback: ((event: E) => void) | undefined, event: E): void {
  try {
    callback?.(event);
  } catch (error) {
    if (typeof reportError === 'function') reportError(error);
    else console.error(error);
  }
}

/** An abort that the host reports, with the caller's own reason. */
const withReason = (error: unknown, signal: AbortSignal | undefined) =>
  signal?.aborted && error instanceof TopKAbortError ? abortError(signal) : error;

/** The page's end of a port. */
export class RpcClient implements Connection {
  /** Resolves when the other end says it is there; rejects when the connection closes before. */
  readonly ready: Promise<void>;
  readonly #port: Port;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  closed: Error | undefined;
  #settleReady: { resolve(): void; reject(error: unknown): void };

  constructor(port: Port) {
    this.#port = port;
    let settle!: { resolve(): void; reject(error: unknown): void };
    this.ready = new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.ready.catch(() => {}); // who waits for it sees the error; nobody has to
    this.#settleReady = settle;
    port.addEventListener('message', this.#receive);
  }

  call<K extends MethodName>(method: K, args: Methods[K]['args'], options: CallOptions<K> = {}): Promise<Methods[K]['result']> {
    const { signal, onEvent, transfer } = options;
    if (this.closed) return Promise.reject(this.closed);
    if (signal?.aborted) return Promise.reject(abortError(signal));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#post({ type: 'cancel', id });
        if (CHANGES.has(method)) return;
        this.#pending.delete(id);
        reject(abortError(signal as AbortSignal));
      };
      const done = () => signal?.removeEventListener('abort', onAbort);
      this.#pending.set(id, {
        resolve: (value) => {
          done();
          resolve(value as Methods[K]['result']);
        },
        reject: (error) => {
          done();
          reject(withReason(error, signal));
        },
        onEvent: onEvent as ((value: unknown) => void) | undefined,
      });
      signal?.addEventListener('abort', onAbort, { once: true });
      try {
        this.#post({ type: 'call', id, method, args }, transfer);
      } catch (error) {
        // An argument that cannot be cloned, a function for example.
        this.#pending.delete(id);
        done();
        reject(toTopKError({ code: 'argument', message: `${method}: an argument cannot be sent to the worker: ${String(error)}.` }));
      }
    });
  }

  close(reason: Error): void {
    if (this.closed) return;
    this.closed = reason;
    this.#port.removeEventListener('message', this.#receive);
    this.#settleReady.reject(reason);
    for (const pending of this.#pending.values()) pending.reject(reason);
    this.#pending.clear();
  }

  #post(message: ToHost, transfer: Transferable[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  #receive = (event: MessageEvent): void => {
    const message = event.data as ToPage;
    if (message.type === 'ready') {
      this.#settleReady.resolve();
    } else if (message.type === 'crash') {
      this.close(toTopKError(message.error));
    } else {
      const pending = this.#pending.get(message.id);
      if (!pending) return; // aborted meanwhile
      if (message.type === 'event') {
        notify(pending.onEvent, message.value);
        return;
      }
      this.#pending.delete(message.id);
      if (message.type === 'result') pending.resolve(message.value);
      else pending.reject(toTopKError(message.error));
    }
  };
}

/** The host's end of a port: answers calls by `handlers`. */
export function serve(port: Port, handlers: Handlers): { crash(error: unknown): void } {
  const running = new Map<number, AbortController>();
  const post = (message: ToPage, transfer: Transferable[] = []) => port.postMessage(message, transfer);

  const answer = async <K extends MethodName>(id: number, method: K, args: Methods[K]['args']) => {
    const controller = new AbortController();
    running.set(id, controller);
    const context: CallContext<K> = {
      signal: controller.signal,
      emit: (value) => {
        if (!controller.signal.aborted) post({ type: 'event', id, value });
      },
    };
    const isWanted = () => !controller.signal.aborted || CHANGES.has(method);
    try {
      const value = await handlers[method](args, context);
      if (isWanted()) post({ type: 'result', id, value }, transferables(value));
    } catch (error) {
      if (isWanted()) post({ type: 'error', id, error: errorData(toTopKError(error)) });
    } finally {
      running.delete(id);
    }
  };

  port.addEventListener('message', (event) => {
    const message = event.data as ToHost;
    if (message.type === 'call') void answer(message.id, message.method, message.args as never);
    else if (message.type === 'cancel') running.get(message.id)?.abort();
  });
  post({ type: 'ready' });
  return { crash: (error) => post({ type: 'crash', error: errorData(toTopKError(error)) }) };
}

/** The host in the page itself: no port, the same behavior. */
export class LocalConnection implements Connection {
  readonly #handlers: Handlers;
  /** What ends each call under way. */
  readonly #open = new Set<(error: Error) => void>();
  closed: Error | undefined;

  constructor(handlers: Handlers) {
    this.#handlers = handlers;
  }

  async call<K extends MethodName>(method: K, args: Methods[K]['args'], options: CallOptions<K> = {}): Promise<Methods[K]['result']> {
    const { signal: caller, onEvent } = options;
    if (this.closed) throw this.closed;
    if (caller?.aborted) throw abortError(caller);
    const controller = new AbortController();
    return new Promise((resolve, reject) => {
      const stop = (error: unknown) => {
        controller.abort();
        reject(error);
      };
      const onAbort = () => {
        if (CHANGES.has(method)) controller.abort();
        else stop(abortError(caller as AbortSignal));
      };
      caller?.addEventListener('abort', onAbort, { once: true });
      this.#open.add(stop); // an AbortSignal with a listener for each call is a leak to Node, which warns of it
      const context: CallContext<K> = {
        signal: controller.signal,
        emit: (event) => {
          if (!controller.signal.aborted) notify(onEvent, event);
        },
      };
      this.#handlers[method](args, context)
        .then(resolve, (error: unknown) => reject(withReason(toTopKError(error), caller)))
        .finally(() => {
          caller?.removeEventListener('abort', onAbort);
          this.#open.delete(stop);
        });
    });
  }

  close(reason: Error): void {
    this.closed ??= reason;
    for (const stop of this.#open) stop(this.closed);
  }
}

/** The buffers of all typed arrays in a result: they move to the page, nothing is copied. */
export function transferables(value: unknown): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  const visit = (part: unknown) => {
    if (ArrayBuffer.isView(part)) {
      if (part.buffer instanceof ArrayBuffer) buffers.add(part.buffer);
    } else if (Array.isArray(part)) {
      part.forEach(visit);
    } else if (isPlain(part)) {
      Object.values(part).forEach(visit);
    }
  };
  visit(value);
  return [...buffers];
}
