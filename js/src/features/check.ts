/** Files of `features/` → typed values: snake_case becomes camelCase, and what the types promise is checked. */
import { createError, show } from '../errors.js';
import { isInside, MOST_STEPS } from '../manifest.js';
import { markColumns } from './beginnings.js';
import type { ModelConfig } from '../types.js';
import type { FeatureIndex, NeuronRecord, NeuronStep, StepColumns, TokenClusters } from './types.js';

/** The newest version of the format that this package reads; it reads the ones before too. */
const FORMAT = 2;

/** How `index.json` says where the records are. */
export interface ShardLayout {
  perFile: number;
  /** With `{layer}` and `{start}`. */
  path: string;
}

type Check = (value: unknown) => boolean;
type Fields = Record<string, Check>;

const isNumber: Check = (value) => typeof value === 'number' && Number.isFinite(value);
/** Most characters of a text: a page lays out each that it shows. */
const LONGEST = 1024;
/** Most entries of a list of examples, and of another list that a page shows whole. */
const MOST = { examples: 100, shown: 1024 };

const isText: Check = (value) => typeof value === 'string' && value.length <= LONGEST;
const isPath: Check = (value) => isText(value) && isInside(value as string);
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const listOf =
  (check: Check, length?: number): Check =>
  (value) =>
    Array.isArray(value) && (length === undefined || value.length === length) && value.every(check);
/** Of a list that a page shows whole. */
const few =
  (check: Check, most = MOST.shown): Check =>
  (value) =>
    Array.isArray(value) && value.length <= most && value.every(check);
/** Objects, or pairs, of which no two have the same `key`. */
const distinct =
  (check: Check, key: string | number = 0): Check =>
  (value) =>
    few(check)(value) && new Set((value as never[]).map((one) => one[key])).size === (value as never[]).length;
const pair =
  (first: Check, second: Check): Check =>
  (value) =>
    Array.isArray(value) && value.length === 2 && first(value[0]) && second(value[1]);
const shape =
  (fields: Fields): Check =>
  (value) =>
    typeof value === 'object' && value !== null && Object.entries(fields).every(([name, check]) => check((value as never)[name]));

const isScalar = orNull(isNumber);
const isTail: Check = (value) => value === 1 || value === -1;
const isIds = few(isCount);
const isCounts = distinct(pair(isCount, isCount));
const isEffects = distinct(pair(isCount, isNumber));
/** Layers or training steps. */
const isAscending: Check = (value) =>
  few(isCount, MOST_STEPS)(value) && (value as number[]).every((one, place, all) => place === 0 || one > (all[place - 1] as number));

const isExample: Check = (value) =>
  shape({ doc: isCount, pos: isCount, value: isNumber, start: isCount, ids: isIds, acts: isEffects })(value) &&
  (value as { acts: [number, number][]; ids: number[] }).acts.every(([offset]) => offset < (value as { ids: number[] }).ids.length);
const isExamples = few(isExample, MOST.examples);

const isLabel = { label: isText, stable: (is: unknown) => typeof is === 'boolean' };

const RECORD: Fields = {
  reads: optional(
    orNull(
      shape({
        ...isLabel,
        f1: isNumber,
        recall: isNumber,
        precision: isNumber,
        explained: isNumber,
        detection: isNumber,
        shares: distinct(
          shape({ share: isScalar, n: isCount, tokenEntropy: isScalar, label: isText, f1: isNumber, tokens: isCounts }),
          'share',
        ),
        places: (value) => shape({})(value) && few(isScalar)(Object.values(value as object)),
      }),
    ),
  ),
  writes: optional(
    orNull(
      shape({
        ...isLabel,
        value: isNumber,
        kl: isNumber,
        klStronger: isNumber,
        up: isEffects,
        down: isEffects,
        upStronger: isEffects,
        specificity: isNumber,
        ablated: optional(shape({ prompts: isCount, kl: isScalar })),
        steer: orNull(shape({ value: isNumber, surprise: isNumber })),
        contrasts: distinct(listOf(isScalar, 3)),
      }),
    ),
  ),
  states: optional(
    orNull(
      shape({
        best: distinct(shape({ state: isText, f1: isNumber, precision: isNumber, recall: isNumber }), 'state'),
        f1Shuffled: isScalar,
      }),
    ),
  ),
  index: isCount,
  density: isScalar,
  max: isScalar,
  mean: isScalar,
  tail: optional(isTail),
  n: orNull(isCount),
  tokenEntropy: isScalar,
  semanticEntropy: isScalar,
  nextEntropy: isScalar,
  label: isText,
  emergence: orNull(isCount),
  histogram: shape({ min: optional(isNumber), max: isNumber, counts: few(isCount) }),
  tokens: isCounts,
  clusters: orNull(isCounts),
  nextTokens: isCounts,
  promoted: isEffects,
  suppressed: isEffects,
  layers: distinct(pair(isCount, isScalar)),
  examples: shape({
    top: isExamples,
    quantiles: distinct(shape({ from: isNumber, to: isNumber, examples: isExamples }), 'from'),
    random: isExamples,
  }),
};

