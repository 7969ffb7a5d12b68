// Which constants of shaders/topk_plan.json are fastest on this device's adapter: the twin of crate/src/bench/plan.rs for browsers.
import { KINDS } from './kinds.js';
import { createTopK } from './npm/topk.js';
import { numbers } from './numbers.js';
import { spread } from './rounds.js';

/** What is timed: rows, n, k. */
const SHAPES = [
  [1, 1024, 32],
  [1, 4096, 64],
  [64, 1024, 32],
  [64, 512, 32],
  [512, 1024, 48],
  [64, 1024, 96],
  [32, 2048, 128],
  [32, 4096, 128],
  [64, 4096, 64],
  [1, 32000, 40],
  [1, 128000, 128],
  [32, 4096, 256],
  [32, 4096, 1024],
  [4, 16384, 512],
  [1, 32000, 1024],
  [1, 128000, 256],
];

const CONSTANTS = {
  lanes_most: [0, 32, 64, 128, 256],
  lanes_part: [256, 512, 1024, 2048],
  lanes_segment: [1024, 2048, 4096, 8192],
  lanes_whole: [1024, 2048, 4096, 8192],
  threads: [4, 8, 16, 32, 64, 128, 256],
  values_per_thread: [16, 64, 256, 1024, 4096],
  bitonic_most: [16, 32, 64, 96, 128],
  bitonic_share: [1, 8, 16, 24, 32, 64],
  groups: [1, 2, 4, 8, 16, 32, 64, 128],
  segment_least: [1024, 2048, 4096, 8192, 16384],
  count_from: [4096, 8192, 16384, 32768, 65536, 1 << 20],
};

/** Another value is taken where it takes this share of the time, or less: what is as good stays as it is. */
const BETTER = 0.96;
/** A value is given up as soon as a shape takes so many times as long. */
const MUCH_WORSE = 3;
/** Calls that are waited for together. */
const BATCH = 4;

/** Whether another value can change how a shape is worked on: where it says so and it does not, that costs a measurement. */
function concerns(constant, value, tuning, [rows, n, k]) {
  const other = { ...tuning, [constant]: value };
  const isByLanes = ({ lanes_most, lanes_segment, lanes_whole }) => k <= lanes_most && (n <= lanes_whole || 4 * k <= lanes_segment);
  if (constant === 'lanes_most') return isByLanes(other) !== isByLanes(tuning);
  if (constant.startsWith('lanes')) return isByLanes(other) || isByLanes(tuning);
  if (isByLanes(tuning)) return false;
  const isBitonic = ({ bitonic_most, bitonic_share }) => k <= bitonic_most && n >= k * bitonic_share;
  const isSegmented = ({ groups, segment_least, count_from }) =>
    rows < groups && n >= 2 * segment_least && (isBitonic(tuning) || n >= count_from);
  if (constant.startsWith('bitonic')) return isBitonic(other) !== isBitonic(tuning);
  if (constant === 'threads' || constant === 'values_per_thread') return true;
  return constant === 'count_from' ? isSegmented(other) !== isSegmented(tuning) : isSegmented(other) || isSegmented(tuning);
}

/**
 * One constant after the other, with what has been found so far for the rest, beginning with those of today.
 * @returns {Promise<{adapter: string, profile: string, tuning: Record<string, number>, tried: object[]} | {skipped: string}>}
 */
export async function measurePlan({ runs, tell }) {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) return { skipped: 'there is no WebGPU adapter here' };
  const { profiles } = await (await fetch('./shaders/topk_plan.json')).json();
  const { info } = adapter;
  const profile = info.isFallbackAdapter ? 'fallback' : KINDS.includes(info.vendor) ? info.vendor : 'gpu';
  const requiredFeatures = ['subgroups'].filter((name) => adapter.features.has(name));
  const device = await adapter.requestDevice({ requiredFeatures });
  let best = profiles[profile] ?? profiles.gpu;
  const tried = [];
  for (const [constant, values] of Object.entries(CONSTANTS)) {
    if (constant.startsWith('lanes') && requiredFeatures.length === 0) continue;
    for (const value of values) {
      if (value === best[constant]) continue;
      tell(`TopK with ${constant} ${value}`);
      const other = { ...best, [constant]: value };
      const ratios = [];
      for (const shape of SHAPES.filter((shape) => concerns(constant, value, best, shape))) {
        ratios.push(await ratio(device, shape, [best, other], runs));
        if (ratios.at(-1) > MUCH_WORSE) break;
      }
      if (ratios.length === 0) continue;
      const mean = Math.exp(ratios.reduce((sum, each) => sum + Math.log(each), 0) / ratios.length);
      const taken = mean < BETTER && ratios.every((each) => each < MUCH_WORSE);
      tried.push({ constant, value, ratio: mean, taken });
      if (taken) best = other;
    }
  }
  device.destroy();
  return { adapter: info.description || `${info.vendor} ${info.architecture}`, profile, tuning: best, tried };
}

/** The time of a shape with the second constants by that with the first, in turn. */
async function ratio(device, [rows, n, k], tunings, runs) {
  const values = numbers(rows * n);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const input = device.createBuffer({ size: values.byteLength, usage });
  device.queue.writeBuffer(input, 0, values);
  const [found, indices] = [0, 1].map(() => device.createBuffer({ size: rows * k * 4, usage }));
  const operators = tunings.map((tuning) => createTopK(device, tuning));
  const times = [[], []];
  let share = 1;
  for (let round = 0; round <= runs; round++) {
    for (const at of round % 2 ? [1, 0] : [0, 1]) {
      const timed = async (calls) => {
        const began = performance.now();
        for (let i = 0; i < calls; i++) operators[at].run({ input, rows, n, k, values: found, indices });
        await device.queue.onSubmittedWorkDone();
        return (performance.now() - began) / calls;
      };
      if (round === 0) await timed(1); // compiles
      // At first one call each, so that what is much worse takes no more than that.
      times[at].push(await timed(round === 0 ? 1 : BATCH));
    }
    share = spread(times[1].slice(Math.min(round, 1))).median / spread(times[0].slice(Math.min(round, 1))).median;
    if (share > MUCH_WORSE) break;
  }
  for (const operator of operators) operator.destroy();
  for (const buffer of [input, found, indices]) buffer.destroy();
  return share;
}
