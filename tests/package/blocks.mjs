// The code blocks of Markdown files that are made to be copied, and who runs each kind.
import fs from 'node:fs';
import path from 'node:path';
import { marked } from 'marked';
import { root } from './fixture.mjs';

const guides = fs.readdirSync(path.join(root, 'docs/guides')).map((name) => `docs/guides/${name}`);

/** Files whose every block is run. */
export const DOCUMENTS = [
  ...['README.md', 'js/README.md', 'crate/README.md', 'python/README.md', 'examples/notebooks/README.md'],
  ...[...guides, 'docs/own-model.md', 'docs/hosting.md'],
];

/** How the blocks of a kind are run: the first word behind the fence, or both. */
export const RUN_BY = {
  js: 'here, in a page; all of a file in one module',
  'js alone': 'here, in a page; a module by itself',
  'js node': 'here, in Node; all of a file in one module',
  html: 'here, in a page, with the site at its address',
  nginx: 'web-servers.test.mjs: a real nginx serves by them',
  apache: 'web-servers.test.mjs: a real Apache serves by them',
  sh: '`npm test -- documented-commands`: programs, flags and files exist, quick commands run',
  python: 'training/tests/test_documents.py; of the package for notebooks, tests/notebooks/jupyterlab.test.mjs',
  'rust,no_run': 'rustdoc, with the tests of the crate',
};

/** @returns {{file: string, kind: string, code: string}[]} `kind` is `indented` where there is no fence, empty where it names no language */
export function blocksOf(file) {
  const blocks = [];
  const tokens = marked.lexer(fs.readFileSync(path.join(root, file), 'utf8'));
  marked.walkTokens(tokens, (token) => {
    if (token.type === 'code')
      blocks.push({ file, kind: token.codeBlockStyle === 'indented' ? 'indented' : (token.lang ?? ''), code: token.text });
  });
  return blocks;
}

/** The code of a file's blocks of one kind. */
export const codeOf = (file, wanted) =>
  blocksOf(file)
    .filter(({ kind }) => kind === wanted)
    .map(({ code }) => code);
