// What the benchmark page counts at the browser's interfaces is what the command counts from the plans of the operations.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { buildCommand } from '../../scripts/lib/command.mjs';
import { inRoot, paths } from '../../scripts/lib/paths.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { launch, openPage } from './harness.mjs';

const MODEL = 'llama-f16-linear';
const [PROMPT, TOKENS] = [12, 4];

/** Of the kind of adapter that Chromium has here. */
const command = async (hasSubgroups) => {
  const binary = await buildCommand();
  const args = ['bench', '--model', inRoot('tests/goldens/models', MODEL), '--backend', 'cpu', '--runs', '1', '--warmup', '0', '--json'];
  args.push('--prompt-tokens', String(PROMPT), '--new-tokens', '2', '--adapter', 'software', ...(hasSubgroups ? ['--subgroups'] : []));
  return JSON.parse(execFileSync(binary, args, { encoding: 'utf8' })).counts;
};

test('the page and the command count the same', async () => {
  const server = await serve({ '/': inRoot('benches'), '/npm/': paths.npmPackage, '/models/': inRoot('tests/goldens/models') });
  const browser = await launch();
  try {
    const { page, close } = await openPage(browser, server.url, { ignore: [/404/] });
    page.setDefaultTimeout(0);
    const expected = await command(await page.evaluate(async () => (await navigator.gpu.requestAdapter()).features.has('subgroups')));
    const options = { url: `./models/${MODEL}/`, backend: 'webgpu', promptTokens: PROMPT, newTokens: TOKENS };
    const counted = await page.evaluate(async (options) => {
      const { countModel } = await import('./measure.js');
      return countModel({ ...options, tell: () => {} });
    }, options);
    const of = ({ dispatches, workgroups, barriers }) => ({ dispatches, workgroups, barriers });
    assert.deepEqual(of(counted.prefill), of(expected.prefill.all));
    const { decode_per_token: decode } = counted;
    // The first token of a submit is looked up by a dispatch of its own.
    const dispatches = Math.round(TOKENS * (decode.dispatches - decode.submits));
    assert.equal(dispatches, TOKENS * expected.decode_per_token.all.dispatches);
    assert.equal(Math.round(TOKENS * decode.barriers), TOKENS * expected.decode_per_token.all.barriers);
    assert.ok(decode.bytes_bound > 0 && decode.awaits > 0 && decode.messages > 0, JSON.stringify(decode));
    const kernels = Object.keys(expected.decode_per_token.kernels);
    for (const kernel of kernels) assert.ok(counted.decode_kernels_ms === null || counted.decode_kernels_ms[kernel] >= 0, kernel);
    await close();
  } finally {
    await browser.close();
    await server.close();
  }
});
