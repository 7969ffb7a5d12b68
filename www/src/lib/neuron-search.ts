/** Finds neurons in the index of statistics: by what they write where that was measured, else by a word among their tokens; or by their number. */
import type { FeatureIndex } from 'topk-lm';
import { entryOf, neuronAt, plainLabel } from './neurons';
import { type NeuronId, parseNeuron } from './route';
import { type Strength, strengthOf } from './strength';

export interface FoundNeuron extends NeuronId {
  label: string;
  tokenEntropy: number | null;
  /** Times that its effect on its tokens is that of random neurons; `null`: not measured. */
  specificity: number | null;
  strength: Strength | null;
  /** Why it was found: it writes the word, reads it, or raises it by its direct effect. */
  by: 'writes' | 'top token' | 'promoted token' | 'number';
}

function foundAt(index: FeatureIndex, entry: number, by: FoundNeuron['by']): FoundNeuron {
  const { label, tokenEntropy, specificity } = index.columns;
  const neuron = neuronAt(index, entry);
  return {
    ...neuron,
    label: plainLabel(label[entry] ?? ''),
    tokenEntropy: tokenEntropy[entry] ?? null,
    specificity: specificity?.[entry] ?? null,
    strength: strengthOf(index, neuron),
    by,
  };
}

const plain = (text: string) => text.trim().toLowerCase();

/** Taken off the rank of a neuron that writes the word: it comes before those that only read it. */
const WRITES = 20;

/** Added to the rank of one that writes no more than random neurons do, and of one with which no text reads. */
const UNSPECIFIC = 10;
const UNREADABLE = 5;

/** Added to the rank of a rare neuron, whose tokens say little. */
const RARE = 4;

/**
 * Neurons for one or more words (or `layer.index`), best first. Where it was measured what neurons write, those that write the word lead: it is the
 * first token that they raise, a further one; among equals the most specific first, and those that write nothing of their own last. Then: the word is
 * its first top token, a further one, one it promotes; among equals the lowest token entropy first.
 */
export function findNeurons(index: FeatureIndex, vocabulary: readonly string[], query: string, most: number): FoundNeuron[] {
  const exact = parseNeuron(query.trim());
  if (exact) {
    const entry = entryOf(index, exact);
    return entry < 0 ? [] : [foundAt(index, entry, 'number')];
  }
  const words = query
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
  if (words.length === 0) return [];
  // Rank of each token: 0 the word itself, 1 begins with it, 2 holds it.
  const ranks = new Map<number, number>();
  vocabulary.forEach((text, id) => {
    const token = plain(text);
    if (token === '') return;
    for (const word of words) {
      const rank = token === word ? 0 : word.length > 2 && token.startsWith(word) ? 1 : word.length > 2 && token.includes(word) ? 2 : null;
      if (rank !== null && rank < (ranks.get(id) ?? 3)) ranks.set(id, rank);
    }
  });
  const { topTokens, promoted, writesUp, steer, specificity, tokenEntropy, n } = index.columns;
  const found: { column: number; rank: number; by: FoundNeuron['by'] }[] = [];
  for (let column = 0; column < topTokens.length; column++) {
    const rare = (n[column] ?? 0) < index.entropy.rareBelow ? RARE : 0;
    const best = (ids: readonly number[]) => Math.min(...ids.map((id, rankInList) => (ranks.get(id) ?? 9) + Math.min(1, rankInList) / 2));
    const written = best(writesUp?.[column] ?? []);
    if (written < 8) {
      const weak = (specificity?.[column] ?? 0) < 1 ? UNSPECIFIC : 0;
      const breaks = steer?.[column] == null ? UNREADABLE : 0;
      found.push({ column, rank: written - WRITES + weak + breaks, by: 'writes' });
      continue;
    }
    const own = best(topTokens[column] ?? []);
    const raised = 3 + best(promoted[column] ?? []);
    const rank = Math.min(own, raised);
    if (rank < 8) found.push({ column, rank: rank + rare, by: own <= raised ? 'top token' : 'promoted token' });
  }
  const entropy = (column: number) => tokenEntropy[column] ?? 99;
  const specific = ({ column, by }: (typeof found)[number]) => (by === 'writes' ? (specificity?.[column] ?? 0) : 0);
  found.sort((a, b) => a.rank - b.rank || specific(b) - specific(a) || entropy(a.column) - entropy(b.column) || a.column - b.column);
  return found.slice(0, most).map(({ column, by }) => foundAt(index, column, by));
}
