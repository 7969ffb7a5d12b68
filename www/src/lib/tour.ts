/** The tour: steps on the live pages, each a sentence and what it speaks of. */
import { formatEdits } from './edits';
import type { PageName } from './pages';
import type { Example } from './start/example';

export interface TourStep {
  page: PageName;
  title: string;
  text: string;
  /** What it speaks of, as a selector; of several the first that is there. */
  target: string;
  /** With which the page opens. */
  params: (example: Example | null) => Record<string, string>;
}

const nothing = () => ({});

/** The start page's example on Steer; before TopK, so that it competes for its place. */
const steered = (example: Example | null): Record<string, string> =>
  example ? { p: example.prompt, temp: '0', len: '28', e: formatEdits([{ ...example.edit, site: 'topk_in' }]) } : {};

export const TOUR: readonly TourStep[] = [
  {
    page: 'explore',
    title: 'Type',
    text: 'Type any sentence. The model cuts it into tokens, words and parts of words, and reads along as you type.',
    target: 'section:has(> * > #text-title)',
    params: nothing,
  },
  {
    page: 'explore',
    title: 'See',
    text: 'Each bar is a neuron at the chosen token. In every layer a threshold comes down: the strongest few pass, with their names; the rest fall away.',
    target: 'section[aria-labelledby=network-title]',
    params: nothing,
  },
  {
    page: 'explore',
    title: 'Choose',
    text: 'Choose a bar or a name. The card says at which words the neuron is active, and the text lights up where it is.',
    target: '.side > section',
    params: nothing,
  },
  {
    page: 'steer',
    title: 'Switch',
    text: 'Here one neuron is set. The model continues the same prompt twice, without the neuron and with it. The flag marks where the two texts diverge.',
    target: '[data-pair]',
    params: steered,
  },
  {
    page: 'steer',
    title: 'What it pushed out',
    text: 'A layer keeps only so many neurons. The one that you set took a place, so these lost theirs.',
    target: 'section[aria-labelledby=evicted-title]',
    params: steered,
  },
  {
    page: 'trace',
    title: 'Back in training',
    text: 'Press Play: the same prompt, continued by the model as it was at stored steps of its training, from noise to stories.',
    target: '[data-film]',
    params: nothing,
  },
];
