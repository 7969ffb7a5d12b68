// The built site on this machine, as `npm start` serves it: compressed, under the policy that hosts send, and with models that notebooks and other pages may load.
import { Failure } from './run.mjs';
import { serve } from './server.mjs';
import { MODEL_HEADERS, siteHeaders } from './site-files.mjs';

/** Ports that are tried where the first is taken. */
const TRIED = 20;

/**
 * @param {string} folder the built site
 * @param {number} first the port
 * @param {boolean} mayMove whether another port will do where that one is taken
 * @returns {ReturnType<typeof serve>}
 */
export async function serveSite(folder, first, mayMove) {
  for (let port = first; ; port++) {
    try {
      return await serve({ '/': folder }, { port, headers: siteHeaders(), compress: true, intercept: allowModels });
    } catch (error) {
      if (error.code !== 'EADDRINUSE') throw error;
      if (!mayMove || port >= first + TRIED) throw new Failure(`Port ${port} is in use: choose another with --port.`);
    }
  }
}

function allowModels(request, response) {
  if (request.url.startsWith('/models/')) for (const [name, value] of Object.entries(MODEL_HEADERS)) response.setHeader(name, value);
  return false;
}
