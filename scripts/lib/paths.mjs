// Where things are. Paths are absolute; `show` makes them readable in messages.
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(fileURLToPath(import.meta.url), '../../..');
export const inRoot = (...parts) => path.join(root, ...parts);

export const paths = {
  root,
  models: inRoot('models'),
  shaders: inRoot('shaders'),
  js: inRoot('js'),
  www: inRoot('www'),
  generated: inRoot('js/src/generated'),
  npmPackage: inRoot('dist/npm'),
  site: inRoot('dist/site'),
  target: inRoot('target'),
  wasmTarget: inRoot('target/wasm'),
  stamps: inRoot('target/stamps'),
};

export const show = (file) => path.relative(root, file) || '.';
