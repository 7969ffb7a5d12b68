/** Fetches one file: resumes where an interruption left off, verifies the file before it counts as complete, and keeps it in memory if storage is full. */
import { blobOf, hold, PART_BYTES, UNKNOWN_VERSION, type FileCache, type Held } from './cache.js';
import { createError, throwIfAborted, TopKError } from './errors.js';
import { canHash, sha256 as sha256Of } from './hash.js';
import { looksLikeHtml } from './manifest.js';
import {
  attemptsUsed,
  bodyBytes,
  isMissing,
  pause,
  request,
  notFound,
  refusal,
  Retriable,
  serverVersion,
  timely,
  tooLong,
  untoldEnd,
  type Network,
} from './remote.js';

/** A file to fetch. */
export interface RemoteFile {
  /** Relative to the model folder. */
  path: string;
  url: string;
  /** `null`: not known before it is there. */
  bytes: number | null;
  /** From the manifest, else `null`. */
  sha256: string | null;
  /** `sha256-…`, else what the server says. */
  version: string;
  /** The server cannot be asked, and this is what is stored: its version counts even where it identifies no bytes. */
  offline?: boolean;
}

export interface DownloadContext {
  network: Network;
  /** `null`: store nothing. */
  cache: FileCache | null;
  signal: AbortSignal;
  /** The file has `bytes` of its bytes. */
  onBytes(bytes: number, fromCache: boolean): void;
  /** The storage failed; the sentence says what to do. */
  onStorageFailure(reason: string): void;
  /** The server sends this version; throws where another is in use. */
  onVersion?: ((version: string) => void) | undefined;
  /** The file is not what the manifest says: whether a newer one says otherwise, which the file then is. */
  renew?(): Promise<boolean>;
}

export interface Downloaded extends Held {
  size: number;
  /** Whether the SHA-256 was checked: now, or when it was stored in the same bytes. */
  verified: boolean;
  /** Whether a later visit finds it. */
  stored: boolean;
}

/** A download in progress. It holds complete parts, and a tail that is not a part yet. */
export class Transfer {
  readonly #file: RemoteFile;
  readonly #context: DownloadContext;
  #cache: FileCache | null;
  #version: string;
  #parts: Blob[] = [];
  #tail: Uint8Array<ArrayBuffer>[] = [];
  #tailBytes = 0;
  /** Most bytes that were ever held: what counts as progress, so that starting again and again comes to an end. */
  #best = 0;
  /** Reads that wait until so many bytes are held, or the transfer is over. */
  #waiting: { until: number; go: () => void }[] = [];
  #isOver = false;
  /** Something was read of what is held. */
  #isRead = false;
  #isMisled = false;

  constructor(file: RemoteFile, context: DownloadContext) {
    this.#file = file;
    this.#context = context;
    this.#cache = context.cache;
    this.#version = file.version;
  }

  async run(): Promise<Downloaded> {
    try {
      return await this.#run();
    } finally {
      this.#isOver = true;
      this.#wake();
    }
  }

