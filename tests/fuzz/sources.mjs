// The parts under test that no package exports, bundled from their sources.
import { build } from 'esbuild';
import { inRoot } from '../../scripts/lib/paths.mjs';

const ENTRY = `
  export { TopKError } from './js/src/errors.ts';
  export { Features } from './js/src/features.ts';
  export { parseManifest, shardNames, isInside } from './js/src/manifest.ts';
  export { UrlFiles } from './js/src/sources/url.ts';
  export { featureFiles } from './js/test/support/features.ts';
  export { FakeServer } from './js/test/support/server.ts';
  export { readAddress, readFile, linkOf, fileOf } from './www/src/lib/address.ts';
  export { formatRoute } from './www/src/lib/route.ts';
`;

// In memory: two targets run at a time.
const { outputFiles } = await build({
  stdin: { contents: ENTRY, resolveDir: inRoot('.'), loader: 'ts' },
  bundle: true,
  write: false,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
});
export const sources = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
