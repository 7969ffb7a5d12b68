// Writes manifest.json of each model folder here: `topk-lm manifest`, which holds the rule (crate/src/offline/manifest.rs).
//
//   node models/make_manifest.mjs            writes them
//   node models/make_manifest.mjs --check    fails, naming the folder, if one is out of date
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildCommand } from '../scripts/lib/command.mjs';
import { main, run } from '../scripts/lib/run.mjs';

/** Folders with a config.json. */
export const modelFolders = (root) =>
  fs
    .readdirSync(root)
    .map((name) => path.join(root, name))
    .filter((folder) => fs.existsSync(path.join(folder, 'config.json')));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const cwd = path.dirname(fileURLToPath(import.meta.url));
  const folders = modelFolders(cwd).map((folder) => path.basename(folder));
  await main(async () => run(await buildCommand(), ['manifest', ...process.argv.slice(2), ...folders], { cwd }));
}
