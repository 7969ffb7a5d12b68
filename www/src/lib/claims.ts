/**
 * What was measured of our models: `models/claims.json`, which the build makes from `training/claims/results/` (one key per file). Any figure may be
 * missing; the page says which.
 */
import { at, type FactGroup, listAt, numberAt, type Tree, UNITS } from './claims/figures';
import { type Glance, glanceOf } from './claims/glance';
import { paper } from './claims/paper';
import { longer, longerOf } from './claims/longer';
import { eightOf, patching, shownBlock } from './claims/patching';
import { controls, f1At, firstSae, labelF1, SHARPEST, saes, seeds, shownFeatures, strongest } from './claims/reading';
import { EQUAL, judgesOf, lettingGo, otherJudges, sets, steering, wordsAt } from './claims/steering';
import { compute, lookingAhead, saeTrace, sweep, sweepWide, trace } from './claims/training';
import { foundOf, turnedOf, turning } from './claims/turning';
import { consistency, quality } from './claims/writing';
import { getJson } from './get';

export interface Claims {
  /** The main findings as bars. */
  glance: Glance[];
  /** The main figures in sentences, the bad ones too. */
  lead: string[];
  groups: FactGroup[];
  /** What has not been measured and the command that measures it: phrases. */
  gaps: string[];
}

/** `null`: the site was built without any. @throws where they cannot be read */
export async function readClaims(signal: AbortSignal): Promise<Claims | null> {
  const read = await getJson('The measurements', new URL('models/claims.json', document.baseURI), signal, { optional: true });
  return read === null ? null : claimsOf(read as Tree);
}

/** The main findings, a sentence each; one whose figures were not measured is left out. */
function leadOf({
  quality: written,
  controls: reads,
  sets: steered,
  judged,
  consistency: answers,
  patches: patched,
  strongest: sharp,
  switches: turned,
  turning: found,
  longer: trainedLonger,
}: Tree): string[] {
  const sentence = (paths: readonly (readonly [tree: unknown, path: string])[], say: (...figures: number[]) => string): string[] => {
    const figures = paths.map(([tree, path]) => numberAt(tree, path));
    return figures.some((figure) => figure === null) ? [] : [say(...(figures as number[]))];
  };
  const f1 = (row: string) => [reads, `rows.${row}.f1`] as const;
  const even = (row: string) => [reads, `rows.${row}.f1_even`] as const;
  const works = (way: string) => [steered, `methods.${way}.works`] as const;
  return [
    ...sentence(
      [[written, 'gap_percent.held_out']],
      (gap) => `Keeping only k neurons raises the loss on held-out stories by ${gap.toFixed(1)} %.`,
    ),
    ...sentence(
      [f1('topk'), f1('topk_rotated'), f1('dense')],
      (neuron, rotated, dense) =>
        `A label of a few tokens tells where a neuron is active with an F1 of ${UNITS.two(neuron)} (median): better than for the same states rotated (${UNITS.two(rotated)}) and for the dense twin’s coordinates (${UNITS.two(dense)}), and far from 1.`,
    ),
    ...sentence(
      [even('topk'), even('topk_rotated'), even('dense')],
      (neuron, rotated, dense) =>
        `Neurons are active at far fewer positions than those. Compared at equally many positions (each unit’s strongest 3 %) with the best-fitting tokens, F1 is ${UNITS.two(neuron)}, ${UNITS.two(rotated)} and ${UNITS.two(dense)}.`,
    ),
    ...strongestOf(sharp, reads),
    ...eightOf(patched),
    ...turnedOf(turned),
    ...foundOf(found),
    ...sentence(
      [works('topk.1'), works('topk.8'), works('dense.8')],
      (one, eight, dense) =>
        `Lists of up to eight neurons bring up ${UNITS.percent(eight)} of the topics (two of a topic’s words in half of the texts, which together are at most 1.3 times as surprising as unedited ones); up to eight coordinates of the twin bring up ${UNITS.percent(dense)}, one neuron alone ${UNITS.percent(one)}.`,
    ),
    ...sentence(
      [works('sae.1'), works('sae.8'), works('logits'), [steered, 'methods.logits.nll_ratio'], [steered, 'methods.topk.8.nll_ratio']],
      (feature, sae, raised, surprise, ours) =>
        `Up to eight features of an SAE on the twin bring up ${UNITS.percent(sae)}, one alone ${UNITS.percent(feature)}. Neurons are not the best lever for a topic: raising the logits of the words, without any neuron, brings up ${UNITS.percent(raised)}, for ${UNITS.two(surprise)} times the surprise (lists of eight: ${UNITS.two(ours)}).`,
    ),
    ...equalOf(steered, judged),
    ...sentence(
      [
        [written, 'gap_percent.test'],
        [answers, 'topk.holder.right'],
        [answers, 'dense.holder.right'],
      ],
      (gap, ours, theirs) =>
        `On test stories used only for this figure the loss is ${gap.toFixed(1)} % higher with TopK, and it may know less often who has an object (${UNITS.percent(ours)} of 120 questions, the twin ${UNITS.percent(theirs)}; 50 % is guessing).`,
    ),
    ...longerOf(trainedLonger),
  ];
}

