/** The table of all neurons: which rows, in which order. Pure functions, tested without a page. */
import type { FeatureIndex } from 'topk-lm';
import { type By, type Reason, searchMeaning } from './meaning-search';
import type { Measured } from './measured';

/** Columns that can be sorted and filtered. */
export const SORTABLE = [
  'index',
  'readsF1',
  'tokenEntropy',
  'semanticEntropy',
  'nextEntropy',
  'density',
  'max',
  'n',
  'emergence',
  'similarity',
] as const;
export type SortName = (typeof SORTABLE)[number];

/** What a search may be restricted to, and the reasons that count there. */
export const LISTS = ['fires', 'raises', 'lowers'] as const;
export type TokenList = (typeof LISTS)[number];
const REASONS: Readonly<Record<TokenList, readonly By[]>> = {
  fires: ['reads', 'state'],
  raises: ['writes', 'promotes', 'contrast'],
  lowers: ['lowers'],
};

/** Which tail of a dense coordinate is shown. */
export const ENDS = ['highest', 'lowest'] as const;
export type End = (typeof ENDS)[number];

export interface Query {
  /** Words or a meaning; '' matches any. */
  text: string;
  /** `null`: all that is known of them. */
  list: TokenList | null;
  /** `null`: all. */
  layer: number | null;
  /** `null`: what fits best first; without a text the best label, where labels were tested, else the lowest entropy. */
  sort: SortName | null;
  descending: boolean;
  /** Largest token entropy, bits. */
  maxEntropy: number | null;
  /** Smallest and largest density. */
  minDensity: number | null;
  maxDensity: number | null;
  /** Latest emergence, a training step. */
  maxEmergence: number | null;
  /** Dense models only; `null`: both tails. */
  end: End | null;
  /** Includes neurons with too few active positions for the entropies. */
  withRare: boolean;
}

export const DEFAULT_QUERY: Query = {
  text: '',
  list: null,
  layer: null,
  sort: null,
  descending: false,
  maxEntropy: null,
  minDensity: null,
  maxDensity: null,
  maxEmergence: null,
  end: null,
  withRare: false,
};

/** A numeric column by its name; `index` is the neuron's own number. */
export function numbersOf({ columns, dModel }: FeatureIndex, name: SortName): (entry: number) => number | null {
  if (name === 'index') return (entry) => entry % dModel;
  const column = columns[name] ?? [];
  return (entry) => column[entry] ?? null;
}

/** Which tail of an entry is shown; `null` in a TopK model. */
export function endOf({ columns }: FeatureIndex, entry: number): End | null {
  const tail = columns.tail?.[entry];
  return tail === undefined ? null : tail < 0 ? 'lowest' : 'highest';
}

/** Whether it says how well a neuron's label finds where it is active. A dense coordinate is active everywhere. */
export const hasTestedLabels = ({ columns, kind }: FeatureIndex): boolean => kind !== 'dense' && columns.readsF1 !== undefined;

/** The order of the table; `match`: what fits a text best first. */
export function orderOf(
  index: FeatureIndex,
  { sort, descending }: Query,
  isSearch: boolean,
): { sort: SortName | 'match'; descending: boolean } {
  const isThere = sort !== null && (sort !== 'readsF1' || hasTestedLabels(index)) && !(index.kind === 'dense' && sort === 'density');
  if (isThere) return { sort, descending };
  if (isSearch) return { sort: 'match', descending: true };
  return hasTestedLabels(index) ? { sort: 'readsF1', descending: true } : { sort: 'tokenEntropy', descending: false };
}

/** The part of a query that applies to a model: layers, steps, tails or densities of another one may not exist here. */
export function queryFor(index: FeatureIndex, query: Query): Query {
  const { layers, steps, kind } = index;
  const isDense = kind === 'dense';
  return {
    ...query,
    minDensity: isDense ? null : query.minDensity,
    maxDensity: isDense ? null : query.maxDensity,
    layer: query.layer !== null && layers.includes(query.layer) ? query.layer : null,
    maxEmergence: query.maxEmergence === null ? null : (steps.findLast((step) => step <= query.maxEmergence!) ?? null),
    end: isDense ? query.end : null,
  };
}

