// The native fuzz targets (crate/tests/fuzz): a process each, two at a time, FUZZ_SECONDS each: 15, or an hour with SOAK=1.
import { capture, Failure } from './run.mjs';

const TARGETS = ['tokenizer', 'features', 'decoder', 'weights', 'config', 'sae', 'edits', 'manifest', 'gguf'];
const AT_ONCE = 2;

export async function fuzz() {
  const seconds = process.env.FUZZ_SECONDS ?? (process.env.SOAK ? '3600' : '15');
  const command = ['test', '-q', '-p', 'topk-lm', '--test', 'fuzz'];
  const built = await capture('cargo', [...command, '--no-run'], {});
  if (built.code !== 0) throw new Failure('The fuzz targets do not compile; the compiler says why above.');
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const left = [...TARGETS];
  const work = async () => {
    for (let target = left.shift(); target; target = left.shift()) {
      const { code } = await capture('cargo', [...command, '--', target], { env: { FUZZ_SECONDS: seconds } });
      counts[code === 0 ? 'passed' : 'failed']++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return counts;
}
