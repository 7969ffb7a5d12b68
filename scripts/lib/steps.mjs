// A step runs only if its inputs changed since it last succeeded: their hash is kept in
// target/stamps/NAME, written after success and removed before each run.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { inRoot, paths } from './paths.mjs';

const IGNORED = new Set(['node_modules', 'target', 'dist', 'generated', '.git', '.venv', '__pycache__']);

/** Every file under `entry` (a file or folder), sorted; build outputs are left out, and links, whose files lie elsewhere. */
export function filesUnder(entry) {
  const stat = fs.lstatSync(entry, { throwIfNoEntry: false });
  if (!stat || stat.isSymbolicLink()) return [];
  if (!stat.isDirectory()) return [entry];
  return fs
    .readdirSync(entry)
    .filter((name) => !IGNORED.has(name))
    .sort()
    .flatMap((name) => filesUnder(path.join(entry, name)));
}

// Large files (weights) are compared by size and time, the rest by content: a fresh checkout changes only times.
const BY_CONTENT_BELOW = 4 * 1024 * 1024;

function hashOf(inputs, facts) {
  const hash = createHash('sha256').update(JSON.stringify(facts));
  for (const file of inputs.flatMap((input) => filesUnder(inRoot(input)))) {
    const { size, mtimeMs } = fs.statSync(file);
    hash.update(`\0${path.relative(inRoot(), file)}\0`);
    hash.update(size < BY_CONTENT_BELOW ? fs.readFileSync(file) : `${size} ${mtimeMs}`);
  }
  return hash.digest('hex');
}

/**
 * Runs `work` unless nothing changed.
 * @param {string} name of the step, as printed
 * @param {{inputs: string[], outputs: string[], facts?: unknown}} of paths relative to the root; folders count
 *   whole; `facts` is whatever else decides the result (options, versions)
 * @param {() => unknown} work
 * @returns {Promise<boolean>} whether it ran
 */
export async function step(name, { inputs, outputs, facts = null }, work) {
  const stamp = path.join(paths.stamps, name.replaceAll(/[^a-z0-9]+/gi, '-'));
  const hash = hashOf(inputs, facts);
  const fresh = outputs.every((output) => fs.existsSync(inRoot(output)));
  if (fresh && fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === hash) return false;
  fs.rmSync(stamp, { force: true });
  console.log(`· ${name}`);
  const began = performance.now();
  await work();
  for (const output of outputs) {
    if (!fs.existsSync(inRoot(output))) throw new Error(`${name} did not write ${output}`);
  }
  fs.mkdirSync(paths.stamps, { recursive: true });
  fs.writeFileSync(stamp, hash);
  console.log(`  ${name}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
  return true;
}
