// The command, and Python environments with what a requirements file names.
import fs from 'node:fs';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { run } from '../../scripts/lib/run.mjs';

/** The command: the release build if there is one that is newer, else that of the tests (documented-commands builds it too). */
export async function command() {
  await run('cargo', ['build', '--locked', '-p', 'topk-lm', '--bin', 'topk-lm', '--quiet']);
  return inRoot('target/debug', process.platform === 'win32' ? 'topk-lm.exe' : 'topk-lm');
}

/** Every file below a folder, by its path. */
export function contents(folder) {
  const names = fs.readdirSync(folder, { recursive: true }).filter((name) => fs.statSync(`${folder}/${name}`).isFile());
  return new Map(names.sort().map((name) => [name, fs.readFileSync(`${folder}/${name}`)]));
}
