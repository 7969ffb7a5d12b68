// www/ → dist/site: the static site with the models it offers.
import fs from 'node:fs';
import path from 'node:path';
import { folderOf, OWN, PACKAGES, THIRD_PARTY, writeLicenses, writePackages } from './licenses.mjs';
import { inRoot, paths, show } from './paths.mjs';
import { run } from './run.mjs';
import { filesUnder, step } from './steps.mjs';
import { collectClaims } from './claims.mjs';
import { modelIndex } from './model-index.mjs';
import { buildPackage } from './package.mjs';
import { writeSiteFiles } from './site-files.mjs';
import { buildWasm, ENGINE, STATISTICS } from './wasm.mjs';

/** Named so that every host shows them as text. */
const LICENSES = [THIRD_PARTY, ...OWN.map((name) => `${name}.txt`)].map((name) => `dist/site/${name}`);

/** Builds the package and then the site on it. */
export async function buildSite() {
  await buildPackage();
  await buildWasm(STATISTICS);
  const built = fs.readdirSync(paths.npmPackage).map((name) => `dist/npm/${name}`);
  const statistics = filesUnder(inRoot(STATISTICS.generated)).map((file) => show(file));
  const address = process.env.SITE_URL ?? null;
  await step(
    'site',
    { inputs: ['www', 'package-lock.json', ...built, ...statistics], outputs: ['dist/site/index.html', PACKAGES.site], facts: address },
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
      inputs: ['models', results, 'scripts/lib/claims.mjs', 'scripts/lib/model-index.mjs', 'dist/site/index.html'],
      outputs: ['dist/site/models'],
    },
    () => {
      const filter = (file) => path.extname(file) !== '.mjs'; // the manifests' own script stays here
      const models = path.join(paths.site, 'models');
      fs.cpSync(paths.models, models, { recursive: true, filter });
      fs.writeFileSync(path.join(models, 'index.json'), JSON.stringify(modelIndex(models)));
      const claims = collectClaims(inRoot(results));
      if (claims) fs.writeFileSync(path.join(models, 'claims.json'), JSON.stringify(claims));
    },
  );
  // Imported late: it needs npm packages, which a fresh clone does not have when this file is read.
  const { buildDocs } = await import('./docs/build.mjs');
  await buildDocs();
  await buildLicenses();
  // Last, since the service worker's version is a hash of what it holds.
  const shell = [
    'dist/site/index.html',
    'dist/site/assets',
    'dist/site/models/index.json',
    'dist/site/docs',
    ...LICENSES,
    'scripts/lib/site-files.mjs',
    'www',
  ];
  await step('site-files', { inputs: shell, outputs: ['dist/site/service-worker.js'], facts: address }, () => writeSiteFiles());
}

/** Our licenses, and those of what is in the site. */
async function buildLicenses() {
  const lists = Object.values(PACKAGES);
  const inputs = [...lists, ...OWN, 'Cargo.lock', 'package-lock.json', 'scripts/lib/licenses.mjs', 'scripts/lib/wasm.mjs'];
  await step('licenses', { inputs, outputs: LICENSES }, () => {
    const folders = new Set(lists.flatMap((list) => JSON.parse(fs.readFileSync(inRoot(list), 'utf8'))));
    writeLicenses(path.join(paths.site, THIRD_PARTY), [...folders], [ENGINE, STATISTICS]);
    for (const name of OWN) fs.copyFileSync(inRoot(name), path.join(paths.site, `${name}.txt`));
  });
}
