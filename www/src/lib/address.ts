/** Reads links and saved files, with one set of checks for both: a file holds an address of any length. */
import { parseEdits, parseFeature } from './edits';
import { beginning, MAX_TEXT, MAX_TOKENS } from './fit';
import { count, plural } from './format';
import { isPage } from './pages';
import { decodeIds, encodeIds, formatRoute, fitsLink, parseNeuron, parseRoute, type Route } from './route';

export interface Checked {
  /** What can be opened; whatever is wrong takes its default. */
  route: Route;
  /** What could not be read: sentences. */
  errors: string[];
}

/** Longest address that is read. */
const MAX_CHARACTERS = 1 << 21;

/** Most parameters of an address that are read. */
const MAX_PARAMETERS = 100;

/** Most edits of a text. */
export const MAX_EDITS = 256;

const FORMAT = 'topk-lm text';
const VERSION = 1;

type Check = (value: string, params: Readonly<Record<string, string>>) => string | null;

const text =
  (name: string): Check =>
  (value) =>
    decodeIds(value) ? null : `${name} cannot be read: it was cut short or changed.`;
const numberIn =
  (name: string, least: number, most: number, kind: 'number' | 'whole number' = 'number'): Check =>
  (value) => {
    const number = Number(value);
    const isKind = kind === 'number' || Number.isInteger(number);
    if (value !== '' && isKind && number >= least && number <= most) return null;
    return `${name} is “${shortened(value)}”, not a ${kind} from ${least} to ${most}.`;
  };
const neuron: Check = (value) =>
  value === '-' || parseNeuron(value) ? null : `Its neuron is “${shortened(value)}”, not a layer and an index such as 4.17.`;
const edits: Check = (value) => {
  const all = value.split('*').length;
  const read = parseEdits(value).length;
  if (read === all) return null;
  return all === 1 ? 'Its edit cannot be read.' : `${all - read} of its ${all} edits cannot be read.`;
};

/** The parameters that are checked, by page; a page handles the others itself. */
const CHECKS: Partial<Record<Route['page'], Record<string, Check>>> = {
  explore: {
    t: text('Its text'),
    n: neuron,
    at: numberIn('Its position', 0, 999_999, 'whole number'),
    set: numberIn('The value that its neuron is set to', -1e6, 1e6),
    vs: numberIn('The layer that it compares', 0, 9999, 'whole number'),
  },
  steer: {
    t: text('Its text'),
    b: text('Its base text'),
    s: text('Its steered text'),
    n: neuron,
    e: edits,
    seed: numberIn('Its seed', 0, Number.MAX_SAFE_INTEGER, 'whole number'),
    temp: numberIn('Its temperature', 0, 2),
    len: numberIn('Its number of new tokens', 1, 4096, 'whole number'),
    vs: (value) =>
      value === '-' || parseEdits(value).length === 1 ? null : `The edit of its twin is “${shortened(value)}”, which cannot be read.`,
    vf: (value) => (parseFeature(value) ? null : `Its feature is “${shortened(value)}”, not a number and a value such as 117_4.5.`),
    pl: (value, { b }) => {
      const ids = decodeIds(b);
      return !ids || (/^\d+$/.test(value) && Number(value) <= ids.length) ? null : 'Its prompt is longer than its text.';
    },
  },
  neuron: { vs: neuron },
};

/** Parameters that hold ids. */
const TEXTS: Readonly<Record<string, string>> = { t: 'Its text', b: 'Its base text', s: 'Its steered text' };

