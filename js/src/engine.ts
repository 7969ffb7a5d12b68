/** The wasm module: fetched and compiled once in a worker, page or Node process. */
import init, * as engine from './topk_lm.js';
import type { TeamRequest } from './protocol.js';
import { createError, TopKError } from './errors.js';
import { isNode, readFileUrl } from './sources/node.js';
import { ByteProgress } from './progress.js';
import { bodyBytes, isPage, NETWORK, request, retry, Retriable, timely } from './remote.js';
import type { LoadProgress } from './types.js';
import { wasmUrl } from './wasm-url.js';

export type Engine = typeof engine;

const FILE = 'topk_lm_bg.wasm';
/** The first bytes of every WebAssembly module: `\0asm`. */
const MAGIC = [0x00, 0x61, 0x73, 0x6d];

/** An instance of the module. All models of a page or worker share one; after a trap in it, the next model gets a new one. */
export class Instance {
  readonly engine = engine;
  /** What stopped it, if something did: its memory is then in no known state, and nothing may call it again. */
  trap: unknown;
  readonly #listeners = new Set<(trap: unknown) => void>();

  constructor() {
    // Nobody called these, so nobody could catch what they throw: it would end Node.
    engine.tasks.run = (task) => {
      try {
        task();
      } catch (error) {
        this.trapped(error);
      }
    };
  }

  trapped(error: unknown): void {
    if (this.trap) return;
    this.trap = error;
    // A new instance at once: what the old one had still to do in the background then comes to nothing.
    replaceInstance();
    for (const listener of this.#listeners) listener(error);
  }

  /** Calls `listener` when a trap stops this instance, until `signal` is aborted. */
  onTrap(listener: (trap: unknown) => void, signal: AbortSignal): void {
    if (signal.aborted) return; // a load that failed before the engine had started
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
  }
}

interface Starting {
  /** Where the engine comes from, as its load said. */
  wasm: string | Uint8Array<ArrayBuffer> | undefined;
  running: Promise<Instance>;
}

let started: Starting | undefined;
/** Whether the bindings have an instance that nothing has trapped. */
let isReady = false;
/** The module, once it is compiled: a later instance is made of the same code. */
let compiled: WebAssembly.Module | undefined;

function replaceInstance(): void {
  isReady = false;
  try {
    engine.__wbg_reset_state();
    isReady = true;
  } catch {
    // no memory for another one now: the next load tries again, and says so
  }
}

/** The engine, started on first use and after a trap. `wasm`: its URL or its bytes (gzip or not); default: the file next to this script. */
export async function startEngine(
  wasm: string | Uint8Array<ArrayBuffer> | undefined,
  onProgress: (progress: LoadProgress) => void,
): Promise<Instance> {
  while (started) {
    const before: Starting = started;
    const instance = await before.running.catch((error) => {
      if (before.wasm === wasm) throw error;
    });
    if (instance && !instance.trap) return instance;
    if (started === before) started = undefined;
  }
  // A start that failed (offline, say) may be tried again. It follows no signal: several models may wait for it.
  const running = start(wasm, onProgress).catch((error) => {
    started = undefined;
    throw error;
  });
  started = { wasm, running };
  return running;
}

async function start(given: string | Uint8Array<ArrayBuffer> | undefined, onProgress: (progress: LoadProgress) => void): Promise<Instance> {
  let wasm = given;
  try {
    if (isReady) return new Instance();
    if (compiled) engine.__wbg_reset_state();
    else {
      wasm ??= wasmUrl(); // in a server's bundle of a kind without import.meta there is none
      const module = typeof wasm === 'string' ? await moduleAt(wasm, onProgress) : await moduleOf(wasm, onProgress);
      await init({ module_or_path: module });
      compiled = module;
    }
    isReady = true;
    return new Instance();
  } catch (error) {
    if (error instanceof TopKError) throw error; // the connection, which is no fault of the file's place
    const what =
      wasm instanceof Uint8Array ? "The engine's bytes could not be used" : `The engine could not be loaded from ${wasm ?? FILE}`;
    const why = error instanceof Error ? error.message : String(error);
    throw createError('wasm', `${what} (${why}); ${advice(error, given === undefined)}.`, { cause: error });
  }
}

/** A policy that forbids wasm speaks of itself, in every browser's words. */
function advice(error: unknown, isBeside: boolean): string {
  if (/content security policy|unsafe-eval/i.test(String(error))) {
    return "allow 'wasm-unsafe-eval' in the script-src of this page's content security policy";
  }
  // A bundler has put this script elsewhere, or its file where pages find it.
  if (isNode && isBeside) return "import topk-lm/bundle, or leave topk-lm out of the server's bundle (Next: serverExternalPackages)";
  return `serve ${FILE} there, or pass its URL as wasmUrl`;
}

/** Starts the threads that compute beside this one; `undefined` if they cannot be had. */
export async function assemble({ members, port }: TeamRequest): Promise<{ block: SharedArrayBuffer; members: number } | undefined> {
  try {
    const block = new SharedArrayBuffer(engine.teamBytes(members));
    const joined = new Promise<boolean>((resolve) => {
      port.onmessage = ({ data }) => resolve(data);
    });
    port.postMessage({ module: compiled, block });
    return (await joined) ? { block, members } : undefined;
  } catch {
    return undefined; // no memory for the block
  } finally {
    port.close();
  }
}

/** Serves an engine in another worker, as member `number`, until that lets it go. */
export async function serveEngine(
  module: WebAssembly.Module,
  block: SharedArrayBuffer,
  number: number,
  members: number,
  onReady: () => void,
) {
  await init({ module_or_path: module });
  onReady();
  await new Promise((resolve) => setTimeout(resolve)); // what was said goes out before this thread is busy for good
  engine.serveTeam(block, number, members);
}

async function moduleOf(bytes: Uint8Array<ArrayBuffer>, onProgress: (progress: LoadProgress) => void): Promise<WebAssembly.Module> {
  const module = await WebAssembly.compile(await unzipped(bytes));
  new ByteProgress('compile', bytes.length, onProgress).update(FILE, bytes.length);
  return module;
}

async function unzipped(bytes: Uint8Array<ArrayBuffer>): Promise<BufferSource> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
}

