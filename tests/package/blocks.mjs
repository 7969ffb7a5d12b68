// The code blocks of Markdown files that are made to be copied, and who runs each kind.
import fs from 'node:fs';
import path from 'node:path';
import { marked } from 'marked';
import { commandsIn } from '../../scripts/lib/commands.mjs';
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
  sh: 'each command line as SHELL says',
  python: 'training/tests/test_documents.py; of the package for notebooks, tests/notebooks/jupyterlab.test.mjs',
  toml: 'here: Cargo resolves them',
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

/** Where command lines are run as they are printed; `npm test -- documented-commands` also sees to it that the programs, flags and files of all of them exist. */
const RUN = 'scripts/lib/commands.mjs';
const START = 'tests/package/hosts.test.mjs';
const BUILD = 'tests/package/readme.test.mjs';
const OWN_MODEL = 'tests/browser/own-model.test.mjs';
const SERVERS = 'tests/notebooks/commands.test.mjs';
const JUPYTERLITE = 'tests/notebooks/jupyterlite.test.mjs';
const OBSERVABLE = 'tests/notebooks/observable.test.mjs';

/**
 * The command lines of the documents' shell blocks by the file that runs them, and what stands in the way of the letter where it is not kept.
 */
export const SHELL = [
  [START, 'on a port that is free, asked for a model by a page, stopped', ['npm start']],
  [BUILD, '', ['npm run build', 'npm i topk-lm']],
  ['scripts/test.mjs', 'this is a part of it', ['npm test']],
  [
    RUN,
    'TEXT.jsonl is a text of three lines',
    [
      'topk-lm info --model models/Llama-TopK-Stories-16M',
      'topk-lm generate --model models/Llama-TopK-Stories-16M --prompt "The baby was tired, so" --edit layer=1,index=296,action=clamp,value=18',
      'topk-lm run --model models/Llama-TopK-Stories-16M --prompt "The dog ran" --hook blocks.2.hook_topk_out --out hidden.safetensors',
      'topk-lm run --model models/Llama-TopK-Stories-16M --prompt "The dog ran" --hook blocks.2.hook_topk_out --hook blocks.2.attn.hook_pattern --out hidden.safetensors',
      'topk-lm analyze --model models/Llama-TopK-Stories-16M --corpus TEXT.jsonl --out features --export export',
      'topk-lm turn --model models/Llama-TopK-Stories-16M --from he --to she --prompt "The baby was tired, so"',
    ],
  ],
  [
    RUN,
    'a minute each: in `npm run soak`',
    [
      'topk-lm steer --model models/Llama-TopK-Stories-16M --words water,river,lake,sea',
      'topk-lm steer --model models/Llama-TopK-Stories-16M --words water,river,lake,sea,ocean,swim --size 8',
    ],
  ],
  [
    'scripts/lib/command.mjs',
    'the same command without --release, whose optimizations take minutes; the alias is a path there',
    ['cargo build --release --bin topk-lm', 'alias topk-lm="$PWD/target/release/topk-lm"'],
  ],
  [
    OWN_MODEL,
    'the training where PyTorch is installed; training/tests/test_own_model.py runs it too',
    [
      'cp training/configs/own-data.toml training/configs/own.toml mine/',
      'cd training',
      'python -m topklm.data --corpus ../mine --out ../mine/data --config ../mine/own-data.toml',
      'python -m topklm.train --config ../mine/own.toml --data ../mine/data --out ../mine/run',
      'python -m topklm.export --run ../mine/run --data ../mine/data --out ../mine/Mine --steps',
      'cd ..',
      'topk-lm info --model mine/Mine',
      'topk-lm convert mine/Mine models/Mine --dtype f16 --shard-size 20MB',
      'topk-lm analyze --model models/Mine --corpus mine/mine.txt --out models/Mine/features --checkpoints',
      'topk-lm manifest models/Mine',
    ],
  ],
  [
    'tests/python/host.mjs',
    'in an environment, whose packages are installed before ours',
    [
      'pip install ./python',
      'pip install ./python -r examples/notebooks/requirements.txt',
      'pip install -r examples/notebooks/jupyterlite/requirements.txt',
    ],
  ],
  ['tests/python/widget-wheel.test.mjs', 'into a folder of the test', ['pip wheel --no-deps --wheel-dir dist/wheels ./python']],
  [
    'tests/python/command-wheel.test.mjs',
    'with a profile that compiles faster, into a folder of the test',
    ['pip install maturin==1.16.0', 'cd python/cli', 'maturin build --release --out ../../dist/wheels'],
  ],
  [
    SERVERS,
    'without opening a browser',
    ['jupyter lab examples/notebooks/jupyterlab.ipynb', 'marimo edit examples/notebooks/marimo_notebook.py'],
  ],
  [OBSERVABLE, 'in `npm run soak`', ['cd examples/notebooks/observable', 'npm i', 'npx observable preview']],
  [
    JUPYTERLITE,
    '',
    ['python examples/notebooks/jupyterlite/pyodide.py PYODIDE', 'sh examples/notebooks/jupyterlite/build.sh SITE PYODIDE'],
  ],
  [JUPYTERLITE, 'with PYODIDE only: without it, a CDN is asked', ['sh examples/notebooks/jupyterlite/build.sh SITE']],
];

/** The command lines of a document's shell blocks. */
export const shellOf = (file) =>
  codeOf(file, 'sh').flatMap((code) => commandsIn(`\`\`\`sh\n${code}\n\`\`\`\n`).map(({ command }) => command));
