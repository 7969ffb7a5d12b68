/**
 * Edits as text: in the address (`4.17_clamp_8_in_generated_from`, joined by `*`, trailing defaults left out; `generated12`: for 12 new tokens), on the command line and in
 * JavaScript.
 */
import type { Edit, EditPositions } from 'topk-lm';
import { type NeuronId, parseNeuron } from './route';

/** What an edit can do to a neuron, in the order of the form. */
export const ACTIONS = ['clamp', 'add', 'scale', 'ablate'] as const;
export type Action = (typeof ACTIONS)[number];

/** Where an edit begins that goes on to the end. `next`: at the prompt's last position, which decides the first new token; so strengths are measured. */
const BEGINNINGS = ['all', 'next', 'generated'] as const;
export type Beginning = (typeof BEGINNINGS)[number];

/** From a beginning on, until so many new tokens are written; then the edit is let go. */
export interface LetGo {
  start: Beginning;
  tokens: number;
}

/** An edit with every field given. */
export interface FullEdit extends NeuronId {
  action: Action;
  /** Unused by `ablate`. */
  value: number;
  site: 'topk_in' | 'topk_out';
  positions: EditPositions | 'next' | LetGo;
  propagate: 'layer' | 'from_layer';
}

/** What positions depend on. */
export interface Prompted {
  /** Tokens of the prompt. */
  promptLength: number;
  /** Most tokens of a text. */
  context: number;
}

/** Where strengths that were measured are set. */
export const MEASURED_AT = 'next';

/**
 * The first edit of a neuron: before TopK, so that what it evicts can be shown.
 * @param value - its strength, if one is known
 */
export function newEdit({ layer, index }: NeuronId, value: number | null, positions: FullEdit['positions'] = 'all'): FullEdit {
  return { layer, index, action: 'clamp', value: value ? rounded(value) : 8, site: 'topk_in', positions, propagate: 'layer' };
}

/** Rounded to the digits that a reader can set. */
export const rounded = (value: number): number => Number(value.toPrecision(4));

/** What the engine takes. */
export function engineEdit({ value, ...fields }: FullEdit, prompted: Prompted): Edit {
  const edit = { ...fields, positions: positionsOf(fields.positions, prompted) };
  return edit.action === 'ablate' ? edit : { ...edit, value };
}

/** Positions as the engine takes them. */
export function positionsOf(positions: FullEdit['positions'], { promptLength, context }: Prompted): EditPositions {
  const last = Math.max(0, Math.min(promptLength, context) - 1);
  if (positions === 'next') return { from: last, to: context };
  if (!isLetGo(positions)) return positions;
  // Position `last` decides the first new token; the engine takes no empty range.
  const from = { all: 0, next: last, generated: last + 1 }[positions.start];
  return { from, to: Math.max(from + 1, Math.min(context, last + positions.tokens)) };
}

const isLetGo = (positions: FullEdit['positions']): positions is LetGo => typeof positions === 'object' && 'tokens' in positions;
const isBeginning = (text: unknown): text is Beginning => BEGINNINGS.some((name) => name === text);

/** Where an edit acts, as a choice. */
export function kindOf(positions: FullEdit['positions']): Beginning | 'prompt' | 'range' {
  if (typeof positions === 'string') return positions;
  return isLetGo(positions) ? positions.start : 'range';
}

/** After how many new tokens all edits are let go; `null`: never, or not all alike. */
export function letGoOf(edits: readonly FullEdit[]): number | null {
  const tokens = new Set(edits.map(({ positions }) => (isLetGo(positions) ? positions.tokens : null)));
  return tokens.size === 1 ? [...tokens][0]! : null;
}

/** Whether an edit goes on to the end, unless it is let go. */
export const goesOn = ({ positions }: FullEdit): boolean => isBeginning(kindOf(positions));

/** The same edit let go after so many new tokens (`null`: never), if it goes on to the end. */
export function letGo(edit: FullEdit, tokens: number | null): FullEdit {
  const start = kindOf(edit.positions);
  if (!isBeginning(start)) return edit;
  return { ...edit, positions: tokens === null ? start : { start, tokens } };
}

/** The same edit at a multiple of its strength: values grow by it, and factors by how far they are from 1. */
export function scaledEdit(edit: FullEdit, times: number): FullEdit {
  if (edit.action === 'ablate') return edit;
  return { ...edit, value: rounded(edit.action === 'scale' ? 1 + times * (edit.value - 1) : times * edit.value) };
}

