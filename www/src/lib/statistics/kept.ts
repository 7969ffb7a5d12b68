/** Statistics that were computed in this browser, kept in its storage by what the model holds, under whatever name it comes. */
import type { Features } from 'topk-lm';
import { weightFiles } from './model-files';

const NAME = 'topk-lm-statistics';
// The Cache API wants URLs as keys. This host never exists (RFC 6761).
const KEY_BASE = 'https://statistics.topk-lm.invalid/';

/** Bytes of weights that are compared: these from the beginning, and as many again in pieces over the rest. */
const BEGINNING = 1 << 20;
const PIECES = 256;

/** The storage; `null` where the browser has none (plain http, or it refuses). */
async function storage(): Promise<Cache | null> {
  try {
    return typeof caches === 'undefined' ? null : await caches.open(NAME);
  } catch {
    return null; // already reading `caches` may be refused
  }
}

/** What a model is known by: its configuration, tokenizer and weights, the latter by a part of their bytes; `null` where nothing can be kept. */
export async function identityOf(folder: Features, signal: AbortSignal): Promise<string | null> {
  if (!globalThis.crypto?.subtle || !(await storage())) return null;
  const file = (path: string) => folder.file(path, { signal });
  const parts: (string | Blob)[] = [];
  for (const path of ['config.json', 'generation_config.json', 'tokenizer.json']) parts.push(`\0${path}\0`, (await file(path)) ?? '');
  for (const path of await weightFiles(file)) {
    const weights = await file(path);
    if (!weights) continue;
    parts.push(`\0${path}\0${weights.size}\0`, weights.slice(0, BEGINNING));
    const step = (weights.size - BEGINNING) / PIECES;
    for (let piece = 0; step > 0 && piece < PIECES; piece++) {
      const from = Math.floor(BEGINNING + piece * step);
      parts.push(weights.slice(from, from + Math.ceil(Math.min(step, BEGINNING / PIECES))));
    }
  }
  const digest = await crypto.subtle.digest('SHA-256', await new Blob(parts).arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export async function keep(identity: string, archive: Blob): Promise<void> {
  await (await storage())?.put(KEY_BASE + identity, new Response(archive));
}

export async function recall(identity: string): Promise<Blob | null> {
  const response = await (await storage())?.match(KEY_BASE + identity);
  return response ? response.blob() : null;
}

export async function forget(identity: string): Promise<void> {
  await (await storage())?.delete(KEY_BASE + identity);
}

/** Deletes those of all models. */
export async function forgetAll(): Promise<void> {
  if (await storage()) await caches.delete(NAME);
}
