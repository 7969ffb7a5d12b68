// npm run bench -- --growth --out DIR [--device cpu|webgpu --runs N --only decode,load,topk,analyze]: how a token's time grows with the context, a prompt's with its length, TopK's with
// rows, width and k, loading with size, an analysis with its text. DIR gets growth.json and a plot of each (SVG).
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { inRoot, paths } from '../scripts/lib/paths.mjs';
import { Failure, run } from '../scripts/lib/run.mjs';
import { serve } from '../scripts/lib/server.mjs';
import { machine } from './machine.mjs';
import { SHAPES } from './peers/models/llama.mjs';
import { FOLDER, makeModel } from './peers/models/make.mjs';
import { plotSvg } from './plots.mjs';

const BACKENDS = ['cpu', 'webgpu'];
const CONTEXTS = [1, 64, 128, 240, 512, 1000];
const PROMPTS = [8, 32, 128, 240, 512, 1000];
/** Widths of models with 4 layers whose files grow by about two. */
const SIZES = [128, 192, 256, 384, 512].map((d) => ({
  name: `load-${d}`,
  d,
  layers: 4,
  heads: d / 32,
  ffn: 2 * d,
  vocab: 8192,
  context: 256,
}));
const KINDS = ['f32', 'f16', 'int8'];
/** One of rows, n and k grows, from the same shape. */
const OPERATOR = {
  rows: [1, 4, 16, 64, 256].map((rows) => [rows, 1024, 32]),
  n: [256, 1024, 4096, 16384, 65536].map((n) => [1, n, 32]),
  k: [1, 8, 32, 128, 512, 1024].map((k) => [1, 4096, k]),
};
const OPERATOR_LABELS = { rows: 'rows, of 1,024 numbers, k 32', n: 'width, of one row, k 32', k: 'k, of one row of 4,096 numbers' };
/** Documents that are analyzed, of up to 256 tokens each. */
const DOCUMENTS = [2, 4, 8, 16, 24];
const ANALYZED = ['Llama-TopK-Stories-16M', 'Llama-Dense-Stories-16M'];
/** What the site ships (256 positions), and a model with a longer context. */
const MODELS = [
  { name: 'Llama-TopK-Stories-16M', url: '/models/Llama-TopK-Stories-16M/' },
  { name: 'its dense twin', url: '/models/Llama-Dense-Stories-16M/' },
  { name: 'random, 7 M, f16', url: '/random/tiny/f16/' },
];

/**
 * @param {{runs: number, only: string[], device: string}} options `device`: where models run; topk() is always on WebGPU, the command on the CPU
 * @param {() => Promise<import('playwright-core').Browser>} launch
 */
export async function benchGrowth({ runs, only, device }, launch) {
  if (!BACKENDS.includes(device)) throw new Failure(`--device takes ${BACKENDS.join(' or ')}.`);
  const rounds = Math.min(runs, 7);
  await makeModel(SHAPES[0], ['f16/model.safetensors']);
  for (const shape of SIZES)
    await makeModel(
      shape,
      KINDS.map((kind) => `${kind}/model.safetensors`),
    );
  const mounts = { '/': inRoot('benches'), '/npm/': paths.npmPackage, '/models/': inRoot('models'), '/random/': inRoot(FOLDER) };
  const server = await serve(mounts);
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto(`${server.url}growth.html`);
    await page.waitForFunction('globalThis.growth');
    const measure = (name, options) => page.evaluate(([called, given]) => globalThis.growth[called](given), [name, { rounds, ...options }]);
    const result = { date: new Date().toISOString(), device: machine(), backend: device, browser: browser.version(), rounds };
    if (only.includes('decode'))
      result.lengths = await measure('lengths', { models: MODELS, backend: device, contexts: CONTEXTS, prompts: PROMPTS });
    if (only.includes('load')) {
      const models = KINDS.flatMap((name) =>
        SIZES.map((shape) => {
          const { size } = fs.statSync(inRoot(FOLDER, shape.name, name, 'model.safetensors'));
          return { name, url: `/random/${shape.name}/${name}/`, megabytes: size / 1e6 };
        }),
      );
      result.loads = await measure('loads', { models, backend: device });
    }
    if (only.includes('topk')) {
      const shapes = Object.values(OPERATOR).flat();
      const times = await measure('operator', { shapes: [...shapes, ...OPERATOR.k], unsorted: OPERATOR.k.length });
      if (times) {
        result.topk = {};
        for (const [name, shapes] of Object.entries(OPERATOR)) {
          const column = Object.keys(OPERATOR).indexOf(name);
          result.topk[name] = shapes.map((shape) => [shape[column], times.shift()]);
        }
        result.unsorted = OPERATOR.k.map((shape) => [shape[2], times.shift()]);
      }
    }
    if (only.includes('analyze')) result.analyses = await analyses(Math.min(rounds, 2));
    return result;
  } finally {
    await browser.close();
    await server.close();
  }
}

