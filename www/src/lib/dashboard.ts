/**
 * Neurons in the keys of SAEDashboard's Neuronpedia files (`NeuronpediaDashboardBatch` of sae-dashboard 0.8.0, one batch a layer), so that
 * tools which read those read ours. What does not exist for a neuron of a TopK LM (correlated features, decoder weights) is left empty.
 */
import type { FeatureExample, NeuronRecord } from 'topk-lm';
import { tokenText } from './neurons';

/** One neuron. */
export function dashboardFeature(record: NeuronRecord, vocabulary: readonly string[] | null) {
  const text = (id: number) => tokenText(vocabulary, id);
  const { min = 0, max, counts } = record.histogram;
  const bin = (max - min) / Math.max(1, counts.length);
  const { top, quantiles, random } = record.examples;
  const activations = [
    // The same marks as `topk-lm analyze --export` writes: −1, the maximum, −1 for the highest ones; else the values shown and their share.
    ...top.map((example) => activation(example, -1, record.max ?? 0, -1)),
    ...quantiles.flatMap(({ from, to, examples }) => {
      const values = examples.map(({ value }) => value);
      return examples.map((example) => activation(example, Math.min(...values), Math.max(...values), to - from));
    }),
    ...random.map((example) => activation(example, min, max, 1)),
  ];
  function activation(example: FeatureExample, binMin: number, binMax: number, contains: number) {
    const values: number[] = example.ids.map(() => 0);
    for (const [offset, value] of example.acts) values[offset] = value;
    return {
      bin_min: binMin,
      bin_max: binMax,
      bin_contains: contains,
      qualifying_token_index: example.pos - example.start,
      tokens: example.ids.map(text),
      values,
    };
  }
  return {
    feature_index: record.index,
    neuron_alignment_indices: [],
    neuron_alignment_values: [],
    neuron_alignment_l1: [],
    correlated_neurons_indices: [],
    correlated_neurons_l1: [],
    correlated_neurons_pearson: [],
    correlated_features_indices: [],
    correlated_features_l1: [],
    correlated_features_pearson: [],
    neg_str: record.suppressed.map(([id]) => text(id)),
    neg_values: record.suppressed.map(([, effect]) => effect),
    pos_str: record.promoted.map(([id]) => text(id)),
    pos_values: record.promoted.map(([, effect]) => effect),
    frac_nonzero: record.density ?? 0,
    freq_hist_data_bar_values: counts.map((_, place) => min + (place + 0.5) * bin),
    freq_hist_data_bar_heights: counts,
    logits_hist_data_bar_heights: [],
    logits_hist_data_bar_values: [],
    decoder_weights_dist: [],
    activations,
  };
}

/** Neurons of one layer. */
export function dashboardBatch(model: string, layer: number, records: readonly NeuronRecord[], vocabulary: readonly string[] | null) {
  return {
    model_id: model,
    layer,
    sae_set: `${model}-neurons`,
    sae_id_suffix: null,
    features: records.map((record) => dashboardFeature(record, vocabulary)),
  };
}
