/** How much of a text the site reads; what it leaves out, it says. */
import type { TopKLM } from 'topk-lm';
import { count, plural } from './format';

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

/** The ids of a text, as far as a model takes them; of a model without a tokenizer, those that the text names: `1 2 3`. */
export async function encodeToFit(model: TopKLM, text: string): Promise<Fitted> {
  if (!model.config.has_tokenizer) return idsIn(model, beginning(text));
  const all = await model.tokenizer.encode(beginning(text));
  const cut = cutText(text);
  const fitted = fitIds([...all], model, cut ? plural(text.length, 'character') : undefined);
  return { ids: fitted.ids, cut: fitted.cut || cut };
}

/** What a model without a tokenizer reads where no ids were entered. */
const FIRST_IDS = [1, 2, 3, 4, 5, 6, 7, 8];

function idsIn(model: TopKLM, text: string): Fitted {
  const { d_vocab } = model.config;
  const words = text.split(/[\s,]+/).filter(Boolean);
  const ids = words.map(Number);
  if (words.length > 0 && ids.every((id, at) => /^\d+$/.test(words[at]!) && id < d_vocab)) return fitIds(ids, model);
  const shown = FIRST_IDS.filter((id) => id < d_vocab);
  const cut = `The model has no tokenizer.json, so it reads token ids below ${count(d_vocab)}, not text: ${shown.join(' ')} until you enter others.`;
  return { ids: shown, cut };
}

/** Ids as text; the ids themselves where a model has no tokenizer. */
export const textOf = (model: TopKLM, ids: readonly number[]): Promise<string> =>
  model.config.has_tokenizer ? model.tokenizer.decode(ids) : Promise.resolve(ids.map((id) => ` ⟨${id}⟩`).join(''));

const sentence = (size: string, limit: string): string => `The text has ${size}, but ${limit}: the rest is left out.`;
