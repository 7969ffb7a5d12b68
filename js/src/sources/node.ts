/** A folder on the disk, in Node. The modules come from `process.getBuiltinModule`, so no bundler ever looks for them. */
import { createError } from '../errors.js';
import { checkpointSteps } from '../manifest.js';
import { atHand, type ModelFiles, type OpenFolder } from './source.js';

interface FileHandle {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  close(): Promise<void>;
}

interface NodeModules {
  'node:fs': {
    statSync(path: string, options: { throwIfNoEntry: false }): { size: number; isFile(): boolean; isDirectory(): boolean } | undefined;
    readdirSync(path: string): string[];
    promises: { open(path: string): Promise<FileHandle>; readFile(path: string): Promise<Uint8Array<ArrayBuffer>> };
  };
  'node:path': { join(...parts: string[]): string };
  'node:url': { fileURLToPath(url: string): string; pathToFileURL(path: string): URL };
}

interface NodeProcess {
  versions?: { node?: string };
  getBuiltinModule?<K extends keyof NodeModules>(name: K): NodeModules[K];
}

const nodeProcess = (globalThis as { process?: NodeProcess }).process;

/** Whether this is Node (and not a browser page with a `process` shim). */
export const isNode = typeof nodeProcess?.versions?.node === 'string' && typeof nodeProcess.getBuiltinModule === 'function';

export function builtin<K extends keyof NodeModules>(name: K): NodeModules[K] {
  const module = nodeProcess?.getBuiltinModule?.(name);
  if (!module) throw createError('argument', 'Paths and file: URLs need Node 20.16 or newer; pass an http URL, files or bytes.');
  return module;
}

/** All bytes of a `file:` URL, which Node's fetch cannot read. */
export function readFileUrl(url: string): Promise<Uint8Array<ArrayBuffer>> {
  return builtin('node:fs').promises.readFile(builtin('node:url').fileURLToPath(url));
}

/** What the disk refuses. */
export function unreadable(path: string, cause: unknown): Error {
  const why = cause instanceof Error ? cause.message : String(cause);
  return createError('io', `${path} cannot be read (${why}); allow reading it, as Deno's --allow-read does.`, { cause });
}

/** Whether a path names a folder of this disk. */
export function isFolder(path: string): boolean {
  try {
    return builtin('node:fs').statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    return true; // it is there, but may not be looked at: opening it says why
  }
}

/** Node ends the process where it is to read 2 GiB or more at once. */
const AT_ONCE = 1 << 30;

/** A folder on the disk → model folder. */
export class FolderFiles implements ModelFiles {
  readonly missing = 'checkpoint';
  readonly checkpoints: number[];
  readonly #root: string;

  /** `path`: a path, or a `file:` URL. */
  constructor(path: string) {
    this.#root = path.startsWith('file:') ? builtin('node:url').fileURLToPath(path) : path;
    const stat = this.#stat('config.json');
    if (stat instanceof Error) {
      throw unreadable(this.#path('config.json'), stat);
    }
    if (!stat?.isFile()) {
      throw createError('argument', `${this.#root} has no config.json; pass the path of a model folder.`);
    }
    const steps = this.#names().filter((name) => /^step\d+$/.test(name));
    const names = steps.flatMap((name) => [`${name}/model.safetensors`, `${name}/model.safetensors.index.json`]);
    this.checkpoints = checkpointSteps(names.filter((name) => this.#size(name) !== undefined));
  }

  async open(folder: string): Promise<OpenFolder> {
    return atHand(
      (path) => this.#size(folder + path),
      (path, offset, length) => this.#read(folder + path, offset, length),
    );
  }

  async file(path: string): Promise<Blob | undefined> {
    const size = this.#size(path);
    return size === undefined ? undefined : new Blob([(await this.#read(path, 0, size)) as Uint8Array<ArrayBuffer>]);
  }

  #names(): string[] {
    try {
      return builtin('node:fs').readdirSync(this.#root);
    } catch (error) {
      throw unreadable(this.#root, error);
    }
  }

  #path(path: string): string {
    return builtin('node:path').join(this.#root, path);
  }

  #size(path: string): number | undefined {
    const stat = this.#stat(path);
    return stat && !(stat instanceof Error) && stat.isFile() ? stat.size : undefined;
  }

  /** What is there; undefined if nothing is, and an error if that cannot be told (no permission, for example). */
  #stat(path: string) {
    try {
      return builtin('node:fs').statSync(this.#path(path), { throwIfNoEntry: false });
    } catch (error) {
      const nothing = (error as { code?: string }).code === 'ENOTDIR'; // a file where a folder would be
      return nothing || !(error instanceof Error) ? undefined : error;
    }
  }

  async #read(path: string, offset: number, length: number): Promise<Uint8Array> {
    const file = await builtin('node:fs')
      .promises.open(this.#path(path))
      .catch((error) => {
        throw unreadable(this.#path(path), error);
      });
    try {
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const { bytesRead } = await file.read(bytes, done, Math.min(length - done, AT_ONCE), offset + done);
        if (bytesRead === 0) throw createError('io', `${path} ends after ${offset + done} bytes, but ${offset + length} are needed.`);
        done += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
  }
}
