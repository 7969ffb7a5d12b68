/** Visits of a page that opens a model on a server: what is fetched, what comes from the cache. */
import assert from 'node:assert/strict';
import { PART_BYTES } from '../../src/cache.ts';
import { TopKError } from '../../src/errors.ts';
import type { OpenFolder } from '../../src/sources/source.ts';
import { UrlFiles } from '../../src/sources/url.ts';
import type { Pieces } from '../../src/topk_lm.js';
import type { LoadProgress } from '../../src/types.ts';
import { FakeServer, pattern } from './server.ts';

export const BASE = 'https://host.example/m/';
export const WEIGHTS = 'model.safetensors';
export const weights = pattern(2 * PART_BYTES + 1000);

export function modelServer(): FakeServer {
  return new FakeServer().put('config.json', '{"model_type":"llama"}', { type: 'application/json' }).put(WEIGHTS, weights);
}

/** A server that breaks off in the second part of the weights, and has others when it is asked for the rest. */
export function changingServer(): { server: FakeServer; changed: Uint8Array } {
  const server = modelServer();
  server.breakAfter = [undefined, PART_BYTES + 5];
  const changed = pattern(weights.length).reverse();
  server.sleep = async () => {
    server.put(WEIGHTS, changed, { modified: 'Tue, 03 Nov 2026 10:00:00 GMT' });
  };
  return { server, changed };
}

interface Opened {
  /** Whose reads are joined: stored files are read in pieces. */
  folder: Omit<OpenFolder, 'read'> & { read(...of: Parameters<OpenFolder['read']>): Promise<Uint8Array> };
  progress: LoadProgress[];
}

/** Opens a folder as a visit of the page does. */
export async function open(
  server: FakeServer,
  { folder = '', cache = 'name' as string | null, signal = new AbortController().signal, early = false } = {},
): Promise<Opened> {
  const progress: LoadProgress[] = [];
  const files = await UrlFiles.create(BASE, cache, server);
  const opened = await files.open(folder, { signal, early, onProgress: (report) => progress.push(report) });
  const read = opened.read.bind(opened);
  const joined = Object.assign(opened, { read: async (...of: Parameters<OpenFolder['read']>) => join(await read(...of)) });
  return { folder: joined, progress };
}

export function join(pieces: Pieces): Uint8Array {
  return pieces instanceof Uint8Array ? pieces : new Uint8Array(Buffer.concat(pieces));
}

export async function readAll({ folder }: Opened, path = WEIGHTS): Promise<Uint8Array> {
  return folder.read(path, 0, folder.size(path) as number);
}

export function assertMonotonic(progress: LoadProgress[], total: number): void {
  let last = 0;
  for (const { loadedBytes, totalBytes } of progress) {
    assert.ok(loadedBytes >= last && loadedBytes <= total, `${last} → ${loadedBytes}`);
    assert.equal(totalBytes, total);
    last = loadedBytes;
  }
  assert.equal(last, total);
}

export const rejectsWith = (promise: Promise<unknown>, code: string, pattern: RegExp) =>
  assert.rejects(promise, (error) => error instanceof TopKError && error.code === code && pattern.test(error.message));
