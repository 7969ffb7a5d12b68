/// <reference types="@webgpu/types" />
/** TopK against a full sort on the reader's own GPU: same rows, same result, timed in turn. */
import { createTopK, readTopK } from 'topk-lm/topk';
import SORT from './bitonic_sort.wgsl?raw';

export interface Shape {
  rows: number;
  n: number;
  k: number;
}

export interface RaceResult extends Shape {
  device: string;
  /** Median, ms per call. */
  topk: number;
  sort: number;
  /** Who sorts: longer rows than fit into a workgroup's memory are sorted by JavaScript. */
  sorter: 'gpu' | 'cpu';
  runs: number;
  /** Calls per run; a sort on the CPU is called once. */
  calls: number;
  /** Whether both gave the same indices. */
  isSame: boolean;
}

/** Calls are awaited in batches, so that the wait itself is not timed: as many as fit into this time, up to the maximum. */
const BATCH_MS = 60;
const MOST_CALLS = 16;
/** Entries of a row that the sort on the GPU holds in workgroup memory. */
const WIDEST = 2048;
const RUNS = 9;
/** A slow device runs fewer, but never fewer than this. */
const LEAST_RUNS = 3;
const MOST_MS = 4000;

/** How long a browser may take to hand out its GPU, in ms: as long as the engine waits for it. */
const GPU_MS = 20_000;

/** What the browser answers, if it does. */
async function answered<T>(asked: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = `WebGPU did not answer for ${GPU_MS / 1000} s, so there is no GPU to race on.`;
    timer = setTimeout(() => reject(new Error(message)), GPU_MS);
  });
  return Promise.race([asked, late]).finally(() => clearTimeout(timer));
}

export async function race(shape: Shape, signal: AbortSignal): Promise<RaceResult> {
  const adapter = navigator.gpu && (await answered(navigator.gpu.requestAdapter({ powerPreference: 'high-performance' })));
  if (!adapter) throw new Error('This browser offers no WebGPU here, so there is no GPU to race on.');
  const requiredFeatures = (['subgroups'] as GPUFeatureName[]).filter((name) => adapter.features.has(name));
  const device = await answered(adapter.requestDevice({ requiredFeatures }));
  try {
    return await onDevice(device, nameOf(adapter.info), shape, signal);
  } finally {
    device.destroy();
  }
}

const nameOf = ({ description, vendor, architecture, device }: GPUAdapterInfo): string =>
  description || [vendor, architecture, device].filter(Boolean).join(' ') || 'this GPU';

async function onDevice(device: GPUDevice, name: string, shape: Shape, signal: AbortSignal): Promise<RaceResult> {
  const { rows, n, k } = shape;
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const buffer = (words: number) => device.createBuffer({ size: 4 * words, usage: STORAGE | COPY_SRC | COPY_DST });
  const input = buffer(rows * n);
  device.queue.writeBuffer(input, 0, numbers(rows * n));
  const [ours, theirs] = [0, 1].map(() => ({ values: buffer(rows * k), indices: buffer(rows * k) }));
  const instance = createTopK(device);
  await instance.prepare({ rows, n, k });
  const topk = () => void instance.run({ input, rows, n, k, ...ours! });
  topk(); // which also warms it up
  const found = (await readTopK(device, ours!, { rows, k })).indices;
  const sorter = n <= WIDEST ? 'gpu' : 'cpu';
  let timeSort: (calls: number) => number | Promise<number>;
  let expected: Uint32Array;
  if (sorter === 'gpu') {
    const sort = await prepareSort(device, shape, input, theirs!);
    sort();
    expected = (await readTopK(device, theirs!, { rows, k })).indices;
    timeSort = (some) => perCall(device, sort, some);
  } else {
    expected = sortOnCpu(shape).indices;
    timeSort = () => sortOnCpu(shape).ms;
  }
  const isSame = found.every((index, i) => index === expected[i]);
  const fitting = Math.floor(BATCH_MS / (sorter === 'gpu' ? await timeSort(1) : await perCall(device, topk, 1)));
  const calls = Math.min(MOST_CALLS, Math.max(1, fitting));
  const times: { topk: number[]; sort: number[] } = { topk: [], sort: [] };
  const began = performance.now();
  for (let run = 0; run < RUNS && (run < LEAST_RUNS || performance.now() - began < MOST_MS); run++) {
    signal.throwIfAborted();
    times.topk.push(await perCall(device, topk, calls));
    times.sort.push(await timeSort(calls));
  }
  instance.destroy();
  const [ms, sortMs] = [median(times.topk), median(times.sort)];
  return { ...shape, device: name, topk: ms, sort: sortMs, sorter, runs: times.topk.length, calls, isSame };
}

type Outputs = { values: GPUBuffer; indices: GPUBuffer };

async function prepareSort(device: GPUDevice, { rows, n, k }: Shape, input: GPUBuffer, out: Outputs): Promise<() => void> {
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code: SORT }), constants: { PADDED: 2 ** Math.ceil(Math.log2(n)) } },
  });
  const params = device.createBuffer({ size: 8, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
  device.queue.writeBuffer(params, 0, Uint32Array.of(n, k));
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [input, out.values, out.indices, params].map((bound, binding) => ({ binding, resource: { buffer: bound } })),
  });
  return () => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(rows);
    pass.end();
    device.queue.submit([encoder.finish()]);
  };
}

async function perCall(device: GPUDevice, call: () => void, calls: number): Promise<number> {
  const began = performance.now();
  for (let i = 0; i < calls; i++) call();
  await device.queue.onSubmittedWorkDone();
  return (performance.now() - began) / calls;
}

/** JavaScript's own sort of the same rows on the CPU: one pass, and its first k of each row. */
export function sortOnCpu({ rows, n, k }: Shape): { ms: number; indices: Uint32Array } {
  const values = numbers(rows * n);
  const indices = new Uint32Array(rows * k);
  const began = performance.now();
  for (let row = 0; row < rows; row++) {
    const part = values.subarray(row * n, (row + 1) * n);
    const order = Uint32Array.from(part.keys()).sort((a, b) => part[b]! - part[a]! || a - b);
    indices.set(order.subarray(0, k), row * k);
  }
  return { ms: performance.now() - began, indices };
}

const median = (times: number[]): number => times.sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN;

/** The same numbers on every device, from −1 to 1: a linear congruential generator. */
function numbers(count: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  let state = 12345;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    values[i] = (state >>> 8) / 2 ** 23 - 1;
  }
  return values;
}
