/** One prompt continued by the weights of every training step, stored with a model: `continuations.json`, by scripts/make-continuations.mjs. */
import { get } from './get';
import type { ModelEntry } from './models';

export interface Continuations {
  prompt: string;
  /** Ascending; the final weights, `null`, last. */
  texts: { step: number | null; text: string }[];
}

/** `null`: the model has none. */
export async function readContinuations(model: ModelEntry, signal: AbortSignal): Promise<Continuations | null> {
  if (!model.hasContinuations) return null;
  const response = await get(new URL('continuations.json', model.url), signal);
  if (!response.ok) throw new Error(`The stored continuations could not be fetched: the server responded with ${response.status}.`);
  const { prompt, texts } = (await response.json()) as Continuations;
  return { prompt, texts };
}
