/** What a model folder contains, and what each page of the site can do with it. */
import type { App } from './app.svelte';
import { isAbort } from './problem';

export type State = 'there' | 'missing' | 'unknown';

export interface Item {
  page: string;
  what: string;
  state: State;
  /** What the page does, or how to make what is missing. */
  note: string;
}

const MAKE_FEATURES = 'topk-lm analyze --model DIR --corpus TEXT.txt --out DIR/features';

export class Inventory {
  readonly #app: App;
  features = $state<State>('unknown');
  steps = $state<State>('unknown');
  training = $state<State>('unknown');
  recipes = $state<State>('unknown');
  /** An error other than a missing file. */
  fault = $state('');

  constructor(app: App) {
    this.#app = app;
  }

  /** Looks again, after another model was chosen. */
  async look(signal: AbortSignal): Promise<void> {
    Object.assign(this, { features: 'unknown', steps: 'unknown', training: 'unknown', recipes: 'unknown', fault: '' });
    const { features, folder } = this.#app.session;
    if (!features || !folder) return;
    try {
      const index = await features.index({ signal });
      this.features = 'there';
      this.steps = index.steps.length > 0 ? 'there' : 'missing';
    } catch (error) {
      if (isAbort(error)) return;
      this.features = 'missing';
      this.steps = 'missing';
      if ((error as { code?: string }).code !== 'no-features') this.fault = error instanceof Error ? error.message : String(error);
    }
    for (const name of ['training', 'recipes'] as const) {
      try {
        this[name] = (await folder.file(`${name}.json`, { signal })) ? 'there' : 'missing';
      } catch (error) {
        if (isAbort(error)) return;
        this[name] = 'missing';
      }
    }
  }

  get items(): Item[] {
    const { model, steps, kind, isOwn } = this.#app.session;
    const loaded: State = model ? 'there' : 'unknown';
    const isDense = kind === 'dense';
    const tokenizer: State = model ? (model.config.has_tokenizer ? 'there' : 'missing') : 'unknown';
    const checkpoints: State = steps.length > 0 ? 'there' : model ? 'missing' : 'unknown';
    return [
      {
        page: 'Explore, Steer',
        what: 'config.json and model.safetensors',
        state: loaded,
        note: isDense
          ? 'The model is dense: you can run, read and steer it, but it has no TopK and so no lists of active neurons.'
          : 'Run, read and steer the model.',
      },
      {
        page: 'Explore, Steer',
        what: 'tokenizer.json',
        state: tokenizer,
        note: 'Text; without it, you enter token ids, such as 1 2 3. Export it from the model’s tokenizer.',
      },
      {
        page: 'Neuron, Browse',
        what: 'features/',
        state: this.features,
        note:
          this.features === 'missing'
            ? `Compute them in this tab, on Browse; or: ${MAKE_FEATURES}`
            : isOwn
              ? 'Computed in this tab; Browse exports or deletes them.'
              : 'Labels, entropies and examples; on Steer, the search and strengths relative to the maximum.',
      },
      {
        page: 'Trace',
        what: 'features/steps/',
        state: this.steps,
        note: this.steps === 'missing' ? `To make it: ${MAKE_FEATURES} --checkpoints` : 'Emergence and both heat maps.',
      },
      {
        page: 'Trace',
        what: 'step folders (step100/model.safetensors, …)',
        state: checkpoints,
        note:
          checkpoints === 'missing'
            ? 'Save checkpoints during training, one folder per step, and list them in manifest.json.'
            : 'The checkpoint slider and the replay.',
      },
      {
        page: 'Trace',
        what: 'training.json',
        state: this.training,
        note: this.training === 'missing' ? 'To make it: write {"loss": [[step, nats], …]} from the training log.' : 'The loss curve.',
      },
      {
        page: 'Steer',
        what: 'recipes.json',
        state: this.recipes,
        note:
          this.recipes === 'missing'
            ? 'Optional. To make it: topk-lm steer --model DIR --words … --out DIR/recipes.json'
            : 'Ready-made recipes.',
      },
    ];
  }
}
