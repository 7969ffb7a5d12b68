// Runs a target: first the cases that once failed (cases/NAME.json), then new ones, each from a seed that reproduces it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { askedBytes } from './memory.mjs';
import { Random } from './random.mjs';

const CASES = path.join(path.dirname(fileURLToPath(import.meta.url)), 'cases');
const { FUZZ_SECONDS, FUZZ_RUNS, FUZZ_SEED, SOAK } = process.env;
/** Seconds a target, unless FUZZ_RUNS says how many runs. */
const SECONDS = Number(FUZZ_SECONDS ?? (SOAK ? 3600 : 15));
/** The soak, and whoever gives a time, look for what is new; otherwise the runs are the same each time, as many of them as the machine does. */
const FIRST = Number(FUZZ_SEED ?? (SOAK || FUZZ_SECONDS ? Date.now() % 2 ** 31 : 1));
/** How many tenths of a second one run may take. They are counted, not measured: a process that is kept waiting by others counts none. */
const LONGEST = 300;
/** How many bytes of buffers one run may ask for; 64 times the inputs is more for the weights of `loads` alone. */
const MOST = 16 * 2 ** 20;

/**
 * @param {string} name
 * @param {(random: Random) => unknown} target throws, or rejects, where the promise is broken; a seed is all it gets
 */
export async function fuzz(t, name, target) {
  const kept = path.join(CASES, `${name}.json`);
  const seeds = fs.existsSync(kept) ? JSON.parse(fs.readFileSync(kept, 'utf8')) : [];
  const end = performance.now() + SECONDS * 1000;
  let done = 0;
  const clock = watch();
  const once = async (seed) => {
    const before = askedBytes();
    try {
      const outcome = target(new Random(seed));
      if (outcome instanceof Promise) await clock.inTime(outcome);
      const bytes = askedBytes() - before;
      assert.ok(bytes <= MOST, `buffers of ${bytes} bytes`);
    } catch (error) {
      throw new Error(`${name}: seed ${seed} (add it to tests/fuzz/cases/${name}.json): ${error?.stack ?? String(error)}`, {
        cause: error,
      });
    }
    // Lets timers, ports and the test runner have their turn.
    if (++done % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
  };
  const more = (number) => (FUZZ_RUNS ? number < Number(FUZZ_RUNS) : performance.now() < end);
  try {
    for (const seed of seeds) await once(seed);
    for (let number = 0; more(number); number++) await once(FIRST + number);
  } finally {
    clock.stop();
  }
  t.diagnostic(`${done} runs of ${name}`);
}

/** One timer for all runs: one each takes as long as a short run does. */
function watch() {
  let left = LONGEST;
  let giveUp;
  const timer = setInterval(() => left-- > 0 || giveUp?.(new Error(`no outcome after ${LONGEST / 10} s`)), 100);
  return {
    inTime(outcome) {
      left = LONGEST;
      return Promise.race([outcome, new Promise((_, reject) => (giveUp = reject))]);
    },
    stop: () => clearInterval(timer),
  };
}

/** Whatever a call does: a result, or a typed error that a person can read. */
export function isFine(error, TopKError) {
  assert.ok(error instanceof TopKError, `not a TopKError: ${error?.stack ?? String(error)}`);
  assert.ok(error.message.length > 0 && error.message.length <= 300, `a message of ${error.message.length} characters`);
  assert.notEqual(error.code, 'internal', error.message);
}