/** What is read of a parameter, with a sentence where that is not all. */
function limited(name: string, value: string): { value: string; fault: string | null } {
  const first = (whole: string, most: number, kept: string) => ({
    value: kept,
    fault: `${whole}; this site reads the first ${count(most)}.`,
  });
  if (name in TEXTS) {
    const ids = decodeIds(value) ?? [];
    if (ids.length > MAX_TOKENS)
      return first(`${TEXTS[name]} has ${plural(ids.length, 'token')}`, MAX_TOKENS, encodeIds(ids.slice(0, MAX_TOKENS)));
  } else if (name === 'e') {
    const edits = value.split('*');
    if (edits.length > MAX_EDITS) return first(`It has ${plural(edits.length, 'edit')}`, MAX_EDITS, edits.slice(0, MAX_EDITS).join('*'));
  } else if (value.length > MAX_TEXT) {
    const what = name === 'p' ? 'Its text' : `Its “${shortened(name)}”`;
    return first(`${what} has ${plural(value.length, 'character')}`, MAX_TEXT, beginning(value));
  }
  return { value, fault: null };
}

/** Reads an address, from its #. @param source - what it is, as the subject of a sentence: “This link” */
export function readAddress(hash: string, source: string): Checked {
  if (hash.length > MAX_CHARACTERS) {
    const size = `${count(hash.length)} characters, and this site reads at most ${count(MAX_CHARACTERS)}`;
    return { route: parseRoute(''), errors: [`${source} is too long: it has ${size}.`] };
  }
  const [path = '', query = ''] = hash.replace(/^#/, '').split(/\?(.*)/s);
  const first = path.split('/').find(Boolean);
  const route = parseRoute(hash);
  const errors: string[] = [];
  if (first === 'm' && !route.neuron) errors.push('It names no neuron by layer and index, so all neurons are shown.');
  else if (first !== undefined && first !== 'm' && (first === 'neuron' || !isPage(first)))
    errors.push(`There is no page “${shortened(first)}”.`);
  const ckpt = new URLSearchParams(query).get('ckpt');
  if (ckpt !== null && route.ckpt === null)
    errors.push(`Its training step is “${shortened(ckpt)}”, which is not a number, so the final weights are used.`);
  const given = Object.entries(route.params);
  if (given.length > MAX_PARAMETERS) errors.push(`It has ${count(given.length)} parameters; this site reads the first ${MAX_PARAMETERS}.`);
  const params = Object.fromEntries(given.slice(0, MAX_PARAMETERS));
  const checks = CHECKS[route.page] ?? {};
  for (const [name, check] of Object.entries(checks)) {
    const value = params[name];
    const fault = value === undefined ? null : check(value, params);
    if (fault === null) continue;
    errors.push(fault);
    if (name !== 'e') delete params[name]; // of edits the others stay
  }
  for (const [name, whole] of Object.entries(params)) {
    const { value, fault } = limited(name, whole);
    params[name] = value;
    if (fault !== null) errors.push(fault);
  }
  return { route: { ...route, params }, errors: errors.length > 0 ? [`${source} could not be read completely.`, ...errors] : [] };
}

/** The content of a file that opens as `route`; `more` is for other programs. */
export function fileOf(route: Route, defaultModel: string, more: object = {}): object {
  return { format: FORMAT, version: VERSION, address: formatRoute(route, defaultModel), ...more };
}

/** Reads a saved file; where the route is `null`, the errors say why. */
export function readFile(name: string, content: string): { route: Route | null; errors: string[] } {
  const source = `The file “${shortened(name)}”`;
  const refused = (why: string) => ({ route: null, errors: [`${source} ${why}`] });
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    return refused('was not saved by this site: it is not JSON.');
  }
  const { format, version, address } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  if (format !== FORMAT || typeof address !== 'string') return refused('was not saved by this site: it holds no address.');
  if (version !== VERSION) return refused('was saved by a version of this site that this one cannot read.');
  return readAddress(address, source);
}

/** The route's address, without what is too long for a link. */
export function linkOf(route: Route, defaultModel: string): { hash: string; whole: boolean } {
  const params = Object.fromEntries(Object.entries(route.params).filter(([, value]) => fitsLink(value)));
  const whole = Object.keys(params).length === Object.keys(route.params).length;
  return { hash: formatRoute({ ...route, params }, defaultModel), whole };
}

export const shortened = (value: string): string => (value.length > 40 ? `${value.slice(0, 40).replace(/[\ud800-\udbff]$/, '')}…` : value);
