/**
 * Activation patching (causal tracing, arXiv 2202.05262): the hidden state of one text is put into another at one position behind one block, and
 * the next word is asked for again. In a TopK model the state is a list of neurons, so a patch is a list of edits, exact, and can be taken apart
 * neuron by neuron. Twin: training/claims/patches.py, which measures it over many pairs.
 */
import type { ActiveRows, Edit, TopKLM } from 'topk-lm';
import { denseRows, rowAt } from '../activity';
import { logTotal } from '../distribution';
import { encodeToFit } from '../fit';
import { count, plural } from '../format';
import { hookOf, kindOf, shownLayers } from '../model-kind';

/** Most tokens of a text: each of its positions is patched behind each block. */
export const MOST_TOKENS = 128;

/** Most neurons of a state that are patched alone: those whose values differ most. */
export const MOST_ALONE = 128;

/** A text as the model reads it. */
export interface Side {
  tokens: readonly string[];
  /** By layer. */
  rows: ReadonlyMap<number, ActiveRows>;
  /** Of the next token: ln p, [d_vocab]. */
  logprobs: Float32Array;
}

export interface Pair {
  from: Side;
  into: Side;
  ids: { from: readonly number[]; into: readonly number[] };
  /** The tokens whose log odds are measured: the one that each text makes likelier, by its share of the divergence of both distributions. */
  next: { from: number; into: number };
  /** ln p(next.from) − ln p(next.into) behind each text. */
  odds: { from: number; into: number };
  /** The first position at which they differ; before it no state does. */
  first: number;
  layers: readonly number[];
}

const logOdds = (logits: Float32Array, { from, into }: Pair['next']): number => logits[from]! - logits[into]!;

function logSoftmax(logits: Float32Array): Float32Array {
  const total = logTotal(logits);
  return logits.map((logit) => logit - total);
}

/** The token that takes most of KL(p ‖ q). */
export function mostTelling(p: Float32Array, q: Float32Array): number {
  let best = 0;
  let most = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < p.length; id++) {
    const part = Math.exp(p[id]!) * (p[id]! - q[id]!);
    if (part > most) [best, most] = [id, part];
  }
  return best;
}

async function readSide(model: TopKLM, ids: readonly number[], layers: readonly number[], signal: AbortSignal): Promise<Side> {
  const kind = kindOf(model.config);
  const names = layers.map((layer) => hookOf(kind, layer));
  const { hooks, tokens, logits } = await model.run(ids, { hooks: names, logits: 'last', signal });
  const rows = layers.map((layer, at): [number, ActiveRows] => {
    const state = hooks[names[at]!]!;
    return [layer, 'rowStart' in state ? state : denseRows(state)];
  });
  return { tokens: tokens ?? ids.map((id) => `#${id}`), rows: new Map(rows), logprobs: logSoftmax(logits!.data) };
}

/** Reads both texts. @returns a sentence where they cannot be compared */
export async function readPair(model: TopKLM, texts: { from: string; into: string }, signal: AbortSignal): Promise<Pair | string> {
  const { n_ctx, d_vocab } = model.config;
  const most = Math.min(MOST_TOKENS, n_ctx);
  const given = [await encodeToFit(model, texts.from), await encodeToFit(model, texts.into)];
  const [from, into] = given.map(({ ids }) => ids) as [number[], number[]];
  if ([texts.from, texts.into].some((text) => text.trim() === '')) return 'Enter two texts.';
  if (given.some(({ ids, cut }) => ids.length > most || (cut && ids.length === n_ctx))) {
    return `A text may have at most ${plural(most, 'token')} here; these have up to ${count(Math.max(from.length, into.length))}${given.some(({ cut }) => cut) ? ' and more' : ''}.`;
  }
  if (given.some(({ cut }) => cut)) return `The model has no tokenizer.json: enter token ids below ${count(d_vocab)}, like 1 2 3.`;
  if (from.length !== into.length) {
    return `Both texts must have the same number of tokens, so that each position has its counterpart: the first has ${from.length}, the second ${into.length}.`;
  }
  const first = from.findIndex((id, at) => id !== into[at]);
  if (first < 0) return 'Both texts are the same.';
  const layers = shownLayers(model.config);
  const sides = { from: await readSide(model, from, layers, signal), into: await readSide(model, into, layers, signal) };
  const next = {
    from: mostTelling(sides.from.logprobs, sides.into.logprobs),
    into: mostTelling(sides.into.logprobs, sides.from.logprobs),
  };
  const odds = { from: logOdds(sides.from.logprobs, next), into: logOdds(sides.into.logprobs, next) };
  return { ...sides, ids: { from, into }, next, odds, first, layers };
}

