// examples/notebooks/marimo_notebook.py as an app in Chromium.
import path from 'node:path';
import { test } from 'node:test';
import { launch, STEP_TIMEOUT } from '../browser/harness.mjs';
import { environment, freePort, PLAIN, startServer, STEERED, workspace } from '../python/host.mjs';

test('marimo: load, run, plot, steer, compare, select', async (t) => {
  const bin = await environment(t, 'notebooks', { own: true });
  if (!bin) return;
  const root = workspace(t, 'marimo');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { HOME: path.join(root, '.home') };
  const flags = ['run', 'marimo_notebook.py', '--headless', '--no-token', '--host', '127.0.0.1', '--port', String(port)];
  await startServer(t, bin('marimo'), flags, { url: `${url}/health`, cwd: root, env });
  const browser = await launch({ webgpu: false });
  t.after(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(STEP_TIMEOUT);
  const said = [];
  page.on('pageerror', (error) => said.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && said.push(message.text()));
  await page.goto(url);
  const has = async (text) => {
    await page
      .getByText(text, { exact: false })
      .first()
      .waitFor({ timeout: 600_000 })
      .catch(async (error) => {
        throw new Error(`${error.message}\n${said.join('\n')}\n${await page.locator('body').innerText()}`);
      });
  };
  await has(`plain: ${PLAIN}`);
  await has(`steered: ${STEERED}`);
  await has(/TopK 4\d, dense 10\d\d/);
  await has(/refused: edit: .*layer/);
  await page.locator('img').first().waitFor();
  const first = page.locator('.topk-grid tbody button').first();
  const [, index] = /neuron (\d+)/.exec(await first.getAttribute('aria-label'));
  await first.click();
  await has(`selected: [${index}]`);
});
