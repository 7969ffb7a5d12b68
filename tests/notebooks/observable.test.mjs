// examples/notebooks/observable: the Framework page and the Notebook Kit notebook, built as for a host and opened in Chromium. The models lie on another origin.
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { paths } from '../../scripts/lib/paths.mjs';
import { run } from '../../scripts/lib/run.mjs';
import { serve } from '../../scripts/lib/server.mjs';
import { launch } from '../browser/harness.mjs';
import { npmPackages, PLAIN, STEERED, workspace } from '../python/host.mjs';

const skip = process.env.SOAK === '1' ? false : 'installs 170 MB: npm run soak, or SOAK=1';

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

  const check = async (folder) => {
    const site = await serve({ '/': folder });
    t.after(() => site.close());
    const page = await browser.newPage();
    const said = [];
    page.on('pageerror', (error) => said.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && said.push(message.text()));
    await page.goto(site.url);
    for (const text of [`plain: ${PLAIN}`, `steered: ${STEERED}`, /TopK 4\d, dense 10\d\d/]) {
      await page
        .getByText(text)
        .first()
        .waitFor({ timeout: 120_000 })
        .catch(async (error) => {
          throw new Error(`${error.message}\n${said.join('\n')}\n${await page.locator('body').innerText()}`);
        });
    }
    await page.locator('svg[class*="plot"] rect').first().waitFor();
    await page.close();
  };

  await t.test('Framework', async () => {
    await run(bin('observable'), ['build'], { cwd: root, env });
    await check(path.join(root, 'dist'));
  });
  await t.test('Notebook Kit', async () => {
    await run(bin('notebooks'), ['build', '--root', 'kit', '--out', '../dist-kit', '--', 'kit/index.html'], { cwd: root, env });
    const out = ['dist-kit', 'kit/dist-kit'].map((name) => path.join(root, name)).find((name) => fs.existsSync(name));
    await check(out);
  });
});
