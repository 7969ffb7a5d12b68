// npm start [-- --port N]: builds what changed and serves the site on this machine.
import { parseArgs } from 'node:util';
import { Failure, main } from './lib/run.mjs';
import { paths } from './lib/paths.mjs';
import { serve } from './lib/server.mjs';
import { ensureNodeModules } from './lib/system.mjs';
import { MODEL_HEADERS } from './lib/site-files.mjs';
import { buildSite } from './lib/site.mjs';

const DEFAULT_PORT = 4173;

await main(async () => {
  const asked = askedPort();
  await ensureNodeModules();
  await buildSite();
  const { url } = await open(asked);
  console.log(`\n  topk-lm is at ${url}\n  (Ctrl+C stops it)`);
});

function askedPort() {
  let values;
  try {
    ({ values } = parseArgs({ options: { port: { type: 'string' } } }));
  } catch (error) {
    throw new Failure(`${error.message} Usage: npm start -- --port ${DEFAULT_PORT}`);
  }
  const text = values.port ?? process.env.PORT;
  if (text === undefined) return null;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Failure(`--port must be a number from 0 to 65535, not "${text}".`);
  return port;
}

/** A port that was asked for is taken or refused; the default gives way to the next free one. */
async function open(asked) {
  for (let port = asked ?? DEFAULT_PORT; ; port++) {
    try {
      return await serve({ '/': paths.site }, { port, compress: true, intercept: allowModels });
    } catch (error) {
      if (error.code !== 'EADDRINUSE') throw error;
      if (asked !== null || port > DEFAULT_PORT + 20) throw new Failure(`Port ${port} is in use: choose another with --port.`);
    }
  }
}

/** Notebooks and other pages may load the models. */
function allowModels(request, response) {
  if (request.url.startsWith('/models/')) for (const [name, value] of Object.entries(MODEL_HEADERS)) response.setHeader(name, value);
  return false;
}
