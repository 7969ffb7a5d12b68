// What is timed. Everything runs in this page, one thing after another; each timing is a median over runs after a warm-up.
import { Counters } from './counters.js';
import { TopKLM } from './npm/index.js';
import { readTopK, topk } from './npm/topk.js';
import { bySearching, bySorting, CROSSOVERS, numbers, SHAPES } from './numbers.js';
import { clocked, inTurn, spread } from './rounds.js';

const WARM_UP = 3;
async function timed(runs, work) {
  const samples = [];
  for (let run = 0; run < WARM_UP + runs; run++) {
    const began = performance.now();
    await work(run);
    if (run >= WARM_UP) samples.push(performance.now() - began);
  }
  return spread(samples);
}

/** Per-call times: `batch` calls go into the queue together and are waited for once, so that the wait is not what is timed. */
async function perCall(device, runs, batch, call) {
  const all = await timed(runs, async () => {
    for (let i = 0; i < batch; i++) call();
    await device.queue.onSubmittedWorkDone();
  });
  return { median: all.median / batch, p10: all.p10 / batch, p90: all.p90 / batch, runs: all.runs };
}

async function readIndices(device, buffer, count) {
  const staging = device.createBuffer({ size: count * 4, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, count * 4);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const indices = new Uint32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return indices;
}

/** TopK of every shape, input resident on the device, beside a copy of the input and a full sort in JavaScript. */
export async function measureTopK({ runs, tell }) {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) return { skipped: 'there is no WebGPU adapter here' };
  const device = await adapter.requestDevice({ requiredFeatures: ['subgroups'].filter((name) => adapter.features.has(name)) });
  const rowsOut = [];
  for (const [rows, n, k] of SHAPES) {
    tell(`TopK ${rows} × ${n}, k ${k}`);
    const values = numbers(rows * n);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
    const input = device.createBuffer({ size: values.byteLength, usage });
    const copy = device.createBuffer({ size: values.byteLength, usage });
    const out = { values: device.createBuffer({ size: rows * k * 4, usage }), indices: device.createBuffer({ size: rows * k * 4, usage }) };
    device.queue.writeBuffer(input, 0, values);
    topk(device, { input, rows, n, k, ...out });
    const found = await readIndices(device, out.indices, rows * k);
    const expected = bySorting(values, rows, n, k);
    if (found.some((index, place) => index !== expected[place])) throw new Error(`TopK of ${rows} × ${n}, k ${k} is wrong on this device.`);
    rowsOut.push({
      rows,
      n,
      k,
      topk_ms: await perCall(device, runs, 4, () => topk(device, { input, rows, n, k, ...out })),
      copy_ms: await perCall(device, runs, 4, () => {
        const encoder = device.createCommandEncoder();
        encoder.copyBufferToBuffer(input, 0, copy, 0, values.byteLength);
        device.queue.submit([encoder.finish()]);
      }),
      javascript_sort_ms: await timed(Math.min(runs, 5), () => bySorting(values, rows, n, k)),
    });
    for (const buffer of [input, copy, out.values, out.indices]) buffer.destroy();
  }
  device.destroy();
  return { adapter: nameOf(adapter), shapes: rowsOut };
}

/** A shape has as many rounds as fit into this time, in ms, and at least one. */
const LONGEST_MS = 4000;

/**
 * topk() against a search in JavaScript, one call at a time and waited for: `resident`, of values that are on the device, and `uploaded`, of values
 * in JavaScript's memory; both until the result is back there. In turn.
 * @returns {Promise<object>} `shapes`: medians in ms; `crossovers`: for each list the least width at which topk() is faster, or null
 */
export async function measureCrossovers({ runs, tell }) {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) return { skipped: 'there is no WebGPU adapter here' };
  const device = await adapter.requestDevice({ requiredFeatures: ['subgroups'].filter((name) => adapter.features.has(name)) });
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const shapes = [];
  for (const [rows, k] of CROSSOVERS.lists) {
    for (const n of CROSSOVERS.widths) {
      tell(`TopK against a search, ${rows} × ${n}, k ${k}`);
      const values = numbers(rows * n);
      const input = device.createBuffer({ size: values.byteLength, usage });
      device.queue.writeBuffer(input, 0, values);
      const shape = { rows, n, k };
      const onDevice = async () => {
        const best = topk(device, { input, ...shape });
        const { indices } = await readTopK(device, best, shape);
        for (const buffer of [best.values, best.indices]) buffer.destroy();
        return indices;
      };
      const ways = {
        search: () => bySearching(values, rows, n, k),
        resident: onDevice,
        uploaded: () => {
          device.queue.writeBuffer(input, 0, values);
          return onDevice();
        },
      };
      const first = performance.now();
      const [searched, found] = [ways.search(), await onDevice()];
      if (found.some((index, place) => index !== searched[place]))
        throw new Error(`TopK of ${rows} × ${n}, k ${k} is wrong on this device.`);
      const rounds = Math.max(1, Math.min(runs, Math.floor(LONGEST_MS / (performance.now() - first))));
      const times = await inTurn(Object.keys(ways), { rounds, warmUp: 1 }, async (name) => ({ ms: await clocked(ways[name]) }));
      shapes.push({ ...shape, ...Object.fromEntries(Object.keys(ways).map((name) => [name, times.get(name).ms.median])) });
      input.destroy();
    }
  }
  device.destroy();
  return { adapter: nameOf(adapter), shapes, crossovers: crossoversOf(shapes) };
}

