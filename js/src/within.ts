/** The one-file build: what `beside.ts` and `wasm-url.ts` find in files is in this script itself, as constants that scripts/lib/package.mjs fills in. */
import { createError } from './errors.js';
import { createHost, type Host } from './host.js';
import { fromText, type WorkerScript } from './worker-script.js';

/** A classic script. */
declare const TOPK_LM_WORKER: string;
/** The wasm module: gzip, base64. */
declare const TOPK_LM_WASM: string;

export function ownWorkers(): WorkerScript[] {
  return fromText(TOPK_LM_WORKER, 'its own copy of worker.js', 'classic');
}

export const HERE_INSTEAD = true;

export async function hostHere(): Promise<Host> {
  return createHost();
}

export function ownWasm(): Uint8Array<ArrayBuffer> {
  const text = atob(TOPK_LM_WASM);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

export function wasmUrl(): string {
  throw createError('wasm', 'The engine was not sent along; pass its URL as wasmUrl, or its bytes as wasm.');
}
