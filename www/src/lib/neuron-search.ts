/** Finds neurons to steer with: by meaning ({@link searchMeaning}), those that do something to the text before those that only read it; or by their number. */
import type { FeatureIndex } from 'topk-lm';
import { type Reason, searchMeaning } from './meaning-search';
import type { Measured } from './measured';
import { entryOf, neuronAt, plainLabel } from './neurons';
import { type NeuronId, parseNeuron } from './route';
import { type Strength, strengthOf } from './strength';

export interface FoundNeuron extends NeuronId {
  label: string;
  tokenEntropy: number | null;
  /** Times that its effect on its tokens is that of random neurons; `null`: not measured. */
  specificity: number | null;
  strength: Strength | null;
  /** Why it was found; `null`: by its number. */
  reason: Reason | null;
}

function foundAt(index: FeatureIndex, entry: number, reason: Reason | null): FoundNeuron {
  const { label, tokenEntropy, specificity } = index.columns;
  const neuron = neuronAt(index, entry);
  return {
    ...neuron,
    label: plainLabel(label[entry] ?? ''),
    tokenEntropy: tokenEntropy[entry] ?? null,
    specificity: specificity?.[entry] ?? null,
    strength: strengthOf(index, neuron),
    reason,
  };
}

/** Whether setting the neuron does what was asked for: it was measured to. */
export const doesIt = (reason: Reason | null): boolean => reason?.by === 'writes' || reason?.by === 'contrast';

/** Of the rank of a neuron with which no text reads, and of a rare one, whose tokens say little. */
const UNREADABLE = 0.5;
const RARE = 0.25;

/** Neurons for words, a meaning, or `layer.index`, best first. */
export function findNeurons(
  index: FeatureIndex,
  vocabulary: readonly string[],
  query: string,
  most: number,
  measured?: Measured,
): FoundNeuron[] {
  const exact = parseNeuron(query.trim());
  if (exact) {
    const entry = entryOf(index, exact);
    return entry < 0 ? [] : [foundAt(index, entry, null)];
  }
  const { steer, n, tokenEntropy } = index.columns;
  const rankOf = (entry: number, reason: Reason) => {
    const breaks = steer !== undefined && steer[entry] == null ? UNREADABLE : 1;
    const rare = (n[entry] ?? 0) < index.entropy.rareBelow ? RARE : 1;
    return (doesIt(reason) ? 1 : 0) + reason.rank * breaks * rare;
  };
  const entropy = (entry: number) => tokenEntropy[entry] ?? 99;
  return [...searchMeaning(index, vocabulary, query, { ...(measured && { measured }) })]
    .map(([entry, reason]) => ({ entry, reason, rank: rankOf(entry, reason) }))
    .sort((a, b) => b.rank - a.rank || entropy(a.entry) - entropy(b.entry) || a.entry - b.entry)
    .slice(0, most)
    .map(({ entry, reason }) => foundAt(index, entry, reason));
}
