/** Finding neurons in the index of statistics: by a word among their tokens, or by their number. */
import type { FeatureIndex } from 'topk-lm';
import { type NeuronId, parseNeuron } from './route';

export interface FoundNeuron extends NeuronId {
  label: string;
  max: number | null;
  tokenEntropy: number | null;
  n: number | null;
  /** Why it was found. */
  by: 'top token' | 'promoted token' | 'number';
}

/** The place of a neuron in the columns; `null`: it was not analysed. */
export function columnOf(index: FeatureIndex, { layer, index: at }: NeuronId): number | null {
  const place = index.layers.indexOf(layer);
  return place < 0 || at < 0 || at >= index.dModel ? null : place * index.dModel + at;
}

/** What the index says of one neuron. */
export function neuronAt(index: FeatureIndex, column: number, by: FoundNeuron['by']): FoundNeuron {
  const { columns, dModel, layers } = index;
  return {
    layer: layers[Math.floor(column / dModel)]!,
    index: column % dModel,
    label: columns.label[column] ?? '',
    max: columns.max[column] ?? null,
    tokenEntropy: columns.tokenEntropy[column] ?? null,
    n: columns.n[column] ?? null,
    by,
  };
}

const plain = (text: string) => text.trim().toLowerCase();

/** Added to the rank of a neuron that is rare: its tokens say little. */
const RARE = 4;

/**
 * Neurons for one or more words (or `layer.index`), best first: the word is its first top token, a further one, one it promotes; among equals the
 * lowest token entropy first.
 */
export function findNeurons(index: FeatureIndex, vocabulary: readonly string[], query: string, most: number): FoundNeuron[] {
  const exact = parseNeuron(query.trim());
  if (exact) {
    const column = columnOf(index, exact);
    return column === null ? [] : [neuronAt(index, column, 'number')];
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
  const { topTokens, promoted, tokenEntropy, n } = index.columns;
  const found: { column: number; rank: number; by: FoundNeuron['by'] }[] = [];
  for (let column = 0; column < topTokens.length; column++) {
    const rare = (n[column] ?? 0) < index.entropy.rareBelow ? RARE : 0;
    const best = (ids: readonly number[]) => Math.min(...ids.map((id, place) => (ranks.get(id) ?? 9) + Math.min(1, place) / 2));
    const own = best(topTokens[column] ?? []);
    const raised = 3 + best(promoted[column] ?? []);
    const rank = Math.min(own, raised);
    if (rank < 8) found.push({ column, rank: rank + rare, by: own <= raised ? 'top token' : 'promoted token' });
  }
  const entropy = (column: number) => tokenEntropy[column] ?? 99;
  found.sort((a, b) => a.rank - b.rank || entropy(a.column) - entropy(b.column) || a.column - b.column);
  return found.slice(0, most).map(({ column, by }) => neuronAt(index, column, by));
}
