// What a release consists of: versions that agree, archives of the command, checksums, notes.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { cratesFor, licensesText, OWN, THIRD_PARTY } from './licenses.mjs';
import { checkNoPaths, REMAP } from './machine.mjs';
import { inRoot, paths, show } from './paths.mjs';
import { Failure, run } from './run.mjs';

const read = (name) => fs.readFileSync(inRoot(name), 'utf8');

/** The versions that have to agree, by file. */
export function versions() {
  const toml = (name) => /^version = "([^"]+)"/m.exec(read(name))?.[1];
  return {
    'Cargo.toml': toml('Cargo.toml'),
    'js/package.json': JSON.parse(read('js/package.json')).version,
    'CITATION.cff': parse(read('CITATION.cff')).version,
    ...Object.fromEntries(['python/pyproject.toml'].filter((name) => fs.existsSync(inRoot(name))).map((name) => [name, toml(name)])),
  };
}

/** What of CHANGELOG.md is about one version, or undefined. */
export const notesOf = (version, changelog = read('CHANGELOG.md')) =>
  changelog
    .split(/^## /m)
    .find((part) => part.startsWith(`[${version}]`))
    ?.replace(/^.*\n/, '')
    .trim();

/** Throws unless every version in the repository is the tag's (v1.2.3) and CHANGELOG.md has a part about it. */
export function checkTag(tag, { found = versions(), changelog } = {}) {
  const wanted = /^v(\d+\.\d+\.\d+(?:-[\w.]+)?)$/.exec(tag)?.[1];
  if (!wanted) throw new Failure(`A release's tag looks like v1.2.3, not "${tag}".`);
  for (const [file, version] of Object.entries(found)) {
    if (version !== wanted) throw new Failure(`${file} says version ${version}, but the tag says ${wanted}.`);
  }
  if (!notesOf(wanted, changelog)) throw new Failure(`CHANGELOG.md says nothing under "## [${wanted}]".`);
  return wanted;
}

/** The environment of a release's builds, as lines for $GITHUB_ENV. */
export const environment = () => `RUSTFLAGS=${REMAP.join(' ')}`;

/** Writes the licenses of what the command for `target` contains; without a file, where the wheel takes them from. */
export function writeLicensesOf(target, file = inRoot('python/cli', THIRD_PARTY)) {
  fs.writeFileSync(file, licensesText(cratesFor(target)));
  return file;
}

/**
 * A folder with the command, its documentation and the licenses, packed as the target's users expect.
 * @returns {Promise<string>} the archive
 */
export async function archive(target, { built, out = inRoot('dist/release') } = {}) {
  if (!/^[\w-]+$/.test(target)) throw new Failure(`A target looks like x86_64-unknown-linux-gnu, not "${target}".`);
  const isWindows = target.includes('windows');
  const name = `topk-lm-${versions()['Cargo.toml']}-${target}`;
  const staged = path.join(out, name);
  const binary = isWindows ? 'topk-lm.exe' : 'topk-lm';
  const source = built ?? path.join(paths.target, 'release', binary);
  if (!fs.existsSync(source)) throw new Failure(`${show(source)} is not built: run cargo build --release --locked --bin topk-lm.`);
  checkNoPaths(source);
  fs.rmSync(staged, { recursive: true, force: true });
  fs.mkdirSync(staged, { recursive: true });
  fs.copyFileSync(source, path.join(staged, binary));
  fs.chmodSync(path.join(staged, binary), 0o755);
  for (const file of ['docs/command-line.md', ...OWN]) fs.copyFileSync(inRoot(file), path.join(staged, path.basename(file)));
  writeLicensesOf(target, path.join(staged, THIRD_PARTY));
  const file = `${name}.${isWindows ? 'zip' : 'tar.gz'}`;
  // Windows' own tar writes zip files; the one of Git's shell, first on PATH there, does not.
  const tar = process.platform === 'win32' ? path.join(process.env.SystemRoot, 'System32/tar.exe') : 'tar';
  await run(tar, [isWindows ? '-acf' : '-czf', file, name], { cwd: out });
  fs.rmSync(staged, { recursive: true });
  return path.join(out, file);
}

/** Writes `SHA256SUMS` over the other files of a folder, in the format of sha256sum. */
export function writeSums(folder) {
  const files = fs
    .readdirSync(folder)
    .filter((name) => name !== 'SHA256SUMS')
    .sort();
  if (files.length === 0) throw new Failure(`There is nothing in ${folder}.`);
  const hash = (name) =>
    createHash('sha256')
      .update(fs.readFileSync(path.join(folder, name)))
      .digest('hex');
  fs.writeFileSync(path.join(folder, 'SHA256SUMS'), files.map((name) => `${hash(name)}  ${name}\n`).join(''));
}
