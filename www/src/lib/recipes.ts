/** Ready-made recipes of a model, found by measurement: `recipes.json` of its folder. */
import type { Features } from 'topk-lm';
import { ACTIONS, type FullEdit } from './edits';
import { numberOf } from './values';

export interface Recipe {
  concept: string;
  /** What counts as the concept. */
  words: string[];
  edit: FullEdit;
  /** Words of the concept per text, mean over the test prompts: without and with the edit. */
  baseRate: number | null;
  steeredRate: number | null;
  /** Share of the test texts in which the edit worked. */
  success: number | null;
  /** Mean −ln p per token of the steered texts under the judge, divided by that of the unmodified model's texts. */
  nllRatio: number | null;
  /** The model whose surprise is measured; '' where the file does not say. */
  judge: string;
  /** Tokens per text; `null` where the file does not say. */
  tokens: number | null;
  /** Whether the texts stay readable: their surprise is hardly larger. */
  gentle: boolean;
}

/** Recipes by price: those whose texts still read, and the strong ones. */
export function byPrice(recipes: readonly Recipe[]): { gentle: Recipe[]; strong: Recipe[] } {
  return { gentle: recipes.filter(({ gentle }) => gentle), strong: recipes.filter(({ gentle }) => !gentle) };
}

/** The recipes; none where the model has no such file. */
export async function readRecipes(features: Features, signal: AbortSignal): Promise<Recipe[]> {
  const blob = await features.file('recipes.json', { signal });
  if (!blob) return [];
  const entries: unknown = JSON.parse(await blob.text());
  if (!Array.isArray(entries)) throw new Error('recipes.json must hold a list of recipes.');
  return entries.flatMap((entry: Record<string, unknown>) => {
    const recipe = recipeOf(entry);
    return recipe ? [recipe] : [];
  });
}

/** `null`: not a recipe. */
function recipeOf(entry: Record<string, unknown>): Recipe | null {
  const { concept, words, action } = entry;
  const [layer, index, value] = [entry.layer, entry.index, entry.value].map(numberOf);
  if (typeof concept !== 'string' || !Array.isArray(words) || layer == null || index == null) return null;
  const known = ACTIONS.find((name) => name === action);
  if (!known || (value == null && known !== 'ablate')) return null;
  const { positions } = entry;
  return {
    concept,
    words: words.filter((word) => typeof word === 'string').map((word) => word.toLowerCase()),
    edit: {
      layer,
      index,
      action: known,
      value: value ?? 0,
      site: entry.site === 'topk_in' ? 'topk_in' : 'topk_out',
      positions: positions === 'prompt' || positions === 'generated' ? positions : 'all',
      propagate: entry.propagate === 'from_layer' ? 'from_layer' : 'layer',
    },
    baseRate: numberOf(entry.base_rate),
    steeredRate: numberOf(entry.steered_rate),
    success: numberOf(entry.success),
    nllRatio: numberOf(entry.nll_ratio),
    judge: typeof entry.judge === 'string' ? entry.judge : '',
    tokens: numberOf(entry.tokens),
    gentle: entry.gentle === true,
  };
}
