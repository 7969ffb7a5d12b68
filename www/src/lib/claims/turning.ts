/** Single neurons that turn a contrast, after prompts that they were not found with. */
import { at, type FactGroup, numberAt, shown, UNITS } from './figures';

const ROWS = [
  ['', 'listed', 'neurons of the Gallery', 'They turn a contrast at least 1.5 times as far as the best of 100 random neurons.'],
  ['of_switches', 'switches', 'switches among them', 'They turn it at least three times as far.'],
  ['random', 'listed', 'random neurons', 'Control: as many other neurons in their place.'],
] as const;

/** The sentence among the main findings; [] where figures are missing. */
export function turnedOf(tree: unknown): string[] {
  const paths = ['listed', 'times.as_listed', 'same_side.mean', 'random.times.as_listed', 'random.same_side.mean'];
  const figures = paths.map((path) => numberAt(tree, path));
  if (figures.some((figure) => figure === null)) return [];
  const [listed, still, same, chance, chanceSame] = figures as [number, number, number, number, number];
  return [
    `${UNITS.count(listed)} times a neuron turns a contrast, such as he / she, at least 1.5 times as far as the best of 100 random neurons, all at values at which short texts stay readable; after new prompts ${UNITS.percent(still)} still do, and ${UNITS.tenths(same)} turn it the same way (other random neurons: ${UNITS.percent(chance)} and ${UNITS.tenths(chanceSame)}).`,
  ];
}

/** The same of neurons that were looked for by what they do, for any two words. */
export function foundOf(tree: unknown): string[] {
  const paths = ['pairs', 'listed', 'kept.median', 'same_side.mean', 'random.same_side.mean'];
  const figures = paths.map((path) => numberAt(tree, path));
  if (figures.some((figure) => figure === null)) return [];
  const [pairs, listed, kept, same, chance] = figures as [number, number, number, number, number];
  const ofTwin = ['dense.same_side.mean', 'dense.kept.median', 'dense.nats.median', 'nats.median'].map((path) => numberAt(tree, path));
  const [twinSame, twinKept, twinNats, nats] = ofTwin as [number, number, number, number];
  const twin = ofTwin.includes(null)
    ? ''
    : ` Coordinates of the twin, at their largest values, hold as well (${UNITS.tenths(twinSame)}, by ${UNITS.percent(twinKept)}), but turn the words by ${twinNats.toFixed(1)} nats where neurons do by ${nats.toFixed(1)}.`;
  return [
    `Steer finds neurons that turn one word into another, for any two: of the first eight for each of ${UNITS.count(pairs)} pairs (${UNITS.count(listed)} in all) ${UNITS.tenths(same)} turn it the same way after new prompts, by ${UNITS.percent(kept)} of what they did where they were found (random neurons: ${UNITS.tenths(chance)} the same way).${twin}`,
  ];
}

export function turning(tree: unknown): FactGroup {
  const facts = ROWS.flatMap(([path, count, name, definition]) => {
    const of = path === '' ? tree : at(tree, path);
    if (numberAt(of, 'times.median') === null) return [];
    const cells = [
      shown(numberAt(tree, count), 'count'),
      shown(numberAt(of, 'same_side.mean'), 'tenths'),
      shown(numberAt(of, 'times.median'), 'two'),
      shown(numberAt(of, 'times.as_listed'), 'percent'),
      shown(numberAt(of, 'times.switches'), 'count'),
    ];
    return [{ name, definition, cells }];
  });
  const contrasts = numberAt(tree, 'contrasts');
  const note =
    contrasts === null
      ? ''
      : `Each neuron of the Gallery is set again, to the same value, after three prompts of its contrast that it was not found with (${UNITS.count(contrasts)} contrasts), beside 100 other random neurons of its layer, each at the largest value at which its texts stay readable. Times: what it does over what the best of those does.`;
  return { title: 'Do single neurons turn a contrast?', columns: ['neurons', 'same side', 'times', '≥ 1.5', '≥ 3'], facts, note };
}
