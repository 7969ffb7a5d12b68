// www/ → dist/site: the static site with the models it offers.
import fs from 'node:fs';
import path from 'node:path';
import { folderOf, OWN, PACKAGES, THIRD_PARTY, writeLicenses, writePackages } from './licenses.mjs';
import { inRoot, paths, show } from './paths.mjs';
import { run } from './run.mjs';
import { filesUnder, step } from './steps.mjs';
import { collectClaims } from './claims.mjs';
import { copyModels } from './model-index.mjs';
import { buildPackage } from './package.mjs';
import { shellFiles, writeSiteFiles } from './site-files.mjs';
import { buildWasm, compileWasm, ENGINE, STATISTICS } from './wasm.mjs';

/** Named so that every host shows them as text. */
const LICENSES = [THIRD_PARTY, ...OWN.map((name) => `${name}.txt`)].map((name) => `dist/site/${name}`);

/** Builds the package and then the site on it. */
export async function buildSite() {
  await compileWasm(ENGINE);
  // The statistics are compiled while the engine gets its bindings; first here, since both build a tool and cargo builds one at a time.
  await Promise.all([buildWasm(STATISTICS), buildPackage()]);
  const built = fs.readdirSync(paths.npmPackage).map((name) => `dist/npm/${name}`);
  const statistics = filesUnder(inRoot(STATISTICS.generated)).map((file) => show(file));
  const address = process.env.SITE_URL ?? null;
  await step(
    'site',
    {
      inputs: ['www', 'package-lock.json', 'scripts/lib/site.mjs', ...built, ...statistics],
      outputs: ['dist/site/index.html', PACKAGES.site],
      facts: address,
    },
    async () => {
      const vite = inRoot('node_modules/vite/bin/vite.js');
      await run(process.execPath, [vite, 'build', '--outDir', paths.site, '--emptyOutDir', '--logLevel', 'warn'], { cwd: paths.www });
      const list = path.join(paths.site, 'packages.json');
      writePackages(PACKAGES.site, JSON.parse(fs.readFileSync(list, 'utf8')).map(folderOf));
      fs.rmSync(list);
    },
  );
  // Vite has emptied the folder if it ran: the copy depends on what it wrote.
  const results = 'training/claims/results';
  await step(
    'models',
    {
      inputs: ['models', results, ...['claims', 'model-index', 'site'].map((name) => `scripts/lib/${name}.mjs`), 'dist/site/index.html'],
      outputs: ['dist/site/models'],
    },
    () => {
      const models = path.join(paths.site, 'models');
      copyModels(paths.models, models);
      const claims = collectClaims(inRoot(results));
      if (claims) fs.writeFileSync(path.join(models, 'claims.json'), JSON.stringify(claims));
    },
  );
  // Imported late: it needs npm packages, which a fresh clone does not have when this file is read.
  const { buildDocs } = await import('./docs/build.mjs');
  await buildDocs();
  await buildLicenses();
  // Last, since the service worker's version is a hash of what it holds.
  const shell = shellFiles().map((name) => `dist/site/${name}`);
  const inputs = [...shell, 'dist/site/assets', 'scripts/lib/site-files.mjs', 'scripts/lib/site.mjs', 'www'];
  // The second goes when the models are copied anew.
  const outputs = ['dist/site/service-worker.js', 'dist/site/models/.htaccess'];
  await step('site-files', { inputs, outputs, facts: address }, () => writeSiteFiles());
}

/** Our licenses, and those of what is in the site. */
async function buildLicenses() {
  const lists = Object.values(PACKAGES);
  const inputs = [
    ...lists,
    ...OWN,
    'Cargo.lock',
    'package-lock.json',
    ...['licenses', 'site', 'wasm'].map((name) => `scripts/lib/${name}.mjs`),
  ];
  await step('licenses', { inputs, outputs: LICENSES }, () => {
    const folders = new Set(lists.flatMap((list) => JSON.parse(fs.readFileSync(inRoot(list), 'utf8'))));
    writeLicenses(path.join(paths.site, THIRD_PARTY), [...folders], [ENGINE, STATISTICS]);
    for (const name of OWN) fs.copyFileSync(inRoot(name), path.join(paths.site, `${name}.txt`));
  });
}
