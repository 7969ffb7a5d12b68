// The tools of tests/environments, installed as their lock file says into target/environments, once; where the registry does not answer,
// what needs them is skipped aloud.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { root } from './fixture.mjs';

const LISTS = ['package.json', 'package-lock.json'];

/** The folder in which the tools are installed; `undefined`: they cannot be had here. */
export function installTools() {
  const folder = path.join(root, 'target/environments');
  const list = (from, name) => fs.readFileSync(path.join(from, name), 'utf8');
  const source = path.join(root, 'tests/environments');
  const done = path.join(folder, 'installed');
  const wanted = LISTS.map((name) => list(source, name)).join('');
  if (fs.existsSync(done) && list(folder, 'installed') === wanted) return folder;
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  for (const name of LISTS) fs.copyFileSync(path.join(source, name), path.join(folder, name));
  try {
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: folder,
      timeout: 180_000,
      stdio: 'pipe',
      shell: process.platform === 'win32',
    });
  } catch (error) {
    console.log(
      `SKIPPED, the tools of tests/environments could not be installed: ${
        String(error.stderr || error)
          .trim()
          .split('\n')[0]
      }`,
    );
    return undefined;
  }
  fs.writeFileSync(done, wanted);
  return folder;
}
