/**
 * The address and the state of the site. `?backend=`, `?dtype=f16` and `?embed=1` belong to the visit; the hash holds everything else:
 *
 *     #/      #/explore?model=NAME&ckpt=254&…      #/m/NAME/LAYER/INDEX?ckpt=254
 *
 * Without a page's name it is the start page; with parameters that this page does not have, Explore, with which the site opened before.
 */
import type { BackendChoice, WeightDtype } from 'topk-lm';
import { isPage, type PageName, PAGES } from './pages';

/** A neuron: coordinate `index` of the residual stream after block `layer`. */
export interface NeuronId {
  layer: number;
  index: number;
}

export interface Route {
  page: PageName;
  /** Name of a shipped model, or the URL of a folder elsewhere; `null`: the one the site opens with. */
  model: string | null;
  /** Training step; `null`: the final weights. */
  ckpt: number | null;
  /** Step of the tour, from 1 on; `null`: it is not taken. */
  tour: number | null;
  /** On the neuron page. */
  neuron: NeuronId | null;
  /** The page's own parameters. */
  params: Readonly<Record<string, string>>;
}

/** The parameters of the start page: its prompt, and its switch turned off. */
const OF_START: readonly string[] = ['say', 'off'];

export const START: Route = { page: PAGES[0].name, model: null, ckpt: null, tour: null, neuron: null, params: {} };

const whole = (text: string | undefined | null): number | null => (text && /^\d{1,9}$/.test(text) ? Number(text) : null);

/** Parses a hash; whatever is wrong takes its default. `readAddress` reports what that was. */
export function parseRoute(hash: string): Route {
  // Half a character (a lone surrogate) could not be written into an address again.
  const [path = '', query = ''] = new TextDecoder()
    .decode(new TextEncoder().encode(hash))
    .replace(/^#/, '')
    .split(/\?(.*)/s);
  const [first, ...rest] = path.split('/').filter(Boolean).map(decode);
  const fields = new URLSearchParams(query);
  const { model, ckpt, tour, ...params } = Object.fromEntries(fields);
  const route = { model: model || null, ckpt: whole(ckpt), tour: whole(tour) || null, neuron: null, params };
  if (first === 'm') {
    const [layer, index] = [whole(rest[1]), whole(rest[2])];
    if (!rest[0] || layer === null || index === null) return { ...route, page: 'browse' };
    return { ...route, page: 'neuron', model: rest[0], neuron: { layer, index } };
  }
  const page = isPage(first) && first !== 'neuron' ? first : START.page;
  const isExplore = page === START.page && Object.keys(params).some((name) => !OF_START.includes(name));
  return { ...route, page: isExplore ? 'explore' : page };
}

/** The hash of a route. @param defaultModel - names the model on the neuron page if the route does not */
export function formatRoute({ page, model, ckpt, tour, neuron, params }: Route, defaultModel: string): string {
  const fields = new URLSearchParams();
  if (model !== null && page !== 'neuron') fields.set('model', model);
  if (ckpt !== null) fields.set('ckpt', String(ckpt));
  if (tour !== null) fields.set('tour', String(tour));
  for (const [name, text] of Object.entries(params)) fields.set(name, text);
  const own = page === START.page ? '' : page;
  const path = page === 'neuron' && neuron ? `m/${encodeURIComponent(model ?? defaultModel)}/${neuron.layer}/${neuron.index}` : own;
  return `#/${path}${fields.size > 0 ? `?${fields}` : ''}`;
}

/** Longest parameter in a link, in characters; longer ones go into a file. */
const MAX_IN_LINK = 2048;

/** Whether a parameter is short enough for a link. */
export const fitsLink = (value: string): boolean => value.length <= MAX_IN_LINK;

/** Token ids for an address: LEB128 varints as base64url. */
export function encodeIds(ids: ArrayLike<number>): string {
  const bytes: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    let id = ids[i]!;
    while (id > 0x7f) {
      bytes.push((id & 0x7f) | 0x80);
      id >>>= 7;
    }
    bytes.push(id);
  }
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** The ids in an address; `null` if it is malformed. */
export function decodeIds(text: string | undefined): number[] | null {
  if (!text || !/^[\w-]+$/.test(text)) return null;
  let bytes: string;
  try {
    bytes = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  } catch {
    return null;
  }
  const ids: number[] = [];
  let id = 0;
  let shift = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes.charCodeAt(i);
    if (shift > 21) return null; // no vocabulary is that large
    id |= (byte & 0x7f) << shift;
    shift += 7;
    if (byte < 0x80) {
      ids.push(id);
      id = 0;
      shift = 0;
    }
  }
  return shift === 0 ? ids : null;
}

/** `4.17` */
export const formatNeuron = ({ layer, index }: NeuronId): string => `${layer}.${index}`;

export function parseNeuron(text: string | undefined): NeuronId | null {
  const match = /^(\d{1,4})\.(\d{1,7})$/.exec(text ?? '');
  return match && { layer: Number(match[1]), index: Number(match[2]) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Where models compute, and in which numbers their matrices are kept. */
export interface Engine {
  backend: BackendChoice;
  dtype: WeightDtype;
}

/** What the query says about this visit. */
export function visit(search: string): { engine: Engine; embed: boolean } {
  const query = new URLSearchParams(search);
  const backend = query.get('backend');
  return {
    engine: {
      backend: backend === 'webgpu' || backend === 'cpu' ? backend : 'auto',
      dtype: query.get('dtype') === 'f16' ? 'f16' : 'stored',
    },
    embed: query.get('embed') === '1',
  };
}

/** Opens the same page anew at another address, with what the history keeps because it is too long for one. */
export function openAnew(url: string): void {
  history.pushState(history.state, '', url);
  location.reload();
}

/** The same page with matrices kept in these numbers. */
export function keptAs(dtype: WeightDtype): string {
  const url = new URL(location.href);
  if (dtype === 'stored') url.searchParams.delete('dtype');
  else url.searchParams.set('dtype', dtype);
  return url.href;
}

/** The same page on the CPU. */
export function onCpu(): string {
  const url = new URL(location.href);
  url.searchParams.set('backend', 'cpu');
  return url.href;
}
