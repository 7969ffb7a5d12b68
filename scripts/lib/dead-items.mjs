// Public items of the crate that nothing uses: rustc cannot know, since whatever is `pub` may have users elsewhere. An item counts as used
// where its name occurs outside its definition, `pub use` lines and unit tests; crate/public-api.txt lists what is there for others.
import fs from 'node:fs';
import path from 'node:path';
import { inRoot, paths } from './paths.mjs';
import { Failure } from './run.mjs';
import { codeOf, productSources, REEXPORT, rustSources } from './rust-code.mjs';
import { filesUnder } from './steps.mjs';

const ALLOWED = 'crate/public-api.txt';
const DEFINITION =
  /\bpub(?:\([^)]*\))?\s+(?:(?:const|unsafe|async|extern\s+"")\s+)*(fn|struct|enum|trait|const|static|type|union)\s+(?:mut\s+)?(\w+)|\bmacro_rules!\s+(\w+)/g;
const IDENTIFIER = /[A-Za-z_]\w*/g;

/**
 * Public items, and how often their names occur elsewhere than where something of that name is defined.
 * @param {Record<string, string>} sources of the crate, text by path relative to crate/src
 * @param {string[]} users further Rust code that may use the items (integration tests)
 * @param {string} script the JavaScript that calls the wasm surface, by camelCase names
 * @returns {{name: string, file: string, line: number, uses: number}[]}
 */
export function publicItems(sources, users = [], script = '') {
  const counts = new Map();
  const count = (code, by) => {
    for (const [name] of code.matchAll(IDENTIFIER)) counts.set(name, (counts.get(name) ?? 0) + by);
  };
  const items = [];
  for (const [file, code] of Object.entries(productSources(sources))) {
    count(code.replaceAll(REEXPORT, ''), 1);
    for (const match of code.matchAll(DEFINITION)) {
      const name = match[2] ?? match[3];
      count(name, -1);
      if (!name.startsWith('_')) items.push({ name, file, code, index: match.index });
    }
  }
  for (const text of users) count(codeOf(text), 1);
  for (const [name] of script.matchAll(IDENTIFIER))
    if (/[a-z]/.test(name))
      count(
        name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
        1,
      );
  return items.map(({ name, file, code, index }) => ({
    name,
    file,
    line: code.slice(0, index).split('\n').length,
    uses: counts.get(name),
  }));
}

/** Names in the allow list, one per line; `#` begins a comment. */
export const allowedNames = (text) =>
  text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter(Boolean);

/** What is dead, and what is allowed without being there, as sentences. */
export function deadItemFaults(items, allowed) {
  const names = new Set(items.map(({ name }) => name));
  return [
    ...items
      .filter(({ name, uses }) => uses === 0 && !allowed.includes(name))
      .map(
        ({ name, file, line }) => `crate/src/${file}:${line}: ${name} is public, but nothing uses it: remove it, or list it in ${ALLOWED}.`,
      ),
    ...allowed.filter((name) => !names.has(name)).map((name) => `${ALLOWED}: the crate has no public item ${name}.`),
  ];
}

export function checkDeadItems() {
  const read = (folder, ending) =>
    filesUnder(inRoot(folder))
      .filter((file) => file.endsWith(ending))
      .map((file) => fs.readFileSync(file, 'utf8'));
  const items = publicItems(rustSources(), read('crate/tests', '.rs'), read('js/src', '.ts').join('\n'));
  const faults = deadItemFaults(items, allowedNames(fs.readFileSync(path.join(paths.root, ALLOWED), 'utf8')));
  if (faults.length > 0) throw new Failure(faults.join('\n'));
  console.log(`${items.length} public items, each with a user or in ${ALLOWED}`);
}
