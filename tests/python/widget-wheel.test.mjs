// python/README.md's wheel of the package for notebooks: built as printed, with the engine inside.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { commandsIn, wordsOf } from '../../scripts/lib/commands.mjs';
import { buildPackage } from '../../scripts/lib/package.mjs';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { query, run } from '../../scripts/lib/run.mjs';
import { environment } from './host.mjs';

test('pip wheel, as printed', async (t) => {
  const bin = await environment(t, 'wheel');
  if (!bin) return;
  await buildPackage();
  const lines = commandsIn(fs.readFileSync(inRoot('python/README.md'), 'utf8')).map(({ command }) => wordsOf(command));
  const [[, ...args], ...others] = lines.filter(([program, command]) => program === 'pip' && command === 'wheel');
  assert.deepEqual(others, []);
  const out = inRoot('target/python/widget-wheel');
  fs.rmSync(out, { recursive: true, force: true });
  args[args.indexOf('--wheel-dir') + 1] = out;
  await run(bin('python'), ['-m', 'pip', '--quiet', '--disable-pip-version-check', ...args]);
  const [wheel, ...more] = fs.readdirSync(out);
  assert.deepEqual(more, []);
  const script = `import sys, zipfile; files = zipfile.ZipFile(sys.argv[1]); print("\\n".join(f"{file.filename} {file.file_size}" for file in files.infolist()))`;
  const files = query(bin('python'), ['-c', script, path.join(out, wheel)]);
  const engine = fs.statSync(inRoot('dist/npm/bundle.js')).size;
  assert.match(files, new RegExp(`^topk_lm/\\S*bundle\\.js ${engine}$`, 'm'));
  assert.match(files, /^topk_lm\/__init__\.py \d+$/m);
});
