// The reference of the Rust crate: rustdoc's pages, made to keep the site's content security policy, and what the search finds in them.
import fs from 'node:fs';
import path from 'node:path';
import { inRoot, paths } from '../paths.mjs';
import { query, run, which } from '../run.mjs';
import { filesUnder, step } from '../steps.mjs';
import { escapeHtml } from './markdown.mjs';

const BUILT = 'target/doc';
export const CRATE = 'topk_lm';

/** Runs `cargo doc` for the crate alone; false, said aloud, where rustdoc is missing. */
export async function buildRustDocs() {
  if (which('rustdoc') === null || which('cargo') === null) {
    console.log('  rustdoc was not found, so the documentation has no Rust reference.');
    return false;
  }
  const facts = query('rustdoc', ['--version']);
  await step('rust reference', { inputs: ['crate', 'Cargo.lock'], outputs: [`${BUILT}/${CRATE}/index.html`], facts }, async () => {
    fs.rmSync(inRoot(BUILT), { recursive: true, force: true });
    await run('cargo', ['doc', '--locked', '--quiet', '-p', 'topk-lm', '--lib', '--no-deps', ...features(), '--target-dir', paths.target]);
  });
  return true;
}

/** The features that Cargo.toml wants documented; the library alone where it does not say. */
function features() {
  const { packages } = JSON.parse(query('cargo', ['metadata', '--no-deps', '--offline', '--format-version', '1']) ?? '{"packages":[]}');
  const docs = packages.find(({ name }) => name === 'topk-lm')?.metadata?.docs?.rs;
  if (!docs) return ['--no-default-features'];
  return [
    ...(docs['no-default-features'] ? ['--no-default-features'] : []),
    ...(docs.features ? ['--features', docs.features.join(',')] : []),
  ];
}

/**
 * Copies rustdoc's pages below `to`.
 * @param {string} to the folder
 * @param {string} start the documentation's start page, from `to`
 * @returns {object[]} records for the search, addresses relative to `to`
 */
export function copyRustDocs(to, start) {
  const records = [];
  const from = inRoot(BUILT);
  for (const file of filesUnder(from)) {
    const name = path.relative(from, file).split(path.sep).join('/');
    // Cargo's lock, and pages that say how rustdoc works.
    if (name.startsWith('.')) continue;
    const target = path.join(to, name);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    if (!name.endsWith('.html')) {
      fs.copyFileSync(file, target);
      continue;
    }
    const html = fs.readFileSync(file, 'utf8');
    fs.writeFileSync(target, withinPolicy(html, path.posix.join('../'.repeat(name.split('/').length - 1), start)));
    if (name.startsWith(`${CRATE}/`) && !/\/(all)\.html$/.test(name)) records.push(...recordsOf(html, name));
  }
  return records;
}

/** Without rustdoc's one inline script (it loads fonts early) and handler, which the policy forbids, and with a way back. */
function withinPolicy(html, start) {
  return html
    .replaceAll(/<script>[\s\S]*?<\/script>/g, '')
    .replaceAll(/ onclick="[^"]*"/g, '')
    .replace(/(<div class="sidebar-crate">)/, `$1<p><a href="${escapeHtml(start)}">← Documentation of topk-lm</a></p>`);
}

/** The page itself, and each of its own members. */
export function recordsOf(html, name) {
  const title = text(/<h1>([\s\S]*?)<\/h1>/.exec(html)?.[1] ?? '').replace(/\s*Copy item path$/, '');
  // What traits bring along says the same on every page.
  const [own] = html
    .slice(Math.max(0, html.indexOf('<section id="main-content"')))
    .split(/<h2 id="(?:trait-implementations|synthetic-implementations|blanket-implementations)/);
  const members = [...own.matchAll(/id="((?:method|tymethod|variant|structfield)\.(\w+))"/g)];
  const first = own.slice(0, members[0]?.index ?? own.length);
  const description = /<meta name="description" content="([^"]*)"/.exec(html)?.[1] ?? '';
  const short = title.replace(/^\S+ /, '');
  return [
    { url: name, page: 'Rust', heading: title, text: text(docs(first) || description) },
    ...members.map(({ 1: id, 2: member, index }, at) => ({
      url: `${name}#${id}`,
      page: 'Rust',
      heading: `${short}::${member}`,
      text: text(docs(own.slice(index, members[at + 1]?.index ?? own.length))),
    })),
  ];
}

const docs = (html) => [...html.matchAll(/<div class="docblock[^"]*">([\s\S]*?)<\/div>/g)].map(([, inner]) => inner).join(' ');

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', nbsp: ' ' };
const text = (html) =>
  html
    .replaceAll(/<button[\s\S]*?<\/button>/g, '')
    .replaceAll(/<[^>]+>/g, '')
    .replaceAll(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replaceAll(/&(\w+);/g, (whole, name) => ENTITIES[name] ?? whole)
    .replaceAll(/\s+/g, ' ')
    .trim();
