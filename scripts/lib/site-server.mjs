// The built site on this machine, as `npm start` serves it: compressed, under the policy that hosts send, and with models that notebooks and other pages may load.
import net from 'node:net';
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
      if (!(await isTakenBeside(port)))
        return await serve({ '/': folder }, { port, headers: siteHeaders(), compress: true, intercept: allowModels });
    } catch (error) {
      if (error.code !== 'EADDRINUSE') throw error;
    }
    if (!mayMove || port >= first + TRIED) throw new Failure(`Port ${port} is in use: choose another with --port.`);
  }
}

/** Whether another program has the port at ::1, where browsers may look first for `localhost`; on port 0, any, none has. */
function isTakenBeside(port) {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', ({ code }) => resolve(code === 'EADDRINUSE')); // or there is no ::1
    probe.listen(port, '::1', () => probe.close(() => resolve(false)));
  });
}

function allowModels(request, response) {
  if (request.url.startsWith('/models/')) for (const [name, value] of Object.entries(MODEL_HEADERS)) response.setHeader(name, value);
  return false;
}
