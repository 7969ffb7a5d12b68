// Writes manifest.json of each model folder here: `topk-lm manifest`, which holds the rule (crate/src/offline/manifest.rs).
//
//   node models/make_manifest.mjs            writes them
//   node models/make_manifest.mjs --check    fails, naming the folder, if one is out of date
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folders with a config.json. */
export const modelFolders = (root) =>
  fs
    .readdirSync(root)
    .map((name) => path.join(root, name))
    .filter((folder) => fs.existsSync(path.join(folder, 'config.json')));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const cwd = path.dirname(fileURLToPath(import.meta.url));
  const folders = modelFolders(cwd).map((folder) => path.basename(folder));
  const command = [
    'run',
    '--quiet',
    '--locked',
    '-p',
    'topk-lm',
    '--bin',
    'topk-lm',
    '--',
    'manifest',
    ...process.argv.slice(2),
    ...folders,
  ];
  const { status, error } = spawnSync('cargo', command, { cwd, stdio: 'inherit' });
  if (error) console.error(`cargo could not be started: ${error.message}`);
  process.exitCode = status ?? 1;
}
