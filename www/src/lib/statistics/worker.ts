/**
 * Counts what the neurons of a model do over texts, by the command's own code (`crate/src/features/live.rs`) in a wasm module of its own, which
 * only this worker loads. It gives way between layers, so Stop takes effect at once.
 */
import init, { Cancel, Statistics } from '../../generated/statistics.js';
import module from '../../generated/statistics_bg.wasm?url';
import { ENGINE_TIMEOUT, get } from '../get';
import { blobsOf, pack, unpack } from './archive';
import type { Failure, FromWorker, GivenModel, Reached, Text, ToWorker } from './messages';
import { readModel } from './model-files';

/** Tokens after which the files are made for the first time; then each time that there are twice as many. */
const FIRST = 1000;
/** Milliseconds between reports of how far it is. */
const PAUSE = 100;

const say = (message: FromWorker) => postMessage(message);

const waiting: Text[] = [];
const stopped = new AbortController();
let ended = false;
/** Wakes the count when a message came. */
let wake = () => {};

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === 'begin') void count(data.model, data.name);
  else if (data.type === 'unpack') void open(data.archive);
  else if (data.type === 'add') waiting.push(data.text);
  else if (data.type === 'end') ended = true;
  else stopped.abort();
  wake();
});

/** What was thrown, by the wasm module as a plain object. */
function failureOf(error: unknown): Failure {
  const { code = 'internal', message = String(error) } = (error ?? {}) as Partial<Failure>;
  return { code, message };
}

async function open(archive: Blob): Promise<void> {
  try {
    say({ type: 'finished', files: await unpack(archive), archive, failure: null });
  } catch (error) {
    say({ type: 'finished', files: null, archive: null, failure: failureOf(error) });
  }
}

/** Fetches and starts the module, which the site's service worker does not keep before it was first used. */
async function start(signal: AbortSignal): Promise<void> {
  try {
    const answer = await get(new URL(module, location.href), signal, ENGINE_TIMEOUT);
    if (!answer.ok) throw new Error(String(answer.status));
    await init({ module_or_path: answer });
  } catch {
    signal.throwIfAborted();
    throw {
      code: 'download',
      message: 'The code that counts could not be downloaded. Once it was, it works offline too.',
    } satisfies Failure;
  }
}

/** The files over what was counted so far. */
async function filesOf(statistics: Statistics, cancel: Cancel): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  await statistics.report((path: string, bytes: Uint8Array) => files.set(`features/${path}`, bytes), cancel);
  return files;
}

/** Counts all text that comes, until no more does. */
async function countAll(statistics: Statistics, cancel: Cancel): Promise<void> {
  let snapshot = FIRST;
  let said = 0;
  for (;;) {
    for (const { name, text } of waiting.splice(0)) statistics.add(name, text);
    const reached = (await statistics.next(cancel)) as Reached;
    if (performance.now() - said >= PAUSE || reached.done) {
      said = performance.now();
      say({ type: 'reached', reached });
    }
    const isAll = reached.done && waiting.length === 0;
    if (isAll && (ended || stopped.signal.aborted)) return;
    if (reached.tokens >= snapshot) {
      snapshot = 2 * reached.tokens;
      say({ type: 'snapshot', files: blobsOf(await filesOf(statistics, cancel)) });
      continue; // more may have come meanwhile
    }
    if (!isAll) continue;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

async function count(model: GivenModel, name: string): Promise<void> {
  const { signal } = stopped;
  let statistics: Statistics | undefined;
  let failure: Failure | null = null;
  try {
    const [source] = await Promise.all([readModel(model, signal), start(signal)]);
    signal.throwIfAborted();
    const cancel = new Cancel();
    signal.addEventListener('abort', () => cancel.cancel());
    const onTensor = (done: number, total: number) => say({ type: 'loading', done, total });
    statistics = (await Statistics.load(source, name, onTensor, cancel)) as Statistics;
    await countAll(statistics, cancel);
  } catch (error) {
    if (!signal.aborted) failure = failureOf(error);
  }
  // What was counted before a stop or a failure is as good as any other count.
  try {
    const files = statistics?.documents ? await filesOf(statistics, new Cancel()) : null;
    say({ type: 'finished', files: files && blobsOf(files), archive: files && pack(files), failure });
  } catch (error) {
    say({ type: 'finished', files: null, archive: null, failure: failure ?? failureOf(error) });
  }
}
