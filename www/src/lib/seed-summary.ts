/** What texts of several seeds show: the effect and its price, base beside steered. Pure functions. */
import { countWords } from './compare';

/** New text only, and its nats per token under the unmodified model. */
export interface SeedWriting {
  text: string;
  surprise: number | null;
}

export interface SeedText {
  seed: number;
  base: SeedWriting;
  steered: SeedWriting;
}

export interface SideSummary {
  /** Words of the topic in each text. */
  words: number[];
  /** Texts with at least one of them. */
  shown: number;
  meanWords: number;
  surprise: (number | null)[];
  meanSurprise: number | null;
}

export interface SeedSummary {
  base: SideSummary;
  steered: SideSummary;
  /** Texts that the edits changed. */
  changed: number;
  /** Mean surprise of the steered texts over that of the base texts. */
  ratio: number | null;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function sideOf(writings: readonly SeedWriting[], concept: readonly string[]): SideSummary {
  const words = writings.map(({ text }) => countWords(text, concept).found);
  const surprise = writings.map((writing) => writing.surprise);
  const known = surprise.filter((nats) => nats !== null);
  return {
    words,
    shown: words.filter((count) => count > 0).length,
    meanWords: words.length > 0 ? mean(words) : 0,
    surprise,
    meanSurprise: known.length > 0 ? mean(known) : null,
  };
}

/** @param concept - words in lower case; none: only the price is known */
export function summaryOf(texts: readonly SeedText[], concept: readonly string[]): SeedSummary {
  const base = sideOf(
    texts.map((text) => text.base),
    concept,
  );
  const steered = sideOf(
    texts.map((text) => text.steered),
    concept,
  );
  const changed = texts.filter((text) => text.base.text !== text.steered.text).length;
  const ratio = base.meanSurprise && steered.meanSurprise !== null ? steered.meanSurprise / base.meanSurprise : null;
  return { base, steered, changed, ratio };
}
