/**
 * What pages call things, by the kind of model: a TopK model has neurons that are active or not; a dense model has coordinates with a value at
 * every position, of which one tail is shown.
 */
import type { NeuronScalars } from 'topk-lm';
import type { ModelKind } from './model-kind';

export interface Wording {
  isDense: boolean;
  /** What a coordinate of the residual stream is called. */
  one: 'neuron' | 'coordinate';
  /** Heading for the input tokens at the top positions. */
  reads: string;
  /** Heading for texts in which it is strong. */
  inText: string;
  /** Heading for the examples from the tail that was ranked. */
  strongest: string;
  /** Which tail was ranked; '' where there is only one. */
  end: '' | 'highest' | 'lowest';
}

/** @param tail - of a dense coordinate whose statistics are known: the tail that was ranked */
export function wordingOf(kind: ModelKind | null, tail?: NeuronScalars['tail']): Wording {
  if (kind !== 'dense' && tail === undefined)
    return { isDense: false, one: 'neuron', reads: 'Strongest at', inText: 'Examples', strongest: 'Top activations', end: '' };
  const end = tail === -1 ? 'lowest' : 'highest';
  return {
    isDense: true,
    one: 'coordinate',
    reads: `Where it is ${end}`,
    inText: `Where it is ${end}, in context`,
    strongest: end === 'lowest' ? 'Lowest' : 'Highest',
    end,
  };
}

/** Headings for the quarters of the sampled positions; the one closest to the tail that is shown comes first. */
const QUARTERS = ['Highest', 'Second highest', 'Second lowest', 'Lowest'];

/** A band of ranks among the sampled positions; 0.75 to 1 is the quarter closest to the tail that is shown. */
export function bandName(from: number, to: number, { end }: Pick<Wording, 'end'>): string {
  if (to - from !== 0.25) return `Ranks from ${Math.round(100 * from)} to ${Math.round(100 * to)} %`;
  const quarter = Math.round(4 * (1 - to));
  return `${QUARTERS[end === 'lowest' ? 3 - quarter : quarter]} quarter by rank`;
}
