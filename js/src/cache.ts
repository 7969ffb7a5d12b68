/**
 * Files in a {@link Storage}, as parts of {@link PART_BYTES}. The key of a part holds the file's version, so parts of two
 * versions never mix; a file is complete only once its record exists, which is written last, after verification.
 *
 *     file/URL             JSON record {version, bytes, verified, seal}
 *     part/URL/VERSION/0   first part, and so on
 *
 * The seal holds the SHA-256 of each part, so what comes back is what was stored, or does not come back.
 */
import { canHash, sha256 } from './hash.js';
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
  /** SHA-256 of each part; missing in records of old, and where it cannot be computed. */
  seal?: string[];
}

/** A version that does not identify the bytes: its parts are never resumed. */
export const UNKNOWN_VERSION = 'unknown';

const fileKey = (url: string) => `file/${encodeURIComponent(url)}`;
const partsPrefix = (url: string) => `part/${encodeURIComponent(url)}/`;
const partKey = (url: string, version: string, part: number) => `${partsPrefix(url)}${encodeURIComponent(version)}/${part}`;
const isLength = (bytes: unknown): bytes is number => Number.isSafeInteger(bytes) && (bytes as number) >= 0;
const partCount = (bytes: number) => Math.ceil(bytes / PART_BYTES);

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

  /** All bytes of a complete file; `undefined` if a part is missing (the browser may evict) or has the wrong length. */
  async read(url: string, record: FileRecord): Promise<Blob | undefined> {
    const parts = await this.parts(url, record.version, record.bytes);
    const blob = new Blob(parts);
    return blob.size === record.bytes ? blob : undefined;
  }

  /**
   * {@link read}, if every part is still what was stored. A part that is not is deleted; those before it stay for a download to go on from.
   * `onBytes`: bytes checked so far.
   */
  async readSealed(url: string, record: FileRecord, onBytes: (bytes: number) => void): Promise<Blob | undefined> {
    const { version, bytes, seal } = record;
    if (!seal) return undefined;
    const parts = await this.parts(url, version, bytes);
    let checked = 0;
    for (const [number, part] of parts.entries()) {
      if (seal[number] !== (await sha256(part))) {
        await this.#storage.delete(partKey(url, version, number));
        return undefined;
      }
      checked += part.size;
      onBytes(checked);
    }
    return checked === bytes ? new Blob(parts) : undefined;
  }

  /** The parts that are there from the beginning on, without a gap. */
  async parts(url: string, version: string, bytes: number | null): Promise<Blob[]> {
    const parts: Blob[] = [];
    const count = bytes === null ? Infinity : partCount(bytes);
    while (parts.length < count) {
      const part = await this.#storage.get(partKey(url, version, parts.length));
      const last = bytes !== null && parts.length === count - 1;
      const expected = last ? bytes - (count - 1) * PART_BYTES : PART_BYTES;
      if (part?.size !== expected) break;
      parts.push(part);
    }
    return parts;
  }

  async putPart(url: string, version: string, part: number, blob: Blob): Promise<void> {
    await this.#storage.put(partKey(url, version, part), blob);
  }

  /** Marks the file as complete, with a seal over `content`, and drops the parts of other versions. */
  async complete(url: string, facts: Omit<FileRecord, 'seal'>, content: Blob): Promise<void> {
    const record: FileRecord = { ...facts };
    if (canHash()) {
      record.seal = [];
      for (let from = 0; from < content.size; from += PART_BYTES) record.seal.push(await sha256(content.slice(from, from + PART_BYTES)));
    }
    await this.#storage.put(fileKey(url), new Blob([JSON.stringify(record)], { type: 'application/json' }));
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
