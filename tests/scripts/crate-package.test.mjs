// What `npm test -- crate-package` holds against the crate's package.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilerFaults, contentFaults, requirementFaults } from '../../scripts/lib/crate-package.mjs';

test('files too many and too few are named', () => {
  assert.deepEqual(contentFaults(['a', 'b'], ['b', 'a']), []);
  assert.deepEqual(contentFaults(['a', 'notes.txt'], ['a', 'src/lib.rs']), [
    "the crate's package lacks src/lib.rs.",
    "the crate's package has notes.txt, which does not belong there.",
  ]);
});

test('a requirement that holds users to one version is named; those of tests may be any', () => {
  const dependencies = [
    { name: 'half', req: '^2.5', kind: null },
    { name: 'proptest', req: '=1.12.0', kind: 'dev' },
  ];
  assert.deepEqual(requirementFaults(dependencies), []);
  for (const req of ['=30.0.0', '>=1, <2', '~1.2', '*', '^1.0.0, <1.0.154']) {
    assert.deepEqual(requirementFaults([{ name: 'wgpu', req, kind: null }]), [
      `the crate asks for wgpu ${req}; ask for the oldest version that does.`,
    ]);
  }
});

test('a dependency that needs a newer compiler than the crate says is named', () => {
  const own = { name: 'topk-lm', version: '0.1.0', rust_version: '1.89' };
  const other = (rust_version) => ({ name: 'wgpu', version: '30.0.1', rust_version });
  for (const may of [null, '1.9', '1.89', '1.89.7', '1.56.0']) assert.deepEqual(compilerFaults([other(may), own]), []);
  for (const not of ['1.90', '1.100.0', '2.0']) {
    assert.deepEqual(compilerFaults([other(not), own]), [`Cargo.lock has wgpu 30.0.1, which needs Rust ${not}; the crate says 1.89.`]);
  }
});
