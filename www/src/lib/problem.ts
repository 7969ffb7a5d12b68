/** Errors as a reader sees them: what happened, and what to do next. */
/** The button that goes with the next step; `retry-reload`: two. */
export type Remedy = 'restart' | 'retry' | 'retry-reload' | 'cpu' | 'reload' | 'none';

export interface Problem {
  /** `code` of the engine’s error, or `unknown`. */
  code: string;
  /** One sentence. */
  message: string;
  /** One sentence: the next step. */
  advice: string;
  remedy: Remedy;
}

const KEPT = 'What you typed is kept.';

/** By code: the advice, the button, and whether the model is gone. */
const KNOWN: Record<string, { advice: string; remedy: Remedy; fatal: boolean }> = {
  'device-lost': { advice: `Restart to load the model again from this browser’s storage. ${KEPT}`, remedy: 'restart', fatal: true },
  // While loading it is fatal all the same; of a loaded model it ends one call.
  'out-of-memory': { advice: 'Close other tabs or shorten the text, and try again.', remedy: 'none', fatal: false },
  worker: { advice: `Restart to load the model again. ${KEPT}`, remedy: 'restart', fatal: true },
  wasm: {
    advice: 'Reload the page. If the error persists, this browser is too old for WebAssembly with SIMD.',
    remedy: 'restart',
    fatal: true,
  },
  internal: { advice: `Restart to load the model again. ${KEPT}`, remedy: 'restart', fatal: true },
  disposed: { advice: `Restart to load the model again. ${KEPT}`, remedy: 'restart', fatal: true },
  'engine-code': { advice: 'Check your connection and reload the page.', remedy: 'reload', fatal: true },
  'site-file': { advice: 'Check your connection and load again.', remedy: 'retry', fatal: false },
  features: { advice: 'The rest of the page still works.', remedy: 'none', fatal: false },
  'no-features': { advice: 'Pages that need no statistics still work.', remedy: 'none', fatal: false },
  'non-finite': { advice: 'Use a strength closer to 1 × and try again.', remedy: 'none', fatal: false },
  device: { advice: 'The CPU can run the same model, more slowly.', remedy: 'cpu', fatal: true },
  download: { advice: 'Check your connection and load again; the download continues where it stopped.', remedy: 'retry', fatal: true },
  integrity: { advice: 'Load again; the damaged file was discarded.', remedy: 'retry', fatal: true },
  config: { advice: 'Fix the file, or choose another model above.', remedy: 'retry', fatal: true },
  checkpoint: { advice: 'Fix the file, or choose another model above.', remedy: 'retry', fatal: true },
  // While loading it is fatal all the same; a model without a tokenizer still runs on ids.
  tokenizer: { advice: 'Fix the file, or choose another model above.', remedy: 'retry', fatal: false },
  io: { advice: 'Load again.', remedy: 'retry', fatal: true },
  context: { advice: 'Shorten the prompt.', remedy: 'none', fatal: false },
  argument: { advice: 'Change it and try again.', remedy: 'none', fatal: false },
  edit: { advice: 'Change the edit and try again.', remedy: 'none', fatal: false },
  hook: { advice: 'Restart to load the model again.', remedy: 'restart', fatal: false },
};

/** By its `code`, not its class: the page does not wait for the engine's code before it can speak of errors. */
function codeOf(error: unknown): string {
  const { code } = (error instanceof Error ? error : {}) as { code?: unknown };
  return typeof code === 'string' && code in KNOWN ? code : 'unknown';
}

/** Files that were replaced while the page was open: it knows the old ones' sizes and hashes until it is loaded anew. */
export const RELOAD = { advice: 'Reload the page to use the new files.', remedy: 'reload' } as const;

const OFFLINE: Problem = {
  code: 'offline',
  message: 'This has not been downloaded yet, and you are offline.',
  advice: 'Whatever you opened before still works. Connect and load again. On About you can store a whole model for offline use.',
  remedy: 'retry',
};

/** In place of a page that could not be drawn. */
export const FALLEN: Problem = {
  code: 'page',
  message: 'This page could not be drawn.',
  advice: 'A file of the model may hold something that it cannot show. The other pages still work; or reload.',
  remedy: 'reload',
};

/** In place of a page whose code did not arrive. */
export const LOST: Problem = {
  code: 'page-code',
  message: 'This page could not be loaded.',
  advice: 'Check your connection and load again.',
  remedy: 'retry',
};

/** The same once more. Chromium asks for a file that two files share only once, also if it failed: then only a reload helps. */
export const LOST_AGAIN: Problem = { ...LOST, advice: 'Check your connection and load again, or reload the page.', remedy: 'retry-reload' };

/** The code of the tour did not arrive. */
export const LOST_TOUR: Problem = {
  ...LOST,
  message: 'The tour could not be loaded.',
  advice: 'Check your connection and reload the page.',
  remedy: 'reload',
};

/** Of a model that runs on the GPU (`gpu`), that is being loaded (`loading`). */
export function problemOf(error: unknown, { gpu = false, loading = false } = {}): Problem {
  const code = codeOf(error);
  // `fetch` itself fails with a TypeError.
  if (!navigator.onLine && (code === 'download' || error instanceof TypeError)) return OFFLINE;
  const { advice, remedy } = KNOWN[code] ?? { advice: `Restart to load the model again. ${KEPT}`, remedy: 'restart' as const };
  if (code === 'out-of-memory') {
    const tabs = `Close other tabs${gpu ? ' that use the GPU' : ''}`;
    const message = said(error);
    if (loading) return { code, message, advice: `${tabs}, then restart. ${KEPT}`, remedy: 'restart' };
    return { code, message, advice: `${tabs} or shorten the text, and try again.`, remedy };
  }
  return { code, message: said(error), advice, remedy };
}

/** Of a file beside the model, which keeps running. */
export function fileProblem(error: unknown): Problem {
  const problem = problemOf(error);
  if (problem.code === 'integrity') return { ...problem, ...RELOAD };
  const advice = problem.code === 'offline' ? problem.advice : 'The rest still works; open the page again to try once more.';
  return { ...problem, advice, remedy: 'none' };
}

/** The same as one or two sentences, where there is no button. */
export function whyUnread(error: unknown): string {
  const { code, message } = problemOf(error);
  return code === 'integrity' ? `${message} ${RELOAD.advice}` : message;
}

/** The engine's sentences have no stop, and the advice follows. */
function said(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

/** Whether the model cannot be used after this. */
export const isFatal = (error: unknown): boolean => KNOWN[codeOf(error)]?.fatal ?? true;

/** Whether even the old weights are gone: after other failures to load a checkpoint, the model keeps using them. */
export const endsModel = (error: unknown): boolean => ['device-lost', 'worker', 'wasm', 'internal', 'disposed'].includes(codeOf(error));

/** Whether a model was asked after it had been freed. */
export const isDisposed = (error: unknown): boolean => codeOf(error) === 'disposed';

export const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';
