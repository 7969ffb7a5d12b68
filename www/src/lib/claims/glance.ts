/** The main findings as bars, each beside its controls. training/claims/glance.py puts the same figures into the README. */
import { at, numberAt, shown, type Tree } from './figures';
import { shownBlock } from './patching';
import { f1At, firstSae, labelF1, SHARPEST, shownFeatures } from './reading';

export interface Bar {
  name: string;
  /** Length, 0 to 1. */
  value: number;
  text: string;
  /** Whether it is of the TopK model's neurons; the others are what they are compared with. */
  isOurs: boolean;
}

/** A question and what was measured. */
export interface Glance {
  question: string;
  /** What a bar stands for: a sentence or two. */
  note: string;
  bars: Bar[];
}

type Measured = readonly [name: string, value: number | null, isOurs?: 'ours'];

/** Without any bar of the model's own there is nothing to compare. */
function glance(question: string, unit: 'two' | 'percent' | 'tenths', measured: readonly Measured[], note: string): Glance[] {
  const bars = measured.flatMap(([name, value, ours]) =>
    value === null ? [] : [{ name, value, text: shown(value, unit), isOurs: ours !== undefined }],
  );
  return bars.some(({ isOurs }) => isOurs) && bars.some(({ isOurs }) => !isOurs) ? [{ question, note, bars }] : [];
}

/** The main findings, the bad ones too; one that was not measured is left out. */
export function glanceOf({ strongest, controls, patches, switches, turning, sets, quality, consistency }: Tree): Glance[] {
  const block = shownBlock(patches);
  const patched = at(patches, `rows.${block}`);
  const told = at(strongest, 'rows');
  const f1 = (row: unknown) => f1At(row, SHARPEST);
  const labels = labelF1(controls, numberAt(strongest, 'block'));
  const eight = (row: unknown) => numberAt(row, 'together.8');
  const topics = (way: string) => numberAt(sets, `methods.${way}.works`);
  const right = (model: string) => numberAt(consistency, `${model}.holder.right`);
  const gap = numberAt(quality, 'gap_percent.test');
  return [
    ...glance(
      'Can you tell what a neuron reads?',
      'two',
      [
        ['neurons', f1(at(told, 'topk')), 'ours'],
        ['the same states, rotated', f1(at(told, 'topk_rotated'))],
        ['coordinates of the dense twin', f1(at(told, 'dense'))],
        [shownFeatures(told), f1(firstSae(told))],
      ],
      `How well a few tokens predict where the neuron is strongest. Median F1 (1 is perfect) at the strongest ${shown(SHARPEST, 'tenths')} of positions, the share at which neurons do best.${labels === null ? '' : ` Over all activations after block ${numberAt(strongest, 'block')}: neurons ${shown(labels.topk, 'two')}, SAE features ${shown(labels.sae, 'two')}.`}`,
    ),
    ...glance(
      'How few decide the next word?',
      'percent',
      [
        ['eight neurons', eight(at(patched, 'topk')), 'ours'],
        ['eight SAE features on the twin', eight(firstSae(patched))],
        ['eight directions of rotated states', eight(at(patched, 'topk_rotated'))],
        ['eight coordinates of the twin', eight(at(patched, 'dense'))],
      ],
      `Two texts differ in one word. How far the next word shifts from one text’s to the other’s when eight of them are copied across after block ${block} (median).`,
    ),
    ...glance(
      'Does a neuron do the same after new prompts?',
      'tenths',
      [
        ['neurons of the Gallery', numberAt(switches, 'same_side.mean'), 'ours'],
        ['random neurons in their place', numberAt(switches, 'random.same_side.mean')],
        ['neurons that Steer finds for two words', numberAt(turning, 'same_side.mean'), 'ours'],
        ['random neurons in their place', numberAt(turning, 'random.same_side.mean')],
      ],
      'A neuron that made “she” more likely than “he” should do so after other prompts too. How often such a neuron does, after prompts that it was not chosen by. Half is chance.',
    ),
    ...glance(
      'Can you steer towards a topic?',
      'percent',
      [
        ['up to eight neurons', topics('topk.8'), 'ours'],
        ['one neuron', topics('topk.1'), 'ours'],
        ['up to eight SAE features on the twin', topics('sae.8')],
        ['up to eight coordinates of the twin', topics('dense.8')],
        ['the words’ logits raised, without any neuron', topics('logits')],
      ],
      'Share of topics for which half of the texts contain two of the topic’s words and the texts are at most 1.3 times as surprising as unedited ones.',
    ),
    ...glance(
      'What does TopK cost?',
      'percent',
      [
        ['TopK model', right('topk'), 'ours'],
        ['its dense twin', right('dense')],
        ['guessing', right('topk') === null ? null : 0.5],
      ],
      `How often it correctly says who has an object in a story.${gap === null ? '' : ` On test stories used only for this figure the loss is ${gap.toFixed(1)} % higher.`}`,
    ),
  ];
}
