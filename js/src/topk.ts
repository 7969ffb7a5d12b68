/**
 * TopK over your own GPU buffers: the values and indices of the k largest entries of each row, in descending order, ties by lower index
 * (−0 equals +0, and NaN counts as larger than +inf). Without a worker or wasm: it records commands on your device.
 */
import { createError, show, typed, typedCalls } from './errors.js';
import { unknownName } from './names.js';
import { BufferUsage, MAP_READ_MODE } from './topk/constants.js';
import { LANES, PROFILES, type Profile, rowsAtOnce, type Tuning } from './topk/plan.js';
import { type How, Runner } from './topk/run.js';

export { TopKArgumentError, TopKError } from './errors.js';

/** What to find, and where. */
export interface TopKOptions {
  /** f32 [rows, n], row-major, usage STORAGE. */
  input: GPUBuffer;
  /** Bytes of `input` before its first row (default 0): a multiple of the device's `minStorageBufferOffsetAlignment` (256, or less). */
  inputOffset?: number | undefined;
  rows: number;
  /** Values per row. */
  n: number;
  /** From 0 to n. */
  k: number;
  /** How entries are ranked: by signed value (default) or by magnitude. */
  select?: 'value' | 'abs' | undefined;
  /**
   * Whether each row of the result is in descending order (default). `false` leaves the order open, and may change it from call to call: faster for a k
   * of hundreds and more, whose sort is left out.
   */
  sorted?: boolean | undefined;
  /** f32 [rows, k] for the values, usage STORAGE (and COPY_SRC for {@link readTopK}); without it one is created, which is yours to destroy. */
  values?: GPUBuffer | undefined;
  /** u32 [rows, k] for the indices, likewise. */
  indices?: GPUBuffer | undefined;
  /** Records here instead of submitting; call `release()` of the result once you have submitted it. */
  encoder?: GPUCommandEncoder | undefined;
}

/** Both [rows, k], each row in descending order unless `sorted` was false; values are the input's own bits. Buffers created here also have COPY_SRC and COPY_DST. */
export interface TopKResult {
  values: GPUBuffer;
  indices: GPUBuffer;
  /** Destroys temporary buffers; needed only if you passed an `encoder`. */
  release(): void;
}

/** TopK on one device: compiled kernels kept from call to call. */
export interface TopK {
  /** Compiles what calls of this shape need ahead of time, so that the first one does not wait. */
  prepare(shape: Pick<TopKOptions, 'rows' | 'n' | 'k' | 'select' | 'sorted'>): Promise<void>;
  /** Throws a {@link TopKArgumentError} where an argument is wrong. Reading the result waits for it, as for any queue. */
  run(options: TopKOptions): TopKResult;
  /** Destroys everything kept on the device. */
  destroy(): void;
}

/** @param profile what the kernels are tuned for: a kind of adapter (default: the device's own), or constants of your own, which are not checked */
export function createTopK(device: GPUDevice, profile?: Profile | Tuning): TopK {
  checkDevice(device);
  const tuned = typed(() => {
    const tuning = tuningOf(profile ?? profileOf(device));
    return hasLanes(device) ? tuning : { ...tuning, lanes_most: 0 };
  });
  const runner = typed(() => new Runner(device, tuned));
  return typedCalls<TopK>({
    async prepare(shape) {
      checkNames(shape, SHAPE, 'prepare');
      const { rows, n, k } = shape;
      const how = checkShape(shape);
      if (rows * k === 0) return;
      const chunk = rowsAtOnce(rows, n, k, device.limits.maxStorageBufferBindingSize, tuned);
      await Promise.all([chunk, rows % chunk].filter(Boolean).map((some) => runner.prepare(some, n, k, how)));
    },
    run: (options) => run(device, runner, options),
    destroy: () => runner.destroy(),
  });
}

const runners = new WeakMap<GPUDevice, TopK>();

/** Of values that were submitted here: what there was no memory for. */
const lacks = new WeakMap<GPUBuffer, Promise<GPUError | null>>();

/** Calls `work`; also what there was no memory for in it. What then follows, the device says to the page as ever. */
function watched<T>(device: GPUDevice, work: () => T): [T, Promise<GPUError | null>] {
  const pop = () => device.popErrorScope().catch(() => null);
  device.pushErrorScope('out-of-memory');
  try {
    return [work(), pop()];
  } catch (error) {
    pop();
    throw error;
  }
}

/**
 * TopK of each row, submitted at once (or recorded, with `encoder`).
 *
 * @example
 * const { values, indices } = topk(device, { input, rows: 128, n: 4096, k: 64 });
 */
