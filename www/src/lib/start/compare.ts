/**
 * A prompt with and without one neuron set: the next token's probabilities, greedy continuations, and the active neurons of the layer. The start
 * page's stored example is made by this too (scripts/make-start.mjs).
 */
import type { TopKLM } from 'topk-lm';
import { type Active, rowAt } from '../activity';
import { likeliest } from '../distribution';
import { engineEdit, type FullEdit } from '../edits';

/** New tokens of a continuation. */
export const NEW_TOKENS = 28;

/** Of each side so many of the most likely next tokens are shown. */
const MOST = 4;

export interface Side {
  /** Probability of each of {@link Comparison.next}. */
  next: readonly number[];
  /** New tokens. */
  text: readonly string[];
  /** Active neurons of the edit's layer at the prompt's last token, by index. */
  list: readonly Active[];
}

export interface Comparison {
  /** Texts of likely next tokens. */
  next: readonly string[];
  before: Side;
  after: Side;
}

export async function compare(model: TopKLM, ids: readonly number[], edit: FullEdit, signal?: AbortSignal): Promise<Comparison> {
  const hook = `blocks.${edit.layer}.hook_topk_out` as const;
  const edits = [engineEdit(edit, { promptLength: ids.length, context: model.config.n_ctx })];
  const read = async (with_: typeof edits) => {
    const { logits, hooks } = await model.run(ids, { hooks: [hook], edits: with_, logits: 'last', signal });
    return { logits: logits!.data, list: rowAt(hooks[hook]!, ids.length - 1) };
  };
  const write = async (with_: typeof edits) => {
    const ended = [];
    for await (const { id } of model.generate(ids, { temperature: 0, maxTokens: NEW_TOKENS, edits: with_, signal })) ended.push(id);
    const stops = model.config.eos_token_ids;
    return model.tokenizer.tokens(ended.filter((id) => !stops.includes(id)));
  };
  const [before, after] = [await read([]), await read(edits)];
  const shown = [...new Set([before, after].flatMap(({ logits }) => likeliest(logits, MOST).top.map(({ id }) => id)))];
  const side = async ({ logits, list }: typeof before, with_: typeof edits): Promise<Side> => ({
    next: shown.map((id) => Math.exp(likeliest(logits, 0, id).wanted!)),
    text: await write(with_),
    list,
  });
  return { next: await model.tokenizer.tokens(shown), before: await side(before, []), after: await side(after, edits) };
}

/** Whether two comparisons show the same texts. */
export function sameTexts(a: Comparison, b: Comparison): boolean {
  return (['before', 'after'] as const).every((side) => a[side].text.join('\0') === b[side].text.join('\0'));
}