/** By how much a set was scaled to become `edits`; `null`: it is another set. */
export function timesOf(set: readonly FullEdit[], edits: readonly FullEdit[]): number | null {
  if (set.length !== edits.length) return null;
  const size = ({ action, value }: FullEdit) => (action === 'ablate' ? 0 : action === 'scale' ? value - 1 : value);
  const largest = set.reduce((best, edit, at) => (Math.abs(size(edit)) > Math.abs(size(set[best]!)) ? at : best), 0);
  const whole = set[largest] && size(set[largest]);
  const times = whole ? Number((size(edits[largest]!) / whole).toFixed(2)) : 1;
  return formatEdits(set.map((edit) => scaledEdit(edit, times))) === formatEdits(edits) ? times : null;
}

const SITES = { in: 'topk_in', out: 'topk_out' } as const;

function formatPositions(positions: FullEdit['positions'], between: string): string {
  if (typeof positions === 'string') return positions;
  return isLetGo(positions) ? `${positions.start}${positions.tokens}` : `${positions.from}${between}${positions.to}`;
}

function formatEdit({ layer, index, action, value, site, positions, propagate }: FullEdit): string {
  const parts = [
    `${layer}.${index}`,
    action,
    String(action === 'ablate' ? 0 : value),
    site === 'topk_in' ? 'in' : 'out',
    formatPositions(positions, '-'),
    propagate === 'layer' ? 'layer' : 'from',
  ];
  const defaults = ['', '', '', 'out', 'all', 'layer'];
  while (parts.length > 3 && parts.at(-1) === defaults[parts.length - 1]) parts.pop();
  return parts.join('_');
}

export const formatEdits = (edits: readonly FullEdit[]): string => edits.map(formatEdit).join('*');

/** The edits of an address; what cannot be read is left out. */
export function parseEdits(text: string | undefined): FullEdit[] {
  return (text ?? '').split('*').flatMap((part) => {
    const [neuron, action, value, site = 'out', positions = 'all', propagate = 'layer'] = part.split('_');
    const id = parseNeuron(neuron);
    const where = parsePositions(positions);
    const number = Number(value || Number.NaN);
    const known = ACTIONS.find((name) => name === action);
    if (!id || !known || !where || !Number.isFinite(number) || !(site === 'in' || site === 'out')) return [];
    return [
      {
        ...id,
        action: known,
        value: number,
        site: SITES[site],
        positions: where,
        propagate: propagate === 'from' ? 'from_layer' : 'layer',
      },
    ];
  });
}

function parsePositions(text: string): FullEdit['positions'] | null {
  if (isBeginning(text) || text === 'prompt') return text;
  const [, start, tokens] = /^([a-z]+)(\d{1,4})$/.exec(text) ?? [];
  if (isBeginning(start) && Number(tokens) > 0) return { start, tokens: Number(tokens) };
  const match = /^(\d{1,6})-(\d{1,6})$/.exec(text);
  return match && { from: Number(match[1]), to: Number(match[2]) };
}

/** A feature of an autoencoder, set to a value: `117_4.5` in the address. */
export interface SetFeature {
  index: number;
  value: number;
}

export const formatFeature = ({ index, value }: SetFeature): string => `${index}_${value}`;

/** What an address says; `null`: nothing that can be read. */
export function parseFeature(text: string | undefined): SetFeature | null {
  const [, index, value] = /^(\d{1,7})_(-?[\d.]+(?:e[+-]?\d+)?)$/.exec(text ?? '') ?? [];
  return index !== undefined && Number.isFinite(Number(value)) ? { index: Number(index), value: Number(value) } : null;
}

/** As `topk-lm generate --edit` takes it. */
export function commandEdit({ layer, index, action, value, site, positions: where, propagate }: FullEdit, prompted: Prompted): string {
  const positions = positionsOf(where, prompted);
  const fields = [`layer=${layer}`, `index=${index}`, `action=${action}`];
  if (action !== 'ablate') fields.push(`value=${value}`);
  if (site !== 'topk_out') fields.push(`site=${site}`);
  if (positions !== 'all') fields.push(`positions=${formatPositions(positions, '..')}`);
  if (propagate !== 'layer') fields.push(`propagate=${propagate}`);
  return fields.join(',');
}
