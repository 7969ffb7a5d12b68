// The size limits on what a browser downloads: to run a model, apart from weights; and for the TopK operator alone.
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { paths } from './paths.mjs';
import { Failure } from './run.mjs';

export const LIMIT_BYTES = 1024 * 1024;

/** Of `topk-lm/topk`, kernels included. */
const OPERATOR_LIMIT_BYTES = 12 * 1024;

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

/** All of `topk-lm/topk` as a user's bundler takes it: one minified module, its kernels within. */
export async function bundledOperator(folder = paths.npmPackage) {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [path.join(folder, 'topk.js')],
    bundle: true,
    minify: true,
    format: 'esm',
    write: false,
    logLevel: 'warning',
  });
  return outputFiles[0].text;
}

/** Prints the sizes; throws when they exceed a limit. */
export async function checkSize() {
  const sizes = packageSizes();
  for (const { name, raw, gzip } of sizes) {
    console.log(`  ${name.padEnd(24)} ${String(raw).padStart(9)} bytes ${String(gzip).padStart(9)} gzip -9`);
  }
  const total = sizes.filter(({ name }) => name !== BUNDLE).reduce((sum, { gzip }) => sum + gzip, 0);
  console.log(`  package size without ${BUNDLE}: ${total} of ${LIMIT_BYTES} bytes (${((100 * total) / LIMIT_BYTES).toFixed(1)} %)`);
  if (total > LIMIT_BYTES) throw new Failure(`The package is ${total - LIMIT_BYTES} bytes over the limit of 1 MiB.`);
  const operator = gzipSync(await bundledOperator(), { level: 9 }).length;
  console.log(`  topk-lm/topk, bundled: ${operator} of ${OPERATOR_LIMIT_BYTES} bytes`);
  if (operator > OPERATOR_LIMIT_BYTES) {
    throw new Failure(`topk-lm/topk is ${operator - OPERATOR_LIMIT_BYTES} bytes over its limit of 12 KiB.`);
  }
}
