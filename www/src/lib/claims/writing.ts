/** How well the models write: losses, and what they know of a story. */
import { at, type FactGroup, group, MODELS, numberAt, type Row, shown, textAt, UNITS } from './figures';

const QUALITY: readonly Row[] = [
  ['validation.nats_per_token', 'Loss on validation stories', 'Nats per token on the validation text.', 'three'],
  ['held_out.nats_per_token', 'Loss on held-out stories', 'Nats per token on the held-out text.', 'three'],
  ['validation.bits_per_byte', 'Validation, bits per byte', 'The same in bits per byte, which is comparable across tokenizers.', 'three'],
  ['held_out.bits_per_byte', 'Held-out, bits per byte', 'The same in bits per byte, which is comparable across tokenizers.', 'three'],
  ['test.bits_per_byte', 'Test, bits per byte', 'On stories used only for this figure, read once at the end.', 'three'],
  [
    '8bit_minus_f32.held_out_bits_per_byte',
    'Cost of 8-bit weights',
    'Bits per byte on held-out text, 8-bit minus f32. A difference below 0.001 is too small to measure.',
    'cost',
  ],
  ['stories.name_recurs', 'Name recurs', 'Share of generated stories in which the name in the prompt recurs.', 'percent'],
  ['stories.no_8gram_thrice', 'No loops', 'Share of generated stories in which no sequence of eight tokens occurs three times.', 'percent'],
];

/** Whether the cost of 8-bit weights was measured, and the head kept its own. */
const isWithoutHead = (cost: unknown): boolean => cost != null && at(cost, 'with_head') !== true;

export function quality(tree: unknown): FactGroup {
  const [validation, held, test] = ['validation', 'held_out', 'test'].map((text) => numberAt(tree, `gap_percent.${text}`));
  const last = test == null ? '' : `, ${UNITS.signed(test)} on test stories`;
  const [weights, files] = [textAt(tree, 'topk.weights'), numberAt(tree, 'shipped.gap_percent.held_out')];
  const stored = files === null ? '' : ` With the 8-bit files that ship it is ${UNITS.signed(files)} on held-out stories.`;
  const head = isWithoutHead(at(tree, 'topk.8bit_minus_f32')) ? ' The cost of 8-bit weights is that of all matrices but the head.' : '';
  const gap =
    validation == null || held == null
      ? ''
      : `Loss of TopK relative to its dense twin: ${UNITS.signed(validation)} on validation, ${UNITS.signed(held)} on held-out stories${last} (nats per token${weights && `, ${weights} weights`}).${stored}${head}`;
  return group('Language modeling', tree, QUALITY, MODELS, gap);
}

/** The kinds of questions, in the order of the columns. */
const QUESTIONS = { who: 'who is meant', holder: 'who has it', what: 'which thing' };
const ASKED: readonly (readonly [path: string, name: string, definition: string])[] = [
  ['topk', 'TopK', 'The TopK model.'],
  ['topk.shuffled_sentences', 'TopK, sentences shuffled', 'Control: the sentences of the story in random order.'],
  ['dense', 'dense', 'The dense twin.'],
  ['dense.shuffled_sentences', 'dense, sentences shuffled', 'Control: the sentences of the story in random order.'],
];

export function consistency(tree: unknown): FactGroup {
  const facts = ASKED.filter(([path]) => at(tree, path) != null).map(([path, name, definition]) => ({
    name,
    definition,
    cells: Object.keys(QUESTIONS).map((kind) => shown(numberAt(at(tree, path), `${kind}.right`), 'percent')),
  }));
  const items = numberAt(tree, 'items_of_each_kind');
  const note =
    items === null
      ? ''
      : `Share of ${UNITS.count(items)} questions of each kind answered rightly, about generated stories that no model was trained on; 50 % is guessing. With the sentences shuffled the answers should be lost.`;
  return { title: 'Who is who, and who has what', columns: Object.values(QUESTIONS), facts, note };
}