export function topk(device: GPUDevice, options: TopKOptions): TopKResult {
  checkDevice(device);
  let instance = runners.get(device);
  if (!instance) {
    instance = createTopK(device);
    runners.set(device, instance);
  }
  return instance.run(options);
}

/**
 * Copies a result of `topk` back: `[rows, k]` each, of its first `rows * k` entries. Where there was no memory for it (without an `encoder`: also for
 * what `topk` itself needed) that is an error of code `out-of-memory`.
 */
export function readTopK(
  device: GPUDevice,
  result: Pick<TopKResult, 'values' | 'indices'>,
  shape: { rows: number; k: number },
): Promise<{ values: Float32Array; indices: Uint32Array }> {
  return typed(() => read(device, result, shape));
}

async function read(
  device: GPUDevice,
  { values, indices }: Pick<TopKResult, 'values' | 'indices'>,
  shape: { rows: number; k: number },
): Promise<{ values: Float32Array; indices: Uint32Array }> {
  checkDevice(device);
  checkNames(shape, SHAPE, 'readTopK'); // the whole shape may be given, as to the other calls
  const { rows, k } = shape;
  checkCounts({ rows, k });
  const bytes = rows * k * 4;
  checkBuffer('values', values, bytes, 'COPY_SRC');
  checkBuffer('indices', indices, bytes, 'COPY_SRC');
  checkFits(device, 2 * bytes);
  if (bytes === 0) return { values: new Float32Array(0), indices: new Uint32Array(0) };
  const usage = BufferUsage.MAP_READ | BufferUsage.COPY_DST;
  const [staging, lack] = watched(device, () => device.createBuffer({ size: 2 * bytes, usage }));
  try {
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(values, 0, staging, 0, bytes);
    encoder.copyBufferToBuffer(indices, 0, staging, bytes, bytes);
    device.queue.submit([encoder.finish()]);
    const failure = await staging.mapAsync(MAP_READ_MODE).then(
      () => undefined,
      (cause: unknown) => createError('device-lost', 'The device returned no result: it was lost or destroyed.', { cause }),
    );
    if ((await lacks.get(values)) ?? (await lack)) {
      throw createError('out-of-memory', 'The device has no memory left for topk: give it fewer rows at a time.');
    }
    if (failure) throw failure;
    const data = staging.getMappedRange().slice(0);
    return { values: new Float32Array(data, 0, rows * k), indices: new Uint32Array(data, bytes, rows * k) };
  } finally {
    staging.destroy();
  }
}

function run(device: GPUDevice, runner: Runner, options: TopKOptions): TopKResult {
  checkNames(options, [...SHAPE, 'input', 'inputOffset', 'values', 'indices', 'encoder'], 'topk');
  const { input, inputOffset = 0, rows, n, k } = options;
  const how = checkShape(options);
  const unit = device.limits.minStorageBufferOffsetAlignment;
  if (!Number.isInteger(inputOffset) || inputOffset < 0 || inputOffset % unit !== 0) {
    throw createError('argument', `inputOffset is ${show(inputOffset)}, but must be a multiple of ${unit}.`);
  }
  checkBuffer('input', input, inputOffset + rows * n * 4);
  if (options.values) checkBuffer('values', options.values, rows * k * 4);
  if (options.indices) checkBuffer('indices', options.indices, rows * k * 4);
  checkFits(device, rows * k * 4);
  if (options.encoder && typeof options.encoder.beginComputePass !== 'function')
    throw createError('argument', 'encoder must be a GPUCommandEncoder.');
  if (input === options.values || input === options.indices || (options.values && options.values === options.indices)) {
    throw createError('argument', 'input, values and indices must be three different buffers.');
  }
  const chunk = rows * k === 0 ? 0 : rowsAtOnce(rows, n, k, device.limits.maxStorageBufferBindingSize, runner.tuning);
  const work = () => record(device, runner, options, how, chunk);
  const [result, lack] = options.encoder ? [work()] : watched(device, work);
  if (lack) lacks.set(result.values, lack);
  else lacks.delete(result.values);
  return result;
}

