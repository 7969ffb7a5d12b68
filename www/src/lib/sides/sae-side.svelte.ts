/** A copy of a model with an autoencoder attached: an engine of its own, so that the page's model and its twin compute as before. */
import type { Features, ModelSource, SaeInfo, TopKLM } from 'topk-lm';
import type { ModelEntry, ShippedSae } from '../models';
import { isAbort, problemOf } from '../problem';
import { Session } from '../session.svelte';
import { type SaeFeature, saeFeatures } from './sae-features';

const FEATURES = 'features.json';

/** A folder of the reader’s, or one that comes with the model. */
export type SaeFolder = { source: ModelSource } | { shipped: ShippedSae };

export class SaeSide {
  readonly session: Session;
  /** What is attached, and to which model: it goes with that. */
  #attached = $state.raw<{ info: SaeInfo; model: TopKLM } | null>(null);
  /** What is known of its features; `null`: its folder does not say. */
  features = $state.raw<readonly SaeFeature[] | null>(null);
  isAttaching = $state(false);
  /** Why it could not be attached: a sentence. */
  fault = $state('');
  #job: AbortController | null = null;

  constructor(engine: Session['engine']) {
    this.session = new Session(engine, () => null);
  }

  /** What is attached; `null`: nothing. */
  get info(): SaeInfo | null {
    return this.#attached?.model === this.session.model ? (this.#attached?.info ?? null) : null;
  }

  /** The layer whose hook the features are read at. */
  get layer(): number {
    return Number(/^blocks\.(\d+)\./.exec(this.info?.hook ?? '')?.[1] ?? 0);
  }

  /**
   * Attaches an autoencoder to a copy of a model.
   *
   * @param errorTerm - what it leaves over is added, so that the model computes as before, but for edits
   * @returns whether it is attached; false too where a newer call took its place
   */
  async attach(entry: ModelEntry, from: SaeFolder, errorTerm: boolean): Promise<boolean> {
    this.stop();
    const job = new AbortController();
    this.#job = job;
    const { session } = this;
    this.#attached = this.features = null;
    this.fault = '';
    this.isAttaching = true;
    try {
      if (session.entry?.name !== entry.name) await session.choose(entry, { agreed: true });
      const model = await session.ready(job.signal);
      await model.detachSaes();
      const source = 'shipped' in from ? await filesOf(session.folder, from.shipped, job.signal) : from.source;
      const info = await model.attachSae(source, { errorTerm, signal: job.signal });
      const text = await featuresOf(source).catch(() => null); // it works without
      job.signal.throwIfAborted();
      this.features = text === null ? null : readFeatures(text, info, session.vocabulary);
      this.#attached = { info, model };
    } catch (error) {
      if (this.#job === job && !isAbort(error) && session.phase !== 'failed') this.fault = problemOf(error).message;
    } finally {
      if (this.#job === job) this.isAttaching = false;
    }
    return this.#job === job && this.info !== null;
  }

  stop(): void {
    this.#job?.abort();
  }

  close(): void {
    this.stop();
    this.#attached = this.features = null;
    this.session.close();
  }
}

/** Files of an autoencoder in the model’s own folder: stored and verified as all of it. */
async function filesOf(folder: Features | null, { path }: ShippedSae, signal: AbortSignal): Promise<Record<string, Blob>> {
  const names = ['cfg.json', 'sae_weights.safetensors', FEATURES];
  const blobs = await Promise.all(names.map((name) => folder?.file(`${path}/${name}`, { signal })));
  return Object.fromEntries(names.flatMap((name, i) => (blobs[i] ? [[name, blobs[i]]] : [])));
}

/** `features.json` of files that are here; an address is asked for no file that may not be there. */
async function featuresOf(source: ModelSource): Promise<string | null> {
  if (typeof source === 'string' || source instanceof URL || source instanceof Map) return null;
  const files = Array.from(source as ArrayLike<File>);
  const file = files.find(({ name }) => name === FEATURES) ?? (source as Record<string, unknown>)[FEATURES];
  return file instanceof Blob ? file.text() : null;
}

function readFeatures(text: string, { dSae }: SaeInfo, vocabulary: readonly string[] | null): SaeFeature[] | null {
  try {
    return saeFeatures(text, dSae, vocabulary);
  } catch {
    return null; // of another autoencoder, or no such file
  }
}