/** Columns of `index.json`; `tail` is there in dense models only. */
const columns = (length: number): Fields => ({
  density: listOf(isScalar, length),
  max: listOf(isScalar, length),
  mean: listOf(isScalar, length),
  tail: optional(listOf(isTail, length)),
  n: listOf(orNull(isCount), length),
  tokenEntropy: listOf(isScalar, length),
  semanticEntropy: listOf(isScalar, length),
  nextEntropy: listOf(isScalar, length),
  topTokens: listOf(isIds, length),
  promoted: listOf(isIds, length),
  suppressed: listOf(isIds, length),
  label: listOf(isText, length),
  emergence: listOf(orNull(isCount), length),
  similarity: listOf(isScalar, length),
  ...Object.fromEntries(
    ['readsF1', 'detection', 'kl', 'specificity', 'strong', 'steer', 'stateF1', 'stateShuffled'].map((name) => [
      name,
      optional(listOf(isScalar, length)),
    ]),
  ),
  ...Object.fromEntries(['reads', 'writes', 'state'].map((name) => [name, optional(listOf(orNull(isText), length))])),
  ...Object.fromEntries(['clusters', 'writesUp', 'writesDown'].map((name) => [name, optional(listOf(orNull(isIds), length))])),
});

const camel = (key: string) => key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** Objects and lists within each other; the format has seven or so. */
const DEEPEST = 64;

/** Keys of all objects in camelCase. Lists of numbers are left as they are. */
function camelKeys(value: unknown, path: string, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEEPEST) fail(path, `objects or lists are more than ${DEEPEST} deep`);
  const within = (inner: unknown) => camelKeys(inner, path, depth + 1);
  if (Array.isArray(value)) return typeof value[0] === 'object' ? value.map(within) : value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [camel(key), within(inner)]));
}

function fail(path: string, what: string): never {
  throw createError('features', `${path}: ${what}; make it again with topk-lm analyze.`);
}

/** A file's object, in camelCase. */
export function objectOf(text: string, path: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fail(path, 'not valid JSON');
  }
  const object = camelKeys(json, path) as Record<string, unknown>;
  const format = object?.format as number;
  if (!isCount(format) || format < 1 || format > FORMAT) fail(path, `format is ${show(format)}, but this version reads 1 to ${FORMAT}`);
  return object;
}

function checkFields(object: unknown, fields: Fields, path: string, prefix = ''): void {
  for (const [name, check] of Object.entries(fields)) {
    if (!check((object as Record<string, unknown> | undefined)?.[name])) fail(path, `${prefix}${name} is not what the format says`);
  }
}

/** What of a model its statistics have to agree with. */
export type ModelShape = Pick<ModelConfig, 'd_model' | 'n_layers'>;

