/** `manifest.json`: the files that a static site offers, and how downloads are verified. */
import { createError, show } from './errors.js';

export interface ManifestFile {
  /** Relative to the model folder, `/` between parts. */
  path: string;
  bytes: number;
  /** 64 hex digits, lower case. */
  sha256: string;
}

export interface Manifest {
  files: Map<string, ManifestFile>;
  /** Training steps with a folder `step{N}/`, ascending. */
  steps: number[];
}

/** Most training steps of a model: a page offers each. */
export const MOST_STEPS = 4096;

/** Whether a path stays inside its folder. */
export function isInside(path: string): boolean {
  return (
    path !== '' &&
    !/\p{Surrogate}/u.test(path) && // half a character is in no URL
    !path.includes('\\') &&
    !/^[a-z][a-z0-9+.-]*:/i.test(path) &&
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}

/** Whether a server sent a web page instead of the file: many respond to a missing file with 200 and their start page. */
export function looksLikeHtml(text: string): boolean {
  return /^\s*<(?:!doctype|!--|html|head|body|\?xml)/i.test(text);
}

/** Whether it is another file of that name, as of a web app. */
export function isOther(text: string): boolean {
  try {
    const { format, files } = JSON.parse(text) as Record<string, unknown>;
    return format === undefined && files === undefined;
  } catch {
    return false;
  }
}

/** Checks `manifest.json`; `where` names it in errors. */
export function parseManifest(text: string, where: string): Manifest {
  const fail = (what: string): never => {
    throw createError('download', `${where}: ${what}.`);
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fail('not valid JSON');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return fail('it must hold a JSON object with format and files');
  const { format, files, steps } = json as Record<string, unknown>;
  if (format !== 1) fail(`format is ${show(format)}, but 1 is what this version reads`);
  if (!Array.isArray(files)) return fail('files must be a list');
  const byPath = new Map<string, ManifestFile>();
  for (const [number, file] of (files as unknown[]).entries()) {
    const { path, bytes, sha256 } = (typeof file === 'object' && file !== null ? file : {}) as Record<string, unknown>;
    if (typeof path !== 'string' || !isInside(path)) return fail(`files[${number}].path must be a path inside the folder`);
    if (!Number.isSafeInteger(bytes) || (bytes as number) < 0) return fail(`files[${number}].bytes must be a length in bytes`);
    if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/i.test(sha256)) return fail(`files[${number}].sha256 must be 64 hex digits`);
    byPath.set(path, { path, bytes: bytes as number, sha256: sha256.toLowerCase() });
  }
  const all = checkpointSteps(byPath.keys(), steps);
  if (all.length > MOST_STEPS) fail(`it has ${all.length} training steps, but at most ${MOST_STEPS} are read`);
  return { files: byPath, steps: all };
}

/** Steps for which there are weights under `step{N}/`, of all paths and the manifest's own list; ascending. */
export function checkpointSteps(paths: Iterable<string>, listed?: unknown): number[] {
  const steps = new Set<number>();
  for (const path of paths) {
    // As the number is written: step07 is not the folder of step 7.
    const match = /^step(0|[1-9]\d{0,14})\/model\.safetensors(?:\.index\.json)?$/.exec(path);
    if (match) steps.add(Number(match[1]));
  }
  if (Array.isArray(listed)) {
    for (const step of listed) if (Number.isSafeInteger(step) && step >= 0) steps.add(step as number);
  }
  return [...steps].sort((a, b) => a - b);
}

/** Shard names of a `model.safetensors.index.json`, in order of first mention; [] if it is no such file. */
export function shardNames(text: string): string[] {
  try {
    const { weight_map: map } = JSON.parse(text) as { weight_map?: unknown };
    if (typeof map !== 'object' || map === null) return [];
    return [...new Set(Object.values(map))].filter((name): name is string => typeof name === 'string' && isInside(name));
  } catch {
    return []; // the engine reads it too, and says what is wrong
  }
}
