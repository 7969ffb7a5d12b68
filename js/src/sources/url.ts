/**
 * A model folder on a server. With `manifest.json` everything about its files is known at once; without, the server is
 * asked (HEAD). Weights may be read as they come in, before the file is whole and verified, so that the engine is built meanwhile.
 */
import { blobOf, FileCache, type Held, UNKNOWN_VERSION, type SealedFile } from '../cache.js';
import { Download, fromCache } from '../download.js';
import { createError, throwIfAborted } from '../errors.js';
import { canHash } from '../hash.js';
import { fileUrl, type ModelFiles, type OpenContext, type OpenFolder } from './source.js';
import {
  bodyBytes,
  BRIEF_SILENCE,
  isMissing,
  isWeights,
  NETWORK,
  type Network,
  readBody,
  request,
  notFound,
  refusal,
  Retriable,
  retry,
  serverVersion,
  timely,
} from '../remote.js';
import { isOther, looksLikeHtml, parseManifest, shardNames, type Manifest } from '../manifest.js';
import type { Downloaded, DownloadContext, RemoteFile } from '../transfer.js';
import { ByteProgress } from '../progress.js';
import type { Pieces } from '../topk_lm.js';
import { openStorage } from '../storage.js';
import type { CacheInfo } from '../types.js';

const INDEX = 'model.safetensors.index.json';
const WEIGHTS = 'model.safetensors';
const MANIFEST = 'manifest.json';
const NOT_STORED = 'The browser did not store the files, or they were deleted since.';

/** Where files are found: on the server, or in the storage. */
interface Finder {
  /** What is known of a file before it is fetched; `undefined`: it is not there. */
  find(path: string): Promise<RemoteFile | undefined>;
  read(file: RemoteFile): Promise<Held>;
}

/** Network, storage and base URL of one model. */
export class UrlFiles implements ModelFiles {
  readonly missing = 'download';
  readonly #base: URL;
  readonly #network: Network;
  readonly #cache: FileCache | null;
  /** Why nothing is stored, if so. */
  #memoryReason: string | undefined;
  #manifest: Manifest | null | undefined;
  /**
   * Versions of the files in use, by path: the one that the server announced and the one that then came, which may be another. Those of two versions
   * of a model never mix, so nothing takes their place.
   */
  readonly #used = new Map<string, { said: string; came?: string }>();
  /** What the server said to files that it neither has nor lacks, by path. */
  readonly #refused = new Map<string, number>();
  /** Stored files that are read already, by URL. */
  readonly #opened = new Map<string, Promise<SealedFile | undefined>>();

  private constructor(base: URL, network: Network, cache: FileCache | string) {
    this.#base = base;
    this.#network = network;
    this.#cache = typeof cache === 'string' ? null : cache;
    this.#memoryReason = typeof cache === 'string' ? cache : undefined;
  }

  /** `cacheName`: see {@link openStorage}. */
  static async create(base: string, cacheName: string | null, network: Network = NETWORK): Promise<UrlFiles> {
    const storage = await openStorage(cacheName);
    return new UrlFiles(new URL(base), network, typeof storage === 'string' ? storage : new FileCache(storage));
  }

  get checkpoints(): number[] | undefined {
    return this.#manifest?.steps;
  }

