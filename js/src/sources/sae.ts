/** The two files of a sparse autoencoder in SAELens' layout, from wherever they are, as Blobs by name. */
import { createError } from '../errors.js';
import { isMissing, NETWORK, readBody, refusal, request, retry, timely } from '../remote.js';
import { type GivenSource, readGiven } from './bytes.js';
import { builtin, readFileUrl, unreadable } from './node.js';
import { fileUrl } from './source.js';

export const SAE_FILES = ['cfg.json', 'sae_weights.safetensors'] as const;

/** Fetches, reads or picks both files; a missing one is an error that names it. */
export async function saeFiles(source: GivenSource, signal: AbortSignal): Promise<Map<string, Blob>> {
  const [folder, find, missing] = await finder(source, signal);
  const asked = SAE_FILES.map(async (name) => {
    const blob = await find(name);
    if (!blob) {
      const whole = `the folder of an autoencoder in SAELens' layout has ${SAE_FILES.join(' and ')}`;
      throw createError(missing, `${name} is missing from ${folder}; ${whole}.`);
    }
    return [name, blob] as const;
  });
  void Promise.allSettled(asked); // of two faults the first in order is told, whichever comes first
  const files = new Map<string, Blob>();
  for (const one of asked) files.set(...(await one));
  return files;
}

/** What it is called in errors, its files, and the code of an error about one that is not there. */
async function finder(
  source: GivenSource,
  signal: AbortSignal,
): Promise<[string, (name: string) => Promise<Blob | undefined>, 'argument' | 'download']> {
  const data = await readGiven(source, signal);
  if (data.kind === 'path') return [data.path, (name) => fromDisk(data.path, name), 'argument'];
  if (data.kind === 'url') return [data.url, (name) => fetched(data.url, name, signal), 'download'];
  return ['the given files', async (name) => data.files.get(name), 'argument'];
}

async function fetched(folder: string, name: string, signal: AbortSignal): Promise<Blob | undefined> {
  const url = fileUrl(folder, name);
  return retry(NETWORK, signal, () =>
    timely(url, signal, async (within, alive) => {
      const response = await request(NETWORK, url, { signal: within });
      if (isMissing(response)) return undefined;
      if (!response.ok) throw refusal(url, response.status);
      return readBody(url, response, alive, name);
    }),
  );
}

async function fromDisk(folder: string, name: string): Promise<Blob | undefined> {
  const root = folder.startsWith('file:') ? builtin('node:url').fileURLToPath(folder) : folder;
  const file = builtin('node:path').join(root, name);
  try {
    if (!builtin('node:fs').statSync(file, { throwIfNoEntry: false })?.isFile()) return undefined;
    return new Blob([await readFileUrl(builtin('node:url').pathToFileURL(file).href)]);
  } catch (error) {
    throw unreadable(file, error);
  }
}
