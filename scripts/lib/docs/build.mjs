// The documentation in the site, dist/site/docs: guides and definitions from Markdown, the references of both languages, one search over all.
import fs from 'node:fs';
import path from 'node:path';
import MiniSearch from 'minisearch';
import { SEARCH_OPTIONS } from '../../../www/docs/search-options.js';
import { foldersOf, PACKAGES, writePackages } from '../licenses.mjs';
import { inRoot, paths } from '../paths.mjs';
import { step } from '../steps.mjs';
import { apiPages } from './api.mjs';
import { escapeHtml, renderMarkdown } from './markdown.mjs';
import { SECTIONS, START } from './pages.mjs';
import { buildRustDocs, copyRustDocs, CRATE } from './rust.mjs';

const SOURCES = [START, ...SECTIONS.flatMap(({ pages }) => pages)].map(({ source }) => source);

/** Builds it beside the pages that Vite has written. */
export async function buildDocs() {
  const hasRust = await buildRustDocs();
  const inputs = [
    ...SOURCES,
    ...SOURCES.flatMap((source) => picturesOf(source, fs.readFileSync(inRoot(source), 'utf8'))),
    'scripts/lib/docs',
    'scripts/lib/links.mjs',
    'www/docs',
    'www/src/app.css',
    'package-lock.json',
    'dist/site/index.html',
  ];
  const declarations = fs.readdirSync(paths.npmPackage).filter((name) => name.endsWith('.d.ts'));
  const built = [...declarations.map((name) => `dist/npm/${name}`), ...(hasRust ? [`target/doc/${CRATE}`] : [])];
  await step(
    'documentation',
    { inputs: [...inputs, ...built], outputs: ['dist/site/docs/index.html', PACKAGES.docs], facts: hasRust },
    () => writeDocs(path.join(paths.site, 'docs'), hasRust),
  );
}

async function writeDocs(folder, hasRust) {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const records = hasRust
    ? copyRustDocs(path.join(folder, 'rust'), '../index.html').map((record) => ({ ...record, url: `rust/${record.url}` }))
    : [];
  const { pages, navigation } = collect(hasRust);
  const frame = fs.readFileSync(inRoot('www/docs/page.html'), 'utf8');
  const bySource = new Map(pages.map((page) => [page.source, page]));
  const homes = new Map(pages.flatMap((page) => (page.declares ?? []).map((name) => [name, page])));
  for (const page of pages) {
    const rendered = renderMarkdown(page.markdown, {
      hrefOf: (href) => hrefFrom(page, href, bySource),
      srcOf: (href) => between(page.to, pictureAt(besideOf(page.source, href))),
      codeHtml: (code, language) => codeHtml(code, language, page, homes),
    });
    page.title = rendered.title;
    Object.assign(page, rendered);
    records.push(
      ...rendered.sections.map(({ id, heading, text }) => ({ url: page.to + (id && `#${id}`), page: page.title, heading, text })),
    );
  }
  for (const page of pages) {
    const file = path.join(folder, page.to);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, framed(frame, page, navigation));
    for (const picture of page.source ? picturesOf(page.source, page.markdown) : []) {
      const copy = path.join(folder, pictureAt(picture));
      fs.mkdirSync(path.dirname(copy), { recursive: true });
      fs.copyFileSync(inRoot(picture), copy);
    }
  }
  writeIndex(folder, records);
  await writeAssets(folder);
  console.log(`  documentation: ${pages.length} pages, ${records.length} entries in its index${hasRust ? ', and the Rust reference' : ''}`);
}

/** All pages with their Markdown, and the navigation with its links. */
function collect(hasRust) {
  const load = (page) => ({ ...page, markdown: fs.readFileSync(inRoot(page.source), 'utf8') });
  const start = load(START);
  const navigation = SECTIONS.map(({ title, pages, api }) => {
    const all = pages.map(load);
    if (api === 'js') all.push(...apiPages());
    const extra = api === 'rust' && hasRust ? [{ to: `rust/${CRATE}/index.html`, title: 'Reference: the crate' }] : [];
    return { title, pages: all, extra };
  });
  return { pages: [start, ...navigation.flatMap(({ pages }) => pages)], navigation };
}

