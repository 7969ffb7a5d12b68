/**
 * Files in a {@link Storage}, as parts of {@link PART_BYTES}. The key of a part holds the file's version, so parts of two
 * versions never mix; a file is complete only once its record exists, which is written last, after verification.
 *
 *     file/URL             JSON record {version, bytes, verified, seal}
 *     part/URL/VERSION/0   first part, and so on
 *
 * The seal holds a checksum of each part, so what comes back is what was stored, or does not come back. Whether that is the server's file, its SHA-256
 * has told before the record was written.
 */
import { throwIfAborted } from './errors.js';
import { canHash, checksum, sha256 } from './hash.js';
import type { Storage } from './storage.js';

/** 4 MiB: the most that an interruption can lose. */
export const PART_BYTES = 4 << 20;

/** The record of a complete file. */
export interface FileRecord {
  /** What the bytes are known by: `sha256-…`, else what the server said (`Last-Modified` or `ETag`), else `unknown`. */
  version: string;
  bytes: number;
  /** Whether the SHA-256 was checked. */
  verified: boolean;
  /** Checksum of each part, or its SHA-256 in records of earlier versions; missing in those of old, and where nothing can be hashed. */
  seal?: string[];
}

/** A version that does not identify the bytes: its parts are never resumed. */
export const UNKNOWN_VERSION = 'unknown';

const fileKey = (url: string) => `file/${encodeURIComponent(url)}`;
const partsPrefix = (url: string) => `part/${encodeURIComponent(url)}/`;
const partKey = (url: string, version: string, part: number) => `${partsPrefix(url)}${encodeURIComponent(version)}/${part}`;
const isLength = (bytes: unknown): bytes is number => Number.isSafeInteger(bytes) && (bytes as number) >= 0;
const partCount = (bytes: number) => Math.ceil(bytes / PART_BYTES);
/** Bytes of a part of a file; `null`: of how many is not known. */
const sizeOf = (part: number, bytes: number | null) => Math.min(PART_BYTES, (bytes ?? Infinity) - part * PART_BYTES);

/** Most bytes of a file that are held from when they are checked until the engine has read them: reading a Blob takes longer than hashing it. */
const MOST_HELD = 128 << 20;

/** A file: its bytes, where it is small enough, or a Blob of them, or both. */
export interface Held {
  bytes?: Uint8Array<ArrayBuffer> | undefined;
  blob?: Blob | undefined;
}

/** A file with its bytes, where it is small enough. */
export async function hold(blob: Blob): Promise<Held> {
  return blob.size <= MOST_HELD ? { blob, bytes: new Uint8Array(await blob.arrayBuffer()) } : { blob };
}

/** The file as a Blob. */
export function blobOf({ blob, bytes }: Held): Blob {
  return blob ?? new Blob(bytes ? [bytes] : []);
}

/** Parts that are read at the same time: the browser does most of that on other threads. */
const AT_ONCE = 4;

/** Whether bytes are what a seal says. */
async function isSealed(bytes: Uint8Array<ArrayBuffer>, seal: string | undefined): Promise<boolean> {
  return seal === (seal?.length === SHA256_LENGTH ? await sha256(bytes) : checksum(bytes));
}

const SHA256_LENGTH = 64;

