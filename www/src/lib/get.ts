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
