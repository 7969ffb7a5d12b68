/** The model's life in the page: not loaded, loading, ready, failed. */
import { TopKLM, type BackendChoice, type LoadProgress } from 'topk-lm';
import { isAbort, isFatal, type Problem, problemOf } from './problem';

/** Above this nothing is downloaded unasked. */
const UNASKED_BYTES = 64e6;

export type Phase = 'idle' | 'loading' | 'ready' | 'failed';

export class Session {
  readonly url: URL;
  readonly backend: BackendChoice;
  phase = $state<Phase>('idle');
  /** Of the download, from the folder's manifest; `null` while or where it is not known. */
  bytes = $state<number | null>(null);
  progress = $state.raw<LoadProgress | null>(null);
  problem = $state.raw<Problem | null>(null);
  model = $state.raw<TopKLM | null>(null);
  #loading: AbortController | null = null;
  /** Callers of {@link ready}. */
  #waiting: { resolve: (model: TopKLM) => void; reject: (error: unknown) => void }[] = [];

  constructor(url: URL, backend: BackendChoice) {
    this.url = url;
    this.backend = backend;
  }

  /** The folder's own name. */
  get name(): string {
    return decodeURIComponent(this.url.pathname.split('/').filter(Boolean).at(-1) ?? this.url.host);
  }

  get isForeign(): boolean {
    return this.url.origin !== location.origin;
  }

  /** Starts loading at once where that is modest: own origin, small, no wish to save data. */
  async open(): Promise<void> {
    if (this.isForeign) return;
    this.bytes = await manifestBytes(this.url);
    const { connection } = navigator as { connection?: { saveData?: boolean } };
    if (this.phase === 'idle' && this.bytes !== null && this.bytes <= UNASKED_BYTES && !connection?.saveData) await this.load();
  }

  /** Loads, again after a failure: from storage where it is kept. */
  async load(): Promise<void> {
    if (this.#loading) return;
    const controller = new AbortController();
    this.#loading = controller;
    this.problem = null;
    this.progress = null;
    this.phase = 'loading';
    try {
      await this.#drop();
      this.model = await TopKLM.load(this.url, {
        backend: this.backend,
        signal: controller.signal,
        onProgress: (progress) => {
          this.progress = progress;
          if (progress.phase === 'download') this.bytes ??= progress.totalBytes;
        },
      });
      this.phase = 'ready';
      for (const { resolve } of this.#waiting.splice(0)) resolve(this.model);
    } catch (error) {
      if (isAbort(error)) this.phase = 'idle';
      else this.#failed(error);
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    } finally {
      this.#loading = null;
    }
  }

  cancel(): void {
    this.#loading?.abort();
  }

  /** The model as soon as there is one; starts loading where nothing does. */
  ready(signal: AbortSignal): Promise<TopKLM> {
    if (this.model) return Promise.resolve(this.model);
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      this.#waiting.push({ resolve, reject });
      void this.load();
    });
  }

  /** Shows an error of a call; after one that the model does not survive, it is freed. */
  report(error: unknown): void {
    if (isAbort(error)) return;
    if (isFatal(error)) this.#failed(error);
    else this.problem = problemOf(error);
  }

  #failed(error: unknown): void {
    this.problem = problemOf(error);
    this.phase = 'failed';
    void this.#drop();
  }

  async #drop(): Promise<void> {
    const { model } = this;
    this.model = null;
    await model?.dispose();
  }
}

/** Sum of the folder's files, step folders aside. */
async function manifestBytes(folder: URL): Promise<number | null> {
  try {
    const response = await fetch(new URL('manifest.json', folder));
    if (!response.ok) return null;
    const { files } = (await response.json()) as { files: { path: string; bytes: number }[] };
    return files.filter(({ path }) => !path.includes('/')).reduce((sum, { bytes }) => sum + bytes, 0);
  } catch {
    return null; // no manifest: the size is known once the download has begun
  }
}
