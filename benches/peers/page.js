// What the page does for run.mjs: loads contenders, compares what they return, and only then gives them turns.
import { numbers, bySorting } from '/bench/numbers.js';
import { clocked, inTurn } from '/bench/rounds.js';
import { CONTENDERS, ROUNDS_INPUTS, TOPK_CONTENDERS } from './contenders.js';
import { promptOf } from './models/llama.mjs';

const WARM_UP = 2;
const sentence = (error) => String(error?.message ?? error).split('\n')[0];
const sameIds = (a, b) => a.length === b.length && a.every((id, at) => id === b[at]);
const adapterOf = (name) => import(`./adapters/${name}.js`);

/**
 * Prefill and decode of some contenders on a random model.
 * @param {{names: string[], device: string, expected?: number[]}} options `expected`: the ids to compare with; left out: those of the first
 * @returns {Promise<{expected: number[], rows: {name: string, beside: string, problem?: string, agree?: number, of?: number, prefill_ms?: object, decode_ms?: object}[]}>}
 */
async function compareModels({ names, device, shape, rounds, prompt, tokens, expected }) {
  const models = `/random/${shape.name}/`;
  const check = promptOf(1, prompt, shape.vocab);
  const rows = [];
  let compared = expected;
  for (const contender of CONTENDERS[device].filter(({ name }) => names.includes(name))) {
    const row = { name: contender.name, beside: contender.beside };
    rows.push(row);
    try {
      const { open } = await adapterOf(contender.adapter);
      row.engine = await open(models, contender.options);
      const ids = await row.engine.generate(check, tokens);
      compared ??= ids;
      Object.assign(row, { agree: ids.findIndex((id, at) => id !== compared[at]), of: compared.length });
      if (sameIds(ids, compared)) row.agree = row.of;
      else if (!ROUNDS_INPUTS.has(contender.options.weights)) row.problem = 'other tokens';
    } catch (error) {
      row.problem = sentence(error);
    }
  }
  const running = rows.filter((row) => row.engine && row.of);
  const times = await inTurn(running, { rounds, warmUp: Math.min(WARM_UP, rounds) }, async ({ engine }, round) => {
    // A prompt of its own each time, so that nothing is cached; a single token before what is decoded.
    const prefill_ms = await clocked(() => engine.generate(promptOf(100 + round, prompt, shape.vocab), 1));
    const all = await clocked(() => engine.generate(promptOf(200 + round, 1, shape.vocab), tokens));
    return { prefill_ms, decode_ms: all / tokens };
  });
  for (const row of running) {
    Object.assign(row, times.get(row));
    await row.engine.close();
  }
  return { expected: compared, rows: rows.map(({ engine, ...row }) => row) };
}

/** From the start of this page to the first token after a prompt. */
async function coldStart({ device, name, shape, prompt }) {
  const { adapter, options } = CONTENDERS[device].find((contender) => contender.name === name);
  const { open } = await adapterOf(adapter);
  const engine = await open(`/random/${shape.name}/`, options);
  await engine.generate(promptOf(1, prompt, shape.vocab), 1);
  const ms = performance.now();
  await engine.close();
  return ms;
}

/** Calls that go into the queue together, where one is quick, so that the wait is not what is timed. */
const TOGETHER = 4;
const QUICK_MS = 40;

/** TopK by everyone, one shape after the other. @param {{shapes: {rows: number, n: number, k: number}[], rounds: number}} options */
async function compareTopK({ shapes, rounds }) {
  const peers = [];
  for (const { name, adapter, entry = 'open', options, device } of TOPK_CONTENDERS) {
    const peer = { name, device };
    peers.push(peer);
    try {
      peer.engine = await (await import(`./topk/${adapter}.js`))[entry](options);
    } catch (error) {
      peer.problem = sentence(error);
    }
  }
  const result = [];
  for (const shape of shapes) result.push({ ...shape, found: await compareShape(peers, shape, rounds) });
  for (const { engine } of peers) await engine?.close();
  return result;
}

async function compareShape(peers, { rows, n, k }, rounds) {
  const values = numbers(rows * n);
  const expected = Float32Array.from(bySorting(values, rows, n, k), (index, at) => values[Math.floor(at / k) * n + index]);
  const found = [];
  for (const { name, device, engine, problem } of peers) {
    const row = { name, device, problem, engine };
    found.push(row);
    if (!engine) continue;
    try {
      await engine.use?.();
      row.work = await engine.prepare(values, rows, n, k);
      // A copy selects nothing.
      if (row.work.read && !sameIds(await row.work.read(), expected)) row.problem = 'other values';
      await row.work.call();
      await row.work.wait();
    } catch (error) {
      Object.assign(row, { problem: sentence(error), work: null });
    }
  }
  const running = found.filter(({ work }) => work);
  const quick = new Set();
  const times = await inTurn(running, { rounds, warmUp: 1 }, async (row) => {
    const { work, engine } = row;
    await engine.use?.();
    const count = quick.has(row) ? TOGETHER : 1;
    const all = await clocked(async () => {
      for (let i = 0; i < count; i++) await work.call();
      await work.wait();
    });
    if (all / count < QUICK_MS) quick.add(row);
    return { ms: all / count };
  });
  for (const row of running) {
    Object.assign(row, times.get(row));
    await row.engine.use?.();
    await row.work.free();
  }
  return found.map(({ engine, work, ...row }) => row);
}

globalThis.bench = { compareModels, coldStart, compareTopK };
