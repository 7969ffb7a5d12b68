// A static file server for `npm start` and for the tests: right MIME types, byte ranges, ETags, compression if asked for, loopback only.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { pipeline } from 'node:stream';
import { promisify } from 'node:util';
import zlib from 'node:zlib';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
  '.md': 'text/plain; charset=utf-8',
};

/**
 * Serves folders.
 * @param {Record<string, string>} mounts URL prefix (`/`, `/models/`) → folder; the longest prefix wins
 * @param {{port?: number, headers?: Record<string, string>, compress?: boolean, intercept?: (request, response) => boolean}} [options]
 *   port 0 takes a free one; `headers` go on every answer; `compress`: text and wasm, where the browser takes it; `intercept` may
 *   answer itself and return true
 * @returns {Promise<{url: string, port: number, close: () => Promise<void>}>} url ends in a slash
 */
export function serve(mounts, { port = 0, headers = {}, compress = false, intercept } = {}) {
  const prefixes = Object.keys(mounts).sort((a, b) => b.length - a.length);
  const server = http.createServer((request, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (intercept?.(request, response)) return;
    answer(request, response, mounts, prefixes, compress);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const { port: taken } = server.address();
      resolve({
        port: taken,
        url: `http://localhost:${taken}/`,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}

function answer(request, response, mounts, prefixes, compress) {
  const plain = (status, text) => response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, 'Only GET and HEAD are answered.');
  let pathname;
  try {
    pathname = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
  } catch {
    return plain(400, 'The address cannot be read.');
  }
  const prefix = prefixes.find((candidate) => pathname.startsWith(candidate));
  if (prefix === undefined) return plain(404, 'Not found.');
  const folder = path.resolve(mounts[prefix]);
  let file = path.resolve(folder, `./${pathname.slice(prefix.length)}`);
  if (file !== folder && !file.startsWith(folder + path.sep)) return plain(404, 'Not found.');
  if (pathname.endsWith('/')) file = path.join(file, 'index.html');
  const stat = statOf(file);
  if (!stat?.isFile()) return plain(404, 'Not found.');
  const encoding =
    compress && stat.size >= SMALLEST && path.extname(file) in TYPES && !INCOMPRESSIBLE.has(path.extname(file))
      ? encodingFor(request)
      : null;
  if (compress) response.setHeader('vary', 'accept-encoding');
  if (encoding && !request.headers.range) sendCompressed(request, response, file, stat, encoding);
  else sendFile(request, response, file, stat);
}

/** What there is at a path; `null` for what cannot be one: below a file (`config.json/x`), with too long a name. */
function statOf(file) {
  try {
    return fs.statSync(file, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null;
  }
}

/** Smaller files gain nothing. */
const SMALLEST = 1024;
const INCOMPRESSIBLE = new Set(['.png', '.ico']);

/** By name, the best first; quick rather than small, since the first request waits for it. */
const ENCODINGS = {
  br: (content) => promisify(zlib.brotliCompress)(content, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } }),
  gzip: (content) => promisify(zlib.gzip)(content),
};

/** An encoding that the request takes; `null`: none of ours. */
function encodingFor({ headers }) {
  const taken = (headers['accept-encoding'] ?? '')
    .split(',')
    .map((part) => part.split(';').map((word) => word.trim()))
    .flatMap(([name, quality]) => (/^q=0(\.0*)?$/.test(quality ?? '') ? [] : [name]));
  return Object.keys(ENCODINGS).find((name) => taken.includes(name)) ?? null;
}

function head(response, file, etag) {
  response.setHeader('content-type', TYPES[path.extname(file)] ?? 'application/octet-stream');
  response.setHeader('etag', etag);
  response.setHeader('cache-control', 'no-cache');
}

const versionOf = ({ size, mtimeMs }) => `${size.toString(36)}-${Math.round(mtimeMs).toString(36)}`;

/** Whether the client has the representation with this tag: what it names may be a list, and weak. */
function isKnown({ headers }, etag) {
  const known = (headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return known.includes(etag) || known.includes('*');
}

/** What was compressed last, of each file and encoding, so that a second visitor does not wait for it. */
const compressed = new Map();

function compress(file, encoding, etag) {
  const key = `${encoding} ${file}`;
  const last = compressed.get(key);
  if (last?.etag === etag) return last.body;
  const body = fs.promises.readFile(file).then(ENCODINGS[encoding]);
  body.catch(() => compressed.delete(key)); // and the next request tries again
  compressed.set(key, { etag, body });
  return body;
}

async function sendCompressed(request, response, file, stat, encoding) {
  const etag = `"${versionOf(stat)}-${encoding}"`;
  head(response, file, etag);
  if (isKnown(request, etag)) return response.writeHead(304).end();
  try {
    const body = await compress(file, encoding, etag);
    response.writeHead(200, { 'content-encoding': encoding, 'content-length': body.length });
    response.end(request.method === 'HEAD' ? undefined : body);
  } catch {
    response.destroy();
  }
}

function sendFile(request, response, file, stat) {
  const { size } = stat;
  const etag = `"${versionOf(stat)}"`;
  head(response, file, etag);
  response.setHeader('accept-ranges', 'bytes');
  if (isKnown(request, etag)) return response.writeHead(304).end();
  const range = byteRange(request.headers, size, etag);
  if (range === 'unsatisfiable') return response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
  const [first, last] = range ?? [0, size - 1];
  if (range) response.setHeader('content-range', `bytes ${first}-${last}/${size}`);
  response.setHeader('content-length', last - first + 1);
  response.writeHead(range ? 206 : 200);
  if (request.method === 'HEAD' || size === 0) return response.end();
  // A reader that goes, or a file that cannot be read, ends both.
  pipeline(fs.createReadStream(file, { start: first, end: last }), response, () => {});
}

/** A single range `bytes=a-b`, `bytes=a-` or `bytes=-n`; anything else is ignored, as the standard allows. */
function byteRange(headers, size, etag) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return null;
  if (headers['if-range'] && headers['if-range'] !== etag) return null;
  const first = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const last = match[1] === '' || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  return first < size && first <= last ? [first, last] : 'unsatisfiable';
}
