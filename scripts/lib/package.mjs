// Builds the npm package, ready to publish: js/ and the engine → dist/npm. Within this repository `topk-lm` resolves to that
// folder, so the site and the tests use exactly what users get.
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { foldersOf, OWN, THIRD_PARTY, writeLicenses } from './licenses.mjs';
import { npmOrigin } from './origin.mjs';
import { inRoot, paths } from './paths.mjs';
import { run } from './run.mjs';
import { filesUnder, step } from './steps.mjs';
import { generateShaderModule, SHADER_TOOL } from '../shaders.mjs';
import { buildWasm, ENGINE as MODULE } from './wasm.mjs';

const SHADERS = 'js/src/generated/shaders.ts';
const ENGINE = ['js/src/generated/topk_lm.js', 'js/src/generated/topk_lm_bg.wasm'];
const COPIED = ['js/README.md', ...OWN];

/** What users import. */
const ENTRIES = ['index', 'bundle', 'topk', 'features'];

const OPTIONS = {
  absWorkingDir: paths.js,
  outdir: paths.npmPackage,
  platform: 'browser',
  target: 'es2022',
  minify: true,
  sourcemap: true,
  legalComments: 'none',
  logLevel: 'warning',
};

/** In the one-file build, what the package has in files beside its scripts is within. */
const WITHIN = {
  name: 'within',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/(beside|wasm-url)\.js$/ }, () => ({ path: inRoot('js/src/within.ts') }));
    onResolve({ filter: /^\.\/topk_lm\.js$/ }, () => ({ path: inRoot('js/src/generated/topk_lm.js') }));
  },
};

/** Generates what js/src imports but git does not track; enough for type checks and unit tests. */
export async function generateSources() {
  await step(
    'shaders for topk()',
    { inputs: ['shaders', 'scripts/shaders.mjs', ...SHADER_TOOL], outputs: [SHADERS] },
    generateShaderModule,
  );
}

/** Builds the npm package into dist/npm. */
export async function buildPackage() {
  await generateSources();
  await buildWasm(MODULE);
  await step(
    'npm package',
    {
      inputs: [
        'js/src',
        'js/package.json',
        'js/tsconfig.json',
        'package-lock.json',
        'Cargo.lock',
        'scripts/lib/licenses.mjs',
        'scripts/lib/origin.mjs',
        'scripts/lib/package.mjs',
        'scripts/lib/wasm.mjs', // which crates are in it
        SHADERS,
        ...ENGINE,
        ...COPIED,
      ],
      outputs: [
        'index.js',
        'bundle.js',
        'worker.js',
        'topk.js',
        'features.js',
        'topk_lm.js',
        'topk_lm_bg.wasm',
        'index.d.ts',
        'package.json',
        THIRD_PARTY,
      ].map((name) => `dist/npm/${name}`),
      facts: npmOrigin(process.env),
    },
    async () => {
      fs.rmSync(paths.npmPackage, { recursive: true, force: true });
      writeLicenses(path.join(paths.npmPackage, THIRD_PARTY), await bundle());
      await declareTypes();
      const manifest = { ...JSON.parse(fs.readFileSync(inRoot('js/package.json'), 'utf8')), ...npmOrigin(process.env) };
      fs.writeFileSync(path.join(paths.npmPackage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
      const files = [...COPIED, 'js/src/generated/topk_lm_bg.wasm'].filter((file) => fs.existsSync(inRoot(file)));
      for (const file of files) fs.copyFileSync(inRoot(file), path.join(paths.npmPackage, path.basename(file)));
    },
  );
  linkPackage();
}

/** @returns {Promise<string[]>} folders of the npm packages that are in it */
async function bundle() {
  const { build } = await import('esbuild');
  // One file per public entry; what they share goes into chunks beside them, so that `new URL('./…', import.meta.url)`
  // means the same folder in each, for users' bundlers too. The bindings stay a file of their own.
  const { metafile } = await build({
    ...OPTIONS,
    metafile: true,
    format: 'esm',
    entryPoints: ['src/index.ts', 'src/topk.ts', 'src/features.ts', 'src/worker.ts'],
    bundle: true,
    splitting: true,
    external: ['node:*', './topk_lm.js'],
  });
  await build({ ...OPTIONS, format: 'esm', entryPoints: ['src/generated/topk_lm.js'] });
  await bundleOneFile();
  return foldersOf(metafile, paths.js);
}

/** bundle.js: the same with worker and engine inside. */
async function bundleOneFile() {
  const { build } = await import('esbuild');
  const options = { ...OPTIONS, bundle: true, plugins: [WITHIN] };
  const { outputFiles } = await build({ ...options, format: 'iife', entryPoints: ['src/worker.ts'], sourcemap: false, write: false });
  const wasm = gzipSync(fs.readFileSync(inRoot('js/src/generated/topk_lm_bg.wasm')), { level: 9 });
  await build({
    ...options,
    format: 'esm',
    entryPoints: ['src/bundle.ts'],
    define: {
      TOPK_LM_WORKER: JSON.stringify(outputFiles[0].text),
      TOPK_LM_WASM: JSON.stringify(wasm.toString('base64')),
    },
  });
}

async function declareTypes() {
  const tsc = inRoot('node_modules/typescript/bin/tsc');
  await run(process.execPath, [tsc, '-p', 'js', '--declaration', '--emitDeclarationOnly', '--outDir', paths.npmPackage]);
  // Written by hand, so the compiler reads them but does not copy them.
  for (const name of ['topk_lm.d.ts', 'environment.d.ts']) fs.copyFileSync(inRoot('js/src', name), path.join(paths.npmPackage, name));
  for (const file of filesUnder(paths.npmPackage).filter((name) => name.endsWith('.d.ts'))) {
    // Compilers before TypeScript 5.7 do not know which buffer an array has.
    const text = fs.readFileSync(file, 'utf8').replaceAll('Uint8Array<ArrayBuffer>', 'Uint8Array');
    const isEntry = ENTRIES.some((name) => file === path.join(paths.npmPackage, `${name}.d.ts`));
    fs.writeFileSync(file, isEntry ? `/// <reference path="./environment.d.ts" />\n${text}` : text);
  }
}

function linkPackage() {
  const link = inRoot('node_modules/topk-lm');
  if (fs.existsSync(link) && fs.realpathSync(link) === fs.realpathSync(paths.npmPackage)) return;
  fs.rmSync(link, { recursive: true, force: true });
  fs.symlinkSync(paths.npmPackage, link, process.platform === 'win32' ? 'junction' : 'dir');
}
