/**
 * One file, from the cache or from its server (`transfer.ts`). What has come, or has been checked, may be read before all of it is there.
 */
import { blobOf, SealedFile, UNKNOWN_VERSION } from './cache.js';
import { throwIfAborted } from './errors.js';
import { canHash } from './hash.js';
import { isMissing, request, timely } from './remote.js';
import type { Pieces } from './topk_lm.js';
import { Transfer, type DownloadContext, type Downloaded, type RemoteFile } from './transfer.js';

/** A file from the cache if it is complete there; otherwise fetched, once `turn` has come. */
export class Download {
  /** The file, verified and stored. */
  readonly whole: Promise<Downloaded>;
  /** What is stored of it. */
  readonly #stored: Promise<SealedFile | Downloaded | undefined>;
  /** What fetches it, where it is not. */
  readonly #transfer: Promise<Transfer | undefined>;
  /** What was read of a stored file is thrown away, since not all of it is sound. */
  #isMisled = false;
  readonly #file: RemoteFile;
  readonly #context: DownloadContext;
  /** Others are fetched first. */
  #isWaiting: boolean;
  /** The beginning of the file, fetched while it waits for its turn. */
  #head: Promise<Uint8Array | undefined> | undefined;
  /** What of it was read. */
  #seen = new Uint8Array(0);