/** The command over the first of the documents that the model writes, by their tokens: the fastest of its rounds, in seconds from start to exit. */
async function analyses(rounds) {
  await run('cargo', ['build', '--release', '--locked', '-p', 'topk-lm', '--bin', 'topk-lm']);
  const command = async (...args) => {
    const began = performance.now();
    await run(inRoot('target/release/topk-lm'), args);
    return (performance.now() - began) / 1000;
  };
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-growth-'));
  try {
    const all = path.join(folder, 'all.jsonl');
    await command('write', '--model', inRoot('models', ANALYZED[0]), '--documents', String(DOCUMENTS.at(-1)), '--seed', '1', '--out', all);
    const lines = fs.readFileSync(all, 'utf8').trim().split('\n');
    const series = ANALYZED.map((name) => ({ name, points: [] }));
    for (const count of DOCUMENTS) {
      const corpus = path.join(folder, `${count}.jsonl`);
      fs.writeFileSync(corpus, `${lines.slice(0, count).join('\n')}\n`);
      const tokens = lines.slice(0, count).reduce((sum, line) => sum + JSON.parse(line).ids.length, 0);
      for (const { name, points } of series) {
        const times = [];
        for (let round = 0; round < rounds; round++) {
          const out = path.join(folder, 'features');
          times.push(await command('analyze', '--model', inRoot('models', name), '--corpus', corpus, '--threads', '1', '--out', out));
          fs.rmSync(out, { recursive: true });
        }
        points.push([tokens, Math.min(...times)]);
      }
    }
    return series;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/** The plots of what was measured: file name → SVG. */
export function growthPlots({ backend, lengths, loads, topk, unsorted, analyses }) {
  const plots = {};
  const device = backend === 'webgpu' ? 'WebGPU' : 'CPU';
  if (lengths) {
    plots['decode.svg'] = plotSvg({
      title: `A token, by the context behind it (${device})`,
      x: { label: 'tokens of context' },
      y: { label: 'ms a token' },
      series: lengths.map(({ name, decode: points }) => ({ name, points })),
    });
    plots['prefill.svg'] = plotSvg({
      title: `A prompt, by its length (${device})`,
      x: { label: 'tokens of the prompt' },
      y: { label: 'ms' },
      series: lengths.map(({ name, prefill: points }) => ({ name, points })),
    });
  }
  if (loads) {
    plots['load.svg'] = plotSvg({
      title: `Loading until the first token, nothing stored (${device})`,
      x: { label: 'MB of weights' },
      y: { label: 'ms' },
      series: KINDS.map((kind) => ({
        name: kind,
        points: loads.filter(({ name }) => name === kind).map(({ megabytes, ms }) => [megabytes, ms]),
      })),
    });
  }
  for (const [name, points] of Object.entries(topk ?? {})) {
    plots[`topk-${name}.svg`] = plotSvg({
      title: `topk(), by ${OPERATOR_LABELS[name].split(',')[0]} (WebGPU)`,
      x: { label: OPERATOR_LABELS[name], log: true },
      y: { label: 'ms a call', log: true },
      series: [{ name: 'topk()', points }, ...(name === 'k' && unsorted ? [{ name: 'topk(), sorted: false', points: unsorted }] : [])],
    });
  }
  if (analyses) {
    plots['analyze.svg'] = plotSvg({
      title: 'topk-lm analyze, by the length of the text (CPU, one thread)',
      x: { label: 'tokens of text' },
      y: { label: 's' },
      series: analyses,
    });
  }
  return plots;
}

/** Writes figures and plots. */
export function writeGrowth(folder, result) {
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'growth.json'), `${JSON.stringify(result, null, 2)}\n`);
  for (const [name, svg] of Object.entries(growthPlots(result))) fs.writeFileSync(path.join(folder, name), svg);
}
