/** Requests to a server, and what its responses say about a file. */
import { abortError, createError, throwIfAborted, TopKError } from './errors.js';
import { UNKNOWN_VERSION } from './cache.js';

/** Attempts without any progress before a download gives up. */
const ATTEMPTS = 4;

/** After this long (ms) without an answer or a byte, a connection counts as broken. */
export const SILENCE = 30_000;

/** After this long (ms) a server is not waited for any more, if what it is asked about is stored already. */
export const BRIEF_SILENCE = 3000;

/** The outside world; tests provide their own. */
export interface Network {
  fetch: typeof fetch;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** `false`: there is no network, so retrying is pointless. */
  online(): boolean;
}

export const NETWORK: Network = {
  fetch: (input, init) => fetch(input, init),
  online: () => typeof navigator === 'undefined' || (navigator as Partial<Navigator>).onLine !== false,
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(done, ms);
      function done() {
        signal.removeEventListener('abort', abort);
        resolve();
      }
      function abort() {
        clearTimeout(timer);
        reject(abortError(signal));
      }
      signal.addEventListener('abort', abort, { once: true });
    }),
};

/** The network failed, which is then the `cause`, or the server is overloaded: another attempt may succeed. */
export class Retriable extends Error {}

/** The server accepted the connection and said nothing: more than one more attempt is not worth the wait. */
class Silent extends Retriable {}

/** How much of {@link ATTEMPTS} a failure uses up. */
export function attemptsUsed(failure: Retriable): number {
  return failure instanceof Silent ? ATTEMPTS / 2 : 1;
}

/** A signal that is aborted with `signal` and with `over`, which has to be aborted in the end. */
export function eitherOf(signal: AbortSignal, over: AbortController): AbortSignal {
  // Safari has it from 17.4 on, Firefox from 124, Chrome from 116.
  if ((AbortSignal as Partial<typeof AbortSignal>).any) return AbortSignal.any([signal, over.signal]);
  const abort = () => over.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { signal: over.signal });
  return over.signal;
}

/**
 * Runs `use` with a signal that is aborted after `silence` (ms) without a call of `alive`, and at the end, which frees the connection where
 * reading stopped early. `what`: names the request in the error.
 */
