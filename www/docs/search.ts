/** The search of the documentation: loaded by docs.ts when it is first used. */
import MiniSearch from 'minisearch';
import { get } from '../src/lib/get';
import { SEARCH_OPTIONS } from './search-options.js';

/** Most entries that are shown. */
const LIMIT = 20;

export interface Found {
  /** Relative to the documentation's folder. */
  url: string;
  page: string;
  heading: string;
  /** How its text begins. */
  start: string;
}

let index: Promise<MiniSearch> | null = null;

async function load(address: URL): Promise<MiniSearch> {
  const response = await get(address);
  if (!response.ok) throw new Error(`${address.pathname}: ${response.status}`);
  return MiniSearch.loadJSON(await response.text(), SEARCH_OPTIONS);
}

/** Entries that hold every word, best first. */
export async function search(text: string, address: URL): Promise<Found[]> {
  index ??= load(address).catch((error) => {
    index = null; // the next search tries again
    throw error;
  });
  return (await index).search(text).slice(0, LIMIT) as unknown as Found[];
}
