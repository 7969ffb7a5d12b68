/** Requests for the site's own small files. */

/** How long one may take, in ms. */
const TIMEOUT = 30_000;

/** How long an engine may take, over a slow connection. */
export const ENGINE_TIMEOUT = 300_000;

/** As `fetch`, but not for ever: a server that accepts and never answers is an error. */
export function get(url: URL, signal?: AbortSignal, most = TIMEOUT): Promise<Response> {
  const late = AbortSignal.timeout(most);
  return fetch(url, { signal: signal ? AbortSignal.any([signal, late]) : late });
}

/**
 * JSON of one of the site's own files.
 *
 * @param what - what it holds, as the subject of a sentence: “The list of models”
 * @param optional - `null` where there is no such file
 */
export async function getJson(what: string, url: URL, signal?: AbortSignal, { optional = false } = {}): Promise<unknown> {
  let why: string;
  try {
    const response = await get(url, signal);
    if (response.ok) return await response.json();
    if (optional && response.status === 404) return null;
    why = `the server responded with ${response.status}`;
  } catch (error) {
    // Without a network every page says the same.
    if (signal?.aborted || (error instanceof TypeError && !navigator.onLine)) throw error;
    why = error instanceof SyntaxError ? `${url.pathname.split('/').at(-1)} is not JSON` : 'the server did not answer';
  }
  throw new SiteFileError(`${what} could not be read: ${why}.`);
}

/** A file of the site could not be read: no fault of the model. */
export class SiteFileError extends Error {
  readonly code = 'site-file';
}

/** The engine's code did not arrive. Browsers remember that for as long as the page is open. */
export class EngineCodeError extends Error {
  readonly code = 'engine-code';
}
