/**
 * Which passes a TopK of a given shape takes. Twin of crate/src/topk/plan.rs, whose header explains them; the constants are those
 * of shaders/topk_plan.json, and both are tested on tests/topk_plan_vectors.json.
 */
import { createError } from '../errors.js';
import { topkPlan } from '../generated/shaders.js';

/** The kind of adapter: a barrier costs an emulated GPU (`fallback`) by the thread, a real one next to nothing. */
export type Profile = keyof typeof topkPlan.profiles;

/** What kernels are tuned by; docs of each in crate/src/ops/tuning.rs. None changes a result. */
export type Tuning = Readonly<Record<keyof typeof topkPlan.profiles.gpu, number>>;

/** Constants by the kind of adapter, which is also the vendor of its info where one has been measured. */
export const PROFILES: Readonly<Record<string, Tuning>> = topkPlan.profiles;

/** A buffer that passes read and write: rows, winners of segments by turns, counts of keys, positions, packed entries, result. */
export type Slot = 'input' | 'even' | 'odd' | 'counts' | 'places' | 'pairs' | 'result';

export type Kernel = 'lanes' | 'select' | 'count' | 'split' | 'radix' | 'sort' | 'step' | 'gather';

/** One dispatch; of the select by subgroups, `padded` is the parts that a workgroup cuts its segment into, `run` 1 where it ranks, `stride` the keys that a lane holds. The numbers up to `stride` are the kernels' uniform (shaders/parts/operator.wgsl). */
export interface Pass {
  /** shaders/topk_{kernel}.wgsl */
  kernel: Kernel;
  from: Slot;
  to: Slot;
  rows: number;
  width: number;
  k: number;
  segments: number;
  padded: number;
  run: number;
  stride: number;
  /** Workgroups, over both dimensions, and their threads. */
  groups: number;
  threads: number;
}

const isByLanes = (n: number, k: number, { lanes_most, lanes_segment, lanes_whole }: Tuning) =>
  k <= lanes_most && (n <= lanes_whole || 4 * k <= lanes_segment);

const isBitonic = (n: number, k: number, tuning: Tuning) => k <= tuning.bitonic_most && n >= k * tuning.bitonic_share;

/** Threads of a workgroup that works on `width` values. */
function threadsFor(width: number, { threads: least, values_per_thread }: Tuning): number {
  let threads = least;
  while (threads < 256 && width > threads * values_per_thread) threads *= 2;
  return threads;
}

const powerOfTwoFrom = (n: number) => 2 ** Math.ceil(Math.log2(n));

/** The passes over `rows` rows of `n` values each, for 1 ≤ k ≤ n. Not `sorted` (here alone): without what sorts that has been found. */
export function passes(rows: number, n: number, k: number, tuning: Tuning, sorted = true): Pass[] {
  const padded = powerOfTwoFrom(k);
  const pass = (kernel: Kernel, from: Slot, to: Slot, rest: Partial<Pass>): Pass => ({
    ...{ kernel, from, to, rows, width: n, k, segments: 1, padded, run: 0, stride: 0, groups: rows, threads: threadsFor(n, tuning) },
    ...rest,
  });
  if (isByLanes(n, k, tuning)) return byLanes(rows, n, k, tuning, sorted, pass);
  return isBitonic(n, k, tuning) ? bitonic(rows, n, k, tuning, pass) : radix(rows, n, k, padded, tuning, sorted, pass);
}

type MakePass = (kernel: Kernel, from: Slot, to: Slot, rest: Partial<Pass>) => Pass;

/** Where the winners of so many segments go. */
const winnersOf = (from: Slot, segments: number): Slot => (segments === 1 ? 'result' : from === 'even' ? 'odd' : 'even');

/** Lanes that subgroups are planned for: where there are fewer, they do with it. */
export const LANES = 32;

/** Positions that topk_lanes.wgsl has room for: the first of each part. */
const LANES_ROOM = 1024;

/** Select by subgroups, of segments and then of their winners. */
function byLanes(rows: number, n: number, k: number, tuning: Tuning, sorted: boolean, pass: MakePass): Pass[] {
  const list: Pass[] = [];
  let from: Slot = 'input';
  for (let width = n; ; ) {
    const segments = width <= tuning.lanes_whole ? 1 : Math.ceil(width / tuning.lanes_segment);
    const to = winnersOf(from, segments);
    const run = Number(sorted && segments === 1);
    const count = Math.ceil(width / segments);
    const padded = Math.min(8, powerOfTwoFrom(Math.ceil(count / tuning.lanes_part)), LANES_ROOM / powerOfTwoFrom(k));
    const stride = Math.min(64, Math.max(16, powerOfTwoFrom(Math.ceil(count / (padded * LANES)))));
    const threads = Math.max(padded * LANES, run && powerOfTwoFrom(k)); // each ranks one
    list.push(pass('lanes', from, to, { width, segments, padded, run, stride, groups: rows * segments, threads }));
    if (segments === 1) return list;
    from = to;
    width = segments * k;
  }
}

