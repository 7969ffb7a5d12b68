// Rust source as the checks read it: without comments, texts and tests, so that what is left is code that the program runs.
import fs from 'node:fs';
import path from 'node:path';
import { inRoot } from './paths.mjs';
import { filesUnder } from './steps.mjs';

/** What a facade hands on. */
export const REEXPORT = /\bpub(?:\([^)]*\))?\s+use\s+([^;]+);/g;
const ONLY_TESTS = /#\[cfg\((?:test|all\(test\b[^\]]*\))\)\]/;
const TEST_MODULE = new RegExp(
  String.raw`${ONLY_TESTS.source}\s*(?:#\[path\s*=\s*"([^"]+)\.rs"\]\s*)?(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;`,
  'g',
);

const TOKENS =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|(b?r(#*)"[\s\S]*?"\2)|b?"(?:\\[\s\S]|[^"\\])*"|b?'(?:\\(?:u\{[0-9a-fA-F]+\}|x[0-9a-fA-F]{2}|.)|[^'\\\n])'/g;

/** The text without comments, strings and character literals; line breaks stay. */
export const codeOf = (text) => text.replaceAll(TOKENS, (token) => (token.startsWith('/') ? '' : '""') + token.replaceAll(/[^\n]/g, ''));

/** Code (of `codeOf`) without items that exist for tests only. */
export function withoutTests(code) {
  let rest = code;
  for (;;) {
    const match = ONLY_TESTS.exec(rest);
    if (!match) return rest;
    rest = rest.slice(0, match.index) + rest.slice(endOfItem(rest, match.index + match[0].length));
  }
}

/** Text of the crate's files, by path relative to crate/src. */
export function rustSources(folder = inRoot('crate/src')) {
  const files = filesUnder(folder).filter((file) => file.endsWith('.rs'));
  return Object.fromEntries(files.map((file) => [path.relative(folder, file).split(path.sep).join('/'), fs.readFileSync(file, 'utf8')]));
}

/** Code that the program runs, by file (of `rustSources`): without tests, be they in the file or files of their own. */
export function productSources(sources) {
  const tests = testModules(sources);
  const isTest = (file) => tests.some((module) => file === `${module}.rs` || file.startsWith(`${module}/`));
  const product = Object.entries(sources).filter(([file]) => !isTest(file));
  return Object.fromEntries(product.map(([file, text]) => [file, withoutTests(codeOf(text))]));
}

/** Modules that exist for tests only: their files without `.rs`, which are also the folders of what is below them. */
function testModules(sources) {
  return Object.entries(sources).flatMap(([file, text]) => {
    const folder = path.posix.dirname(file);
    const own = /(^|\/)(mod|lib|main)\.rs$/.test(file) ? folder : file.replace(/\.rs$/, '');
    return [...text.matchAll(TEST_MODULE)].map(([, named, name]) => (named ? path.posix.join(folder, named) : path.posix.join(own, name)));
  });
}

/** Where the item that begins at `from` ends: behind its `;`, or behind the brace that closes it. */
function endOfItem(code, from) {
  let depth = 0;
  for (let at = from; at < code.length; at++) {
    if ('{(['.includes(code[at])) depth++;
    if ('})]'.includes(code[at]) && --depth === 0 && code[at] === '}') return at + 1;
    if (code[at] === ';' && depth === 0) return at + 1;
  }
  return code.length;
}
