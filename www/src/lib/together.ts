/** Several texts behind one prompt, written side by side. */
import type { Edit, TopKLM } from 'topk-lm';
import { textOf } from './fit';
import type { Sampling } from './writing.svelte';

export interface Wanted {
  sampling: Sampling;
  edits: readonly Edit[];
}

export interface Written {
  /** [T] prompt and new tokens. */
  ids: number[];
  /** The new text. */
  text: string;
  /** Nats per new token under the model as it wrote; `null`: there is none. */
  surprise: number | null;
}

/** @param onProgress - hears how many tokens are written, of how many at most */
export async function writeTogether(
  model: TopKLM,
  prompt: readonly number[],
  wanted: readonly Wanted[],
  signal: AbortSignal,
  onProgress: (progress: { done: number; total: number }) => void,
): Promise<Written[]> {
  const total = wanted.reduce((sum, { sampling }) => sum + sampling.maxTokens, 0);
  let done = 0;
  onProgress({ done, total });
  const all = await model.generateBatch(
    wanted.map(({ sampling, edits }) => ({ prompt, ...sampling, edits })),
    { signal, onStep: () => onProgress({ done: ++done, total }) },
  );
  return Promise.all(
    all.map(async ({ ids, steps }) => ({
      ids: [...prompt, ...ids],
      text: await textOf(model, [...ids]),
      surprise: steps.length > 0 ? -steps.reduce((sum, { logprob }) => sum + logprob, 0) / steps.length : null,
    })),
  );
}
