// python/cli: the wheel that carries the command, built as for a release but by the profile of the tests, installed, and run from the PATH.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { inRoot, paths } from '../../scripts/lib/paths.mjs';
import { run } from '../../scripts/lib/run.mjs';
import { environment } from './host.mjs';

test('the wheel puts topk-lm on the PATH', async (t) => {
  const bin = await environment(t, 'wheel', 'tests/python/requirements-wheel.txt');
  if (!bin) return;
  const out = inRoot('target/python/wheels');
  fs.rmSync(out, { recursive: true, force: true });
  await run(bin('maturin'), ['build', '--profile', 'dev', '--out', out], { cwd: inRoot('python/cli') });
  const [wheel, ...others] = fs.readdirSync(out);
  assert.deepEqual(others, []);
  assert.match(wheel, /^topk_lm_cli-\d+\.\d+\.\d+-py3-none-.+\.whl$/);
  await run(bin('python'), ['-m', 'pip', 'install', '--quiet', '--no-deps', '--force-reinstall', '--no-index', path.join(out, wheel)]);
  const folder = path.dirname(bin('python'));
  const info = spawnSync('topk-lm', ['info', '--model', path.join(paths.models, 'Llama-TopK-Stories-9M')], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${folder}${path.delimiter}${process.env.PATH}` },
    cwd: folder,
  });
  assert.equal(info.status, 0, String(info.stderr ?? info.error));
  assert.match(info.stdout, /160/);
  const metadata = spawnSync(bin('python'), ['-c', 'import importlib.metadata as m; print(m.version("topk-lm-cli"))'], {
    encoding: 'utf8',
  });
  const { version } = JSON.parse(fs.readFileSync(inRoot('js/package.json'), 'utf8'));
  assert.equal(metadata.stdout.trim(), version);
});
