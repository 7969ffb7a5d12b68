// The commands of examples/notebooks/README.md that start a server: started as printed, but for flags that keep it on this machine, seen to have the notebook, stopped.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { commandsIn, wordsOf } from '../../scripts/lib/commands.mjs';
import { launch, STEP_TIMEOUT } from '../browser/harness.mjs';
import { environment, freePort, notebooks, startServer, workspace } from '../python/host.mjs';

const commands = commandsIn(fs.readFileSync(path.join(notebooks, 'README.md'), 'utf8')).map(({ command }) => command);

/** Flags by the first word, where the server answers, and whether it has the notebook `name`. */
const SERVERS = {
  jupyter: {
    flags: ['--no-browser', '--allow-root', '--ip=127.0.0.1', '--IdentityProvider.token='],
    ready: 'api',
    check: async (_, url, name) => {
      const { content } = await (await fetch(`${url}api/contents/${name}`)).json();
      assert.match(JSON.stringify(content.cells), /topk_lm\.load/);
    },
  },
  marimo: {
    flags: ['--headless', '--no-token', '--skip-update-check', '--host=127.0.0.1'],
    ready: 'health',
    check: async (t, url) => {
      const browser = await launch({ webgpu: false });
      t.after(() => browser.close());
      const page = await browser.newPage();
      page.setDefaultTimeout(STEP_TIMEOUT);
      await page.goto(url);
      await page.getByText('import topk_lm').first().waitFor({ timeout: 600_000 });
    },
  },
};

for (const [program, { flags, ready, check }] of Object.entries(SERVERS)) {
  test(`${program}, as printed`, async (t) => {
    const bin = await environment(t, 'notebooks', { own: true });
    if (!bin) return;
    const found = commands.filter((command) => command.startsWith(`${program} `));
    assert.equal(found.length, 1, `command lines of ${program}: ${found}`);
    const [, ...args] = wordsOf(found[0]);
    const cwd = path.join(workspace(t, `commands-${program}`), '../..');
    const port = await freePort();
    const url = `http://127.0.0.1:${port}/`;
    const env = { HOME: path.join(cwd, 'home') };
    await startServer(t, bin(program), [...args, ...flags, `--port=${port}`], { url: url + ready, cwd, env });
    await check(t, url, path.basename(args.at(-1)));
  });
}
