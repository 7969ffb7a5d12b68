// node scripts/release.mjs check TAG | env | origin | licenses TARGET | archive TARGET | sums DIR | notes TAG: what .github/workflows/release.yml runs on every
// system.
//   check TAG       every version in the repository is the tag's (v1.2.3), and CHANGELOG.md says something about it
//   env             variables for what is built, NAME=VALUE: messages of a panic name no folder of this machine
//   origin          the repository that GitHub builds → the manifests of the crate and the wheels; elsewhere nothing
//   licenses TARGET what the command contains of others → python/cli/THIRD_PARTY_LICENSES.txt, which the wheel takes along
//   archive TARGET  target/release/topk-lm with its documents → dist/release/topk-lm-VERSION-TARGET.tar.gz (.zip on Windows)
//   sums DIR        DIR/SHA256SUMS, for `sha256sum --check`
//   notes TAG       what CHANGELOG.md says about it
import { archive, checkTag, environment, notesOf, writeLicensesOf, writeSums } from './lib/release.mjs';
import { writeOrigin } from './lib/origin.mjs';
import { show } from './lib/paths.mjs';
import { Failure, main } from './lib/run.mjs';

const commands = {
  check: (tag) => checkTag(tag),
  env: () => console.log(environment()),
  origin: () => {
    const files = writeOrigin(process.env);
    console.log(files.length > 0 ? files.join('\n') : 'No repository is known: GITHUB_SERVER_URL and GITHUB_REPOSITORY are not set.');
  },
  licenses: (target) => console.log(show(writeLicensesOf(target))),
  archive: async (target) => console.log(show(await archive(target))),
  sums: (folder) => writeSums(folder),
  notes: (tag) => console.log(notesOf(checkTag(tag))),
};

await main(async () => {
  const [command, argument] = process.argv.slice(2);
  if (!commands[command] || (!argument && commands[command].length > 0))
    throw new Failure('Usage: node scripts/release.mjs check TAG | env | origin | licenses TARGET | archive TARGET | sums DIR | notes TAG');
  await commands[command](argument);
});
