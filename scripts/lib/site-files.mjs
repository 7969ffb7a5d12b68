// What the built site needs besides its pages: the service worker with its list of files, and headers for static hosts.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { inRoot, paths } from './paths.mjs';
import { filesUnder } from './steps.mjs';

const WORKER = 'service-worker.js';
/** The Rust reference is for reading online: it is several times as large as the rest. */
const ONLINE = 'docs/rust/';
/** Of models/ only these belong to the shell, and what the start page shows; weights and statistics are the engine's. */
const SHELL_MODELS = ['models/index.json', 'models/claims.json'];
/**
 * Kept from their first use on: the module of the statistics, as large as the engine, which few want, and what the pages show of a model beside what
 * the engine reads. (No manifest: an old one would refuse new weights.)
 */
const ON_DEMAND = [
  /^assets\/statistics_bg.*\.wasm$/,
  /^models\/[^/]+\/(?:challenges|continuations|steered|topics)\.json$/,
  /^models\/[^/]+\/examples\/[^/]+\.json$/,
];
const isOnDemand = (name) => ON_DEMAND.some((pattern) => pattern.test(name));

export const policy = () => fs.readFileSync(inRoot('www/content-security-policy.txt'), 'utf8').trim();

/** Writes them into the built site, last of all: the worker's version is a hash of itself and of every file it keeps. */
export function writeSiteFiles(site = paths.site) {
  writeHostFiles(site);
  const source = fs.readFileSync(inRoot('www/service-worker', WORKER), 'utf8');
  const sha256 = (content) => createHash('sha256').update(content).digest('hex');
  const listed = (files) =>
    JSON.stringify(
      Object.fromEntries(files.map((file) => [file === 'index.html' ? './' : `./${file}`, sha256(fs.readFileSync(path.join(site, file)))])),
    );
  const list = listed(shellFiles(site));
  const later = listed(onDemandFiles(site));
  const version = sha256(source + list + later).slice(0, 16);
  fs.writeFileSync(
    path.join(site, WORKER),
    source
      .replace('__VERSION__', version)
      .replace("'__FILES__'", () => list)
      .replace("'__ON_DEMAND__'", () => later),
  );
}

/** Files of the app shell, relative to the site. */
export function shellFiles(site = paths.site) {
  const isShell = (name) =>
    name.startsWith('models/')
      ? SHELL_MODELS.includes(name) || name.endsWith('/start.json')
      : /\.(html|js|css|wasm|svg|png|json|webmanifest|txt)$/.test(name);
  const isElsewhere = (name) => name.startsWith(ONLINE) || isOnDemand(name) || [WORKER, '404.html', 'preview.png'].includes(name);
  return siteFiles(site).filter((name) => isShell(name) && !isElsewhere(name));
}

/** Files that the service worker keeps once they were used. */
const onDemandFiles = (site) => siteFiles(site).filter(isOnDemand);

/** Every file of the site, relative to it. */
const siteFiles = (site) =>
  filesUnder(site)
    .map((file) => path.relative(site, file).split(path.sep).join('/'))
    .sort();

/** What tells static hosts how to serve the site. */
export function writeHostFiles(site) {
  writeHeaders(site);
  writeNotFound(site);
}

/** Path under which the site is published, from SITE_URL; the root of the host without it. */
const basePath = () => (process.env.SITE_URL ? new URL(process.env.SITE_URL).pathname : '/');

/** A host may serve 404.html at any depth, so its link back is absolute if SITE_URL is known. */
function writeNotFound(site) {
  const source = fs.readFileSync(inRoot('www/public/404.html'), 'utf8');
  const start = (process.env.SITE_URL ?? './').replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  fs.writeFileSync(
    path.join(site, '404.html'),
    source.replace('href="./"', () => `href="${start}"`),
  );
}

/**
 * On everything below models/, so that pages elsewhere, notebooks above all, can load a model from here; an `ETag` that they can read tells them
 * whether they have it already. Names hold no hash there, so stored copies are asked about.
 */
export const MODEL_HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'ETag, Content-Range',
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'Cache-Control': 'no-cache',
};

/** On assets/, whose names hold a hash of the content: kept for good, and nothing is asked. */
export const ASSET_HEADERS = { 'Cache-Control': 'public, max-age=31536000, immutable' };

/** On the service worker and on what a person opens by its address: stored copies are asked about, so a new build is seen at once. */
const PAGE_HEADERS = { 'Cache-Control': 'no-cache' };

/**
 * On everything. A `<meta>` cannot say who may frame the page. Anybody may: `?embed=1` is for that, and there is nothing here to lure clicks to.
 * The last two isolate the page, so that a model on the CPU may compute with several threads; all that the site loads from elsewhere comes by CORS.
 */
