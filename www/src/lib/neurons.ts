/** Reads the statistics: a neuron's entry in the columns, its label, its tokens as text. */
import type { FeatureColumns, FeatureIndex } from 'topk-lm';
import { clipped, count, quoted } from './format';
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

/** As the file has it. */
const storedLabel = (index: FeatureIndex | null, neuron: NeuronId): string => index?.columns.label[entryOf(index, neuron)] ?? '';

/** What a search for words goes by: the label as stored, but that the kind of its list is called as on the page. */
export const searchedLabel = (index: FeatureIndex | null, neuron: NeuronId): string => withKind(storedLabel(index, neuron));

/** A list for which no rule fits is stored as `mixed: a, b, c`. */
export const withKind = (label: string): string => label.replace(/^(reads )?mixed: /, '$1various: ');

/** Tokens that would be read as the label’s own punctuation, or overlooked. */
const SIGNS = new Map([
  [',', 'comma'],
  ['.', 'period'],
  ['"', 'quote'],
  [':', 'colon'],
  [';', 'semicolon'],
  ["'", 'apostrophe'],
  ['-', 'hyphen'],
]);

/** What stands before the tokens of a label: whether it reads or writes them, and of what kind they are. */
const BEGINNING = /^(?:reads |writes )?(?:(?:[a-z -]+|(?:before|after) “.*?”): )?/s;

/** A label in words: `+9` at its end says that it holds for nine more tokens, `?` that half of the text, or of the prompts, would give another. */
export function plainLabel(label: string): string {
  const part = (stored: string) => {
    const isUnsure = /[^\s“]\?$/.test(stored); // else the token “?”
    const [, list = '', more] = /^(.*?)(?: \+(\d+))?$/s.exec(isUnsure ? stored.slice(0, -1) : stored) ?? [];
    const beginning = BEGINNING.exec(list)?.[0] ?? '';
    const tokens = list.slice(beginning.length).split(', ');
    const said = beginning + tokens.map((token) => SIGNS.get(token) ?? token).join(', ');
    return `${said}${more ? ` and ${more} more` : ''}${isUnsure ? ' (unsure)' : ''}`;
  };
  return withKind(clipped(label)).split(' · writes ').map(part).join(' · writes ');
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

/** Whether a step of emergence is the last one analyzed, at which a neuron is compared with itself: it did not settle before. */
export const isUnsettled = ({ steps }: FeatureIndex, step: number | null): boolean => step !== null && step === steps.at(-1);

/** When a neuron emerged, in words. */
export function emergenceText(index: FeatureIndex, step: number | null): string {
  if (step === null) return '–';
  return isUnsettled(index, step) ? 'only at the end: not settled' : `step ${count(step)}`;
}

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

/** Of a label such as `reads “very” · writes quiet, long`, what the neuron reads. */
export const readsOf = (label: string): string => plainLabel(label.split(' · writes ')[0] ?? '').replace(/^reads /, '');

/** The words that it names as read. */
export const namedIn = (label: string): string[] =>
  readsOf(label)
    .replace(/( and \d+ more)?( \(unsure\))?$/, '')
    .replace(/^various: /, '')
    .split(', ');

/** The same where there is little room: without how sure that is, how much more there is, or that the tokens are of no kind. */
export const whatItReads = (label: string): string =>
  readsOf(label)
    .replace(/^various: /, '')
    .replace(/ \(unsure\)$/, '')
    .replace(/ and \d+ more$/, ' …');
