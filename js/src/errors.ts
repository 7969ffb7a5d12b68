/** The kind of an error: {@link TopKError.code}. The first group comes from the engine, the second from this package. */
export type ErrorCode =
  | 'config'
  | 'checkpoint'
  | 'tokenizer'
  | 'argument'
  | 'edit'
  | 'hook'
  | 'context'
  | 'io'
  | 'features'
  | 'no-features'
  | 'device'
  | 'device-lost'
  | 'out-of-memory'
  | 'non-finite'
  | 'aborted'
  | 'disposed'
  | 'download'
  | 'integrity'
  | 'worker'
  | 'wasm'
  | 'internal';

/** Most characters of a message, and of a value in one. */
const LONGEST = { message: 300, value: 80 };

/** A text that is too long loses its middle: the beginning names what is wrong, the end says what to do. */
function clip(text: string, longest: number): string {
  if (text.length <= longest) return text;
  const head = Math.ceil((longest - 1) * 0.6);
  // Half of a surrogate pair at the cut would be no text.
  return `${text.slice(0, head).replace(/[\ud800-\udbff]$/, '')}…${text.slice(head + 1 - longest).replace(/^[\udc00-\udfff]/, '')}`;
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  // Of objects their kind: a list of one number would read as that number.
  return typeof value === 'object' && value !== null ? Object.prototype.toString.call(value) : String(value);
}

/** A value in a message, whatever it is. */
export function show(value: unknown): string {
  try {
    return clip(textOf(value), LONGEST.value);
  } catch {
    return `an odd ${typeof value}`; // a proxy that was revoked, for example
  }
}

/** Gives classes the names that users see in the console and in reports: a minifier, this package's or theirs, shortens those in the source. */
export function named(classes: Record<string, object>): void {
  for (const [name, value] of Object.entries(classes)) Object.defineProperty(value, 'name', { value: name });
}

/** Base class of every error of this package. `message` is one sentence of at most 300 characters that says how to fix the problem. */
export class TopKError extends Error {
  /** The kind of error, for programs. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(clip(message, LONGEST.message), options);
    this.code = code;
    this.name = new.target.name;
  }
}

/**
 * A file of the model cannot be used: codes `config`, `checkpoint`, `tokenizer`, `io`, `features`; or it has no neuron statistics:
 * `no-features`.
 */
export class TopKModelError extends TopKError {}

/** An argument of a call is wrong: codes `argument`, `edit`, `hook`, `context`. */
export class TopKArgumentError extends TopKError {}

/** The device failed: codes `device`, `device-lost`, `out-of-memory`, `non-finite`. */
export class TopKDeviceError extends TopKError {}

/** A file could not be fetched (`download`) or is not what `manifest.json` says (`integrity`). */
export class TopKDownloadError extends TopKError {}

/** The engine could not be started or stopped working: codes `worker`, `wasm`, `internal`. Load the model again. */
export class TopKWorkerError extends TopKError {}

/** The caller aborted: code `aborted`. `name` is `AbortError`, as everywhere on the web; `cause` is the signal's reason. */
export class TopKAbortError extends TopKError {
  override name = 'AbortError';

  constructor(message = 'The call was aborted by its signal.', options?: ErrorOptions) {
    super('aborted', message, options);
  }
}

/** The model was disposed: code `disposed`. */
export class TopKDisposedError extends TopKError {
  constructor(message = 'The model was disposed; load it again with TopKLM.load.', options?: ErrorOptions) {
    super('disposed', message, options);
  }
}

named({
  TopKError,
  TopKModelError,
  TopKArgumentError,
  TopKDeviceError,
  TopKDownloadError,
  TopKWorkerError,
  TopKAbortError,
  TopKDisposedError,
});

/** An error as it crosses the worker boundary, and as the wasm module throws it. */
export interface ErrorData {
  code: string;
  message: string;
}

type Subclass = new (code: ErrorCode, message: string, options?: ErrorOptions) => TopKError;

const SUBCLASS: Record<Exclude<ErrorCode, 'aborted' | 'disposed'>, Subclass> = {
  config: TopKModelError,
  checkpoint: TopKModelError,
  tokenizer: TopKModelError,
  io: TopKModelError,
  features: TopKModelError,
  'no-features': TopKModelError,
  argument: TopKArgumentError,
  edit: TopKArgumentError,
  hook: TopKArgumentError,
  context: TopKArgumentError,
  device: TopKDeviceError,
  'device-lost': TopKDeviceError,
  'out-of-memory': TopKDeviceError,
  'non-finite': TopKDeviceError,
  download: TopKDownloadError,
  integrity: TopKDownloadError,
  worker: TopKWorkerError,
  wasm: TopKWorkerError,
  internal: TopKWorkerError,
};

/** The error of the right subclass for a code and its sentence. */
export function createError(code: ErrorCode, message: string, options?: ErrorOptions): TopKError {
  if (code === 'aborted') return new TopKAbortError(message, options);
  if (code === 'disposed') return new TopKDisposedError(message, options);
  return new SUBCLASS[code](code, message, options);
}

function isCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && (code in SUBCLASS || code === 'aborted' || code === 'disposed');
}

