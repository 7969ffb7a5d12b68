/** Texts that a model writes by itself, for statistics over what it says without a text of others. */
import type { TopKLM } from 'topk-lm';

/** Most new tokens of one. */
const MOST = 256;
/** How a text begins where the model has no token for the beginning. */
const BEGINNINGS = ['The', 'One day', 'In', 'It was', 'There', 'I'];

/** The ids of a text: prompt and new tokens, drawn as the model's defaults say. The same number gives the same text. */
export async function writeOne(model: TopKLM, number: number, signal: AbortSignal): Promise<number[]> {
  const { bos_token_id: bos, has_tokenizer, n_ctx, d_vocab } = model.config;
  const beginning = has_tokenizer ? BEGINNINGS[number % BEGINNINGS.length]! : [number % d_vocab];
  const stream = model.generate(bos === null ? beginning : [bos], { maxTokens: Math.min(MOST, n_ctx - 1), seed: number, signal });
  const ids: number[] = [];
  for await (const { id } of stream) ids.push(id);
  return [...(stream.promptIds ?? []), ...ids];
}
