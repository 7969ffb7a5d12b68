// examples/notebooks/observable: the Framework page and the Notebook Kit notebook, previewed and built as for a host, opened in Chromium. The models lie on another origin.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { paths } from '../../scripts/lib/paths.mjs';
import { run } from '../../scripts/lib/run.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { launch, STEP_TIMEOUT } from '../browser/harness.mjs';
import { npmPackages, PLAIN, STEERED, workspace } from '../python/host.mjs';

const skip = process.env.SOAK === '1' ? false : 'installs 170 MB: npm run soak, or SOAK=1';

/** The address that a server says it has; the server ends with the test. */
async function preview(t, program, args, { cwd, env }) {
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env, NO_COLOR: '1' }, detached: true });
  t.after(() => process.kill(-child.pid));
  let said = '';
  return new Promise((resolve, reject) => {
    child.on('exit', () => reject(new Error(said)));
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        said += data;
        const found = /http:\/\/(?:localhost|127\.0\.0\.1):\d+\//.exec(said);
        if (found) resolve(found[0]);
      });
  });
}

test('Observable: Framework and Notebook Kit', { skip }, async (t) => {
  const root = path.join(workspace(t, 'observable'), 'observable');
  const bin = await npmPackages(t, root);
  if (!bin) return;
  const models = await serve({ '/models/': paths.models }, { headers: { 'access-control-allow-origin': '*' } });
  t.after(() => models.close());
  for (const file of ['src/index.md', 'kit/index.html']) {
    const source = fs.readFileSync(path.join(root, file), 'utf8');
    fs.writeFileSync(path.join(root, file), source.replace('http://localhost:4173/', models.url));
  }
  const browser = await launch({ webgpu: false });
  t.after(() => browser.close());
  const env = { OBSERVABLE_TELEMETRY_DISABLE: 'true' };

  const check = async (url) => {
    const page = await browser.newPage();
    page.setDefaultTimeout(STEP_TIMEOUT);
    const said = [];
    page.on('pageerror', (error) => said.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && said.push(message.text()));
    await page.goto(url);
    for (const text of [`plain: ${PLAIN}`, `steered: ${STEERED}`, /TopK 4\d, dense 10\d\d/]) {
      await page
        .getByText(text)
        .first()
        .waitFor({ timeout: 600_000 })
        .catch(async (error) => {
          throw new Error(`${error.message}\n${said.join('\n')}\n${await page.locator('body').innerText()}`);
        });
    }
    await page.locator('svg[class*="plot"] rect').first().waitFor();
    await page.close();
  };

  const checkFolder = async (folder) => {
    const site = await serve({ '/': folder });
    t.after(() => site.close());
    await check(site.url);
  };

  await t.test('Framework, previewed', async (t) => {
    await check(await preview(t, bin('observable'), ['preview', '--no-open'], { cwd: root, env }));
  });
  await t.test('Notebook Kit, previewed', async (t) => {
    await check(await preview(t, bin('notebooks'), ['preview', '--root', 'kit'], { cwd: root, env }));
  });
  await t.test('Framework', async () => {
    await run(bin('observable'), ['build'], { cwd: root, env });
    await checkFolder(path.join(root, 'dist'));
  });
  await t.test('Notebook Kit', async () => {
    await run(bin('notebooks'), ['build', '--root', 'kit', '--out', '../dist-kit', '--', 'kit/index.html'], { cwd: root, env });
    const out = ['dist-kit', 'kit/dist-kit'].map((name) => path.join(root, name)).find((name) => fs.existsSync(name));
    await checkFolder(out);
  });
});
