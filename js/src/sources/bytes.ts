/** Files that the caller holds, by path. */
import { createError, show, throwIfAborted, TopKError } from '../errors.js';
import { isInside } from '../manifest.js';
import type { SourceData } from '../protocol.js';
import type { FileContent } from '../types.js';

/** A source that may still have to be read. */
export type GivenSource = Exclude<SourceData, { kind: 'files' }> | { kind: 'files'; files: Map<string, FileContent> };

/** Checks what was given, but for what only reading it shows. Bytes become Blobs at once, so the caller may go on changing its own. */
export function mapBytes(given: Readonly<Record<string, unknown>> | ReadonlyMap<string, unknown>): Map<string, FileContent> {
  const map = new Map<string, FileContent>();
  for (const [path, content] of given instanceof Map ? given : Object.entries(given)) {
    if (typeof path !== 'string' || !isInside(path)) {
      throw createError('argument', `${show(path)} is not a path relative to the model folder.`);
    }
    if (!isContent(content)) {
      throw createError('argument', `${path} must be a Uint8Array, an ArrayBuffer, a Blob, a Response or an async iterable of bytes.`);
    }
    map.set(path, isBytes(content) ? new Blob([content as BlobPart]) : content);
  }
  return map;
}

function isBytes(content: unknown): content is BufferSource {
  return content instanceof ArrayBuffer || ArrayBuffer.isView(content);
}

function isStream(content: object): content is ReadableStream<Uint8Array> {
  return typeof ReadableStream !== 'undefined' && content instanceof ReadableStream;
}

function isContent(content: unknown): content is FileContent {
  if (typeof content !== 'object' || content === null) return false;
  return isBytes(content) || content instanceof Blob || content instanceof Response || isStream(content) || Symbol.asyncIterator in content;
}

/** Reads what has to be read: streams and responses, one after the other. */
export async function readGiven(source: GivenSource, signal?: AbortSignal): Promise<SourceData> {
  if (source.kind !== 'files') return source;
  const files = new Map<string, Blob>();
  for (const [path, content] of source.files) {
    throwIfAborted(signal);
    files.set(path, await blobOf(path, content, signal));
  }
  return { kind: 'files', files };
}

/** A file's content in one piece. */
async function blobOf(path: string, content: FileContent, signal: AbortSignal | undefined): Promise<Blob> {
  if (content instanceof Blob) return content;
  if (isBytes(content)) return new Blob([content as BlobPart]);
  if (content instanceof Response && !content.ok) {
    throw createError('download', `${path}: the server responded with ${content.status}.`);
  }
  try {
    const pieces = content instanceof Response || isStream(content) ? piecesOf(content, signal) : content;
    const chunks: BlobPart[] = [];
    for await (const chunk of pieces) {
      throwIfAborted(signal);
      if (!isBytes(chunk)) throw createError('argument', `${path} must come in pieces of bytes (Uint8Array).`);
      chunks.push(new Uint8Array(ArrayBuffer.isView(chunk) ? new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength) : chunk));
    }
    return new Blob(chunks);
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof TopKError) throw error;
    throw createError('io', `${path} could not be read (${String(error)}).`, { cause: error });
  }
}

/** What a stream gives, until an abort cancels it. One that was read from before is refused: a part of it is gone. */
async function* piecesOf(content: Response | ReadableStream<Uint8Array>, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const reader = new Response(content instanceof Response ? content.body : content).body?.getReader();
  const cancel = () => void reader?.cancel(signal?.reason).catch(() => {}); // the abort is what is told
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    for (let piece = await reader?.read(); piece && !piece.done; piece = await reader?.read()) yield piece.value;
  } finally {
    signal?.removeEventListener('abort', cancel);
    cancel(); // whatever ended the reading: nothing more is fetched
  }
}
