// The checks of `npm test`, in the order they run: quick ones first. Each returns counts of tests
// ({passed, failed, skipped}), or nothing where it is one check that throws when it fails. `besideNext`: the next need not wait for it. `aside`: it begins
// first and goes on beside the others, with what they leave of the processors.
import fs from 'node:fs';
import path from 'node:path';
import { checkCommands } from './commands.mjs';
import { checkCratePackage } from './crate-package.mjs';
import { checkDeadItems } from './dead-items.mjs';
import { checkDependencies } from './dependencies.mjs';
import { fuzz } from './fuzz.mjs';
import { checkLinks } from './links.mjs';
import { buildPackage, generateSources } from './package.mjs';
import { inRoot, paths } from './paths.mjs';
import { capture, Failure, run } from './run.mjs';
import { checkShaderStyle } from './shader-style.mjs';
import { buildSite } from './site.mjs';
import { checkSize } from './size.mjs';
import { filesUnder } from './steps.mjs';
import { installOtherBrowsers } from './system.mjs';

/** Test files that take longest: they begin first, so that none is left alone at the end. */
const LONGEST = ['life', 'environments', 'webgpu', 'webpack', 'shifts', 'page-trouble', 'own-statistics', 'turn', 'threads'];
const isLong = (file) => LONGEST.includes(path.basename(file, '.test.mjs'));

const node = (script, ...args) => run(process.execPath, [inRoot(script), ...args]);

/** Biome colors each character of a difference, also in a file. */
const plain = process.stdout.isTTY ? [] : ['--colors=off'];

async function formatted(check) {
  try {
    await check;
  } catch (error) {
    if (error instanceof Failure) error.message += ' `npm run format` sets right what can be set right without you.';
    throw error;
  }
}

export const checks = [
  { name: 'rust-format', work: () => formatted(run('cargo', ['fmt', '--all', '--check'])) },
  { name: 'js-lint', work: () => formatted(node('node_modules/@biomejs/biome/bin/biome', 'ci', ...plain, '.')) },
  { name: 'shader-style', work: checkShaderStyle },
  { name: 'links', work: checkLinks },
  { name: 'dependencies', work: checkDependencies },
  { name: 'dead-items', work: checkDeadItems },
  { name: 'js-types', work: checkTypes },
  { name: 'scripts-tests', work: () => nodeTests(testFiles('tests/scripts', '.test.mjs')) },
  { name: 'rust-lint', work: rustLint },
  { name: 'crate-package', work: checkCratePackage },
  { name: 'rust-tests', work: rustTests },
  { name: 'models', work: () => node('models/make_manifest.mjs', '--check') },
  { name: 'documented-commands', work: () => checkCommands(checks.map(({ name }) => name)) },
  { name: 'fuzz', work: fuzz, besideNext: true }, // most of a build is one thread
  { name: 'build', work: buildSite },
  { name: 'site-types', work: checkSiteTypes },
  { name: 'size', work: checkPackageSize },
  { name: 'js-tests', work: unitTests },
  { name: 'package-tests', work: () => onPackage('tests/package', 2) },
  { name: 'environments', work: () => otherBrowsers().then(() => prepare()), aside: true },
  { name: 'browser-tests', work: () => otherBrowsers().then(() => onPackage('tests/browser', 2)) },
  { name: 'python', work: pythonTests },
  { name: 'js-fuzz', work: () => onPackage('tests/fuzz', 2), besideNext: true }, // busy cores; the next mostly waits
  { name: 'notebooks', work: notebookTests },
];

async function checkTypes() {
  await generateSources();
  await node('node_modules/typescript/bin/tsc', '-p', 'js/test'); // js/src and its tests
}

/** The site's components, against the types of the built package. */
async function checkSiteTypes() {
  await buildPackage();
  await run(
    process.execPath,
    [inRoot('www/node_modules/svelte-check/bin/svelte-check'), '--tsconfig', './tsconfig.json', '--fail-on-warnings'],
    {
      cwd: paths.www,
    },
  );
}

async function checkPackageSize() {
  await buildPackage();
  await checkSize();
}

/**
 * All targets; and each set of features: the library alone, where only what is reachable from its documented API is public, so that dead code
 * shows, the library for CPUs, the statistics alone, and the command without a GPU.
 */
