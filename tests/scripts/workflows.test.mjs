// The workflows: their rules, their shell steps as far as they can be read, and the script that runs them here; releases; the templates.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { commandFault } from '../../scripts/lib/commands.mjs';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { archive, checkTag, notesOf, versions, writeSums } from '../../scripts/lib/release.mjs';
import { filled, holds, matrixEntry, workflowFaults } from '../../scripts/lib/workflows.mjs';

/** An expression in GitHub's syntax. */
const expression = (name) => `$\{{ ${name} }}`;

const folder = inRoot('.github/workflows');
const workflows = fs.readdirSync(folder).map((name) => [name, parse(fs.readFileSync(path.join(folder, name), 'utf8'))]);
const steps = workflows.flatMap(([name, { jobs }]) => Object.values(jobs).flatMap((job) => job.steps.map((step) => ({ name, ...step }))));

test('actions are pinned, rights are few, jobs end, scripts hold no expressions', () => {
  for (const [name, workflow] of workflows) assert.deepEqual(workflowFaults(workflow), [], name);
  assert.deepEqual(
    workflowFaults({
      permissions: 'write-all',
      jobs: { a: { steps: [{ uses: 'actions/checkout@v4' }, { run: `echo ${expression('github.event.issue.title')}` }] } },
    }).length,
    5,
  );
});

