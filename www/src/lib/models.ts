/** The models that the site offers: `models/index.json`, which the build makes from the folders in models/. */

import type { ModelKind } from './model-kind';
import { getJson, SiteFileError } from './get';

/** An autoencoder in the folder of its model. */
export interface ShippedSae {
  /** Its folder, relative to the model’s. */
  path: string;
  bytes: number;
  /** Kind, hook and width, as its cfg.json says. */
  kind: string;
  hook: string;
  width: number;
}

/** A model that can be chosen. */
export interface ModelEntry {
  name: string;
  /** `null`: only its own configuration says. */
  kind: ModelKind | null;
  /** URL of its folder. */
  url: URL;
  /** Download size of the final weights, configuration and tokenizer; `null`: unknown. */
  bytes: number | null;
  /** Training checkpoints, ascending, with the size of each download. */
  steps: { step: number; bytes: number }[];
  /** Name of the same model trained without TopK. */
  denseTwin: string | null;
  hasFeatures: boolean;
  /** Whether its folder holds texts with their active neurons, in `examples/`. */
  hasExamples: boolean;
  /** Whether its folder holds one prompt continued by every training step, `continuations.json`. */
  hasContinuations: boolean;
  /** Whether its folder holds what the start page shows, `start.json`. */
  hasStart: boolean;
  /** Whether its folder holds what Steer shows before the weights are there, `steered.json`. */
  hasSteered: boolean;
  /** Whether its folder holds the gallery’s texts of topics, `topics.json`. */
  hasTopics: boolean;
  /** Autoencoders on it that come with the site. */
  saes: readonly ShippedSae[];
  /** Whether its folder holds challenges, `challenges.json`. */
  hasChallenges: boolean;
  /** Files by path that the reader picked: they are the model, and {@link url} only names it. */
  files?: Readonly<Record<string, Blob>>;
}

interface IndexFile {
  models: {
    name: string;
    kind: ModelKind;
    bytes: number;
    steps: { step: number; bytes: number }[];
    dense_twin: string | null;
    features: boolean;
    examples: boolean;
    continuations: boolean;
    start: boolean;
    steered: boolean;
    topics: boolean;
    saes: ShippedSae[];
    challenges: boolean;
  }[];
}

/** The models of this site; it opens with the first. */
export async function shippedModels(): Promise<ModelEntry[]> {
  const base = new URL('models/', document.baseURI);
  const what = 'The list of models';
  const { models } = ((await getJson(what, new URL('index.json', base))) ?? {}) as Partial<IndexFile>;
  if (!Array.isArray(models)) throw new SiteFileError(`${what} could not be read: index.json does not hold one.`);
  return models.map(
    ({ name, kind, bytes, steps, dense_twin, features, examples, continuations, start, steered, topics, saes, challenges }) => ({
      name,
      kind,
      url: new URL(`${encodeURIComponent(name)}/`, base),
      bytes,
      steps,
      denseTwin: dense_twin,
      hasFeatures: features,
      hasExamples: examples,
      hasContinuations: continuations,
      hasStart: start,
      hasSteered: steered,
      hasTopics: topics,
      saes,
      hasChallenges: challenges,
    }),
  );
}

/** A model folder at a URL that the reader entered. */
export function foreignModel(url: URL): ModelEntry {
  const folder = new URL(url.pathname.endsWith('/') ? url : `${url.href}/`);
  return {
    name: folder.href,
    kind: null,
    url: folder,
    bytes: null,
    steps: [],
    denseTwin: null,
    hasFeatures: true,
    hasExamples: false,
    hasContinuations: false,
    hasStart: false,
    hasSteered: false,
    hasTopics: false,
    saes: [],
    hasChallenges: false,
  };
}

/** The dense twin of a TopK model, or the TopK model of a dense twin; `null`: not offered. */
export function twinOf(entry: ModelEntry, models: readonly ModelEntry[]): ModelEntry | null {
  if (entry.denseTwin !== null) return models.find(({ name }) => name === entry.denseTwin) ?? null;
  return models.find(({ denseTwin }) => denseTwin === entry.name) ?? null;
}

/** A model of files that the reader picked or dropped, under the name of their folder. */
export function pickedModel(name: string, files: Readonly<Record<string, Blob>>): ModelEntry {
  return { ...foreignModel(new URL(`picked/${encodeURIComponent(name)}/`, location.href)), name, files };
}

/** Tells a model of the reader's from a shipped one of the same name. */
const YOURS = ' (yours)';

/** A model of the reader's that has the name of a shipped one is another model. */
export const yours = (name: string): string => `${name}${YOURS}`;

/** A name as the picker shows it; a URL is shortened to its host and folder. */
export function shortName(name: string): string {
  if (!URL.canParse(name)) return name.replace(/^Llama-/, '').replaceAll('-', ' ');
  const { host } = new URL(name);
  const folder = folderName(name);
  return folder === host ? host : `${folder} (${host})`;
}

/** The name of a model's folder; of a URL without one, its host. */
export function folderName(name: string): string {
  if (!URL.canParse(name)) return name.endsWith(YOURS) ? name.slice(0, -YOURS.length) : name;
  const { host, pathname } = new URL(name);
  const folder = pathname
    .replace(/\/resolve\/[^/]+\/$/, '') // a hub's folder of files, of some revision
    .split('/')
    .filter(Boolean)
    .at(-1);
  return folder === undefined ? host : decoded(folder);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
