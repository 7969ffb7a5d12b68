/**
 * Edits that show something on the shipped model. Measured on 9 texts of 50 tokens (3 prompts, temperature 0.8) with PyTorch: the concept's
 * words came in 5 to 9 of them, against 0 or 1 unsteered (ball and play: 7 against 5).
 */
export interface Example {
  word: string;
  layer: number;
  index: number;
  /** Times its present maximum. */
  multiple: number;
}

/** Only for the shipped model: in another one the same numbers mean something else. */
export const EXAMPLES_OF = 'Llama-TopK-Stories-20M';

export const EXAMPLES: readonly Example[] = [
  { word: 'tree', layer: 1, index: 718, multiple: 1 },
  { word: 'bird', layer: 2, index: 669, multiple: 1 },
  { word: 'flower', layer: 1, index: 841, multiple: 1 },
  { word: 'ball', layer: 1, index: 143, multiple: 1.25 },
  { word: 'water', layer: 2, index: 406, multiple: 1 },
];

/**
 * Read beside the base text for a neuron's present maximum: a short text leaves most neurons silent or hardly active. The words
 * are ours; some stand here because they excite the neurons of the examples.
 */
export const REFERENCE_TEXT =
  'A bird sat in the tall tree and looked at the blue sky. The grass was green, and the garden was full of red flowers. The children were ' +
  'playing with a ball in the sand near the water. The dog chased the cat under the desk. Mom and Dad were happy in their big house. At ' +
  'night the sad king looked at the moon from his old castle, and a small fish swam in the waves.';
