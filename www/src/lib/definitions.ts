/** Definitions of the numbers on screen, shown on hover and focus. */

export interface Definition {
  /** Label of the number. */
  name: string;
  /** One or two sentences, with the unit. */
  text: string;
}

export const DEFINITIONS = {
  label: {
    name: 'Label',
    text: 'A guess, made by a rule from the tokens at which the neuron is active. “and 9 more”: it also covers nine other tokens. “unsure”: half of the text would give a different label.',
  },
  value: {
    name: 'Value',
    text: 'The coordinate of the residual stream after the block’s TopK activation, without a unit. A neuron is active where it is not 0.',
  },
  density: { name: 'Density', text: 'Share of corpus positions where the neuron is active (dense model: not 0).' },
  specialness: {
    name: 'Specialness',
    text: '(value − mean) ÷ (maximum − mean) · (1 − density), over the corpus: 0 is an ordinary value, or a neuron that is active everywhere; 1 is a rare neuron at its maximum.',
  },
  max: {
    name: 'Maximum',
    text: 'Largest activation in the corpus (for a dense coordinate shown by its negative tail, the most negative one). The start token does not count.',
  },
  lowest: { name: 'Lowest value', text: 'Most negative value in the corpus: this coordinate is shown by its negative tail.' },
  mean: { name: 'Mean', text: 'Mean of the nonzero values in the corpus.' },
  n: {
    name: 'N',
    text: 'Number of top activations used for the entropies, at most 100. Below 20 a neuron is rare, and its entropies say little.',
  },
  readsF1: {
    name: 'F1 of the label',
    text: 'F1 of the label as a detector of where the neuron is active, on text that the label was not made from. 1: it holds exactly where the neuron is active.',
  },
  found: {
    name: 'Found because',
    text: 'What fits the search. F1: how well its label, or the state of a story, predicts where it is active. “2.1 ×”: times the effect of the best of 100 random neurons.',
  },
  precision: { name: 'Precision', text: 'Share of the positions at which the label holds where the neuron is active.' },
  recall: { name: 'Recall', text: 'Share of the neuron’s activations at which the label holds, each counted as one.' },
  markedF1: {
    name: 'F1 of marked tokens',
    text: 'F1 is high only where the neuron is high at nearly all marked tokens and at almost no others. 1: at exactly those.',
  },
  token: {
    name: 'Token',
    text: 'What the model reads and writes at a time: a word with the space before it, a piece of a word, or a punctuation mark.',
  },
  explained: {
    name: 'Explained',
    text: 'Share of the neuron’s activation at which the label holds: recall, with each position counted by its value.',
  },
  detection: {
    name: 'Detection',
    text: 'Mean of two shares: of activations at which the label holds, and of other positions at which it does not. 0.5 is chance.',
  },
  kl: {
    name: 'Effect when set',
    text: 'How far the next token’s distribution moves when the neuron is set to its strong activation, its 99th percentile: KL divergence in nats, mean over prompts.',
  },
  ablated: {
    name: 'Effect when removed',
    text: 'How far the next token’s distribution moves when the neuron is set to 0 at prompts where it is active: KL divergence in nats.',
  },
  readable: {
    name: 'Text reads up to',
    text: 'The largest value at which three texts of 12 tokens have at most 1.3 times the surprise of the model’s own, and repeat no token three times in a row.',
  },
  tokenEntropy: {
    name: 'Token entropy',
    text: 'Entropy of the input tokens at the N top activations, in bits: H = −Σ p log₂ p. 2^H is the effective number of tokens; 0 means always the same token.',
  },
  semanticEntropy: {
    name: 'Semantic entropy',
    text: 'The same over clusters of tokens with similar meanings, in bits: “dog”, “dogs” and “puppy” count as one.',
  },
  nextEntropy: { name: 'Next-token entropy', text: 'Entropy of the tokens that follow the N top activations, in bits.' },
  emergence: {
    name: 'Emergence',
    text: 'First analyzed training step from which the neuron’s top tokens stay within the stated Jensen–Shannon distance of the final ones. At the last step a neuron is compared with itself: one that comes near only there has not settled.',
  },
  similarity: {
    name: 'Similarity across layers',
    text: 'Mean over the other layers of 1 − Jensen–Shannon distance (base 2) between the top tokens of the same index. 1 means the same tokens.',
  },
  jsToFinal: {
    name: 'Distance to final',
    text: 'Jensen–Shannon distance (base 2) between the top tokens at this step and the final ones. 0 means identical.',
  },
  promoted: {
    name: 'Promoted',
    text: 'Tokens whose logits the neuron raises most, by its direct effect γ_final[i] · W_U[:, i] (less its mean over i if the last norm is a LayerNorm), in logits per unit of activation.',
  },
  suppressed: {
    name: 'Suppressed',
    text: 'Tokens whose logits the neuron lowers most, by its direct effect, in logits per unit of activation.',
  },
  effect: {
    name: 'Effect',
    text: 'Logit of the chosen next token minus its logit with only this neuron set to 0 at the last position. The model runs again for each neuron.',
  },
  probability: { name: 'Probability', text: 'The model’s own probability of the next token (temperature 1).' },
  tail: {
    name: 'Tail',
    text: 'Dense model: whether the highest or the lowest values are shown. We rank both tails and show whichever has the lower token entropy.',
  },
  quantile: {
    name: 'Quarter',
    text: 'Active positions were sampled at random and ranked by value; each quarter holds a quarter of the positions, not of the range of values.',
  },
  conceptRate: {
    name: 'Topic rate',
    text: 'Words of the topic per 100 words of new text. On a recipe: the measured mean number of such words per text, without and with the edit.',
  },
  surprise: {
    name: 'Surprise',
    text: 'How unlikely the unmodified model finds the text: mean −ln p over the new tokens, in nats per token. Without, then with the edits.',
  },
  writes: {
    name: 'Writes',
    text: 'Tokens whose probability rises most when the neuron is set to its strong activation at the end of a prompt: measured, mean over prompts.',
  },
  specificity: {
    name: 'Specificity',
    text: 'How many times as much it raises the tokens that it writes as the best of 100 random neurons of its layer. Below 1 it writes nothing of its own.',
  },
  recipe: {
    name: 'Recipe',
    text: 'An edit chosen on some prompts and measured on others. The numbers are means over many texts; yours may differ.',
  },
  price: {
    name: 'Price',
    text: 'How much more surprising the steered texts are: mean −ln p per token, divided by that of the unmodified model’s texts. 1 means equally likely.',
  },
} as const satisfies Record<string, Definition>;

export type DefinitionName = keyof typeof DEFINITIONS;
