/** Statistics of a model that comes without them, computed in this tab over a text of the reader's or of the model's own. */
import { folderName, type ModelEntry } from '../models';
import { isAbort, type Problem, problemOf } from '../problem';
import { save } from '../save';
import type { Session } from '../session.svelte';
import { forget, identityOf, keep, recall } from './kept';
import type { FeatureFiles, FromWorker, Reached, Text, ToWorker } from './messages';
import { writeOne } from './write';

/** `loading`: the worker reads the weights · `counting` · `settling`: it makes the last files */
export type Phase = 'idle' | 'loading' | 'counting' | 'settling';

/** What is counted, and how much of it there will be. */
interface Task {
  name: string;
  unit: 'bytes' | 'tokens';
  total: number;
}

type Finished = Extract<FromWorker, { type: 'finished' }>;

const NOTHING: Reached = { documents: 0, tokens: 0, positions: 0, bytes: 0, done: false };
/** What the texts that the model writes are called. */
const WRITTEN = 'written.jsonl';

export class OwnStatistics {
  phase = $state<Phase>('idle');
  task = $state.raw<Task | null>(null);
  reached = $state.raw<Reached>(NOTHING);
  /** Tokens per second. */
  rate = $state<number | null>(null);
  problem = $state.raw<Problem | null>(null);
  /** Whether this browser keeps what is shown. */
  isKept = $state(false);
  /** What is shown, in one archive; `null` while it is counted. */
  archive = $state.raw<Blob | null>(null);
  readonly #session: Session;
  /** The model whose kept statistics were looked for. */
  #looked: ModelEntry | null = null;
  /** The model that {@link problem} is of. */
  #followed: ModelEntry | null = null;
  #running: { worker: Worker; entry: ModelEntry; writing: AbortController } | null = null;

  constructor(session: Session) {
    this.#session = session;
  }

  get isRunning(): boolean {
    return this.phase !== 'idle';
  }

