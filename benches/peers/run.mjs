// npm run bench -- --peers [--runs N --only cpu,webgpu,topk,cold --models tiny,small --out FILE]: other engines beside ours, in one page, in turn, on
// random models and on TopK alone; what they return is compared first. They are installed here, into benches/peers/node_modules, by this command alone.
import { serve } from '../../scripts/lib/server.mjs';
import { inRoot, paths } from '../../scripts/lib/paths.mjs';
import { Failure, npm, run } from '../../scripts/lib/run.mjs';
import { step } from '../../scripts/lib/steps.mjs';
import { machine } from '../machine.mjs';
import { SHAPES as TOPK_SHAPES } from '../numbers.js';
import { spread } from '../rounds.js';
import { modelTable, topkTable } from '../tables.mjs';
import { CONTENDERS, ROUNDS_INPUTS } from './contenders.js';
import { SHAPES } from './models/llama.mjs';
import { FOLDER, makeModel, write } from './models/make.mjs';
import { onnxTopK } from './models/onnx.mjs';

/** Beside the shapes of the engine's own benchmark, larger k. */
const LARGE_K = [
  [128, 4096, 256],
  [128, 4096, 1024],
  [1, 32000, 1024],
];
/** An emulated GPU takes seconds for a prompt. */
const WEBGPU = { runs: 2, tokens: 4 };
const COLD_RUNS = 3;
const TOPK_RUNS = 7;
/** Threads of the others need it. */
const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

async function installPeers() {
  const folder = 'benches/peers';
  try {
    await step(
      'other engines',
      {
        inputs: ['package.json', 'package-lock.json'].map((name) => `${folder}/${name}`),
        outputs: [`${folder}/node_modules/.package-lock.json`],
      },
      () => run(...npm('ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder)),
    );
  } catch (error) {
    // Their rows will say so; ours are measured all the same.
    console.error(`The other engines could not be installed: ${error.message}`);
  }
}

/**
 * @param {{runs: number, tokens: number, prompt: number, only: string[], models: string[]}} options
 * @param {() => Promise<import('playwright-core').Browser>} launch
 */
export async function benchPeers({ runs, tokens, prompt, only, models }, launch) {
  const shapes = SHAPES.filter(({ name }) => models.includes(name));
  if (shapes.length < models.length) throw new Failure(`--models takes ${SHAPES.map(({ name }) => name).join(',')}.`);
  await installPeers();
  for (const shape of shapes) await makeModel(shape);
  const topkShapes = [...TOPK_SHAPES, ...LARGE_K].map(([rows, n, k]) => ({ rows, n, k }));
  for (const { rows, n, k } of topkShapes) write(inRoot(FOLDER, 'topk', `TopK-${rows}-${n}-${k}.onnx`), onnxTopK(rows, n, k));
  const server = await serve(
    {
      '/': inRoot('benches/peers'),
      '/bench/': inRoot('benches'),
      '/npm/': paths.npmPackage,
      '/random/': inRoot(FOLDER),
      '/peers/': inRoot('benches/peers/node_modules'),
    },
    { headers: ISOLATED },
  );
  const url = `${server.url}page.html`;
  const browser = await launch();
  try {
    const result = { date: new Date().toISOString(), device: machine(), browser: browser.version(), runs, prompt, models: {}, topk: [] };
    for (const shape of shapes) {
      result.models[shape.name] = {};
      for (const device of ['cpu', 'webgpu'].filter((name) => only.includes(name))) {
        const counts =
          device === 'webgpu' ? { rounds: Math.min(runs, WEBGPU.runs), tokens: Math.min(tokens, WEBGPU.tokens) } : { rounds: runs, tokens };
        console.error(`· ${shape.name} on ${device}`);
        const rows = [];
        let expected;
        // Those that hold the same number of bits take turns with each other: all at once are too much for a page.
        for (const group of groupsOf(device)) {
          const names = group.map(({ name }) => name);
          const found = await inPage(browser, url, 'compareModels', { names, device, shape, prompt, expected, ...counts });
          rows.push(...found.rows);
          expected ??= found.expected;
        }
        if (only.includes('cold'))
          await coldStarts(browser, url, { rows, device, shape, prompt, runs: device === 'webgpu' ? 1 : Math.min(runs, COLD_RUNS) });
        result.models[shape.name][device] = { ...counts, rows };
        console.log(`\n${shape.name}, ${device}: ${counts.rounds} rounds\n\n${modelTable(rows, prompt)}`);
      }
    }
    if (only.includes('topk')) {
      console.error('· TopK');
      result.topk = await inPage(browser, url, 'compareTopK', { shapes: topkShapes, rounds: Math.min(runs, TOPK_RUNS) });
      console.log(`\nTopK\n\n${topkTable(result.topk)}`);
    }
    return result;
  } finally {
    await browser.close();
    await server.close();
  }
}

function groupsOf(device) {
  const rounding = ({ options }) => ROUNDS_INPUTS.has(options.weights);
  const all = CONTENDERS[device];
  return [all.filter((contender) => !rounding(contender)), all.filter(rounding)].filter((group) => group.length > 0);
}

/** A function of page.js in a page of its own, with empty caches. */
async function inPage(browser, url, name, options) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    return await visit(page, url, name, options);
  } finally {
    await context.close();
  }
}

async function visit(page, url, name, options) {
  const crashed = new Promise((_, reject) => {
    page.once('crash', () => reject(new Failure(`The page crashed in ${name}: there may be too little memory.`)));
  });
  await page.goto(url);
  await page.waitForFunction('globalThis.bench');
  return Promise.race([page.evaluate(([called, given]) => globalThis.bench[called](given), [name, options]), crashed]);
}

/** A first and a second visit of a fresh profile, for everyone in turn: `cold_ms` and `again_ms` of the rows that run. */
async function coldStarts(browser, url, { rows, device, shape, prompt, runs }) {
  const running = rows.filter((row) => row.of);
  const samples = new Map(running.map((row) => [row, { cold_ms: [], again_ms: [] }]));
  for (let round = 0; round < runs; round++) {
    for (const row of running) {
      const context = await browser.newContext();
      try {
        const page = await context.newPage();
        for (const visited of ['cold_ms', 'again_ms'])
          samples.get(row)[visited].push(await visit(page, url, 'coldStart', { device, name: row.name, shape, prompt }));
      } catch (error) {
        row.problem ??= error.message.split('\n')[0];
      } finally {
        await context.close();
      }
    }
  }
  for (const [row, found] of samples) for (const [name, times] of Object.entries(found)) if (times.length > 0) row[name] = spread(times);
}