export const siteHeaders = () => ({
  'Content-Security-Policy': `${policy()}; frame-ancestors *`,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
});

/**
 * The headers that the site wants, beside the policy in `<meta>` that holds everywhere: for hosts that read `_headers` (Netlify, Cloudflare
 * Pages), for Apache, and for nginx; the last two are also told of 404.html, which the others, and GitHub Pages, find by its name.
 */
function writeHeaders(site) {
  const headers = siteHeaders();
  const lines = (all, line) =>
    Object.entries(all)
      .map(([name, value], at) => `${line(name, value, at)}\n`)
      .join('');
  const section = (pattern, all) => `${pattern}\n${lines(all, (name, value) => `  ${name}: ${value}`)}`;
  fs.writeFileSync(
    path.join(site, '_headers'),
    [
      section('/*', headers),
      section('/models/*', MODEL_HEADERS),
      section('/assets/*', ASSET_HEADERS),
      ...['/', '/index.html', `/${WORKER}`].map((name) => section(name, PAGE_HEADERS)),
    ].join(''),
  );
  const apache = (all, when = '') => lines(all, (name, value) => `Header ${when}set ${name} "${value}"`);
  fs.writeFileSync(
    path.join(site, '.htaccess'),
    `${apache(headers)}<FilesMatch "(^${WORKER.replace('.', '\\.')}|\\.html)$">\n${apache(PAGE_HEADERS)}</FilesMatch>\n${APACHE_REST}ErrorDocument 404 ${basePath()}404.html\n`,
  );
  // A page elsewhere has to be told that a model's file is missing: 404.html in its place would come without the headers of models/.
  for (const [folder, text] of [
    ['models', `${apache(MODEL_HEADERS, 'always ')}ErrorDocument 404 default\n`],
    ['assets', apache(ASSET_HEADERS)],
  ]) {
    fs.mkdirSync(path.join(site, folder), { recursive: true });
    fs.writeFileSync(path.join(site, folder, '.htaccess'), text);
  }
  const nginx = (variable, pattern, all, { of = '$uri', when = '' } = {}) =>
    lines(all, (name, value, at) => {
      const own = `$${variable}${at}`;
      return `set ${own} "";\nif (${of} ~ "${pattern}") { set ${own} "${value}"; }\nadd_header ${name} ${own}${when};`;
    });
  const notFound = `${basePath()}404.html`;
  // nginx leaves out a header whose value is empty; a second block of add_header would replace the first.
  fs.writeFileSync(
    path.join(site, 'nginx-headers.conf'),
    [
      '# include this file in the location that serves the site\n',
      lines(headers, (name, value) => `add_header ${name} "${value}";`),
      nginx('page', `(/|/[^/]*\\.html|/${WORKER.replace('.', '\\.')})$`, PAGE_HEADERS),
      nginx('asset', '/assets/[^/]*$', ASSET_HEADERS),
      nginx('model', '/models/', MODEL_HEADERS),
      // The same for a model's file that is missing. `always` above would send them twice with a 416.
      'set $answer "$uri to $request_uri";\n',
      nginx('missing', `^${notFound} to [^?]*/models/`, MODEL_HEADERS, { of: '$answer', when: ' always' }),
      `error_page 404 ${notFound};\n`,
    ].join(''),
  );
}

/**
 * For Apache: the engine's type, compression of what its own settings leave out, and a way round its ending of the ETag of what it compressed,
 * with which it would not know its own again.
 */
const APACHE_REST = `AddType application/wasm .wasm
<IfModule mod_deflate.c>
<IfModule mod_filter.c>
AddOutputFilterByType DEFLATE application/javascript application/json application/wasm image/svg+xml text/css text/html text/javascript text/plain
</IfModule>
RequestHeader edit If-None-Match -gzip\\"$ \\"
</IfModule>
`;

/** Bytes of the site: all, and what the start page needs before the model, gzipped. */
export function printSiteSize(site = paths.site) {
  const all = filesUnder(site);
  const bytes = all.reduce((sum, file) => sum + fs.statSync(file).size, 0);
  const shell = shellFiles(site).filter((name) => /\.(html|js|css)$/.test(name) && !/worker|topk_lm|^docs\//.test(name));
  const kibibytes = (names) => {
    const gzip = names.reduce((sum, name) => sum + gzipSync(fs.readFileSync(path.join(site, name)), { level: 9 }).length, 0);
    return `${(gzip / 1024).toFixed(1)} KiB`;
  };
  console.log(
    `  site: ${all.length} files, ${(bytes / 1e6).toFixed(1)} MB; gzipped: pages, scripts and styles ${kibibytes(shell)}, the module of the statistics ${kibibytes(onDemandFiles(site))}`,
  );
}