  /** Brings back what was kept of a model once it is loaded, and ends the count of another one: call in an effect. */
  follow(): void {
    const { entry, model, lacksFeatures, isOwn } = this.#session;
    if (this.#followed !== entry) {
      this.#followed = entry;
      this.#looked = null;
      this.problem = null;
    }
    if (this.#running && this.#running.entry !== entry) this.stop();
    if (!isOwn) this.archive = null;
    if (!entry || !model || !lacksFeatures || isOwn || this.#looked === entry) return;
    this.#looked = entry;
    void this.#recall(entry).catch((error) => this.#fail(entry, error));
  }

  async #recall(entry: ModelEntry): Promise<void> {
    const identity = await this.#identity();
    const archive = identity && (await recall(identity));
    if (!archive || this.isRunning) return;
    const worker = this.#worker(entry, (message) => {
      if (message.type !== 'finished') return;
      worker.terminate();
      // A damaged one is as if it were not there.
      if (message.files && !this.isRunning) this.#show(entry, message.files, archive, true);
    });
    tell(worker, { type: 'unpack', archive });
  }

  /** What the chosen model is known by. */
  async #identity(): Promise<string | null> {
    const { folder } = this.#session;
    return folder && identityOf(folder, new AbortController().signal);
  }

  /** Counts over a text of the reader's. */
  read(text: Text): void {
    const worker = this.#begin({ name: text.name, unit: 'bytes', total: new Blob([text.text]).size });
    if (!worker) return;
    tell(worker, { type: 'add', text });
    tell(worker, { type: 'end' });
  }

  /** Counts over what the model in use writes by itself, until that is so many tokens, or those of a training step are its weights. */
  async write(tokens: number): Promise<void> {
    const { model } = this.#session;
    if (!model || this.#session.step !== null) return;
    const worker = this.#begin({ name: WRITTEN, unit: 'tokens', total: tokens });
    const signal = this.#running?.writing.signal;
    if (!worker || !signal) return;
    try {
      for (let written = 0, number = 0; written < tokens; number++) {
        const ids = await writeOne(model, number, signal);
        if (this.#session.step !== null) break;
        written += ids.length;
        tell(worker, { type: 'add', text: { name: WRITTEN, text: `${JSON.stringify({ ids })}\n` } });
      }
    } catch (error) {
      if (!isAbort(error)) this.#session.report(error);
    }
    tell(worker, { type: 'end' });
  }

  /** Ends the count; what was counted is shown and kept. */
  stop(): void {
    if (!this.#running || this.phase === 'settling') return;
    this.phase = 'settling';
    this.#running.writing.abort();
    tell(this.#running.worker, { type: 'stop' });
  }

  #begin(task: Task): Worker | null {
    const { entry } = this.#session;
    if (!entry || this.isRunning) return null;
    this.problem = null;
    this.task = task;
    this.reached = NOTHING;
    this.rate = null;
    this.phase = 'loading';
    let began = 0;
    const hear = (message: FromWorker) => {
      if (message.type === 'reached') {
        began ||= performance.now();
        this.#reach(message.reached, (performance.now() - began) / 1000);
      } else if (message.type === 'snapshot') this.#show(entry, message.files, null, false);
      else if (message.type === 'finished') void this.#finish(entry, message).catch((error) => this.#fail(entry, error));
    };
    try {
      const worker = this.#worker(entry, hear);
      this.#running = { worker, entry, writing: new AbortController() };
      tell(worker, { type: 'begin', model: entry.files ?? entry.url.href, name: folderName(entry.name) });
      return worker;
    } catch (error) {
      this.phase = 'idle'; // a page whose policy allows no worker
      this.#running?.worker.terminate();
      this.#running = null;
      this.#fail(entry, error);
      return null;
    }
  }

  #worker(entry: ModelEntry, hear: (message: FromWorker) => void): Worker {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: `statistics of ${entry.name}` });
    worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => hear(data));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      const message = event.message || 'The worker of the statistics could not be started.';
      hear({ type: 'finished', files: null, archive: null, failure: { code: 'worker', message } });
    });
    return worker;
  }

  #reach(reached: Reached, seconds: number): void {
    if (this.phase === 'loading') this.phase = 'counting';
    this.reached = reached;
    this.rate = seconds > 0.5 ? reached.tokens / seconds : null;
    if (reached.done && this.task?.unit === 'bytes') this.phase = 'settling';
  }

  async #finish(entry: ModelEntry, { files, archive, failure }: Finished): Promise<void> {
    this.#running?.writing.abort();
    this.#running?.worker.terminate();
    this.#running = null;
    this.phase = 'idle';
    if (failure) this.#fail(entry, Object.assign(new Error(failure.message), { code: failure.code }));
    if (!files || !archive || this.#session.entry !== entry) return;
    this.#show(entry, files, archive, false);
    const identity = await this.#identity();
    if (identity === null || this.archive !== archive) return; // or they were deleted
    await keep(identity, archive);
    this.isKept = this.archive === archive;
  }

  /** Says what went wrong with the statistics of a model, unless another one has been chosen since. */
  #fail(entry: ModelEntry, error: unknown): void {
    if (!isAbort(error) && this.#session.entry === entry) this.problem = { ...problemOf(error), remedy: 'none' };
  }

  #show(entry: ModelEntry, files: FeatureFiles, archive: Blob | null, isKept: boolean): void {
    if (this.#session.entry !== entry) return;
    this.archive = archive;
    this.isKept = isKept;
    this.#session.adopt(files).catch((error) => this.#fail(entry, error));
  }

  /** Deletes them, from the browser's storage too. */
  async remove(): Promise<void> {
    const { entry } = this.#session;
    if (!entry) return;
    this.problem = null;
    try {
      const identity = await this.#identity();
      if (identity !== null) await forget(identity);
      if (this.#session.entry !== entry) return;
      this.archive = null;
      this.isKept = false;
      await this.#session.adopt(null);
    } catch (error) {
      this.#fail(entry, error);
    }
  }

  /** Saves the folder `features/` as a zip archive. */
  export(): void {
    if (this.archive) save(`${this.#session.index?.model || 'model'}-features.zip`, this.archive);
  }
}

const tell = (worker: Worker, message: ToWorker): void => worker.postMessage(message);
