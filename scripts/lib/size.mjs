// The size limit on what a browser downloads to run a model, apart from weights.
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { paths } from './paths.mjs';
import { Failure } from './run.mjs';

export const LIMIT_BYTES = 1024 * 1024;

/** The whole package a second time, in one file: who takes it downloads nothing else. */
const BUNDLE = 'bundle.js';

/** Sizes of the package's scripts and wasm, each file at gzip -9. */
export function packageSizes(folder = paths.npmPackage) {
  return fs
    .readdirSync(folder)
    .filter((name) => /\.(js|wasm)$/.test(name))
    .map((name) => {
      const bytes = fs.readFileSync(path.join(folder, name));
      return { name, raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
    })
    .sort((a, b) => b.gzip - a.gzip);
}

/** Prints the sizes; throws when they exceed the limit. */
export function checkSize() {
  const sizes = packageSizes();
  for (const { name, raw, gzip } of sizes) {
    console.log(`  ${name.padEnd(24)} ${String(raw).padStart(9)} bytes ${String(gzip).padStart(9)} gzip -9`);
  }
  const total = sizes.filter(({ name }) => name !== BUNDLE).reduce((sum, { gzip }) => sum + gzip, 0);
  console.log(`  package size without ${BUNDLE}: ${total} of ${LIMIT_BYTES} bytes (${((100 * total) / LIMIT_BYTES).toFixed(1)} %)`);
  if (total > LIMIT_BYTES) throw new Failure(`The package is ${total - LIMIT_BYTES} bytes over the limit of 1 MiB.`);
}
