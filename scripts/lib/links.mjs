// Every pointer is true: links in Markdown, headings they name, and file paths in Markdown's code and in comments of code.
import fs from 'node:fs';
import path from 'node:path';
import { paths } from './paths.mjs';
import { Failure } from './run.mjs';
import { filesUnder } from './steps.mjs';

/** Top-level folders: a path that begins with one of them is meant from the root. */
const TOP = '(?:crate|shaders|js|www|training|models|tests|benches|scripts|docs)';
const SOURCE = 'rs|wgsl|py|mjs|ts|svelte|c|css|md';
const FILE = `${SOURCE}|js|json|toml|html|txt|yml|svg|safetensors`;
/** `ops/topk.rs`, `order.rs`; with a top-level folder any ending, else source files only (`config.json` is a model's). */
const PATH = new RegExp(
  `(?<![\\w./<{*…@:-])(?:(?:\\.\\./)*${TOP}/(?:[\\w.-]+/)*(?:[\\w.-]+\\.(?:${FILE})\\b)?|(?:[\\w.-]+/)*[\\w-]+(?:\\.\\w+)*?\\.(?:${SOURCE})\\b)(?![\\w/{<*…(])`,
  'g',
);

// A comment is group 1; what comes before it are strings, in which nothing is a comment.
const C_COMMENT = String.raw`(\/\*[\s\S]*?\*\/|\/\/[^\n]*|<!--[\s\S]*?-->)`;
const QUOTED = String.raw`"(?:\\.|[^"\\\n])*"`;
const RUST = new RegExp(`${QUOTED}|${C_COMMENT}`, 'g'); // a lifetime is no string
const SCRIPT = new RegExp(String.raw`${QUOTED}|'(?:\\.|[^'\\\n])*'|\`(?:\\.|[^\`\\])*\`|${C_COMMENT}`, 'g');
const HASH = /("""[\s\S]*?"""|#[^\n]*)/g;
const COMMENTS = {
  ...Object.fromEntries(['.rs', '.wgsl', '.c', '.css', '.html'].map((ending) => [ending, RUST])),
  ...Object.fromEntries(['.mjs', '.js', '.ts', '.svelte'].map((ending) => [ending, SCRIPT])),
  ...Object.fromEntries(['.py', '.toml', '.yml'].map((ending) => [ending, HASH])),
};
/** Names that stand for any name: `x.rs`, `NAME.json`. */
const isPlaceholder = (name) =>
  name.split('/').some((part) => /^x(_\w+)?\.\w+$/.test(part) || /^[A-Z]+(\.\w+)?$/.test(part.replace('README.md', '')));
/** Files that the build writes. */
const isBuilt = (name) => /(^|\/)generated\//.test(name) || /^models\/(claims|index)\.json$/.test(name);

/**
 * What does not resolve, as `FILE:LINE: sentence`.
 * @param {string} root
 * @param {string[]} files relative to the root, with `/`: all that the project holds
 */
export function linkFaults(root, files) {
  const known = { files: new Set(files), folders: foldersOf(files), names: new Set(files.map((file) => path.posix.basename(file))) };
  const read = (file) => fs.readFileSync(path.join(root, file), 'utf8');
  return files.flatMap((file) => {
    const ending = path.posix.extname(file);
    if (ending === '.md') return markdownFaults(file, read, known);
    return COMMENTS[ending] ? commentFaults(file, read(file), COMMENTS[ending], known) : [];
  });
}

const foldersOf = (files) => {
  const folders = new Set(['.']);
  for (const file of files) {
    for (let folder = path.posix.dirname(file); folder !== '.'; folder = path.posix.dirname(folder)) folders.add(folder);
  }
  return folders;
};

function markdownFaults(file, read, known) {
  const faults = [];
  const text = read(file);
  const fault = (index, sentence) => faults.push(`${file}:${lineAt(text, index)}: ${sentence}`);
  // Code is looked at for paths only, the rest for links; both keep their offsets.
  const code = /^(```|~~~)[\s\S]*?^\1|`[^`\n]+`/gm;
  const prose = text.replace(code, (block) => ' '.repeat(block.length));
  for (const match of prose.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g)) {
    const [target, anchor] = match[1].split('#');
    if (/^[a-z][a-z+.-]*:/i.test(match[1])) continue; // another host
    const at = target === '' ? file : path.posix.normalize(path.posix.join(path.posix.dirname(file), decodeURI(target)));
    if (!exists(at, known)) fault(match.index, `the link ${match[1]} leads nowhere.`);
    else if (anchor && at.endsWith('.md') && !headings(read(at)).has(anchor)) fault(match.index, `${at} has no heading #${anchor}.`);
  }
  for (const block of text.matchAll(code)) {
    for (const name of pathsIn(block[0])) if (!resolves(name, file, known)) fault(block.index, `there is no file ${name}.`);
  }
  return faults;
}

function commentFaults(file, text, comments, known) {
  return [...text.matchAll(comments)].flatMap(({ 0: whole, 1: comment = '', index: start }) =>
    [...comment.matchAll(PATH)]
      .filter(([name]) => isChecked(name) && !resolves(name, file, known))
      .map(({ 0: name, index }) => `${file}:${lineAt(text, start + whole.length - comment.length + index)}: there is no file ${name}.`),
  );
}

const pathsIn = (text) => [...text.matchAll(PATH)].map(([name]) => name).filter(isChecked);
const isChecked = (name) => !isPlaceholder(name) && !isBuilt(name);
const lineAt = (text, index) => text.slice(0, index).split('\n').length;
const exists = (name, { files, folders }) => files.has(name) || folders.has(name.replace(/\/$/, '') || '.');

/** From the root, from the file's folder or any folder above it; a name alone is enough where some file has it. */
function resolves(name, file, known) {
  for (let folder = path.posix.dirname(file); ; folder = path.posix.dirname(folder)) {
    if (exists(path.posix.normalize(path.posix.join(folder, name)), known)) return true;
    if (folder === '.') break;
  }
  if (!name.includes('/')) return known.names.has(name);
  return !new RegExp(`^(\\.\\./)*${TOP}/`).test(name) && [...known.files].some((known) => known.endsWith(`/${name}`));
}

/** A heading's anchor, as GitHub makes it. */
export const slugOf = (heading) =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');

const headings = (markdown) => new Set([...markdown.matchAll(/^#{1,6}\s+(.*)$/gm)].map(([, title]) => slugOf(title)));

/** Files of the project, relative to its root. */
export const projectFiles = () => filesUnder(paths.root).map((file) => path.relative(paths.root, file).split(path.sep).join('/'));

export function checkLinks() {
  const files = projectFiles();
  const faults = linkFaults(paths.root, files);
  if (faults.length > 0) throw new Failure(faults.join('\n'));
  console.log(`${files.length} files`);
}
