/** The start page's example in words. */
import { nameOfSide } from '../contrast-names';
import { share } from '../format';
import type { Example } from './example';

/** The name of what brings words of a topic: “night sky” in the file is “Night sky” on every page. */
export const topicName = (concept: string): string => concept.slice(0, 1).toUpperCase() + concept.slice(1);

/** What the neuron stands for. */
export function plainName({ name, figures }: Example): string {
  return figures.kind === 'switch' ? nameOfSide(figures.contrast, figures.effect > 0) : topicName(name);
}

export const rate = (number: number): string => number.toFixed(number < 1 ? 2 : number < 10 ? 1 : 0);

/** How it was measured: a sentence. */
export function figuresText({ name, figures }: Example): string {
  if (figures.kind === 'switch') {
    const { contrast, times, surprise } = figures;
    return `Measured on ${contrast}: it moves the odds ${times.toFixed(1)} times as far as the best of 100 random neurons of its layer, and short texts written this way surprise the model ${surprise.toFixed(2)} times as much as its own do.`;
  }
  const { baseRate, steeredRate, tokens, success, surprise } = figures;
  return `Measured over many prompts: words of “${name}” go from ${rate(baseRate)} to ${rate(steeredRate)} in ${tokens} tokens, and the text surprises another model ${surprise.toFixed(2)} times as much. It shows in ${share(success)} of the texts.`;
}