/** The least width from which on topk() was faster at all that were measured, for each number of rows and k; null: at none. */
export function crossoversOf(shapes) {
  const from = (own, way) => {
    const slower = own.findLastIndex((shape) => shape[way] >= shape.search);
    return own[slower + 1]?.n ?? null;
  };
  return CROSSOVERS.lists.map(([rows, k]) => {
    const own = shapes.filter((shape) => shape.rows === rows && shape.k === k).sort((a, b) => a.n - b.n);
    return { rows, k, resident: from(own, 'resident'), uploaded: from(own, 'uploaded') };
  });
}

const nameOf = ({ info }) => info?.description || info?.device || info?.vendor || 'unnamed';

/** Load, prefill and decode of a model. Every run has a prompt of its own, so that nothing is cached; tokens are drawn greedily. */
export async function measureModel({ url, backend, runs, promptTokens, newTokens, tell }) {
  tell(`model on ${backend}: load`);
  const began = performance.now();
  const model = await TopKLM.load(url, { backend });
  const load_ms = performance.now() - began;
  try {
    const { d_vocab, n_ctx } = model.config;
    const [P, N] = [Math.min(promptTokens, n_ctx - 1), Math.min(newTokens, n_ctx - Math.min(promptTokens, n_ctx - 1))];
    const prompt = (run) => Array.from({ length: P }, (_, i) => (run * 7919 + i * 104729 + 1) % d_vocab);
    tell(`model on ${backend}: prefill of ${P} tokens`);
    const prefill_ms = await timed(runs, (run) => model.run(prompt(run), { logits: 'last' }));
    tell(`model on ${backend}: decode of ${N} tokens`);
    const whole = await timed(runs, async (run) => {
      const options = { maxTokens: N, temperature: 0, ignoreEos: true };
      // The prompt is a single token: what is timed is decoding.
      for await (const _ of model.generate(prompt(run).slice(0, 1), options));
    });
    tell(`model on ${backend}: ten seeds and nine strengths`);
    const sampled = { maxTokens: N, temperature: 1, ignoreEos: true };
    const seeds = Array.from({ length: 10 }, (_, seed) => ({ ...sampled, seed }));
    const edit = (value) => ({ layer: 0, index: 0, action: 'clamp', value });
    const strengths = Array.from({ length: 9 }, (_, value) => ({ ...sampled, seed: 1, edits: [edit(value)] }));
    const ten_seeds = await measureBatch(model, runs, prompt, seeds);
    const nine_strengths = await measureBatch(model, runs, prompt, strengths);
    const perToken = (ms) => ms / N;
    return {
      backend: model.backend,
      load_ms,
      prompt_tokens: P,
      new_tokens: N,
      prefill_ms,
      ten_seeds,
      nine_strengths,
      decode_ms_per_token: { ...whole, median: perToken(whole.median), p10: perToken(whole.p10), p90: perToken(whole.p90) },
    };
  } finally {
    await model.dispose();
  }
}

const BATCH_RUNS = 7;

/** The same generations one by one and together, in turn within one run: ms for all of them. */
async function measureBatch(model, runs, promptOf, generations) {
  const times = { one_by_one: [], together: [] };
  for (let run = 0; run <= Math.min(runs, BATCH_RUNS); run++) {
    // Each time another prompt, so that nothing is cached.
    const began = performance.now();
    for (const options of generations) for await (const _ of model.generate(promptOf(1000 + 2 * run), options));
    const between = performance.now();
    const prompt = promptOf(1001 + 2 * run);
    await model.generateBatch(generations.map((options) => ({ prompt, ...options })));
    const ended = performance.now();
    if (run === 0) continue;
    times.one_by_one.push(between - began);
    times.together.push(ended - between);
  }
  const [one_by_one_ms, together_ms] = [times.one_by_one, times.together].map(spread);
  return { generations: generations.length, one_by_one_ms, together_ms, ratio: one_by_one_ms.median / together_ms.median };
}

/**
 * What a prefill and a decoded token cost: dispatches, workgroups, barriers, bytes bound, submits, awaits; messages between page and
 * worker; and the time of each kernel, where the device has timestamps. Counted while the engine is in the page itself, messages while it is in a worker.
 */
