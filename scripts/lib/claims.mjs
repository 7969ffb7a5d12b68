// training/claims/results/*.json → models/claims.json: the measured numbers, without the long texts and lists behind them.
import fs from 'node:fs';
import path from 'node:path';

/** Longer lists are for those who check the numbers, not for the site. */
const LONGEST_LIST = 32;
const LONGEST_TEXT = 300;

/** Results by file name; `null` if nothing has been measured yet. */
export function collectClaims(folder) {
  if (!fs.existsSync(folder)) return null;
  const names = fs
    .readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort();
  if (names.length === 0) return null;
  return Object.fromEntries(
    names.map((name) => [path.basename(name, '.json'), numbersOf(JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8')))]),
  );
}

/** The tree without samples of text, without what a search tried, and without long lists. */
function numbersOf(tree) {
  if (Array.isArray(tree)) return tree.length <= LONGEST_LIST ? tree.map(numbersOf) : undefined;
  if (typeof tree === 'string') return tree.length <= LONGEST_TEXT ? tree : undefined;
  if (tree === null || typeof tree !== 'object') return tree;
  const entries = Object.entries(tree).filter(([name]) => !['chosen', 'sample', 'unpicked'].includes(name));
  return Object.fromEntries(entries.map(([name, part]) => [name, numbersOf(part)]));
}
