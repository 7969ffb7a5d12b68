// npm run format: formats Rust and everything that Biome knows, in place.
import { inRoot } from './lib/paths.mjs';
import { main, run } from './lib/run.mjs';
import { ensureCargo, ensureNodeModules } from './lib/system.mjs';

await main(async () => {
  await ensureNodeModules();
  ensureCargo();
  await run(process.execPath, [inRoot('node_modules/@biomejs/biome/bin/biome'), 'check', '--write', '.']);
  await run('cargo', ['fmt', '--all']);
});
