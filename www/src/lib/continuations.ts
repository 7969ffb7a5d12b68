/** One prompt continued by the weights of every training step, stored with a model: `continuations.json`, by scripts/make-continuations.mjs. */
import { getJson } from './get';
import type { ModelEntry } from './models';

/** What Trace replays until another prompt is typed; the stored continuations are of it. */
export const DEFAULT_PROMPT = 'Once upon a time there was a';

/** New tokens of a continuation. */
export const LENGTH = 32;

export interface Continuations {
  prompt: string;
  /** Ascending; the final weights, `null`, last. */
  texts: { step: number | null; text: string }[];
}

/** `null`: the model has none. */
export async function readContinuations(model: ModelEntry, signal: AbortSignal): Promise<Continuations | null> {
  if (!model.hasContinuations) return null;
  const file = await getJson('The stored continuations', new URL('continuations.json', model.url), signal);
  const { prompt, texts } = file as Continuations;
  return { prompt, texts };
}
