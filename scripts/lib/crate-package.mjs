// What `cargo publish` would upload: which files, how large, and that it builds by itself, outside of this repository. Each set of features
// builds what it says and nothing else; no dependency is held to one version, which would hold back everything beside it in a user's program.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { inRoot, paths, show } from './paths.mjs';
import { capture, Failure, query, run } from './run.mjs';
import { filesUnder } from './steps.mjs';

/** Compressed; crates.io takes ten times as much. */
export const LIMIT_BYTES = 560 * 1024;
/** Everything beside src/, of which only the tests stay away, and shaders/. Cargo makes the first four. */
const FILES = [
  '.cargo_vcs_info.json',
  'Cargo.lock',
  'Cargo.toml',
  'Cargo.toml.orig',
  'LICENSE-APACHE',
  'LICENSE-MIT',
  'README.md',
  'build.rs',
  'examples/steer.rs',
];
/** Modules of tests. */
const TESTS = /(\/|_)tests(\.rs$|\/)/;
/** Features, and the packages that a user who does not ask for them must not build. */
const WITHOUT = [
  { features: '', absent: ['wgpu', 'clap', 'sha2', 'kodama'] },
  { features: 'gpu', absent: ['clap', 'sha2', 'kodama'] },
  { features: 'cli', absent: ['wgpu'] },
];

/**
 * How a package's files differ from those expected, as sentences.
 * @param {string[]} found
 * @param {string[]} expected
 */
export function contentFaults(found, expected) {
  const [has, wants] = [new Set(found), new Set(expected)];
  return [
    ...expected.filter((file) => !has.has(file)).map((file) => `the crate's package lacks ${file}.`),
    ...found.filter((file) => !wants.has(file)).map((file) => `the crate's package has ${file}, which does not belong there.`),
  ];
}

/**
 * What holds users back, as sentences. Of `wgpu = "30"` cargo metadata says `^30`.
 * @param {{name: string, req: string, kind: string | null}[]} dependencies as cargo metadata lists them
 */
export const requirementFaults = (dependencies) =>
  dependencies
    .filter(({ kind, req }) => kind !== 'dev' && !/^\^[\d.]+$/.test(req))
    .map(({ name, req }) => `the crate asks for ${name} ${req}; ask for the oldest version that does.`);

const numbersOf = (version) => version.split('.').map(Number);

/**
 * What of Cargo.lock does not build with the oldest compiler that the crate names, as sentences.
 * @param {{name: string, version: string, rust_version: string | null}[]} packages as cargo metadata lists them
 */
export function compilerFaults(packages) {
  const named = packages.find(({ name }) => name === 'topk-lm').rust_version;
  const [major, minor] = numbersOf(named);
  const isNewer = ([otherMajor, otherMinor = 0]) => otherMajor > major || (otherMajor === major && otherMinor > minor);
  return packages
    .filter(({ rust_version: needs }) => needs && isNewer(numbersOf(needs)))
    .map(
      ({ name, version, rust_version: needs }) => `Cargo.lock has ${name} ${version}, which needs Rust ${needs}; the crate says ${named}.`,
    );
}

const expectedFiles = () => {
  const under = (folder, from) =>
    filesUnder(folder).map(
      (file) =>
        `${path.basename(folder)}/${path
          .relative(from ?? folder, file)
          .split(path.sep)
          .join('/')}`,
    );
  return [...FILES, ...under(inRoot('crate/src')).filter((file) => !TESTS.test(file)), ...under(paths.shaders)];
};

/** What cargo says where the registry is not to be had. */
const UNREACHABLE = /--offline was specified|network|resolve host|timed? ?out|connect|HTTP/i;

/** Cargo's own trial, which asks the registry. */
async function tryPublishing(options) {
  const { code, output } = await capture('cargo', ['publish', '--dry-run', '--no-verify', '--quiet', ...options]);
  if (code === 0) return;
  if (!UNREACHABLE.test(output)) throw new Failure('cargo publish --dry-run failed; it says why above.');
  console.log('  without cargo publish --dry-run: the registry does not answer');
}

export async function checkCratePackage() {
  const metadata = query('cargo', ['metadata', '--locked', '--format-version', '1']);
  if (metadata === null) throw new Failure('cargo metadata failed.');
  const { packages } = JSON.parse(metadata);
  const held = [...requirementFaults(packages.find((found) => found.name === 'topk-lm').dependencies), ...compilerFaults(packages)];
  if (held.length > 0) throw new Failure(held.join('\n'));

  for (const { features, absent } of WITHOUT) {
    const chosen = ['--no-default-features', '--features', features];
    const tree = query('cargo', ['tree', '--locked', '-p', 'topk-lm', ...chosen, '-e', 'normal,build', '--prefix', 'none']);
    if (tree === null) throw new Failure(`cargo tree failed for the features "${features}".`);
    const names = new Set(tree.split('\n').map((line) => line.split(' ')[0]));
    const there = absent.filter((name) => names.has(name));
    if (there.length > 0) throw new Failure(`With the features "${features}" the crate still builds ${there.join(' and ')}.`);
  }

  const options = ['-p', 'topk-lm', '--locked', '--allow-dirty'];
  const list = query('cargo', ['package', '--list', ...options]);
  if (list === null) throw new Failure('cargo package --list failed.');
  const faults = contentFaults(list.split('\n'), expectedFiles());
  if (faults.length > 0) throw new Failure(faults.join('\n'));

  await tryPublishing(options);
  await run('cargo', ['package', '--no-verify', '--quiet', '--no-metadata', ...options]);
  const name = `topk-lm-${/^version = "(.+)"$/m.exec(fs.readFileSync(inRoot('Cargo.toml'), 'utf8'))?.[1]}`;
  const file = path.join(paths.target, 'package', `${name}.crate`);
  const { size } = fs.statSync(file);
  console.log(`  ${show(file)}: ${list.split('\n').length} files, ${size} of ${LIMIT_BYTES} bytes`);
  if (size > LIMIT_BYTES) throw new Failure(`The crate's package is ${size - LIMIT_BYTES} bytes over its limit.`);

  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-crate-'));
  try {
    await run('tar', ['-xzf', path.relative(folder, file), '-C', '.'], { cwd: folder });
    // The same profile as here, so that the dependencies need not be built once more.
    const debug = process.env.CARGO_PROFILE_DEV_DEBUG ?? '1';
    const env = { CARGO_TARGET_DIR: paths.target, CARGO_PROFILE_DEV_OPT_LEVEL: '2', CARGO_PROFILE_DEV_DEBUG: debug };
    await run('cargo', ['check', '--locked', '--lib', '--bins', '--examples'], { cwd: path.join(folder, name), env });
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
