/**
 * Neuron statistics, as `topk-lm analyze` writes them to `features/` of a model folder. A neuron is `(layer, index)`; entropies are in
 * bits; `null` is a value that does not exist (a dead neuron's entropy, for example). Definitions: `crate/src/features/README.md`.
 */

/** A token id and how often it occurred. */
export type TokenCount = [id: number, count: number];

/** A token id and a neuron's direct effect on its logit per unit of activation: γ_final[index] · W_U[id, index], less its mean over indices before a LayerNorm. */
export type TokenEffect = [id: number, effect: number];

/** A text in which a neuron was active. */
export interface FeatureExample {
  /** Document of the corpus, from 0. */
  doc: number;
  /** Position in the document. */
  pos: number;
  /** The neuron's value there. */
  value: number;
  /** Position of `ids[0]` in the document. */
  start: number;
  /** Tokens around the position, at most 20. */
  ids: number[];
  /** Where in `ids` the neuron is at least 5 % as large as its maximum (dense: 25 %), here among them: `[offset into ids, value]`. */
  acts: [offset: number, value: number][];
}

/** What the statistics of a neuron have in common, in the index and in its record. */
export interface NeuronScalars {
  /** Share of the counted positions at which it is active (dense: not 0). */
  density: number | null;
  /** Largest value (dense: of the tail that was ranked, signed). */
  max: number | null;
  /** Mean of the active values. */
  mean: number | null;
  /** Dense models only: which tail was ranked, the one with the lower token entropy. */
  tail?: 1 | -1;
  /** Number of top activations used for the entropies, at most {@link FeatureIndex.entropy}`.n`; 0: never active. */
  n: number | null;
  /** Bits; of the types of input tokens at those positions. */
  tokenEntropy: number | null;
  /** Bits; the same over clusters of tokens. */
  semanticEntropy: number | null;
  /** Bits; of the tokens that follow. */
  nextEntropy: number | null;
  /** A guess, made by a rule from the statistics. */
  label: string;
  /** First analyzed training step from which its top tokens stay close to their final distribution. */
  emergence: number | null;
}

/** One neuron at one training step. */
export interface NeuronStep {
  step: number;
  density: number | null;
  max: number | null;
  n: number | null;
  tokenEntropy: number | null;
  semanticEntropy: number | null;
  /** Jensen–Shannon distance of its top tokens to the final ones. */
  jsToFinal: number | null;
  /** At most 10, most frequent first. */
  tokens: TokenCount[];
}

/** What a neuron reads (format 2); `docs/statistics.md` has the definitions. */
export interface NeuronReads {
  label: string;
  /** Whether both halves of the text give the same rule, or sets of tokens that overlap by half. */
  stable: boolean;
  /** Mean over both halves: F1 on the half that the label was not made from. */
  f1: number;
  /** Share of the activations at which the label holds, each counted as one, and by value. */
  recall: number;
  explained: number;
  /** Share of the positions at which the label holds where the neuron is active. */
  precision: number;
  /** Mean of the shares that the label gets right of activations and of other positions; 0.5 is chance. */
  detection: number;
  /** At the strongest 0.1 %, 1 % and 10 % of its activations, and (`share` null) drawn by value from all. */
  shares: { share: number | null; n: number; tokenEntropy: number | null; label: string; f1: number; tokens: TokenCount[] }[];
  /** How many times as often as by chance it is active at `beginning`, `early`, `later`, `quoted`, `sentenceStart`, `sentenceEnd`. */
  places: Record<string, number | null>;
}

/** What a neuron writes, measured by setting it (`topk-lm analyze --writes`). */
export interface NeuronWrites {
  /** Empty: nothing that random neurons of its layer do not write as well. */
  label: string;
  stable: boolean;
  /** To what it was set: its 99th percentile; `…Stronger` is at four times that. */
  value: number;
  /** Nats by which the next token's distribution moves. */
  kl: number;
  klStronger: number;
  /** Tokens that take most of the change, with the change of ln p. */
  up: TokenEffect[];
  down: TokenEffect[];
  upStronger: TokenEffect[];
  /** How many times as much it raises its tokens as the best of 100 random neurons of its layer. */
  specificity: number;
  /** Set to 0 at the prompts where it is active: how many, and nats by which the next token's distribution moves there; `null` at none. */
  ablated?: { prompts: number; kl: number | null };
  /** The largest value at which text stays readable, and its surprise over the model's own. */
  steer: { value: number; surprise: number } | null;
  /** Contrasts of `features/contrasts.json` that it moves most: nats of log odds when set, and where it is ablated. */
  contrasts: [contrast: number, set: number, ablated: number | null][];
}

/** States of stories that a neuron marks best (`topk-lm analyze --states`), and the best F1 if those of another story held: the control. */
export interface NeuronStates {
  best: { state: string; f1: number; precision: number; recall: number }[];
  f1Shuffled: number | null;
}

