// The types as users' compilers see them, with both ways of resolving packages.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createProject, root } from './fixture.mjs';

const consumer = fileURLToPath(new URL('./types/consumer.ts', import.meta.url));

for (const [module, moduleResolution] of [
  ['esnext', 'bundler'],
  ['nodenext', 'nodenext'],
]) {
  test(`types, moduleResolution ${moduleResolution}`, () => {
    const folder = createProject(`types-${moduleResolution}`);
    fs.copyFileSync(consumer, path.join(folder, 'consumer.ts'));
    const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
    const options = [
      '--noEmit',
      '--strict',
      '--target',
      'es2022',
      '--module',
      module,
      '--moduleResolution',
      moduleResolution,
      '--types',
      '',
    ];
    try {
      execFileSync(process.execPath, [tsc, ...options, 'consumer.ts'], { cwd: folder, encoding: 'utf8' });
    } catch (error) {
      throw new Error(error.stdout || error.message);
    }
  });
}
