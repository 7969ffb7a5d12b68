/** Bytes in memory, by path. */
import { createError, show } from '../errors.js';
import { isInside } from '../manifest.js';

/** Checks `bytes` and wraps them as Blobs (which copies them once, so the caller may go on changing its own). */
export function mapBytes(bytes: Readonly<Record<string, unknown>>): Map<string, Blob> {
  const map = new Map<string, Blob>();
  for (const [path, content] of Object.entries(bytes)) {
    if (!isInside(path)) throw createError('argument', `${show(path)} is not a path relative to the model folder.`);
    if (!(content instanceof ArrayBuffer) && !ArrayBuffer.isView(content)) {
      throw createError('argument', `${path}: its bytes must be a Uint8Array or an ArrayBuffer.`);
    }
    map.set(path, new Blob([content as BlobPart]));
  }
  if (!map.has('config.json')) throw createError('argument', "The bytes of config.json are missing; pass them as {'config.json': …}.");
  return map;
}
