/** Where a model's files come from. */
import { createError } from '../errors.js';
import type { CacheInfo, LoadProgress } from '../types.js';
import type { WasmSource } from '../topk_lm.js';

export interface OpenContext {
  signal: AbortSignal;
  onProgress(progress: LoadProgress): void;
  /** Weights may be read before their file is verified: whoever opens then asks {@link OpenFolder.misled}. */
  early?: boolean;
}

/** Files of one folder, open for reading. */
export interface OpenFolder extends WasmSource {
  /** What stopped a read, if something did: clearer than what the engine makes of it. */
  readonly failure: unknown;
  /** Whether every file is there. */
  readonly isWhole: boolean;
  /** Waits until what was read early is verified; `true`: it turned out to be wrong and was fetched again, so read everything once more. */
  misled(): Promise<boolean>;
  /** Waits until every file is there, also those the engine did not read. `isRead`: it will be after that. */
  complete(isRead?: boolean): Promise<void>;
  /** Forgets stored copies that no SHA-256 vouches for: the engine could not read what they hold, and the server may have better ones. */
  distrust(): Promise<void>;
  /** Of the files of this folder; final after {@link complete}. */
  readonly cache: CacheInfo;
}

/** A model folder with its checkpoints. */
export interface ModelFiles {
  /** Opens the model itself (`''`) or a checkpoint (`'step254/'`); paths are then relative to that. */
  open(folder: string, context: OpenContext): Promise<OpenFolder>;
  /** A complete file next to the weights; `undefined`: there is no such file. With a manifest, only the files it lists exist. `keep`: an error where it is not stored. */
  file(path: string, signal: AbortSignal, keep?: boolean): Promise<Blob | undefined>;
  /** The training steps that are there, ascending; `undefined`: that is not known. */
  readonly checkpoints: number[] | undefined;
  /** The code of an error about a file that is not there. */
  readonly missing: 'checkpoint' | 'download';
}

/** The address of a file of a folder. What the folder's own has behind `?`, a token for example, holds for its files too. */
export function fileUrl(folder: string | URL, path: string): string {
  const url = new URL(folder);
  url.pathname = `${url.pathname.replace(/\/?$/, '/')}${path.split('/').map(encodeURIComponent).join('/')}`;
  url.hash = '';
  return url.href;
}

/** For files that the page gave: nothing is fetched, nothing stored. */
const GIVEN: CacheInfo = { state: 'memory', reason: 'The files were given directly, so nothing was downloaded or stored.' };

/** A folder whose files are all at hand. */
export const atHand = (size: OpenFolder['size'], read: OpenFolder['read']): OpenFolder => ({
  failure: undefined,
  isWhole: true,
  misled: async () => false,
  complete: async () => {},
  distrust: async () => {},
  cache: GIVEN,
  size,
  read,
});

/** Name of the folder of a training step; the final weights are the model's own. A step that is not there is an error that says which are. */
export function checkpointFolder(step: number | 'final', { checkpoints, missing }: ModelFiles): string {
  if (step === 'final') return '';
  const folder = `step${step}/`;
  if (checkpoints && !checkpoints.includes(step)) {
    const there = checkpoints.length > 0 ? `are ${checkpoints.join(', ')}, and 'final'` : "are none, only 'final'";
    throw createError(missing, `step is ${step}, but there is no ${folder}model.safetensors; the model's checkpoints ${there}.`);
  }
  return folder;
}
