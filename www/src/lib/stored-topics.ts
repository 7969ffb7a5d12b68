/** The gallery’s texts of topics: a prompt continued without and with each recipe, `topics.json`; by scripts/make-steered.mjs. */
import { getJson } from './get';
import type { ModelEntry } from './models';

/** How they were sampled. */
export interface TopicSampling {
  seed: number;
  temperature: number;
  maxTokens: number;
}

export const TOPIC_SAMPLING: TopicSampling = { seed: 7, temperature: 0.8, maxTokens: 30 };

export interface TopicLine {
  prompt: string;
  before: string;
  after: string;
}

export interface StoredTopics extends TopicSampling {
  /** By the edits as addresses write them. */
  lines: ReadonlyMap<string, TopicLine>;
}

/** `topics.json`. */
export interface TopicsFile {
  format: 1;
  seed: number;
  temperature: number;
  max_tokens: number;
  lines: ({ edits: string } & TopicLine)[];
}

/** `null`: the model has none. */
export async function readStoredTopics(model: ModelEntry, signal: AbortSignal): Promise<StoredTopics | null> {
  if (!model.hasTopics) return null;
  const file = (await getJson('The stored texts', new URL('topics.json', model.url), signal)) as TopicsFile;
  const { seed, temperature, max_tokens: maxTokens, lines } = file;
  return { seed, temperature, maxTokens, lines: new Map(lines.map(({ edits, ...line }) => [edits, line])) };
}