/** Whatever was thrown, as a {@link TopKError}: `{code, message}` by its code, all else as `internal`. */
export function toTopKError(thrown: unknown): TopKError {
  if (thrown instanceof TopKError) return thrown;
  const { code, message, name } = partsOf(thrown);
  if (isCode(code)) return createError(code, message);
  if (name === 'AbortError') return new TopKAbortError(undefined, { cause: thrown });
  return new TopKWorkerError('internal', message, { cause: thrown });
}

function partsOf(thrown: unknown): { code?: unknown; message: string; name?: unknown } {
  try {
    if (typeof thrown === 'object' && thrown !== null && 'message' in thrown) {
      const { code, message, name } = thrown as { code?: unknown; message: unknown; name?: unknown };
      return { code, message: String(message), name };
    }
    return { message: String(thrown) };
  } catch {
    return { message: show(thrown) };
  }
}

const AsyncFunction = (async () => {}).constructor;

/** Whether something is an object as `{}` writes it. */
export function isPlain(given: unknown): given is Record<string, unknown> {
  try {
    return typeof given === 'object' && given !== null && Object.getPrototypeOf(given) === Object.prototype;
  } catch {
    return false; // a proxy that was revoked, for example
  }
}

/**
 * Makes the functions of `target` (a prototype, a class for its static ones, an object) throw and reject with {@link TopKError} only. What is none
 * by then comes from an argument: a getter that throws, an object that only looks like what it should be.
 *
 * @param isStrict - whether options are refused that no call reads; not of an iterator, whose protocol hands on what it is given
 */
export function typedCalls<T extends object>(target: T, isStrict = true): T {
  for (const [name, { value, writable }] of Object.entries(Object.getOwnPropertyDescriptors(target))) {
    if (typeof value !== 'function' || name === 'constructor' || !writable) continue;
    const refuse = value instanceof AsyncFunction ? async (error: TopKError) => Promise.reject(error) : rethrow;
    const wrapped = function (this: unknown, ...given: unknown[]): unknown {
      // Options that no call reads, as of `encode(text, { add_special_tokens: false })`; what `texts.map(encode)` hands on is none.
      if (isStrict && given.slice(value.length).some(isPlain)) return refuse(createError('argument', `${name} takes no further options.`));
      return typed(() => value.apply(this, given) as unknown);
    };
    Object.defineProperty(wrapped, 'name', { value: name });
    Object.defineProperty(target, name, { value: wrapped });
  }
  return target;
}

/** The result of one such call. */
export function typed<T>(call: () => T): T {
  try {
    const result = call();
    return result instanceof Promise ? (result.catch(rethrow) as T) : result;
  } catch (error) {
    return rethrow(error);
  }
}

function rethrow(error: unknown): never {
  if (error instanceof TopKError) throw error;
  throw createError('argument', `An argument cannot be used (${partsOf(error).message}).`, { cause: error });
}

/** What of an error crosses the worker boundary. */
export function errorData(error: TopKError): ErrorData {
  return { code: error.code, message: error.message };
}

/** The error for a signal that is aborted. */
export function abortError(signal: AbortSignal): TopKAbortError {
  return new TopKAbortError(undefined, { cause: signal.reason });
}

/** Throws {@link TopKAbortError} if the signal is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal);
}

/** Resolves with `result`, or rejects when `signal` aborts. Aborting stops only this wait, not the work behind it. */
export async function until<T>(result: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return result;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortError(signal));
    result.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}