/** What the lists are called: “where it reads”. */
export const listNames = ({ columns }: FeatureIndex): Record<TokenList, string> =>
  columns.writesUp
    ? { fires: 'reads', raises: 'writes', lowers: 'writes less' }
    : { fires: 'is active on', raises: 'raises', lowers: 'lowers' };

/** Why the neurons that a query's text finds were found, by entry; `null`: there is no text, and all match. */
export function foundBy(
  index: FeatureIndex,
  { text, list }: Query,
  vocabulary: readonly string[] | null,
  measured?: Measured,
): Map<number, Reason> | null {
  if (text.trim() === '') return null;
  return searchMeaning(index, vocabulary, text, { ...(list && { only: REASONS[list] }), ...(measured && { measured }) });
}

/** Entries that match a query, in its order; ties by entry, missing values last. @param found - of {@link foundBy} */
export function selectNeurons(index: FeatureIndex, query: Query, found: ReadonlyMap<number, Reason> | null): Int32Array {
  const { columns, dModel, layers, entropy } = index;
  const layerRow = query.layer === null ? -1 : layers.indexOf(query.layer);
  const within = (value: number | null | undefined, least: number | null, most: number | null) =>
    (least === null && most === null) || (value != null && (least === null || value >= least) && (most === null || value <= most));

  const entries: number[] = [];
  for (let entry = 0; entry < columns.label.length; entry++) {
    if (query.layer !== null && Math.floor(entry / dModel) !== layerRow) continue;
    if (!query.withRare && (columns.n[entry] ?? 0) < entropy.rareBelow) continue;
    if (!within(columns.tokenEntropy[entry], null, query.maxEntropy)) continue;
    if (!within(columns.density[entry], query.minDensity, query.maxDensity)) continue;
    if (!within(columns.emergence[entry], null, query.maxEmergence)) continue;
    if (query.end !== null && endOf(index, entry) !== query.end) continue;
    if (found && !found.has(entry)) continue;
    entries.push(entry);
  }
  const { sort, descending } = orderOf(index, query, found !== null);
  const numberOf = sort === 'match' ? (entry: number) => found?.get(entry)?.rank ?? null : numbersOf(index, sort);
  // One number per entry: sorting compares them n log n times.
  const keys = new Float64Array(columns.label.length);
  for (const entry of entries) {
    const value = numberOf(entry);
    keys[entry] = value === null ? Number.POSITIVE_INFINITY : descending ? -value : value;
  }
  return Int32Array.from(entries).sort((a, b) => (keys[a]! === keys[b]! ? a - b : keys[a]! < keys[b]! ? -1 : 1));
}

const number = (text: string | undefined): number | null => (text && Number.isFinite(Number(text)) ? Number(text) : null);

/** Reads a query from the address, which holds only what differs from the default. */
export function queryOf(params: Readonly<Record<string, string>>): Query {
  const sort = SORTABLE.find((name) => name === params.sort?.replace(/^-/, '')) ?? null;
  return {
    text: params.q ?? '',
    list: LISTS.find((name) => name === params.in) ?? null,
    layer: number(params.layer),
    sort,
    descending: sort !== null && params.sort!.startsWith('-'),
    maxEntropy: number(params.hmax),
    minDensity: number(params.dmin),
    maxDensity: number(params.dmax),
    maxEmergence: number(params.em),
    end: ENDS.find((name) => name === params.end) ?? null,
    withRare: params.rare === '1',
  };
}

export function paramsOf(query: Query): Record<string, string | null> {
  const text = (value: number | null) => (value === null ? null : String(value));
  return {
    q: query.text || null,
    in: query.list,
    layer: text(query.layer),
    sort: query.sort && `${query.descending ? '-' : ''}${query.sort}`,
    hmax: text(query.maxEntropy),
    dmin: text(query.minDensity),
    dmax: text(query.maxDensity),
    em: text(query.maxEmergence),
    end: query.end,
    rare: query.withRare ? '1' : null,
  };
}
