/** Figures of a result and the tables that they make. */

/** Shown where a figure is missing. */
export const NOT_MEASURED = '–';

export interface Fact {
  name: string;
  /** Definition, with its unit. */
  definition: string;
  /** One per column of the group. */
  cells: string[];
}

export interface FactGroup {
  title: string;
  columns: string[];
  facts: Fact[];
  /** The text and the judge, in a sentence or two, or ''. */
  note: string;
  /** Whether cells are sentences. */
  isText?: boolean;
}

export type Tree = { [name: string]: unknown };

export const at = (tree: unknown, path: string): unknown =>
  path === '' ? tree : path.split('.').reduce<unknown>((part, name) => (part as Tree | null | undefined)?.[name], tree);

export function numberAt(tree: unknown, path: string): number | null {
  const value = at(tree, path);
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export const textAt = (tree: unknown, path: string): string => {
  const value = at(tree, path);
  return typeof value === 'string' ? value : '';
};

export const listAt = (tree: unknown, path: string): unknown[] => {
  const value = at(tree, path);
  return Array.isArray(value) ? value : [];
};

/** Smallest difference that counts as measurable. */
const LEAST_COST = 0.001;

/** Nothing is left of a minus where the rest rounds to 0. */
const minus = (text: string) => text.replace(/^-(?=[0.]+$)/, '').replace('-', '−');
export const UNITS = {
  three: (value: number) => minus(value.toFixed(3)),
  two: (value: number) => minus(value.toFixed(2)),
  percent: (value: number) => `${minus((100 * value).toFixed(0))} %`,
  tenths: (value: number) => `${minus((100 * value).toFixed(1))} %`,
  signed: (value: number) => `${minus(value.toFixed(1)).replace(/^(?=\d)/, '+')} %`,
  brief: (value: number) => value.toLocaleString('en', { maximumFractionDigits: 2 }),
  count: (value: number) => value.toLocaleString('en'),
  whole: (value: number) => Math.round(value).toLocaleString('en'),
  cost: (value: number) => (Math.abs(value) < LEAST_COST ? 'under 0.001' : `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`),
} satisfies Record<string, (value: number) => string>;
type Unit = keyof typeof UNITS;

export const shown = (value: number | null, unit: Unit): string => (value === null ? NOT_MEASURED : UNITS[unit](value));

export type Row = readonly [path: string, name: string, definition: string, unit: Unit];
/** A part of a result and its column heading. */
export type Column = readonly [path: string, title: string];

export const MODELS: readonly Column[] = [
  ['topk', 'TopK'],
  ['dense', 'dense'],
  ['sae', 'SAE'],
];

/** Rows × columns of one result; rows and columns without any figure are left out. */
export function group(title: string, tree: unknown, rows: readonly Row[], columns: readonly Column[] = MODELS, note = ''): FactGroup {
  const known = columns.filter(([part]) => rows.some(([path]) => numberAt(at(tree, part), path) !== null));
  const facts = rows.flatMap(([path, name, definition, unit]) => {
    const values = known.map(([part]) => numberAt(at(tree, part), path));
    return values.every((value) => value === null) ? [] : [{ name, definition, cells: values.map((value) => shown(value, unit)) }];
  });
  return { title, columns: known.map(([, name]) => name), facts, note };
}
