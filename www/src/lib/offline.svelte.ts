/**
 * Stores a whole model in this browser: every file in its manifest goes into the engine's cache, and what the pages show of it beside that is asked
 * for, so that the service worker has it.
 */
import type { Features } from 'topk-lm';
import { storedTexts } from './activations';
import type { ModelEntry } from './models';
import { isAbort, type Problem, problemOf } from './problem';
import { get, getJson } from './get';

/** Files downloaded in parallel. */
const AT_ONCE = 4;
/** How long a service worker that is being installed is waited for, in ms. */
const WORKER_LATE = 10_000;
/** What the pages show of a model that has it, beside what its manifest lists. */
const SHOWN = [
  ['hasChallenges', 'challenges.json'],
  ['hasContinuations', 'continuations.json'],
  ['hasSteered', 'steered.json'],
  ['hasTopics', 'topics.json'],
] as const;

interface Listed {
  path: string;
  bytes: number;
}

export class Keeping {
  /** The files, by kind; `null` until the manifest is read, or if there is none. */
  files = $state.raw<{ model: Listed[]; checkpoints: Listed[] } | null>(null);
  /** Bytes done and in total, while storing. */
  progress = $state.raw<{ done: number; total: number } | null>(null);
  result = $state<'nothing' | 'kept'>('nothing');
  problem = $state.raw<Problem | null>(null);
  #job: AbortController | null = null;

  /** Reads the list of the model's files; `null`: of a model that no manifest here lists. What was said of the model before it goes. */
  async look(entry: ModelEntry | null, signal: AbortSignal): Promise<void> {
    this.files = null;
    this.result = 'nothing';
    this.problem = null;
    if (!entry) return;
    try {
      const response = await get(new URL('manifest.json', entry.url), signal);
      if (!response.ok) return;
      const { files } = (await response.json()) as { files: Listed[] };
      const isStep = ({ path }: Listed) => /^step\d+\//.test(path);
      this.files = { model: files.filter((file) => !isStep(file)), checkpoints: files.filter(isStep) };
    } catch {
      // No network, or no manifest: there is nothing to offer.
    }
  }

  cancel(): void {
    this.#job?.abort();
  }

  async keep(entry: ModelEntry, features: Features, files: readonly Listed[]): Promise<void> {
    this.cancel();
    const controller = new AbortController();
    this.#job = controller;
    this.problem = null;
    this.result = 'nothing';
    const total = bytesOf(files);
    let done = 0;
    this.progress = { done, total };
    try {
      // Asks the browser not to clear it by itself; a no changes nothing else.
      await navigator.storage?.persist?.().catch(() => {});
      const queue = [...files];
      const fetchOne = async () => {
        for (let file = queue.shift(); file; file = queue.shift()) {
          await features.file(file.path, { keep: true, signal: controller.signal });
          done += file.bytes;
          this.progress = { done, total };
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, fetchOne));
      await askFor(entry, controller.signal);
      this.result = 'kept';
    } catch (error) {
      controller.abort();
      if (!isAbort(error)) this.problem = reasonOf(error);
    } finally {
      if (this.#job === controller) this.progress = null;
    }
  }
}

/** Asks for each file that a page shows of a model: the service worker keeps them from their first use on. */
async function askFor(entry: ModelEntry, signal: AbortSignal): Promise<void> {
  // On a first visit the worker may be on its way, and keep nothing yet. Where there is none, nothing is kept.
  if (await navigator.serviceWorker?.getRegistration().catch(() => undefined)) {
    await Promise.race([navigator.serviceWorker.ready, new Promise((resolve) => setTimeout(resolve, WORKER_LATE))]);
  }
  const examples = (await storedTexts(entry)).map((_, number) => `examples/${number}.json`);
  const asked = [...examples, ...SHOWN.filter(([has]) => entry[has]).map(([, name]) => name)];
  await Promise.all(asked.map((name) => getJson('What the pages show of the model', new URL(name, entry.url), signal)));
}

/** A browser that stores nothing more can load the model all the same. */
function reasonOf(error: unknown): Problem {
  const problem = problemOf(error);
  return problem.code === 'io' ? { ...problem, advice: 'The model works as before, but not offline.' } : problem;
}

export const bytesOf = (files: readonly Listed[]): number => files.reduce((sum, { bytes }) => sum + bytes, 0);