async function moduleAt(url: string, onProgress: (progress: LoadProgress) => void): Promise<WebAssembly.Module> {
  if (isNode && url.startsWith('file:')) return WebAssembly.compile(await readFileUrl(url));
  if (isNode && !URL.canParse(url)) throw new Error('which is no URL'); // a path of a page's, from a bundler: asking for it again is no use
  let progress: ByteProgress | undefined;
  const onBytes = (bytes: number, total: number | null) => {
    progress ??= new ByteProgress('compile', total, onProgress);
    progress.update(FILE, bytes);
  };
  try {
    return await fetchModule(url, 'default', onBytes);
  } catch {
    // A cache may have kept a bad moment of the server, a web page in place of the file for example: ask the server itself.
    return retry(NETWORK, new AbortController().signal, () => fetchModule(url, 'reload', onBytes));
  }
}

/** Fetches and compiles; the server has to go on answering. */
function fetchModule(
  url: string,
  cache: RequestCache,
  onBytes: (bytes: number, total: number | null) => void,
): Promise<WebAssembly.Module> {
  return timely(FILE, undefined, async (signal, alive) => {
    const response = await request(NETWORK, url, { cache, signal });
    alive();
    if (!response.ok) throw new Error(`the server responded with ${response.status}`);
    if (isPage(response)) throw new Error('the server sent a web page instead');
    const total = bodyBytes(response);
    let bytes = 0;
    const counter = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        alive();
        if (MAGIC.some((byte, place) => (chunk[place - bytes] ?? byte) !== byte))
          throw new Error('what the server sent is not WebAssembly');
        bytes += chunk.length;
        onBytes(bytes, total);
        controller.enqueue(chunk);
      },
    });
    // The type is set here, so that servers that do not know .wasm work too.
    const counted = new Response(response.body?.pipeThrough(counter) ?? null, { headers: { 'content-type': 'application/wasm' } });
    return WebAssembly.compileStreaming(counted).catch((error) => {
      // What cannot be compiled is a CompileError.
      throw error instanceof TypeError ? new Retriable(`${url}: the download stopped (${error.message}).`, { cause: error }) : error;
    });
  });
}
