/** One text as it is written, and the neurons read from it. */
import type { ActiveRows, Edit, FinishReason, TopKLM } from 'topk-lm';
import { hookName, topkLayers } from './activity';
import { isAbort } from './problem';

export interface Sampling {
  seed: number;
  temperature: number;
  maxTokens: number;
}

export class Story {
  /** [T] prompt and new tokens. */
  ids = $state.raw<number[]>([]);
  /** [T] each token alone. */
  tokens = $state.raw<string[]>([]);
  promptLength = $state(0);
  edits = $state.raw<Edit[]>([]);
  /** Why the writing ended; `null` while it goes on. */
  finish = $state<FinishReason | 'stopped' | null>(null);
  /** From the call to the last token, the prompt included; s. */
  seconds = $state(0);
  /** By layer: active neurons of the first `rows[layer].shape[0]` positions; `null` until read. */
  rows = $state.raw<ReadonlyMap<number, ActiveRows> | null>(null);

  get newTokens(): number {
    return this.ids.length - this.promptLength;
  }

  /** New tokens a second, `null` before the second one. */
  get speed(): number | null {
    return this.newTokens > 1 && this.seconds > 0 ? this.newTokens / this.seconds : null;
  }

  clear(): void {
    this.ids = [];
    this.tokens = [];
    this.promptLength = 0;
    this.edits = [];
    this.finish = null;
    this.seconds = 0;
    this.rows = null;
  }

  /** Writes until the end, or until `signal` says stop: what was written by then stays. */
  async write(model: TopKLM, prompt: Uint32Array, sampling: Sampling, edits: Edit[], signal: AbortSignal): Promise<void> {
    this.clear();
    this.edits = edits;
    this.ids = [...prompt];
    this.tokens = await model.tokenizer.tokens(prompt);
    this.promptLength = prompt.length;
    const began = performance.now();
    const generation = model.generate(prompt, { ...sampling, edits, signal });
    try {
      for await (const { id, text } of generation) {
        this.ids = [...this.ids, id];
        this.tokens = [...this.tokens, text];
        this.seconds = (performance.now() - began) / 1000;
      }
      this.finish = generation.finish;
    } catch (error) {
      this.finish = 'stopped';
      if (!isAbort(error)) throw error;
    }
    // While it streams, a character that spans tokens appears with the last of them; now each token has its own text.
    this.tokens = await model.tokenizer.tokens(this.ids);
  }

  /** Reads the active neurons of every position by one pass over the whole text, under the same edits. */
  async read(model: TopKLM, signal: AbortSignal): Promise<void> {
    // The last new token may lie one beyond the context: it was never read back in.
    const ids = this.ids.slice(0, model.config.n_ctx);
    this.rows = await readRows(model, ids, this.edits, this.promptLength, signal);
  }
}

/** Active neurons of all TopK layers. */
export async function readRows(
  model: TopKLM,
  ids: number[],
  edits: Edit[],
  promptLength: number,
  signal: AbortSignal,
): Promise<Map<number, ActiveRows>> {
  const layers = topkLayers(model.config);
  if (layers.length === 0) return new Map();
  const { hooks } = await model.run(ids, { hooks: layers.map(hookName), edits, promptLength, logits: 'none', signal });
  return new Map(layers.map((layer) => [layer, hooks[hookName(layer)]!]));
}
