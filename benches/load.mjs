// npm run bench -- --only load [--runs N --beside DIR]: from the call of `load` to the first token over a line of 10 Mbit/s and 40 ms, on a first
// visit (a fresh profile) and a second one, beside what fetching the same files takes over the same line. DIR is another build of the package, measured in turn.
import path from 'node:path';
import { inRoot, paths } from '../scripts/lib/paths.mjs';
import { serve } from '../scripts/lib/server.mjs';
import { openLine } from './line.mjs';
import { machine } from './machine.mjs';

const MBIT = 10;
const ROUND_TRIP_MS = 40;
const MODEL = '/models/Llama-TopK-Stories-16M/';
const BACKENDS = ['cpu', 'webgpu'];
const BUILDS = { this: '/npm/', beside: '/beside/' };

/**
 * @param {{runs: number, beside?: string, backends?: string[]}} options
 * @param {() => Promise<import('playwright-core').Browser>} launch
 */
export async function benchLoad({ runs, beside, backends = BACKENDS }, launch) {
  const asked = [];
  const mounts = { '/': inRoot('benches'), [BUILDS.this]: paths.npmPackage, '/models/': inRoot('models') };
  if (beside) mounts[BUILDS.beside] = path.resolve(beside);
  const server = await serve(mounts, {
    compress: true,
    intercept: ({ method, url }) => {
      if (method === 'GET') asked.push(url);
      return false;
    },
  });
  const line = await openLine(server.port, { mbit: MBIT, roundTripMs: ROUND_TRIP_MS });
  const names = Object.keys(BUILDS).filter((name) => name === 'this' || beside);
  try {
    const rows = backends.flatMap((backend) => names.map((build) => ({ backend, build, first: [], fetched: [], second: [] })));
    for (const name of names) await atOnce(server.url, BUILDS[name]);
    for (let round = 0; round < Math.min(runs, 3); round++)
      for (const { backend, build, first, fetched, second } of rows) {
        const browser = await launch();
        const argument = { npm: BUILDS[build], model: MODEL, backend };
        try {
          const context = await browser.newContext();
          first.push(await visit(context, line.url, load, argument));
          const files = [...new Set(asked)];
          second.push(await visit(context, line.url, load, argument));
          const fresh = await browser.newContext();
          fetched.push(await visit(fresh, line.url, download, { npm: BUILDS[build], files }));
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

  /** Opens the page, which has the package's entry by then, and runs `work` there. */
  async function visit(context, url, work, argument) {
    const page = await context.newPage();
    page.setDefaultTimeout(0);
    await page.goto(`${url}load.html`);
    await page.evaluate((npm) => import(`${npm}index.js`), argument.npm);
    asked.length = 0;
    const measured = await page.evaluate(work, argument);
    await page.close();
    return measured;
  }
}

/** Files of the package and the model, without the line: what is compressed on request is ready then. */
async function atOnce(url, npm) {
  const headers = { 'accept-encoding': 'br, gzip' };
  for (const file of [`${npm}topk_lm_bg.wasm`, `${npm}topk_lm.js`, `${MODEL}manifest.json`, `${MODEL}tokenizer.json`])
    await fetch(new URL(file, url), { headers }).then((response) => response.arrayBuffer());
}

/** In the page: ms to the last byte, to a loaded model and to the first token. */
async function load({ npm, model: url, backend }) {
  const { TopKLM } = await import(`${npm}index.js`);
  const began = performance.now();
  const since = () => performance.now() - began;
  let bytes = 0;
  const onProgress = ({ phase, loadedBytes, totalBytes }) => {
    if (phase === 'download' && loadedBytes === totalBytes) bytes ||= since();
  };
  const model = await TopKLM.load(url, { backend, onProgress });
  const loaded = since();
  let token = 0;
  for await (const _ of model.generate('Once upon a time', { maxTokens: 1 })) token = since();
  await model.dispose();
  return { bytes, loaded, token };
}

/** In the page. */
async function download({ files }) {
  const began = performance.now();
  await Promise.all(files.map((url) => fetch(url, { cache: 'no-store' }).then((response) => response.arrayBuffer())));
  return performance.now() - began;
}

function print({ device, rows }) {
  const median = (times) => times.toSorted((a, b) => a - b)[times.length >> 1];
  console.log(`${device}; ${MBIT} Mbit/s, ${ROUND_TRIP_MS} ms\n`);
  console.log(
    '| device, build | the files alone, ms | first visit: last byte | model | first token | more than the files | second visit: first token |',
  );
  console.log('|---|--:|--:|--:|--:|--:|--:|');
  for (const { backend, build, first, fetched, second } of rows) {
    const of = (visits, name) => median(visits.map((visit) => visit[name]));
    const [alone, token] = [median(fetched), of(first, 'token')];
    const times = [alone, of(first, 'bytes'), of(first, 'loaded'), token].map((ms) => ms.toFixed(0));
    console.log(
      `| ${[`${backend}, ${build}`, ...times, `${((token / alone - 1) * 100).toFixed(1)} %`, of(second, 'token').toFixed(0)].join(' | ')} |`,
    );
  }
}