export async function timely<T>(
  what: string,
  signal: AbortSignal | undefined,
  use: (signal: AbortSignal, alive: () => void) => Promise<T>,
  silence = SILENCE,
): Promise<T> {
  const over = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let alive!: () => void;
  const silent = new Promise<never>((_, reject) => {
    alive = () => {
      clearTimeout(timer);
      if (over.signal.aborted) return;
      timer = setTimeout(() => {
        reject(new Silent(`${what}: the server said nothing for ${silence / 1000} s; check the connection and try again.`));
        over.abort();
      }, silence);
    };
  });
  alive();
  try {
    return await Promise.race([use(signal ? eitherOf(signal, over) : over.signal, alive), silent]);
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

/** Runs `attempt` again, after a pause, as long as it throws {@link Retriable}. */
export async function retry<T>(network: Network, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; ) {
    throwIfAborted(signal);
    try {
      return await attempt();
    } catch (error) {
      throwIfAborted(signal);
      if (!(error instanceof Retriable)) throw error;
      failures += attemptsUsed(error);
      await pause(network, signal, error, failures);
    }
  }
}

/** Waits for the next attempt: 500, 1000, 2000 ms. Throws where `failures` of {@link ATTEMPTS} leave none, or there is no network. */
export async function pause(network: Network, signal: AbortSignal, { message, cause }: Retriable, failures: number): Promise<void> {
  if (failures >= ATTEMPTS || !network.online()) throw createError('download', message, { cause });
  await network.sleep(250 * 2 ** failures, signal);
}

/** Whether a URL is of this page's own origin. */
const isOwn = (url: string): boolean => typeof origin !== 'undefined' && new URL(url).origin === origin;

/** Fetches; what the network does wrong becomes {@link Retriable}. */
export async function request(network: Network, url: string, init: RequestInit & { signal: AbortSignal }): Promise<Response> {
  let response: Response;
  try {
    response = await network.fetch(url, init);
  } catch (error) {
    throwIfAborted(init.signal);
    // Another origin may also refuse the page.
    const why = isOwn(url)
      ? '; check the connection'
      : ` (${String(error)}); check the connection, and that the server allows requests from this page (CORS)`;
    throw new Retriable(`${url} could not be fetched${why}.`, { cause: error });
  }
  if ((response.status >= 500 && response.status !== 501) || response.status === 408 || response.status === 429) {
    throw new Retriable(`${url} could not be fetched: the server responded with ${response.status}; try again later.`);
  }
  return response;
}

/** Whether a response says that the file is not there. A page in its place counts as that. */
export function isMissing(response: Response): boolean {
  return response.status === 404 || response.status === 410 || (response.ok && isPage(response));
}

/** Whether a response is a web page. */
export function isPage(response: Response): boolean {
  return /^text\/html\b/i.test(response.headers.get('content-type') ?? '');
}

/** Most bytes of a file that is no weights, where nothing says how long it is: a body may have no end, or unpack to a thousand times its length. */
export const MOST_UNTOLD = 128 << 20;

/** `most`: what {@link untoldEnd} gave. */
export function tooLong(url: string, most: number): Error {
  if (most !== MOST_UNTOLD) return createError('download', `${url} continues past the end that its header declares.`);
  return createError('download', `${url} is longer than ${MOST_UNTOLD >> 20} MiB, the limit for a file whose length is not known.`);
}

/** Whether a file is of weights, which may be long. */
export const isWeights = (path: string): boolean => path.endsWith('.safetensors');

/**
 * Where a file must end whose length nobody says: weights where their header says so, which may not be there yet (`null`); all else at
 * {@link MOST_UNTOLD}, weights of which no header can be read too.
 */
export async function untoldEnd(
  path: string,
  held: number,
  read: (from: number, to: number) => Promise<Uint8Array>,
): Promise<number | null> {
  if (!isWeights(path)) return MOST_UNTOLD;
  if (held < 8) return null;
  const start = await read(0, 8);
  const header = 8 + Number(new DataView(start.buffer, start.byteOffset).getBigUint64(0, true));
  if (header > MOST_UNTOLD) return MOST_UNTOLD;
  if (held < header) return null;
  try {
    const tensors: Record<string, { data_offsets?: number[] }> = JSON.parse(new TextDecoder().decode(await read(8, header)));
    return header + Object.values(tensors).reduce((end, tensor) => Math.max(end, Number(tensor.data_offsets?.[1] ?? 0)), 0);
  } catch {
    return MOST_UNTOLD;
  }
}

/** Reads a body for as long as the server keeps sending, up to where it must end. */
export async function readBody(url: string, response: Response, alive: () => void, path: string): Promise<Blob> {
  const chunks: BlobPart[] = [];
  let bytes = 0;
  let most: number | null = null;
  const reader = response.body?.getReader();
  try {
    for (;;) {
      alive();
      const chunk = await reader?.read();
      if (!chunk || chunk.done) return new Blob(chunks);
      bytes += chunk.value.length;
      chunks.push(chunk.value as BlobPart);
      most ??= await untoldEnd(path, bytes, async (from, to) => new Uint8Array(await new Blob(chunks).slice(from, to).arrayBuffer()));
      if (most !== null && bytes > most) throw tooLong(url, most);
    }
  } catch (error) {
    if (error instanceof TopKError) throw error;
    throw new Retriable(`${url}: the download stopped (${String(error)}).`, { cause: error });
  }
}

/** Types that servers compress. */
const COMPRESSIBLE = /^(?:text\/|application\/(?:.*\+)?(?:json|javascript|wasm|xml)\b)/i;

/** Length of the body in bytes; `null` where the header is missing, or speaks of the compressed body: another origin may hide that it does. */
export function bodyBytes({ headers, type }: Response): number | null {
  const encoding = headers.get('content-encoding') ?? 'identity';
  const length = headers.get('content-length');
  const mayBeCompressed = type === 'cors' && COMPRESSIBLE.test(headers.get('content-type') ?? '');
  return length !== null && encoding === 'identity' && !mayBeCompressed && /^\d+$/.test(length) ? Number(length) : null;
}

/**
 * What the bytes are known by without a manifest: `Last-Modified`, which every page may read, and `ETag`, which also tells versions of one second
 * apart. A server that compresses says the same ETag with another ending.
 */
export function serverVersion(headers: Headers): string {
  const modified = headers.get('last-modified');
  const tag = headers
    .get('etag')
    ?.replace(/^W\//, '')
    .replaceAll('"', '')
    .replace(/[-;](?:gzip|br|zstd|deflate)$/, '');
  const known = [modified && `modified-${modified}`, tag && `etag-${tag}`].filter(Boolean);
  return known.length > 0 ? known.join(' ') : UNKNOWN_VERSION;
}

/** A file that the server refuses. */
export function refusal(url: string, status: number): Error {
  return createError('download', `${url} could not be fetched: the server responded with ${status}.`);
}

/** A file of a model that is not there. `why`: how that is known. */
export function notFound(url: string, why = ''): Error {
  return createError('download', `${url} was not found${why}; the URL must point to a model folder.`);
}
