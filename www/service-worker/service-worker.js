/**
 * Makes the app shell available offline: pages, scripts, styles, the engine and the list of models, all of one version. Weights and statistics
 * are stored by the engine, in its own cache.
 *
 * The build inserts the version and the files with their SHA-256 (scripts/lib/site-files.mjs). A new version is downloaded completely next to the
 * old one and takes over once no page uses the old one, or when the reader asks for it. What few readers use is no part of that download: it is
 * kept from its first use on.
 */
const VERSION = '__VERSION__';
/** @type {Record<string, string>} path relative to this script → SHA-256; './' is the page */
const FILES = '__FILES__';
/** @type {Record<string, string>} the same for files of this version that are kept once a page has asked for them */
const ON_DEMAND = '__ON_DEMAND__';

const PAGE = new URL('./', self.location.href).href;
// Several sites may share an origin; a path in a name holds no colon, so no name begins like another site's.
const PREFIX = `topk-lm-shell:${encodeURIComponent(new URL(PAGE).pathname)}:`;
const NAME = PREFIX + VERSION;
const byAddress = (files) => new Map(Object.entries(files).map(([file, hash]) => [new URL(file, self.location.href).href, hash]));
const hashes = byAddress(FILES);
const onDemand = byAddress(ON_DEMAND);
/** An address without the hash in it, the same in every version. */
const role = (url) => url.replace(/-[\w-]{8}(?=\.\w+$)/, '');

/** How long one file may take, in ms: the engine over a slow connection. */
const TIMEOUT = 300_000;

self.addEventListener('install', (event) => event.waitUntil(install()));

/** All or nothing: a file that cannot be fetched, or is of another version (in the middle of a deployment, say), leaves the old shell in place. */
async function install() {
  const cache = await caches.open(NAME);
  try {
    const used = await rolesKept();
    const files = [...hashes, ...[...onDemand].filter(([url]) => used.has(role(url)))];
    await Promise.all(files.map(async ([url, hash]) => cache.put(url, await fetched(url, hash))));
  } catch (error) {
    await caches.delete(NAME);
    throw error;
  }
}

/** What the shell in use has kept: what its reader has used goes on working offline with this one. */
async function rolesKept() {
  const kept = new Set();
  for (const name of await caches.keys()) {
    if (name === NAME || !(await isOurs(name))) continue;
    for (const { url } of await (await caches.open(name)).keys()) kept.add(role(url));
  }
  return kept;
}

/**
 * The response that holds exactly what was built. The second try passes by what caches on the way have kept. Some hosts redirect addresses that end
 * in `.html`, and a navigation takes no response that was redirected: such a one is made anew.
 */
async function fetched(url, hash) {
  for (const cache of ['no-cache', 'reload']) {
    const response = await fetch(new Request(url, { cache, signal: AbortSignal.timeout(TIMEOUT) }));
    if (!response.ok) continue;
    const digest = await crypto.subtle.digest('SHA-256', await response.clone().arrayBuffer());
    const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
    if (hex !== hash) continue;
    const { status, statusText, headers } = response;
    return response.redirected ? new Response(response.body, { status, statusText, headers }) : response;
  }
  throw new Error(`${url} is not of version ${VERSION}`);
}

self.addEventListener('activate', (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) if (name !== NAME && (await isOurs(name))) await caches.delete(name);
      await self.clients.claim();
    })(),
  );
});

/** Whether a cache is an older shell of this site. Once their names did not say of which site they were. */
async function isOurs(name) {
  if (name.startsWith(PREFIX)) return true;
  return name.startsWith('topk-lm-shell-') && (await (await caches.open(name)).match(PAGE)) !== undefined;
}

self.addEventListener('message', ({ data }) => {
  if (data === 'take-over') self.skipWaiting();
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET') return;
  const url = new URL(request.url);
  url.search = '';
  url.hash = '';
  const isNavigation = request.mode === 'navigate';
  const isPage = isNavigation && (url.href === PAGE || url.href === `${PAGE}index.html`);
  const isFolder = isNavigation && url.href.endsWith('/');
  // A navigation carries its fragment, and its query is for the page alone.
  const wanted = isPage ? PAGE : isFolder ? `${url.href}index.html` : isNavigation ? url.href : request.url.split('#')[0];
  if (!hashes.has(wanted) && !onDemand.has(wanted)) return;
  event.respondWith(answer(request, wanted));
});

async function answer(request, wanted) {
  const cache = await caches.open(NAME);
  const kept = await cache.match(wanted);
  if (kept) return kept;
  const hash = onDemand.get(wanted);
  if (hash === undefined) return fetch(request);
  try {
    const response = await fetched(wanted, hash);
    await cache.put(wanted, response.clone());
    return response;
  } catch {
    return fetch(request); // not to be had in this version, or not to be kept: the page is told as if there were no worker
  }
}
