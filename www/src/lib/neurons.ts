/** Reads the statistics: a neuron's entry in the columns, its label, its tokens as text. */
import type { FeatureColumns, FeatureIndex } from 'topk-lm';
import { quoted } from './format';
import type { NeuronId } from './route';

/** Entry of a neuron in the columns; −1 if it was not analyzed. */
export function entryOf({ layers, dModel }: FeatureIndex, { layer, index }: NeuronId): number {
  const row = layers.indexOf(layer);
  return row < 0 || index >= dModel ? -1 : row * dModel + index;
}

export function neuronAt({ layers, dModel }: FeatureIndex, entry: number): NeuronId {
  return { layer: layers[Math.floor(entry / dModel)] ?? 0, index: entry % dModel };
}

export function labelOf(index: FeatureIndex | null, neuron: NeuronId): string {
  return plainLabel(storedLabel(index, neuron));
}

/** As the file has it: what a search goes by. */
export function storedLabel(index: FeatureIndex | null, neuron: NeuronId): string {
  return index?.columns.label[entryOf(index, neuron)] ?? '';
}

/** A label in words: `+9` at its end says that it holds for nine more tokens, `?` that half of the text, or of the prompts, would give another. */
export function plainLabel(label: string): string {
  const part = (stored: string) => {
    const isUnsure = /[^\s“]\?$/.test(stored); // else the token “?”
    const said = (isUnsure ? stored.slice(0, -1) : stored).replace(/ \+(\d+)$/, ' and $1 more');
    return isUnsure ? `${said} (unsure)` : said;
  };
  return label.split(' · writes ').map(part).join(' · writes ');
}

/** A column's value for a neuron; `null` where there is none. */
export function columnOf(
  index: FeatureIndex | null,
  neuron: NeuronId,
  name: { [K in keyof FeatureColumns]: FeatureColumns[K] extends (number | null)[] ? K : never }[keyof FeatureColumns] & string,
): number | null {
  return index ? ((index.columns[name] as (number | null)[])[entryOf(index, neuron)] ?? null) : null;
}

/** A token's text, or its id while there is no vocabulary. */
export const tokenText = (vocabulary: readonly string[] | null, id: number): string => vocabulary?.[id] ?? `#${id}`;

export const quotedToken = (vocabulary: readonly string[] | null, id: number): string => quoted(tokenText(vocabulary, id));

/** Whether the neuron has too few active positions for its entropies to say much. */
export function isRare(index: FeatureIndex, n: number | null): boolean {
  return n !== null && n < index.entropy.rareBelow;
}

/** A note on a semantic entropy: why there is none, or its N. */
export function semanticNote(index: FeatureIndex | null, { n }: { n: number | null }): string {
  return index && index.clusters === null
    ? 'Not computed for this model, because the clusters come from a dense twin’s embedding.'
    : `N = ${n ?? 0}.`;
}

/** Of a label such as `reads “very” · writes quiet, long`, only what the neuron reads, without how sure that is. */
export function whatItReads(label: string): string {
  return plainLabel(label.replace(/ · writes .*$/s, ''))
    .replace(/^reads /, '')
    .replace(/ \(unsure\)$/, '')
    .replace(/ and \d+ more$/, ' …');
}