/** The results of `use`, in order, with {@link AT_ONCE} under way. */
async function atOnce<T, R>(all: readonly T[], use: (one: T, number: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async () => {
    while (next < all.length) {
      const number = next++;
      results[number] = await use(all[number] as T, number);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return results;
}

/** A stored file. Each part is checked against the seal before anything of it is read; those that are asked for come first. */
export class SealedFile {
  readonly record: FileRecord;
  /** The content, once every part is what was stored; else `undefined`. */
  readonly whole: Promise<Blob | undefined>;
  /** Hears how many bytes are checked. */
  onBytes: (bytes: number) => void = () => {};
  /** Something was read. */
  isRead = false;
  readonly #seal: readonly string[];
  readonly #storedPart: (part: number) => Promise<Blob | undefined>;
  readonly #parts: Blob[] = [];
  readonly #signal: AbortSignal;
  readonly #checks: Promise<boolean>[] = [];
  /** Parts that are checked and not read to their end, as far as {@link MOST_HELD} goes, and how much of each was read. */
  readonly #held = new Map<number, { bytes: Uint8Array<ArrayBuffer>; read: number }>();
  #heldBytes = 0;
  #checkedBytes = 0;
  #isDamaged = false;
  #isStopped = false;

  /** `storedPart` finds a part in the storage, `remove` deletes it there. */
  constructor(
    record: FileRecord,
    seal: readonly string[],
    storedPart: (part: number) => Promise<Blob | undefined>,
    signal: AbortSignal,
    remove: (part: number) => Promise<void>,
  ) {
    this.record = record;
    this.#seal = seal;
    this.#storedPart = storedPart;
    this.#signal = signal;
    this.whole = atOnce(seal, (_, part) => this.#check(part)).then(async (sound) => {
      const damaged = sound.indexOf(false);
      if (damaged < 0) return new Blob(this.#parts);
      // Those before it stay for a download to go on from.
      await remove(damaged);
      return undefined;
    });
    this.whole.catch(() => {}); // said to whoever waits for the file
  }

  get checkedBytes(): number {
    return this.#checkedBytes;
  }

  /** Bytes of the file, in pieces, as joining them takes as long as reading them; `undefined` once a part turned out not to be what was stored. */
  async read(offset: number, length: number): Promise<Uint8Array[] | undefined> {
    const to = offset + length;
    const first = Math.floor(offset / PART_BYTES);
    const numbers = Array.from({ length: Math.max(1, partCount(to) - first) }, (_, place) => first + place);
    const sound = await Promise.all(numbers.map((part) => this.#check(part)));
    if (this.#isDamaged || sound.includes(false)) return undefined;
    this.isRead = true;
    const pieces = numbers.map((part) => {
      const start = part * PART_BYTES;
      return this.#piece(part, Math.max(offset - start, 0), Math.min(to - start, PART_BYTES));
    });
    return Promise.all(pieces);
  }

  /** It is not the file that is wanted. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Nothing more is read. */
  release(): void {
    this.#held.clear();
    this.#heldBytes = MOST_HELD;
  }

  async #piece(part: number, from: number, to: number): Promise<Uint8Array> {
    const held = this.#held.get(part);
    if (!held) return new Uint8Array(await (this.#parts[part] as Blob).slice(from, to).arrayBuffer());
    held.read += to - from;
    if (held.read >= held.bytes.length && this.#held.delete(part)) this.#heldBytes -= held.bytes.length;
    return held.bytes.subarray(from, to);
  }

  #check(part: number): Promise<boolean> {
    this.#checks[part] ??= this.#checkNow(part);
    return this.#checks[part];
  }

  async #checkNow(part: number): Promise<boolean> {
    throwIfAborted(this.#signal);
    if (this.#isStopped) throw new Error('stopped');
    const blob = await this.#storedPart(part);
    const bytes = blob && new Uint8Array(await blob.arrayBuffer());
    if (!bytes || !(await isSealed(bytes, this.#seal[part]))) {
      this.#isDamaged = true;
      return false;
    }
    this.#parts[part] = blob;
    if (this.#heldBytes + bytes.length <= MOST_HELD) {
      this.#held.set(part, { bytes, read: 0 });
      this.#heldBytes += bytes.length;
    }
    this.#checkedBytes += bytes.length;
    this.onBytes(this.#checkedBytes);
    return true;
  }
}

/** Model files in a storage. */
export class FileCache {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** The record of a complete file; `undefined` if there is none. */
  async record(url: string): Promise<FileRecord | undefined> {
    const blob = await this.#storage.get(fileKey(url));
    if (!blob) return undefined;
    try {
      const record = JSON.parse(await blob.text()) as Partial<FileRecord>;
      const { version, bytes, verified, seal } = record;
      const sealed = seal === undefined || (Array.isArray(seal) && seal.every((hash) => typeof hash === 'string'));
      if (typeof version === 'string' && isLength(bytes) && typeof verified === 'boolean' && sealed) return record as FileRecord;
    } catch {
      // not ours, or damaged: as if it were not there
    }
    return undefined;
  }

  /** Whether a file that was complete still is. */
  isKept(url: string): Promise<boolean> {
    return this.#storage.isKept(fileKey(url));
  }

  /** All bytes of a complete file; `undefined` if a part is missing (the browser may evict) or has the wrong length. */
  async read(url: string, record: FileRecord): Promise<Blob | undefined> {
    const parts = await this.parts(url, record.version, record.bytes);
    const blob = new Blob(parts);
    return blob.size === record.bytes ? blob : undefined;
  }

  /** A complete file that has a seal; its parts are read and checked from now on, until `signal` is aborted. */
  async open(url: string, signal: AbortSignal): Promise<SealedFile | undefined> {
    const record = await this.record(url);
    if (!record || record.seal?.length !== partCount(record.bytes)) return undefined;
    const key = (part: number) => partKey(url, record.version, part);
    const find = async (part: number) => {
      const blob = await this.#storage.get(key(part));
      return blob?.size === sizeOf(part, record.bytes) ? blob : undefined;
    };
    return new SealedFile(record, record.seal, find, signal, (part) => this.#storage.delete(key(part)));
  }

  /** The parts that are there from the beginning on, without a gap. */
  async parts(url: string, version: string, bytes: number | null): Promise<Blob[]> {
    const parts: Blob[] = [];
    const count = bytes === null ? Infinity : partCount(bytes);
    while (parts.length < count) {
      const numbers = Array.from({ length: Math.min(AT_ONCE, count - parts.length) }, (_, place) => parts.length + place);
      const found = await Promise.all(numbers.map((number) => this.#storage.get(partKey(url, version, number))));
      for (const [place, part] of found.entries()) {
        if (part?.size !== sizeOf(numbers[place] as number, bytes)) return parts;
        parts.push(part);
      }
    }
    return parts;
  }

  async putPart(url: string, version: string, part: number, blob: Blob): Promise<void> {
    await this.#storage.put(partKey(url, version, part), blob);
  }

  /** Marks the file as complete, with a seal over its content, and drops the parts of other versions. */
  async complete(url: string, facts: Omit<FileRecord, 'seal'>, held: Held): Promise<void> {
    const record: FileRecord = { ...facts };
    if (canHash()) {
      const starts = Array.from({ length: partCount(record.bytes) }, (_, number) => number * PART_BYTES);
      record.seal = await atOnce(starts, async (from) => {
        const to = from + PART_BYTES;
        return checksum(held.bytes?.subarray(from, to) ?? new Uint8Array(await blobOf(held).slice(from, to).arrayBuffer()));
      });
    }
    const before = await this.record(url);
    await this.#storage.put(fileKey(url), new Blob([JSON.stringify(record)], { type: 'application/json' }));
    // Listing takes longer the more is stored, and an interruption hardly ever leaves parts of a small file.
    if (record.bytes <= PART_BYTES && (before?.version ?? record.version) === record.version) return;
    const keep = partKey(url, record.version, 0).slice(0, -1);
    for (const key of await this.#storage.keys(partsPrefix(url))) {
      if (!key.startsWith(keep)) await this.#storage.delete(key);
    }
  }

  /** Deletes a file, complete or not. The record goes first: a file without one is incomplete. */
  async forget(url: string): Promise<void> {
    await this.#storage.delete(fileKey(url));
    for (const key of await this.#storage.keys(partsPrefix(url))) await this.#storage.delete(key);
  }
}