export async function countModel({ url, backend, promptTokens, newTokens, tell }) {
  tell(`model on ${backend}: counts`);
  const counters = new Counters();
  const all = {};
  for (const worker of [false, true]) {
    const model = await TopKLM.load(url, { backend, worker });
    try {
      const { d_vocab, n_ctx } = model.config;
      const P = Math.min(promptTokens, n_ctx - 1);
      const N = Math.min(newTokens, n_ctx - P);
      const prompt = (run) => Array.from({ length: P }, (_, i) => (run * 7919 + i * 104729 + 1) % d_vocab);
      const generate = async (ids, maxTokens) => {
        for await (const _ of model.generate(ids, { maxTokens, temperature: 0, ignoreEos: true }));
      };
      // How long a step takes is known by then, and so how many go together.
      await generate(prompt(1), N);
      counters.take();
      await model.run(prompt(2), { logits: 'last' });
      const prefill = counters.take();
      await generate(prompt(2), N);
      const decode = Object.fromEntries(Object.entries(counters.take()).map(([name, count]) => [name, count / N]));
      if (worker) {
        all.prefill.messages = prefill.messages;
        all.decode_per_token.messages = decode.messages;
        continue;
      }
      Object.assign(all, { prompt_tokens: P, new_tokens: N, prefill, decode_per_token: decode });
      counters.startClock();
      await model.run(prompt(3), { logits: 'last' });
      all.prefill_kernels_ms = await counters.stopClock();
      counters.startClock();
      await generate(prompt(3), 1);
      all.decode_kernels_ms = await counters.stopClock();
    } finally {
      await model.dispose();
    }
  }
  return all;
}

/** Edits of one token, spread over the TopK blocks. */
const EDITS = [1, 20];

/**
 * What hooks and edits cost: the same generation without, with hooks on all TopK blocks, and with 1 and 20 edits, in turn.
 * @returns {Promise<{new_tokens: number, ways: Record<string, {ms_per_token: object, ratio: number}>}>} `ratio`: the median of the rounds' ratios to
 *   the generation without
 */
export async function measureExtras({ url, backend, runs, newTokens, tell }) {
  tell(`hooks and edits on ${backend}`);
  const model = await TopKLM.load(url, { backend });
  try {
    const { d_vocab, n_ctx, d_model, n_layers, n_nontopk } = model.config;
    const layers = Array.from({ length: n_layers - n_nontopk }, (_, layer) => layer);
    const N = Math.min(newTokens, n_ctx - 1);
    const edits = (count) =>
      Array.from({ length: count }, (_, at) => ({
        layer: layers[at % layers.length],
        index: (37 * at + 11) % d_model,
        action: 'clamp',
        value: 1,
      }));
    const ways = {
      without: {},
      hooks: { hooks: layers.map((layer) => `blocks.${layer}.hook_topk_out`) },
      ...Object.fromEntries(EDITS.map((count) => [count === 1 ? 'one edit' : `${count} edits`, { edits: edits(count) }])),
    };
    const names = Object.keys(ways);
    const all = new Map(names.map((name) => [name, []]));
    await inTurn(names, { rounds: runs, warmUp: WARM_UP }, async (name, round) => {
      const options = { ...ways[name], maxTokens: N, temperature: 0, ignoreEos: true };
      const ms = await clocked(async () => {
        for await (const _ of model.generate([(round * 7919 + 1) % d_vocab], options));
      });
      if (round >= WARM_UP) all.get(name).push(ms / N);
      return { ms };
    });
    const found = names.map((name) => {
      const ratios = all.get(name).map((ms, round) => ms / all.get('without')[round]);
      return [name, { ms_per_token: spread(all.get(name)), ratio: spread(ratios).median }];
    });
    return { backend: model.backend, new_tokens: N, ways: Object.fromEntries(found) };
  } finally {
    await model.dispose();
  }
}

/**
 * The TopK model beside its dense twin, as they ship: ms of a prefill and of a decoded token, in turn.
 * @returns {Promise<{prompt_tokens: number, new_tokens: number, models: {model: string, prefill_ms: object, decode_ms_per_token: object}[], ratio: {prefill: number, decode: number}}>}
 *   `ratio`: the twin's median time by the TopK model's
 */
export async function measureTwins({ urls, backend, runs, promptTokens, newTokens, tell }) {
  tell(`TopK model and dense twin on ${backend}`);
  const models = [];
  try {
    for (const url of urls) models.push(await TopKLM.load(url, { backend }));
    const { d_vocab, n_ctx } = models[0].config;
    const P = Math.min(promptTokens, n_ctx - 1);
    const N = Math.min(newTokens, n_ctx - 1);
    const prompt = (run, length) => Array.from({ length }, (_, i) => (run * 7919 + i * 104729 + 1) % d_vocab);
    const found = await inTurn(models, { rounds: runs, warmUp: WARM_UP }, async (model, run) => {
      const options = { maxTokens: N, temperature: 0, ignoreEos: true };
      const prefill_ms = await clocked(() => model.run(prompt(run, P), { logits: 'last' }));
      const whole = await clocked(async () => {
        for await (const _ of model.generate(prompt(run, 1), options));
      });
      return { prefill_ms, decode_ms_per_token: whole / N };
    });
    const [topkModel, dense] = models.map((model, at) => ({ model: urls[at], ...found.get(model) }));
    const ratio = (name) => dense[name].median / topkModel[name].median;
    return {
      backend: models[0].backend,
      prompt_tokens: P,
      new_tokens: N,
      models: [topkModel, dense],
      ratio: { prefill: ratio('prefill_ms'), decode: ratio('decode_ms_per_token') },
    };
  } finally {
    for (const model of models) await model.dispose();
  }
}
