/**
 * Search by meaning, one rule for Browse and Steer: what a neuron reads and writes, tokens of the same cluster, the state of a story that it marks, the
 * contrasts that it moves. What is found is ranked by how strong it was measured to be, times how well the words fit.
 */
import type { FeatureIndex } from 'topk-lm';
import { nameOfSide } from './contrast-names';
import { wordsOfSide } from './contrast-words';
import { type Measured, NOTHING } from './measured';
import { entryOf, withKind } from './neurons';
import { nameOfState, wordsOfState } from './state-names';
import { fit, fitAll, membersOf, stem, stemsOf } from './words';

export type By = 'writes' | 'reads' | 'lowers' | 'promotes' | 'state' | 'contrast';

/** Why a neuron was found. */
export interface Reason {
  by: By;
  /** The tokens, or the plain name of a state or contrast; '' where {@link tokens} has ids. */
  what: string;
  /** Ids of the tokens found, where it is tokens. */
  tokens: readonly number[];
  /** What was measured: F1; times the effect of the best of 100 random neurons; `null`: not measured. */
  measured: number | null;
  /** By which all are ranked, 0 to 1. */
  rank: number;
}

/** Times the best random neuron, on the scale of F1: 1, which is nothing of its own, is 0.1; 2 is 0.55. */
const onScale = (times: number): number => (times <= 1 ? 0.1 * Math.max(0, times) : 0.1 + 0.9 * (1 - 1 / times));

/** How well a token fits that merely belongs to the kind asked for (“colors”: red), or only to the cluster of one that does. */
const MEMBER = 0.9;
const CLUSTER = 0.4;
/** A token that holds a word of the query within it. */
const WITHIN = 0.3;
/** What fires on a token that is not in the label, which was scored without it. */
const UNSCORED = 0.5;
/** A token that is not the first of its list. */
const FURTHER = 0.9;
/** Direct effects, which are not measured. */
const UNMEASURED = 0.2;
/** What a neuron lowers: its specificity is that of what it raises. */
const LOWERS = 0.4;

/** Most characters of a query that are read: each alternative takes a look at every token and every neuron. */
export const MOST_QUERY = 1000;

interface Wanted {
  stems: readonly string[];
  /** Where the query is signs alone: they, as they are. */
  sign: string;
  members: readonly string[];
}

/** A query’s alternatives, which commas divide. */
function wantedOf(query: string): Wanted[] {
  const alternatives = query
    .slice(0, MOST_QUERY)
    .toLowerCase()
    .split(/,(?=\s*\S)/);
  return alternatives.flatMap((text) => {
    const stems = stemsOf(text);
    const sign = text.trim();
    return sign === '' ? [] : [{ stems, sign: stems.length === 0 ? sign : '', members: membersOf(stems) }];
  });
}

/** What a search compares a query with, made once for each list: it is the same at every key. */
function once<Item, Made>(make: (item: Item) => Made): (list: readonly Item[]) => readonly Made[] {
  const known = new WeakMap<readonly Item[], readonly Made[]>();
  return (list) => {
    const made = known.get(list) ?? list.map(make);
    known.set(list, made);
    return made;
  };
}

const tokensOf = once((text: string) => {
  const token = text.trim().toLowerCase();
  return { token, own: stem(token) };
});

const labelsOf = once((label: string | null) => {
  const shown = label && withKind(label);
  return shown ? { shown, own: stemsOf(shown) } : null;
});

/** How well each token fits one alternative; only those that do at all. */
function fitting({ stems, sign, members }: Wanted, vocabulary: readonly string[]): Map<number, number> {
  const found = new Map<number, number>();
  const belongs = new Set(members);
  tokensOf(vocabulary).forEach(({ token, own }, id) => {
    if (token === '') return;
    const best = (word: string) => fit(word, own) || (word.length > 2 && token.includes(word) ? WITHIN : 0);
    const direct = sign ? Number(token === sign) : Math.max(...stems.map(best)) / stems.length;
    const quality = Math.max(direct, belongs.has(own) ? MEMBER : 0);
    if (quality > 0) found.set(id, quality);
  });
  return found;
}

/** The clusters of the tokens that fit best, and how well they do. */
function clustersOf(tokens: ReadonlyMap<number, number>, cluster: readonly number[] | null): Map<number, { quality: number; id: number }> {
  const found = new Map<number, { quality: number; id: number }>();
  for (const [id, quality] of tokens) {
    const of = cluster?.[id];
    if (of !== undefined && quality >= MEMBER && quality > (found.get(of)?.quality ?? 0)) found.set(of, { quality, id });
  }
  return found;
}

/** Neurons by entry of the columns, each with the best reason. `only`: the reasons that count; all, if it is left out. */
export function searchMeaning(
  index: FeatureIndex,
  vocabulary: readonly string[] | null,
  query: string,
  { measured = NOTHING, only }: { measured?: Measured; only?: readonly By[] } = {},
): Map<number, Reason> {
  const found = new Map<number, Reason>();
  const add = (entry: number, reason: Reason) => {
    if (entry < 0 || reason.rank <= 0 || (only && !only.includes(reason.by))) return;
    if (reason.rank > (found.get(entry)?.rank ?? 0)) found.set(entry, reason);
  };
  for (const wanted of wantedOf(query)) {
    byTokens(index, fitting(wanted, vocabulary ?? []), measured, add);
    byLabel(index, wanted.stems, add);
    byState(index, wanted.stems, measured, add);
    byContrast(index, wanted.stems, measured, add);
  }
  return found;
}

