/** What neurons are called at a training step other than that of the statistics: the tokens at their top activations then, read as they are needed. */
import type { Features } from 'topk-lm';
import { tokenText } from './neurons';
import { formatNeuron, type NeuronId } from './route';

/** Tokens in a name. */
const MOST = 3;

export class StepLabels {
  /** By neuron; '' where nothing is known. */
  #labels = $state.raw<ReadonlyMap<string, string>>(new Map());
  #of: { features: Features; step: number } | null = null;
  #asked = new Set<string>();

  of(neuron: NeuronId): string {
    return this.#labels.get(formatNeuron(neuron)) ?? '';
  }

  /** Reads what is not known yet. */
  async read(features: Features, step: number, neurons: readonly NeuronId[], vocabulary: readonly string[] | null): Promise<void> {
    if (this.#of?.features !== features || this.#of.step !== step) {
      this.#of = { features, step };
      this.#asked = new Set();
      this.#labels = new Map();
    }
    const of = this.#of;
    const missing = neurons.filter((neuron) => !this.#asked.has(formatNeuron(neuron)));
    for (const neuron of missing) this.#asked.add(formatNeuron(neuron));
    const found = await Promise.all(
      missing.map(async ({ layer, index }): Promise<[string, string]> => {
        const record = await features.neuron(layer, index).catch(() => null); // without a name, its index is shown
        const tokens = record?.steps.find((each) => each.step === step)?.tokens ?? [];
        const texts = tokens.slice(0, MOST).map(([id]) => tokenText(vocabulary, id).trim() || '␣');
        return [formatNeuron({ layer, index }), texts.join(', ')];
      }),
    );
    if (this.#of === of && found.length > 0) this.#labels = new Map([...this.#labels, ...found]);
  }
}