  async open(folder: string, { signal, onProgress, early }: OpenContext): Promise<OpenFolder> {
    this.#openStored(folder, signal);
    const files = await this.#found(signal, (finder) => this.#list(folder, finder));
    const progress = new ByteProgress('download', totalBytes(files), onProgress);
    const fetchFile = (file: RemoteFile, turn: Promise<unknown> | undefined) => {
      const download = this.#download(file, signal, (bytes, cached) => progress.update(file.path, bytes, cached), turn);
      this.#opened.delete(file.url);
      download.whole.then(
        () => progress.fileDone(totalBytes(files)),
        () => {}, // said to whoever waits for the file
      );
      return download;
    };
    const opened = new UrlFolder(folder, files, fetchFile, early ?? false, () => this.#memoryReason, this.#cache);
    for (const opening of this.#opened.values()) opening.then((stored) => stored?.stop()); // no longer a file of the model
    this.#opened.clear();
    await opened.sizesKnown();
    return opened;
  }

  /** Reads what is stored while the server is asked whether it still has the same. */
  #openStored(folder: string, signal: AbortSignal): void {
    if (!this.#cache || !canHash()) return;
    for (const path of namesIn(folder)) {
      const url = this.#url(folder + path);
      const opening = this.#cache.open(url, signal).catch(() => undefined);
      this.#opened.set(url, opening);
    }
  }

  async file(path: string, signal: AbortSignal, keep = false): Promise<Blob | undefined> {
    const file = await this.#found(signal, ({ find }) => find(path));
    if (!file) return undefined;
    const held = await this.#download(file, signal, () => {}).whole;
    if (keep && !held.stored) throw createError('io', this.#memoryReason ?? NOT_STORED);
    return blobOf(held);
  }

  #url(path: string): string {
    return fileUrl(this.#base, path);
  }

  #download(file: RemoteFile, signal: AbortSignal, onBytes: DownloadContext['onBytes'], turn?: Promise<unknown>): Download {
    const onStorageFailure = (reason: string) => (this.#memoryReason = reason);
    const { path, url, version } = file;
    const used = this.#used.get(path);
    const came = used?.came; // as it is now: two that begin together may both be the first
    const checkUsed = (one: string) => {
      if (![used?.said, came, UNKNOWN_VERSION].includes(one)) throw replaced(url);
    };
    if (used && !file.offline) checkUsed(version);
    const release = () => used === undefined && this.#used.delete(path);
    const renew = async () => {
      release();
      const isRenewed = await this.#renew(file, signal);
      if (isRenewed) this.#used.set(path, { said: file.version });
      return isRenewed;
    };
    const onVersion = came === undefined ? undefined : checkUsed;
    const context = { network: this.#network, cache: this.#cache, signal, onBytes, onStorageFailure, onVersion, renew };
    if (!used && version !== UNKNOWN_VERSION) this.#used.set(path, { said: version });
    const download = new Download(file, context, turn, this.#opened.get(file.url));
    download.whole.then(
      ({ size }) => {
        file.bytes = size;
        if (file.version === UNKNOWN_VERSION) return;
        const { said, came } = this.#used.get(path) ?? { said: file.version };
        this.#used.set(path, { said, came: came ?? file.version });
      },
      release, // the error is said to whoever waits for the file
    );
    return download;
  }

  /**
   * Asks for the manifest again, since the server has another file than it says: the newer one holds from now on, if what is in use is the same
   * in it. Else the model was replaced, and no checkpoint of the one in use is to be had.
   */
  async #renew(file: RemoteFile, signal: AbortSignal): Promise<boolean> {
    const manifest = file.sha256 === null ? null : await this.#fetchManifest(signal, false).catch(() => null);
    const now = manifest && this.#listed(manifest, file.path);
    if (!manifest || !now || now.version === file.version) return false;
    for (const [path, { said }] of this.#used) if (this.#listed(manifest, path)?.version !== said) throw replaced(file.url);
    this.#manifest = manifest;
    Object.assign(file, now);
    return true;
  }

  /**
   * Finds files on the server. It is asked but once, and not for long, where all of them are stored: if it then says nothing, the stored ones are
   * taken, all of them, so that no two versions mix.
   */
  async #found<T>(signal: AbortSignal, from: (finder: Finder) => Promise<T>): Promise<T> {
    const stored = this.#manifest ? undefined : await this.#foundStored(signal, from);
    const isBrief = stored !== undefined;
    try {
      if (this.#manifest === undefined) this.#manifest = await this.#fetchManifest(signal, isBrief);
      return await from({
        find: (path) => this.#find(path, signal, isBrief),
        read: (file) => this.#download(file, signal, () => {}).whole,
      });
    } catch (error) {
      throwIfAborted(signal);
      if (!stored || !(error instanceof Retriable)) throw error;
      if (stored.manifest) this.#manifest ??= stored.manifest; // that there is none, the server did not say
      return stored.found;
    }
  }

  /** The same of what is stored; `undefined` where that does not hold all of it, as far as can be told. */
  async #foundStored<T>(
    signal: AbortSignal,
    from: (finder: Finder) => Promise<T>,
  ): Promise<{ manifest: Manifest | null; found: T } | undefined> {
    try {
      const manifest = (await this.#storedManifest(signal)) ?? null;
      const find = async (path: string) => {
        const kept = await this.#kept(path);
        const listed = manifest && this.#listed(manifest, path);
        if (listed && kept?.version !== listed.version) throw new Error(`${path} is not stored`);
        return manifest ? (listed ?? undefined) : kept;
      };
      const read = async (file: RemoteFile) => {
        const held = await fromCache(file, this.#context(signal));
        if (!held) throw new Error(`${file.path} is not stored`);
        return held;
      };
      const found = await from({ find, read });
      return manifest || found !== undefined ? { manifest, found } : undefined;
    } catch {
      throwIfAborted(signal);
      return undefined;
    }
  }

  /** The manifest; `null` where there is none. Without a network: the stored one. `isBrief`: as for {@link UrlFiles.#ask}. */
  async #fetchManifest(signal: AbortSignal, isBrief: boolean): Promise<Manifest | null> {
    const url = this.#url(MANIFEST);
    try {
      const text = await this.#ask(url, 'GET', signal, isBrief, async (response, alive) => {
        if (isMissing(response)) {
          // A page in its place may be of a network that asks for a login.
          if (!response.ok) await this.#cache?.forget(url).catch(() => {});
          return null;
        }
        if ([401, 403].includes(response.status)) return undefined; // or missing, where files may not be listed (S3)
        if (!response.ok) throw refusal(url, response.status);
        return (await readBody(url, response, alive, MANIFEST)).text();
      });
      if (text === undefined) return (await this.#storedManifest(signal)) ?? null;
      if (text === null || looksLikeHtml(text) || isOther(text)) return null;
      const manifest = parseManifest(text, url);
      const blob = new Blob([text]);
      await this.#cache
        ?.putPart(url, UNKNOWN_VERSION, 0, blob)
        .then(() => this.#cache?.complete(url, { version: UNKNOWN_VERSION, bytes: blob.size, verified: false }, { blob }))
        .catch(() => {}); // only needed without a network
      return manifest;
    } catch (error) {
      throwIfAborted(signal);
      if (isBrief && error instanceof Retriable) throw error;
      const stored = await this.#storedManifest(signal);
      if (stored) return stored;
      if (await this.#kept('config.json')) return null; // a model without one, and without a network
      throw error;
    }
  }

  async #storedManifest(signal: AbortSignal): Promise<Manifest | undefined> {
    const url = this.#url(MANIFEST);
    const file: RemoteFile = { path: MANIFEST, url, bytes: null, sha256: null, version: UNKNOWN_VERSION, offline: true };
    const stored = await fromCache(file, this.#context(signal));
    return stored && parseManifest(await blobOf(stored).text(), url);
  }

  #context(signal: AbortSignal): DownloadContext {
    return { network: this.#network, cache: this.#cache, signal, onBytes: () => {}, onStorageFailure: () => {} };
  }

  /** The files of a folder that are there; without those that must be there it fails. */
  async #list(folder: string, { find, read }: Finder): Promise<RemoteFile[]> {
    const [config, weights, index, ...others] = await Promise.all(namesIn(folder).map((name) => find(folder + name)));
    if (folder === '' && !config) throw this.#notFound('config.json');
    const files = [config, ...others].filter((file) => file !== undefined);
    if (weights) return [...files, weights];
    if (!index) throw this.#notFound(folder + WEIGHTS);
    const blob = blobOf(await read(index));
    const shards = await Promise.all(
      shardNames(await blob.text()).map(async (name) => {
        const shard = await find(folder + name);
        if (!shard) throw this.#notFound(folder + name);
        return shard;
      }),
    );
    return [...files, index, ...shards];
  }

  #notFound(path: string): Error {
    if (this.#manifest)
      return createError('download', `${path} is not listed in ${this.#url(MANIFEST)}; add it with its size and SHA-256.`);
    const status = this.#refused.get(path);
    const url = this.#url(path);
    return status ? refusal(url, status) : notFound(url);
  }

  async #find(path: string, signal: AbortSignal, isBrief: boolean): Promise<RemoteFile | undefined> {
    if (this.#manifest) return this.#listed(this.#manifest, path);
    const url = this.#url(path);
    try {
      const head = await this.#ask(url, 'HEAD', signal, isBrief, async (response) => response);
      // HEAD is not allowed, for example: GET will tell.
      const response = head.ok || isMissing(head) ? head : await this.#ask(url, 'GET', signal, isBrief, async (answer) => answer);
      this.#refused.set(path, response.ok || isMissing(response) ? 0 : response.status);
      if (!response.ok || isMissing(response)) return undefined;
      return { path, url, bytes: bodyBytes(response), sha256: null, version: serverVersion(response.headers) };
    } catch (error) {
      throwIfAborted(signal);
      // A server that is there will say later what it has.
      if ((isBrief && error instanceof Retriable) || (error as Error).cause === undefined) throw error;
      // Without a network: what is stored is there.
      const kept = await this.#kept(path);
      // A folder that is stored whole has no other files; of weights nobody knows.
      const [folder = ''] = /^step\d+\//.exec(path) ?? [];
      if (kept || (!isWeights(path) && (await this.#foundStored(signal, (finder) => this.#list(folder, finder))))) return kept;
      throw error;
    }
  }

  #listed(manifest: Manifest, path: string): RemoteFile | undefined {
    const entry = manifest.files.get(path);
    return entry && { path, url: this.#url(path), bytes: entry.bytes, sha256: entry.sha256, version: `sha256-${entry.sha256}` };
  }

  /** A file as it is stored, whatever the server has. */
  async #kept(path: string): Promise<RemoteFile | undefined> {
    const url = this.#url(path);
    const record = await this.#cache?.record(url).catch(() => undefined);
    return record && { path, url, bytes: record.bytes, sha256: null, version: record.version, offline: true };
  }

  /**
   * Asks the server, again where that may help; it has to go on answering. The body that `use` leaves unread is not fetched. `isBrief`: it is asked
   * once, not for long, and {@link Retriable} thrown as it is.
   */
  #ask<T>(
    url: string,
    method: 'GET' | 'HEAD',
    signal: AbortSignal,
    isBrief: boolean,
    use: (response: Response, alive: () => void) => Promise<T>,
  ): Promise<T> {
    const attempt = (silence?: number) =>
      timely(
        url,
        signal,
        async (within, alive) => use(await request(this.#network, url, { method, signal: within, cache: 'no-cache' }), alive),
        silence,
      );
    return isBrief ? attempt(BRIEF_SILENCE) : retry(this.#network, signal, attempt);
  }
}

function replaced(url: string): Error {
  return createError(
    'integrity',
    `${url} is of another version of the model, which was replaced on the server; reload the page, or load the model again.`,
  );
}

/** Files that a folder may have, but for shards. The tokenizer belongs to the model, not to its checkpoints. */
function namesIn(folder: string): string[] {
  return ['config.json', WEIGHTS, INDEX, ...(folder === '' ? ['generation_config.json', 'tokenizer.json'] : [])];
}

/** Bytes of all files; `null` while one is not known. */
function totalBytes(files: readonly RemoteFile[]): number | null {
  let total = 0;
  for (const { bytes } of files) {
    if (bytes === null) return null;
    total += bytes;
  }
  return total;
}

/**
 * Files of one folder: those that are stored are read at once, the others downloaded at the same time, but files of weights one after the other
 * in the order given, in which the engine reads them.
 */
class UrlFolder implements OpenFolder {
  readonly #folder: string;
  /** In the order in which failures count. */
  readonly #files = new Map<string, { file: RemoteFile; download: Download; failure?: unknown; isRead: boolean }>();
  readonly #results: Downloaded[] = [];
  readonly #isEarly: boolean;
  readonly #cache: FileCache | null;
  readonly #memoryReason: () => string | undefined;

  constructor(
    folder: string,
    files: RemoteFile[],
    fetchFile: (file: RemoteFile, turn: Promise<unknown> | undefined) => Download,
    isEarly: boolean,
    memoryReason: () => string | undefined,
    cache: FileCache | null,
  ) {
    this.#cache = cache;
    this.#folder = folder;
    this.#isEarly = isEarly;
    this.#memoryReason = memoryReason;
    let before: Promise<unknown> | undefined;
    for (const file of files) {
      const download = fetchFile(file, isWeights(file.path) ? before : undefined);
      const entry: { file: RemoteFile; download: Download; failure?: unknown; isRead: boolean } = { file, download, isRead: false };
      this.#files.set(file.path, entry);
      download.whole.then(
        (result) => this.#results.push(result),
        (error) => (entry.failure = error),
      );
      if (isWeights(file.path)) before = download.whole;
    }
  }

  get failure(): unknown {
    for (const { failure } of this.#files.values()) if (failure !== undefined) return failure;
    return undefined;
  }

  get isWhole(): boolean {
    return this.#results.length === this.#files.size;
  }

  /** Waits for the files whose length the server did not say. */
  async sizesKnown(): Promise<void> {
    for (const { file, download } of this.#files.values()) if (file.bytes === null) await download.whole;
  }

  async misled(): Promise<boolean> {
    let was = false;
    for (const { download, isRead } of this.#files.values()) if (isRead && (await download.misled())) was = true;
    return was;
  }

  async complete(isRead = false): Promise<void> {
    for (const { file, download } of this.#files.values()) {
      if (!isRead) await download.release();
      const held = await download.whole;
      // Another tab may have deleted it while the rest came.
      if (held.stored && !isRead) held.stored = (await this.#cache?.isKept(file.url).catch(() => false)) ?? false;
    }
  }

  async distrust(): Promise<void> {
    for (const { file, download, isRead } of this.#files.values()) {
      if (!isRead) continue;
      const result = await download.whole.catch(() => undefined);
      if (result?.stored && !result.verified) await this.#cache?.forget(file.url).catch(() => {});
    }
  }

  get cache(): CacheInfo {
    const reason = this.#memoryReason();
    if (!this.#results.every(({ stored }) => stored)) {
      return { state: 'memory', reason: reason ?? NOT_STORED };
    }
    return this.#results.every(({ verified }) => verified)
      ? { state: 'verified', reason: 'Every file is stored, and its SHA-256 matches manifest.json.' }
      : {
          state: 'unverified',
          reason: 'The files are stored, but without a manifest.json only their sizes were checked.',
        };
  }

  size(path: string): number | undefined {
    return this.#files.get(this.#folder + path)?.file.bytes ?? undefined;
  }

  async read(path: string, offset: number, length: number): Promise<Pieces> {
    const entry = this.#files.get(this.#folder + path);
    if (!entry) throw createError('io', `${this.#folder}${path} is not among the model's files.`);
    entry.isRead = true;
    return this.#isEarly && isWeights(path) ? entry.download.readEarly(offset, length) : entry.download.read(offset, length);
  }
}
