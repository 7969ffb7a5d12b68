/** Loads the record of one neuron; the previous one stays, marked as old, until the next arrives. */
import type { Features, NeuronRecord } from 'topk-lm';
import { problemOf, whyUnread } from './problem';
import type { NeuronId } from './route';
import type { Phase } from './session.svelte';

export class RecordReader {
  readonly #features: () => Features | null;
  readonly #neuron: () => NeuronId;
  #read = $state.raw<{ record: NeuronRecord; of: Features } | null>(null);
  /** Why there is none: a sentence. */
  missing = $state<string | null>(null);
  /** Whether that is because the server has another file by now. */
  isReplaced = $state(false);

  /** Create it while a component initializes; the results of the functions may change. */
  constructor(features: () => Features | null, neuron: () => NeuronId) {
    this.#features = features;
    this.#neuron = neuron;
    $effect(() => this.#follow());
  }

  get record(): NeuronRecord | null {
    return this.#read?.record ?? null;
  }

  /** Whether the record is that of the neuron and the model asked for. */
  get isCurrent(): boolean {
    const { layer, index } = this.#neuron();
    return (
      this.#read !== null && this.#read.of === this.#features() && this.#read.record.layer === layer && this.#read.record.index === index
    );
  }

  /** Why there is no record yet: a sentence. Nothing is read of a model on another site before the reader agrees. */
  pending(phase: Phase): string {
    if (this.#features() === null && phase === 'asking') return 'Its statistics come with the model, which is not downloaded yet.';
    if (this.#features() === null && phase === 'failed') return 'Its statistics could not be read.';
    return 'Loading its statistics.';
  }

  #follow(): (() => void) | undefined {
    const of = this.#features();
    const { layer, index } = this.#neuron();
    this.missing = null;
    this.isReplaced = false;
    if (!of) return;
    const controller = new AbortController();
    of.neuron(layer, index, { signal: controller.signal }).then(
      (record) => {
        this.#read = { record, of };
      },
      (error: unknown) => {
        if (controller.signal.aborted) return;
        this.#read = null;
        const message = whyUnread(error);
        this.missing = message.replace(/^[a-z](?=[a-z’']*[ ,])/, (letter) => letter.toUpperCase()); // not an address or a file's name
        this.isReplaced = problemOf(error).code === 'integrity';
      },
    );
    return () => controller.abort();
  }
}
