// The tools of tests/environments, each installed as its lock file says into target/environments, once; where the registry does not answer,
// what needs them is skipped aloud.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { root } from './fixture.mjs';

const LISTS = ['package.json', 'package-lock.json'];

/** The folder in which `tool` is installed; `undefined`: it cannot be had here. */
export function installTool(tool) {
  const folder = path.join(root, 'target/environments', tool);
  const list = (from, name) => fs.readFileSync(path.join(from, name), 'utf8');
  const source = path.join(root, 'tests/environments', tool);
  const done = path.join(folder, 'installed');
  const wanted = LISTS.map((name) => list(source, name)).join('');
  if (fs.existsSync(done) && list(folder, 'installed') === wanted) return folder;
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  for (const name of LISTS) fs.copyFileSync(path.join(source, name), path.join(folder, name));
  try {
    // Not `ci`: it asks a lock file for other systems' optional packages too, which npm itself leaves out.
    execFileSync('npm', ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: folder,
      timeout: 180_000,
      stdio: 'pipe',
      shell: process.platform === 'win32',
    });
  } catch (error) {
    const said = String(error.stderr || error).trim();
    if (/EINTEGRITY|ETARGET|ERESOLVE/.test(said)) throw error; // The lock file is wrong, not the registry away.
    console.log(`SKIPPED, tests/environments/${tool} could not be installed: ${said.split('\n')[0]}`);
    return undefined;
  }
  fs.writeFileSync(done, wanted);
  return folder;
}
