/** Which kind of model this is, which of its blocks are shown, and the hook that holds a block’s hidden state. */
import type { ModelConfig } from 'topk-lm';
import type { NeuronId } from './route';

/** `topk`: blocks keep only their k largest activations. `dense`: every coordinate has a value at every position. */
export type ModelKind = 'topk' | 'dense';

type Layers = Pick<ModelConfig, 'n_layers' | 'n_nontopk' | 'topk_k'>;

const upTo = (n: number): number[] => Array.from({ length: Math.max(0, n) }, (_, layer) => layer);

/** Layers with a TopK activation, whose hidden state is a list of active neurons. */
export function topkLayers({ n_layers, n_nontopk, topk_k }: Layers): number[] {
  return topk_k === null ? [] : upTo(n_layers - n_nontopk);
}

export const kindOf = (config: Layers): ModelKind => (topkLayers(config).length > 0 ? 'topk' : 'dense');

/** Layers whose hidden states are shown: those with a TopK activation; in a dense model, all. */
export const shownLayers = (config: Layers): number[] => (kindOf(config) === 'topk' ? topkLayers(config) : upTo(config.n_layers));

/** Why a model has no such neuron: a sentence; '' if it does. */
export function whyNoNeuron(config: Layers & Pick<ModelConfig, 'd_model'>, { layer, index }: NeuronId): string {
  const { n_layers, d_model } = config;
  if (layer >= n_layers) return `This model has no layer ${layer}; its layers are 0 to ${n_layers - 1}.`;
  if (index >= d_model) return `This model has no index ${index}; its indices are 0 to ${d_model - 1}.`;
  if (shownLayers(config).includes(layer)) return '';
  return `Layer ${layer} of this model has no TopK activation, so it has no active neurons.`;
}

/** Name of the hook that holds the hidden state after a block. */
export const hookOf = (kind: ModelKind | null, layer: number): string =>
  `blocks.${layer}.${kind === 'dense' ? 'hook_resid_post' : 'hook_topk_out'}`;
