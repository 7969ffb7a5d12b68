// python/cli: the wheel that carries the command, built as for a release but by the profile `tool`, which is compiled quickest, installed, and run from the PATH.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { THIRD_PARTY } from '../../scripts/lib/licenses.mjs';
import { inRoot, paths } from '../../scripts/lib/paths.mjs';
import { writeLicensesOf } from '../../scripts/lib/release.mjs';
import { query, run } from '../../scripts/lib/run.mjs';
import { environment } from './host.mjs';

test('the wheel puts topk-lm on the PATH', async (t) => {
  const bin = await environment(t, 'wheel');
  if (!bin) return;
  const out = inRoot('target/python/wheels');
  fs.rmSync(out, { recursive: true, force: true });
  writeLicensesOf(/^host: (.+)$/m.exec(query('rustc', ['-vV']))[1]);
  await run(bin('maturin'), ['build', '--profile', 'tool', '--out', out], { cwd: inRoot('python/cli') });
  const [wheel, ...others] = fs.readdirSync(out);
  assert.deepEqual(others, []);
  assert.match(wheel, /^topk_lm_cli-\d+\.\d+\.\d+-py3-none-.+\.whl$/);
  await run(bin('python'), ['-m', 'pip', 'install', '--quiet', '--no-deps', '--force-reinstall', '--no-index', path.join(out, wheel)]);
  const folder = path.dirname(bin('python'));
  const info = spawnSync('topk-lm', ['info', '--model', path.join(paths.models, 'Llama-TopK-Stories-16M')], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${folder}${path.delimiter}${process.env.PATH}` },
    cwd: folder,
  });
  assert.equal(info.status, 0, String(info.stderr ?? info.error));
  assert.match(info.stdout, /48/);
  const script = `import importlib.metadata as m, json
wheel = m.distribution("topk-lm-cli")
print(json.dumps([wheel.version, *({file.name: file.read_text() for file in wheel.files if "licenses" in file.parts}.items())]))`;
  const [installed, ...licenses] = JSON.parse(query(bin('python'), ['-c', script]));
  const { version } = JSON.parse(fs.readFileSync(inRoot('js/package.json'), 'utf8'));
  assert.equal(installed, version);
  assert.deepEqual(licenses.map(([name]) => name).sort(), ['LICENSE-APACHE', 'LICENSE-MIT', THIRD_PARTY]);
  assert.match(Object.fromEntries(licenses)[THIRD_PARTY], /^clap \d/m, 'the licenses of what the command contains of others');
});
