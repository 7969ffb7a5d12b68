// npm run bench -- --large [--tokens N --prompt N]: a model of SmolLM2-135M's shape, of random weights, in 8 and in 4 bits, on both devices: how soon it
// is loaded, what a prompt and a token take, and the memory that the browser takes for it, after all that. Each runs in a browser of its own.
import fs from 'node:fs';
import { inRoot, paths } from '../scripts/lib/paths.mjs';
import { serve } from '../scripts/lib/server.mjs';
import { machine } from './machine.mjs';
import { FOLDER, makeModel } from './peers/models/make.mjs';

/** The model of huggingface.co/HuggingFaceTB/SmolLM2-135M, without its weights. */
const SHAPE = { name: 'large', d: 576, layers: 30, heads: 9, kvHeads: 3, ffn: 1536, vocab: 49_152, context: 8192, tied: true };
const KINDS = ['int8', 'int4'];
/** Threads need them. */
const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

/**
 * @param {{tokens: number, prompt: number}} options
 * @param {() => Promise<import('playwright-core').Browser>} launch
 */
export async function benchLarge({ tokens, prompt }, launch) {
  await makeModel(
    SHAPE,
    KINDS.map((kind) => `${kind}/model.safetensors`),
  );
  const server = await serve({ '/': inRoot('benches'), '/npm/': paths.npmPackage, '/random/': inRoot(FOLDER) }, { headers: ISOLATED });
  console.log(`${machine()}; prompt of ${prompt} tokens, ${tokens} more\n`);
  console.log('| weights | file, MB | device | load, s | prompt, s | a token, ms | memory, MB | of it on the GPU, MB |');
  console.log('|---|--:|---|--:|--:|--:|--:|--:|');
  try {
    for (const kind of KINDS)
      for (const backend of ['cpu', 'webgpu']) {
        const browser = await launch();
        try {
          const page = await browser.newPage();
          await page.goto(`${server.url}large.html`);
          const before = megabytes();
          const told = await page.evaluate(measure, { url: `/random/large/${kind}/`, backend, tokens, prompt });
          const held = megabytes() - before;
          await page.evaluate(() => globalThis.model.dispose());
          const size = fs.statSync(inRoot(FOLDER, 'large', kind, 'model.safetensors')).size / 1e6;
          const cells = [kind, size.toFixed(0), `${backend}${told.threads > 1 ? `, ${told.threads} threads` : ''}`];
          const numbers = [told.load.toFixed(1), told.prompt.toFixed(1), told.token.toFixed(0)];
          console.log(`| ${[...cells, ...numbers, Number.isNaN(held) ? '–' : held.toFixed(0), told.gpu.toFixed(0)].join(' | ')} |`);
        } finally {
          await browser.close();
        }
      }
  } finally {
    await server.close();
  }
}

/** What the processes that this one started, the browser's, have in memory (what they share counted once); NaN where only Linux would tell. */
function megabytes() {
  if (process.platform !== 'linux') return Number.NaN;
  const parents = new Map();
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    try {
      parents.set(pid, /^PPid:\t(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
    } catch {
      // It has ended.
    }
  const isOurs = (pid) => parents.has(pid) && (parents.get(pid) === String(process.pid) || isOurs(parents.get(pid)));
  let sum = 0;
  for (const pid of [...parents.keys()].filter(isOurs))
    try {
      sum += Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1000;
    } catch {
      // Likewise.
    }
  return sum;
}

/** In the page. */
async function measure({ url, backend, tokens, prompt }) {
  const { TopKLM } = await import('/npm/index.js');
  const seconds = (since) => (performance.now() - since) / 1000;
  const began = performance.now();
  const model = await TopKLM.load(url, { backend, cache: false });
  const load = seconds(began);
  const ids = Uint32Array.from({ length: prompt }, (_, at) => 3 + ((at * 7919) % 49_000));
  const asked = performance.now();
  let first;
  for await (const _ of model.generate(ids, { maxTokens: tokens + 1, temperature: 0, ignoreEos: true })) first ??= performance.now();
  const token = (1000 * seconds(first)) / tokens;
  globalThis.model = model;
  const gpu = (await model.memory()).bytes / 1e6;
  return { load, prompt: (first - asked) / 1000, token, gpu, threads: model.backend.threads };
}
