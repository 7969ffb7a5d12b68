/** Numbers and tokens as text. */

/** Decimal megabytes, as download sizes are usually given. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** From here on a number is written with its power of ten. */
const LARGE = 1e6;

/** A neuron's value: two decimals, with a real minus sign. */
export function value(number: number): string {
  const text = Math.abs(number) >= LARGE ? number.toExponential(2) : number.toFixed(2);
  return text.replace(/^-(?=0\.00$)/, '').replaceAll('-', '−');
}

/** The same with a plus sign before what is shown as more than 0. */
export const signed = (number: number): string => {
  const text = value(number);
  return number > 0 && text !== '0.00' ? `+${text}` : text;
};

/** A multiple, as on the slider. */
export function multiple(number: number): string {
  return `${value(number)} ×`;
}

/** Longest text out of a model's files that is laid out, in characters: one of tens of thousands without a space stalls the page. */
const LONGEST = 200;

/** A label, a token or a name, cut where no real one is as long. */
export const clipped = (text: string): string =>
  text.length > LONGEST ? `${text.slice(0, LONGEST).replace(/[\ud800-\udbff]$/, '')}…` : text;

/** A token as a chip shows it: invisible characters get a symbol. */
export function visible(token: string): string {
  if (token === '') return '∅';
  const signs = clipped(token).replaceAll('\n', '↵\n').replaceAll('\t', '⇥');
  return signs.replaceAll(/^ $| (?= )|(?<= ) /g, '␣');
}

/** What a text begins with in the model’s own eyes; its name would be read as words. */
export const isStart = (token: string): boolean => /^<.*>$/s.test(token);

/**
 * Ids without the start token that a tokenizer puts before a text by itself.
 * @param bos its id; `undefined`: the model is not loaded yet, and the token tells
 */
export function withoutStart(ids: readonly number[], tokens: readonly string[], bos: number | null | undefined): readonly number[] {
  const [first] = ids;
  if (first === undefined) return ids;
  return (bos === undefined ? isStart(tokens[first] ?? '') : first === bos) ? ids.slice(1) : ids;
}

/** A token at its place in a text. */
export const visibleAt = (token: string, position: number): string => (position === 0 && isStart(token) ? '⟨start⟩' : visible(token));

/** A token as a sentence quotes it. */
export function quoted(token: string): string {
  return `“${visible(token).trim() || 'space'}”`;
}

/** The same of a token at its place in a text. */
export const quotedAt = (token: string, position: number): string =>
  position === 0 && isStart(token) ? visibleAt(token, position) : quoted(token);

/** Whether a token is part of a character only: its bytes by themselves cannot be shown. */
export const isBytes = (token: string): boolean => token.includes('\ufffd');

/** An entropy; a dash where there is none. */
export function bits(number: number | null): string {
  return number === null ? '–' : `${number.toFixed(2)} bits`;
}

/** A share as a percentage. */
export function share(number: number | null): string {
  if (number === null) return '–';
  const percent = 100 * number;
  if (percent > 0 && percent < 0.001) return '< 0.001 %';
  // Only what is certain has 100 %.
  if (percent >= 99.5 && percent < 100) return percent < 99.95 ? `${percent.toFixed(1)} %` : '> 99.9 %';
  return `${percent >= 10 || percent === 0 ? percent.toFixed(0) : percent.toPrecision(2)} %`;
}

/** A share that may be below 0 or above 1, as a whole percentage. */
export const percent = (share: number): string => `${Math.round(100 * share) || 0} %`.replace('-', '−');

/** A number with thousands separators. */
export const count = (number: number): string => number.toLocaleString('en');

/** `1 token`, `2,000 tokens` */
export const plural = (number: number, one: string): string => `${count(number)} ${one}${number === 1 ? '' : 's'}`;
