/** A text with the neurons active at each of its tokens: from the model, or stored with the site. */
import type { ActiveRows, TopKLM } from 'topk-lm';
import { denseRows } from './activity';
import { hookOf, kindOf, shownLayers } from './model-kind';
import type { ModelEntry } from './models';
import type { NeuronId } from './route';
import { getJson } from './get';

export interface Activations {
  /** [T] */
  ids: readonly number[];
  /** [T] */
  tokens: readonly string[];
  /** By layer; every coordinate in a dense model. */
  rows: ReadonlyMap<number, ActiveRows>;
  /** How activations are ranked. */
  select: 'value' | 'abs';
  /** Stored with the site, or computed here just now. */
  origin: 'stored' | 'live';
}

/** One pass of the model over ids. */
export async function readActivations(model: TopKLM, ids: readonly number[], signal: AbortSignal): Promise<Activations> {
  const { config } = model;
  const kind = kindOf(config);
  const layers = shownLayers(config);
  const { hooks, tokens } = await model.run(ids, { hooks: layers.map((layer) => hookOf(kind, layer)), logits: 'none', signal });
  const rows = layers.map((layer): [number, ActiveRows] => {
    const value = hooks[hookOf(kind, layer)]!;
    return [layer, 'rowStart' in value ? value : denseRows(value)];
  });
  return {
    ids,
    tokens: tokens ?? ids.map((id) => `#${id}`),
    rows: new Map(rows),
    select: kind === 'dense' ? 'abs' : config.topk_select,
    origin: 'live',
  };
}

/** A text written by our model. */
export interface StoredText {
  title: string;
  ids: number[];
  /** Number of prompt tokens at the start. */
  promptLength: number;
  /** A neuron worth looking at in this text. */
  neuron: NeuronId;
  /** The position at which the text opens; the last, where none is stored. */
  at: number;
}

interface StoredFile {
  texts: { title: string; ids: number[]; prompt_length: number; neuron: [number, number]; at?: number }[];
}

interface StoredRows {
  select: 'value' | 'abs';
  d_model: number;
  layers: { layer: number; row_start: number[]; indices: number[]; values: number[] }[];
}

/** Texts stored with a model; [] if there are none. */
export async function storedTexts(model: ModelEntry): Promise<StoredText[]> {
  if (!model.hasExamples) return [];
  const { texts } = (await getJson('The stored examples', new URL('examples/index.json', model.url))) as StoredFile;
  return texts.map(({ title, ids, prompt_length, neuron: [layer, index], at = ids.length - 1 }) => ({
    title,
    ids,
    promptLength: prompt_length,
    neuron: { layer, index },
    at,
  }));
}

/** What is stored of a text, whatever its tokens are called: it can be fetched before the vocabulary is there. */
export type StoredActivations = Pick<Activations, 'rows' | 'select'>;

/** The stored activations of a text. */
export async function storedActivations(model: ModelEntry, number: number): Promise<StoredActivations> {
  const { select, d_model, layers } = (await getJson('The stored example', new URL(`examples/${number}.json`, model.url))) as StoredRows;
  const rows = layers.map(({ layer, row_start, indices, values }): [number, ActiveRows] => [
    layer,
    {
      shape: [row_start.length - 1, d_model],
      rowStart: Uint32Array.from(row_start),
      indices: Uint32Array.from(indices),
      values: Float32Array.from(values),
    },
  ]);
  return { rows: new Map(rows), select };
}