async function rustLint() {
  await run('cargo', ['clippy', '--locked', '--workspace', '--all-targets', '--', '-D', 'warnings']);
  for (const features of ['gpu', '', 'statistics', 'cli']) {
    const chosen = ['--no-default-features', '--features', features];
    await run('cargo', ['clippy', '--locked', '-p', 'topk-lm', '--lib', '--bins', ...chosen, '--', '-D', 'warnings']);
  }
}

async function rustTests() {
  // Without a display, Mesa's device-select layer complains for each instance. Kernels take lavapipe longer to compile than to run, so that those
  // of one test are kept for the next, also where the home folder cannot be written.
  // The targets of `fuzz` only try what once failed: the rest is that check's.
  const env = { NODEVICE_SELECT: '1', MESA_SHADER_CACHE_DIR: inRoot('target/kernels'), FUZZ_SECONDS: '0' };
  const { code, output } = await capture('cargo', ['test', '-p', 'topk-lm', '--no-fail-fast'], { env });
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [, passed, failed, ignored] of output.matchAll(/^test result: .* (\d+) passed; (\d+) failed; (\d+) ignored/gm)) {
    counts.passed += Number(passed);
    counts.failed += Number(failed);
    counts.skipped += Number(ignored);
  }
  return confirmed(counts, code, 'cargo test');
}

/** js/test/*.test.ts, bundled because Node 20 cannot run TypeScript. */
async function unitTests() {
  await generateSources();
  const { build } = await import('esbuild');
  const outdir = inRoot('target/js-tests');
  fs.rmSync(outdir, { recursive: true, force: true });
  await build({
    entryPoints: testFiles('js/test', '.test.ts'),
    outdir,
    outExtension: { '.js': '.test.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'inline',
    external: ['./topk_lm.js'],
    logLevel: 'warning',
  });
  return nodeTests(testFiles('target/js-tests', '.mjs'));
}

/** Of checks beside each other one builds, and the next finds it done. */
let building = Promise.resolve();

async function onPackage(folder, atOnce) {
  building = building.catch(() => {}).then(buildSite);
  await building;
  return nodeTests(testFiles(folder, '.test.mjs'), atOnce);
}

/** Firefox and WebKit, installed once. */
let installing;
const otherBrowsers = () => (installing ??= installOtherBrowsers());

/** Of checks beside each other one makes an environment, and the next finds it made. */
let preparing = Promise.resolve();

/** The Python environments of the tests in tests/python and tests/notebooks, or those named; what cannot be had is said there too. */
async function prepare(names) {
  const { prepareEnvironments } = await import('../../tests/python/host.mjs');
  preparing = preparing.catch(() => {}).then(() => prepareEnvironments(names));
  await preparing;
}

async function pythonTests() {
  await prepare(['cluster', 'wheel']); // two tests share one, which must not be made twice at once
  return nodeTests(testFiles('tests/python', '.test.mjs'), 2); // the cluster waits while the command's wheel compiles
}

async function notebookTests() {
  await prepare(['notebooks', 'jupyterlite']);
  return onPackage('tests/notebooks');
}

function testFiles(folder, ending) {
  const files = filesUnder(inRoot(folder)).filter((file) => file.endsWith(ending));
  if (files.length === 0) throw new Failure(`There are no tests (*${ending}) in ${folder}.`);
  return files;
}

/** One file after the other, unless said otherwise: two browsers at once would distort each other's timing on two cores. */
async function nodeTests(files, atOnce = 1) {
  const { code, output } = await capture(process.execPath, [
    '--enable-source-maps',
    inRoot('scripts/node-tests.mjs'),
    String(atOnce),
    ...[...files.filter(isLong), ...files.filter((file) => !isLong(file))].map((file) => path.relative(paths.root, file)),
  ]);
  const count = (label) => Number(output.match(new RegExp(`^ℹ ${label} (\\d+)$`, 'm'))?.[1] ?? 0);
  return confirmed(
    { passed: count('pass'), failed: count('fail') + count('cancelled'), skipped: count('skipped') + count('todo') },
    code,
    'the runner of the tests',
  );
}

/** A runner that fails without counting a failure, or runs no test at all, has failed. */
function confirmed(counts, code, runner) {
  if (counts.passed + counts.failed === 0) throw new Failure(`${runner} ran no test (exit code ${code}).`);
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}
