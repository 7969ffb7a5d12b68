/** What is known of an autoencoder’s features: `features.json` in its folder, which `topk-lm analyze --sae` writes as `saes/0.json`. */
import { visible } from '../format';
import { plainLabel, tokenText } from '../neurons';
import { numberOf } from '../values';

export interface SaeFeature {
  index: number;
  /** The tokens at which it was active most strongly; '' where nothing is known of it. */
  label: string;
  /** The largest value seen; `null`: it was never active. */
  max: number | null;
}

/** Tokens that a label names. */
const NAMED = 3;
/** Share of the strongest activations that the named tokens have at least; less is called various. */
const MOST_OF_THEM = 0.5;

/** The features by index. @throws if the file is none of these, or of another width */
export function saeFeatures(text: string, width: number, vocabulary: readonly string[] | null): SaeFeature[] {
  const { features } = JSON.parse(text) as { features?: unknown };
  if (!Array.isArray(features) || features.length !== width) throw new Error(`features.json must have ${width} features.`);
  return features.map((entry: Record<string, unknown> | null, index) => {
    const counted = Array.isArray(entry?.tokens) ? (entry.tokens as unknown[]) : [];
    const tokens = counted.flatMap((pair) => {
      const [id, count] = Array.isArray(pair) ? pair.map(numberOf) : [];
      return typeof id === 'number' && typeof count === 'number' ? [{ text: named(tokenText(vocabulary, id)), count }] : [];
    });
    return { index, label: labelOf(tokens, numberOf(entry?.n) ?? 0), max: numberOf(entry?.max) };
  });
}

/** A token without its spaces, if it has anything else. */
const named = (token: string): string => token.trim() || visible(token).trim() || 'space';

function labelOf(tokens: readonly { text: string; count: number }[], n: number): string {
  const counts = new Map<string, number>();
  for (const { text, count } of tokens) counts.set(text, (counts.get(text) ?? 0) + count);
  const largest = [...counts].sort(([, a], [, b]) => b - a).slice(0, NAMED);
  const share = largest.reduce((sum, [, count]) => sum + count, 0) / Math.max(n, 1);
  const list = largest.map(([text]) => text).join(', ');
  return plainLabel(list !== '' && share < MOST_OF_THEM ? `mixed: ${list}` : list);
}

/** Features whose label has a word that begins so, those that name it first before others. */
export function findFeatures(features: readonly SaeFeature[], query: string, most: number): SaeFeature[] {
  const wanted = query.trim().toLowerCase();
  if (wanted === '') return [];
  const rank = ({ label }: SaeFeature) => {
    const at = label
      .toLowerCase()
      .replace(/^various: /, '')
      .split(', ')
      .findIndex((token) => token.startsWith(wanted));
    return at < 0 ? Number.POSITIVE_INFINITY : at + (label.startsWith('various') ? NAMED : 0);
  };
  return features
    .map((feature) => ({ feature, at: rank(feature) }))
    .filter(({ at }) => Number.isFinite(at))
    .sort((a, b) => a.at - b.at || a.feature.index - b.feature.index)
    .slice(0, most)
    .map(({ feature }) => feature);
}
