/** Pairs of texts of ours, of as many tokens each, that differ in what decides the next word. */
export interface PairOfTexts {
  title: string;
  /** The text whose states are taken. */
  from: string;
  /** The text that they are put into. */
  into: string;
}

export const PAIRS: readonly [PairOfTexts, ...PairOfTexts[]] = [
  { title: 'A girl or a boy', from: 'One day, a girl was very tired, so', into: 'One day, a boy was very tired, so' },
  {
    title: 'A ball or a car',
    from: 'Tom had a red ball. He wanted to play with his',
    into: 'Tom had a red car. He wanted to play with his',
  },
  { title: 'Not happy', from: 'He was not happy. He was', into: 'He was very happy. He was' },
  { title: 'A question', from: 'Anna said, "Where is my', into: 'Anna said, "Here is my' },
  { title: 'Lost or found', from: 'Sam lost his toy. He felt very', into: 'Sam found his toy. He felt very' },
];
