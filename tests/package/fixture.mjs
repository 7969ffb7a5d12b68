// Fixture projects as a user has them: the app, a package.json, and the built package installed (copied, not linked, since
// bundlers treat linked packages differently). They live in target/package-tests/NAME.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
export const root = path.resolve(here, '../..');
export const packageFolder = path.join(root, 'dist/npm');

/** A small model with random weights and PyTorch's results beside it. */
export const modelFolder = path.join(root, 'tests/goldens/models/llama-gqa');

/** All that PyTorch said about the model; the schema is in tests/goldens/make.py. */
export function goldenFile() {
  return JSON.parse(fs.readFileSync(path.join(modelFolder, 'golden.json'), 'utf8'));
}

/** PyTorch's greedy continuation: `{prompt_ids, ids}`. */
export const golden = () => goldenFile().greedy[0];

/** A fresh project that imports `entry`; its folder. */
export function createProject(name, entry = 'topk-lm', folder = path.join(root, 'target/package-tests', name)) {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.cpSync(path.join(here, 'app'), folder, { recursive: true });
  const app = path.join(folder, 'app.js');
  fs.writeFileSync(app, fs.readFileSync(app, 'utf8').replace("from 'topk-lm'", `from '${entry}'`));
  fs.cpSync(packageFolder, path.join(folder, 'node_modules/topk-lm'), { recursive: true, dereference: true });
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }));
  return folder;
}