/** Address of one page of the documentation from another. */
const between = (from, to) => path.posix.relative(path.posix.dirname(from), to) || path.posix.basename(to);

/** What a Markdown file names, from the root of the project. */
const besideOf = (source, href) => path.posix.join(path.posix.dirname(source), href);

/** The pictures of a Markdown file. */
const picturesOf = (source, markdown) => [...markdown.matchAll(/!\[[^\]]*\]\(([^)\s]+)\)/g)].map(([, href]) => besideOf(source, href));

/** Where the site has a picture, in docs/. */
const pictureAt = (picture) => `pictures/${picture.replaceAll('/', '-')}`;

/** Where a link of the Markdown leads on the site: another page of it, or a place in this one. */
function hrefFrom(page, href, bySource) {
  const [target, anchor] = href.split('#');
  if (target === '' || !page.source) return href;
  const source = besideOf(page.source, target);
  const found = bySource.get(source) ?? bySource.get(path.posix.join(source, 'README.md'));
  return found ? between(page.to, found.to) + (anchor ? `#${anchor}` : '') : null;
}

/** Code as HTML; in the reference, names of types lead to their entries. */
function codeHtml(code, language, page, homes) {
  const html = escapeHtml(code);
  if (!page.declares || language !== 'ts') return html;
  const own = /^(?:class|interface|type|function|const)\s+(\w+)/.exec(code)?.[1];
  return html.replaceAll(/\b[A-Z]\w+\b/g, (name) => {
    const home = homes.get(name);
    if (!home || name === own) return name;
    return `<a href="${home === page ? '' : between(page.to, home.to)}#${name.toLowerCase()}">${name}</a>`;
  });
}

/** A page in its frame: www/docs/page.html. */
function framed(frame, page, navigation) {
  const link = ({ to, title, label = title }) =>
    `<li><a href="${between(page.to, to)}"${to === page.to ? ' aria-current="page"' : ''}>${escapeHtml(label)}</a></li>`;
  const menu = navigation.map(
    ({ title, pages, extra }) => `<h2>${escapeHtml(title)}</h2>\n<ul>${[...pages, ...extra].map(link).join('')}</ul>`,
  );
  const contents = page.sections.filter(({ depth, id }) => id !== '' && depth <= 3);
  const list = contents
    .map(({ id, heading, depth }) => `<li class="depth-${depth}"><a href="#${id}">${escapeHtml(heading)}</a></li>`)
    .join('');
  const values = {
    TITLE: escapeHtml(page.title),
    ROOT: '../'.repeat(page.to.split('/').length - 1) || './',
    MENU: menu.join('\n'),
    CONTENTS:
      contents.length > 1
        ? `<nav class="contents" aria-labelledby="contents-title"><h2 id="contents-title">On this page</h2><ul>${list}</ul></nav>`
        : '',
    BODY: page.html,
  };
  return frame.replaceAll(/\{\{(\w+)\}\}/g, (_, name) => values[name]);
}

/** The search's index, made here so that the page only reads it. */
function writeIndex(folder, records) {
  const index = new MiniSearch(SEARCH_OPTIONS);
  index.addAll(records.map((record, id) => ({ id, ...record, start: record.text.slice(0, 160) })));
  fs.writeFileSync(path.join(folder, 'search-index.json'), JSON.stringify(index));
}

async function writeAssets(folder) {
  const { build } = await import('esbuild');
  const { metafile } = await build({
    absWorkingDir: inRoot('www/docs'),
    metafile: true,
    entryPoints: ['docs.ts', 'search.ts', 'docs.css'],
    outdir: folder,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    external: ['./search.js'],
    legalComments: 'eof',
    logLevel: 'warning',
  });
  writePackages(PACKAGES.docs, foldersOf(metafile, inRoot('www/docs')));
}
