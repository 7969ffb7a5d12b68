// Writes manifest.json of each model folder here: what a static site offers, and how a download is verified.
//
//   node models/make_manifest.mjs            writes them
//   node models/make_manifest.mjs --check    fails, naming the folder, if one is out of date
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** What a loader may ask for; cards and the manifest itself are not among it. */
const OFFERED =
  /^(step\d+\/)?(config\.json|generation_config\.json|tokenizer\.json|model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json|features\/.+|recipes\.json|training\.json|hidden_state\.json)$/;

/** The manifest of one folder, as text. */
export function manifestOf(folder) {
  const paths = fs
    .readdirSync(folder, { recursive: true })
    .map((name) => name.split(path.sep).join('/'))
    .filter((name) => OFFERED.test(name) && fs.statSync(path.join(folder, name)).isFile())
    .sort();
  const files = paths.map((name) => {
    const bytes = fs.readFileSync(path.join(folder, name));
    return { path: name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  });
  const steps = [...new Set(paths.flatMap((name) => /^step(\d+)\//.exec(name)?.[1] ?? []).map(Number))].sort((a, b) => a - b);
  const { dense_twin: twin } = JSON.parse(fs.readFileSync(path.join(folder, 'config.json'), 'utf8'));
  const more = {
    ...(typeof twin === 'string' ? { dense_twin: twin } : {}), // a path relative to the folder
    ...(paths.includes('features/index.json') ? { features: 'features' } : {}),
  };
  return `${JSON.stringify({ format: 1, files, steps, ...more }, null, 2)}\n`;
}

/** Folders with a config.json. */
export const modelFolders = (root) =>
  fs
    .readdirSync(root)
    .map((name) => path.join(root, name))
    .filter((folder) => fs.existsSync(path.join(folder, 'config.json')));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const check = process.argv.includes('--check');
  for (const folder of modelFolders(path.dirname(fileURLToPath(import.meta.url)))) {
    const file = path.join(folder, 'manifest.json');
    const text = manifestOf(folder);
    if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === text) continue;
    if (check) {
      console.error(`models/${path.basename(folder)}/manifest.json is out of date: run \`node models/make_manifest.mjs\`.`);
      process.exitCode = 1;
    } else {
      fs.writeFileSync(file, text);
      console.log(`models/${path.basename(folder)}/manifest.json`);
    }
  }
}
