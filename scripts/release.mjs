// node scripts/release.mjs check TAG | archive TARGET | sums DIR | notes TAG: what .github/workflows/release.yml runs on every system.
//   check TAG       every version in the repository is the tag's (v1.2.3), and CHANGELOG.md says something about it
//   archive TARGET  target/release/topk-lm with its documents → dist/release/topk-lm-VERSION-TARGET.tar.gz (.zip on Windows)
//   sums DIR        DIR/SHA256SUMS, for `sha256sum --check`
//   notes TAG       what CHANGELOG.md says about it
import { archive, checkTag, notesOf, writeSums } from './lib/release.mjs';
import { show } from './lib/paths.mjs';
import { Failure, main } from './lib/run.mjs';

const commands = {
  check: (tag) => checkTag(tag),
  archive: async (target) => console.log(show(await archive(target))),
  sums: (folder) => writeSums(folder),
  notes: (tag) => console.log(notesOf(checkTag(tag))),
};

await main(async () => {
  const [command, argument] = process.argv.slice(2);
  if (!commands[command] || !argument)
    throw new Failure('Usage: node scripts/release.mjs check TAG | archive TARGET | sums DIR | notes TAG');
  await commands[command](argument);
});
