/** What the numbers on screen mean: one table, shown on hover and focus. */

export interface Definition {
  /** What stands before the number. */
  name: string;
  /** One or two sentences, with the unit. */
  text: string;
}

export const DEFINITIONS = {
  label: { name: 'Label', text: 'A guess, made by rule: the most frequent input tokens at the neuron’s highest positions.' },
  value: {
    name: 'Value',
    text: 'The coordinate of the residual stream after the block’s cut. A neuron is active where it is not 0. No unit.',
  },
  density: { name: 'Density', text: 'Share of the corpus positions at which the neuron is active (dense model: not 0).' },
  max: { name: 'Maximum', text: 'Largest value in the corpus (of a dense coordinate at the end that is shown: there the lowest).' },
  lowest: { name: 'Lowest value', text: 'Lowest value in the corpus, at the end of the scale that is shown of this coordinate.' },
  mean: { name: 'Mean', text: 'Mean of the active values in the corpus.' },
  n: {
    name: 'N',
    text: 'Number of highest positions that the entropies rest on: at most 100. Below 20 a neuron is rare, and its entropies say little.',
  },
  tokenEntropy: {
    name: 'Token entropy',
    text: 'Bits. Entropy of the input token types at the N highest positions, H = −Σ p log₂ p; 2^H reads as a number of tokens. 0: always the same token.',
  },
  semanticEntropy: {
    name: 'Semantic entropy',
    text: 'Bits. The same over clusters of tokens of like meaning, so that “dog”, “dogs” and “puppy” count as one.',
  },
  nextEntropy: { name: 'Next-token entropy', text: 'Bits. Entropy of the token types that follow the N highest positions.' },
  emergence: {
    name: 'Emergence',
    text: 'First training step analysed from which the neuron’s top tokens stay within the stated Jensen–Shannon distance of the final ones.',
  },
  similarity: {
    name: 'Likeness over layers',
    text: 'Mean over the other layers of 1 − Jensen–Shannon distance (base 2) between the top tokens of the same index. 1: the same tokens.',
  },
  jsToFinal: {
    name: 'Distance to final',
    text: 'Jensen–Shannon distance (base 2) of the top tokens at this step to the final ones. 0: equal.',
  },
  promoted: {
    name: 'Promoted',
    text: 'Tokens whose logits the neuron raises most directly: γ_final[i] · W_U[:, i], in logits per unit of activation.',
  },
  suppressed: { name: 'Suppressed', text: 'Tokens whose logits the neuron lowers most directly, in logits per unit of activation.' },
  effect: {
    name: 'Effect',
    text: 'Logit of the chosen next token minus its logit with this one neuron set to 0 at the last position; the model is run again for each neuron.',
  },
  probability: { name: 'Probability', text: 'The model’s own probability of the next token (temperature 1).' },
  tail: {
    name: 'End',
    text: 'Dense model: whether the highest or the lowest values are shown. Both ends of the scale are ranked, and the one with the lower token entropy is taken.',
  },
  quantile: {
    name: 'Quarter',
    text: 'Positions where it is active were drawn at random and ranked by value; each quarter holds as many of them. A quarter of the positions, not of the maximum.',
  },
  conceptRate: {
    name: 'Concept rate',
    text: 'Words of the concept in 100 words of new text. On a recipe: the measured mean number of such words in a text, unsteered and steered.',
  },
  surprise: {
    name: 'Surprise',
    text: 'Mean of −ln p over the new tokens, in nats a token, under the model without edits: how unlikely it finds the text. Unsteered, then steered.',
  },
  recipe: {
    name: 'Recipe',
    text: 'An edit chosen on some prompts and measured on others: means over many texts. Yours may differ.',
  },
  price: {
    name: 'Price',
    text: 'How many times as surprising the steered texts are: mean −ln p a token, over that of the unsteered texts. 1: as likely as those.',
  },
} as const satisfies Record<string, Definition>;

export type DefinitionName = keyof typeof DEFINITIONS;
