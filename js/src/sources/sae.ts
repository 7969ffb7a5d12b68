/** The two files of a sparse autoencoder in SAELens' layout, from wherever they are, as Blobs by name. */
import { createError, show } from '../errors.js';
import { isMissing, NETWORK, readBody, request, Retriable, retry, timely } from '../remote.js';
import type { ModelSource } from '../types.js';
import { builtin, isNode, readFileUrl } from './node.js';

export const SAE_FILES = ['cfg.json', 'sae_weights.safetensors'] as const;

/** Fetches, reads or picks both files; a missing one is an error that names it. */
export async function saeFiles(source: ModelSource, signal: AbortSignal): Promise<Map<string, Blob>> {
  const find = finder(source, signal);
  const blobs = await Promise.all(
    SAE_FILES.map(async (name) => {
      const blob = await find(name);
      if (!blob) throw createError('argument', `${name} is missing from the autoencoder; give the folder that contains it.`);
      return [name, blob] as const;
    }),
  );
  return new Map(blobs);
}

function finder(source: ModelSource, signal: AbortSignal): (name: string) => Promise<Blob | undefined> {
  if (typeof source === 'string' || source instanceof URL) {
    const text = String(source);
    if (isNode && !/^(https?|data|blob):/i.test(text)) return (name) => fromDisk(text, name);
    const folder = folderUrl(text);
    return (name) => fetched(new URL(name, folder).href, signal);
  }
  if (typeof source === 'object' && source !== null && Symbol.iterator in source) {
    const files = [...(source as Iterable<File>)];
    return async (name) => files.find((file) => file.name === name);
  }
  if (typeof source === 'object' && source !== null) {
    return async (name) => {
      const bytes = (source as Readonly<Record<string, BlobPart>>)[name];
      return bytes === undefined ? undefined : new Blob([bytes]);
    };
  }
  throw createError('argument', 'The autoencoder must be a URL, a list of files, or bytes by path.');
}

function folderUrl(text: string): URL {
  try {
    const base = typeof document === 'undefined' ? globalThis.location?.href : document.baseURI;
    return new URL(text.endsWith('/') ? text : `${text}/`, base);
  } catch {
    throw createError('argument', `The autoencoder is ${show(text)}, which is no URL.`);
  }
}

async function fetched(url: string, signal: AbortSignal): Promise<Blob | undefined> {
  return retry(NETWORK, signal, () =>
    timely(url, signal, async (within, alive) => {
      const response = await request(NETWORK, url, { signal: within });
      if (isMissing(response)) return undefined;
      if (!response.ok) throw createError('download', `${url} answered with status ${response.status}.`);
      return readBody(response, alive).catch((error) => {
        throw new Retriable(`${url}: the download stopped (${String(error)}).`, { cause: error });
      });
    }),
  );
}

async function fromDisk(folder: string, name: string): Promise<Blob | undefined> {
  const root = folder.startsWith('file:') ? builtin('node:url').fileURLToPath(folder) : folder;
  const file = builtin('node:path').join(root, name);
  if (!builtin('node:fs').statSync(file, { throwIfNoEntry: false })?.isFile()) return undefined;
  return new Blob([await readFileUrl(builtin('node:url').pathToFileURL(file).href)]);
}
