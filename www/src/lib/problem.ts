/** Errors as a person meets them: what happened, and what to do next. */
import { TopKError } from 'topk-lm';

/** The button that goes with the next step. */
export type Remedy = 'restart' | 'retry' | 'cpu' | 'none';

export interface Problem {
  /** {@link TopKError.code}, or `unknown`. */
  code: string;
  /** One sentence. */
  message: string;
  /** One sentence: the next step. */
  advice: string;
  remedy: Remedy;
}

const KEPT = 'Nothing typed is lost.';

/** By code: the advice, the button, and whether the model is gone. */
const KNOWN: Record<string, { advice: string; remedy: Remedy; fatal: boolean }> = {
  'device-lost': { advice: `Restart loads the model again from this browser's storage. ${KEPT}`, remedy: 'restart', fatal: true },
  'out-of-memory': { advice: `Close other tabs that use the graphics card, then restart. ${KEPT}`, remedy: 'restart', fatal: true },
  worker: { advice: `Restart loads the model again. ${KEPT}`, remedy: 'restart', fatal: true },
  wasm: { advice: 'Reload the page; if it stays, this browser is too old for WebAssembly with SIMD.', remedy: 'restart', fatal: true },
  internal: { advice: `Restart loads the model again. ${KEPT}`, remedy: 'restart', fatal: true },
  disposed: { advice: `Restart loads the model again. ${KEPT}`, remedy: 'restart', fatal: true },
  features: { advice: 'The page shows what else there is.', remedy: 'none', fatal: false },
  'no-features': { advice: 'Pages that need no statistics work without it.', remedy: 'none', fatal: false },
  'non-finite': { advice: 'Bring the steering nearer to 1 × and try again.', remedy: 'none', fatal: false },
  device: { advice: 'The CPU runs the same model, more slowly.', remedy: 'cpu', fatal: true },
  download: { advice: 'Check the connection and load again: what has arrived is kept.', remedy: 'retry', fatal: true },
  integrity: { advice: 'Load again: the damaged file is not kept.', remedy: 'retry', fatal: true },
  config: { advice: 'Correct the file, or choose another model above.', remedy: 'retry', fatal: true },
  checkpoint: { advice: 'Correct the file, or choose another model above.', remedy: 'retry', fatal: true },
  tokenizer: { advice: 'Correct the file, or choose another model above.', remedy: 'retry', fatal: true },
  io: { advice: 'Load again.', remedy: 'retry', fatal: true },
  context: { advice: 'Shorten the prompt.', remedy: 'none', fatal: false },
  argument: { advice: 'Change it and try again.', remedy: 'none', fatal: false },
  edit: { advice: 'Change the steering and try again.', remedy: 'none', fatal: false },
  hook: { advice: 'Restart loads the model again.', remedy: 'restart', fatal: false },
};

const codeOf = (error: unknown): string => (error instanceof TopKError ? error.code : 'unknown');

const OFFLINE: Problem = {
  code: 'offline',
  message: 'This is not downloaded yet, and there is no network.',
  advice: 'What was opened before works. Connect and load again; About has a button that keeps a whole model.',
  remedy: 'retry',
};

export function problemOf(error: unknown): Problem {
  if (!navigator.onLine && codeOf(error) === 'download') return OFFLINE;
  const code = codeOf(error);
  const { advice, remedy } = KNOWN[code] ?? { advice: `Restart loads the model again. ${KEPT}`, remedy: 'restart' as const };
  return { code, message: error instanceof Error ? error.message : String(error), advice, remedy };
}

/** Whether the model cannot be used after this. */
export const isFatal = (error: unknown): boolean => KNOWN[codeOf(error)]?.fatal ?? true;

/** Whether even the weights that were in place are gone: after other failures of a checkpoint the model goes on with them. */
export const endsModel = (error: unknown): boolean => ['device-lost', 'worker', 'wasm', 'internal', 'disposed'].includes(codeOf(error));

export const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';
