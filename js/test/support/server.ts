/** A server in memory: ranges, validators, and the faults that real ones have. */
import { createHash } from 'node:crypto';
import type { Network } from '../../src/remote.ts';

export interface ServedFile {
  body: Uint8Array;
  type?: string;
  modified?: string;
  etag?: string;
}

export interface Request {
  method: string;
  path: string;
  range: string | null;
}

export class FakeServer implements Network {
  readonly files = new Map<string, ServedFile>();
  readonly log: Request[] = [];
  /** The server answers ranges. */
  ranges = true;
  /** HEAD is answered. */
  head = true;
  /** Says Content-Length. */
  lengths = true;
  /** Unknown paths get the start page with 200, as single-page hosts do. */
  fallback = false;
  /** What it answers to what is not there. */
  missing = 404;
  offline = false;
  /** Requests (`GET config.json`) that are accepted and never answered. */
  readonly silent = new Set<string>();
  /** Answers to ranges say which they are. */
  contentRange = true;
  /** Answers to ranges hold the file from here on, whatever was asked. */
  rangeFrom: number | undefined;
  /** Bytes of a body after which the connection breaks, one entry a GET; `undefined` lets it through. */
  breakAfter: (number | undefined)[] = [];
  /** Statuses to answer instead, one entry a GET; `undefined` lets it through. */
  answer: (number | undefined)[] = [];
  pauses: number[] = [];
  /** Bytes of zeros instead of a file's body, which no header counts, by path. */
  readonly untold = new Map<string, number>();
  /** What comes before those zeros. */
  readonly begun = new Map<string, Uint8Array>();
  /** Called before each chunk of 64 KiB. */
  onChunk: () => void = () => {};

  put(path: string, body: Uint8Array | string, more: Partial<ServedFile> = {}): this {
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
    this.files.set(path, { body: bytes, modified: 'Mon, 02 Nov 2026 10:00:00 GMT', ...more });
    return this;
  }

  /** manifest.json over everything that is served now. */
  putManifest(more: object = {}): this {
    const files = [...this.files].map(([path, { body }]) => ({ path, bytes: body.length, sha256: sha256(body) }));
    return this.put('manifest.json', JSON.stringify({ format: 1, files, ...more }));
  }

  /** GETs of a path so far. */
  gets(path: string): Request[] {
    return this.log.filter((request) => request.method === 'GET' && request.path === path);
  }

  online(): boolean {
    return !this.offline;
  }

  sleep = async (ms: number): Promise<void> => {
    this.pauses.push(ms);
  };

  fetch = async (input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> => {
    if (this.offline) throw new TypeError('Failed to fetch');
    init.signal?.throwIfAborted();
    const method = init.method ?? 'GET';
    const path = new URL(String(input)).pathname.replace(/^\/m\//, '');
    const range = new Headers(init.headers).get('range');
    this.log.push({ method, path, range });
    if (this.silent.has(`${method} ${path}`)) return untilAborted(init.signal);
    const file = this.files.get(path);
    if (!file) {
      return this.fallback
        ? new Response('<!doctype html><p>start page', { headers: { 'content-type': 'text/html' } })
        : new Response('not found', { status: this.missing });
    }
    if (method === 'HEAD' && !this.head) return new Response(null, { status: 405 });
    const headers = new Headers({ 'content-type': file.type ?? 'application/octet-stream' });
    if (file.modified) headers.set('last-modified', file.modified);
    if (file.etag) headers.set('etag', file.etag);
    const untold = this.untold.get(path);
    if (untold !== undefined) return new Response(method === 'HEAD' ? null : zeros(untold, this.begun.get(path)), { headers });
    if (method === 'HEAD') {
      if (this.lengths) headers.set('content-length', String(file.body.length));
      return new Response(null, { headers });
    }
    const status = this.answer.shift();
    if (status !== undefined) return new Response(null, { status });
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
    const from = range && this.ranges ? (this.rangeFrom ?? Number(first)) : 0;
    const to = last && this.ranges ? Math.min(Number(last) + 1, file.body.length) : file.body.length;
    const part = file.body.subarray(from, to);
    if (this.lengths) headers.set('content-length', String(part.length));
    if (range && this.ranges && this.contentRange) headers.set('content-range', `bytes ${from}-${to - 1}/${file.body.length}`);
    return new Response(this.#stream(part, this.breakAfter.shift(), init.signal ?? undefined), {
      status: range && this.ranges ? 206 : 200,
      headers,
    });
  };

  #stream(bytes: Uint8Array, breakAfter: number | undefined, signal: AbortSignal | undefined): ReadableStream<Uint8Array> {
    const end = Math.min(bytes.length, breakAfter ?? Number.POSITIVE_INFINITY);
    let at = 0;
    return new ReadableStream({
      pull: (controller) => {
        this.onChunk();
        if (signal?.aborted) controller.error(signal.reason);
        else if (at < end) {
          const next = Math.min(end, at + 65_536);
          controller.enqueue(bytes.slice(at, next));
          at = next;
        } else if (breakAfter !== undefined) controller.error(new TypeError('network error'));
        else controller.close();
      },
    });
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function zeros(length: number, before?: Uint8Array): ReadableStream<Uint8Array> {
  const chunk = new Uint8Array(1 << 20);
  let left = length;
  return new ReadableStream({
    start: (controller) => {
      // The header's length comes in two chunks.
      if (before) for (const part of [before.subarray(0, 5), before.subarray(5)]) controller.enqueue(part);
    },
    pull: (controller) => {
      if (left <= 0) return controller.close();
      controller.enqueue(chunk.subarray(0, left));
      left -= chunk.length;
    },
  });
}

/** The first bytes of a safetensors file whose one tensor has so many. */
export function headerOf(bytes: number): Uint8Array {
  const header = new TextEncoder().encode(
    JSON.stringify({ __metadata__: {}, w: { dtype: 'I8', shape: [bytes], data_offsets: [0, bytes] } }),
  );
  return new Uint8Array([...new Uint8Array(new BigUint64Array([BigInt(header.length)]).buffer), ...header]);
}

/** Bytes that differ everywhere, so that a shifted or doubled part is seen. */
export function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** Never an answer; as of a real fetch, an abort ends the wait. */
function untilAborted(signal: AbortSignal | null | undefined): Promise<never> {
  return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason), { once: true }));
}