  /** `opened`: the stored file, where that was opened before it was clear whether it is the one to be had. */
  constructor(file: RemoteFile, context: DownloadContext, turn?: Promise<unknown>, opened?: Promise<SealedFile | undefined>) {
    this.#file = file;
    this.#context = context;
    this.#isWaiting = turn !== undefined;
    this.#stored = stored(file, context, opened);
    const isThere = this.#stored.then(async (found) => {
      const whole = found instanceof SealedFile ? await wholeOf(found, context) : found;
      if (!whole && found instanceof SealedFile) this.#isMisled = found.isRead;
      return whole;
    });
    this.#transfer = isThere.then(async (whole) => {
      if (whole) return undefined;
      await turn;
      this.#isWaiting = false;
      return new Transfer(file, context);
    });
    this.whole = isThere.then(async (whole) => whole ?? ((await this.#transfer) as Transfer).run());
    this.#transfer.catch(() => {}); // said by `whole`
  }

  /** Bytes of the file, once it is whole. */
  async read(offset: number, length: number): Promise<Pieces> {
    const whole = await this.whole;
    const found = await this.#stored;
    return (found instanceof SealedFile ? await found.read(offset, length) : undefined) ?? rangeOf(whole, offset, length);
  }

  /** Bytes as soon as they have come, or been checked; whether they are the file's, {@link misled} says. */
  async readEarly(offset: number, length: number): Promise<Pieces> {
    const found = await this.#stored;
    const bytes = found instanceof SealedFile ? await found.read(offset, length) : undefined;
    if (bytes) return bytes;
    if (!found && offset <= HEADER_AT) {
      const head = await this.#readHead(offset, offset + length);
      if (head) return head;
    }
    return (await (await this.#transfer)?.read(offset, length)) ?? this.read(offset, length);
  }

  /** Whether bytes were read early that then were thrown away; waits until all that were read so are checked. */
  async misled(): Promise<boolean> {
    const found = await this.#stored;
    if (found instanceof SealedFile && found.isRead) await this.whole;
    const seen = this.#seen;
    this.#seen = new Uint8Array(0);
    const differs = seen.length > 0 && !isSame(await rangeOf(await this.whole, 0, seen.length), seen);
    const was = this.#isMisled || differs;
    this.#isMisled = false;
    return ((await (await this.#transfer)?.misled(this.whole)) ?? false) || was;
  }

  /** Bytes of a header, whatever else is fetched; `undefined` where it is the file's turn, or the server does not give them. */
  async #readHead(from: number, to: number): Promise<Uint8Array | undefined> {
    if (!this.#isWaiting || to > MOST_HEAD) return undefined;
    let head = await this.#head;
    if (!head || head.length < to) {
      this.#head = fetchHead(this.#file, this.#context, Math.max(to, USUAL_HEAD));
      head = await this.#head;
    }
    if (!head || head.length < to) return undefined;
    if (to > this.#seen.length) this.#seen = head.slice(0, to);
    return head.subarray(from, to);
  }

  /** Nothing more is read. */
  async release(): Promise<void> {
    (await this.whole).bytes = undefined;
    const found = await this.#stored;
    if (found instanceof SealedFile) found.release();
  }
}

/** Where a safetensors file has its header, behind the length of that. */
const HEADER_AT = 8;
/** Bytes of a beginning that is fetched ahead: the headers of most files are shorter. */
const USUAL_HEAD = 64 << 10;
const MOST_HEAD = 8 << 20;

const isSame = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, at) => byte === b[at]);

/** The first `bytes` of a file, or fewer; `undefined`: they are not to be had now. */
async function fetchHead({ url }: RemoteFile, { network, signal }: DownloadContext, bytes: number): Promise<Uint8Array | undefined> {
  try {
    return await timely(url, signal, async (within, alive) => {
      const init = { headers: { range: `bytes=0-${bytes - 1}` }, cache: 'no-store', signal: within } as const;
      const response = await request(network, url, init);
      if (!response.ok || isMissing(response)) return undefined;
      const head = new Uint8Array(bytes);
      const reader = response.body?.getReader();
      // A server without ranges sends all of it; the end of `timely` hangs up.
      for (let at = 0; ; alive()) {
        const chunk = at < bytes ? await reader?.read() : undefined;
        if (!chunk || chunk.done) return head.subarray(0, at);
        const piece = chunk.value.subarray(0, bytes - at);
        head.set(piece, at);
        at += piece.length;
      }
    });
  } catch {
    return undefined; // the file itself comes in its turn, and says what is wrong
  }
}

async function rangeOf(held: Downloaded, offset: number, length: number): Promise<Uint8Array> {
  const to = offset + length;
  return held.bytes?.subarray(offset, to) ?? new Uint8Array(await blobOf(held).slice(offset, to).arrayBuffer());
}

/** The file from the cache; `undefined` if it is incomplete there, another version, or no longer what was stored. */
export async function fromCache(file: RemoteFile, context: DownloadContext): Promise<Downloaded | undefined> {
  const found = await stored(file, context);
  return found instanceof SealedFile ? wholeOf(found, context) : found;
}

/** What the cache has of this version of a file. Where nothing can be hashed, it counts as it is. */
async function stored(
  file: RemoteFile,
  { cache, onBytes, signal }: DownloadContext,
  opened?: Promise<SealedFile | undefined>,
): Promise<SealedFile | Downloaded | undefined> {
  if (!cache) return undefined;
  if (file.version === UNKNOWN_VERSION && !file.offline) return undefined; // it may have changed, and nobody could tell
  try {
    const sealed = canHash() ? await (opened ?? cache.open(file.url, signal)) : undefined;
    const record = sealed?.record ?? (canHash() ? undefined : await cache.record(file.url));
    if (!record || record.version !== file.version || (file.bytes !== null && record.bytes !== file.bytes)) {
      sealed?.stop();
      return undefined;
    }
    if (sealed) {
      sealed.onBytes = (bytes) => onBytes(bytes, true);
      if (sealed.checkedBytes > 0) onBytes(sealed.checkedBytes, true);
      return sealed;
    }
    const blob = await cache.read(file.url, record);
    if (!blob) return undefined;
    onBytes(record.bytes, true);
    return { blob, size: record.bytes, verified: false, stored: true };
  } catch {
    return undefined; // a storage that cannot be read: fetch
  }
}

/** A stored file once all of it is checked. */
async function wholeOf(sealed: SealedFile, { onBytes, signal }: DownloadContext): Promise<Downloaded | undefined> {
  const blob = await sealed.whole.catch(() => undefined); // it cannot be read: fetch
  throwIfAborted(signal);
  if (!blob) return undefined;
  const { bytes, verified } = sealed.record;
  onBytes(bytes, true);
  return { blob, size: bytes, verified, stored: true };
}