/** A neuron whose values differ at a place. */
export interface Difference {
  index: number;
  from: number;
  into: number;
}

/** The neurons that differ at a place, the largest difference first. */
export function differences({ from, into }: Pick<Pair, 'from' | 'into'>, layer: number, position: number): Difference[] {
  const valuesAt = ({ rows }: Side): Map<number, number> =>
    new Map(rowAt(rows.get(layer)!, position).map(({ index, value }) => [index, value]));
  const [taken, there] = [valuesAt(from), valuesAt(into)];
  const size = (of: Difference) => Math.abs(of.from - of.into);
  return [...new Set([...taken.keys(), ...there.keys()])]
    .map((index) => ({ index, from: taken.get(index) ?? 0, into: there.get(index) ?? 0 }))
    .filter((of) => of.from !== of.into)
    .sort((a, b) => size(b) - size(a) || a.index - b.index);
}

/** What puts them to their values of the first text. */
export const patchOf = (neurons: readonly Difference[], layer: number, position: number): Edit[] =>
  neurons.map(({ index, from }) => ({ layer, index, action: 'clamp', value: from, positions: { from: position, to: position + 1 } }));

/** How far the next word comes over: 0 as behind the second text, 1 as behind the first. */
async function shareOf(model: TopKLM, { ids, next, odds }: Pair, edits: Edit[], signal: AbortSignal): Promise<number> {
  if (edits.length === 0) return 0;
  const { logits } = await model.run(ids.into, { edits, logits: 'last', signal });
  return (logOdds(logits!.data, next) - odds.into) / (odds.from - odds.into);
}

/** A place in the map, and how far the whole state there brings the next word over. */
export interface Patched {
  layer: number;
  position: number;
  share: number;
}

/** Each state from the first difference on, position by position. */
export async function* patchAll(model: TopKLM, pair: Pair, signal: AbortSignal): AsyncGenerator<Patched> {
  for (let position = pair.first; position < pair.ids.into.length; position++) {
    for (const layer of pair.layers) {
      const share = await shareOf(model, pair, patchOf(differences(pair, layer, position), layer, position), signal);
      yield { layer, position, share };
    }
  }
}

/** A neuron, and how far it brings the next word over by itself. */
export interface Alone extends Difference {
  share: number;
}

/** How many neurons of a place are also patched together: those that bring most. */
const TOGETHER = [2, 4, 8, 16];

/** What the neurons of a place do. */
export interface Parts {
  /** How many differ there. */
  differ: number;
  /** Each patched alone, the largest effect first. */
  alone: readonly Alone[];
  /** The `size` that bring most, patched together. */
  together: readonly { size: number; share: number }[];
}

/** Takes the patch of a place apart, neuron by neuron. */
export async function takeApart(
  model: TopKLM,
  pair: Pair,
  { layer, position }: { layer: number; position: number },
  signal: AbortSignal,
): Promise<Parts> {
  const neurons = differences(pair, layer, position);
  const alone: Alone[] = [];
  for (const neuron of neurons.slice(0, MOST_ALONE)) {
    alone.push({ ...neuron, share: await shareOf(model, pair, patchOf([neuron], layer, position), signal) });
  }
  alone.sort((a, b) => Math.abs(b.share) - Math.abs(a.share) || a.index - b.index);
  const helpful = [...alone].sort((a, b) => b.share - a.share || a.index - b.index);
  const together: { size: number; share: number }[] = [];
  for (const size of TOGETHER.filter((size) => size < neurons.length && size <= alone.length)) {
    together.push({ size, share: await shareOf(model, pair, patchOf(helpful.slice(0, size), layer, position), signal) });
  }
  return { differ: neurons.length, alone, together };
}
