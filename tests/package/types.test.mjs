// The types as users' compilers see them: with both ways of resolving packages, the oldest TypeScript that is supported, and without the
// types of the platform.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createProject, root } from './fixture.mjs';

const sources = fileURLToPath(new URL('./types', import.meta.url));

/** Compiles `files` in a project of its own. */
function compile(name, compiler, files, options) {
  const folder = createProject(`types-${name}`);
  for (const file of files) fs.copyFileSync(path.join(sources, file), path.join(folder, file));
  const compilerOptions = { noEmit: true, strict: true, exactOptionalPropertyTypes: true, target: 'es2022', types: [], ...options };
  fs.writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  try {
    execFileSync(process.execPath, [path.join(root, 'node_modules', compiler, 'bin/tsc'), '-p', '.'], { cwd: folder, encoding: 'utf8' });
  } catch (error) {
    throw new Error(error.stdout || error.message);
  }
}

for (const compiler of ['typescript', 'typescript-5.4']) {
  for (const [module, moduleResolution] of [
    ['esnext', 'bundler'],
    ['nodenext', 'nodenext'],
  ]) {
    const options = { module, moduleResolution };
    const name = `${compiler}-${moduleResolution}`;
    test(`${compiler}, moduleResolution ${moduleResolution}`, () =>
      compile(name, compiler, ['consumer.ts', 'minimal.ts', 'optional.ts'], options));
    test(`${compiler}, moduleResolution ${moduleResolution}, without the library dom`, () =>
      compile(`${name}-without-dom`, compiler, ['minimal.ts'], { ...options, lib: ['es2022'] }));
    test(`${compiler}, moduleResolution ${moduleResolution}, with the library esnext.disposable`, () =>
      compile(`${name}-disposable`, compiler, ['consumer.ts', 'disposable.ts'], {
        ...options,
        lib: ['es2022', 'dom', 'esnext.disposable'],
      }));
  }
}
