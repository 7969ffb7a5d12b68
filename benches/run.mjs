// npm run bench [-- --runs N --tokens N --prompt N --only topk,crossovers,plan,webgpu,cpu,extras,twins --out FILE --serve]: runs the benchmark page in headless
// Chromium (with WebGPU on SwiftShader, a CPU emulation, if there is no GPU) and writes its JSON to stdout and FILE. `--serve` serves it for your own browser.
// `--device cpu` (or webgpu): hooks, edits and twins there alone.
// `--peers`: other engines beside ours (peers/run.mjs); `--site` stores its TopK for About. `--growth [--device webgpu]`: how times grow, with plots (growth.mjs).
// `--only plan [--write]`: which constants of TopK's kernels are fastest on the adapter (plan.js), and writes them into shaders/topk_plan.json.
// `--only load`: from the call of `load` to the first token over a slow line (load.mjs).
// `--large`: a model of 135 M parameters in 8 and 4 bits, and the memory that it takes (large.mjs).
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { inRoot, paths } from '../scripts/lib/paths.mjs';
import { buildPackage } from '../scripts/lib/package.mjs';
import { Failure, main } from '../scripts/lib/run.mjs';
import { serve } from '../scripts/lib/server.mjs';
import { KINDS } from './kinds.js';
import { topkForSite } from './tables.mjs';
import { ensureChromium, ensureNodeModules } from '../scripts/lib/system.mjs';

/** What About shows beside its race: `--peers --only topk --site` writes it. */
const ON_SITE = inRoot('www/src/lib/race/measured.json');

/** What is measured unless `--only` says less. */
const PARTS = { page: 'topk,crossovers,webgpu,cpu,extras,twins', peers: 'cpu,webgpu,topk,cold', growth: 'decode,load,topk,analyze' };

await main(async () => {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '15' },
      tokens: { type: 'string', default: '32' },
      prompt: { type: 'string', default: '128' },
      only: { type: 'string' },
      beside: { type: 'string' },
      models: { type: 'string', default: 'tiny,small' },
      out: { type: 'string' },
      site: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      device: { type: 'string' },
      serve: { type: 'boolean', default: false },
      peers: { type: 'boolean', default: false },
      growth: { type: 'boolean', default: false },
      large: { type: 'boolean', default: false },
    },
  });
  await ensureNodeModules();
  await buildPackage();
  if (values.serve) {
    const { url } = await servePage();
    console.log(`The benchmark is at ${url} (Ctrl+C stops it).`);
    return;
  }
  process.env.CHROMIUM = await ensureChromium();
  const { launch } = await import('../tests/browser/harness.mjs');
  const count = (name) => Math.max(1, Number.parseInt(values[name], 10) || 1);
  const only = (values.only ?? PARTS[values.growth ? 'growth' : values.peers ? 'peers' : 'page']).split(',');
  const device = values.device ?? (values.growth ? 'cpu' : undefined);
  const counts = { device, runs: count('runs'), tokens: count('tokens'), prompt: count('prompt'), only };
  if (values.growth) {
    if (!values.out) throw new Failure('--growth needs --out DIR, a folder for figures and plots.');
    const { benchGrowth, writeGrowth } = await import('./growth.mjs');
    return writeGrowth(values.out, await benchGrowth(counts, launch));
  }
  if (values.large) {
    const { benchLarge } = await import('./large.mjs');
    return benchLarge(counts, launch);
  }
  const result = await measure(values, counts, launch);
  const text = `${JSON.stringify(result, null, 2)}\n`;
  if (values.out) fs.writeFileSync(values.out, text);
  if (values.write && result.plan?.tuning) writePlan(result.plan);
  if (values.peers && values.site && result.topk.length > 0) fs.writeFileSync(ON_SITE, `${JSON.stringify(topkForSite(result), null, 2)}\n`);
  // The tables of the others were printed as they came.
  if (!values.peers) process.stdout.write(text);
});

async function measure({ peers, only, models, beside }, counts, launch) {
  if (peers) {
    const { benchPeers } = await import('./peers/run.mjs');
    return benchPeers({ ...counts, models: models.split(',') }, launch);
  }
  if (only !== 'load') return page(counts, launch);
  const { benchLoad } = await import('./load.mjs');
  return benchLoad({ ...counts, beside }, launch);
}

/** Puts what was found for a kind of adapter into the plan, in the order of kinds. */
function writePlan({ profile, tuning }) {
  const file = inRoot('shaders/topk_plan.json');
  const plan = JSON.parse(fs.readFileSync(file, 'utf8'));
  const all = { ...plan.profiles, [profile]: tuning };
  plan.profiles = Object.fromEntries(KINDS.filter((kind) => all[kind]).map((kind) => [kind, all[kind]]));
  fs.writeFileSync(file, `${JSON.stringify(plan, null, 2)}\n`);
}

function servePage() {
  return serve({ '/': inRoot('benches'), '/shaders/': paths.shaders, '/npm/': paths.npmPackage, '/models/': inRoot('models') });
}

async function page({ device = '', runs, tokens, prompt, only }, launch) {
  const { openPage } = await import('../tests/browser/harness.mjs');
  const server = await servePage();
  const browser = await launch();
  try {
    const address = new URL(server.url);
    address.search = new URLSearchParams({ run: '', device, runs, tokens, prompt, only });
    const opened = await openPage(browser, address.href);
    await opened.page.waitForFunction('globalThis.benchmark', null, { timeout: 0 });
    const { result, error } = await opened.page.evaluate('globalThis.benchmark');
    if (error) throw new Failure(`The benchmark failed: ${error}`);
    return result;
  } finally {
    await browser.close();
    await server.close();
  }
}
