// npm start [-- --port N]: builds what changed and serves the site on this machine.
import { parseArgs } from 'node:util';
import { Failure, main } from './lib/run.mjs';
import { paths } from './lib/paths.mjs';
import { ensureNodeModules } from './lib/system.mjs';
import { buildSite } from './lib/site.mjs';
import { serveSite } from './lib/site-server.mjs';

const DEFAULT_PORT = 4173;

await main(async () => {
  const asked = askedPort();
  await ensureNodeModules();
  await buildSite();
  const { url } = await serveSite(paths.site, asked ?? DEFAULT_PORT, asked === null);
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
