/** The start page's switch: the stored example, and the same for the reader's own words once the model is there. */
import { untrack } from 'svelte';
import type { App } from '../app.svelte';
import { encodeToFit } from '../fit';
import { count } from '../format';
import { isAbort } from '../problem';
import { type Comparison, compare, NEW_TOKENS, sameTexts } from './compare';
import { type Example, readExample } from './example';

/** How long typing must pause before the model continues it (ms). */
const PAUSE = 300;

export class Demo {
  readonly #app: App;
  example = $state.raw<Example | null>(null);
  /** Whether it is known what the model has. */
  isRead = $state(false);
  prompt = $state('');
  shown = $state.raw<Comparison | null>(null);
  /** The words that {@link shown} continues. */
  shownPrompt = $state('');
  /** The token behind which they are continued; of what is stored, the last word. */
  shownToken = $state('');
  /** Says that only the end of the words was read; '' where all of them were. */
  cut = $state('');
  /** Of {@link shown}: stored with the site, computed here, or computed here and the same as what is stored. */
  origin = $state<'stored' | 'live' | 'same'>('stored');
  busy = $state(false);
  /** Whether the words in the box could not be continued. */
  failed = $state(false);
  /** Whether what is shown continues other words than those in the box. */
  isOld = $derived.by(() => this.shown !== null && this.shownPrompt !== this.prompt);

  constructor(app: App) {
    this.#app = app;
  }

  /** Reads what is stored with the model: return its result from an effect. */
  open(): (() => void) | undefined {
    const { entry } = this.#app;
    if (!entry) return undefined;
    const abort = new AbortController();
    untrack(() => {
      this.example = null;
      this.shown = null;
    });
    readExample(entry, abort.signal)
      .then(
        (example) => {
          this.example = example;
          this.prompt = this.#app.router.route.params.say || example?.prompt || '';
          if (example) this.#show(example.stored, 'stored', example.prompt);
        },
        (error) => {
          this.#app.session.reportFile(error);
        },
      )
      .finally(() => {
        if (!abort.signal.aborted) this.isRead = true;
      });
    return () => abort.abort();
  }

  #show(shown: Comparison, origin: Demo['origin'], prompt: string, token = prompt.trim().split(/\s+/).at(-1) ?? '', cut = ''): void {
    this.shown = shown;
    this.shownPrompt = prompt;
    this.shownToken = token;
    this.cut = cut;
    this.origin = origin;
  }

  /** Continues the prompt with the model, if its final weights are in place: return its result from an effect. */
  follow(): (() => void) | undefined {
    const { example, prompt } = this;
    this.failed = false;
    const { model, step } = this.#app.session;
    if (!example || !model || step !== null || prompt.trim() === '') return undefined;
    const abort = new AbortController();
    const isStored = prompt === example.prompt;
    const timer = setTimeout(() => void this.#run(example, prompt, isStored, abort.signal), isStored ? 0 : PAUSE);
    return () => {
      clearTimeout(timer);
      abort.abort();
      this.busy = false;
    };
  }

  async #run(example: Example, prompt: string, isStored: boolean, signal: AbortSignal): Promise<void> {
    const { session } = this.#app;
    const { model } = session;
    if (!model) return;
    this.busy = true;
    try {
      // Words begin with their space: behind one, hardly any word would come.
      const words = prompt.trimEnd();
      const all = model.config.has_tokenizer ? [...(await model.tokenizer.encode(words))] : (await encodeToFit(model, words)).ids;
      const { ids, cut } = endOf(all, model.config.n_ctx - NEW_TOKENS, model.config.bos_token_id);
      const result = await compare(model, ids, example.edit, signal);
      const [token] = await model.tokenizer.tokens(ids.slice(-1));
      if (signal.aborted) return;
      this.#show(result, isStored && sameTexts(result, example.stored) ? 'same' : 'live', prompt, token, cut);
    } catch (error) {
      if (isAbort(error)) return;
      if (!signal.aborted) this.failed = true;
      session.report(error);
    } finally {
      if (!signal.aborted) this.busy = false;
    }
  }
}

/** The end of a text, which the reader sees continued, as far as there is room for it; the start token stays in front. */
function endOf(ids: readonly number[], room: number, start: number | null): { ids: readonly number[]; cut: string } {
  if (ids.length <= room) return { ids, cut: '' };
  const first = ids[0] === start ? ids.slice(0, 1) : [];
  const read = ids.slice(ids.length - room + first.length);
  return {
    ids: [...first, ...read],
    cut: `Of your words’ ${count(ids.length - first.length)} tokens the model reads the last ${count(read.length)}.`,
  };
}
