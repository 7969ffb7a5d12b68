// The packages name the repository in which they were built, where that is known: npm's, the crate, the wheels.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { npmOrigin, withValues, writeOrigin } from '../../scripts/lib/origin.mjs';
import { inRoot } from '../../scripts/lib/paths.mjs';

const GITHUB = { GITHUB_SERVER_URL: 'https://git.example', GITHUB_REPOSITORY: 'owner/name' };
const URL = 'https://git.example/owner/name';

test('a build in a workflow names its repository', () => {
  const { repository, homepage, bugs } = npmOrigin(GITHUB);
  assert.deepEqual(repository, { type: 'git', url: `git+${URL}.git`, directory: 'js' });
  assert.equal(homepage, `${URL}#readme`);
  assert.equal(bugs.url, `${URL}/issues`);
});

test('any other build says nothing', (t) => {
  const folder = copy(t);
  const before = manifests(folder);
  for (const env of [
    {},
    { ...GITHUB, GITHUB_REPOSITORY: 'a name' },
    { ...GITHUB, GITHUB_SERVER_URL: 'https://x"y' },
    { GITHUB_REPOSITORY: 'a/b' },
  ]) {
    assert.deepEqual(npmOrigin(env), {});
    assert.deepEqual(writeOrigin(env, folder), []);
  }
  assert.deepEqual(manifests(folder), before);
});

test('a value is set in its table and nowhere else, once', () => {
  const text = '[a]\nname = "x"\nhomepage = "old"\n\n[b]\nhomepage = "b"\n';
  const set = withValues(text, 'a', { homepage: 'new', other: 'o"' });
  assert.equal(set, '[a]\nhomepage = "new"\nother = "o\\""\nname = "x"\n\n[b]\nhomepage = "b"\n');
  assert.equal(withValues(set, 'a', { homepage: 'new', other: 'o"' }), set);
  assert.equal(withValues('[a]\n', 'c.d', { e: 'f' }), '[a]\n\n[c.d]\ne = "f"\n');
  assert.equal(withValues(text.replaceAll('\n', '\r\n'), 'a', { homepage: 'new', other: 'o"' }), set); // a checkout of Windows
});

test('the crate as Cargo reads it, and what it would publish', (t) => {
  const folder = copy(t);
  const list = () => cargo(folder, 'package', '--list', '--allow-dirty', '--locked', '--package', 'topk-lm');
  const files = list();
  assert.deepEqual(metadata(folder), { repository: null, homepage: null });
  const written = writeOrigin(GITHUB, folder);
  assert.deepEqual(written, Object.keys(manifests(folder)));
  assert.deepEqual(metadata(folder), { repository: URL, homepage: `${URL}#readme` });
  assert.equal(list(), files);
  const once = manifests(folder);
  writeOrigin(GITHUB, folder);
  assert.deepEqual(manifests(folder), once);
});

test('the wheels as Python reads them', (t) => {
  const folder = copy(t);
  writeOrigin(GITHUB, folder);
  const script =
    'import json, sys, tomllib; print(json.dumps([tomllib.load(open(name, "rb"))["project"]["urls"] for name in sys.argv[1:]]))';
  const names = ['python/pyproject.toml', 'python/cli/pyproject.toml'].map((name) => path.join(folder, name));
  const { status, stdout, stderr } = spawnSync('python3', ['-c', script, ...names], { encoding: 'utf8' });
  if (status !== 0 && /tomllib|ENOENT/.test(stderr ?? 'ENOENT')) return t.skip('no Python 3.11 here');
  const urls = { Repository: URL, Homepage: `${URL}#readme`, Issues: `${URL}/issues` };
  assert.deepEqual(JSON.parse(stdout), [urls, urls]);
});

test('the release writes it before it builds what carries it', () => {
  const { jobs } = parse(fs.readFileSync(inRoot('.github/workflows/release.yml'), 'utf8'));
  for (const [job, carriers] of [
    ['command', [/^cargo build /, /maturin build/]],
    ['packages', [/build --wheel/, /^cargo package .*--allow-dirty/]],
  ]) {
    const lines = jobs[job].steps.map(({ run }) => run ?? '');
    const at = lines.indexOf('node scripts/release.mjs origin');
    assert.ok(at > 0, job);
    for (const carrier of carriers) assert.ok(lines.findIndex((line) => carrier.test(line)) > at, `${job}: ${carrier}`);
  }
});

/** What Cargo and the manifests need of this repository, in a folder of its own. */
function copy(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-origin-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const tools = ['rustc-tool', 'shader-tool', 'wasm-bindgen-tool'].map((name) => `scripts/${name}`);
  for (const name of ['Cargo.toml', 'Cargo.lock', 'crate', 'shaders', 'python', ...tools]) {
    fs.cpSync(inRoot(name), path.join(folder, name), { recursive: true, verbatimSymlinks: true });
  }
  return folder;
}

const manifests = (folder) =>
  Object.fromEntries(
    ['crate/Cargo.toml', 'python/pyproject.toml', 'python/cli/pyproject.toml'].map((name) => [
      name,
      fs.readFileSync(path.join(folder, name), 'utf8'),
    ]),
  );

function cargo(cwd, ...args) {
  const { status, stdout, stderr } = spawnSync('cargo', args, { cwd, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

function metadata(folder) {
  const { packages } = JSON.parse(cargo(folder, 'metadata', '--no-deps', '--format-version', '1'));
  const { repository, homepage } = packages.find(({ name }) => name === 'topk-lm');
  return { repository, homepage };
}
