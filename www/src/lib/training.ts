/** How the model's training went: `training.json` of its folder. */
import type { Features } from 'topk-lm';

export interface Training {
  /** Training loss by step, in nats per token. */
  loss: { step: number; nats: number }[];
  /** Of so many points of the file one is kept. */
  every: number;
}

/** Most points that are kept. */
const MOST = 100_000;

/** Every so many points, and the last one. */
export const thinned = <T>(points: readonly T[], every: number): T[] => points.filter((_, i) => i % every === 0 || i === points.length - 1);

/** `null`: the model's folder has none. */
export async function readTraining(features: Features, signal: AbortSignal): Promise<Training | null> {
  const blob = await features.file('training.json', { signal });
  if (!blob) return null;
  const { loss } = JSON.parse(await blob.text()) as { loss?: unknown };
  if (!Array.isArray(loss)) throw new Error('training.json must hold a list "loss" of [step, nats].');
  const points = loss.flatMap((entry: unknown) => {
    if (!Array.isArray(entry)) return [];
    const [step, nats] = entry as unknown[];
    return typeof step === 'number' && typeof nats === 'number' ? [{ step, nats }] : [];
  });
  const every = Math.max(1, Math.ceil(points.length / MOST));
  return { loss: thinned(points, every), every };
}
