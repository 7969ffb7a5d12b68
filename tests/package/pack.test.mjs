// What is published: the files of `npm pack` are those of pack.txt, of a known size, each script with its source map.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { slugOf } from '../../scripts/lib/links.mjs';
import { packageFolder, root } from './fixture.mjs';

const MOST = { size: 2_450_000, unpackedSize: 5_630_000 };

const [packed] = JSON.parse(
  execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', '--offline'], {
    cwd: packageFolder,
    encoding: 'utf8',
    shell: process.platform === 'win32',
    stdio: ['ignore', 'pipe', 'ignore'],
  }),
);
const files = packed.files.map((file) => file.path);
const read = (name) => fs.readFileSync(path.join(packageFolder, name));

test('the list of files', () => {
  // Names of shared pieces hold a hash.
  const stable = files.map((name) => name.replace(/^(chunk|host)-[A-Z0-9]{8}\./, '$1-*.'));
  const expected = fs
    .readFileSync(new URL('./pack.txt', import.meta.url), 'utf8')
    .trim()
    .split('\n');
  assert.deepEqual([...new Set(stable)].sort(), expected.sort());
});

test('the size', (t) => {
  for (const [name, most] of Object.entries(MOST)) {
    t.diagnostic(`${name}: ${packed[name]} bytes`);
    assert.ok(packed[name] <= most, `${name} is ${packed[name]}, at most ${most}`);
  }
});

test('each script names a source map that is packed, and the map holds its sources', () => {
  for (const name of files.filter((file) => file.endsWith('.js'))) {
    const [, map] = /\/\/# sourceMappingURL=(\S+)\s*$/.exec(read(name).toString('utf8')) ?? [];
    assert.ok(map !== undefined && files.includes(map), `${name}: ${map}`);
    const { sources, sourcesContent } = JSON.parse(read(map).toString('utf8'));
    assert.equal(sourcesContent.length, sources.length, map);
    for (const source of sources) assert.ok(!path.isAbsolute(source), `${map}: ${source}`);
  }
});

test('links of the README lead to its own headings, into the package, or to the web', () => {
  const text = read('README.md').toString('utf8');
  const prose = text.replaceAll(/^```[\s\S]*?^```|`[^`\n]+`/gm, '');
  const headings = new Set([...prose.matchAll(/^#+ (.*)$/gm)].map(([, title]) => slugOf(title)));
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link);
  assert.ok(links.length > 0);
  for (const link of links) {
    const isThere = link.startsWith('#') ? headings.has(link.slice(1)) : /^https:/.test(link) || files.includes(link.replace(/#.*/, ''));
    assert.ok(isThere, link);
  }
});

test('every export is there', () => {
  const { exports } = JSON.parse(read('package.json').toString('utf8'));
  const targets = Object.values(exports).flatMap((target) => (typeof target === 'string' ? [target] : Object.values(target)));
  for (const target of targets) assert.ok(files.includes(target.replace('./', '')), target);
});

test('what the package and the site hold of others comes with its licenses', () => {
  const site = path.join(root, 'dist/site');
  for (const [folder, endings, names] of [
    [packageFolder, '', ['tokenizers', 'wgpu', 'wasm-bindgen']],
    [site, '.txt', ['tokenizers', 'wgpu', 'wasm-bindgen', 'svelte', 'd3-scale', 'kodama']],
  ]) {
    for (const own of ['LICENSE-MIT', 'LICENSE-APACHE']) assert.ok(fs.existsSync(path.join(folder, own + endings)), `${folder}: ${own}`);
    const text = fs.readFileSync(path.join(folder, 'THIRD_PARTY_LICENSES.txt'), 'utf8');
    for (const name of names) assert.match(text, new RegExp(`^${name} \\d`, 'm'), `${folder}: ${name}`);
  }
});

test('nothing tells of the machine that built it', () => {
  const told = [process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo'), path.resolve(packageFolder, '../..')];
  for (const name of files) for (const folder of told) assert.ok(!read(name).includes(folder), `${name} holds ${folder}`);
});

test('minified, classes have the names that a console and a report show', async () => {
  for (const entry of ['index', 'bundle', 'features', 'topk']) {
    const all = await import(pathToFileURL(path.join(packageFolder, `${entry}.js`)));
    const classes = Object.entries(all).filter(([, value]) => /^class\b/.test(String(value)));
    assert.ok(classes.length > 1, entry);
    for (const [name, value] of classes) assert.equal(value.name, name, entry);
  }
  const { Features, TopKAbortError, TopKDisposedError, TopKModelError } = await import(pathToFileURL(path.join(packageFolder, 'index.js')));
  const error = new TopKModelError('io', 'it is damaged.');
  assert.equal(error.name, 'TopKModelError');
  assert.match(inspect(error), /^TopKModelError: it is damaged\.\n +at /);
  assert.equal(new TopKDisposedError().name, 'TopKDisposedError');
  assert.equal(new TopKAbortError().name, 'AbortError');
  assert.equal(inspect(Features.open('https://host.example/m/'), { depth: 0 }), 'Features {}');
});
