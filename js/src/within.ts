/** The one-file build: what `beside.ts` and `wasm-url.ts` find in files is in this script itself, as constants that scripts/lib/package.mjs fills in. */
import { createError } from './errors.js';
import { createHost, type Host } from './host.js';
import { fromText, type WorkerScript } from './worker-script.js';

/** A classic script. */
declare const TOPK_LM_WORKER: string;
/** The wasm module: gzip, base64. */
declare const TOPK_LM_WASM: string;

/** The constant is named here alone, as each mention is the whole script, and when it is asked for, as the worker has none itself. */
function script(): string {
  return TOPK_LM_WORKER;
}

/** A worker that runs the text of its first message. */
const RECEIVER = `onmessage = ({ data }) => {
  onmessage = null;
  const url = URL.createObjectURL(new Blob([data], { type: 'text/javascript' }));
  importScripts(url);
  URL.revokeObjectURL(url);
};`;

/** In Chromium a worker computes slowly at a `data:` URL as long as its script: in a sandboxed frame the shipped model loaded in 25 s instead of 1. */
function sent(): Worker {
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(RECEIVER)}`);
  worker.postMessage(script());
  return worker;
}

export function ownWorkers(): WorkerScript[] {
  const from = 'its own copy of worker.js';
  const ways = fromText(script(), from, 'classic');
  // A policy may forbid the `blob:` in it.
  return globalThis.origin === 'null' ? [{ from, start: sent }, ...ways] : ways;
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