test('the version beside a pinned commit is the same wherever the action is used', () => {
  const seen = new Map();
  for (const [name] of workflows) {
    for (const [, action, commit, version] of fs
      .readFileSync(path.join(folder, name), 'utf8')
      .matchAll(/uses: (\S+)@(\w+) # (v[\d.]+)$/gm)) {
      assert.equal(seen.get(action) ?? `${commit} ${version}`, `${commit} ${version}`, action);
      seen.set(action, `${commit} ${version}`);
    }
  }
  assert.equal(seen.size, new Set(steps.flatMap(({ uses }) => uses?.split('@')[0] ?? [])).size, 'each names its version');
});

test('shell steps are shell, and call what exists', () => {
  const facts = {
    scripts: Object.keys(JSON.parse(fs.readFileSync(inRoot('package.json'), 'utf8')).scripts),
    checks: [],
    exists: (name) => fs.existsSync(inRoot(name)),
    help: () => '',
    python: () => '',
  };
  for (const { name, run } of steps.filter(({ run }) => run)) {
    const { status, stderr } = spawnSync('bash', ['-n', '-c', run], { encoding: 'utf8' });
    assert.equal(status, 0, `${name}: ${run}: ${stderr}`);
    for (const line of run.split('\n')) {
      if (/^(npm run|node|cargo) /.test(line)) assert.equal(commandFault(line, facts), null, `${name}: ${line}`);
      if (/^\.(ci\/|\/)/.test(line)) assert.ok(facts.exists(line), line);
    }
  }
  assert.ok(steps.some(({ name, run }) => name === 'test.yml' && run === '.ci/run'));
});

test('expressions are filled with what is known, conditions decided, the matrix read', () => {
  assert.equal(filled(`a-${expression('matrix.os')}`, { 'matrix.os': 'x' }), 'a-x');
  assert.throws(() => filled(expression('github.ref_name'), {}), /--set github.ref_name=VALUE/);
  assert.equal(holds("matrix.os == 'a'", { 'matrix.os': 'a' }), true);
  assert.equal(holds("matrix.os != 'a'", { 'matrix.os': 'a' }), false);
  assert.throws(() => holds('always()'), /cannot be decided/);
  const { matrix } = workflows.find(([name]) => name === 'release.yml')[1].jobs.command.strategy;
  assert.equal(matrixEntry(matrix, { platform: 'darwin', arch: 'arm64' }).target, 'aarch64-apple-darwin');
  assert.equal(matrixEntry(matrix, { platform: 'win32', arch: 'x64' }).target, 'x86_64-pc-windows-msvc');
  assert.throws(() => matrixEntry(matrix, { platform: 'aix', arch: 'ppc64' }), /no entry/);
});

test('the steps of a workflow run in a fresh clone', () => {
  const script = inRoot('scripts/workflow.mjs');
  const at = (...args) => spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  assert.match(at('pages.yml', 'nothing').stderr, /has no job "nothing"/);
  const unset = at('pages.yml', 'deploy');
  assert.equal(unset.status, 0, unset.stderr);
  assert.match(unset.stdout, /actions\/deploy-pages\S* \(GitHub's own\)/);
});

test('a release: versions agree, archives hold the command, checksums are right', async (t) => {
  const found = versions();
  assert.deepEqual(new Set(Object.values(found)).size, 1, JSON.stringify(found));
  const changelog = '## [Unreleased]\n\n## [1.2.3] - 2026-01-01\n\n- New.\n\n## [1.2.2]\n\n- Old.\n';
  assert.equal(notesOf('1.2.3', changelog), '- New.');
  assert.equal(checkTag('v1.2.3', { found: { a: '1.2.3' }, changelog }), '1.2.3');
  assert.throws(() => checkTag('1.2.3', { found: {}, changelog }), /looks like v1.2.3/);
  assert.throws(() => checkTag('v1.2.3', { found: { 'js/package.json': '1.2.2' }, changelog }), /js\/package.json says version 1.2.2/);
  assert.throws(() => checkTag('v1.2.4', { found: {}, changelog }), /CHANGELOG.md says nothing/);

  const out = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-release-'));
  t.after(() => fs.rmSync(out, { recursive: true }));
  const built = path.join(out, 'built');
  fs.writeFileSync(built, '#!/bin/sh\necho ran\n');
  const file = await archive('x86_64-unknown-linux-gnu', { built, out });
  fs.rmSync(built);
  const name = path.basename(file, '.tar.gz');
  assert.equal(name, `topk-lm-${found['Cargo.toml']}-x86_64-unknown-linux-gnu`);
  writeSums(out);
  if (process.platform === 'linux') {
    assert.equal(spawnSync('sha256sum', ['--check', 'SHA256SUMS'], { cwd: out, encoding: 'utf8' }).stdout, `${name}.tar.gz: OK\n`);
  }
  spawnSync('tar', ['-xzf', path.basename(file)], { cwd: out });
  const packed = ['LICENSE-APACHE', 'LICENSE-MIT', 'THIRD_PARTY_LICENSES.txt', 'command-line.md', 'topk-lm'];
  assert.deepEqual(fs.readdirSync(path.join(out, name)).sort(), packed);
  assert.match(fs.readFileSync(path.join(out, name, 'THIRD_PARTY_LICENSES.txt'), 'utf8'), /^clap \d/m);
  if (process.platform !== 'win32') assert.equal(spawnSync(path.join(out, name, 'topk-lm'), { encoding: 'utf8' }).stdout, 'ran\n');
  fs.writeFileSync(built, `panicked at ${path.join(os.homedir(), '.cargo/registry/src/a.rs')}`);
  await assert.rejects(archive('x86_64-unknown-linux-gnu', { built, out }), /built holds the path .*: compile it with --remap-path-prefix/);
  fs.rmSync(built);
  await assert.rejects(archive('../x', { built, out }), /A target looks like/);
  await assert.rejects(archive('x86_64-unknown-linux-gnu', { built: path.join(out, 'gone'), out }), /is not built/);
});

test('issue forms and the citation hold what their readers require', () => {
  const templates = inRoot('.github/ISSUE_TEMPLATE');
  for (const name of fs.readdirSync(templates)) {
    const form = parse(fs.readFileSync(path.join(templates, name), 'utf8'));
    if (name === 'config.yml') continue;
    for (const key of ['name', 'description', 'body']) assert.ok(form[key], `${name}: ${key}`);
    const ids = form.body.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, name);
    for (const { type, attributes } of form.body) {
      assert.ok(['textarea', 'input', 'dropdown', 'checkboxes', 'markdown'].includes(type), `${name}: ${type}`);
      assert.ok(attributes.label, `${name}: a label`);
    }
  }
  const citation = parse(fs.readFileSync(inRoot('CITATION.cff'), 'utf8'));
  for (const key of ['cff-version', 'message', 'title', 'authors']) assert.ok(citation[key], key);
});
