import assert from 'node:assert/strict';
import os from 'node:os';
import { test } from 'node:test';
import { chooseLicenses, cratesOf, foldersOf, groupTexts, licensesText } from '../../scripts/lib/licenses.mjs';
import { ENGINE } from '../../scripts/lib/wasm.mjs';
import { paths } from '../../scripts/lib/paths.mjs';

const mit = (who) =>
  `Copyright (c) ${who}\n\nPermission is hereby granted, free of charge, to all.\nThe above copyright notice shall be included.\n`;
const APACHE = 'Apache License\nTERMS AND CONDITIONS FOR USE\n';
const entry = (name, license, texts = [], more = {}) => ({ name, version: '1.0.0', license, texts, ...more });

test('of a choice the allowed side is taken, of AND both', () => {
  const cases = {
    MIT: ['MIT'],
    'Apache-2.0 OR MIT': ['MIT'],
    'Apache-2.0/MIT': ['MIT'],
    'GPL-3.0 OR Apache-2.0': ['Apache-2.0'],
    'Apache-2.0 OR LGPL-2.1 OR BSL-1.0': ['Apache-2.0'],
    '(MIT OR Apache-2.0) AND Unicode-3.0': ['MIT', 'Unicode-3.0'],
    'GPL-2.0 AND MIT OR Zlib': ['Zlib'],
    'MIT AND (GPL-2.0 OR MIT)': ['MIT'],
    'Apache-2.0 WITH LLVM-exception OR GPL-3.0': ['Apache-2.0 WITH LLVM-exception'],
  };
  for (const [expression, chosen] of Object.entries(cases)) assert.deepEqual(chooseLicenses(expression), chosen, expression);
  for (const expression of ['GPL-3.0', 'MIT AND GPL-3.0', 'Apache-2.0 WITH Other', 'MIT OR', '(MIT', 'MIT Zlib', '', 'toString']) {
    assert.equal(chooseLicenses(expression), null, expression);
  }
});

test('one text for all packages that have it, whatever the order and the line breaks', () => {
  const packages = [
    entry('c', 'MIT', [mit('Ann')]),
    entry('b', 'MIT OR Apache-2.0', [APACHE, mit('Bob')]),
    entry('a', 'Unlicense OR MIT', [mit('Ann').replaceAll('\n', '\r\n')]),
  ];
  const groups = groupTexts(packages);
  assert.deepEqual(
    groups.map(({ packages: names }) => names),
    [['a 1.0.0 (Unlicense OR MIT)', 'c 1.0.0 (MIT)'], ['b 1.0.0 (MIT OR Apache-2.0)']],
  );
  assert.ok(!licensesText(packages).includes('\r') && !licensesText(packages).includes('Apache License'));
  assert.equal(licensesText(packages), licensesText([...packages].reverse()));
});

test('a notice goes with Apache-2.0 only', () => {
  const notices = ['Made by Ann'];
  assert.deepEqual(groupTexts([entry('a', 'Apache-2.0', [APACHE], { notices })]).at(-1), {
    packages: ['a 1.0.0: notice'],
    text: 'Made by Ann',
  });
  assert.equal(groupTexts([entry('a', 'MIT', [mit('Ann')], { notices })]).length, 1);
});

test('a package without a text gets the standard one, with its own authors', () => {
  const [group] = groupTexts([entry('a', 'MIT', [], { authors: ['Ann <ann@example.org>', 'Bob'] })]);
  assert.match(group.text, /^Copyright \(c\) Ann, Bob$/m);
  assert.doesNotMatch(group.text, /topk-lm|example/);
  assert.match(groupTexts([entry('a', 'MIT')])[0].text, /^Copyright \(c\) The authors of a$/m);
  assert.match(groupTexts([entry('a', 'Apache-2.0')])[0].text, /Version 2\.0/);
  const zlib = "Copyright Ann\nThis software is provided 'as-is'. Altered source versions must be marked.";
  assert.match(groupTexts([entry('a', 'Zlib'), entry('b', 'Zlib', [zlib])])[0].text, /authors of a\nThis software is provided/);
});

test('what cannot be handed on is named', () => {
  assert.throws(
    () => groupTexts([entry('a', 'GPL-3.0', ['GPL'])]),
    /^Error: a 1\.0\.0 is licensed "GPL-3\.0", which is not allowed here; allowed are MIT/,
  );
  assert.throws(() => groupTexts([entry('a', undefined)]), /a 1\.0\.0 names no license/);
  assert.throws(() => groupTexts([entry('a', 'Zlib')]), /a has no file with the text of its license, Zlib/);
});

test('the npm packages that a script holds', () => {
  const inputs = Object.fromEntries(
    ['../node_modules/@a/b/src/x.js', '../node_modules/@a/b/y.js', '../node_modules/c/node_modules/d/z.js', 'own.js'].map((name) => [
      name,
      { bytesInOutput: 1 },
    ]),
  );
  const metafile = { outputs: { 'x.js': { inputs: { ...inputs, '../node_modules/unused/x.js': { bytesInOutput: 0 } } } } };
  assert.deepEqual(foldersOf(metafile, paths.www), ['node_modules/@a/b', 'node_modules/c/node_modules/d']);
});

test('all crates of the engine may be handed on, and the text names no folder of this machine', () => {
  const crates = cratesOf(ENGINE);
  const names = crates.map(({ name }) => name);
  for (const name of ['Rust standard library', 'tokenizers', 'wgpu', 'wasm-bindgen']) assert.ok(names.includes(name), name);
  for (const name of ['topk-lm', 'clap', 'syn', 'proptest', 'wgpu-core']) assert.ok(!names.includes(name), name); // command, build, tests, native
  const text = licensesText(crates);
  for (const { name, version } of crates) assert.ok(text.includes(`\n${[name, version].filter(Boolean).join(' ')} (`), name);
  assert.ok(!text.includes(os.homedir()) && !text.includes(paths.root));
});
