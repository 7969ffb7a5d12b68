/**
 * What a page calls things, by the kind of model: a TopK LM has neurons that are active or not, a dense model coordinates that have a value
 * at every position, of which one end of the scale is shown.
 */
import type { NeuronScalars } from 'topk-lm';

export interface Wording {
  isDense: boolean;
  /** One of them. */
  one: 'neuron' | 'coordinate';
  /** Above the input tokens of the positions that were ranked. */
  firesOn: string;
  /** Above the examples from the end that was ranked. */
  strongest: string;
  /** Which end was ranked; '' where there is only one. */
  end: '' | 'highest' | 'lowest';
}

/** `kind` decides where nothing is known of a neuron yet. */
export function wordingOf({ tail }: Pick<NeuronScalars, 'tail'>, kind: 'topk' | 'dense' = 'topk'): Wording {
  if (kind === 'topk' && tail === undefined) return { isDense: false, one: 'neuron', firesOn: 'Fires on', strongest: 'Highest', end: '' };
  const end = tail === -1 ? 'lowest' : 'highest';
  return { isDense: true, one: 'coordinate', firesOn: `Where it is ${end}`, strongest: end === 'lowest' ? 'Lowest' : 'Highest', end };
}

/** A band of ranks among the positions that were drawn, as a heading: 0.75 to 1 is the upper quarter. */
export function bandName(from: number, to: number): string {
  const name = from === 0.75 ? 'Upper quarter' : from === 0.5 ? 'Second quarter' : from === 0.25 ? 'Third quarter' : 'Lower quarter';
  const isQuarter = to - from === 0.25;
  return isQuarter ? name : `Ranks from ${Math.round(100 * from)} to ${Math.round(100 * to)} %`;
}
