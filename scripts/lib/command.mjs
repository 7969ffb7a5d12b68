// The command as the tests run it.
import { inRoot } from './paths.mjs';
import { run } from './run.mjs';

/**
 * Builds the command and tells where it is. Cargo is asked for a test beside it, for which it chooses the features of the dependencies as for
 * `cargo test`: for the command alone it would choose others, and build nearly all of them once more.
 */
export async function buildCommand() {
  await run('cargo', ['build', '--locked', '--quiet', '-p', 'topk-lm', '--bin', 'topk-lm', '--test', 'memory']);
  return inRoot('target/debug', process.platform === 'win32' ? 'topk-lm.exe' : 'topk-lm');
}
