/** A real hidden state at one token: the input of a block's TopK activation. */
import type { Features, TopKLM } from 'topk-lm';

export interface HiddenState {
  text: string;
  /** The token at which it was read. */
  token: string;
  layer: number;
  /** k of the model. */
  k: number;
  select: 'value' | 'abs';
  /** What becomes of what was kept: with `relu`, values below 0 become 0 and still count towards k. */
  post: 'identity' | 'relu';
  /** [d_model] before TopK. */
  values: readonly number[];
}

/** The one stored with the model (`hidden_state.json`); `null`: there is none. */
export async function storedState(features: Features, signal: AbortSignal): Promise<HiddenState | null> {
  const blob = await features.file('hidden_state.json', { signal });
  if (!blob) return null;
  const { text, token, layer, k, select, post, values } = JSON.parse(await blob.text()) as Partial<HiddenState>;
  const isComplete = typeof text === 'string' && typeof token === 'string' && typeof layer === 'number' && typeof k === 'number';
  if (!isComplete || !Array.isArray(values) || !values.every(Number.isFinite)) throw new Error('hidden_state.json lacks a field.');
  return { text, token, layer, k, select: select === 'abs' ? 'abs' : 'value', post: post === 'relu' ? 'relu' : 'identity', values };
}

/** Read from the loaded model at the last token of a text, which has these ids. */
export async function readState(
  model: TopKLM,
  text: string,
  ids: readonly number[],
  layer: number,
  signal: AbortSignal,
): Promise<HiddenState> {
  const { topk_k: k, topk_select: select, topk_post: post, d_model: width } = model.config;
  const hook = `blocks.${layer}.hook_topk_in` as const;
  const { tokens, hooks } = await model.run(ids, { hooks: [hook], logits: 'none', signal });
  const { data, shape } = hooks[hook]!;
  const last = shape[0]! - 1;
  const values = [...data.subarray(last * width, (last + 1) * width)];
  return { text, token: tokens?.[last] ?? `#${ids[last]}`, layer, k: k ?? width, select, post, values };
}

/**
 * Indices of the first k entries in the TopK order, for a picture of finite numbers; the rule for all bit patterns is the engine's
 * (`crate/src/numerics/order.rs`).
 */
export function keptOf({ values, select }: Pick<HiddenState, 'values' | 'select'>, k: number): number[] {
  const key = select === 'abs' ? (index: number) => Math.abs(values[index]!) : (index: number) => values[index]!;
  return [...values.keys()].sort((a, b) => key(b) - key(a) || a - b).slice(0, k);
}

/** Of the kept ones, those that the next block sees. */
export const leftOf = ({ values, post }: HiddenState, kept: readonly number[]): number[] =>
  kept.filter((index) => post === 'identity' || values[index]! > 0);