/** How many segments to split each row of this many entries into, of `least` entries each at least. */
const segmentsOf = (rows: number, entries: number, least: number, { groups }: Tuning) =>
  Math.max(1, Math.min(Math.ceil(groups / rows), Math.floor(entries / least)));

/** Bitonic select, of segments and then of their winners where rows are long and few. */
function bitonic(rows: number, n: number, k: number, tuning: Tuning, pass: MakePass): Pass[] {
  const list: Pass[] = [];
  let from: Slot = 'input';
  for (let width = n; ; ) {
    const segments = segmentsOf(rows, width, Math.max(tuning.segment_least, 2 * k), tuning);
    const to = winnersOf(from, segments);
    const threads = threadsFor(Math.floor(width / segments), tuning);
    list.push(pass('select', from, to, { width, segments, groups: rows * segments, threads }));
    if (segments === 1) return list;
    from = to;
    width = segments * k;
  }
}

/** Radix select of the k, behind passes that count and sort out where rows are long and few; a bitonic sort of them (blocks in workgroup memory, longer strides in storage), and their values. */
function radix(rows: number, n: number, k: number, padded: number, tuning: Tuning, sorted: boolean, pass: MakePass): Pass[] {
  const { sort_block, flat_threads } = topkPlan;
  const block = Math.min(padded, sort_block);
  const sort = (run: number) => {
    const groups = rows * (padded / block);
    return pass('sort', 'pairs', 'pairs', { run, groups, threads: threadsFor(block, tuning) });
  };
  const flat = (work: number) => ({ groups: Math.ceil(work / flat_threads), threads: flat_threads });
  const segments = segmentsOf(rows, n, tuning.segment_least, tuning);
  const ofSegments = { segments, groups: rows * segments, threads: threadsFor(Math.floor(n / segments), tuning) };
  const list =
    segments === 1 || n < tuning.count_from
      ? [pass('radix', 'input', 'pairs', {})]
      : [pass('count', 'input', 'counts', ofSegments), pass('split', 'input', 'places', ofSegments), pass('radix', 'places', 'pairs', {})];
  if (sorted) list.push(sort(0));
  for (let run = 2 * block; sorted && run <= padded; run *= 2) {
    for (let stride = run / 2; stride >= block; stride /= 2) {
      list.push(pass('step', 'pairs', 'pairs', { run, stride, ...flat((rows * padded) / 2) }));
    }
    list.push(sort(run));
  }
  list.push(pass('gather', 'input', 'result', flat(rows * k)));
  return list;
}

/** Words of each buffer that a pass writes. */
export function wordsOf({ to, rows, width, segments, k, padded }: Pass): number {
  const row = to === 'counts' ? topkPlan.count_words : to === 'places' ? width : to === 'pairs' ? 2 * padded : segments * k;
  return rows * row;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/**
 * How many rows one call of the kernels takes where a binding has at most `maxBinding` bytes and begins at a multiple of 256
 * bytes. Throws a TopKArgumentError where not even the least number fits.
 */
export function rowsAtOnce(rows: number, n: number, k: number, maxBinding: number, tuning: Tuning): number {
  // Words of a row in the largest binding: the row itself, or the pairs of a large k.
  const words = Math.max(n, isByLanes(n, k, tuning) || isBitonic(n, k, tuning) ? 0 : 2 * powerOfTwoFrom(k));
  const fit = Math.floor(maxBinding / 4 / Math.max(words, 1));
  if (fit >= rows) return rows;
  const { aligned_words } = topkPlan;
  const step = aligned_words / gcd(aligned_words, gcd(n, k));
  const aligned = Math.floor(fit / step) * step;
  if (aligned === 0) {
    const least = Math.min(step, rows);
    const needed = 4 * words * least;
    const sentence = `${least} × ${n} values with k = ${k} need a binding of ${needed} bytes, but this device has at most ${maxBinding}`;
    throw createError('argument', sentence);
  }
  return aligned;
}
