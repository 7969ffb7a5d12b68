/** The files of `features/` in one zip archive: what is kept in the browser, and what a reader exports. */
import { unzipSync, zipSync } from 'fflate';
import type { FeatureFiles } from './messages';

/** Quick: JSON of numbers does not get much smaller with more effort. */
const LEVEL = 3;
/** The same archive for the same files: the format's first date. */
const DATE = '1980-01-01T00:00:00';

const json = (bytes: Uint8Array): Blob => new Blob([bytes as Uint8Array<ArrayBuffer>], { type: 'application/json' });

/** `files`: bytes by path. */
export function pack(files: ReadonlyMap<string, Uint8Array>): Blob {
  const archive = zipSync(Object.fromEntries(files), { level: LEVEL, mtime: DATE });
  return new Blob([archive as Uint8Array<ArrayBuffer>], { type: 'application/zip' });
}

export const blobsOf = (files: ReadonlyMap<string, Uint8Array>): FeatureFiles =>
  Object.fromEntries([...files].map(([path, bytes]) => [path, json(bytes)]));

/** @throws where it is no whole archive */
export async function unpack(archive: Blob): Promise<FeatureFiles> {
  return blobsOf(new Map(Object.entries(unzipSync(new Uint8Array(await archive.arrayBuffer())))));
}
