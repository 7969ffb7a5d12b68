// npm test [-- NAME…]: installs what the tests need, runs every check, and ends with a table of what passed and failed.
// npm run soak [-- NAME…]: the same with SOAK=1, under which fuzz and js-fuzz take an hour a target, life and shipped texts their full length, and the
// Observable notebooks are run too.
import { parseArgs } from 'node:util';
import { Failure, main } from './lib/run.mjs';
import { checks } from './lib/checks.mjs';
import { ensureCargo, ensureChromium, ensureHeadlessShell, ensureNodeModules, ensureVulkan } from './lib/system.mjs';

await main(async () => {
  const { values, positionals } = parseArgs({ options: { soak: { type: 'boolean' } }, allowPositionals: true });
  if (values.soak) process.env.SOAK = '1';
  const chosen = choose(positionals);

  ensureCargo();
  await ensureNodeModules();
  await ensureVulkan();
  process.env.CHROMIUM_SHELL = (await ensureHeadlessShell()) ?? '';
  process.env.CHROMIUM = await ensureChromium();

  const running = new Map(chosen.filter(({ aside }) => aside).map((check) => [check, timed(check)]));
  // What runs beside the next check is waited for after it.
  let beside = [];
  const inTurn = chosen.filter(({ aside }) => !aside);
  for (const check of inTurn) {
    running.set(check, timed(check));
    beside.push(running.get(check));
    if (check.besideNext && check !== inTurn.at(-1)) continue;
    await Promise.all(beside);
    beside = [];
  }
  report(await Promise.all(chosen.map((check) => running.get(check))));
});

function choose(names) {
  const unknown = names.filter((name) => !checks.some((check) => check.name === name));
  if (unknown.length > 0) {
    throw new Failure(`There is no check "${unknown[0]}"; the checks are ${checks.map(({ name }) => name).join(', ')}.`);
  }
  return names.length > 0 ? checks.filter(({ name }) => names.includes(name)) : checks;
}

async function timed({ name, work }) {
  console.log(`\n━━ ${name}`);
  const began = performance.now();
  const counts = await attempt(work);
  return { name, seconds: (performance.now() - began) / 1000, ...counts };
}

/** A check that counts no tests of its own counts as one. */
async function attempt(work) {
  try {
    const counts = await work();
    return counts ?? { passed: 1, failed: 0, skipped: 0 };
  } catch (error) {
    console.error(error instanceof Failure ? error.message : error);
    return { passed: 0, failed: 1, skipped: 0, why: error instanceof Failure ? error.message : String(error) };
  }
}

function report(results) {
  console.log('\ncheck                     passed  failed  skipped   seconds');
  for (const { name, passed, failed, skipped, seconds } of results) {
    const cells = [passed, failed, skipped].map((count) => String(count).padStart(8)).join('');
    console.log(`${failed > 0 ? '✗' : '✓'} ${name.padEnd(22)}${cells}${seconds.toFixed(1).padStart(10)}`);
  }
  // Once more at the end, where the end is all that is kept.
  for (const { name, why } of results) if (why) console.log(`\n${name}: ${why}`);
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  const skipped = sum('skipped');
  console.log(`\n${sum('passed')} passed, ${sum('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  if (sum('failed') > 0) process.exitCode = 1;
}
