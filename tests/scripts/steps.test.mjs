import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { paths, show } from '../../scripts/lib/paths.mjs';
import { step } from '../../scripts/lib/steps.mjs';
import { writeWhole } from '../../scripts/lib/write.mjs';

let folder;
const at = (name) => path.join(show(folder), name);

before(() => {
  fs.mkdirSync(paths.target, { recursive: true });
  folder = fs.mkdtempSync(path.join(paths.target, 'steps-test-'));
});
after(() => {
  fs.rmSync(folder, { recursive: true });
  for (const name of fs.readdirSync(paths.stamps)) {
    if (name.startsWith('steps-test')) fs.rmSync(path.join(paths.stamps, name));
  }
});

test('a step runs again when an input, a fact or an output changed, and only then', async () => {
  const write = (name, text) => fs.writeFileSync(path.join(folder, name), text);
  const make = (facts) =>
    step('steps-test', { inputs: [at('in')], outputs: [at('out')], facts }, () =>
      fs.copyFileSync(path.join(folder, 'in'), path.join(folder, 'out')),
    );
  write('in', '1');
  assert.equal(await make('a'), true);
  assert.equal(await make('a'), false);
  write('in', '1'); // the same content at a later time
  assert.equal(await make('a'), false);
  write('in', '2');
  assert.equal(await make('a'), true);
  assert.equal(await make('b'), true);
  fs.rmSync(path.join(folder, 'out'));
  assert.equal(await make('b'), true);
  assert.equal(fs.readFileSync(path.join(folder, 'out'), 'utf8'), '2');
});

test('a step that failed, or wrote nothing, runs again', async () => {
  const inputs = { inputs: [], outputs: [at('never')] };
  await assert.rejects(
    step('steps-test-failing', inputs, () => Promise.reject(new Error('no'))),
    /^Error: no$/,
  );
  await assert.rejects(
    step('steps-test-failing', inputs, () => {}),
    /did not write/,
  );
  fs.writeFileSync(path.join(folder, 'never'), '');
  assert.equal(await step('steps-test-failing', inputs, () => {}), true);
});

test('a file is written whole or stays as it was', () => {
  const file = path.join(folder, 'whole.json');
  writeWhole(file, 'older');
  assert.throws(() => writeWhole(file, Symbol('no text')));
  assert.equal(fs.readFileSync(file, 'utf8'), 'older');
  writeWhole(file, 'newer');
  assert.equal(fs.readFileSync(file, 'utf8'), 'newer');
  assert.equal(fs.existsSync(`${file}.part`), false);
});
