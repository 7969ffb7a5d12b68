/** What the start page shows of a model: `start.json` of its folder, by scripts/make-start.mjs. */
import type { FullEdit } from '../edits';
import { getJson, SiteFileError } from '../get';
import type { ModelEntry } from '../models';
import { editOf } from '../recipes';
import { isObject, isText, numberOf } from '../values';
import type { Comparison, Side } from './compare';

/** A neuron that turns one contrast, and how it was measured (features/switches.json). */
export interface SwitchFigures {
  kind: 'switch';
  /** `was / were` */
  contrast: string;
  /** Change of the log odds, nats, and the largest that one of 100 random neurons of the layer makes. */
  effect: number;
  control: number;
  times: number;
  /** Surprise of the texts it writes at the largest value at which they read, as a multiple of the model’s own. */
  surprise: number;
}

/** A neuron that brings words of a topic, and how it was measured (recipes.json). */
export interface RecipeFigures {
  kind: 'recipe';
  /** Words of the topic per text, without and with the edit. */
  baseRate: number;
  steeredRate: number;
  tokens: number;
  /** Share of the test texts in which it shows. */
  success: number;
  /** Surprise of the texts under another model, as a multiple of that of texts without the edit. */
  surprise: number;
}

export interface Example {
  /** What the neuron does, as its measurement calls it: `were → was`, `house`. */
  name: string;
  /** By the statistics; '' where it has none. */
  label: string;
  edit: FullEdit;
  prompt: string;
  figures: SwitchFigures | RecipeFigures;
  stored: Comparison;
  /** Of the model. */
  width: number;
  k: number;
  layers: number;
}

/** `null`: the model has none. */
export async function readExample(model: ModelEntry, signal: AbortSignal): Promise<Example | null> {
  if (!model.hasStart) return null;
  const example = exampleOf(await getJson('The example of this page', new URL('start.json', model.url), signal));
  if (!example) throw new SiteFileError('start.json is not in the format that this site reads; make it again with scripts/make-start.mjs.');
  return example;
}

/** The example in the content of a start.json; `null`: it is none. */
export function exampleOf(file: unknown): Example | null {
  if (!isObject(file) || file.format !== 1) return null;
  const { name, label, prompt, next } = file;
  const numbers = [file.width, file.k, file.layers].map(numberOf);
  const edit = editOf(file.edit);
  const figures = figuresOf(file.figures);
  const [before, after] = [sideOf(file.before), sideOf(file.after)];
  if (!isText(name) || !isText(label) || !isText(prompt) || !edit || !figures || !before || !after) return null;
  if (!Array.isArray(next) || !next.every(isText) || next.length !== before.next.length || next.length !== after.next.length) return null;
  if (numbers.includes(null)) return null;
  const [width, k, layers] = numbers as [number, number, number];
  return { name, label, edit, prompt, figures, stored: { next, before, after }, width, k, layers };
}

/** The content of a start.json. */
export function fileOf({ stored, ...example }: Example): object {
  const short = ({ next, text, list }: Side) => ({
    next: next.map((p) => Number(p.toFixed(4))),
    text,
    list: list.map(({ index, value }) => [index, Number(value.toPrecision(3))]),
  });
  return {
    format: 1,
    ...example,
    next: stored.next,
    before: short(stored.before),
    after: short(stored.after),
  };
}

const OF_FIGURES = {
  switch: ['effect', 'control', 'times', 'surprise'],
  recipe: ['baseRate', 'steeredRate', 'tokens', 'success', 'surprise'],
} as const;

function figuresOf(value: unknown): SwitchFigures | RecipeFigures | null {
  if (!isObject(value) || (value.kind !== 'switch' && value.kind !== 'recipe')) return null;
  if (!OF_FIGURES[value.kind].every((name) => numberOf(value[name]) !== null)) return null;
  if (value.kind === 'switch' && !isText(value.contrast)) return null;
  return value as unknown as SwitchFigures | RecipeFigures;
}

function sideOf(value: unknown): Side | null {
  if (!isObject(value)) return null;
  const { next, text, list } = value;
  if (!Array.isArray(next) || !next.every((p) => numberOf(p) !== null)) return null;
  if (!Array.isArray(text) || !text.every(isText) || !Array.isArray(list)) return null;
  const pairs = list.filter((pair): pair is [number, number] => Array.isArray(pair) && pair.every((part) => numberOf(part) !== null));
  return pairs.length === list.length ? { next, text, list: pairs.map(([index, value]) => ({ index, value })) } : null;
}
