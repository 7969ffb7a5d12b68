/** Picked files and bytes in memory, as Blobs by path. */
import { createError } from '../errors.js';
import { checkpointSteps } from '../manifest.js';
import { atHand, type ModelFiles, type OpenFolder } from './source.js';

/** Blobs by path → model folder. */
export class BlobFiles implements ModelFiles {
  readonly missing = 'checkpoint';
  readonly checkpoints: number[];
  readonly #files: ReadonlyMap<string, Blob>;

  constructor(files: ReadonlyMap<string, Blob>) {
    this.#files = files;
    this.checkpoints = checkpointSteps(files.keys());
  }

  async open(folder: string): Promise<OpenFolder> {
    const blob = (path: string) => this.#files.get(folder + path);
    return atHand(
      (path) => blob(path)?.size,
      async (path, offset, length) => {
        try {
          return new Uint8Array(await (blob(path) as Blob).slice(offset, offset + length).arrayBuffer());
        } catch (error) {
          // A picked file that changed on the disk meanwhile can no longer be read.
          throw createError('io', `${folder}${path} can no longer be read (${String(error)}); choose the folder again.`);
        }
      },
    );
  }

  async file(path: string): Promise<Blob | undefined> {
    return this.#files.get(path);
  }
}

/** Paths of a picked folder: `webkitRelativePath`, else the name; the folder that all share is left out. */
export function mapFiles(files: Iterable<File>): Map<string, Blob> {
  const paths: [string[], File][] = [];
  for (const file of files) paths.push([(file.webkitRelativePath || file.name).split('/'), file]);
  if (paths.length === 0) throw createError('argument', 'The list of files is empty; choose a folder.');
  // Leave out leading folders as long as all paths have the same one.
  while (paths.every(([parts]) => parts.length > 1 && parts[0] === paths[0]?.[0][0])) {
    for (const [parts] of paths) parts.shift();
  }
  return new Map<string, Blob>(paths.map(([parts, file]) => [parts.join('/'), file]));
}