/** Where each is strongest. */
function strongestOf(sharp: unknown, reads: unknown): string[] {
  const rows = (at(sharp, 'rows') ?? {}) as Tree;
  const [ours, rotated, dense, features] = [rows.topk, rows.topk_rotated, rows.dense, firstSae(rows)].map((row) => f1At(row, SHARPEST));
  if (ours == null || rotated == null || dense == null || features == null) return [];
  const byLabel = labelF1(reads, numberAt(sharp, 'block'));
  const labels =
    byLabel === null
      ? ''
      : ` By labels of all their activations SAE features there have ${UNITS.two(byLabel.sae)}, neurons ${UNITS.two(byLabel.topk)}.`;
  return [
    `Where each is strongest, at ${UNITS.tenths(SHARPEST)} of the positions, where neurons do best, F1 is ${UNITS.two(ours)} for neurons, ${UNITS.two(rotated)} where the states are rotated, ${UNITS.two(dense)} for coordinates and ${UNITS.two(features)} for ${shownFeatures(rows)}.${labels}`,
  ];
}

/** Ways of steering where all make texts more surprising by equally many nats. */
function equalOf(steered: unknown, judged: unknown): string[] {
  const byEight = (methods: unknown) => ['topk', 'sae', 'dense'].map((way) => wordsAt(at(methods, `methods.${way}.8`), EQUAL));
  const [ours, sae, dense] = byEight(steered);
  if (ours == null || sae == null || dense == null) return [];
  const others = judgesOf(judged).flatMap(([, judge]) => {
    const [neurons, features] = byEight(judge);
    return neurons == null || features == null ? [] : [`${UNITS.two(neurons)} and ${UNITS.two(features)}`];
  });
  const told =
    others.length === 0
      ? ''
      : ` Here the twin measures surprise, and it wrote the texts for the features itself. Measured by larger models that wrote none of the texts, neurons and features bring ${others.join(' words, or ')} words.`;
  return [
    `At the price of ${EQUAL} nats per token, up to eight neurons bring ${UNITS.two(ours)} words of a topic into a text, as many features ${UNITS.two(sae)}, coordinates of the twin ${UNITS.two(dense)}.${told}`,
  ];
}

/** What has no figure yet. */
function gapsOf(claims: Tree): string[] {
  const { quality: written, controls: reads, sae } = claims;
  const has = (tree: unknown, path: string) => numberAt(tree, path) !== null;
  const checks: [there: boolean, what: string][] = [
    [has(written, 'topk.held_out.nats_per_token'), 'the TopK model’s loss'],
    [has(written, 'dense.held_out.nats_per_token'), 'the dense twin’s loss'],
    [has(reads, 'rows.topk.f1'), 'what neurons read'],
    [has(reads, 'rows.dense.f1'), 'what the dense twin’s coordinates read'],
    [saes(sae).facts.length > 0, 'sparse autoencoders on the twin'],
    [has(claims.seeds, 'mean.seeds.correlation'), 'neurons of another seed'],
    [has(claims.consistency, 'topk.figure'), 'consistency of stories'],
    [shownBlock(claims.patches) !== null, 'how few units decide the next word'],
    [has(claims.switches, 'times.median'), 'whether single neurons turn a contrast after new prompts'],
    [has(claims.turning, 'kept.median'), 'whether neurons found for two words turn them after new prompts'],
    [has(claims.sets, 'methods.topk.8.words'), 'steering by lists of neurons'],
    [listAt(claims.trace, 'topk.emerged_share').length > 0, 'emergence over the checkpoints'],
    [has(claims.compute, 'sizes.shipped.topk.flops'), 'loss against training FLOPs'],
    [has(claims.compute, 'sizes.proxy.dense.flops'), 'the same at a second size'],
  ];
  return checks.filter(([there]) => !there).map(([, what]) => what);
}

export function claimsOf(claims: Tree): Claims {
  const groups = [
    paper(claims.paper),
    quality(claims.quality),
    controls(claims.controls),
    strongest(claims.strongest),
    seeds(claims.seeds),
    saes(claims.sae),
    consistency(claims.consistency),
    patching(claims.patches),
    turning(claims.switches),
    sets(claims.sets),
    otherJudges(claims.judged, claims.sets),
    lettingGo(claims.letting_go, claims.sets),
    steering(claims.steering, claims.ceiling),
    longer(claims.longer),
    lookingAhead(claims.lasting),
    trace(claims.trace),
    saeTrace(claims.sae_trace),
    compute(claims.compute),
    sweep(claims.sweep),
    sweepWide(claims.sweep_wide),
  ];
  return { glance: glanceOf(claims), lead: leadOf(claims), groups: groups.filter(({ facts }) => facts.length > 0), gaps: gapsOf(claims) };
}
