/** What the Steer page shows before the weights are there: texts of its first prompt, without and with each recipe; by scripts/make-steered.mjs. */
import { getJson } from './get';
import type { ModelEntry } from './models';

/**
 * What the page opens with; the prompt is that of the model's recipes, if they say which prompts they were measured on. The seed was picked as an
 * example: with it 15 of the shipped model's 19 presets bring at least two of their words (10.3 on average over seeds 1 to 100). The rate shown next to
 * each preset was measured on other texts.
 */
export const DEFAULTS = { prompt: 'Once upon a time', seed: 12, temperature: 0.8, maxTokens: 60 };

export interface StoredSteering extends Readonly<typeof DEFAULTS> {
  /** Ids of the prompt. */
  promptIds: readonly number[];
  /** Ids of what follows it, by the edits as addresses write them; '' is without any. */
  texts: ReadonlyMap<string, readonly number[]>;
}

/** `steered.json`. */
export interface StoredFile {
  format: 1;
  prompt: string;
  seed: number;
  temperature: number;
  max_tokens: number;
  prompt_ids: number[];
  texts: { edits: string; ids: number[] }[];
}

/** `null`: the model has none. */
export async function readStoredSteering(model: ModelEntry, signal: AbortSignal): Promise<StoredSteering | null> {
  if (!model.hasSteered) return null;
  return storedFrom((await getJson('The stored texts', new URL('steered.json', model.url), signal)) as StoredFile);
}

export function storedFrom({ prompt, seed, temperature, max_tokens, prompt_ids, texts }: StoredFile): StoredSteering {
  const byEdits = new Map(texts.map(({ edits, ids }) => [edits, ids]));
  return { prompt, seed, temperature, maxTokens: max_tokens, promptIds: prompt_ids, texts: byEdits };
}
