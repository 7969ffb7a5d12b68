import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { npm } from '../../scripts/lib/run.mjs';
import { filesUnder } from '../../scripts/lib/steps.mjs';
import { aptArguments } from '../../scripts/lib/system.mjs';

test('apt-get waits for the lock of another install', () => {
  assert.deepEqual(aptArguments('install', '-y', 'lld'), ['-o', 'DPkg::Lock::Timeout=300', '-qq', 'install', '-y', 'lld']);
});

test('every call of apt-get goes through these arguments', () => {
  const read = (folder) => filesUnder(inRoot(folder)).map((file) => fs.readFileSync(file, 'utf8'));
  const calls = ['scripts', 'benches'].flatMap(read).flatMap((code) => code.match(/\w+\(\s*'apt-get'.*/g) ?? []);
  const started = calls.filter((call) => !call.startsWith('which('));
  assert.ok(started.length >= 2);
  for (const call of started) assert.match(call, /aptArguments\(/);
  const shell = ['.github', '.ci'].flatMap(read).flatMap((script) => script.match(/.*\bapt-get\b.*/g) ?? []);
  for (const line of shell) assert.match(line, /DPkg::Lock::Timeout=300/);
});

test('npm is started by its script where that is known', (t) => {
  const { npm_execpath: before } = process.env;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-npm-'));
  t.after(() => {
    fs.rmSync(folder, { recursive: true });
    if (before === undefined) delete process.env.npm_execpath;
    else process.env.npm_execpath = before;
  });
  delete process.env.npm_execpath;
  const unknown = npm('--version');
  assert.match(execFileSync(...unknown, { encoding: 'utf8' }), /^\d+\.\d+\.\d+\s*$/);
  for (const [name, wanted] of [
    ['npm-cli.js', (file) => [process.execPath, [file, '--version']]],
    ['pnpm.cjs', () => unknown], // another manager of packages
  ]) {
    process.env.npm_execpath = path.join(folder, name);
    assert.deepEqual(npm('--version'), unknown, 'not there');
    fs.writeFileSync(process.env.npm_execpath, '');
    assert.deepEqual(npm('--version'), wanted(process.env.npm_execpath));
  }
});
