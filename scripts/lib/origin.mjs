// Where a package comes from: the repository in which GitHub builds it, so that a copy elsewhere names itself. Nothing in other builds: the tree
// names no address.
import fs from 'node:fs';
import path from 'node:path';
import { root } from './paths.mjs';

const OF_WHEEL = ['project.urls', { Repository: 'repository', Homepage: 'homepage', Issues: 'issues' }];

/** The manifests into which it is written: a table, and which address each key takes. */
const MANIFESTS = {
  'crate/Cargo.toml': ['package', { repository: 'repository', homepage: 'homepage' }],
  'python/pyproject.toml': OF_WHEEL,
  'python/cli/pyproject.toml': OF_WHEEL,
};

/**
 * @param {Record<string, string | undefined>} env GITHUB_SERVER_URL and GITHUB_REPOSITORY, as GitHub's workflows set them
 * @returns addresses of the repository, or null in other builds
 */
export function addresses({ GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository }) {
  if (!/^https:\/\/[\w.-]+$/.test(server ?? '') || !/^[\w.-]+\/[\w.-]+$/.test(repository ?? '')) return null;
  const url = `${server}/${repository}`;
  return { repository: url, homepage: `${url}#readme`, issues: `${url}/issues` };
}

/** The same as fields of package.json. */
export function npmOrigin(env) {
  const at = addresses(env);
  if (!at) return {};
  return { repository: { type: 'git', url: `git+${at.repository}.git`, directory: 'js' }, homepage: at.homepage, bugs: { url: at.issues } };
}

/**
 * Writes it into the manifests of the crate and of the wheels, whose tools take it from nowhere else; twice writes the same.
 * @returns {string[]} the manifests
 */
export function writeOrigin(env, folder = root) {
  const at = addresses(env);
  if (!at) return [];
  for (const [name, [table, keys]] of Object.entries(MANIFESTS)) {
    const file = path.join(folder, name);
    const values = Object.fromEntries(Object.entries(keys).map(([key, address]) => [key, at[address]]));
    fs.writeFileSync(file, withValues(fs.readFileSync(file, 'utf8'), table, values));
  }
  return Object.keys(MANIFESTS);
}

/** A TOML file, whatever ends its lines, with strings set in one of its tables, which is made where it is missing. */
export function withValues(text, table, values) {
  const lines = text.trimEnd().split(/\r?\n/);
  let head = lines.indexOf(`[${table}]`);
  if (head < 0) head = lines.push('', `[${table}]`) - 1;
  const next = lines.findIndex((line, at) => at > head && line.startsWith('['));
  const inside = lines.splice(head + 1, (next < 0 ? lines.length : next) - head - 1);
  const kept = inside.filter((line) => !Object.keys(values).some((key) => new RegExp(`^${key}\\s*=`).test(line)));
  const set = Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  lines.splice(head + 1, 0, ...set, ...kept);
  return `${lines.join('\n')}\n`;
}
