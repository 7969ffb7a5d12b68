/** Where a model comes from: what a person types, picks or drops. */
import { shortened } from './address';

/** Hosts of this device, which may serve without encryption; the page's policy allows them too. */
const OWN_HOSTS = ['localhost', '127.0.0.1'];

/** Where `owner/name` is looked up. Twin: js/src/sources/hub.ts, for `TopKLM.load`. */
const HUB = 'https://huggingface.co';

const NAME = /^([a-z0-9][\w.-]*)\/([a-z0-9][\w.-]*?)(?:@([a-z0-9][\w./-]*))?$/i;

/** The folder of an address, a name on the hub, or a path on this site; or a sentence that says why it is none. */
export function folderOf(text: string, base: string): { url: URL } | { fault: string } {
  const typed = text.trim();
  const [, owner, name, revision = 'main'] = NAME.exec(typed) ?? [];
  if (owner !== undefined) return { url: new URL(`${HUB}/${owner}/${name}/resolve/${encodeURIComponent(revision)}/`) };
  if (/^([a-z]:([\\/]|$)|\\\\|~|file:)/i.test(typed))
    return {
      fault: `“${shortened(typed)}” is on a disk, which no page can read by its path: choose the folder under “A folder on this device”.`,
    };
  const [, host] = /^([\w.-]+):\d{1,5}(\/|$)/.exec(typed) ?? [];
  if (host !== undefined) {
    const scheme = OWN_HOSTS.includes(host.toLowerCase()) ? 'http' : 'https';
    return { fault: `Write ${scheme}://${shortened(typed)} instead of “${shortened(typed)}”.` };
  }
  const isPath = /^\.{0,2}\//.test(typed); // a bare word is more likely a mistake
  if (!URL.canParse(typed, isPath ? base : undefined)) {
    return {
      fault: `“${shortened(typed)}” is neither an address nor a model’s name: enter https://… of its folder, or owner/name on huggingface.co.`,
    };
  }
  const url = new URL(typed, isPath ? base : undefined);
  const isAllowed =
    url.origin === new URL(base).origin || url.protocol === 'https:' || (url.protocol === 'http:' && OWN_HOSTS.includes(url.hostname));
  if (!isAllowed) {
    return {
      fault: 'The address must begin with https://; only http://localhost and http://127.0.0.1 may go without.',
    };
  }
  const other = otherFormat(url.pathname);
  if (other) return { fault: other };
  url.hash = '';
  return { url: url.href.endsWith('/') ? url : new URL(`${url.href}/`) };
}

/** What to do with weights in a file of a kind that this site does not read: a sentence; `null`: it is no such file. */
export function otherFormat(path: string): string | null {
  const name = path.split('/').at(-1) ?? '';
  if (/\.gguf$/i.test(name))
    return `“${shortened(name)}” is a GGUF file: the command topk-lm convert makes a folder of it that this site reads.`;
  if (/\.(bin|pth?)$/i.test(name))
    return `“${shortened(name)}” is a PyTorch file: save the model as safetensors, with its config.json, to open it here.`;
  return null;
}

/** Paths that the engine takes for addresses, or that are none: such as Windows keeps beside what was downloaded, `config.json:Zone.Identifier`. */
const NO_PATH = /^[^/]*:|\\|\p{Surrogate}/u;

/** Files by path below the folder that holds config.json; or a sentence. */
export function modelFiles(paths: Iterable<[string, File]>): Record<string, Blob> | string {
  const all = [...paths];
  if (all.length === 0) return 'The folder is empty.';
  // Of a folder with config.json too: a hub's repositories of such files have one.
  const hasWeights = all.some(([path]) => path.endsWith('.safetensors'));
  const other = hasWeights ? undefined : all.map(([path]) => otherFormat(path)).find(Boolean);
  if (other) return other;
  const configs = all.map(([path]) => path).filter((path) => /(^|\/)config\.json$/.test(path));
  const config = configs.sort((a, b) => a.length - b.length)[0];
  if (config === undefined) return 'This folder has no config.json. Choose the folder of a single model in the Hugging Face layout.';
  const folder = config.slice(0, -'config.json'.length);
  const inside = all.filter(([path]) => path.startsWith(folder)).map(([path, file]): [string, File] => [path.slice(folder.length), file]);
  return Object.fromEntries(inside.filter(([path]) => !NO_PATH.test(path)));
}

/** What was dropped on the page: a saved text (a file by itself), or the files of a model with the name of their folder. */
export async function dropped({ items, files }: DataTransfer): Promise<{ file: File } | { name: string; paths: [string, File][] }> {
  // Entries can be asked for only before the first await.
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  const [first, ...more] = files;
  if (first && more.length === 0 && first.name !== 'config.json' && !entries[0]?.isDirectory) return { file: first };
  const paths: [string, File][] = entries.length > 0 ? [] : [...files].map((file) => [file.name, file]);
  for (const entry of entries) await walk(entry, paths);
  return { name: entries.length === 1 ? (entries[0]?.name ?? '') : 'dropped files', paths };
}

/** Adds the files of an entry, by their paths from what was dropped. */
async function walk(entry: FileSystemEntry, paths: [string, File][]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    paths.push([entry.fullPath.replace(/^\//, ''), file]);
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A folder gives its entries in pieces, the last one empty.
    const piece = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (piece.length === 0) return;
    for (const inside of piece) await walk(inside, paths);
  }
}
