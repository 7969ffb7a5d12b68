// The errors of the Python package are those of the npm package: the same classes for the same codes.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { inRoot } from '../../scripts/lib/paths.mjs';

test('codes and classes agree', () => {
  const js = fs.readFileSync(inRoot('js/src/errors.ts'), 'utf8');
  const table = /const SUBCLASS[^{]*\{([^}]*)\}/.exec(js)[1];
  const wanted = [...table.matchAll(/'?([\w-]+)'?: (\w+),/g)].map(([, code, name]) => `${code} ${name}`);
  wanted.push('aborted TopKAbortError', 'disposed TopKDisposedError');
  const python = fs.readFileSync(inRoot('python/src/topk_lm/errors.py'), 'utf8');
  const lines = [.../_CODES = \{([^}]*)\}/.exec(python)[1].matchAll(/(\w+): \(([^)]*)\)/g)];
  const found = lines.flatMap(([, name, codes]) => [...codes.matchAll(/"([\w-]+)"/g)].map(([, code]) => `${code} ${name}`));
  assert.ok(found.length > 15);
  assert.deepEqual(found.sort(), wanted.sort());
});