type Add = (entry: number, reason: Reason) => void;

function byTokens(index: FeatureIndex, fits: ReadonlyMap<number, number>, { cluster }: Measured, add: Add) {
  if (fits.size === 0) return;
  const { columns } = index;
  const clusters = clustersOf(fits, cluster);
  /** The best quality among a list’s tokens, and those that fit. */
  const among = (ids: readonly number[] | null | undefined) => {
    const tokens = (ids ?? []).filter((id) => fits.has(id));
    const qualities = (ids ?? []).map((id, at) => (fits.get(id) ?? 0) * (at === 0 ? 1 : FURTHER));
    return { tokens, quality: Math.max(0, ...qualities) };
  };
  for (let entry = 0; entry < columns.label.length; entry++) {
    const times = columns.specificity ? (columns.specificity[entry] ?? 0) : null;
    const writes = times === null ? UNMEASURED : onScale(times);
    const lists = [
      { by: 'writes', ids: columns.writesUp?.[entry], strength: writes, measured: times },
      { by: 'lowers', ids: columns.writesDown?.[entry], strength: LOWERS * writes, measured: null },
      { by: 'reads', ids: columns.topTokens[entry], strength: UNSCORED * readsStrength(index, entry), measured: null },
      { by: 'promotes', ids: columns.writesUp ? [] : columns.promoted[entry], strength: UNMEASURED, measured: null },
      { by: 'lowers', ids: columns.writesDown ? [] : columns.suppressed[entry], strength: LOWERS * UNMEASURED, measured: null },
    ] as const;
    for (const { by, ids, strength, measured } of lists) {
      const { tokens, quality } = among(ids);
      add(entry, { by, what: '', tokens, measured, rank: strength * quality });
    }
    for (const of of columns.clusters?.[entry] ?? []) {
      const near = clusters.get(of);
      if (near) {
        const rank = CLUSTER * near.quality * readsStrength(index, entry);
        add(entry, { by: 'reads', what: 'words like', tokens: [near.id], measured: null, rank });
      }
    }
  }
}

/** How well a neuron’s label finds it; where that was not tested, how few its tokens are. */
function readsStrength({ columns }: FeatureIndex, entry: number): number {
  if (columns.readsF1) return columns.readsF1[entry] ?? 0;
  return 1 / (1 + (columns.tokenEntropy[entry] ?? 99));
}

function byLabel(index: FeatureIndex, stems: readonly string[], add: Add) {
  const { columns } = index;
  if (stems.length === 0) return;
  labelsOf((columns.reads ?? columns.label) as readonly (string | null)[]).forEach((label, entry) => {
    if (!label || !stems.every((word) => label.own.includes(word))) return;
    const strength = columns.n[entry] === 0 ? 0 : readsStrength(index, entry);
    add(entry, { by: 'reads', what: label.shown, tokens: [], measured: columns.readsF1?.[entry] ?? null, rank: strength });
  });
}

function byState(index: FeatureIndex, stems: readonly string[], { states }: Measured, add: Add) {
  const { state, stateF1, stateShuffled } = index.columns;
  const qualities = new Map<string, number>();
  const quality = (name: string) => {
    const known = qualities.get(name) ?? fitAll(stems, stemsOf(wordsOfState(name)));
    qualities.set(name, known);
    return known;
  };
  const mark = (entry: number, name: string, f1: number | null) => {
    // What is left of it above the states of another story: a neuron that is active everywhere has nothing there.
    const above = f1 === null ? UNMEASURED : f1 - (stateShuffled?.[entry] ?? 0);
    add(entry, { by: 'state', what: nameOfState(name), tokens: [], measured: f1, rank: quality(name) * above });
  };
  state?.forEach((name, entry) => {
    if (name !== null) mark(entry, name, stateF1?.[entry] ?? null);
  });
  for (const { name, neurons } of states) for (const { f1, ...neuron } of neurons) mark(entryOf(index, neuron), name, f1);
}

function byContrast(index: FeatureIndex, stems: readonly string[], { contrasts, layers }: Measured, add: Add) {
  for (const { name, controls, neurons } of contrasts) {
    const [second, first] = [false, true].map((side) => fitAll(stems, wordsOfSide(name, side).map(stem)));
    for (const { effect, ...neuron } of neurons) {
      const control = controls[layers.indexOf(neuron.layer)];
      const times = control ? Math.abs(effect) / control : 0;
      if (times < 1) continue; // a random neuron does as much
      const rank = onScale(times) * ((effect > 0 ? first : second) ?? 0);
      add(entryOf(index, neuron), { by: 'contrast', what: nameOfSide(name, effect > 0), tokens: [], measured: times, rank });
    }
  }
}

/** A reason in a few words: what it does, and what was measured. */
export function reasonText({ by, what, tokens, measured }: Reason, tokenText: (id: number) => string): string {
  const texts = tokens.map((id) => tokenText(id).trim()).join(', ');
  const thing = [what, texts].filter(Boolean).join(' ');
  const verb = { writes: 'writes', reads: 'reads', lowers: 'writes less', promotes: 'raises', state: 'active where', contrast: 'turns to' }[
    by
  ];
  const number =
    measured === null ? '' : by === 'writes' || by === 'contrast' ? ` · ${measured.toFixed(1)} ×` : ` · F1 ${measured.toFixed(2)}`;
  return `${verb} ${thing}${number}`;
}
