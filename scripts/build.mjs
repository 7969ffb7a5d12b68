// npm run build: the npm package into dist/npm and the static site into dist/site.
import { main } from './lib/run.mjs';
import { show, paths } from './lib/paths.mjs';
import { ensureNodeModules } from './lib/system.mjs';
import { buildSite } from './lib/site.mjs';
import { printSiteSize } from './lib/site-files.mjs';
import { checkSize } from './lib/size.mjs';

await main(async () => {
  await ensureNodeModules();
  await buildSite();
  await checkSize();
  printSiteSize();
  console.log(`npm package: ${show(paths.npmPackage)}\nsite: ${show(paths.site)}`);
});