function record(device: GPUDevice, runner: Runner, options: TopKOptions, how: How, chunk: number): TopKResult {
  const { input, inputOffset = 0, rows, n, k } = options;
  const usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
  const create = (label: string) => device.createBuffer({ label, size: Math.max(rows * k * 4, 4), usage });
  const values = options.values ?? create('topk values');
  const indices = options.indices ?? create('topk indices');
  if (chunk === 0) return { values, indices, release() {} };

  const encoder = options.encoder ?? device.createCommandEncoder({ label: 'topk' });
  const scratch: GPUBuffer[] = [];
  for (let row = 0; row < rows; row += chunk) {
    const some = Math.min(chunk, rows - row);
    const span = (buffer: GPUBuffer, width: number, from = 0) => ({ buffer, offset: from + row * width * 4, size: some * width * 4 });
    const at = { input: span(input, n, inputOffset), values: span(values, k), indices: span(indices, k) };
    scratch.push(...runner.record(encoder, [some, n, k], how, at, !options.encoder));
  }
  const release = () => {
    for (const buffer of scratch.splice(0)) buffer.destroy();
  };
  if (!options.encoder) {
    device.queue.submit([encoder.finish()]);
    release(); // submitted work still finishes on them
  }
  return { values, indices, release };
}

const SHAPE = ['rows', 'n', 'k', 'select', 'sorted'];

function checkNames(options: object, known: readonly string[], call: string): void {
  if (typeof options !== 'object' || options === null) throw createError('argument', `The options of ${call} must be an object.`);
  const unknown = unknownName(options, known, `option of ${call}`, { select: ['largest', 'mode'] });
  if (unknown !== undefined) throw createError('argument', unknown);
}

function checkDevice(device: GPUDevice): void {
  if (typeof device !== 'object' || device === null) throw createError('argument', 'device must be a GPUDevice.');
}

function checkCounts(counts: Readonly<Record<string, number>>): void {
  const largest = 2 ** 31 - 1; // indices are u32
  for (const [name, value] of Object.entries(counts)) {
    if (!Number.isInteger(value) || value < 0 || value > largest) {
      throw createError('argument', `${name} is ${show(value)}, but must be a whole number from 0 to ${largest}.`);
    }
  }
}

function checkShape({ rows, n, k, select = 'value', sorted = true }: Pick<TopKOptions, 'rows' | 'n' | 'k' | 'select' | 'sorted'>): How {
  checkCounts({ rows, n, k });
  if (k > n) throw createError('argument', `k is ${k}, but a row has only ${n} values.`);
  if (select !== 'value' && select !== 'abs') {
    throw createError('argument', `select is ${show(select)}, but must be 'value' or 'abs'.`);
  }
  if (typeof sorted !== 'boolean') throw createError('argument', `sorted is ${show(sorted)}, but must be true or false.`);
  return { abs: select === 'abs', sorted };
}

function checkBuffer(name: string, buffer: GPUBuffer, bytes: number, usage: 'STORAGE' | 'COPY_SRC' = 'STORAGE'): void {
  if (typeof buffer?.size !== 'number') throw createError('argument', `${name} must be a GPUBuffer.`);
  if (buffer.size < bytes) throw createError('argument', `${name} has ${buffer.size} bytes, but needs ${bytes}.`);
  if (!(buffer.usage & BufferUsage[usage])) throw createError('argument', `${name} needs the usage GPUBufferUsage.${usage}.`);
}

/** A buffer that the device cannot make would come as one that holds nothing. */
function checkFits(device: GPUDevice, bytes: number): void {
  const most = device.limits.maxBufferSize;
  if (bytes > most) throw createError('argument', `rows and k need a buffer of ${bytes} bytes, but this device has at most ${most}.`);
}

/** The kind of the device's adapter, as far as the browser says it. */
function profileOf(device: GPUDevice): string {
  const info: { isFallbackAdapter?: boolean; vendor?: string } | undefined = device.adapterInfo;
  if (info?.isFallbackAdapter) return 'fallback';
  return info?.vendor && Object.hasOwn(PROFILES, info.vendor) ? info.vendor : 'gpu';
}

/** Whether kernels with operations of subgroups pay: Metal's lanes are 32, though it does not say so. Twin: `subgroups_pay` in crate/src/exec/gpu/context.rs. */
function hasLanes({ features, adapterInfo }: GPUDevice): boolean {
  const info: { isFallbackAdapter?: boolean; vendor?: string; subgroupMinSize?: number } = adapterInfo ?? {};
  const { isFallbackAdapter, vendor, subgroupMinSize = 0 } = info;
  return features?.has('subgroups' as GPUFeatureName) && (isFallbackAdapter || vendor === 'apple' || subgroupMinSize >= LANES);
}

function tuningOf(profile: string | Tuning): Tuning {
  if (typeof profile === 'object') return profile;
  const tuning = Object.hasOwn(PROFILES, profile) ? PROFILES[profile] : undefined;
  if (!tuning) throw createError('argument', `profile is ${show(profile)}, but must be one of ${Object.keys(PROFILES).join(', ')}.`);
  return tuning;
}
