// npm run bench -- --only load [--runs N]: from the call of `load` to a loaded model over a line of 10 Mbit/s and 40 ms, on a first visit (a fresh profile) and
// a second one, beside what fetching the same files takes over the same line.
import net from 'node:net';
import { inRoot, paths } from '../scripts/lib/paths.mjs';
import { serve } from '../scripts/lib/server.mjs';
import { machine } from './machine.mjs';

const MBIT = 10;
const ROUND_TRIP_MS = 40;
const MODEL = '/models/Llama-TopK-Stories-16M/';
const BACKENDS = ['cpu', 'webgpu'];
/** Bytes that go over the line in one piece: its users take turns. */
const PIECE = 8 << 10;

/**
 * @param {{runs: number}} options
 * @param {() => Promise<import('playwright-core').Browser>} launch
 */
export async function benchLoad({ runs }, launch) {
  const rounds = Math.min(runs, 3);
  const asked = [];
  const mounts = { '/': inRoot('benches'), '/npm/': paths.npmPackage, '/models/': inRoot('models') };
  const server = await serve(mounts, {
    compress: true,
    intercept: ({ method, url }) => {
      if (method === 'GET') asked.push(url);
      return false;
    },
  });
  const line = await openLine(server.port);
  try {
    const rows = BACKENDS.map((backend) => ({ backend, first: [], fetched: [], second: [] }));
    await atOnce(server.url, MODEL); // what is compressed on request is ready then
    for (let round = 0; round < rounds; round++)
      for (const { backend, first, fetched, second } of rows) {
        const browser = await launch();
        try {
          const context = await browser.newContext();
          asked.length = 0;
          first.push(await visit(context, line.url, load, { model: MODEL, backend }));
          const files = [...new Set(asked)].filter((url) => url.startsWith('/models/') || url.startsWith('/npm/'));
          second.push(await visit(context, line.url, load, { model: MODEL, backend }));
          fetched.push(await visit(await browser.newContext(), line.url, download, files));
        } finally {
          await browser.close();
        }
      }
    const result = { date: new Date().toISOString(), device: machine(), mbit: MBIT, roundTripMs: ROUND_TRIP_MS, model: MODEL, rows };
    print(result);
    return result;
  } finally {
    await line.close();
    await server.close();
  }

  /** Opens the page, which has the package's entry by then, and runs `work` there; its time in ms. */
  async function visit(context, url, work, argument) {
    const page = await context.newPage();
    page.setDefaultTimeout(0);
    await page.goto(`${url}load.html`);
    await page.evaluate(() => import('/npm/index.js'));
    asked.length = 0;
    const ms = await page.evaluate(work, argument);
    await page.close();
    return ms;
  }
}

/** The files of the package and the model, without the line. */
async function atOnce(url, model) {
  const headers = { 'accept-encoding': 'br, gzip' };
  for (const path of ['/npm/topk_lm_bg.wasm', `${model}manifest.json`, `${model}tokenizer.json`])
    await fetch(new URL(path, url), { headers }).then((response) => response.arrayBuffer());
}

/** In the page. */
async function load({ model: url, backend }) {
  const { TopKLM } = await import('/npm/index.js');
  const began = performance.now();
  const model = await TopKLM.load(url, { backend });
  const ms = performance.now() - began;
  await model.dispose();
  return ms;
}

/** In the page. */
async function download(urls) {
  const began = performance.now();
  await Promise.all(urls.map((url) => fetch(url, { cache: 'no-store' }).then((response) => response.arrayBuffer())));
  return performance.now() - began;
}

/**
 * A line to the server on `port`, which all its connections share: requests arrive after a round trip's time, what comes back takes its time.
 * @returns {Promise<{url: string, close: () => Promise<void>}>}
 */
function openLine(port) {
  let free = 0;
  const passed = (bytes) => {
    free = Math.max(free, performance.now()) + (bytes * 8) / (MBIT * 1000);
    const wait = free - performance.now();
    return new Promise((resolve) => setTimeout(resolve, wait));
  };
  const sockets = new Set();
  const listener = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    const end = () => {
      near.destroy();
      far.destroy();
      sockets.delete(near);
    };
    sockets.add(near);
    for (const socket of [near, far]) socket.setNoDelay().on('error', end).on('close', end);
    near.on('data', (bytes) => setTimeout(() => far.destroyed || far.write(bytes), ROUND_TRIP_MS));
    back(far, near).catch(end);
  });
  const back = async (from, to) => {
    for await (const bytes of from)
      for (let at = 0; at < bytes.length; at += PIECE) {
        const piece = bytes.subarray(at, at + PIECE);
        await passed(piece.length);
        if (!to.destroyed) to.write(piece);
      }
  };
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', () =>
      resolve({
        url: `http://localhost:${listener.address().port}/`,
        close: () =>
          new Promise((done) => {
            listener.close(() => done());
            for (const socket of sockets) socket.destroy();
          }),
      }),
    );
  });
}

function print({ device, rows }) {
  const median = (times) => times.toSorted((a, b) => a - b)[times.length >> 1];
  console.log(`${device}; ${MBIT} Mbit/s, ${ROUND_TRIP_MS} ms\n`);
  console.log('| device | the files alone, ms | first visit, ms | more than the files | second visit, ms |\n|---|--:|--:|--:|--:|');
  for (const { backend, first, fetched, second } of rows) {
    const [all, alone, again] = [first, fetched, second].map(median);
    const more = `${((all / alone - 1) * 100).toFixed(1)} %`;
    console.log(`| ${backend} | ${[alone.toFixed(0), all.toFixed(0), more, again.toFixed(0)].join(' | ')} |`);
  }
}