/** `index.json`; of `model`, where that is known. */
export function parseIndex(text: string, path: string, model?: ModelShape): { index: FeatureIndex; shards: ShardLayout } {
  const object = objectOf(text, path);
  checkFields(
    object,
    {
      beginnings: optional(listOf(isText)),
      model: isText,
      kind: (kind) => kind === 'topk' || kind === 'dense',
      dModel: (d) => isCount(d) && d !== 0,
      layers: (layers) => isAscending(layers) && (layers as number[]).length > 0,
      topkK: orNull(isCount),
      step: orNull(isCount),
      corpus: shape({ files: listOf(isText), documents: isCount, tokens: isCount, positions: isCount, sha256: isText }),
      entropy: shape({ n: isCount, rareBelow: isCount }),
      clusters: orNull(shape({ file: isPath, threshold: isNumber, count: isCount, source: isText })),
      shards: shape({ perFile: (n) => isCount(n) && n !== 0, path: isPath }),
      columns: shape({}),
      emergenceJs: isNumber,
      steps: isAscending,
    },
    path,
  );
  const { format: _, shards, ...rest } = object;
  const index = { beginnings: [], ...rest } as unknown as FeatureIndex;
  if (model) checkModel(index, path, model);
  checkFields(index.columns, columns(index.dModel * index.layers.length), path, 'columns.');
  markColumns(index);
  return { index, shards: shards as ShardLayout };
}

function checkModel({ dModel, layers }: FeatureIndex, path: string, { d_model, n_layers }: ModelShape): void {
  if (dModel !== d_model) fail(path, `d_model is ${dModel}, but the model's is ${d_model}`);
  const beyond = layers.find((layer) => layer >= n_layers);
  if (beyond !== undefined) fail(path, `layers has ${beyond}, but the model's are 0 to ${n_layers - 1}`);
}

/** The record of one neuron in a file of records ({@link objectOf}), without its training. */
export function recordOf(file: Record<string, unknown>, path: string, layer: number, index: number): Omit<NeuronRecord, 'steps'> {
  const record = entryOf(file, path, layer, index);
  checkFields(record, RECORD, path, `neuron ${index}: `);
  return { layer, ...record } as unknown as Omit<NeuronRecord, 'steps'>;
}

/** Scalars of a neuron at each training step; the same names as the columns of `steps/columns.json`. */
const SCALARS = ['density', 'max', 'n', 'tokenEntropy', 'semanticEntropy', 'jsToFinal'];

/** What one neuron was at each of the training `steps`, in a file of `steps/layer{L}/` ({@link objectOf}). */
export function trainingOf(file: Record<string, unknown>, path: string, layer: number, index: number, steps: number[]): NeuronStep[] {
  const record = entryOf(file, path, layer, index);
  const scalars = Object.fromEntries(SCALARS.map((name) => [name, listOf(isScalar, steps.length)]));
  checkFields(record, { tokens: listOf(isCounts, steps.length), ...scalars }, path, `neuron ${index}: `);
  const lists = ['tokens', ...SCALARS].map((name) => [name, record[name] as unknown[]] as const);
  return steps.map(
    (step, place) => ({ step, ...Object.fromEntries(lists.map(([name, list]) => [name, list[place]])) }) as unknown as NeuronStep,
  );
}

function entryOf(object: Record<string, unknown>, path: string, layer: number, index: number): Record<string, unknown> {
  if (object.layer !== layer) fail(path, `layer is ${show(object.layer)}, but must be ${layer}`);
  const { neurons } = object;
  if (!Array.isArray(neurons)) return fail(path, 'neurons must be a list');
  const record = neurons.find((neuron: unknown) => (neuron as { index?: unknown } | null)?.index === index);
  return record === undefined ? fail(path, `neuron ${index} is missing`) : (record as Record<string, unknown>);
}

/** `steps/columns.json`, of `neurons` neurons. */
export function parseSteps(text: string, path: string, neurons: number): StepColumns {
  const { steps, layers, columns } = objectOf(text, path);
  checkFields({ steps, layers }, { steps: isAscending, layers: isAscending }, path);
  const column = listOf(listOf(isScalar, neurons), (steps as number[]).length);
  checkFields(columns, Object.fromEntries(SCALARS.map((name) => [name, column])), path, 'columns.');
  return { steps, layers, columns } as unknown as StepColumns;
}

/** `clusters.json`. */
export function parseClusters(text: string, path: string): TokenClusters {
  const { threshold, source, linkage, cluster } = objectOf(text, path);
  checkFields(
    { threshold, source, linkage, cluster },
    { threshold: isNumber, source: isText, linkage: isText, cluster: listOf(isCount) },
    path,
  );
  return { threshold, source, linkage, cluster } as unknown as TokenClusters;
}