/** Everything known about one neuron. */
export interface NeuronRecord extends NeuronScalars {
  /** Absent in format 1; `null` for a rare neuron. */
  reads?: NeuronReads | null;
  /** Absent in format 1; `null` where it was not measured. */
  writes?: NeuronWrites | null;
  /** With `--states`. */
  states?: NeuronStates | null;
  layer: number;
  index: number;
  /** Of active values: equal bins over [`min` or 0, `max`]. */
  histogram: { min?: number; max: number; counts: number[] };
  /** Input tokens at the `n` top activations, most frequent first; at most 20. */
  tokens: TokenCount[];
  /** Clusters of those tokens; at most 10. */
  clusters: TokenCount[] | null;
  /** Tokens that follow those positions; at most 10. */
  nextTokens: TokenCount[];
  /** Tokens whose logits it raises most. */
  promoted: TokenEffect[];
  /** Tokens whose logits it lowers most. */
  suppressed: TokenEffect[];
  /** The same index in each layer, its own (1) among them: `[layer, 1 − Jensen–Shannon distance of the top tokens]`. */
  layers: [layer: number, similarity: number | null][];
  examples: {
    /** Top activations, highest first; two from one document only if there are no others. */
    top: FeatureExample[];
    /** From active positions sampled at random: quarters by rank, the one closest to the ranked tail first. */
    quantiles: { from: number; to: number; examples: FeatureExample[] }[];
    random: FeatureExample[];
  };
  /** Over training, ascending; empty if no checkpoints were analyzed. */
  steps: NeuronStep[];
}

/** Columns over all neurons: entry `layers.indexOf(layer) * dModel + index`. */
export interface FeatureColumns {
  density: (number | null)[];
  max: (number | null)[];
  mean: (number | null)[];
  /** Dense models only. */
  tail?: (1 | -1)[];
  n: (number | null)[];
  tokenEntropy: (number | null)[];
  semanticEntropy: (number | null)[];
  nextEntropy: (number | null)[];
  /** Three ids each, most frequent first. */
  topTokens: number[][];
  promoted: number[][];
  suppressed: number[][];
  label: string[];
  emergence: (number | null)[];
  /** Mean similarity of the same index in the other layers, 0 to 1. */
  similarity: (number | null)[];
  /** Format 2: labels of what each reads and writes, and the scores of {@link NeuronReads} and {@link NeuronWrites}. */
  reads?: (string | null)[];
  readsF1?: (number | null)[];
  detection?: (number | null)[];
  /** Clusters of the tokens it reads and writes, three ids at most. */
  clusters?: (number[] | null)[];
  /** With `--writes`. */
  writes?: (string | null)[];
  /** Three ids each. */
  writesUp?: (number[] | null)[];
  writesDown?: (number[] | null)[];
  kl?: (number | null)[];
  specificity?: (number | null)[];
  /** The strong activation, and the largest value at which text stays readable. */
  strong?: (number | null)[];
  steer?: (number | null)[];
  /** With `--states`: the state of a story that it marks best, its F1, and the best F1 with the states of another story. */
  state?: (string | null)[];
  stateF1?: (number | null)[];
  stateShuffled?: (number | null)[];
}

/** `features/index.json`: all neurons at a glance. */
export interface FeatureIndex {
  model: string;
  kind: 'topk' | 'dense';
  dModel: number;
  /** Layers that were analyzed: those with a TopK activation; in a dense model, all. */
  layers: number[];
  topkK: number | null;
  /** Training step of the weights. */
  step: number | null;
  corpus: { files: string[]; documents: number; tokens: number; positions: number; sha256: string };
  /** Tokens, as labels show them, that mostly begin a longer word in the corpus: labels mark them, `kn…`. Empty in older files. */
  beginnings: string[];
  /** `n`: most positions used for an entropy; a neuron with fewer than `rareBelow` is rare. */
  entropy: { n: number; rareBelow: number };
  clusters: { file: string; threshold: number; count: number; source: string } | null;
  columns: FeatureColumns;
  /** Distance below which a neuron counts as emerged. */
  emergenceJs: number;
  /** Training steps that were analyzed, ascending. */
  steps: number[];
}

/** `features/steps/columns.json`: statistics of every neuron at every training step; `[step][neuron]`, neurons as in {@link FeatureColumns}. */
export interface StepColumns {
  steps: number[];
  layers: number[];
  columns: Record<'density' | 'max' | 'n' | 'tokenEntropy' | 'semanticEntropy' | 'jsToFinal', (number | null)[][]>;
}

/** `features/clusters.json`: which tokens the semantic entropy counts as one. */
export interface TokenClusters {
  threshold: number;
  source: string;
  linkage: string;
  /** Cluster of each token id. */
  cluster: number[];
}
