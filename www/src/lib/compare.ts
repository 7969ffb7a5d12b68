/** How two texts differ: words of a topic, and how likely a text is under the unmodified model. */
import type { TopKLM } from 'topk-lm';
import { logTotal } from './distribution';

const WORD = /[\p{L}\p{M}'’]+/gu;

/** The words of a comma or space separated list, in lower case. */
export function wordsOf(list: string): string[] {
  return [...new Set(list.toLowerCase().match(WORD) ?? [])];
}

export interface ConceptCount {
  /** Words of the topic. */
  found: number;
  /** All words. */
  words: number;
}

/** How many words of a text are among `concept`. */
export function countWords(text: string, concept: readonly string[]): ConceptCount {
  const wanted = new Set(concept);
  const words = text.toLowerCase().match(WORD) ?? [];
  return { found: words.filter((word) => wanted.has(word)).length, words: words.length };
}

/** Words of a run, and how often it must come, to count as repeated. */
const RUN = { words: 4, times: 3 };

/** A run of words that a text repeats; '' if there is none. */
export function repeated(text: string): string {
  const words = text.toLowerCase().match(WORD) ?? [];
  const seen = new Map<string, number>();
  for (let at = 0; at + RUN.words <= words.length; at++) {
    const run = words.slice(at, at + RUN.words).join(' ');
    const times = (seen.get(run) ?? 0) + 1;
    if (times >= RUN.times) return run;
    seen.set(run, times);
  }
  return '';
}

/** A text in parts, those that are words of `concept` told from the rest. */
export function conceptParts(text: string, concept: readonly string[]): { text: string; isConcept: boolean }[] {
  const wanted = new Set(concept);
  return text
    .split(new RegExp(`(${WORD.source})`, 'u'))
    .flatMap((part) => (part === '' ? [] : [{ text: part, isConcept: wanted.has(part.toLowerCase()) }]));
}

/** For each token: 1 if it belongs to a word of the concept, else 0. */
export function conceptTokens(tokens: readonly string[], concept: readonly string[]): number[] {
  const wanted = new Set(concept);
  const text = tokens.join('');
  const spans = [...text.matchAll(WORD)]
    .filter(([word]) => wanted.has(word.toLowerCase()))
    .map(({ 0: word, index }) => ({ from: index, to: index + word.length }));
  let at = 0;
  let next = 0;
  return tokens.map((token) => {
    const from = at;
    at += token.length;
    while (next < spans.length && spans[next]!.to <= from) next++;
    const span = spans[next];
    return span && span.from < at ? 1 : 0;
  });
}

/**
 * Nats per token of `ids` from position `from` on, under the model without edits.
 *
 * The mean of −ln p(ids[t] | ids[< t]); `null` if there is no such token.
 */
export async function surprise(model: TopKLM, ids: readonly number[], from: number, signal: AbortSignal): Promise<number | null> {
  const text = ids.slice(0, model.config.n_ctx);
  const first = Math.max(1, from);
  if (text.length <= first) return null;
  const { logits } = await model.run(text, { logits: 'all', signal });
  if (!logits) return null;
  const vocabulary = logits.shape[1]!;
  let sum = 0;
  for (let t = first; t < text.length; t++) {
    const row = logits.data.subarray((t - 1) * vocabulary, t * vocabulary);
    sum -= row[text[t]!]! - logTotal(row);
  }
  return sum / (text.length - first);
}
