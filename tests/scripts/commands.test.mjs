import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandFault, commandsIn, pythonSource, wordsOf } from '../../scripts/lib/commands.mjs';

test('command lines are found in shell blocks and in sentences', () => {
  const text = [
    'Run `npm test -- links`, or `config.json`.',
    '```sh',
    'topk-lm run --model DIR \\',
    '  --out "a b"   # the file',
    'cd training && pip install -r requirements.txt',
    '```',
    '```js',
    'npm run nothing',
    '```',
    '    python -m topklm.data [--out DIR]',
    '    not a command',
  ].join('\n');
  assert.deepEqual(commandsIn(text), [
    { command: 'topk-lm run --model DIR --out "a b"', line: 3 },
    { command: 'cd training', line: 5 },
    { command: 'pip install -r requirements.txt', line: 5 },
    { command: 'python -m topklm.data [--out DIR]', line: 10 },
    { command: 'npm test -- links', line: 1 },
  ]);
  assert.deepEqual(wordsOf('a --b "c d" \'e f\''), ['a', '--b', 'c d', 'e f']);
});

const facts = {
  help: (name) => (name === 'run' ? 'Usage: topk-lm run [OPTIONS]\n  --model <DIR>\n  --prompt-len <P>\n' : null),
  python: (module) => (module === 'topklm.train' ? 'p.add_argument("--config")' : null),
  scripts: ['test', 'soak', 'build'],
  checks: ['links'],
  exists: (name) => ['tests/goldens/make.py', 'crate/tests/goldens.rs', 'crate/tests/gpu/main.rs', 'crate/src/bin/topk-lm'].includes(name),
};

test('what exists is no fault', () => {
  for (const command of [
    'topk-lm run --model DIR --prompt-len 3',
    'npm test -- links NAME…',
    'npm run build',
    'npm run soak -- links',
    'npm i topk-lm',
    'cargo test --release --test goldens -- --nocapture',
    'cargo test --test gpu',
    'cargo build --release --bin topk-lm',
    'python -m topklm.train --config a.toml',
    'torchrun --nproc_per_node 2 -m topklm.train --config a.toml',
    'python tests/goldens/make.py --check',
  ]) {
    assert.equal(commandFault(command, facts), null, command);
  }
});

test('a program, subcommand, flag, script or file that does not exist is named', () => {
  for (const [command, fault] of [
    ['topk-lm sing --model DIR', /no subcommand sing/],
    ['topk-lm run --prompt TEXT', /run has no --prompt/],
    ['npm run deploy', /no script deploy/],
    ['npm test -- linkz', /no check linkz/],
    ['npm run soak -- linkz', /no check linkz/],
    ['cargo test --test gone', /crate\/tests has no gone/],
    ['cargo build --bin topk', /no binary topk/],
    ['python -m topklm.gone', /no module topklm.gone/],
    ['python -m topklm.train [--conf x]', /topklm.train has no --conf/],
    ['python tests/gone.py', /no file tests\/gone.py/],
    ['wget https://x.org', /wget is a program that/],
  ]) {
    assert.match(commandFault(command, facts), fault);
  }
});

test('a module of training/ is a file, or a package with a main module', () => {
  assert.match(pythonSource('topklm.train'), /--config/);
  assert.match(pythonSource('storyworlds'), /--states/);
  assert.equal(pythonSource('topklm.gone'), null);
  assert.equal(pythonSource('topklm'), null);
});
