/** The wasm module: fetched and compiled once in a worker, page or Node process. */
import init, * as engine from './topk_lm.js';
import { wasmUrl } from './beside.js';
import { createError } from './errors.js';
import { isNode, readFileUrl } from './sources/node.js';
import { ByteProgress } from './progress.js';
import type { LoadProgress } from './types.js';

export type Engine = typeof engine;

const FILE = 'topk_lm_bg.wasm';

let started: Promise<Engine> | undefined;

/** The engine, started on first use. `wasm`: its URL or its bytes (gzip or not); default: the file next to this script. */
export function startEngine(
  wasm: string | Uint8Array<ArrayBuffer> | undefined,
  onProgress: (progress: LoadProgress) => void,
): Promise<Engine> {
  // A start that failed (offline, say) may be tried again. It follows no signal: several models may wait for it.
  started ??= (typeof wasm === 'object' ? startBytes(wasm, onProgress) : start(wasm ?? wasmUrl(), onProgress)).catch((error) => {
    started = undefined;
    throw error;
  });
  return started;
}

async function start(url: string, onProgress: (progress: LoadProgress) => void): Promise<Engine> {
  try {
    return await instantiate(
      isNode && url.startsWith('file:') ? await WebAssembly.compile(await readFileUrl(url)) : await compile(await fetch(url), onProgress),
    );
  } catch (error) {
    throw createError('wasm', `The engine could not be loaded from ${url} (${String(error)}); ${advice(error)}.`, { cause: error });
  }
}

async function startBytes(bytes: Uint8Array<ArrayBuffer>, onProgress: (progress: LoadProgress) => void): Promise<Engine> {
  try {
    const module = await WebAssembly.compile(await unzipped(bytes));
    new ByteProgress('compile', bytes.length, onProgress).update(FILE, bytes.length);
    return await instantiate(module);
  } catch (error) {
    throw createError('wasm', `The engine's bytes could not be used (${String(error)}); ${advice(error)}.`, { cause: error });
  }
}

async function instantiate(module: WebAssembly.Module): Promise<Engine> {
  await init({ module_or_path: module });
  return engine;
}

/** A policy that forbids wasm speaks of itself, in every browser's words. */
function advice(error: unknown): string {
  return /content security policy|unsafe-eval/i.test(String(error))
    ? "allow 'wasm-unsafe-eval' in the script-src of this page's content security policy"
    : 'serve topk_lm_bg.wasm there, or pass its URL as wasmUrl';
}

async function unzipped(bytes: Uint8Array<ArrayBuffer>): Promise<BufferSource> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
}

async function compile(response: Response, onProgress: (progress: LoadProgress) => void): Promise<WebAssembly.Module> {
  if (!response.ok) throw new Error(`the server responded with ${response.status}`);
  if (/^text\/html\b/i.test(response.headers.get('content-type') ?? '')) throw new Error('the server sent a web page instead');
  const length = response.headers.get('content-encoding') ? null : response.headers.get('content-length');
  const progress = new ByteProgress('compile', length === null ? null : Number(length), onProgress);
  let bytes = 0;
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.length;
      progress.update(FILE, bytes);
      controller.enqueue(chunk);
    },
  });
  // The type is set here, so that servers that do not know .wasm work too.
  const counted = new Response(response.body?.pipeThrough(counter) ?? null, { headers: { 'content-type': 'application/wasm' } });
  return WebAssembly.compileStreaming(counted);
}
