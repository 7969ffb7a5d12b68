// npm run test:training: a virtual environment in training/.venv, ruff over all Python, then the tests of training/ on a toy corpus.
// PyTorch from PyPI brings gigabytes of CUDA libraries, so this is not part of `npm test`. If the packages cannot be downloaded, it
// says so and exits 0, counting as skipped. `PYTHON` names another interpreter that already has them.
import fs from 'node:fs';
import path from 'node:path';
import { inRoot } from './lib/paths.mjs';
import { capture, Failure, main, query, run, which } from './lib/run.mjs';
import { step } from './lib/steps.mjs';

const folder = inRoot('training/.venv');
const bin = (name) => path.join(folder, process.platform === 'win32' ? `Scripts/${name}.exe` : `bin/${name}`);

await main(async () => {
  const python = process.env.PYTHON ?? (await environment());
  if (python === null) {
    console.log('\ntraining: the Python packages could not be installed, so the tests did not run.\n0 passed, 0 failed, 1 skipped');
    return;
  }
  if (query(python, ['-m', 'ruff', '--version']) === null) console.log('· ruff is not installed, so names in Python were not checked.');
  else await run(python, ['-m', 'ruff', 'check', '--no-cache', '--quiet', '.']);
  // One thread per process: the toy model is too small for more, and the machine may be busy.
  const env = { OMP_NUM_THREADS: '1' };
  const { code, output } = await capture(python, ['-m', 'unittest', 'discover', '-s', 'tests', '-t', '.'], {
    env,
    cwd: inRoot('training'),
  });
  const ran = Number(/^Ran (\d+) tests? in/m.exec(output)?.[1] ?? 0);
  const count = (what) => Number(new RegExp(`${what}=(\\d+)`).exec(/^(?:OK|FAILED).*$/m.exec(output)?.[0] ?? '')?.[1] ?? 0);
  const [failed, skipped] = [count('failures') + count('errors'), count('skipped')];
  console.log(`\n${ran - failed - skipped} passed, ${failed} failed, ${skipped} skipped`);
  if (code !== 0 || ran === 0) throw new Failure('The tests of training/ failed.');
});

/** The interpreter of the environment, which is rebuilt when requirements.txt changes; null if packages cannot be downloaded. */
async function environment() {
  const system = which('python3', 'python');
  if (system === null) throw new Failure('python3 was not found: install Python 3.11 or later.');
  const version = query(system, ['-c', 'import sys; print(sys.version_info >= (3, 11))']);
  if (version !== 'True') throw new Failure(`${system} is too old: install Python 3.11 or later, or set PYTHON.`);
  // Python compiles what is imported; all that is installed would take it half a minute.
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile'];
  const pip = (...options) => run(bin('python'), [...install, ...options]);
  const outputs = ['training/.venv'];
  const attempt = async (work) => {
    try {
      await work();
      return true;
    } catch (error) {
      if (error instanceof Failure) return false;
      throw error;
    }
  };
  const [packages, tools] = ['training/requirements.txt', 'training/requirements-tests.txt'];
  const isThere = await attempt(() =>
    step('training environment', { inputs: [packages], outputs, facts: system }, async () => {
      await run(system, ['-m', 'venv', '--clear', folder]);
      await pip('-r', inRoot(packages));
    }),
  );
  if (!isThere) return null;
  // They go with the environment; what needs them says so where they cannot be had.
  const made = fs.statSync(path.join(folder, 'pyvenv.cfg')).mtimeMs;
  await attempt(() => step('tools of the tests', { inputs: [tools], outputs, facts: made }, () => pip('--no-deps', '-r', inRoot(tools))));
  return bin('python');
}
