/** Ready-made recipes of a model, found by measurement: `recipes.json` of its folder. */
import type { Features } from 'topk-lm';
import { MAX_EDITS } from './address';
import { ACTIONS, type FullEdit } from './edits';
import { clipped, megabytes } from './format';
import { isObject, numberOf } from './values';

export interface Recipe {
  concept: string;
  /** What counts as the topic. */
  words: string[];
  /** One neuron, or a set that acts together. */
  edits: readonly FullEdit[];
  /** Words of the topic per text, mean over the test prompts: without and with the edit. */
  baseRate: number | null;
  steeredRate: number | null;
  /** The same with as many neurons at random. */
  controlRate: number | null;
  /** Share of the test texts in which it shows. */
  success: number | null;
  /** Mean −ln p per token of the steered texts under the judge, divided by that of the unmodified model's texts. */
  nllRatio: number | null;
  /** The model whose surprise is measured; '' where the file does not say. */
  judge: string;
  /** Tokens per text; `null` where the file does not say. */
  tokens: number | null;
  /** Prompts on which it was tried; none where the file does not say. */
  prompts: readonly string[];
  /** Whether the texts stay readable: their surprise is hardly larger. */
  gentle: boolean;
}

/** How often it shows, in words; '' where that was not measured. */
export function showsIn({ success }: Recipe): string {
  if (success === null) return '';
  const tenths = Math.round(10 * success);
  if (tenths === 0) return 'shows in hardly any text';
  return tenths === 10 ? 'shows in nearly every text' : `shows in ${tenths} of 10 texts`;
}

/** Prompts on which recipes were tried, the page's own first if it is one of them. */
export function provenPrompts(recipes: readonly Recipe[], own: string): string[] {
  const prompts = new Set(recipes.flatMap((recipe) => recipe.prompts));
  return [...(prompts.has(own) ? [own] : []), ...[...prompts].filter((prompt) => prompt !== own)];
}

/** Recipes by price: those whose texts stay readable, and the strong ones. */
export function byPrice(recipes: readonly Recipe[]): { gentle: Recipe[]; strong: Recipe[] } {
  return { gentle: recipes.filter(({ gentle }) => gentle), strong: recipes.filter(({ gentle }) => !gentle) };
}

/** Most recipes that are read. */
const MOST = 1000;
/** Largest file that is read, in bytes: a larger one would stall the page before its recipes can be counted. */
const MOST_BYTES = 16e6;

/** The first recipes, and how many more the file has; none where the model has no such file. */
export async function readRecipes(features: Features, signal: AbortSignal): Promise<{ recipes: Recipe[]; left: number }> {
  const blob = await features.file('recipes.json', { signal });
  if (!blob) return { recipes: [], left: 0 };
  if (blob.size > MOST_BYTES) throw new Error(`recipes.json has ${megabytes(blob.size)}, but at most ${megabytes(MOST_BYTES)} are read.`);
  const entries: unknown = JSON.parse(await blob.text());
  if (!Array.isArray(entries)) throw new Error('recipes.json must hold a list of recipes.');
  const recipes = entries.slice(0, MOST).flatMap((entry: unknown) => (isObject(entry) && recipeOf(entry)) || []);
  return { recipes, left: Math.max(0, entries.length - MOST) };
}

/** `null`: not a recipe. */
function recipeOf(entry: Record<string, unknown>): Recipe | null {
  const { concept, words, prompts } = entry;
  if (typeof concept !== 'string' || !Array.isArray(words)) return null;
  const given: unknown[] = Array.isArray(entry.edits) ? entry.edits : [entry];
  if (given.length === 0 || given.length > MAX_EDITS) return null;
  const edits = given.map(editOf);
  if (edits.includes(null)) return null;
  return {
    concept: clipped(concept),
    words: textsOf(words).map((word) => word.toLowerCase()),
    edits: edits as FullEdit[],
    baseRate: numberOf(entry.base_rate),
    steeredRate: numberOf(entry.steered_rate),
    controlRate: numberOf(entry.control_rate),
    success: numberOf(entry.success),
    nllRatio: numberOf(entry.nll_ratio),
    judge: typeof entry.judge === 'string' ? clipped(entry.judge) : '',
    tokens: numberOf(entry.tokens),
    prompts: Array.isArray(prompts) ? textsOf(prompts) : [],
    gentle: entry.gentle === true,
  };
}

const textsOf = (values: unknown[]): string[] => values.filter((value) => typeof value === 'string');

/** Where an edit of a recipe may apply. */
const POSITIONS = ['all', 'prompt', 'generated', 'next'] as const;

/** `null`: not an edit of a neuron, or one that Steer has no form for. */
export function editOf(given: unknown): FullEdit | null {
  const { action, positions, site, propagate, ...rest } = (given ?? {}) as Record<string, unknown>;
  const [layer, index, value] = [rest.layer, rest.index, rest.value].map(numberOf);
  const known = ACTIONS.find((name) => name === action);
  if (layer == null || index == null || !known || (value == null && known !== 'ablate')) return null;
  const at = POSITIONS.find((name) => name === (positions ?? 'all'));
  if (!at) return null; // a range, say: elsewhere it would be another edit
  return {
    layer,
    index,
    action: known,
    value: value ?? 0,
    site: site === 'topk_in' ? 'topk_in' : 'topk_out',
    positions: at,
    propagate: propagate === 'from_layer' ? 'from_layer' : 'layer',
  };
}
