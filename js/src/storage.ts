/** Where downloaded bytes are stored: the browser's Cache API, behind an interface. */
import { createError, show } from './errors.js';

/** Blobs by key. Every method may reject, with `QuotaExceededError` for example. */
export interface Storage {
  get(key: string): Promise<Blob | undefined>;
  put(key: string, blob: Blob): Promise<void>;
  delete(key: string): Promise<void>;
  /** Whether a later visit will find it. It asks by the cache's name: if another tab deleted the cache, the open handle still answers as before. */
  isKept(key: string): Promise<boolean>;
  /** All keys that begin with `prefix`. */
  keys(prefix: string): Promise<string[]>;
}

// The Cache API wants URLs as keys. This host never exists (RFC 6761), so nothing of a page's own is shadowed.
const KEY_BASE = 'https://cache.topk-lm.invalid/';

/** The Cache API of `caches`. */
class CacheApiStorage implements Storage {
  readonly #cache: Cache;
  readonly #name: string;

  constructor(cache: Cache, name: string) {
    this.#cache = cache;
    this.#name = name;
  }

  async get(key: string): Promise<Blob | undefined> {
    const response = await this.#cache.match(KEY_BASE + key);
    return response?.blob();
  }

  async put(key: string, blob: Blob): Promise<void> {
    await this.#cache.put(KEY_BASE + key, new Response(blob));
  }

  async delete(key: string): Promise<void> {
    await this.#cache.delete(KEY_BASE + key);
  }

  async isKept(key: string): Promise<boolean> {
    return (await caches.match(KEY_BASE + key, { cacheName: this.#name })) !== undefined;
  }

  async keys(prefix: string): Promise<string[]> {
    const requests = await this.#cache.keys();
    return requests.map(({ url }) => url.slice(KEY_BASE.length)).filter((key) => key.startsWith(prefix));
  }
}

/** The storage named `name`, or why there is none. */
export async function openStorage(name: string | null): Promise<Storage | string> {
  if (name === null) return 'Storing was switched off by `cache: false`.';
  try {
    // Where a page may store nothing (in a sandboxed frame, say), the name alone throws.
    if (typeof caches !== 'undefined') return new CacheApiStorage(await caches.open(name), name);
  } catch (error) {
    return `The browser refuses to open the cache (${String(error)}): allow storage for this site to keep downloads.`;
  }
  return typeof isSecureContext !== 'undefined' && !isSecureContext
    ? 'This page is not a secure context, so the browser offers no Cache API: serve it over https or from localhost to keep downloads.'
    : 'There is no Cache API here, so downloads are kept in memory only.';
}

/** Deletes everything stored under a cache name. */
export async function clearCache(name = 'topk-lm'): Promise<void> {
  if (typeof name !== 'string' || name === '') throw createError('argument', `The cache is ${show(name)}, but must be a name.`);
  const storage = await openStorage(name);
  if (typeof storage !== 'string') await caches.delete(name);
}
