/** The files of a model, from wherever it was given. */
import type { SourceData } from '../protocol.js';
import { BlobFiles } from './files.js';
import { FolderFiles } from './node.js';
import type { ModelFiles } from './source.js';
import { UrlFiles } from './url.js';

/** `cache`: name of the cache for downloads; `null`: store nothing. */
export async function openSource(source: SourceData, cache: string | null): Promise<ModelFiles> {
  if (source.kind === 'url') return UrlFiles.create(source.url, cache);
  if (source.kind === 'path') return new FolderFiles(source.path);
  return new BlobFiles(source.files);
}
