// On a fresh clone `npm start`, `npm run build` and `npm test` install the npm packages themselves, so what they import at once needs none.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { inRoot, show } from '../../scripts/lib/paths.mjs';

/** Imports at the top of a file, and of what it imports so. */
function importsOf(file, seen = new Map()) {
  if (seen.has(file)) return seen;
  const names = [...fs.readFileSync(file, 'utf8').matchAll(/^(?:import|export)\b[^;]*?\bfrom '([^']+)'|^import '([^']+)'/gm)].map(
    (match) => match[1] ?? match[2],
  );
  seen.set(file, names);
  for (const name of names.filter((name) => name.startsWith('.'))) importsOf(path.resolve(path.dirname(file), name), seen);
  return seen;
}

test('the commands of a fresh clone start without npm packages', () => {
  for (const entry of ['build', 'start', 'test', 'training']) {
    const seen = importsOf(inRoot('scripts', `${entry}.mjs`));
    assert.ok(seen.size > 3);
    for (const [file, names] of seen) {
      const packages = names.filter((name) => !name.startsWith('.') && !name.startsWith('node:'));
      assert.deepEqual(packages, [], `scripts/${entry}.mjs imports ${show(file)}`);
    }
  }
});
