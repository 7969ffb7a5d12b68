// A TypeScript module of the site, by its path below www/src/lib, for scripts and tests.
import { build } from 'esbuild';
import { inRoot } from './paths.mjs';

export async function siteModule(name) {
  const { outputFiles } = await build({ entryPoints: [inRoot('www/src/lib', name)], bundle: true, format: 'esm', write: false });
  return import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
}
