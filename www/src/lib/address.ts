/** What the address says: `?model=` and `?backend=` decide what is loaded, the hash holds what was typed. */
import type { BackendChoice } from 'topk-lm';

const DEFAULT_MODEL = 'models/Llama-TopK-Stories-20M/';

/** Query parameters. A model is the URL of a folder, relative to the page. */
export function loadParameters(): { model: URL; backend: BackendChoice } {
  const query = new URLSearchParams(location.search);
  const asked = query.get('backend');
  const folder = query.get('model') || DEFAULT_MODEL;
  const base = new URL('.', location.href);
  let model: URL;
  try {
    model = new URL(folder.endsWith('/') ? folder : `${folder}/`, base);
  } catch {
    model = new URL(DEFAULT_MODEL, base);
  }
  return { model, backend: asked === 'webgpu' || asked === 'cpu' ? asked : 'auto' };
}

/** The same page on the CPU, with what was typed. */
export function onCpu(): string {
  const url = new URL(location.href);
  url.searchParams.set('backend', 'cpu');
  return url.href;
}

/** One neuron, clamped to `multiple` times its present maximum. */
export interface Steer {
  layer: number;
  index: number;
  multiple: number;
}

/** What a person typed. */
export interface Typed {
  prompt: string;
  seed: number;
  temperature: number;
  maxTokens: number;
  steer: Steer | null;
}

export const LIMITS = {
  seed: { min: 0, max: Number.MAX_SAFE_INTEGER },
  temperature: { min: 0, max: 2 },
  maxTokens: { min: 1, max: 4096 },
  multiple: { min: -1, max: 3 },
} as const;

export const DEFAULTS: Typed = { prompt: 'Once upon a time', seed: 7, temperature: 0.8, maxTokens: 100, steer: null };

/** A finite number inside limits, or the fallback. */
export function within(number: unknown, { min, max }: { min: number; max: number }, fallback: number): number {
  return typeof number === 'number' && Number.isFinite(number) ? Math.min(max, Math.max(min, number)) : fallback;
}

/** Reads the hash; whatever is missing or wrong takes its default. */
export function readHash(hash: string): Typed {
  const fields = new URLSearchParams(hash.replace(/^#/, ''));
  const number = (name: string) => (fields.has(name) ? Number(fields.get(name)) : Number.NaN);
  return {
    prompt: fields.get('prompt') ?? DEFAULTS.prompt,
    seed: Math.floor(within(number('seed'), LIMITS.seed, DEFAULTS.seed)),
    temperature: within(number('temperature'), LIMITS.temperature, DEFAULTS.temperature),
    maxTokens: Math.floor(within(number('tokens'), LIMITS.maxTokens, DEFAULTS.maxTokens)),
    steer: readSteer(fields.get('steer')),
  };
}

/** `layer,index,multiple` */
function readSteer(text: string | null): Steer | null {
  const match = /^(\d{1,4}),(\d{1,7}),(-?\d{1,3}(?:\.\d{1,4})?)$/.exec(text ?? '');
  if (!match) return null;
  return { layer: Number(match[1]), index: Number(match[2]), multiple: within(Number(match[3]), LIMITS.multiple, 1) };
}

export function writeHash({ prompt, seed, temperature, maxTokens, steer }: Typed): string {
  const fields = new URLSearchParams({ prompt, seed: String(seed), temperature: String(temperature), tokens: String(maxTokens) });
  if (steer) fields.set('steer', `${steer.layer},${steer.index},${steer.multiple}`);
  return `#${fields}`;
}