  /** Bytes once they are held; `undefined` after the end. */
  async read(offset: number, length: number): Promise<Uint8Array | undefined> {
    const until = offset + length;
    while (!this.#isOver && this.#held < until) await new Promise<void>((go) => this.#waiting.push({ until, go }));
    if (this.#isOver) return undefined;
    this.#isRead = true;
    return this.#range(offset, until);
  }

  /** Whether what was read was thrown away since, or will be before the end of `whole`. */
  async misled(whole: Promise<unknown>): Promise<boolean> {
    if (this.#isRead || this.#isMisled) await whole;
    const was = this.#isMisled;
    this.#isMisled = false;
    return was;
  }

  /** Lets go on what waits for no more than is held. */
  #wake(): void {
    const ready = this.#waiting.filter(({ until }) => this.#isOver || until <= this.#held);
    this.#waiting = this.#waiting.filter((waiting) => !ready.includes(waiting));
    for (const { go } of ready) go();
  }

  /** The bytes from `from` to `to`, all of which are held. */
  async #range(from: number, to: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(to - from);
    const first = Math.min(Math.floor(from / PART_BYTES), this.#parts.length);
    let start = first * PART_BYTES;
    // The lists as they are now: more may come while a Blob is read.
    for (const piece of [...this.#parts.slice(first), ...this.#tail]) {
      const size = piece instanceof Blob ? piece.size : piece.length;
      const [a, b] = [Math.max(from - start, 0), Math.min(to - start, size)];
      if (a < b)
        bytes.set(piece instanceof Blob ? new Uint8Array(await piece.slice(a, b).arrayBuffer()) : piece.subarray(a, b), start + a - from);
      start += size;
    }
    return bytes;
  }

  async #run(): Promise<Downloaded> {
    const { signal, network } = this.#context;
    await this.#resume();
    let failures = 0;
    let restarted = false;
    let renewed = false;
    for (;;) {
      const before = this.#best;
      try {
        const held = await hold(await this.#fetchRest(restarted));
        if (await this.#verify(held)) return await this.#finish(held);
        await this.#restart();
        if (restarted) {
          throw createError(
            'integrity',
            `${this.#file.url} does not match manifest.json (its SHA-256 differs); the server's copy is damaged or was replaced.`,
          );
        }
        restarted = true;
      } catch (error) {
        throwIfAborted(signal);
        const { bytes } = this.#file;
        if (error instanceof TopKError && error.code === 'integrity' && !renewed && (await this.#context.renew?.())) {
          renewed = restarted = true;
          this.#version = this.#file.version;
          this.#isMisled ||= bytes !== this.#file.bytes; // that length was told
          continue;
        }
        if (!(error instanceof Retriable)) throw error;
        failures = this.#best > before ? 1 : failures + attemptsUsed(error);
        await pause(network, signal, error, failures);
      }
    }
  }

  get #held(): number {
    return this.#parts.length * PART_BYTES + this.#tailBytes;
  }

  /** Takes over the parts of an interrupted download, unless their version is unknown. */
  async #resume(): Promise<void> {
    const { url, bytes } = this.#file;
    if (this.#version === UNKNOWN_VERSION) return;
    const parts = await this.#stored((cache) => cache.parts(url, this.#version, bytes));
    if (!parts || parts.length === 0) return;
    const last = parts.at(-1) as Blob;
    if (last.size < PART_BYTES) {
      parts.pop(); // the short part at the end of a file
      this.#tail = [new Uint8Array(await last.arrayBuffer())];
      this.#tailBytes = last.size;
    }
    this.#parts = parts;
    this.#wake();
    this.#context.onBytes(this.#held, true);
  }

  /** Drops everything held. */
  async #restart(): Promise<void> {
    this.#isMisled ||= this.#isRead;
    this.#isRead = false;
    this.#parts = [];
    this.#tail = [];
    this.#tailBytes = 0;
    await this.#stored((cache) => cache.forget(this.#file.url));
  }

  /** Fetches what is missing; the whole content. */
  async #fetchRest(reload: boolean): Promise<Blob> {
    const { url, bytes } = this.#file;
    if (this.#held === 0 || this.#held !== bytes) {
      const headers: HeadersInit = this.#held > 0 ? { range: `bytes=${this.#held}-` } : {};
      // The browser's own HTTP cache would keep the same bytes a second time.
      const cache = reload ? 'reload' : this.#cache ? 'no-store' : 'default';
      await timely(url, this.#context.signal, async (signal, alive) => {
        const response = await request(this.#context.network, url, { headers, cache, signal });
        alive();
        await this.#accept(response);
        await this.#receive(response, alive);
      });
    }
    return new Blob([...this.#parts, ...this.#tail]);
  }

  /** Checks a response against what is held already. */
  async #accept(response: Response): Promise<void> {
    const { url, sha256 } = this.#file;
    if (response.status === 416) {
      await this.#restart();
      throw new Retriable(`${url} changed during the download.`);
    }
    if (isMissing(response)) throw notFound(url);
    if (!response.ok) throw refusal(url, response.status);
    const version = sha256 ? this.#version : serverVersion(response.headers);
    if (!sha256) this.#context.onVersion?.(version);
    const continues = response.status === 206 && this.#isRest(response.headers.get('content-range'));
    if (this.#held > 0 && (!continues || version !== this.#version)) {
      await this.#restart();
      if (response.status === 206) throw new Retriable(`${url} changed during the download.`);
    }
    this.#version = this.#file.version = version;
    if (this.#held === 0 && this.#file.bytes === null) this.#file.bytes = bodyBytes(response);
  }

  /** Whether a range is what is missing. Servers elsewhere may hide it; then only a SHA-256 can tell. */
  #isRest(range: string | null): boolean {
    if (range === null) return this.#file.sha256 !== null && canHash();
    const [, from, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range) ?? [];
    return Number(from) === this.#held && (total === '*' || this.#file.bytes === null || Number(total) === this.#file.bytes);
  }

  async #receive(response: Response, alive: () => void): Promise<void> {
    const { url, path, bytes: expected } = this.#file;
    let most = expected;
    const reader = response.body?.getReader();
    if (!reader) throw new Retriable(`${url}: the response has no body.`);
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        alive();
        if (this.#held === 0 && !/\.(md|svg|xml|html?)$/.test(path) && looksLikeHtml(new TextDecoder().decode(value.subarray(0, 64)))) {
          throw notFound(url, ': the server sent a web page instead');
        }
        await this.#append(value as Uint8Array<ArrayBuffer>);
        most ??= await untoldEnd(path, this.#held, (from, to) => this.#range(from, to));
        if (most !== null && this.#held > most) break;
      }
    } catch (error) {
      if (this.#context.signal.aborted || error instanceof TopKError) throw error;
      throw new Retriable(
        `${url}: the download stopped after ${this.#held} bytes (${String(error)}); check the connection and load again to resume.`,
        { cause: error },
      );
    }
    const held = this.#held;
    // The server says that this is all.
    const isShort = expected !== null && held < expected && response.status === 200 && held === bodyBytes(response);
    const isLong = most !== null && held > most;
    if (isLong || isShort) {
      await this.#restart();
      if (expected === null && most !== null) throw tooLong(url, most);
      throw createError('integrity', `${url} is not as long as the ${expected} bytes that were expected; the server's copy was replaced.`);
    }
    if (expected !== null && held < expected) {
      throw new Retriable(
        `${url}: the download stopped after ${held} of ${expected} bytes; check the connection and load again to resume.`,
      );
    }
  }

  async #append(chunk: Uint8Array<ArrayBuffer>): Promise<void> {
    let rest = chunk;
    while (rest.length > 0) {
      const piece = rest.subarray(0, PART_BYTES - this.#tailBytes);
      rest = rest.subarray(piece.length);
      this.#tail.push(piece);
      this.#tailBytes += piece.length;
      if (this.#tailBytes === PART_BYTES) {
        const part = new Blob(this.#tail);
        this.#tail = [];
        this.#tailBytes = 0;
        this.#parts.push(part);
        await this.#storePart(this.#parts.length - 1, part);
      }
    }
    this.#best = Math.max(this.#best, this.#held);
    this.#wake();
    this.#context.onBytes(this.#held, false);
  }

  /** Whether the bytes match the manifest; true without an entry. */
  async #verify(held: Held): Promise<boolean> {
    const { sha256 } = this.#file;
    if (!sha256 || !canHash()) return true;
    const matches = (await sha256Of(held.bytes ?? (await blobOf(held).arrayBuffer()))) === sha256;
    throwIfAborted(this.#context.signal);
    return matches;
  }

  /** Stores the last part, then the record that completes the file. */
  async #finish(held: Held): Promise<Downloaded> {
    const { url, sha256 } = this.#file;
    const blob = blobOf(held);
    const verified = sha256 !== null && canHash();
    if (this.#version === UNKNOWN_VERSION) {
      // Nothing was stored on the way: parts of unknown version could mix.
      await this.#stored((cache) => cache.forget(url));
      for (let part = 0; part < this.#parts.length; part++) await this.#put(part, this.#parts[part] as Blob);
    }
    if (this.#tailBytes > 0) await this.#put(this.#parts.length, new Blob(this.#tail));
    const record = { version: this.#version, bytes: blob.size, verified };
    await this.#stored((cache) => cache.complete(url, record, held));
    // Read back: a Blob on the disk instead of one in memory.
    const onDisk = await this.#stored((cache) => cache.read(url, record));
    this.#context.onBytes(blob.size, false);
    return { blob: onDisk ?? blob, bytes: held.bytes, size: blob.size, verified, stored: onDisk !== undefined };
  }

  async #storePart(part: number, blob: Blob): Promise<void> {
    if (this.#version !== UNKNOWN_VERSION) await this.#put(part, blob);
  }

  #put(part: number, blob: Blob): Promise<void> {
    return this.#stored((cache) => cache.putPart(this.#file.url, this.#version, part, blob)) as Promise<void>;
  }

  /** Uses the cache; its first failure is reported and ends its use for this file. */
  async #stored<T>(use: (cache: FileCache) => Promise<T>): Promise<T | undefined> {
    const cache = this.#cache;
    if (!cache) return undefined;
    try {
      return await use(cache);
    } catch (error) {
      this.#cache = null;
      const full = typeof error === 'object' && error !== null && 'name' in error && error.name === 'QuotaExceededError';
      this.#context.onStorageFailure(
        full
          ? `The browser's storage for this site is full, so ${this.#file.path} is kept in memory for this visit only; free disk space or clear this site's data.`
          : `The browser could not store ${this.#file.path} (${String(error)}), so it is kept in memory for this visit only.`,
      );
      await cache.forget(this.#file.url).catch(() => {}); // makes room; without a record it is not whole anyway
      return undefined;
    }
  }
}
