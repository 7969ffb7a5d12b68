/** How much of a text the site reads; what it leaves out, it says. */
import type { TopKLM } from 'topk-lm';
import { plural } from './format';

/** Most characters of a typed text, or of one in an address. */
export const MAX_TEXT = 200_000;

/** Most tokens of a text, where the model would take more. */
export const MAX_TOKENS = 32_768;

export interface Fitted {
  ids: number[];
  /** What was left out: a sentence; '' for nothing. */
  cut: string;
}

/** The beginning of a text that is read; no half of a character at its end. */
export function beginning(text: string): string {
  return text.length <= MAX_TEXT ? text : text.slice(0, MAX_TEXT).replace(/[\ud800-\udbff]$/, '');
}

/** Says that only the beginning of a text is read; '' where all of it is. */
export const cutText = (text: string): string =>
  text.length > MAX_TEXT ? sentence(plural(text.length, 'character'), `this site reads at most ${plural(MAX_TEXT, 'character')}`) : '';

/** The ids that a model takes. @param model - `null`: not loaded yet */
export function fitIds(ids: readonly number[], model: TopKLM | null, size = plural(ids.length, 'token')): Fitted {
  const context = model?.config.n_ctx ?? MAX_TOKENS;
  if (ids.length <= Math.min(context, MAX_TOKENS)) return { ids: [...ids], cut: '' };
  if (context <= MAX_TOKENS && model)
    return { ids: ids.slice(0, context), cut: sentence(size, `this model takes at most ${plural(context, 'token')}`) };
  return { ids: ids.slice(0, MAX_TOKENS), cut: sentence(size, `this site reads at most ${plural(MAX_TOKENS, 'token')}`) };
}

/** The ids of a text, as far as a model takes them. */
export async function encodeToFit(model: TopKLM, text: string): Promise<Fitted> {
  const all = await model.tokenizer.encode(beginning(text));
  const cut = cutText(text);
  const fitted = fitIds([...all], model, cut ? plural(text.length, 'character') : undefined);
  return { ids: fitted.ids, cut: fitted.cut || cut };
}

const sentence = (size: string, limit: string): string => `The text has ${size}, but ${limit}: the rest is left out.`;
